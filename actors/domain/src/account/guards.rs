//! Sessions whose orders are canceled once nothing is heard of them: cancel on disconnect, and the
//! dead-man timer.
//!
//! Which sessions are guarded and which orders are theirs are events, so a recovered account knows
//! them; when one was last heard of is not, so after a recovery each has its timeout anew. An order
//! belongs to the session that submitted or amended it last. All of those are canceled in the
//! ordinary way: what waits here for a price, an opening or a parent ends here, what is at the venue
//! is asked for there, and a list does what it always does when an order of it is canceled. Orders
//! that the account makes by itself, as those of closings, are no session's and go on.

use super::machine::{Account, Step};
use super::recovery::FoldError;
use super::types::{AccountInput, GuardSession, Refusal, Reply, SessionRef};
use crate::event::{Event, GuardOutcome, Recorded};
use crate::id::OrderSessionId;
use crate::order::OrderKey;
use crate::order::store::{OrderIndex, OrderStore};
use crate::risk::ReasonCode;
use crate::time::NANOS_PER_SECOND;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The shortest time that a session may be silent: an account looks at the time once a second.
pub const SHORTEST_SILENCE_NS: i64 = NANOS_PER_SECOND;

/// The longest: what needs hours to be noticed is no dead-man timer.
pub const LONGEST_SILENCE_NS: i64 = 3_600 * NANOS_PER_SECOND;

/// Sessions of one account that are guarded at a time. Each is a client program; one that ended
/// without a word frees its place by its timeout.
pub const MAX_GUARDS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Guard {
    session_id: OrderSessionId,
    by: String,
    timeout_ns: i64,
    epoch: u64,
}

/// The guarded sessions and their orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guards {
    /// By the sequence of their first event.
    sessions: BTreeMap<u64, Guard>,
    /// The session of each working order that has one.
    orders: BTreeMap<OrderIndex, u64>,
    /// Working orders whose session ended without a goodbye: they are canceled until they end.
    doomed: BTreeSet<OrderIndex>,
}

impl Guards {
    fn has(&self, session: SessionRef) -> bool {
        let guard = self.sessions.get(&session.guard);
        guard.is_some_and(|guard| guard.epoch == session.epoch)
    }

    fn find(&self, session_id: &OrderSessionId) -> Option<(u64, &Guard)> {
        let mut sessions = self.sessions.iter();
        let found = sessions.find(|(_, guard)| guard.session_id == *session_id);
        found.map(|(number, guard)| (*number, guard))
    }

    /// Forgets an order that has ended.
    pub fn follow(&mut self, index: OrderIndex, orders: &OrderStore) {
        if self.orders.is_empty() && self.doomed.is_empty() {
            return;
        }
        if !orders.get(index).is_working() {
            self.orders.remove(&index);
            self.doomed.remove(&index);
        }
    }
}

impl Account {
    /// Returns the guarded sessions with the time that each may be silent.
    pub fn guarded_sessions(&self) -> impl Iterator<Item = (&OrderSessionId, i64)> {
        let sessions = self.guards.sessions.values();
        sessions.map(|guard| (&guard.session_id, guard.timeout_ns))
    }

    /// Returns a guarded session with its newest stream.
    pub fn session(&self, session_id: &OrderSessionId) -> Option<SessionRef> {
        let (number, guard) = self.guards.find(session_id)?;
        Some(SessionRef {
            guard: number,
            epoch: guard.epoch,
        })
    }

    /// Returns how many orders are being canceled whose session ended without a goodbye.
    pub fn doomed_orders(&self) -> usize {
        self.guards.doomed.len()
    }

    pub(super) fn guard_session(&mut self, step: &mut Step<'_>, wish: GuardSession) {
        if !(SHORTEST_SILENCE_NS..=LONGEST_SILENCE_NS).contains(&wish.timeout_ns) {
            return step.refuse(Refusal::Invalid {
                field: "dead_man_timeout_ns",
                detail: "must be 1 s to 3,600 s".to_owned(),
            });
        }
        let known = self.guards.find(&wish.session_id);
        // Whose it is tells nobody else that it is there.
        let fits = match known {
            Some((_, guard)) => wish.resumes && guard.by == wish.by,
            None => !wish.resumes,
        };
        if !fits {
            return step.refuse(Refusal::SessionOver);
        }
        let number = known.map_or(self.sequence + 1, |(number, _)| number);
        if !wish.resumes && self.guards.sessions.len() >= MAX_GUARDS {
            return step.refuse(Refusal::TooManySessions(MAX_GUARDS));
        }
        let guarded = Event::SessionGuarded {
            session_id: wish.session_id,
            by: wish.by,
            timeout_ns: wish.timeout_ns,
        };
        self.record(step, guarded);
        self.asked.heard.insert(number, step.now);
        step.effects.reply = Some(Reply::Guarded(SessionRef {
            guard: number,
            epoch: self.sequence,
        }));
    }

