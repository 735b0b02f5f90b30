//! What positions could grow to with all working orders filled, in the account's base currency.
//!
//! Worst case means the larger of two ends: every working buy filled and no sell, or the other
//! way round. Strategies net within an instrument, since the venue nets the account. The long and
//! the short position of a hedging account do not: a venue closes or liquidates one without the
//! other, and then the other is there with all of it.

use super::ReasonCode;
use super::exposure::Exposures;
use crate::id::{Currency, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::{Money, Rate};
use crate::number::{Decimal, NumberError, Quantity};
use crate::order::PositionSide;
use crate::portfolio::{COST_DECIMALS, Portfolio, Valuation};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why an exposure cannot be told. An order that would add to it is denied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MeasureError {
    #[error("there is no fresh price of {0}")]
    NoMark(InstrumentId),
    #[error("there is no fresh rate from {from} to {to}")]
    NoRate { from: Currency, to: Currency },
    #[error("instrument {0} is not known")]
    UnknownInstrument(InstrumentId),
    #[error("an exposure {0}")]
    Number(#[from] NumberError),
}

impl MeasureError {
    /// Returns the code of the denial.
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            MeasureError::NoMark(_) | MeasureError::UnknownInstrument(_) => {
                ReasonCode::NoReferencePrice
            }
            MeasureError::NoRate { .. } => ReasonCode::NoConversionRate,
            MeasureError::Number(_) => ReasonCode::NumericRange,
        }
    }
}

/// An order that is asked about, beyond those that work already. For an amend what it adds.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    pub instrument_id: &'a InstrumentId,
    pub strategy_id: &'a StrategyId,
    /// Which position it means.
    pub position_side: PositionSide,
    pub side: Side,
    pub open: Quantity,
}

/// An account to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    pub portfolio: &'a Portfolio,
    pub instruments: &'a BTreeMap<InstrumentId, Instrument>,
    pub exposures: &'a Exposures,
    pub valuation: &'a Valuation<'a>,
    pub added: Option<Added<'a>>,
}

/// A position with what works on both sides of it, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    held: i128,
    buys: i128,
    sells: i128,
}

impl Reach {
    fn add(&mut self, side: Side, open: i128) {
        match side {
            Side::Buy => self.buys += open,
            Side::Sell => self.sells += open,
        }
    }

    /// Returns the position farthest from zero, without sign.
    fn worst(self) -> i128 {
        let long = (self.held + self.buys).abs();
        long.max((self.held - self.sells).abs())
    }
}

