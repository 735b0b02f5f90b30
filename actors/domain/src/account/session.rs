//! What the state of a venue session and the passing of time do to open orders.
//!
//! Time alone never decides an outcome: it only makes the account ask.

use super::machine::{Account, Step};
use crate::event::Event;
use crate::order::OrderStatus;
use crate::order::store::OrderIndex;
use crate::risk::ReasonCode;
use crate::time::{NANOS_PER_SECOND, UnixNanos};

/// How long an answer may take before the order counts as unknown and is asked for, and how long
/// until it is asked for again. Venues answer within milliseconds; their own time-outs lie
/// around five seconds, so asking earlier could meet a request that still waits in a queue.
pub const NO_ANSWER_NS: i64 = 5 * NANOS_PER_SECOND;

/// Queries that one tick may send: venues limit requests, and what is left is asked at the next.
const QUERIES_PER_TICK: usize = 100;

impl Account {
    /// Orders without any answer become unknown; what else is open stays as it is.
    pub(super) fn session_lost(&mut self, step: &mut Step<'_>, reason_code: ReasonCode) {
        for index in self.unanswered() {
            self.unknown(step, index, reason_code);
        }
        self.asked.0.clear();
    }

    /// Asks for every order that could be at the venue: whatever happened while nobody listened
    /// comes to light.
    pub(super) fn session_ready(&mut self, step: &mut Step<'_>) {
        for index in self.orders.working() {
            let command = self.orders.get(*index).query_command();
            step.effects.commands.push(command);
            self.asked.0.insert(*index, step.now);
        }
    }

    pub(super) fn tick(&mut self, step: &mut Step<'_>) {
        // What was asked before must not move this decision: it is not in the journal.
        for index in self.unanswered() {
            if step.now.since(self.orders.get(index).submitted_at) > NO_ANSWER_NS {
                self.unknown(step, index, ReasonCode::NoAnswer);
            }
        }
        let unsettled = self.orders.unsettled();
        self.asked.0.retain(|index, _| unsettled.contains(index));
        let due: Vec<OrderIndex> = unsettled
            .iter()
            .copied()
            .filter(|index| step.now.since(self.waiting_since(*index)) > NO_ANSWER_NS)
            .take(QUERIES_PER_TICK)
            .collect();
        for index in due {
            self.query(step, index);
        }
    }

    pub(super) fn query(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let command = self.orders.get(index).query_command();
        step.effects.commands.push(command);
        self.asked.0.insert(index, step.now);
    }

    fn unanswered(&self) -> Vec<OrderIndex> {
        self.orders
            .unsettled()
            .iter()
            .copied()
            .filter(|index| self.orders.get(*index).base == OrderStatus::Submitted)
            .collect()
    }

    pub(super) fn unknown(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        reason_code: ReasonCode,
    ) {
        let order_id = self.orders.get(index).order.order_id.clone();
        self.record(
            step,
            Event::OrderUnknown {
                order_id,
                reason_code,
            },
        );
    }

    /// Returns since when an answer about the order is awaited.
    fn waiting_since(&self, index: OrderIndex) -> UnixNanos {
        let entry = self.orders.get(index);
        let changes = [
            entry.amend.as_ref().map(|amend| amend.since),
            entry.cancel.as_ref().map(|cancel| cancel.since),
            entry.held.as_ref().map(|held| held.since),
        ];
        // The oldest open question counts, unless it was asked since.
        let since = changes
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(entry.submitted_at);
        let asked = self.asked.0.get(&index).copied();
        since.max(asked.unwrap_or(UnixNanos::MIN))
    }
}
