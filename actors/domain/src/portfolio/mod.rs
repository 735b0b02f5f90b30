//! The portfolio: what fills, funding and splits did to positions, cash, profit and fees.
//!
//! Positions net within (instrument, strategy), and in a hedging account within (instrument,
//! strategy, side): see [`Holder`]. Numbers are exact but for two stated roundings: the cost that
//! a closing fill releases ([`COST_DECIMALS`]), and the base amount of an inverse contract's fill
//! ([`INVERSE_DECIMALS`](crate::instrument::INVERSE_DECIMALS)).

pub mod attribution;
mod booking;
mod charges;
mod holder;
pub mod margin;
mod position;
pub mod rates;
mod splits;
mod unbooking;
pub mod valuation;
mod whole;

pub use attribution::{Attribution, BasePnl, Pnl, PnlKey};
pub(crate) use booking::{Booking, fee_units};
pub use charges::{Charges, FeesInUnits};
pub use holder::Holder;
pub use margin::{InstrumentMargin, Margin, MarginPart};
pub use position::{COST_DECIMALS, Position, split_units};
pub use rates::{ConversionRate, DEFAULT_MAX_RATE_AGE_NS, Freshness, Rates};
pub use splits::Split;
pub(crate) use unbooking::{Past, Unbooking};
pub use valuation::{Equity, Mark, Valuation};
pub(crate) use whole::Whole;

use crate::id::{Currency, ExecId, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::{Decimal, NumberError};
use crate::order::PositionSide;
use crate::venue::Execution;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The position of all strategies together in one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetPosition {
    /// Signed, a mantissa at the instrument's quantity decimals.
    pub quantity: i64,
    /// Signed sum of the open costs, in the currency of the instrument's profit.
    pub open_cost: Money,
}

impl NetPosition {
    /// Returns the sum of positions.
    ///
    /// Errors: `OutOfRange`.
    fn of<'a>(positions: impl Iterator<Item = &'a Position>) -> Result<NetPosition, NumberError> {
        let mut sum = NetPosition::default();
        for position in positions {
            let flat = Position::flat(position.instrument_id.clone(), &position.holder());
            sum = sum.moved(&flat, position)?;
        }
        Ok(sum)
    }

    /// Returns this after one of its positions has changed.
    fn moved(self, before: &Position, after: &Position) -> Result<NetPosition, NumberError> {
        let quantity = i128::from(self.quantity) - i128::from(before.quantity);
        let quantity = i64::try_from(quantity + i128::from(after.quantity));
        Ok(NetPosition {
            quantity: quantity.map_err(|_| NumberError::OutOfRange)?,
            open_cost: self
                .open_cost
                .checked_sub(before.open_cost)?
                .checked_add(after.open_cost)?,
        })
    }
}

/// The positions of one instrument by the side that orders named. They do not offset each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BySide {
    pub net: NetPosition,
    pub long: NetPosition,
    pub short: NetPosition,
}

impl BySide {
    pub fn iter(self) -> impl Iterator<Item = (PositionSide, NetPosition)> {
        [
            (PositionSide::Net, self.net),
            (PositionSide::Long, self.long),
            (PositionSide::Short, self.short),
        ]
        .into_iter()
    }
}

/// Positions, cash, realised profit, fees and funding of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portfolio {
    positions: BTreeMap<(InstrumentId, StrategyId, PositionSide), Position>,
    net: BTreeMap<InstrumentId, NetPosition>,
    cash: BTreeMap<Currency, Money>,
    realized_pnl: BTreeMap<Currency, Money>,
    fees: BTreeMap<Currency, Money>,
    funding: BTreeMap<Currency, Money>,
    charges: BTreeMap<(InstrumentId, StrategyId), Charges>,
    /// Payments of funding that were booked.
    funded: BTreeSet<(InstrumentId, ExecId)>,
    splits: BTreeMap<InstrumentId, Vec<Split>>,
    /// What all strategies together hold of each side of a contract, averaged as one holder's; see
    /// [`Portfolio::venue_cash`].
    whole: BTreeMap<(InstrumentId, PositionSide), Whole>,
}

impl Portfolio {
    /// Returns what booking `execution` would do, without doing it.
    ///
    /// Errors: a number of the result cannot be held; nothing was changed.
    pub(crate) fn plan(
        &self,
        instrument: &Instrument,
        holder: &Holder,
        execution: &Execution,
    ) -> Result<Booking, NumberError> {
        booking::plan(self, instrument, holder, execution)
    }