    pub(super) fn keep_session(&mut self, step: &mut Step<'_>, session: SessionRef) {
        if !self.guards.has(session) {
            return step.refuse(Refusal::SessionOver);
        }
        self.asked.heard.insert(session.guard, step.now);
        self.done(step);
    }

    pub(super) fn end_session(
        &mut self,
        step: &mut Step<'_>,
        session: SessionRef,
        outcome: GuardOutcome,
    ) {
        if !self.guards.has(session) {
            return step.refuse(Refusal::SessionOver);
        }
        self.end_guard(step, session.guard, outcome);
        self.done(step);
    }

    /// Carries out a submit or amend for a session, and notes that the orders are its own.
    pub(super) fn of_session(
        &mut self,
        step: &mut Step<'_>,
        session: SessionRef,
        input: AccountInput,
    ) {
        if !self.guards.has(session) {
            return step.refuse(Refusal::SessionOver);
        }
        self.asked.heard.insert(session.guard, step.now);
        self.dispatch(step, input);
        for index in self.answered(step) {
            let is_new = self.guards.orders.get(&index) != Some(&session.guard)
                && !self.guards.doomed.contains(&index);
            let entry = self.orders.get(index);
            if is_new && entry.is_working() {
                let order_id = entry.order.order_id.clone();
                let guard = session.guard;
                self.record(step, Event::OrderGuarded { order_id, guard });
            }
        }
    }

    /// Returns the orders that the answer shows.
    fn answered(&self, step: &Step<'_>) -> Vec<OrderIndex> {
        let find = |order: &crate::order::Order| self.orders.find_order_id(&order.order_id);
        match &step.effects.reply {
            Some(Reply::Order(order)) => find(order).into_iter().collect(),
            Some(Reply::Outcomes(outcomes)) => {
                let orders = outcomes.iter().filter_map(|it| it.result.as_ref().ok());
                orders.filter_map(|order| find(order)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Ends what was silent for too long, and goes on with the cancels of what ended before.
    pub(super) fn check_guards(&mut self, step: &mut Step<'_>) {
        let sessions = &self.guards.sessions;
        let heard = &mut self.asked.heard;
        heard.retain(|number, _| sessions.contains_key(number));
        let silent: Vec<u64> = sessions
            .iter()
            .filter(|(number, guard)| {
                let last = *heard.entry(**number).or_insert(step.now);
                step.now.since(last) >= guard.timeout_ns
            })
            .map(|(number, _)| *number)
            .collect();
        for number in silent {
            self.end_guard(step, number, GuardOutcome::Silent);
        }
        self.cancel_doomed(step);
    }

    fn end_guard(&mut self, step: &mut Step<'_>, guard: u64, outcome: GuardOutcome) {
        // Before its cancels: those that a crash keeps out of the journal are then still wanted.
        self.record(step, Event::GuardEnded { guard, outcome });
        self.asked.heard.remove(&guard);
        if outcome.cancels() {
            self.cancel_doomed(step);
        }
    }

    fn cancel_doomed(&mut self, step: &mut Step<'_>) {
        let doomed: Vec<OrderIndex> = self.guards.doomed.iter().copied().collect();
        for index in doomed {
            self.cancel_until_ended(step, index, ReasonCode::CanceledOnDisconnect);
        }
    }

    /// Folds what an event says about guards.
    pub(super) fn take_guard(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::SessionGuarded {
                session_id,
                by,
                timeout_ns,
            } => {
                let known = self.guards.find(session_id).map(|(number, _)| number);
                let guard = Guard {
                    session_id: session_id.clone(),
                    by: by.clone(),
                    timeout_ns: *timeout_ns,
                    epoch: sequence,
                };
                self.guards
                    .sessions
                    .insert(known.unwrap_or(sequence), guard);
            }
            Event::OrderGuarded { order_id, guard } => {
                let unknown = || FoldError::UnknownOrder {
                    sequence,
                    order_id: order_id.clone(),
                };
                let key = OrderKey::OrderId(order_id.clone());
                let index = self.orders.find(&key).ok_or_else(unknown)?;
                self.guards.orders.insert(index, *guard);
            }
            Event::GuardEnded { guard, outcome } => self.guards.end(*guard, *outcome),
            _ => {}
        }
        Ok(())
    }
}

impl Guards {
    fn end(&mut self, number: u64, outcome: GuardOutcome) {
        self.sessions.remove(&number);
        let doomed = &mut self.doomed;
        self.orders.retain(|index, guard| {
            if *guard == number && outcome.cancels() {
                doomed.insert(*index);
            }
            *guard != number
        });
    }
}
