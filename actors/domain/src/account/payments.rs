//! Funding, splits and settlements: what happens to positions without an order.

use super::machine::{Account, Step};
use super::recovery::FoldError;
use super::requests::Subject;
use super::types::{
    CancelFilter, ExecutionRecord, FundingPayment, InstrumentSplit, Refusal, Reply,
};
use crate::event::{Event, QuarantineReason, Recorded};
use crate::id::{ClientOrderId, Currency, ExecId, InstrumentId, StrategyId};
use crate::instrument::InstrumentKind;
use crate::money::Money;
use crate::number::NumberError;
use crate::order::store::OrderIndex;
use crate::portfolio::{Holder, Past, Split};
use crate::risk::ReasonCode;

impl Account {
    /// Takes a payment of funding, by the positions as they are now. One that is known already
    /// changes nothing, whatever it says.
    pub(super) fn funding(&mut self, step: &mut Step<'_>, payment: FundingPayment) {
        match self.book_funding(step, payment) {
            Ok(()) => self.done(step),
            Err(refusal) => step.refuse(refusal),
        }
    }

    /// Takes a payment that the venue reports. One that cannot be booked is set aside for a person.
    pub(super) fn funding_reported(&mut self, step: &mut Step<'_>, payment: FundingPayment) {
        let detail = format!("{payment:?}");
        // Ids of payments have fewer letters to choose from than those of orders and may be
        // longer; who looks for one finds it in the detail.
        let id = ClientOrderId::new(payment.funding_id.as_str());
        let id = id.or_else(|_| ClientOrderId::new("FUNDING"));
        if let (Err(refusal), Ok(id)) = (self.book_funding(step, payment), id) {
            let detail = format!("funding: {refusal}: {detail}");
            self.quarantine(step, id, QuarantineReason::Unbookable, detail);
        }
    }

    fn book_funding(
        &mut self,
        step: &mut Step<'_>,
        payment: FundingPayment,
    ) -> Result<(), Refusal> {
        let FundingPayment {
            instrument_id,
            funding_id,
            currency,
            amount,
            ts_event,
        } = payment;
        let Some(instrument) = self.instruments.get(&instrument_id) else {
            return Err(Refusal::UnknownInstrument(instrument_id));
        };
        if self.portfolio.is_funded(&instrument_id, &funding_id) {
            return Ok(());
        }
        if !instrument.settles_profit() {
            return Err(invalid("instrument_id", "is a spot instrument"));
        }
        let shares = self.portfolio.funding_shares(&instrument_id, amount);
        let tried = self.portfolio.cash_after(&currency, amount);
        let (Ok(shares), Ok(_)) = (shares, tried) else {
            return Err(invalid("amount", "is out of range"));
        };
        let bookable = shares.iter().all(|(strategy_id, share)| {
            let planned =
                self.portfolio
                    .plan_funding(&instrument_id, strategy_id, &currency, *share);
            planned.is_ok()
        });
        if !bookable {
            return Err(invalid("amount", "is out of range"));
        }
        for (strategy_id, amount) in shares {
            let event = Event::FundingPaid {
                instrument_id: instrument_id.clone(),
                strategy_id,
                currency: currency.clone(),
                amount,
                funding_id: funding_id.clone(),
                ts_event,
            };
            self.record(step, event);
        }
        Ok(())
    }

    /// Splits the positions of an instrument, and asks for the cancel of its working orders:
    /// their prices and quantities mean the old units. It is to be entered while the market is
    /// closed, since a fill that is booked afterwards counts in the new units.
    pub(super) fn split(&mut self, step: &mut Step<'_>, split: InstrumentSplit) {
        let InstrumentSplit {
            request_id,
            instrument_id,
            numerator,
            denominator,
        } = split;
        let subject = Subject::Split(instrument_id.clone(), numerator, denominator);
        if self.answer_again(step, request_id.as_ref(), &subject) {
            return;
        }
        let Some(instrument) = self.instruments.get(&instrument_id) else {
            return step.refuse(Refusal::UnknownInstrument(instrument_id));
        };
        for (field, value) in [("numerator", numerator), ("denominator", denominator)] {
            if value == 0 {
                return step.refuse(invalid(field, "must be above zero"));
            }
        }
        if instrument.kind == InstrumentKind::Inverse {
            // A contract stays worth the same quote currency, whatever its underlying does.
            return step.refuse(invalid("instrument_id", "is an inverse contract"));
        }
        let tried = Split {
            sequence: self.sequence + 1,
            numerator,
            denominator,
        };
        if self.portfolio.plan_split(instrument, &tried).is_err() {
            return step.refuse(invalid("numerator", "makes a position out of range"));
        }
        let filter = CancelFilter {
            instrument_id: Some(instrument_id.clone()),
            ..CancelFilter::default()
        };
        self.marks.forget(&instrument_id);
        let event = Event::InstrumentSplit {
            request_id,
            instrument_id,
            numerator,
            denominator,
        };
        self.record(step, event);
        let sequence = self.sequence;
        self.cancel_all(step, filter, None, ReasonCode::CanceledByRisk);
        step.effects.reply = Some(Reply::Done { sequence });
    }

