//! What a venue says: each report becomes events, nothing, or a quarantine.
//!
//! Three rules hold over all: an execution with a new id always reaches position and portfolio;
//! an end counts only when our filled quantity equals the venue's; and what cannot be is set
//! aside for a person instead of being applied.

use super::machine::{Account, Step};
use super::slices::Meant;
use crate::event::{Event, QuarantineReason};
use crate::id::{ClientOrderId, VenueOrderId};
use crate::number::{Price, Quantity};
use crate::order::entry::Slice;
use crate::order::store::OrderIndex;
use crate::order::table::{EventKind, Next};
use crate::risk::ReasonCode;
use crate::time::UnixNanos;
use crate::venue::{EndReason, RejectReason, VenueEnd, VenueReport};

pub(super) mod busts;
mod executions;
mod parts;
mod queries;

use parts::is_shown;

/// The values of an order as the venue has them; `None` leaves ours.
struct Terms {
    quantity: Quantity,
    limit_price: Option<Price>,
    stop_price: Option<Price>,
    /// Of an iceberg that goes there in parts: the quantity of the part that the venue has.
    shown: Option<Quantity>,
}

/// The end of an order as the venue tells it.
struct Ending {
    end: VenueEnd,
    reason_code: ReasonCode,
    /// What was filled in all.
    cumulative_quantity: Quantity,
    ts_event: UnixNanos,
}

impl Account {
    pub(super) fn report(&mut self, step: &mut Step<'_>, report: VenueReport) {
        if step.venue_sequence > 0 && step.venue_sequence <= self.venue_sequence {
            return;
        }
        if let VenueReport::Funding { payment, .. } = report {
            return self.funding_reported(step, payment);
        }
        self.order_report(step, report);
    }

    fn order_report(&mut self, step: &mut Step<'_>, report: VenueReport) {
        let report = match self.meant_by(report) {
            Meant::Order(report) => report,
            Meant::Past(report) => return self.past_report(step, report),
        };
        let report = match report {
            VenueReport::Filled(execution) => return self.execution(step, execution),
            VenueReport::Status { .. } => return self.status(step, report),
            VenueReport::Busted {
                client_order_id,
                exec_id,
                instrument_id,
                ts_event,
            } => {
                let key = (exec_id, instrument_id);
                return self.busted(step, &client_order_id, key, ts_event);
            }
            other => other,
        };
        let Some(id) = report.client_order_id().cloned() else {
            return;
        };
        let is_amended = matches!(report, VenueReport::Amended { .. });
        let index = if is_amended {
            self.orders.find_reported(&id)
        } else {
            self.orders.find_client(&id)
        };
        let Some(index) = index else {
            // Nobody waits for this "no": the order is not ours.
            let is_no = matches!(report, VenueReport::NotFound { .. });
            if !is_no && !self.take_foreign_report(step, &report) {
                let detail = format!("no such order: {report:?}");
                self.quarantine(step, id, QuarantineReason::UnknownOrder, detail);
            }
            return;
        };
        let entry = self.orders.get(index);
        let shows_it = matches!(report, VenueReport::Accepted { .. });
        if entry.is_home() && entry.hold.is_some() && !shows_it {
            // Executions are taken above: they are true all the same. An acceptance shows that
            // the venue has the order, however it came there, so it must not leave a second time.
            let detail = format!("the order is held here: {report:?}");
            return self.quarantine(step, id, QuarantineReason::IllegalTransition, detail);
        }
        match report {
            VenueReport::Accepted {
                venue_order_id,
                ts_event,
                ..
            } => self.accepted(step, index, venue_order_id, ts_event),
            VenueReport::Rejected {
                reason,
                text,
                ts_event,
                ..
            } => self.rejected(step, index, reason, text, ts_event),
            VenueReport::Ended {
                end,
                reason,
                cumulative_quantity,
                ts_event,
                ..
            } => {
                let ending = Ending {
                    end,
                    reason_code: self.end_reason(index, reason),
                    cumulative_quantity,
                    ts_event,
                };
                self.ended(step, index, ending);
            }
            VenueReport::Amended {
                quantity,
                limit_price,
                stop_price,
                ts_event,
                ..
            } => {
                let values = self.terms_told(index, quantity, limit_price, stop_price);
                self.amended(step, index, values, ts_event);
            }
            VenueReport::AmendRejected { text, ts_event, .. } => {
                self.amend_refused(step, index, text, ts_event);
            }
            VenueReport::CancelRejected { text, ts_event, .. } => {
                self.cancel_rejected(step, index, text, ts_event);
            }
            VenueReport::Triggered { ts_event, .. } => self.triggered(step, index, ts_event),
            VenueReport::NotFound {
                proof, ts_event, ..
            } => self.not_found(step, index, proof, ts_event),
            // Taken above.
            VenueReport::Filled(_)
            | VenueReport::Status { .. }
            | VenueReport::Busted { .. }
            | VenueReport::Funding { .. } => {}
        }
    }

