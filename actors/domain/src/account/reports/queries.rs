//! Answers to queries: where the venue says an order stands, or that it has none.

use super::busts::Listed;
use super::{
    Account, Ending, Event, EventKind, Next, OrderIndex, Quantity, QuarantineReason, ReasonCode,
    RejectReason, Step, Terms, UnixNanos, VenueEnd, VenueReport, is_shown,
};
use crate::account::session::NO_ANSWER_NS;
use crate::order::{OrderStatus, OrderType, TimeInForce};
use crate::risk::TradingState;
use crate::venue::{Execution, VenueStatus};

/// How long an order for the market of its moment may be sent again: a lost message or a short
/// break of the connection is asked about within this time, and a caller still means it.
const AT_ONCE_NS: i64 = 6 * NO_ANSWER_NS;

impl Account {
    /// Takes over what the venue has: the order itself, its terms, its fills, then its state.
    pub(super) fn status(&mut self, step: &mut Step<'_>, report: VenueReport) {
        let VenueReport::Status {
            client_order_id,
            venue_order_id,
            status,
            quantity,
            limit_price,
            stop_price,
            executions,
            ts_event,
        } = report
        else {
            return;
        };
        let Some(index) = self.orders.find_reported(&client_order_id) else {
            if executions.is_empty() {
                let detail = format!("no such order, said to be {status:?}");
                let reason = QuarantineReason::UnknownOrder;
                self.quarantine(step, client_order_id, reason, detail);
            }
            return self.book_missing(step, executions);
        };
        self.confirmed(index);
        // An answer may be older than reports that overtook it; its fills are true all the same.
        // One of the same moment proves no order of the two: many venues count milliseconds.
        let fresh = ts_event > self.orders.get(index).venue_ts;
        let entry = self.orders.get(index);
        let before = entry.filled_before();
        let filled = Quantity(executions.iter().fold(before.0, |sum, execution| {
            execution.last_quantity.0.saturating_add(sum)
        }));
        if status != VenueStatus::Rejected {
            self.accepted(step, index, venue_order_id, ts_event);
            if fresh {
                let told = self.terms_told(index, quantity, limit_price, stop_price);
                let values = Terms {
                    quantity: self.total_told(step, index, told.quantity, filled),
                    ..told
                };
                self.take_terms(step, index, values, ts_event);
            }
        }
        let list = Listed {
            executions: &executions.iter().collect::<Vec<_>>(),
            works: status == VenueStatus::Working,
            is_part: self.orders.get(index).slice.is_some(),
            since: UnixNanos::MIN,
            ts: ts_event,
        };
        self.take_back_contradicted(step, index, &list);
        self.book_missing(step, executions);
        if !self.orders.get(index).is_working() {
            return;
        }
        match status {
            VenueStatus::Working if fresh && self.is_end_overtaken(index, ts_event) => {
                self.end_as_held(step, index);
            }
            VenueStatus::Working if fresh => self.repeat_changes(step, index, ts_event),
            VenueStatus::Working => {}
            VenueStatus::Filled => self.found_filled(step, index, fresh, ts_event),
            VenueStatus::Canceled => {
                self.found_ended(step, index, VenueEnd::Canceled, filled, ts_event);
            }
            VenueStatus::Expired => {
                self.found_ended(step, index, VenueEnd::Expired, filled, ts_event);
            }
            VenueStatus::Rejected => {
                let text = "found refused at the venue".to_owned();
                self.rejected(step, index, RejectReason::Other, text, ts_event);
            }
        }
    }

    /// Returns true for an order whose end was told, waits for its fills, and cannot come to them any
    /// more: the venue works it again, and more is filled of it by now than the end counted.
    fn is_end_overtaken(&self, index: OrderIndex, ts_event: UnixNanos) -> bool {
        let entry = self.orders.get(index);
        let filled = entry.order.filled_quantity;
        let held = entry.held.as_ref();
        held.is_some_and(|held| filled > held.cumulative_quantity && ts_event > held.ts_event)
    }

    /// Takes the end that was told as it was. What the venue brought back is one of its orders that
    /// is none of ours any more, and stands in the next comparison.
    fn end_as_held(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        if let Some(held) = self.orders.get(index).held.clone() {
            self.end(step, index, held.end, held.reason_code, held.ts_event);
        }
    }

