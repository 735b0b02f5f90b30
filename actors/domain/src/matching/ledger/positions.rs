//! What an account's fills sum up to, kept as they come.

use super::Ledger;
use crate::id::{ClientOrderId, InstrumentId};
use crate::number::Quantity;
use crate::order::PositionSide;
use crate::portfolio::split_units;
use crate::venue::NewOrder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an account holds at a simulated venue, as it is put back after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredPosition {
    pub instrument_id: InstrumentId,
    /// The side that the orders named which made it.
    pub side: PositionSide,
    /// Signed, without what the executions of the orders that are put back have made of it.
    pub quantity: i64,
}

/// Signed positions, by the side that the orders named.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions(BTreeMap<(InstrumentId, PositionSide), i64>);

impl Positions {
    /// Books a fill of an order; a negative quantity takes one back. Saturates.
    pub(super) fn book(&mut self, order: &NewOrder, quantity: i64) {
        let key = (order.instrument_id.clone(), order.terms.position_side);
        let moved = order.side.sign().saturating_mul(quantity);
        let position = self.0.entry(key).or_default();
        *position = position.saturating_add(moved);
    }
}

impl Ledger {
    /// Counts the positions of an instrument in the units of after a split.
    pub(in crate::matching) fn split(
        &mut self,
        instrument_id: &InstrumentId,
        numerator: u32,
        denominator: u32,
    ) {
        for ((id, _), position) in &mut self.positions.0 {
            if id == instrument_id {
                *position = split_units(*position, numerator, denominator);
            }
        }
    }

    /// Adds to the positions what orders that are not put back have made.
    pub(in crate::matching) fn restore_positions(&mut self, held: &[RestoredPosition]) {
        for one in held {
            let key = (one.instrument_id.clone(), one.side);
            let position = self.positions.0.entry(key).or_default();
            *position = position.saturating_add(one.quantity);
        }
    }

    /// Returns the side that an order names, open or ended; `Net` where there is no such order.
    pub(in crate::matching) fn position_side(&self, id: &ClientOrderId) -> PositionSide {
        let order = self.orders.get(id);
        order.map_or(PositionSide::Net, |order| order.order.terms.position_side)
    }

    /// Returns what a working order may trade now: all that is open of it, or, of one that only
    /// reduces, what there is to reduce. Zero where there is no such order.
    pub(in crate::matching) fn tradable(&self, id: &ClientOrderId) -> Quantity {
        let Some(order) = self.open(id) else {
            return Quantity::ZERO;
        };
        if !order.order.reduce_only {
            return order.leaves();
        }
        let order_side = order.order.terms.position_side;
        let position = self.position(&order.order.instrument_id, order_side);
        let against = order.order.side.sign().saturating_neg();
        let left = Quantity(against.saturating_mul(position).max(0));
        order.leaves().min(left)
    }

    /// Returns the position that an order which names `side` adds to or reduces: that of all
    /// sides together where it names none. Positive is long.
    pub(in crate::matching) fn position(
        &self,
        instrument_id: &InstrumentId,
        side: PositionSide,
    ) -> i64 {
        let of = |side| {
            let position = self.positions.0.get(&(instrument_id.clone(), side));
            position.copied().unwrap_or_default()
        };
        match side {
            PositionSide::Net => [PositionSide::Net, PositionSide::Long, PositionSide::Short]
                .into_iter()
                .fold(0, |sum: i64, side| sum.saturating_add(of(side))),
            side => of(side),
        }
    }
}
