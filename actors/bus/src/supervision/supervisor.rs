//! The supervisor: an ordinary ractor actor that awaits nobody in its handlers.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent,
};
use tokio::time::Instant;

use super::backoff::{Failures, Verdict};
use super::child::{ChildChange, ChildEvent, ChildSpec, ChildState, ChildStatus, OnPanic};
use crate::topic::Topic;

/// Why the process is to be aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// The shell that failed.
    pub name: Arc<str>,
    /// Its panic message or error.
    pub reason: String,
}

/// Called when a shell failed whose failure the process must not survive. Only tests use another
/// than [`abort_process`].
pub type AbortHook = Arc<dyn Fn(&Abort) + Send + Sync>;

/// Prints what failed and why on standard error and aborts the process.
pub fn abort_process(abort: &Abort) {
    // Not through the log: it may be buffered, and nothing is flushed after this.
    eprintln!("{} failed: {}", abort.name, abort.reason);
    eprintln!("its queue is lost, so the process aborts; start it again to recover");
    std::process::abort();
}

/// What a [`Supervisor`] is started with.
pub struct SupervisorArguments {
    /// Started in this order, stopped in the reverse one.
    pub children: Vec<ChildSpec>,
    /// Where what happens to the children is told. A gap or block topic; the supervisor never
    /// waits for it.
    pub events: Option<Topic<ChildEvent>>,
    /// Usually [`abort_process`].
    pub abort: AbortHook,
}

impl SupervisorArguments {
    /// Returns arguments with the real abort and no events.
    pub fn new(children: Vec<ChildSpec>) -> Self {
        SupervisorArguments {
            children,
            events: None,
            abort: Arc::new(abort_process),
        }
    }
}

impl fmt::Debug for SupervisorArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorArguments")
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// What a supervisor is told and asked.
#[derive(Debug)]
pub enum SupervisorMessage {
    /// Starts one more shell, which will stop before all earlier ones. The outcome is an event.
    Add(ChildSpec),
    /// Starts a quarantined or stopped shell again, its failures forgotten. Others: no effect.
    Release(String),
    /// Asks where each shell stands, in the order of their start.
    Children(RpcReplyPort<Vec<ChildStatus>>),
    /// Drains and stops the shells one after the other, the last first, and then itself.
    Shutdown,
    /// What the supervisor tells itself.
    Own(Own),
}

/// What a supervisor tells itself; nobody else can make one.
#[derive(Debug)]
pub struct Own(Note);

#[derive(Debug)]
enum Note {
    Start(usize),
    Started(usize, Result<ActorCell, String>),
    GraceOver(usize, ActorId),
}

/// Starts, restarts and stops shells by their [`ChildSpec`]s.
///
/// Stop it with [`SupervisorMessage::Shutdown`]. After a plain `stop` or `drain` it stops the
/// shells in the same order, but no longer hears how they fared.
#[derive(Debug)]
pub struct Supervisor;

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    state: ChildState,
    cell: Option<ActorCell>,
    failures: Failures,
    restarts: u64,
}

impl Child {
    fn new(spec: ChildSpec, state: ChildState, cell: Option<ActorCell>) -> Self {
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
    children: Vec<Child>,
    events: Option<Topic<ChildEvent>>,
    abort: AbortHook,
    /// Since when failures are timed.
    began: Instant,
    /// Starts under way. Their actors can fail before the supervisor has their id.
    starting: usize,
    /// Failures of actors that are not known yet; empty when no start is under way, so at most
    /// one per start.
    early: Vec<(ActorId, String)>,
    /// Set once the shells are being stopped; the one that is draining now.
    stopping: Option<usize>,
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
    fn tell(&self, at: usize, change: ChildChange) {
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

    fn start(&mut self, myself: &ActorRef<SupervisorMessage>, at: usize) {
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

    fn started(
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
    fn gone(&mut self, myself: &ActorRef<SupervisorMessage>, id: ActorId, failure: Option<String>) {
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
    fn stop_next(&mut self, myself: &ActorRef<SupervisorMessage>, below: usize) {
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
    fn grace_over(&mut self, myself: &ActorRef<SupervisorMessage>, at: usize, id: ActorId) {
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

    fn add(&mut self, myself: &ActorRef<SupervisorMessage>, spec: ChildSpec) {
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

    fn release(&mut self, myself: &ActorRef<SupervisorMessage>, name: &str) {
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

    fn statuses(&self) -> Vec<ChildStatus> {
        let status = |child: &Child| ChildStatus {
            name: child.spec.name.clone(),
            state: child.state.clone(),
            restarts: child.restarts,
        };
        self.children.iter().map(status).collect()
    }
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorArguments;

    /// Starts the shells one after the other. The first that does not start is an error that
    /// names it, and those before it are killed.
    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        arguments: SupervisorArguments,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state = SupervisorState {
            children: Vec::new(),
            events: arguments.events,
            abort: arguments.abort,
            began: Instant::now(),
            starting: 0,
            early: Vec::new(),
            stopping: None,
        };
        for spec in arguments.children {
            let start = spec.start.clone();
            let cell = start(myself.get_cell())
                .await
                .map_err(|error| format!("{} did not start: {error}", spec.name))?;
            state
                .children
                .push(Child::new(spec, ChildState::Running, Some(cell)));
            state.tell(state.children.len() - 1, ChildChange::Started);
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Add(spec) => state.add(&myself, spec),
            SupervisorMessage::Release(name) => state.release(&myself, &name),
            SupervisorMessage::Children(reply) => {
                // Whoever asked may have given up waiting.
                let _ = reply.send(state.statuses());
            }
            SupervisorMessage::Shutdown if state.stopping.is_none() => {
                let below = state.children.len();
                state.stopping = Some(below);
                state.stop_next(&myself, below);
            }
            SupervisorMessage::Shutdown => {}
            SupervisorMessage::Own(Own(note)) => match note {
                Note::Start(at) if state.stopping.is_none() => state.start(&myself, at),
                Note::Start(_) => {}
                Note::Started(at, result) => state.started(&myself, at, result),
                Note::GraceOver(at, id) => state.grace_over(&myself, at, id),
            },
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                state.gone(&myself, who.get_id(), Some(error.to_string()));
            }
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                // The two ends by force that ractor reports as a termination.
                let forced =
                    |reason: &String| reason == "killed" || reason == "actor_task_cancelled";
                state.gone(&myself, who.get_id(), reason.filter(forced));
            }
            _ => {}
        }
        Ok(())
    }

    /// Stops what still runs. After a shutdown by message that is nothing; the awaiting is for a
    /// supervisor that is itself stopped by its own supervisor, where the order matters more.
    async fn post_stop(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        for at in (0..state.children.len()).rev() {
            let Some(cell) = state.children[at].cell.take() else {
                continue;
            };
            let grace: Duration = state.children[at].spec.grace;
            let drained = cell.drain_and_wait(Some(grace)).await;
            let in_time = !matches!(drained, Err(ractor::RactorErr::Timeout));
            if !in_time {
                cell.kill();
            }
            state.children[at].state = ChildState::Stopped;
            state.tell(
                at,
                if in_time {
                    ChildChange::Stopped
                } else {
                    ChildChange::Killed
                },
            );
        }
        Ok(())
    }
}
