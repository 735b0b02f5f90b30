//! What each event does to one order.

use super::{EntryError, HeldEnd, OrderEntry, PendingAmend, PendingCancel};
use crate::event::{Event, Hold};
use crate::instrument::Instrument;
use crate::number::{Price, Quantity};
use crate::order::OrderStatus;
use crate::order::table::{EventKind, Next};
use crate::risk::ReasonCode;
use crate::time::UnixNanos;
use crate::venue::Execution;

impl OrderEntry {
    /// Folds one event of this order.
    ///
    /// Errors: the table has no such transition, or a number does not fit. The order may then be
    /// half changed: the caller gives the whole account up.
    pub fn fold(
        &mut self,
        event: &Event,
        instrument: &Instrument,
        sequence: u64,
        ts: UnixNanos,
    ) -> Result<(), EntryError> {
        let kind = match event {
            Event::OrderFilled { execution, .. } => self.fill_kind(execution.last_quantity),
            other => kind_of(other).unwrap_or(EventKind::EndHeld),
        };
        let next = self.verdict(kind);
        if matches!(next, Next::Illegal | Next::Redundant | Next::Below) {
            return Err(EntryError::Transition(kind));
        }
        self.take(event, instrument, ts)?;
        if let Next::To(status) = next {
            // A change under way is kept in its own field; the state below it stays.
            if !matches!(
                status,
                OrderStatus::PendingAmend | OrderStatus::PendingCancel
            ) {
                self.base = status;
            }
        }
        self.settle();
        // How an order is cut is shown to nobody: what a client has seen of it stays the newest.
        if kind != EventKind::Sliced {
            self.order.sequence = sequence;
            self.order.ts_updated = ts;
        }
        Ok(())
    }

    /// Takes over what the event says besides the state.
    fn take(
        &mut self,
        event: &Event,
        instrument: &Instrument,
        ts: UnixNanos,
    ) -> Result<(), EntryError> {
        match event {
            Event::OrderDenied {
                reason_code,
                reason,
                ..
            } => self.explain(*reason_code, reason),
            Event::OrderSubmitted { .. } => {
                self.submitted_at = ts;
                if !self.sent {
                    self.meant_at = ts;
                }
                self.sent = true;
            }
            Event::OrderSliced {
                number, quantity, ..
            } => self.take_slice(*number, *quantity, ts),
            Event::OrderHeld { hold, .. } => self.hold = Some(*hold),
            Event::OrderHeldUntil { at, until, .. } => {
                self.hold = Some(Hold::Session);
                self.release_at = Some(*at);
                self.order.expires_at = Some(*until);
            }
            Event::OrderTrailed {
                stop_price, best, ..
            } => {
                self.order.stop_price = Some(*stop_price);
                if let Some(watch) = &mut self.watch {
                    watch.set_trailed(*stop_price, *best);
                }
            }
            Event::OrderAccepted {
                venue_order_id,
                ts_event,
                ..
            } => {
                self.order.venue_order_id = Some(venue_order_id.clone());
                // It is there, whoever sent it.
                self.sent = true;
                self.seen(*ts_event);
            }
            Event::OrderRejected {
                reason_code,
                reason,
                ts_event,
                ..
            } => {
                self.explain(*reason_code, reason);
                self.seen(*ts_event);
            }
            Event::OrderCanceled {
                reason_code,
                ts_event,
                ..
            }
            | Event::OrderExpired {
                reason_code,
                ts_event,
                ..
            } => {
                self.explain(*reason_code, "");
                self.seen(*ts_event);
            }
            Event::OrderTriggered { ts_event, .. } => self.seen(*ts_event),
            Event::OrderFilled { execution, .. } => self.take_fill(execution, instrument)?,
            // `OrderUnknown` and `OrderInitialized` carry nothing besides the state.
            other => self.take_change(other, ts),
        }
        Ok(())
    }

