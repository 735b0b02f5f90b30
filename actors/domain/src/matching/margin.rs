//! What a simulated venue holds for its accounts when it lends to them: cash and positions.
//!
//! Cash pays the notional of each fill and its fee, so that equity is cash plus what the
//! positions are worth now, for the asset itself and for a linear contract alike.

use super::ledger::TakenBack;
use crate::Currency;
use crate::id::{AccountId, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::market::Side;
use crate::money::Money;
use crate::number::{Decimal, Price, Quantity};
use crate::time::UnixNanos;
use crate::venue::{Execution, NewOrder};
use std::collections::BTreeMap;

/// How a venue lends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarginOptions {
    /// What cash and margin are counted in. Instruments that settle in another currency, or
    /// charge a side in one, are not offered.
    pub currency: Currency,
    /// What each account begins with.
    pub cash: Money,
    /// From the margin call to the liquidation, in nanoseconds; zero liquidates at once.
    pub grace_ns: i64,
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginState {
    /// Cash and what the positions are worth now.
    pub equity: Money,
    /// What has to be there to open them.
    pub initial: Money,
    /// What has to be there to keep them.
    pub maintenance: Money,
}

impl MarginState {
    /// Returns true while the equity is not below the maintenance margin.
    pub fn is_covered(&self) -> bool {
        self.equity.0 >= self.maintenance.0
    }
}

/// What a margin call asks of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) is_new: bool,
    pub(super) is_due: bool,
}

#[derive(Clone, Debug)]
struct Holding {
    cash: Decimal,
    /// Positive is long; never zero.
    positions: BTreeMap<InstrumentId, i64>,
    called_at: Option<UnixNanos>,
}

/// Cash and positions of all accounts.
#[derive(Clone, Debug)]
pub(super) struct MarginBook {
    options: MarginOptions,
    accounts: BTreeMap<AccountId, Holding>,
    /// The contracts that have ended, and at what they were settled: an execution that is taken
    /// back later opens none again.
    settled: BTreeMap<InstrumentId, Price>,
}

