//! What an account's fills sum up to, kept as they come.

use super::Ledger;
use crate::id::InstrumentId;
use crate::order::PositionSide;
use crate::portfolio::split_units;
use crate::venue::NewOrder;
use std::collections::BTreeMap;

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

    /// Adds to a position what executions of orders that are not here any more moved.
    pub(in crate::matching) fn hold(
        &mut self,
        instrument_id: &InstrumentId,
        side: PositionSide,
        quantity: i64,
    ) {
        let key = (instrument_id.clone(), side);
        let position = self.positions.0.entry(key).or_default();
        *position = position.saturating_add(quantity);
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
