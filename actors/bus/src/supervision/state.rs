//! What a supervisor knows of its shells, and what it does about them.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use ractor::{ActorCell, ActorId, ActorRef};
use tokio::time::Instant;

use super::backoff::{Failures, Verdict};
use super::child::{ChildChange, ChildEvent, ChildSpec, ChildState, ChildStatus, OnPanic};
use super::supervisor::{Abort, AbortHook, Note, Own, SupervisorMessage};
use crate::topic::Topic;

#[derive(Debug)]
pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) state: ChildState,
    pub(super) cell: Option<ActorCell>,
    failures: Failures,
    restarts: u64,
}

impl Child {
    pub(super) fn new(spec: ChildSpec, state: ChildState, cell: Option<ActorCell>) -> Self {
        Child {
            spec,
            state,
            cell,
            failures: Failures::default(),
            restarts: 0,
        }
    }
}

/// The state of a [`Supervisor`].
pub struct SupervisorState {
    /// Never removed, so that an index stays valid. Their number is what the deployment has.
    pub(super) children: Vec<Child>,
    pub(super) events: Option<Topic<ChildEvent>>,
    pub(super) abort: AbortHook,
    /// Since when failures are timed.
    pub(super) began: Instant,
    /// Starts under way. Their actors can fail before the supervisor has their id.
    pub(super) starting: usize,
    /// Failures of actors that are not known yet; empty when no start is under way, so at most
    /// one per start.
    pub(super) early: Vec<(ActorId, String)>,
    /// Set once the shells are being stopped; the one that is draining now.
    pub(super) stopping: Option<usize>,
}

impl fmt::Debug for SupervisorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorState")
            .field("children", &self.children)
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}

impl SupervisorState {
    pub(super) fn tell(&self, at: usize, change: ChildChange) {
        self.tell_name(&self.children[at].spec.name, change);
    }

    fn tell_name(&self, name: &Arc<str>, change: ChildChange) {
        match &change {
            ChildChange::Started | ChildChange::Stopped => tracing::info!(actor = %name, ?change),
            _ => tracing::error!(actor = %name, ?change),
        }
        if let Some(events) = &self.events {
            // A full or closed topic is no reason not to supervise; the log has it as well.
            let _ = events.try_publish(ChildEvent {
                name: name.clone(),
                change,
            });
        }
    }

    fn find(&self, id: ActorId) -> Option<usize> {
        let is_it = |child: &Child| child.cell.as_ref().is_some_and(|cell| cell.get_id() == id);
        self.children.iter().position(is_it)
    }

    pub(super) fn start(&mut self, myself: &ActorRef<SupervisorMessage>, at: usize) {
        self.children[at].state = ChildState::Starting;
        self.starting += 1;
        let start = self.children[at].spec.start.clone();
        let myself = myself.clone();
        // A task of its own: a shell that is long in starting must not hold up the supervision of
        // the others. If the supervisor is gone by then, the linked actor is killed with it.
        tokio::spawn(async move {
            let starting = async { start(myself.get_cell()).await };
            let result = match AssertUnwindSafe(starting).catch_unwind().await {
                Ok(started) => started.map_err(|error| error.to_string()),
                Err(_) => Err("panic while it was being started".to_owned()),
            };
            let _ = myself.cast(SupervisorMessage::Own(Own(Note::Started(at, result))));
        });
    }

    pub(super) fn started(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        at: usize,
        result: Result<ActorCell, String>,
    ) {
        self.starting -= 1;
        match result {
            Ok(cell) => {
                let id = cell.get_id();
                self.children[at].cell = Some(cell.clone());
                self.children[at].state = ChildState::Running;
                self.tell(at, ChildChange::Started);
                let early = self.early.iter().position(|(failed, _)| *failed == id);
                if let Some(early) = early {
                    let (_, reason) = self.early.swap_remove(early);
                    self.failed(myself, at, reason);
                } else if self.stopping.is_some() {
                    cell.stop(None);
                }
            }
            // It never ran and has acknowledged nothing, so there is nothing to abort for.
            Err(reason) if self.children[at].spec.on_panic == OnPanic::AbortProcess => {
                self.quarantine(at, reason);
            }
            Err(reason) => self.failed(myself, at, reason),
        }
        if self.starting == 0 {
            self.early.clear();
        }
    }

    fn quarantine(&mut self, at: usize, reason: String) {
        self.children[at].state = ChildState::Quarantined(reason.clone());
        self.tell(at, ChildChange::Quarantined { reason });
    }