    fn accepted(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
    ) {
        let entry = self.orders.get(index);
        let known = entry.order.venue_order_id.is_some();
        if known && entry.verdict(EventKind::Accepted) == Next::Stay {
            return;
        }
        if self.is_possible(step, index, EventKind::Accepted) {
            let order_id = self.orders.get(index).order.order_id.clone();
            self.record(
                step,
                Event::OrderAccepted {
                    order_id,
                    venue_order_id,
                    ts_event,
                },
            );
        }
    }

    fn triggered(&mut self, step: &mut Step<'_>, index: OrderIndex, ts_event: UnixNanos) {
        if self.is_possible(step, index, EventKind::Triggered) {
            let order_id = self.orders.get(index).order.order_id.clone();
            self.record(step, Event::OrderTriggered { order_id, ts_event });
        }
    }

    fn rejected(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        reason: RejectReason,
        text: String,
        ts_event: UnixNanos,
    ) {
        if reason == RejectReason::DuplicateClientOrderId {
            // No refusal: it proves that the venue has the order from an earlier send.
            return self.ask_what_became_of(step, index);
        }
        let reason_code = match reason {
            RejectReason::PostOnlyWouldTrade => ReasonCode::PostOnlyWouldTrade,
            RejectReason::NoLiquidity => ReasonCode::NoLiquidity,
            RejectReason::Unsupported => ReasonCode::Unsupported,
            RejectReason::Halted => ReasonCode::MarketClosed,
            RejectReason::PriceBand => ReasonCode::PriceCollar,
            RejectReason::InsufficientFunds => ReasonCode::InsufficientBuyingPower,
            RejectReason::UnknownInstrument
            | RejectReason::DuplicateClientOrderId
            | RejectReason::Other => ReasonCode::VenueRejected,
        };
        if self.orders.get(index).is_slice_unanswered() {
            // What was filled before stands: the rest of the order ends with the part.
            return self.end(step, index, VenueEnd::Canceled, reason_code, ts_event);
        }
        if !self.is_possible(step, index, EventKind::Rejected) {
            return;
        }
        let order_id = self.orders.get(index).order.order_id.clone();
        self.record(
            step,
            Event::OrderRejected {
                order_id,
                reason_code,
                reason: text,
                ts_event,
            },
        );
    }

    fn ask_what_became_of(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        if !entry.is_working() || entry.is_acknowledged() {
            return;
        }
        if entry.base == crate::order::OrderStatus::Submitted {
            self.unknown(step, index, ReasonCode::NoAnswer);
        }
        self.query(step, index);
    }

    fn end_reason(&self, index: OrderIndex, reason: EndReason) -> ReasonCode {
        let cancel = self.orders.get(index).cancel.as_ref();
        match reason {
            EndReason::Requested => cancel.map_or(ReasonCode::CanceledByUser, |c| c.reason_code),
            EndReason::NoLiquidity => ReasonCode::NoLiquidity,
            EndReason::SelfTrade => ReasonCode::SelfTrade,
            EndReason::TimeOver => ReasonCode::TimeOver,
            EndReason::Liquidation => ReasonCode::Liquidation,
            EndReason::Other => ReasonCode::VenueCanceled,
        }
    }

    /// Ends an order, or holds its end until the fills that the venue counted have come.
    fn ended(&mut self, step: &mut Step<'_>, index: OrderIndex, ending: Ending) {
        let Ending {
            end,
            reason_code,
            cumulative_quantity,
            ts_event,
        } = ending;
        let entry = self.orders.get(index);
        let filled = entry.order.filled_quantity;
        let order_id = entry.order.order_id.clone();
        if !entry.is_working() {
            // Ended already. What it counts beyond our fills is asked for and comes late.
            if self.is_redundant(step, index, end_kind(end)) && cumulative_quantity > filled {
                self.query(step, index);
            }
            return;
        }
        if entry.is_between_slices() && cumulative_quantity <= filled {
            // The end of a part that was filled whole.
            return self.part_is_over(step, index, ts_event);
        }
        // Some venues count what they took back, others do not.
        let with_busted = filled.saturating_add(entry.busted_at_venue());
        if cumulative_quantity == filled || cumulative_quantity == with_busted {
            return self.end(step, index, end, reason_code, ts_event);
        }
        // More than ours: fills are still to come. Less: one of ours is being taken back.
        let held = entry.held.as_ref();
        let known = held.is_some_and(|held| held.cumulative_quantity == cumulative_quantity);
        if known {
            return;
        }
        self.record(
            step,
            Event::OrderEndHeld {
                order_id,
                end,
                reason_code,
                cumulative_quantity,
                ts_event,
            },
        );
        self.query(step, index);
    }