    /// Returns the total quantity of an order by an answer. One that is below what the answer's
    /// own executions have filled, all of which are booked here, was overfilled: an amend under
    /// way had made room for them, and was not taken after all.
    fn total_told(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        quantity: Quantity,
        filled: Quantity,
    ) -> Quantity {
        let entry = self.orders.get(index);
        let booked = entry.order.filled_quantity;
        if !entry.is_working() || quantity >= booked || filled < booked {
            return quantity;
        }
        let id = entry.order.request.client_order_id.clone();
        let (booked_units, units) = (booked.0, quantity.0);
        let detail = format!("{booked_units} filled, said to be an order of {units}");
        self.quarantine(step, id.clone(), QuarantineReason::Overfill, detail);
        self.halt(step, format!("order {id} was overfilled"));
        booked
    }

    pub(super) fn book_missing(&mut self, step: &mut Step<'_>, executions: Vec<Execution>) {
        for execution in executions {
            self.execution(step, execution);
        }
    }

    /// Quantity and price as the venue has them: the answer to an amend that got lost.
    fn take_terms(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        values: Terms,
        ts_event: UnixNanos,
    ) {
        let entry = self.orders.get(index);
        let order = &entry.order;
        let same = values.quantity == order.quantity
            && values.limit_price.or(order.limit_price) == order.limit_price
            && values.stop_price.or(order.stop_price) == order.stop_price
            && is_shown(entry, values.shown);
        if entry.is_working() && !same {
            self.amended(step, index, values, ts_event);
        }
    }

    /// What we asked for and the venue does not show is lost or still on its way. A cancel may
    /// safely arrive twice. An amend may not: the first one, arriving after a later amend, would
    /// undo that, and one that was taken would be refused the second time. So it goes out again
    /// only when no earlier send of it can arrive any more, and ends then while trading is halted.
    fn repeat_changes(&mut self, step: &mut Step<'_>, index: OrderIndex, ts_event: UnixNanos) {
        let entry = self.orders.get(index);
        if entry.held.is_some() {
            return;
        }
        if entry.cancel.is_some() {
            step.effects.commands.push(entry.cancel_command());
        } else if let Some(amend) = &entry.amend {
            let repeated = self.asked.repeats.get(&index).copied().unwrap_or_default();
            let last = amend.since.max(repeated).max(self.asked.lost);
            if step.now.since(last) <= NO_ANSWER_NS {
                return;
            }
            if self.trading_state == TradingState::Halted {
                let reason = "the venue did not take it before trading was halted".to_owned();
                return self.amend_rejected(step, index, reason, ts_event);
            }
            self.send_amend(step, index);
            self.asked.repeats.insert(index, step.now);
        }
    }

    /// All fills are booked, and yet the order is open here: an amend that the venue never took
    /// keeps it so, or the venue contradicts itself.
    fn found_filled(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        fresh: bool,
        ts_event: UnixNanos,
    ) {
        let entry = self.orders.get(index);
        let filled = entry.order.leaves_quantity.is_zero() || entry.is_between_slices();
        if filled && entry.amend.is_some() {
            let reason = "the order was filled before".to_owned();
            return self.amend_rejected(step, index, reason, ts_event);
        }
        if entry.is_between_slices() {
            return self.part_is_over(step, index, ts_event);
        }
        if fresh && !entry.order.leaves_quantity.is_zero() {
            let leaves = entry.order.leaves_quantity.0;
            let detail = format!("said to be filled, {leaves} are open by its executions");
            let id = entry.order.request.client_order_id.clone();
            self.quarantine(step, id, QuarantineReason::IllegalTransition, detail);
        }
    }

    fn found_ended(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        end: VenueEnd,
        filled: Quantity,
        ts_event: UnixNanos,
    ) {
        let entry = self.orders.get(index);
        let reason_code = match (&entry.cancel, &entry.held) {
            (_, Some(held)) => held.reason_code,
            (Some(cancel), None) => cancel.reason_code,
            (None, None) => ReasonCode::Reconciled,
        };
        let ending = Ending {
            end,
            reason_code,
            cumulative_quantity: filled,
            ts_event,
        };
        self.ended(step, index, ending);
    }