    /// Folds what changes positions or cash without an execution.
    pub(super) fn take_payment(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        match &recorded.event {
            Event::BalanceReconciled { currency, amount } => {
                self.take_cash(recorded, currency, *amount)?;
                self.take_paid(currency, *amount);
                Ok(())
            }
            Event::PositionSettled {
                strategy_id,
                position_side,
                execution,
            } => {
                let holder = Holder {
                    strategy_id: strategy_id.clone(),
                    side: *position_side,
                };
                self.book(recorded, execution, None, holder, false)
            }
            Event::SideReconciled {
                position_side,
                execution,
            } => {
                let holder = Holder {
                    side: *position_side,
                    ..Holder::external()
                };
                self.book(recorded, execution, None, holder, false)
            }
            Event::FundingPaid {
                instrument_id,
                strategy_id,
                currency,
                amount,
                funding_id,
                ..
            } => {
                let ids = (instrument_id, strategy_id, funding_id);
                self.take_funding(recorded, ids, currency, *amount)
            }
            Event::InstrumentSplit {
                request_id,
                instrument_id,
                numerator,
                denominator,
            } => {
                let (numerator, denominator) = (*numerator, *denominator);
                self.take_split(recorded, instrument_id, (numerator, denominator))?;
                let subject = Subject::Split(instrument_id.clone(), numerator, denominator);
                let (sequence, ts) = (recorded.sequence, recorded.ts);
                self.requests
                    .remember(request_id.as_ref(), subject, sequence, ts);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_funding(
        &mut self,
        recorded: &Recorded,
        ids: (&InstrumentId, &StrategyId, &ExecId),
        currency: &Currency,
        amount: Money,
    ) -> Result<(), FoldError> {
        let (instrument_id, strategy_id, funding_id) = ids;
        let booking = self
            .portfolio
            .plan_funding(instrument_id, strategy_id, currency, amount)
            .map_err(number(recorded))?;
        self.portfolio
            .commit_funding(instrument_id, strategy_id, funding_id, booking);
        Ok(())
    }

    fn take_split(
        &mut self,
        recorded: &Recorded,
        instrument_id: &InstrumentId,
        (numerator, denominator): (u32, u32),
    ) -> Result<(), FoldError> {
        let sequence = recorded.sequence;
        let instrument = self
            .instruments
            .get(instrument_id)
            .ok_or(FoldError::UnknownInstrument { sequence })?;
        let split = Split {
            sequence,
            numerator,
            denominator,
        };
        let booking = self
            .portfolio
            .plan_split(instrument, &split)
            .map_err(number(recorded))?;
        self.portfolio.commit_split(instrument, split, booking);
        Ok(())
    }

    /// Adds to a balance.
    pub(super) fn take_cash(
        &mut self,
        recorded: &Recorded,
        currency: &Currency,
        amount: Money,
    ) -> Result<(), FoldError> {
        let balance = self
            .portfolio
            .cash_after(currency, amount)
            .map_err(number(recorded))?;
        self.portfolio.set_cash(currency.clone(), balance);
        Ok(())
    }

    /// Returns whose position an execution moves, of this order or of none.
    pub(super) fn owner(&self, index: Option<OrderIndex>) -> Holder {
        index.map_or_else(Holder::external, |index| self.holder_of(index))
    }

    /// Returns whose position an execution of this order moves.
    pub(super) fn holder_of(&self, index: OrderIndex) -> Holder {
        let request = &self.orders.get(index).order.request;
        Holder {
            strategy_id: request.strategy_id.clone(),
            side: request.terms.position_side,
        }
    }

    /// Returns what made a position what it is, in the order of booking, but for one execution.
    pub(super) fn past_without<'a>(
        &'a self,
        record: &'a ExecutionRecord,
    ) -> impl Iterator<Item = Past<'a>> {
        let instrument_id = &record.execution.instrument_id;
        let splits = self.portfolio.splits_of(instrument_id);
        let executions = self.executions.iter().filter(move |other| {
            !other.busted
                && other.strategy_id == record.strategy_id
                && other.position_side == record.position_side
                && other.execution.instrument_id == *instrument_id
                && other.sequence != record.sequence
        });
        merged(executions, splits)
    }
}

impl ExecutionRecord {
    /// Returns whose position this execution moved.
    pub fn holder(&self) -> Holder {
        Holder {
            strategy_id: self.strategy_id.clone(),
            side: self.position_side,
        }
    }
}

/// Returns executions and splits by their sequence.
pub(super) fn merged<'a>(
    executions: impl Iterator<Item = &'a ExecutionRecord>,
    splits: &'a [Split],
) -> impl Iterator<Item = Past<'a>> {
    let mut executions = executions.peekable();
    let mut splits = splits.iter().peekable();
    std::iter::from_fn(move || {
        let split_is_next = match (executions.peek(), splits.peek()) {
            (Some(record), Some(split)) => split.sequence < record.sequence,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if split_is_next {
            return splits.next().map(Past::Split);
        }
        let record = executions.next()?;
        Some(record.past())
    })
}

fn invalid(field: &'static str, detail: &str) -> Refusal {
    Refusal::Invalid {
        field,
        detail: detail.to_owned(),
    }
}

fn number(recorded: &Recorded) -> impl Fn(NumberError) -> FoldError {
    let sequence = recorded.sequence;
    move |source| FoldError::Number { sequence, source }
}
