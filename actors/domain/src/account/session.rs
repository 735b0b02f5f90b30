//! What the state of a venue session and the passing of time do to open orders.
//!
//! Time alone never decides an outcome: it only makes the account ask.

use super::machine::{Account, Asked, Step};
use crate::event::Event;
use crate::order::OrderStatus;
use crate::order::store::OrderIndex;
use crate::risk::ReasonCode;
use crate::time::{NANOS_PER_SECOND, UnixNanos};

/// How long an answer may take before the order counts as unknown and is asked for, and how long
/// until it is asked for again. Venues answer within milliseconds; their own time-outs lie
/// around five seconds, so asking earlier could meet a request that still waits in a queue. The
/// receive window of a session's requests has to be shorter.
pub const NO_ANSWER_NS: i64 = 5 * NANOS_PER_SECOND;

/// Queries that one tick may send: venues limit requests, and what is left is asked at the next.
pub(super) const QUERIES_PER_TICK: usize = 100;

impl Account {
    /// Orders without any answer become unknown; what else is open stays as it is.
    pub(super) fn session_lost(&mut self, step: &mut Step<'_>, reason_code: ReasonCode) {
        for index in self.unanswered() {
            self.unknown(step, index, reason_code);
        }
        self.asked = Asked {
            lost: step.now,
            // Of the journal, not of the venue.
            sparing: self.asked.sparing,
            away: self.asked.away,
            look_again: self.asked.look_again,
            kept_back: std::mem::take(&mut self.asked.kept_back),
            // Of clients, not of the venue.
            heard: std::mem::take(&mut self.asked.heard),
            ..Asked::default()
        };
    }

    /// Asks for every order that could be at the venue: whatever happened while nobody listened
    /// comes to light. Those whose outcome is open first, since a session may take fewer.
    pub(super) fn session_ready(&mut self, step: &mut Step<'_>) {
        let unsettled = self.orders.unsettled();
        let settled = self.orders.working().difference(unsettled).copied();
        let all = unsettled.iter().copied().chain(settled);
        // What is held here is nothing that the venue could know of.
        let all: Vec<OrderIndex> = all
            .filter(|index| {
                let entry = self.orders.get(*index);
                let is_there = !entry.is_between_slices() || entry.amend.is_some();
                !entry.is_home() && is_there
            })
            .collect();
        self.asked.unconfirmed = all.iter().copied().collect();
        // The rest is due by the ticks, as many in each: a venue bans who asks thousands at once,
        // and cancels would stand behind them.
        for index in all.into_iter().take(QUERIES_PER_TICK) {
            self.query(step, index);
        }
        self.repeat_foreign_cancels(step);
    }

    pub(super) fn tick(&mut self, step: &mut Step<'_>) {
        // What was asked before must not move this decision: it is not in the journal.
        for index in self.unanswered() {
            if step.now.since(self.orders.get(index).submitted_at) > NO_ANSWER_NS {
                self.unknown(step, index, ReasonCode::NoAnswer);
            }
        }
        for index in self.due(step.now) {
            self.query(step, index);
        }
        self.expire(step);
        self.settle_contracts(step);
        self.repeat_refused_cancels(step);
        self.check_guards(step);
        self.repeat_foreign_cancels(step);
        self.check_losses(step);
        // Behind the limits: what they stop must not leave first.
        if std::mem::take(&mut self.asked.look_again) && self.may_send() {
            self.drive_waiting(step, None);
        }
        self.leave_on_time(step);
        self.drive_short(step, 0);
    }

    /// Returns what to ask for, those who have waited longest first: when a session takes fewer
    /// queries than there are orders, each has its turn.
    fn due(&mut self, now: UnixNanos) -> Vec<OrderIndex> {
        if self.orders.working().is_empty() {
            self.asked.at.clear();
            self.asked.unconfirmed.clear();
            self.asked.repeats.clear();
            return Vec::new();
        }
        let (unsettled, working) = (self.orders.unsettled(), self.orders.working());
        let asked = &mut self.asked;
        asked.unconfirmed.retain(|index| working.contains(index));
        let unconfirmed = &asked.unconfirmed;
        let open = |index: &OrderIndex| unsettled.contains(index) || unconfirmed.contains(index);
        let over = self.orders.expired(now);
        asked
            .at
            .retain(|index, _| open(index) || over.contains(index));
        asked.repeats.retain(|index, _| unsettled.contains(index));
        let mut due: Vec<(UnixNanos, OrderIndex)> = unsettled
            .union(&self.asked.unconfirmed)
            .map(|index| (self.waiting_since(*index), *index))
            .filter(|(since, _)| now.since(*since) > NO_ANSWER_NS)
            .collect();
        due.sort_unstable();
        due.truncate(QUERIES_PER_TICK);
        due.into_iter().map(|(_, index)| index).collect()
    }

    pub(super) fn query(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let command = self.orders.get(index).query_command();
        step.effects.commands.push(command);
        self.asked.at.insert(index, step.now);
    }

    /// The venue has answered where the order stands.
    pub(super) fn confirmed(&mut self, index: OrderIndex) {
        self.asked.unconfirmed.remove(&index);
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
        let asked = self.asked.at.get(&index).copied();
        since.max(asked.unwrap_or(UnixNanos::MIN))
    }
}
