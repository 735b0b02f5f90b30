//! The portfolio: what fills did to positions, cash, profit and fees.
//!
//! Positions net within (instrument, strategy). Numbers are exact; the one place where something
//! is rounded is the cost that a closing fill releases ([`position`]).

mod booking;
mod position;
mod unbooking;

pub(crate) use booking::{Booking, fee_units};
pub use position::Position;
pub(crate) use unbooking::Unbooking;

use crate::id::{Currency, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::{Decimal, NumberError};
use crate::venue::Execution;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The position of all strategies together in one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetPosition {
    /// Signed, a mantissa at the instrument's quantity decimals.
    pub quantity: i64,
    /// Signed sum of the open costs, in the quote currency.
    pub open_cost: Money,
}

/// Positions, cash, realised profit and fees of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portfolio {
    positions: BTreeMap<(InstrumentId, StrategyId), Position>,
    net: BTreeMap<InstrumentId, NetPosition>,
    cash: BTreeMap<Currency, Money>,
    realized_pnl: BTreeMap<Currency, Money>,
    fees: BTreeMap<Currency, Money>,
}

impl Portfolio {
    /// Returns what booking `execution` would do, without doing it.
    ///
    /// Errors: a number of the result cannot be held; nothing was changed.
    pub(crate) fn plan(
        &self,
        instrument: &Instrument,
        strategy_id: &StrategyId,
        execution: &Execution,
    ) -> Result<Booking, NumberError> {
        booking::plan(self, instrument, strategy_id, execution)
    }

    /// Carries out what [`Portfolio::plan`] found.
    pub(crate) fn commit(&mut self, booking: Booking) {
        let position = booking.position;
        self.net.insert(position.instrument_id.clone(), booking.net);
        let key = (position.instrument_id.clone(), position.strategy_id.clone());
        self.positions.insert(key, position);
        self.cash.extend(booking.cash);
        self.realized_pnl.extend(booking.realized_pnl);
        self.fees.extend(booking.fees);
    }

    /// Returns the balance after `amount` was paid in or out, without doing it.
    ///
    /// Errors: the balance cannot be held.
    pub(crate) fn cash_after(
        &self,
        currency: &Currency,
        amount: Money,
    ) -> Result<Money, NumberError> {
        let balance = self.cash.get(currency).copied().unwrap_or_default();
        balance.checked_add(amount)
    }

    pub(crate) fn set_cash(&mut self, currency: Currency, balance: Money) {
        self.cash.insert(currency, balance);
    }

    /// Returns every position there ever was, by instrument, then strategy; flat ones too, since
    /// they carry realised profit.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions.values()
    }

    pub fn position(&self, strategy: &StrategyId, instrument: &InstrumentId) -> Option<&Position> {
        self.positions.get(&(instrument.clone(), strategy.clone()))
    }

    /// Returns the position of all strategies together; flat where there is none.
    pub fn net(&self, instrument_id: &InstrumentId) -> NetPosition {
        self.net.get(instrument_id).copied().unwrap_or_default()
    }

    pub fn nets(&self) -> impl Iterator<Item = (&InstrumentId, &NetPosition)> {
        self.net.iter()
    }

    pub fn cash(&self) -> &BTreeMap<Currency, Money> {
        &self.cash
    }

    pub fn cash_of(&self, currency: &Currency) -> Decimal {
        self.cash
            .get(currency)
            .map_or(Decimal::ZERO, |money| money.0)
    }

    /// Returns realised profit by currency, before fees.
    pub fn realized_pnl(&self) -> &BTreeMap<Currency, Money> {
        &self.realized_pnl
    }

    /// Returns fees paid by currency; negative is a rebate.
    pub fn fees(&self) -> &BTreeMap<Currency, Money> {
        &self.fees
    }
}

#[cfg(test)]
mod tests;
