//! A supervised shell: how it is started, what is done about its failures, what is told of it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ractor::{ActorCell, SpawnErr};

use super::backoff::Backoff;

/// What a supervisor does when a shell fails: panics, returns an error from a handler, or is
/// killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// Prints what and why and aborts the process: account and journal shells.
    AbortProcess,
    /// Starts it again after a pause: shells that can resume from a sequence.
    Restart(Backoff),
}

/// Starts a shell linked to the supervisor it is given.
type Start = dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync;

/// How to start, restart and stop one shell.
#[derive(Clone)]
pub struct ChildSpec {
    pub(super) name: Arc<str>,
    pub(super) on_panic: OnPanic,
    pub(super) grace: Duration,
    pub(super) start: Arc<Start>,
}

impl ChildSpec {
    /// How long a shell may take to drain before it is killed. Below the 10 s that the whole
    /// process has by default, since several shells stop one after the other.
    pub const GRACE: Duration = Duration::from_secs(2);

    /// Describes a shell. `start` is called for the first start and for each restart with the
    /// supervisor, to which it must link the actor, as `Actor::spawn_linked` does. A restarted
    /// shell is a new actor: whoever holds its `ActorRef` must get it from where `start` puts it.
    ///
    /// ```
    /// use apex_bus::supervision::{Backoff, ChildSpec, OnPanic};
    /// use ractor::Actor;
    /// # use ractor::{ActorProcessingErr, ActorRef};
    /// # struct Feed;
    /// # impl Actor for Feed {
    /// #     type Msg = ();
    /// #     type State = ();
    /// #     type Arguments = u16;
    /// #     async fn pre_start(&self, _: ActorRef<()>, _: u16) -> Result<(), ActorProcessingErr> {
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// let port = 9_443;
    /// let feed = ChildSpec::new("feed", OnPanic::Restart(Backoff::default()), move |supervisor| {
    ///     async move {
    ///         let (feed, _) = Feed::spawn_linked(None, Feed, port, supervisor).await?;
    ///         Ok(feed.get_cell())
    ///     }
    /// });
    /// # let _ = feed;
    /// ```
    pub fn new<F>(
        name: &str,
        on_panic: OnPanic,
        start: impl Fn(ActorCell) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<ActorCell, SpawnErr>> + Send + 'static,
    {
        ChildSpec {
            name: name.into(),
            on_panic,
            grace: Self::GRACE,
            start: Arc::new(move |supervisor| start(supervisor).boxed()),
        }
    }

    /// Sets how long it may take to drain before it is killed.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("on_panic", &self.on_panic)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// Where a shell stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildState {
    /// Its `start` is running.
    Starting,
    /// It handles messages.
    Running,
    /// It failed and is started again after a pause.
    Pausing,
    /// It failed too often and stays down until it is released. With the last failure.
    Quarantined(String),
    /// It stopped by itself or because the supervisor stops.
    Stopped,
}

/// A shell and where it stands, for status boards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStatus {
    /// The shell's name.
    pub name: Arc<str>,
    /// Where it stands.
    pub state: ChildState,
    /// How often it was started again since the supervisor knows it.
    pub restarts: u64,
}

/// What became of a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEvent {
    /// The shell's name.
    pub name: Arc<str>,
    /// What happened.
    pub change: ChildChange,
}

/// What happened to a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildChange {
    /// It was started, for the first time or again.
    Started,
    /// It failed and starts again after the pause.
    Failed {
        /// Its panic message or error.
        reason: String,
        /// When it starts again.
        restart_after: Duration,
    },
    /// It failed once too often, or never came up, and stays down until it is released.
    Quarantined {
        /// The last failure.
        reason: String,
    },
    /// It failed and the process is about to abort.
    Aborting {
        /// Its panic message or error.
        reason: String,
    },
    /// It stopped by itself, or drained because the supervisor stops.
    Stopped,
    /// It failed while the supervisor was stopping it.
    FailedWhileStopping {
        /// Its panic message or error.
        reason: String,
    },
    /// It did not drain within its grace and was killed; what it had queued is lost.
    Killed,
    /// Another shell has its name; it was not started.
    Refused,
}
