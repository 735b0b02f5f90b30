//! The door through which remote strategies come in. The node implements it.

use crate::auth::Caller;
use apex_domain::StrategyId;
use apex_proto::v1;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::mpsc;

/// Messages that may lie between the wire and the session, each way. A session answers batch by
/// batch, so a few are under way at most; when it is full, the other side waits.
pub const SESSION_QUEUE: usize = 64;

/// One connected strategy. The session ends when `responses` is dropped; the client is gone when
/// `requests` gives `None`.
#[derive(Debug)]
pub struct StrategySession {
    /// Who called. Whether the account of [`v1::Hello`] is granted is for the session to check
    /// with [`Caller::may`].
    pub caller: Caller,
    pub requests: mpsc::Receiver<v1::StrategyRequest>,
    pub responses: mpsc::Sender<v1::StrategyResponse>,
}

/// Why a session does not begin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionRefusal {
    #[error("{field} {description}")]
    Field {
        field: &'static str,
        description: String,
    },
    #[error("the account is not granted to this user: name another, or ask for a grant")]
    NotGranted,
    #[error("the strategy has a session already: end that one, or take another strategy_id")]
    AlreadyConnected,
    #[error("the strategy takes no session, {reason}: start it by `apextrade strategies start`")]
    Barred { reason: String },
    #[error("strategies cannot be run now: {reason}; try again")]
    Unavailable { reason: String },
}

/// Takes the sessions of `StrategyService.Connect`.
#[tonic::async_trait]
pub trait StrategySessions: Send + Sync {
    /// Takes a session over and returns at once; the session lives on in the implementor's own
    /// task. `hello` is its first message.
    ///
    /// Errors: [`SessionRefusal`]; the stream then ends with it.
    async fn begin(&self, hello: v1::Hello, session: StrategySession)
    -> Result<(), SessionRefusal>;

    /// Returns whether a strategy of this id is run here, or was since the start.
    fn knows(&self, strategy_id: &StrategyId) -> bool;
}

/// The strategies that have a session; none where sessions are not taken.
#[derive(Clone, Default)]
pub struct KnownStrategies(pub Option<Arc<dyn StrategySessions>>);

impl fmt::Debug for KnownStrategies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownStrategies").finish_non_exhaustive()
    }
}

impl KnownStrategies {
    pub fn knows(&self, strategy_id: &StrategyId) -> bool {
        let sessions = self.0.as_ref();
        sessions.is_some_and(|sessions| sessions.knows(strategy_id))
    }
}
