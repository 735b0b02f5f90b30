//! Orders at the venue that are not ours, canceled because a person asks for it.
//!
//! Reconciliation lists them and leaves them alone. A cancel of one is an intent in the journal
//! before it leaves, and stays part of the state until the venue has told how it ended, so that
//! a restart sends it again: it may safely arrive twice.

use super::commands::request_id_taken;
use super::machine::{Account, Step};
use super::requests::Subject;
use super::session::{NO_ANSWER_NS, QUERIES_PER_TICK};
use super::types::{ForeignCancel, Refusal, Reply};
use crate::event::{CancelForeign, Command, Event, ForeignOrder, ForeignOutcome};
use crate::id::{ClientOrderId, VenueOrderId};
use crate::reconcile::{Part, VenueOpenOrder};
use crate::time::UnixNanos;
use crate::venue::{VenueCommand, VenueReport};
use serde::{Deserialize, Serialize};

/// Orders that one request may name, as for a batch of cancels.
const MAX_NAMED: usize = 100;

/// Orders that a request for all of them takes: what is beyond has its turn at the next.
const MAX_ALL: usize = 1_000;

/// Cancels that have not ended; one more is refused, since a venue that answers none of them is
/// not helped by asking on.
const MAX_UNDER_WAY: usize = 10_000;

/// A cancel whose outcome is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnderWay {
    pub order: ForeignOrder,
    /// When it was decided.
    pub since: UnixNanos,
}

impl Account {
    /// Cancels orders at the venue that are not ours: those that the request names, or all that
    /// the venue's last list has.
    pub(super) fn cancel_foreign(&mut self, step: &mut Step<'_>, request: ForeignCancel) {
        if let Some(answered) = self.requests.get(request.request_id.as_ref()) {
            let known = match &answered.subject {
                Subject::Command(command, _) => match &**command {
                    Command::CancelForeign(known) => Some(known),
                    _ => None,
                },
                _ => None,
            };
            let same = known.filter(|known| {
                known.asked == request.venue_order_ids && known.reason == request.reason
            });
            match same {
                Some(known) => {
                    step.effects.reply = Some(Reply::ForeignOrders(known.orders.clone()));
                }
                None => step.refuse(request_id_taken(request.request_id.as_ref())),
            }
            return;
        }
        let orders = match self.foreign_orders(&request.venue_order_ids) {
            Ok(orders) => orders,
            Err(refusal) => return step.refuse(refusal),
        };
        if orders.is_empty() {
            step.effects.reply = Some(Reply::ForeignOrders(orders));
            return;
        }
        let command = Command::CancelForeign(CancelForeign {
            asked: request.venue_order_ids,
            orders: orders.clone(),
            by: request.by,
            reason: request.reason,
        });
        self.record(
            step,
            Event::CommandTaken {
                request_id: request.request_id,
                command: Box::new(command),
            },
        );
        for order in &orders {
            self.send_foreign_cancel(step, order);
        }
        step.effects.reply = Some(Reply::ForeignOrders(orders));
    }

    /// Returns the orders that are meant.
    ///
    /// Errors: one that is not in the venue's last list; more than a request may name.
    fn foreign_orders(&self, asked: &[VenueOrderId]) -> Result<Vec<ForeignOrder>, Refusal> {
        let invalid = |detail: String| Refusal::Invalid {
            field: "venue_order_ids",
            detail,
        };
        if asked.len() > MAX_NAMED {
            return Err(invalid(format!(
                "has more than {MAX_NAMED}: name fewer, or none for all of them"
            )));
        }
        let listed = self.reconciler.external_orders();
        let orders: Vec<ForeignOrder> = if asked.is_empty() {
            listed.iter().take(MAX_ALL).map(foreign).collect()
        } else {
            let named = asked.iter().map(|id| {
                let order = listed.iter().find(|order| order.venue_order_id == *id);
                order
                    .map(foreign)
                    .ok_or_else(|| Refusal::ForeignOrderNotFound(id.clone()))
            });
            named.collect::<Result<_, _>>()?
        };
        if self.foreign.len() + orders.len() > MAX_UNDER_WAY {
            return Err(invalid(format!(
                "would make more than {MAX_UNDER_WAY} cancels that the venue has not answered: \
                 look at the venue"
            )));
        }
        Ok(orders)
    }

