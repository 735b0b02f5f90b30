//! The supervisor: an ordinary ractor actor that awaits nobody in its handlers.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent,
};
use tokio::time::Instant;

use super::child::{ChildChange, ChildEvent, ChildSpec, ChildState, ChildStatus};
use super::state::{Child, SupervisorState};
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
    // Not through the log: it may be buffered, and nothing is flushed after this. Not by
    // `eprintln!` either: it panics when standard error cannot be written.
    let _ = writeln!(
        std::io::stderr(),
        "{} failed: {}\nits queue is lost, so the process aborts; start it again to recover",
        abort.name,
        abort.reason
    );
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
pub struct Own(pub(super) Note);

#[derive(Debug)]
pub(super) enum Note {
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