    fn failed(&mut self, myself: &ActorRef<SupervisorMessage>, at: usize, reason: String) {
        let now = self.began.elapsed();
        let child = &mut self.children[at];
        child.cell = None;
        match child.spec.on_panic {
            OnPanic::AbortProcess => {
                let abort = Abort {
                    name: child.spec.name.clone(),
                    reason: reason.clone(),
                };
                child.state = ChildState::Quarantined(reason.clone());
                self.tell(at, ChildChange::Aborting { reason });
                (self.abort)(&abort);
            }
            OnPanic::Restart(_) if self.stopping.is_some() => {
                child.state = ChildState::Stopped;
                self.tell(at, ChildChange::FailedWhileStopping { reason });
            }
            OnPanic::Restart(backoff) => match child.failures.note(now, &backoff) {
                Verdict::RestartAfter(restart_after) => {
                    child.state = ChildState::Pausing;
                    child.restarts += 1;
                    self.tell(
                        at,
                        ChildChange::Failed {
                            reason,
                            restart_after,
                        },
                    );
                    let again = move || SupervisorMessage::Own(Own(Note::Start(at)));
                    myself.send_after(restart_after, again);
                }
                Verdict::Quarantine => self.quarantine(at, reason),
            },
        }
    }

    /// An actor is gone: `failure` says why, if it did not stop by itself.
    pub(super) fn gone(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: ActorId,
        failure: Option<String>,
    ) {
        let Some(at) = self.find(id) else {
            if self.starting > 0 {
                self.early
                    .push((id, failure.unwrap_or_else(|| "stopped at once".to_owned())));
            }
            return;
        };
        match failure {
            Some(reason) => self.failed(myself, at, reason),
            None => {
                self.children[at].cell = None;
                self.children[at].state = ChildState::Stopped;
                self.tell(at, ChildChange::Stopped);
            }
        }
        if self.stopping == Some(at) {
            self.stop_next(myself, at);
        }
    }

    /// Asks the last running shell below index `below` to drain; without one, stops itself.
    pub(super) fn stop_next(&mut self, myself: &ActorRef<SupervisorMessage>, below: usize) {
        for at in (0..below).rev() {
            let Some(cell) = &self.children[at].cell else {
                continue;
            };
            self.stopping = Some(at);
            let id = cell.get_id();
            // Fails only when it is stopping already, and then its end is announced as well.
            let _ = cell.drain();
            let over = move || SupervisorMessage::Own(Own(Note::GraceOver(at, id)));
            myself.send_after(self.children[at].spec.grace, over);
            return;
        }
        myself.stop(None);
    }

    /// Kills a shell that has not drained in time. A kill reaches it at its next await only, so
    /// the others are not made to wait for that.
    pub(super) fn grace_over(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        at: usize,
        id: ActorId,
    ) {
        let child = &mut self.children[at];
        if child.cell.as_ref().is_none_or(|cell| cell.get_id() != id) {
            return;
        }
        if let Some(cell) = child.cell.take() {
            cell.kill();
        }
        child.state = ChildState::Stopped;
        self.tell(at, ChildChange::Killed);
        self.stop_next(myself, at);
    }

    pub(super) fn add(&mut self, myself: &ActorRef<SupervisorMessage>, spec: ChildSpec) {
        let taken = self
            .children
            .iter()
            .any(|child| child.spec.name == spec.name);
        if taken || self.stopping.is_some() {
            self.tell_name(&spec.name, ChildChange::Refused);
            return;
        }
        self.children
            .push(Child::new(spec, ChildState::Starting, None));
        self.start(myself, self.children.len() - 1);
    }

    pub(super) fn release(&mut self, myself: &ActorRef<SupervisorMessage>, name: &str) {
        let is_it = |child: &Child| &*child.spec.name == name;
        let Some(at) = self.children.iter().position(is_it) else {
            return;
        };
        let down = matches!(
            self.children[at].state,
            ChildState::Quarantined(_) | ChildState::Stopped
        );
        if down && self.stopping.is_none() {
            self.children[at].failures.forget();
            self.children[at].restarts += 1;
            self.start(myself, at);
        }
    }

    pub(super) fn statuses(&self) -> Vec<ChildStatus> {
        let status = |child: &Child| ChildStatus {
            name: child.spec.name.clone(),
            state: child.state.clone(),
            restarts: child.restarts,
        };
        self.children.iter().map(status).collect()
    }
}