    fn send_foreign_cancel(&mut self, step: &mut Step<'_>, order: &ForeignOrder) {
        step.effects.commands.push(VenueCommand::CancelForeign {
            venue_order_id: order.venue_order_id.clone(),
            instrument_id: order.instrument_id.clone(),
        });
        let id = order.venue_order_id.clone();
        self.asked.foreign.insert(id, step.now);
    }

    /// Sends every cancel again whose outcome is open, after a session was lost or when the venue
    /// has said nothing for too long.
    pub(super) fn repeat_foreign_cancels(&mut self, step: &mut Step<'_>) {
        let due: Vec<ForeignOrder> = self
            .foreign
            .iter()
            .filter(|cancel| {
                let sent = self.asked.foreign.get(&cancel.order.venue_order_id);
                sent.is_none_or(|sent| step.now.since(*sent) > NO_ANSWER_NS)
            })
            .map(|cancel| cancel.order.clone())
            .take(QUERIES_PER_TICK)
            .collect();
        for order in &due {
            self.send_foreign_cancel(step, order);
        }
    }

    /// Takes the venue's answer to a cancel of an order that is not ours. False for every other
    /// report.
    pub(super) fn take_foreign_report(
        &mut self,
        step: &mut Step<'_>,
        report: &VenueReport,
    ) -> bool {
        let outcome = match report {
            VenueReport::Ended { .. } => ForeignOutcome::Ended,
            VenueReport::CancelRejected { .. } => ForeignOutcome::Refused,
            _ => return false,
        };
        let detail = match report {
            VenueReport::CancelRejected { text, .. } => text.clone(),
            _ => String::new(),
        };
        let id = report.client_order_id();
        let Some(venue_order_id) = id.and_then(|id| self.foreign_of(id)) else {
            return false;
        };
        self.end_foreign(step, venue_order_id, outcome, detail);
        true
    }

    fn foreign_of(&self, client_order_id: &ClientOrderId) -> Option<VenueOrderId> {
        let mut under_way = self.foreign.iter();
        let found = under_way
            .find(|cancel| cancel.order.client_order_id.as_ref() == Some(client_order_id))?;
        Some(found.order.venue_order_id.clone())
    }

    /// Ends the cancels of orders that a whole list of the venue, asked for behind them, no
    /// longer has: for an order without a client order id that is the only answer there is.
    pub(super) fn end_foreign_gone(
        &mut self,
        step: &mut Step<'_>,
        part: &Part<VenueOpenOrder>,
        requested_at: UnixNanos,
    ) {
        let gone: Vec<VenueOrderId> = self
            .foreign
            .iter()
            .filter(|cancel| cancel.since < requested_at)
            .map(|cancel| cancel.order.venue_order_id.clone())
            .filter(|id| part.rows.iter().all(|row| row.venue_order_id != *id))
            .collect();
        for id in gone {
            self.end_foreign(step, id, ForeignOutcome::Gone, String::new());
        }
    }

    fn end_foreign(
        &mut self,
        step: &mut Step<'_>,
        venue_order_id: VenueOrderId,
        outcome: ForeignOutcome,
        detail: String,
    ) {
        self.record(
            step,
            Event::ForeignCancelEnded {
                venue_order_id,
                outcome,
                detail,
            },
        );
    }

    /// Folds a command: what is under way already is not twice.
    pub(super) fn fold_cancel_foreign(&mut self, orders: &[ForeignOrder], since: UnixNanos) {
        for order in orders {
            if !self.is_foreign_cancel(&order.venue_order_id) {
                let order = order.clone();
                self.foreign.push(UnderWay { order, since });
            }
        }
    }

    pub(super) fn fold_foreign_ended(&mut self, venue_order_id: &VenueOrderId) {
        self.foreign
            .retain(|cancel| cancel.order.venue_order_id != *venue_order_id);
        self.asked.foreign.remove(venue_order_id);
    }

    /// Returns true while a cancel of an order that is not ours is under way.
    pub fn is_foreign_cancel(&self, venue_order_id: &VenueOrderId) -> bool {
        let mut under_way = self.foreign.iter();
        under_way.any(|cancel| cancel.order.venue_order_id == *venue_order_id)
    }
}

fn foreign(order: &VenueOpenOrder) -> ForeignOrder {
    ForeignOrder {
        venue_order_id: order.venue_order_id.clone(),
        client_order_id: order.client_order_id.clone(),
        instrument_id: order.instrument_id.clone(),
    }
}
