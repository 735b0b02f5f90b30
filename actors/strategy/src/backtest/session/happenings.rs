//! Funding, splits and dividends that files state, at their times.
//!
//! Each meets the position as it is before the first row whose time is at or after its own.

use super::super::BacktestError;
use super::super::options::BacktestOptions;
use super::Session;
use apex_domain::account::{AccountInput, FundingPayment, InstrumentSplit, Refusal, Reply};
use apex_domain::funding;
use apex_domain::happening::{Happening, What};
use apex_domain::instrument::Instrument;
use apex_domain::number::{Decimal, NumberError};
use apex_domain::{ExecId, Money, Quantity, Rate, UnixNanos};
use std::collections::VecDeque;

const RANGE: BacktestError = BacktestError::Money(NumberError::OutOfRange);

/// What is to come, and what came.
#[derive(Debug)]
pub(super) struct Happenings {
    /// In order of time.
    waiting: VecDeque<Happening>,
    pub payments: u64,
    pub splits: u64,
    pub dividends_paid: u64,
    dividends: Decimal,
    /// What of them was owed for short positions, which the account books as it does funding.
    pub owed: Decimal,
    has_actions: bool,
}

impl Happenings {
    /// Takes what comes after the first event: nothing is held before it.
    pub fn of(options: &BacktestOptions, first: UnixNanos) -> Happenings {
        let actions = options.corporate_actions.iter().flatten();
        let all = actions.chain(options.funding.iter().flatten());
        let mut waiting: Vec<Happening> = all.filter(|it| it.ts > first).cloned().collect();
        // Corporate actions first where times are equal.
        waiting.sort_by_key(|happening| happening.ts);
        Happenings {
            waiting: waiting.into(),
            payments: 0,
            splits: 0,
            dividends_paid: 0,
            dividends: Decimal::ZERO,
            owed: Decimal::ZERO,
            has_actions: options.corporate_actions.is_some(),
        }
    }

    /// Returns the sum of all dividends; `None` without corporate actions.
    pub fn dividends(&self) -> Option<String> {
        let sum = || self.dividends.normalize().to_string();
        self.has_actions.then(sum)
    }
}

impl Session {
    /// Lets everything happen that is due before an event of `next`.
    pub(super) fn happen_until(&mut self, next: UnixNanos) -> Result<(), BacktestError> {
        let is_due = |happening: &Happening| happening.ts <= next;
        while self.happenings.waiting.front().is_some_and(is_due) {
            let Some(happening) = self.happenings.waiting.pop_front() else {
                break;
            };
            let instruments = self.instruments.values();
            let held = instruments.filter(|it| happening.concerns(&it.instrument_id));
            for instrument in held.cloned().collect::<Vec<_>>() {
                self.happen(&instrument, happening.ts, happening.what)?;
            }
        }
        Ok(())
    }

    fn happen(
        &mut self,
        instrument: &Instrument,
        ts: UnixNanos,
        what: What,
    ) -> Result<(), BacktestError> {
        match what {
            What::Funding { rate, mark } => self.fund(instrument, ts, rate, mark),
            What::Split {
                numerator,
                denominator,
            } => self.split(instrument, ts, (numerator, denominator)),
            What::Dividend { amount } => self.pay_dividend(instrument, ts, amount),
        }
    }

    fn fund(
        &mut self,
        instrument: &Instrument,
        ts: UnixNanos,
        rate: Rate,
        mark: Option<Decimal>,
    ) -> Result<(), BacktestError> {
        let id = &instrument.instrument_id;
        let position = self.account.net_position(id);
        let last = self.step.mark(id).and_then(|mark| mark.last_price());
        let mark = mark.or_else(|| Some(instrument.price_decimal(last?)));
        // A position was traded at some price, so there is one.
        let Some(mark) = mark.filter(|_| position != 0) else {
            return Ok(());
        };
        let amount = funding::payment_at(instrument, position, mark, rate)?;
        let input = AccountInput::Funding(FundingPayment {
            instrument_id: id.clone(),
            funding_id: funding::payment_id(ts),
            currency: instrument.profit_currency().clone(),
            amount,
            ts_event: ts,
        });
        self.happenings.payments += 1;
        self.curve.receive(id, amount.0)?;
        self.trips.receive(instrument, amount.0);
        self.give(instrument, ts, "funding", input)
    }

    /// The venue first: what the strategy orders because its orders are canceled meets no price
    /// of before.
    fn split(
        &mut self,
        instrument: &Instrument,
        ts: UnixNanos,
        (numerator, denominator): (u32, u32),
    ) -> Result<(), BacktestError> {
        let id = &instrument.instrument_id;
        self.happenings.splits += 1;
        self.step.split(id, numerator, denominator);
        self.curve.split(id, numerator, denominator);
        self.trips.split(id, numerator, denominator);
        let input = AccountInput::Split(InstrumentSplit {
            request_id: None,
            instrument_id: id.clone(),
            numerator,
            denominator,
        });
        self.give(instrument, ts, "the split", input)
    }

    fn pay_dividend(
        &mut self,
        instrument: &Instrument,
        ts: UnixNanos,
        amount: Money,
    ) -> Result<(), BacktestError> {
        let id = &instrument.instrument_id;
        let units = instrument.quantity_decimal(Quantity(self.account.net_position(id)));
        if units.is_zero() {
            return Ok(());
        }
        let paid = units.checked_mul(amount.0).ok_or(RANGE)?;
        let sum = self.happenings.dividends.checked_add(paid).ok_or(RANGE)?;
        self.happenings.dividends = sum;
        self.happenings.dividends_paid += 1;
        self.curve.receive(id, paid)?;
        self.trips.receive(instrument, paid);
        let currency = instrument.quote_currency.clone();
        // Of a spot position nothing is paid like funding; who may sell it short may owe for it too.
        let input = if paid > Decimal::ZERO || !instrument.settles_profit() {
            AccountInput::AdjustCash {
                request_id: None,
                currency,
                amount: Money(paid),
                reason: format!("dividend of {amount} for each unit of {id}"),
            }
        } else {
            // Who is short owes it, whether there is free cash or not: no withdrawal, which the
            // account may refuse.
            self.happenings.owed = self.happenings.owed.checked_sub(paid).ok_or(RANGE)?;
            AccountInput::Funding(FundingPayment {
                instrument_id: id.clone(),
                funding_id: dividend_id(ts, self.happenings.dividends_paid).ok_or(RANGE)?,
                currency,
                amount: Money(paid),
                ts_event: ts,
            })
        };
        self.give(instrument, ts, "the dividend", input)
    }

    /// Lets the account decide, and whatever follows from it.
    fn give(
        &mut self,
        instrument: &Instrument,
        ts: UnixNanos,
        what: &'static str,
        input: AccountInput,
    ) -> Result<(), BacktestError> {
        self.account.apply(ts, input, &mut self.effects);
        if let Some(Reply::Refused(refusal)) = &self.effects.reply {
            let source: Refusal = refusal.clone();
            return Err(BacktestError::Happening {
                what,
                instrument_id: instrument.instrument_id.clone(),
                ts: ts.0,
                source,
            });
        }
        self.step.on_effects(&self.effects);
        self.note_events()?;
        self.settle()
    }
}

/// An id of its own for each payment of the run, besides those of funding.
fn dividend_id(ts: UnixNanos, number: u64) -> Option<ExecId> {
    ExecId::new(&format!("DIVIDEND-{}-{number}", ts.0)).ok()
}