    fn take_fill(
        &mut self,
        execution: &Execution,
        instrument: &Instrument,
    ) -> Result<(), EntryError> {
        let quantity = execution.last_quantity;
        let notional = instrument.notional(execution.last_price, quantity)?;
        self.order.filled_notional = self.order.filled_notional.checked_add(notional)?;
        self.order.filled_quantity = self.order.filled_quantity.checked_add(quantity)?;
        self.fill_slice(execution);
        self.refused_quantity = None;
        // Whatever this account knows of its leaving: the venue has it.
        self.sent = true;
        // An overfill: what was filled is what the order turned out to be.
        self.order.quantity = self.order.quantity.max(self.order.filled_quantity);
        self.seen(execution.ts_event);
        Ok(())
    }

    /// Takes what opens or closes a change that is under way: an amend, a cancel, a held end.
    fn take_change(&mut self, event: &Event, ts: UnixNanos) {
        match event {
            Event::OrderPendingAmend {
                request_id,
                quantity,
                limit_price,
                stop_price,
                ..
            } => {
                self.amend = Some(PendingAmend {
                    quantity: *quantity,
                    limit_price: *limit_price,
                    stop_price: *stop_price,
                    since: ts,
                    is_requested: request_id.is_some(),
                });
            }
            Event::OrderAmended {
                quantity,
                limit_price,
                stop_price,
                ts_event,
                ..
            } => {
                let changes = self.order.quantity != *quantity;
                self.order.quantity = *quantity;
                self.ordered = *quantity;
                self.order.limit_price = *limit_price;
                self.take_stop_price(*stop_price);
                self.refused_quantity = None;
                // As for `seen`.
                if self.sent {
                    self.amended_at = self.amended_at.max(*ts_event);
                }
                // Other values are the answer to an earlier amend, or the venue's own doing.
                let answers = |amend: &PendingAmend| {
                    // One without a price leaves what is there, as a market-to-limit order may
                    // have got one meanwhile.
                    let keeps = |asked: Option<Price>, now| asked.is_none() || asked == now;
                    amend.quantity == *quantity
                        && keeps(amend.limit_price, *limit_price)
                        && keeps(amend.stop_price, *stop_price)
                };
                let answered = self.amend.take_if(|amend| answers(amend));
                if changes && answered.as_ref().is_some_and(|amend| amend.is_requested) {
                    self.owner_most = Some(*quantity);
                }
                if answered.is_none_or(|amend| amend.is_requested) {
                    self.most = Some(*quantity);
                }
                self.seen(*ts_event);
            }
            Event::OrderAmendRejected { ts_event, .. } => {
                self.refused_quantity = self.amend.take().map(|amend| amend.quantity);
                self.amend_refused_at = self.amend_refused_at.max(*ts_event);
                self.seen(*ts_event);
            }
            Event::OrderPendingCancel { reason_code, .. } => {
                self.refused_cancel = None;
                self.cancel = Some(PendingCancel {
                    reason_code: *reason_code,
                    since: ts,
                });
            }
            Event::OrderCancelRejected { ts_event, .. } => {
                let refused = self.cancel.take();
                self.refused_cancel = refused.map(|cancel| PendingCancel {
                    since: ts,
                    ..cancel
                });
                self.seen(*ts_event);
            }
            Event::OrderEndHeld {
                end,
                reason_code,
                cumulative_quantity,
                ts_event,
                ..
            } => {
                self.held = Some(HeldEnd {
                    end: *end,
                    reason_code: *reason_code,
                    cumulative_quantity: *cumulative_quantity,
                    ts_event: *ts_event,
                    since: ts,
                });
            }
            _ => {}
        }
    }

    fn take_stop_price(&mut self, stop_price: Option<Price>) {
        self.order.stop_price = stop_price;
        if let (Some(watch), Some(stop_price)) = (&mut self.watch, stop_price) {
            watch.set_stop_price(stop_price);
        }
    }