impl<'a> Measure<'a> {
    /// Returns the same account with one more order.
    #[must_use]
    pub fn with(self, added: Added<'a>) -> Measure<'a> {
        Measure {
            added: Some(added),
            ..self
        }
    }

    /// Returns the worst-case notional of one instrument in the currency of its profit.
    ///
    /// Errors: [`MeasureError`].
    pub fn instrument_in_own_currency(&self, id: &InstrumentId) -> Result<Money, MeasureError> {
        let exposure = self.exposures.of(id);
        let mut worst = 0;
        for (side, held) in self.portfolio.by_side(id)?.iter() {
            let working = exposure.of(side);
            let mut reach = Reach {
                held: i128::from(held.quantity),
                buys: working.buy.quantity,
                sells: working.sell.quantity,
            };
            let is_meant =
                |added: &Added<'_>| added.instrument_id == id && added.position_side == side;
            if let Some(added) = self.added.filter(is_meant) {
                reach.add(added.side, i128::from(added.open.0));
            }
            worst += reach.worst();
        }
        self.notional(id, worst)
    }

    /// Returns the worst-case notional of one instrument in the base currency.
    ///
    /// Errors: [`MeasureError`].
    pub fn instrument(&self, id: &InstrumentId) -> Result<Money, MeasureError> {
        let notional = self.instrument_in_own_currency(id)?;
        self.in_base(id, notional)
    }

    /// Returns what an order is worth by itself in the base currency: no order adds more to a
    /// worst case.
    ///
    /// Errors: [`MeasureError`].
    pub fn alone(&self, order: &Added<'_>) -> Result<Money, MeasureError> {
        let mut reach = Reach::default();
        reach.add(order.side, i128::from(order.open.0));
        let notional = self.notional(order.instrument_id, reach.worst())?;
        self.in_base(order.instrument_id, notional)
    }

    /// Returns the worst-case notional of one strategy in the base currency: the sum over the
    /// instruments in which it holds or asks for something.
    ///
    /// Errors: [`MeasureError`].
    pub fn strategy(&self, strategy_id: &StrategyId) -> Result<Money, MeasureError> {
        let mut reaches: BTreeMap<(&InstrumentId, PositionSide), Reach> = BTreeMap::new();
        let own = self.portfolio.positions();
        for position in own.filter(|position| position.strategy_id == *strategy_id) {
            let key = (&position.instrument_id, position.side);
            let reach = reaches.entry(key).or_default();
            reach.held += i128::from(position.quantity);
        }
        for (id, side, working) in self.exposures.of_strategy(strategy_id) {
            let reach = reaches.entry((id, side)).or_default();
            reach.buys += working.buy;
            reach.sells += working.sell;
        }
        if let Some(added) = self.added.filter(|a| a.strategy_id == strategy_id) {
            let key = (added.instrument_id, added.position_side);
            let reach = reaches.entry(key).or_default();
            reach.add(added.side, i128::from(added.open.0));
        }
        let mut sum = Money::ZERO;
        for ((id, _), reach) in reaches {
            let notional = self.notional(id, reach.worst())?;
            sum = sum.checked_add(self.in_base(id, notional)?)?;
        }
        Ok(sum)
    }

    /// Returns the worst-case notional of the account in the base currency: the sum over its
    /// instruments, each without sign.
    ///
    /// Errors: [`MeasureError`].
    pub fn account(&self) -> Result<Money, MeasureError> {
        let mut sum = Money::ZERO;
        for id in self.touched() {
            sum = sum.checked_add(self.instrument(id)?)?;
        }
        Ok(sum)
    }

    /// Returns the worst-case notional of one instrument as a share of `equity`, to 16 decimals,
    /// half to even; `None` where the equity is not above zero, and any exposure is too much.
    ///
    /// Errors: [`MeasureError`].
    pub fn concentration(
        &self,
        id: &InstrumentId,
        equity: Money,
    ) -> Result<Option<Rate>, MeasureError> {
        let notional = self.instrument(id)?;
        if equity.0 <= Decimal::ZERO {
            return Ok(None);
        }
        let share = notional.0.checked_div(equity.0);
        let share = share.ok_or(NumberError::OutOfRange)?;
        Ok(Some(Rate(share.round_dp(COST_DECIMALS))))
    }

    /// Returns the instruments with a position or an order.
    fn touched(&self) -> BTreeSet<&InstrumentId> {
        let held = self.portfolio.positions().map(|it| &it.instrument_id);
        let working = self.exposures.iter().map(|(id, _)| id);
        let added = self.added.map(|added| added.instrument_id);
        held.chain(working).chain(added).collect()
    }

    fn notional(&self, id: &InstrumentId, worst: i128) -> Result<Money, MeasureError> {
        if worst == 0 {
            return Ok(Money::ZERO);
        }
        let instrument = self.known(id)?;
        let mark = self.valuation.mark(id);
        let mark = mark.ok_or_else(|| MeasureError::NoMark(id.clone()))?;
        let worst = i64::try_from(worst).map_err(|_| NumberError::OutOfRange)?;
        let notional = instrument.notional(mark, Quantity(worst))?;
        Ok(Money(notional.0.abs()))
    }

    fn in_base(&self, id: &InstrumentId, notional: Money) -> Result<Money, MeasureError> {
        if notional.is_zero() {
            return Ok(notional);
        }
        let from = self.known(id)?.profit_currency();
        let converted = self.valuation.convert(notional, from);
        converted.ok_or_else(|| MeasureError::NoRate {
            from: from.clone(),
            to: self.valuation.base_currency.clone(),
        })
    }

    fn known(&self, id: &InstrumentId) -> Result<&'a Instrument, MeasureError> {
        let instrument = self.instruments.get(id);
        instrument.ok_or_else(|| MeasureError::UnknownInstrument(id.clone()))
    }
}

#[cfg(test)]
mod tests;
