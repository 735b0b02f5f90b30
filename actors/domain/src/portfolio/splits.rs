//! Splits of an instrument: more or fewer units at the same cost.

use super::booking::Balances;
use super::{NetPosition, Portfolio, Position, Whole};
use crate::id::Currency;
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::NumberError;
use crate::order::PositionSide;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One split as it was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Journal sequence of its event: executions before it are in the old units.
    pub sequence: u64,
    /// Each old unit becomes `numerator / denominator` new ones; both above zero.
    pub numerator: u32,
    pub denominator: u32,
}

/// New values of everything that a split touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitBooking {
    positions: Vec<Position>,
    net: NetPosition,
    cash: BTreeMap<Currency, Money>,
    realized_pnl: BTreeMap<Currency, Money>,
    whole: Vec<(PositionSide, Whole)>,
}

impl Split {
    /// Returns the position after the split. What is smaller than one unit afterwards is cut
    /// off; where that is all, the position ends and its cost is realised.
    ///
    /// Errors: `OutOfRange`.
    pub(super) fn of(
        &self,
        instrument: &Instrument,
        position: &Position,
    ) -> Result<Position, NumberError> {
        let holding = position.holding();
        let after = holding.split(self.numerator, self.denominator, instrument.kind)?;
        Ok(Position {
            quantity: after.quantity,
            open_cost: Money(after.open_cost),
            realized_pnl: position.realized_pnl.checked_add(Money(after.realized))?,
            ..position.clone()
        })
    }
}

impl Portfolio {
    /// Returns what a split would do to every position of the instrument, without doing it.
    ///
    /// Errors: a number of the result cannot be held.
    pub(crate) fn plan_split(
        &self,
        instrument: &Instrument,
        split: &Split,
    ) -> Result<SplitBooking, NumberError> {
        let mut net = self.net(&instrument.instrument_id);
        let mut positions = Vec::new();
        let mut cash = Balances::of(&self.cash);
        let mut realized_pnl = Balances::of(&self.realized_pnl);
        for before in self.positions_of(&instrument.instrument_id) {
            let after = split.of(instrument, before)?;
            net = net.moved(before, &after)?;
            let realized = after.realized_pnl.checked_sub(before.realized_pnl)?;
            realized_pnl.add(instrument.profit_currency(), realized.0)?;
            if instrument.settles_profit() {
                cash.add(instrument.profit_currency(), realized.0)?;
            }
            positions.push(after);
        }
        let whole = self.whole_after_split(&instrument.instrument_id, &positions)?;
        Ok(SplitBooking {
            whole,
            positions,
            net,
            cash: cash.changed,
            realized_pnl: realized_pnl.changed,
        })
    }

    /// Carries out what [`Portfolio::plan_split`] found.
    pub(crate) fn commit_split(
        &mut self,
        instrument: &Instrument,
        split: Split,
        booking: SplitBooking,
    ) {
        let id = &instrument.instrument_id;
        if !booking.positions.is_empty() {
            self.net.insert(id.clone(), booking.net);
        }
        for position in booking.positions {
            self.insert(position);
        }
        for (side, whole) in booking.whole {
            self.whole.insert((id.clone(), side), whole);
        }
        self.cash.extend(booking.cash);
        self.realized_pnl.extend(booking.realized_pnl);
        self.splits.entry(id.clone()).or_default().push(split);
    }
}