    /// Carries out what [`Portfolio::plan`] found.
    pub(crate) fn commit(&mut self, booking: Booking) {
        let position = booking.position;
        if let Some(whole) = booking.whole {
            let key = (position.instrument_id.clone(), position.side);
            self.whole.insert(key, whole);
        }
        self.net.insert(position.instrument_id.clone(), booking.net);
        let key = (position.instrument_id.clone(), position.strategy_id.clone());
        // Taking an execution without a fee back changes what others cost in units, too.
        if !booking.own_fees.is_empty() || self.charges.contains_key(&key) {
            let charges = self.charges.entry(key).or_default();
            charges.fees.extend(booking.own_fees);
            charges.in_units = booking.in_units;
        }
        self.insert(position);
        self.cash.extend(booking.cash);
        self.realized_pnl.extend(booking.realized_pnl);
        self.fees.extend(booking.fees);
    }

    fn insert(&mut self, position: Position) {
        let ids = (position.instrument_id.clone(), position.strategy_id.clone());
        let key = (ids.0, ids.1, position.side);
        self.positions.insert(key, position);
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

    /// Returns every position there ever was, by instrument, strategy and side; flat ones too,
    /// since they carry realised profit.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions.values()
    }

    /// Returns every position of one instrument, by strategy and side; flat ones too.
    pub fn positions_of(&self, instrument_id: &InstrumentId) -> impl Iterator<Item = &Position> {
        let first = (
            instrument_id.clone(),
            StrategyId::least(),
            PositionSide::Net,
        );
        let from_there = self.positions.range(first..).map(|(_, position)| position);
        from_there.take_while(move |position| position.instrument_id == *instrument_id)
    }

    /// Returns the netting position of a strategy.
    pub fn position(&self, strategy: &StrategyId, instrument: &InstrumentId) -> Option<&Position> {
        self.position_of(&Holder::netting(strategy.clone()), instrument)
    }

    pub fn position_of(&self, holder: &Holder, instrument: &InstrumentId) -> Option<&Position> {
        let strategy_id = holder.strategy_id.clone();
        self.positions
            .get(&(instrument.clone(), strategy_id, holder.side))
    }

    /// Returns the position of all strategies and sides together; flat where there is none.
    pub fn net(&self, instrument_id: &InstrumentId) -> NetPosition {
        self.net.get(instrument_id).copied().unwrap_or_default()
    }

    /// Returns the position of all strategies together on one side: what an order that names
    /// the side may reduce.
    ///
    /// Errors: `OutOfRange`.
    pub fn net_of_side(
        &self,
        instrument_id: &InstrumentId,
        side: PositionSide,
    ) -> Result<NetPosition, NumberError> {
        NetPosition::of(self.positions_of(instrument_id).filter(|p| p.side == side))
    }

    /// Returns the positions of all strategies together by the side that their orders named.
    ///
    /// Errors: `OutOfRange`.
    pub(crate) fn by_side(&self, instrument_id: &InstrumentId) -> Result<BySide, NumberError> {
        let of = |side| self.net_of_side(instrument_id, side);
        Ok(BySide {
            net: of(PositionSide::Net)?,
            long: of(PositionSide::Long)?,
            short: of(PositionSide::Short)?,
        })
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

    /// Returns realised profit by currency, before fees and funding.
    pub fn realized_pnl(&self) -> &BTreeMap<Currency, Money> {
        &self.realized_pnl
    }

    /// Returns fees paid by currency; negative is a rebate.
    pub fn fees(&self) -> &BTreeMap<Currency, Money> {
        &self.fees
    }

    /// Returns funding by currency; positive was received.
    pub fn funding(&self) -> &BTreeMap<Currency, Money> {
        &self.funding
    }

    /// Returns fees and funding by instrument and strategy.
    pub fn charges(&self) -> impl Iterator<Item = (&InstrumentId, &StrategyId, &Charges)> {
        self.charges
            .iter()
            .map(|((instrument_id, strategy_id), charges)| (instrument_id, strategy_id, charges))
    }

    pub fn charges_of(&self, strategy: &StrategyId, instrument: &InstrumentId) -> Option<&Charges> {
        self.charges.get(&(instrument.clone(), strategy.clone()))
    }

    /// Returns the splits of an instrument in their order.
    pub fn splits_of(&self, instrument_id: &InstrumentId) -> &[Split] {
        self.splits.get(instrument_id).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