    /// The venue has no such order. Only proof counts, and only proof that is younger than our
    /// last send and than everything the venue said about the order since.
    pub(super) fn not_found(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        proof: bool,
        ts_event: UnixNanos,
    ) {
        let entry = self.orders.get(index);
        let fresh = ts_event > entry.submitted_at && ts_event > entry.venue_ts;
        if !proof || !fresh || !entry.is_working() || entry.held.is_some() {
            return;
        }
        self.confirmed(index);
        let entry = self.orders.get(index);
        if entry.is_between_slices() {
            // It has forgotten a part that it has filled. What is left has not been there.
            return self.part_is_over(step, index, ts_event);
        }
        let stopped = self.is_stopped(step.now, index);
        // A cancel that the venue refused, as it had no such order, is wanted all the same.
        let canceled = entry.cancel.is_some() || entry.refused_cancel.is_some();
        let over = entry.order.expires_at.is_some_and(|over| over <= step.now);
        if entry.is_acknowledged() || canceled {
            self.end_not_there(step, index, ReasonCode::NotAtVenue, ts_event);
        } else if over || self.is_too_late(step.now, index) {
            self.end_not_there(step, index, ReasonCode::TimeOver, ts_event);
        } else if stopped {
            // What has not reached the venue yet is new to it.
            self.end_not_there(step, index, ReasonCode::CanceledByRisk, ts_event);
        } else if !self.asked.away || self.closes_safely(self.orders.get(index)) {
            // While it may not leave it stays as it is, and is asked for again.
            self.send_again(step, index);
        }
    }

    /// Returns true for an order that was meant for the market of its moment, and that moment is
    /// over: at any price of later it would be another order. One that waited here for its price
    /// is meant for whenever that came, one that closes for as long as it is there to close, and one
    /// that would wait here but for the second in which nobody knew that the journal's server was away
    /// for whenever it is back. It counts from when it first left: sending it again makes it no
    /// younger.
    fn is_too_late(&self, now: UnixNanos, index: OrderIndex) -> bool {
        let entry = self.orders.get(index);
        let request = &entry.order.request;
        let at_once = matches!(request.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
            || matches!(
                request.order_type,
                OrderType::Market | OrderType::MarketToLimit
            );
        let waited = request.order_type.is_conditional()
            || matches!(
                request.time_in_force,
                TimeInForce::AtOpen | TimeInForce::AtClose
            );
        let waits = entry.hold.is_some() && self.asked.kept_back.contains(&index);
        at_once
            && !waited
            && !waits
            && !request.reduce_only
            && now.since(entry.meant_at) > AT_ONCE_NS
    }

    /// Ends what is under way for a part that is over at the venue: an amend is too late for it,
    /// and an end that counted less than was filled in the end ends the rest, which is here.
    pub(super) fn part_is_over(&mut self, step: &mut Step<'_>, index: OrderIndex, ts: UnixNanos) {
        let entry = self.orders.get(index);
        if entry.amend.is_some() {
            let reason = "the part at the venue was filled before".to_owned();
            self.amend_rejected(step, index, reason, ts);
        }
        if let Some(held) = self.orders.get(index).held.clone() {
            self.end(step, index, held.end, held.reason_code, ts);
        }
    }

    fn end_not_there(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        reason_code: ReasonCode,
        ts_event: UnixNanos,
    ) {
        self.end(step, index, VenueEnd::Canceled, reason_code, ts_event);
    }

    /// An amend under way stays so: its command may still arrive behind the order, and is sent
    /// again by a later answer if it does not.
    fn send_again(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        if entry.is_slice_unanswered() {
            return self.slice_again(step, index);
        }
        let possible = matches!(
            entry.verdict(EventKind::Submitted),
            Next::To(OrderStatus::Submitted) | Next::Stay
        );
        if possible {
            let order_id = entry.order.order_id.clone();
            self.record(step, Event::OrderSubmitted { order_id });
            self.send(step, index);
            self.asked.at.remove(&index);
            self.asked.kept_back.remove(&index);
        }
    }
}