    /// Takes an execution back. `booked` when it had been counted; otherwise its bust came first,
    /// and it never will be.
    ///
    /// Errors: as [`OrderEntry::fold`].
    pub fn bust(
        &mut self,
        execution: &Execution,
        booked: bool,
        instrument: &Instrument,
        sequence: u64,
        ts: UnixNanos,
    ) -> Result<(), EntryError> {
        let quantity = execution.last_quantity;
        // Of executions that were never booked a venue may name any number.
        self.busted = self.busted.saturating_add(quantity);
        self.bust_slice(execution, booked);
        if booked {
            let notional = instrument.notional(execution.last_price, quantity)?;
            self.order.filled_notional = self.order.filled_notional.checked_sub(notional)?;
            self.order.filled_quantity = self.order.filled_quantity.saturating_sub(quantity);
            // What an overfill had made the order is taken back with it.
            self.order.quantity = self.ordered.max(self.order.filled_quantity);
            let whole = self.order.filled_quantity >= self.order.quantity;
            if !(whole && self.base == OrderStatus::Filled) {
                self.take_bust()?;
            }
            self.settle();
        }
        self.order.sequence = sequence;
        self.order.ts_updated = ts;
        Ok(())
    }

    /// Moves the state after an execution was taken back with which something is open or missing.
    fn take_bust(&mut self) -> Result<(), EntryError> {
        let kind = if self.order.filled_quantity.is_zero() {
            EventKind::BustedWhole
        } else {
            EventKind::BustedPart
        };
        match self.verdict(kind) {
            Next::To(status) => {
                self.base = status;
                if status.is_terminal() {
                    self.explain(ReasonCode::ExecutionBusted, "");
                }
            }
            Next::Stay => {}
            _ => return Err(EntryError::Transition(kind)),
        }
        Ok(())
    }

    fn explain(&mut self, reason_code: ReasonCode, reason: &str) {
        self.order.reason_code = Some(reason_code);
        self.order.reason = reason.to_owned();
    }

    fn seen(&mut self, ts_event: UnixNanos) {
        // What came to an order while it was held here is told in our clock, not the venue's.
        if self.sent {
            self.venue_ts = self.venue_ts.max(ts_event);
        }
    }

    /// Brings status and open quantities in line with the state below and the changes under way.
    fn settle(&mut self) {
        let order = &mut self.order;
        let left = order.quantity.saturating_sub(order.filled_quantity);
        let raised = self
            .amend
            .as_ref()
            .is_some_and(|amend| amend.quantity > order.quantity);
        // An amend that was settled may have left nothing open.
        if !self.base.is_terminal() && left.is_zero() && !raised {
            self.base = OrderStatus::Filled;
        }
        if self.base.is_terminal() {
            self.amend = None;
            self.cancel = None;
            self.held = None;
            order.leaves_quantity = Quantity::ZERO;
            order.canceled_quantity = left;
            order.status = self.base;
        } else {
            order.leaves_quantity = left;
            order.canceled_quantity = Quantity::ZERO;
            order.status = if self.cancel.is_some() {
                OrderStatus::PendingCancel
            } else if self.amend.is_some() {
                OrderStatus::PendingAmend
            } else {
                self.base
            };
        }
        let waits = !self.sent && self.base == OrderStatus::PendingNew;
        self.order.held_for = self.hold.filter(|_| waits);
    }
}

/// Returns the kind of an order's event; `None` for what is no transition of an order.
fn kind_of(event: &Event) -> Option<EventKind> {
    Some(match event {
        Event::OrderDenied { .. } => EventKind::Denied,
        Event::OrderSubmitted { .. } => EventKind::Submitted,
        Event::OrderAccepted { .. } => EventKind::Accepted,
        Event::OrderRejected { .. } => EventKind::Rejected,
        Event::OrderUnknown { .. } => EventKind::Unknown,
        Event::OrderPendingAmend { .. } => EventKind::PendingAmend,
        Event::OrderAmended { .. } => EventKind::Amended,
        Event::OrderAmendRejected { .. } => EventKind::AmendRejected,
        Event::OrderPendingCancel { .. } => EventKind::PendingCancel,
        Event::OrderCancelRejected { .. } => EventKind::CancelRejected,
        Event::OrderCanceled { .. } => EventKind::Canceled,
        Event::OrderExpired { .. } => EventKind::Expired,
        Event::OrderTriggered { .. } => EventKind::Triggered,
        Event::OrderEndHeld { .. } => EventKind::EndHeld,
        Event::OrderHeld { .. } | Event::OrderHeldUntil { .. } => EventKind::Held,
        Event::OrderTrailed { .. } => EventKind::Trailed,
        Event::OrderSliced { .. } => EventKind::Sliced,
        _ => return None,
    })
}