    pub(super) fn end(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        end: VenueEnd,
        reason_code: ReasonCode,
        ts_event: UnixNanos,
    ) {
        // A cancel of ours because its time was over: the venue could not expire it itself.
        let end = match reason_code {
            ReasonCode::TimeOver => VenueEnd::Expired,
            _ => end,
        };
        if !self.is_possible(step, index, end_kind(end)) {
            return;
        }
        let order_id = self.orders.get(index).order.order_id.clone();
        let event = match end {
            VenueEnd::Canceled => Event::OrderCanceled {
                order_id,
                reason_code,
                ts_event,
            },
            VenueEnd::Expired => Event::OrderExpired {
                order_id,
                reason_code,
                ts_event,
            },
        };
        self.record(step, event);
    }

    fn amended(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        values: Terms,
        ts_event: UnixNanos,
    ) {
        let entry = self.orders.get(index);
        let quantity = values.quantity;
        let limit_price = values.limit_price.or(entry.order.limit_price);
        let stop_price = values.stop_price.or(entry.order.stop_price);
        let same = quantity == entry.order.quantity
            && limit_price == entry.order.limit_price
            && stop_price == entry.order.stop_price
            && is_shown(entry, values.shown);
        if same && entry.is_acknowledged() && entry.amend.is_none() {
            return;
        }
        if ts_event < entry.amended_at {
            return;
        }
        if !self.is_possible(step, index, EventKind::Amended) {
            return;
        }
        let entry = self.orders.get(index);
        let too_little = |slice: Slice| values.shown.is_some_and(|shown| shown < slice.filled);
        if quantity < entry.order.filled_quantity
            || quantity.is_zero()
            || entry.slice.is_some_and(too_little)
        {
            let filled = entry.order.filled_quantity;
            let detail = format!("amended to {quantity:?} with {filled:?} filled");
            let id = entry.order.request.client_order_id.clone();
            return self.quarantine(step, id, QuarantineReason::IllegalTransition, detail);
        }
        let order_id = entry.order.order_id.clone();
        self.record(
            step,
            Event::OrderAmended {
                order_id,
                quantity,
                limit_price,
                stop_price,
                ts_event,
            },
        );
        self.note_shown(step, index, values.shown);
    }

    /// Takes the venue's refusal. One that came twice would end an amend that was asked for
    /// since, which the venue may yet take.
    fn amend_refused(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        text: String,
        ts_event: UnixNanos,
    ) {
        if ts_event > self.orders.get(index).amend_refused_at {
            self.amend_rejected(step, index, text, ts_event);
        }
    }

    fn amend_rejected(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        reason: String,
        ts_event: UnixNanos,
    ) {
        let asked = self.orders.get(index).amend.is_some();
        if !self.is_possible(step, index, EventKind::AmendRejected) || !asked {
            return;
        }
        if self.amend_hidden(step, index, ts_event) {
            return;
        }
        let order_id = self.orders.get(index).order.order_id.clone();
        self.record(
            step,
            Event::OrderAmendRejected {
                order_id,
                reason,
                ts_event,
            },
        );
        self.query_if_working(step, index);
    }

    fn cancel_rejected(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        reason: String,
        ts_event: UnixNanos,
    ) {
        let asked = self.orders.get(index).cancel.is_some();
        if !self.is_possible(step, index, EventKind::CancelRejected) || !asked {
            return;
        }
        let order_id = self.orders.get(index).order.order_id.clone();
        self.record(
            step,
            Event::OrderCancelRejected {
                order_id,
                reason,
                ts_event,
            },
        );
        self.query_if_working(step, index);
    }

    /// A refused change often means that the order is no longer what we think it is.
    fn query_if_working(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        if self.orders.get(index).is_working() {
            self.query(step, index);
        }
    }

    /// Returns true when the table lets `kind` be recorded now. What it calls illegal is
    /// quarantined on the way.
    fn is_possible(&mut self, step: &mut Step<'_>, index: OrderIndex, kind: EventKind) -> bool {
        match self.judge(step, index, kind) {
            Next::Illegal | Next::Redundant => false,
            Next::To(_) | Next::Stay | Next::Below | Next::Restore => true,
        }
    }

    fn is_redundant(&mut self, step: &mut Step<'_>, index: OrderIndex, kind: EventKind) -> bool {
        self.judge(step, index, kind) == Next::Redundant
    }

    fn judge(&mut self, step: &mut Step<'_>, index: OrderIndex, kind: EventKind) -> Next {
        let entry = self.orders.get(index);
        let next = entry.verdict(kind);
        if next == Next::Illegal {
            let status = entry.order.status.as_str();
            let detail = format!("{kind:?} reported for an order that is {status}");
            let id = entry.order.request.client_order_id.clone();
            self.quarantine(step, id, QuarantineReason::IllegalTransition, detail);
        }
        next
    }

    pub(super) fn quarantine(
        &mut self,
        step: &mut Step<'_>,
        client_order_id: ClientOrderId,
        reason: QuarantineReason,
        detail: String,
    ) {
        self.record(
            step,
            Event::ReportQuarantined {
                client_order_id,
                reason,
                detail,
            },
        );
    }
}

fn end_kind(end: VenueEnd) -> EventKind {
    match end {
        VenueEnd::Canceled => EventKind::Canceled,
        VenueEnd::Expired => EventKind::Expired,
    }
}
