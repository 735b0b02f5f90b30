//! Icebergs at a venue that has none: it is shown one part after the other, each an order of its
//! own there and all of them one order here.
//!
//! What the venue reports of a part is turned into what it means for the order before anything
//! else looks at it. The next part leaves when the one before it is filled whole and nothing about
//! it is open; why this is so stands in `docs/adr/0007-icebergs-by-slices.md`.

use super::machine::{Account, Step};
use super::orders::Change;
use crate::event::Event;
use crate::id::ClientOrderId;
use crate::number::Quantity;
use crate::order::entry::{slice_id, slice_of};
use crate::order::placement::is_sliced;
use crate::order::store::OrderIndex;
use crate::risk::{ReasonCode, TradingState};
use crate::time::UnixNanos;
use crate::venue::{VenueEnd, VenueReport};

/// What a report of the venue is about.
pub(super) enum Meant {
    /// The order that the venue has now, or one that is not ours: taken as every report.
    Order(VenueReport),
    /// A part that had its time, or the id of an order that is there by those of its parts: only
    /// executions count.
    Past(VenueReport),
}

impl Account {
    /// Returns true for an id that a slice has or may get: nobody else may have it.
    pub(super) fn is_slice_id(client_order_id: &ClientOrderId) -> bool {
        slice_of(client_order_id).is_some()
    }

    /// Shows the venue the first part of an order that has just been decided to leave, if it goes
    /// there in parts.
    pub(super) fn begin_slices(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let request = &self.orders.get(index).order.request;
        let instrument = self.instruments.get(&request.instrument_id);
        if instrument.is_some_and(|instrument| is_sliced(instrument, request)) {
            self.slice(step, index);
        }
    }

    /// Decides on the next part of an order.
    fn slice(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        let Some(instrument) = self.instruments.get(&entry.order.request.instrument_id) else {
            return;
        };
        let quantity = entry.next_slice(instrument);
        let last = entry.slice.map_or(0, |slice| slice.number);
        // An older build let clients choose such an id, and the venue may have one of a journal that
        // was brought back to an earlier time: a number whose id is somebody's is left out. Numbers
        // end long behind the orders that memory holds.
        let free = |number: &u32| {
            let id = slice_id(entry.created, *number);
            self.orders.find_client(&id).is_none() && !self.is_strangers_id(&id)
        };
        let Some(number) = (last..u32::MAX).map(|last| last + 1).find(free) else {
            return;
        };
        self.record_slice(step, index, number, quantity);
    }

    fn record_slice(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        number: u32,
        quantity: Quantity,
    ) {
        let order_id = self.orders.get(index).order.order_id.clone();
        self.record(
            step,
            Event::OrderSliced {
                order_id,
                number,
                quantity,
            },
        );
    }

    /// Goes on with every order whose part at the venue is filled, or is too large by now. Returns
    /// true when something was decided.
    pub(super) fn drive_slices(&mut self, step: &mut Step<'_>) -> bool {
        let before = self.sequence;
        let due: Vec<OrderIndex> = self.orders.slicing().collect();
        for index in due {
            self.drive_slice(step, index);
        }
        self.sequence != before
    }

    fn drive_slice(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        // One of the same step may have ended it. A held end waits for executions.
        if !entry.needs_slicing() || entry.held.is_some() {
            return;
        }
        if !entry.is_between_slices() {
            return self.narrow(step, index);
        }
        // A venue refuses the cancel of a part that is filled; the rest is ours to end.
        let cancel = entry.cancel.as_ref().or(entry.refused_cancel.as_ref());
        let over = entry.order.expires_at.is_some_and(|over| over <= step.now);
        let now = step.now;
        if let Some(reason_code) = cancel.map(|cancel| cancel.reason_code) {
            self.end(step, index, VenueEnd::Canceled, reason_code, now);
        } else if over {
            self.end(step, index, VenueEnd::Expired, ReasonCode::TimeOver, now);
        } else if entry.amend.is_some() {
            // Its answer says what the rest is.
        } else if entry.showable().is_zero() {
            // What was taken back of earlier parts does not work again.
            self.end(
                step,
                index,
                VenueEnd::Canceled,
                ReasonCode::ExecutionBusted,
                now,
            );
        } else if self.trading_state == TradingState::Active && self.may_send() {
            self.slice(step, index);
            self.send(step, index);
        }
    }

    /// Asks for less of a part that shows more than is open: an earlier one was filled beyond its
    /// end.
    fn narrow(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        let order = &entry.order;
        let change = Change {
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: order.stop_price,
        };
        let refused = entry.refused_quantity == Some(order.quantity);
        if entry.amend.is_none() && entry.cancel.is_none() && !refused {
            self.amend_working(step, index, None, change);
        }
    }

