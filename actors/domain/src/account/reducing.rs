//! Orders that may only reduce a position, held to what is left of it.
//!
//! Checked when it is taken, such an order covers its position. A position shrinks by other
//! orders too, and a part of the order that covers nothing any more would open one. So with the
//! position these orders shrink, or end, oldest served first. A venue that knows `reduce_only`
//! does the same at the moment of a fill, which no message from here can be as fast as.

use super::machine::{Account, Step};
use super::orders::Change;
use crate::event::{Event, Hold};
use crate::id::InstrumentId;
use crate::market::Side;
use crate::number::Quantity;
use crate::order::OrderStatus;
use crate::order::PositionSide;
use crate::order::entry::OrderEntry;
use crate::order::store::OrderIndex;
use crate::risk::ReasonCode;
use std::collections::{BTreeMap, BTreeSet};

/// What the orders before one cover of each position, by its side and theirs.
type Covered = BTreeMap<(PositionSide, Side), i128>;

impl Account {
    /// Holds the reduce-only orders to their positions where something about either changed; all
    /// of them once a tick. Before the account agrees with its venue a position may be flat for
    /// a moment only, since what happened meanwhile comes bit by bit. Returns true when an order
    /// of a list ended with it, which its list has to hear of.
    pub(super) fn drive_reducing(&mut self, step: &mut Step<'_>) -> bool {
        if !self.orders.has_reducing() || !self.is_reconciled() {
            return false;
        }
        let before = step.effects.events.len();
        for instrument_id in self.reducing_touched(step) {
            self.hold_to_position(step, &instrument_id);
        }
        let new = step.effects.events[before..].iter();
        new.filter_map(|recorded| recorded.event.order_id())
            .filter_map(|order_id| self.orders.find_order_id(order_id))
            .map(|index| self.orders.get(index))
            .any(|entry| entry.order.list_id.is_some() && !entry.is_working())
    }

    fn reducing_touched(&self, step: &Step<'_>) -> BTreeSet<InstrumentId> {
        if step.is_tick {
            return self.orders.reducing_instruments().cloned().collect();
        }
        let events = step.effects.events.iter().map(|recorded| &recorded.event);
        let touched = events.filter_map(|event| match event {
            Event::ExternalFilled { execution }
            | Event::PositionReconciled { execution }
            | Event::SideReconciled { execution, .. }
            | Event::PositionSettled { execution, .. } => Some(&execution.instrument_id),
            Event::ExecutionBusted { instrument_id, .. }
            | Event::InstrumentSplit { instrument_id, .. } => Some(instrument_id),
            event => {
                let index = self.orders.find_order_id(event.order_id()?)?;
                let request = &self.orders.get(index).order.request;
                let matters = request.reduce_only || matches!(event, Event::OrderFilled { .. });
                matters.then_some(&request.instrument_id)
            }
        });
        touched.cloned().collect()
    }

    fn hold_to_position(&mut self, step: &mut Step<'_>, instrument_id: &InstrumentId) {
        let orders: Vec<OrderIndex> = self.orders.reducing_of(instrument_id).collect();
        let mut covered = Covered::new();
        for index in orders {
            let entry = self.orders.get(index);
            // A child that waits for its parent waits for its position too.
            if entry.is_home() && entry.hold == Some(Hold::Parent) {
                continue;
            }
            let allowed = self.coverable(entry, &mut covered);
            if allowed < i128::from(entry.worst_open().0) {
                self.shrink(step, index, allowed);
            }
        }
    }

    /// Returns how much of an order its position covers, and counts it for those behind it. Of
    /// orders that end or shrink when one of them trades each may cover all of it.
    fn coverable(&self, entry: &OrderEntry, covered: &mut Covered) -> i128 {
        let request = &entry.order.request;
        let net = i128::from(self.position_meant(request).quantity);
        let reducible = (-net * i128::from(request.side.sign())).max(0);
        let key = (request.terms.position_side, request.side);
        let before = covered.entry(key).or_default();
        let others = self.alternative_orders(entry).into_iter();
        let older: i128 = others
            .filter(|other| other.created < entry.created && other.order.request.reduce_only)
            .map(|other| i128::from(other.reserved_open().0))
            .sum();
        let allowed = (reducible - (*before - older).max(0)).max(0);
        *before += i128::from(entry.worst_open().0).min(allowed);
        allowed
    }

    /// Brings what is open of an order down to `allowed`, once nothing else about it is under
    /// way. What is too little to order ends, and so does what the venue will not shrink where it
    /// does not hold the order to the position itself.
    fn shrink(&mut self, step: &mut Step<'_>, index: OrderIndex, allowed: i128) {
        let entry = self.orders.get(index);
        let Some(instrument) = self.instruments.get(&entry.order.request.instrument_id) else {
            return;
        };
        let increment = i128::from(instrument.quantity_increment.0.max(1));
        // Below what is open, which fits.
        let open = i64::try_from(allowed / increment * increment).unwrap_or(i64::MAX);
        let quantity = entry.order.filled_quantity.saturating_add(Quantity(open));
        let refused = entry.refused_quantity == Some(quantity);
        if open == 0
            || quantity < instrument.min_quantity
            || (refused && instrument.rules.lacks.reduce_only)
        {
            return self.cancel_until_ended(step, index, ReasonCode::ReduceOnly);
        }
        let under_way = entry.amend.is_some() || entry.cancel.is_some() || entry.held.is_some();
        let unknown = matches!(entry.base, OrderStatus::Submitted | OrderStatus::Unknown);
        if refused || under_way || (unknown && !entry.is_home()) {
            return;
        }
        let change = Change {
            quantity,
            limit_price: entry.order.limit_price,
            stop_price: entry.order.stop_price,
        };
        self.amend_working(step, index, None, change);
    }
}