impl MarginBook {
    pub(super) fn new(options: MarginOptions) -> MarginBook {
        MarginBook {
            options,
            accounts: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// Returns true for an instrument whose margin can be counted.
    pub(super) fn lists(&self, instrument: &Instrument) -> bool {
        let ours = |side| *instrument.fee_currency(side) == self.options.currency;
        instrument.kind != InstrumentKind::Inverse
            && instrument.quote_currency == self.options.currency
            && ours(Side::Buy)
            && ours(Side::Sell)
    }

    fn holding(&mut self, account_id: &AccountId) -> &mut Holding {
        let cash = self.options.cash.0;
        self.accounts
            .entry(account_id.clone())
            .or_insert_with(|| Holding {
                cash,
                positions: BTreeMap::new(),
                called_at: None,
            })
    }

    pub(super) fn book(
        &mut self,
        account_id: &AccountId,
        instrument: &Instrument,
        execution: &Execution,
    ) {
        let signed = execution
            .side
            .sign()
            .saturating_mul(execution.last_quantity.0);
        let fee = execution.fee;
        self.move_position(account_id, instrument, execution.last_price, signed, fee);
    }

    /// Books funding; a negative amount is paid. One in another currency is of an instrument that
    /// is not offered.
    pub(super) fn pay(&mut self, account_id: &AccountId, currency: &Currency, amount: Money) {
        if *currency != self.options.currency {
            return;
        }
        let holding = self.holding(account_id);
        if let Some(cash) = holding.cash.checked_add(amount.0) {
            holding.cash = cash;
        }
    }

    /// Undoes an execution that was taken back.
    pub(super) fn unbook(
        &mut self,
        account_id: &AccountId,
        instrument: &Instrument,
        taken_back: &TakenBack,
    ) {
        let quantity = taken_back.matched.quantity.0;
        let signed = (-taken_back.side.sign()).saturating_mul(quantity);
        let (price, fee) = (taken_back.matched.price, Money(-taken_back.fee.amount.0));
        self.move_position(account_id, instrument, price, signed, fee);
        if let Some(mark) = self.settled.get(&instrument.instrument_id).copied() {
            let again = signed.saturating_neg();
            self.move_position(account_id, instrument, mark, again, Money::ZERO);
        }
    }

    fn move_position(
        &mut self,
        account_id: &AccountId,
        instrument: &Instrument,
        price: Price,
        signed: i64,
        fee: Money,
    ) {
        let Some(paid) = worth(instrument, price, signed) else {
            return;
        };
        let id = instrument.instrument_id.clone();
        let holding = self.holding(account_id);
        let cash = holding.cash.checked_sub(paid);
        let Some(cash) = cash.and_then(|cash| cash.checked_sub(fee.0)) else {
            return;
        };
        holding.cash = cash;
        let position = holding.positions.get(&id).copied().unwrap_or(0);
        match position.saturating_add(signed) {
            0 => holding.positions.remove(&id),
            position => holding.positions.insert(id, position),
        };
    }

    /// Closes every position of a contract that has ended at its last mark.
    pub(super) fn settle(&mut self, instrument: &Instrument, mark: Price) {
        for account_id in self.exposed() {
            let held = self.positions(&account_id).into_iter();
            let held = held.filter(|(id, _)| *id == instrument.instrument_id);
            for (_, position) in held.collect::<Vec<_>>() {
                let closing = position.saturating_neg();
                self.move_position(&account_id, instrument, mark, closing, Money::ZERO);
            }
        }
        self.settled.insert(instrument.instrument_id.clone(), mark);
    }

    /// Returns the accounts that have a position.
    pub(super) fn exposed(&self) -> Vec<AccountId> {
        let exposed = |(id, holding): (&AccountId, &Holding)| {
            (!holding.positions.is_empty()).then(|| id.clone())
        };
        self.accounts.iter().filter_map(exposed).collect()
    }

    pub(super) fn positions(&self, account_id: &AccountId) -> Vec<(InstrumentId, i64)> {
        let holding = self.accounts.get(account_id);
        let positions = holding.map(|holding| holding.positions.clone());
        positions.unwrap_or_default().into_iter().collect()
    }

    /// Returns where an account stands at these marks; `None` when a mark is missing or a number
    /// does not fit: nothing can be said then.
    pub(super) fn state<'a>(
        &self,
        account_id: &AccountId,
        mark: impl Fn(&InstrumentId) -> Option<(&'a Instrument, Price)>,
    ) -> Option<MarginState> {
        let mut state = MarginState {
            equity: self.options.cash,
            initial: Money::ZERO,
            maintenance: Money::ZERO,
        };
        let Some(holding) = self.accounts.get(account_id) else {
            return Some(state);
        };
        state.equity = Money(holding.cash);
        for (id, position) in &holding.positions {
            let (instrument, price) = mark(id)?;
            let value = worth(instrument, price, *position)?;
            let add = |sum: Money, rate: Decimal| {
                let share = value.abs().checked_mul(rate)?;
                sum.0.checked_add(share).map(Money)
            };
            let maintenance = instrument.rules.maintenance_margin;
            let maintenance = maintenance.unwrap_or(instrument.initial_margin);
            state.equity = state.equity.checked_add(Money(value)).ok()?;
            state.initial = add(state.initial, instrument.initial_margin.0)?;
            state.maintenance = add(state.maintenance, maintenance.0)?;
        }
        Some(state)
    }

    /// Returns true when an order's initial margin is there on top of that of the positions. An
    /// order that only brings a position nearer to zero needs none; other working orders are not
    /// counted.
    pub(super) fn covers<'a>(
        &self,
        account_id: &AccountId,
        instrument: &Instrument,
        order: &NewOrder,
        price: Price,
        mark: impl Fn(&InstrumentId) -> Option<(&'a Instrument, Price)>,
    ) -> bool {
        let holding = self.accounts.get(account_id);
        let position = holding.and_then(|h| h.positions.get(&order.instrument_id));
        let position = position.copied().unwrap_or(0);
        let against = match order.side {
            Side::Buy => position.saturating_neg().max(0),
            Side::Sell => position.max(0),
        };
        let opens = order.quantity.saturating_sub(Quantity(against));
        if opens.is_zero() {
            return true;
        }
        let price = order.limit_price.map_or(price, |limit| match order.side {
            Side::Buy => limit.min(price),
            Side::Sell => limit.max(price),
        });
        let needed = worth(instrument, price, opens.0)
            .and_then(|value| value.abs().checked_mul(instrument.initial_margin.0));
        let state = self.state(account_id, mark);
        let (Some(needed), Some(state)) = (needed, state) else {
            return false;
        };
        needed
            .checked_add(state.initial.0)
            .is_some_and(|needed| needed <= state.equity.0)
    }

    /// Notes whether an account is covered.
    pub(super) fn call(
        &mut self,
        account_id: &AccountId,
        state: &MarginState,
        now: UnixNanos,
    ) -> Call {
        let grace_ns = self.options.grace_ns;
        let holding = self.holding(account_id);
        if state.is_covered() {
            holding.called_at = None;
            return Call {
                is_new: false,
                is_due: false,
            };
        }
        let is_new = holding.called_at.is_none();
        let since = *holding.called_at.get_or_insert(now);
        Call {
            is_new,
            is_due: now.since(since) >= grace_ns,
        }
    }
}

/// Returns what a signed quantity is worth at a price; `None` when it has too many digits.
fn worth(instrument: &Instrument, price: Price, signed: i64) -> Option<Decimal> {
    let value = instrument
        .notional(price, Quantity(signed.checked_abs()?))
        .ok()?;
    Some(if signed < 0 { -value.0 } else { value.0 })
}
