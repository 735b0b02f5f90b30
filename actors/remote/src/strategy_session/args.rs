//! What a session is started with, and whom it tells.

use super::budget::SessionBudget;
use super::commands::Owner;
use super::machine::Told;
use apex_bus::clock::Clock;
use apex_bus::handle::{AccountHandle, Platform};
use apex_proto::v1::{self, SessionEndKind};
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where saved states are kept. Blocking; called off the runtime's workers.
pub trait StateStore: Send + Sync {
    /// Returns what was saved last, empty when nothing was.
    ///
    /// Errors: why it cannot be read, for a person.
    fn load(&self, owner: &Owner) -> Result<Vec<u8>, String>;
    /// Keeps a state in place of the last one.
    ///
    /// Errors: why it cannot be kept, for a person.
    fn save(&self, owner: &Owner, state: &[u8]) -> Result<(), String>;
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnded {
    pub kind: SessionEndKind,
    pub reason: String,
    /// The strategy itself said that it failed.
    pub failed: bool,
}

/// Called once when a session ends. Must not block.
pub type EndHook = Box<dyn FnOnce(SessionEnded) + Send>;

/// Called with each line that the strategy logs. Must not block.
pub type LogHook = Arc<dyn Fn(v1::LogLevel, &str) + Send + Sync>;

/// What a session is started with.
pub struct SessionArgs {
    pub hello: v1::Hello,
    pub owner: Owner,
    pub account: AccountHandle,
    pub platform: Platform,
    pub clock: Clock,
    pub budget: SessionBudget,
    pub store: Arc<dyn StateStore>,
    pub requests: mpsc::Receiver<v1::StrategyRequest>,
    pub responses: mpsc::Sender<v1::StrategyResponse>,
    pub told: Told,
    pub on_log: LogHook,
    pub on_end: EndHook,
}

impl fmt::Debug for SessionArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionArgs")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
