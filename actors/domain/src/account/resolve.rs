//! Orders of unknown outcome that a person settles: the venue does not tell, and somebody has
//! looked there.
//!
//! Some venues prove nothing by not knowing an order, so time alone never ends one of them. Until
//! it has ended it reserves what it could do at worst, and neither a closing nor reconciliation
//! goes on. A fill that comes all the same is booked, and halts the account.

use super::commands::request_id_taken;
use super::machine::{Account, Step};
use super::requests::Subject;
use super::session::NO_ANSWER_NS;
use super::types::{Refusal, ResolveOrder};
use crate::event::{Command, Event, Resolve};
use crate::order::OrderStatus;
use crate::order::entry::OrderEntry;
use crate::risk::ReasonCode;
use crate::time::UnixNanos;

impl Account {
    /// Ends an order of unknown outcome, as it is not at the venue.
    pub(super) fn resolve_order(&mut self, step: &mut Step<'_>, request: ResolveOrder) {
        let Some(index) = self.orders.find(&request.key) else {
            return step.refuse(Refusal::OrderNotFound);
        };
        let entry = self.orders.get(index);
        let resolve = Resolve {
            order_id: entry.order.order_id.clone(),
            by: request.by,
            reason: request.reason,
        };
        if let Some(answered) = self.requests.get(request.request_id.as_ref()) {
            return if is_same(&answered.subject, &resolve) {
                self.reply_order(step, index);
            } else {
                step.refuse(request_id_taken(request.request_id.as_ref()));
            };
        }
        let status = entry.order.status.as_str();
        if !entry.is_working() {
            return step.refuse(Refusal::OrderClosed(status));
        }
        if !is_left_open(entry, step.now) {
            return step.refuse(Refusal::OrderNotUnknown(status));
        }
        let ended = Event::OrderCanceled {
            order_id: resolve.order_id.clone(),
            reason_code: ReasonCode::Resolved,
            ts_event: step.now,
        };
        self.take_command(step, request.request_id, Command::Resolve(resolve));
        self.record(step, ended);
        self.reply_order(step, index);
    }
}

/// Returns true for a request that said the same of the same order, whoever repeats it.
fn is_same(subject: &Subject, resolve: &Resolve) -> bool {
    let Subject::Command(command, _) = subject else {
        return false;
    };
    matches!(&**command, Command::Resolve(known)
        if known.order_id == resolve.order_id && known.reason == resolve.reason)
}

/// Returns true for an order whose outcome the venue has left open for longer than an answer may
/// take: one that is unknown, or a change or an end that nothing is heard of.
fn is_left_open(entry: &OrderEntry, now: UnixNanos) -> bool {
    let changes = [
        entry.amend.as_ref().map(|amend| amend.since),
        entry.cancel.as_ref().map(|cancel| cancel.since),
        entry.held.as_ref().map(|held| held.since),
    ];
    let since = changes.into_iter().flatten().min();
    let since = since.unwrap_or(entry.submitted_at);
    match entry.base {
        OrderStatus::Unknown => true,
        // It has become unknown by the next tick.
        OrderStatus::Submitted => false,
        _ => entry.is_unsettled() && !entry.is_home() && now.since(since) > NO_ANSWER_NS,
    }
}