    /// Returns true when an amend to these values changes nothing of what the venue has.
    pub(super) fn is_amended_here(&self, index: OrderIndex, change: &Change) -> bool {
        let entry = self.orders.get(index);
        let order = &entry.order;
        let instrument = self.instruments.get(&order.request.instrument_id);
        let (Some(slice), Some(instrument)) = (entry.slice, instrument) else {
            return false;
        };
        let same_prices =
            change.limit_price == order.limit_price && change.stop_price == order.stop_price;
        let shown = entry.wire_quantity(change.quantity, change.limit_price, instrument);
        slice.done || (same_prices && shown == slice.quantity)
    }

    /// Does an amend here that the venue did not take, where the part that it was sent for is
    /// filled: the rest is ours, and has not been there. Returns false where the part works on.
    pub(super) fn amend_hidden(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        ts_event: UnixNanos,
    ) -> bool {
        let entry = self.orders.get(index);
        let Some(amend) = entry.amend.as_ref().filter(|_| entry.is_between_slices()) else {
            return false;
        };
        let amended = Event::OrderAmended {
            order_id: entry.order.order_id.clone(),
            // With more filled than is wanted by now, nothing is left.
            quantity: amend.quantity.max(entry.order.filled_quantity),
            limit_price: amend.limit_price.or(entry.order.limit_price),
            stop_price: amend.stop_price.or(entry.order.stop_price),
            ts_event: ts_event.max(entry.amended_at),
        };
        self.record(step, amended);
        true
    }

    /// Sends the amend that is under way.
    pub(super) fn send_amend(&self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        if let Some(instrument) = self.instruments.get(&entry.order.request.instrument_id) {
            let command = entry.amend_command(instrument);
            step.effects.commands.extend(command);
        }
    }

    /// Sends the part again of which the venue has proven that it never came.
    pub(super) fn slice_again(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        if let Some(slice) = self.orders.get(index).slice {
            self.record_slice(step, index, slice.number, slice.quantity);
            self.send(step, index);
            self.asked.at.remove(&index);
        }
    }

    /// Notes that the venue has another quantity of the part that it shows.
    pub(super) fn note_shown(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        shown: Option<Quantity>,
    ) {
        let entry = self.orders.get(index);
        if let (Some(slice), Some(shown)) = (entry.slice, shown)
            && entry.is_working()
            && shown != slice.quantity
        {
            self.record_slice(step, index, slice.number, shown);
        }
    }

    /// Turns what is reported of a part into what it means for its order.
    pub(super) fn meant_by(&self, report: VenueReport) -> Meant {
        let Some(id) = report.client_order_id() else {
            return Meant::Order(report);
        };
        let index = self.orders.find_client(id);
        let Some(index) = index.or_else(|| self.orders.find_reported(id)) else {
            return Meant::Order(report);
        };
        let entry = self.orders.get(index);
        if entry.slice.is_none() {
            return Meant::Order(report);
        }
        if *id != entry.wire_id() {
            return Meant::Past(report);
        }
        let own = entry.order.request.client_order_id.clone();
        Meant::Order(match report {
            VenueReport::Accepted {
                venue_order_id,
                ts_event,
                ..
            } => VenueReport::Accepted {
                client_order_id: own,
                venue_order_id,
                ts_event,
            },
            VenueReport::Rejected {
                reason,
                text,
                ts_event,
                ..
            } => VenueReport::Rejected {
                client_order_id: own,
                reason,
                text,
                ts_event,
            },
            VenueReport::Ended {
                end,
                reason,
                cumulative_quantity,
                ts_event,
                ..
            } => VenueReport::Ended {
                client_order_id: own,
                end,
                reason,
                cumulative_quantity: cumulative_quantity.saturating_add(entry.filled_before()),
                ts_event,
            },
            VenueReport::AmendRejected { text, ts_event, .. } => VenueReport::AmendRejected {
                client_order_id: own,
                text,
                ts_event,
            },
            VenueReport::CancelRejected { text, ts_event, .. } => VenueReport::CancelRejected {
                client_order_id: own,
                text,
                ts_event,
            },
            VenueReport::Triggered { ts_event, .. } => VenueReport::Triggered {
                client_order_id: own,
                ts_event,
            },
            VenueReport::NotFound {
                proof, ts_event, ..
            } => VenueReport::NotFound {
                client_order_id: own,
                proof,
                ts_event,
            },
            // Those look for the order by the id that they carry, and for the quantity of the
            // part besides that of the order.
            other @ (VenueReport::Filled(_)
            | VenueReport::Busted { .. }
            | VenueReport::Amended { .. }
            | VenueReport::Status { .. }
            | VenueReport::Funding { .. }) => other,
        })
    }
}
