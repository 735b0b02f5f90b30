//! Alerts as those see them who show and answer them.

use apex_domain::alert::{Alert, Rule};
use apex_domain::{RequestId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// A time in which nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Of which rule; `None` of all.
    pub rule_id: Option<String>,
    /// From here on it is over.
    pub until: UnixNanos,
    pub by: String,
    pub reason: String,
}

/// How a channel stands; counts are since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    pub name: String,
    /// `webhook`, `email` or `telegram`.
    pub kind: &'static str,
    pub waiting: usize,
    pub held_back: usize,
    pub sent: u64,
    pub failed: u64,
    pub dropped: u64,
    pub summarized: u64,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// Why the last one did; empty while it works.
    pub last_error: String,
    pub last_sent: Option<UnixNanos>,
}

/// All that is known of alerts at one moment, and durable.
#[derive(Clone, Debug, Default)]
pub struct AlertsView {
    /// What the ids of alerts begin with.
    pub origin: String,
    /// Of the last change of an alert.
    pub sequence: u64,
    /// By number; bounded, the oldest that are over are forgotten.
    pub alerts: BTreeMap<u64, Arc<Alert>>,
    pub rules: BTreeMap<String, Arc<Rule>>,
    pub mutes: Vec<Mute>,
    pub channels: Vec<ChannelState>,
    /// Why the engine does not work, while it does not.
    pub failing: Option<String>,
    /// Alerts and subjects that found no room, since the process began.
    pub left_out: u64,
}

/// Who asks for a change, under which id: the same again is answered the same.
#[derive(Clone, Debug)]
pub struct AlertRequest {
    pub user_id: String,
    pub request_id: RequestId,
    /// `Service/Method`.
    pub method: &'static str,
    /// What was asked, encoded.
    pub content: Vec<u8>,
    pub command: AlertCommand,
}

/// A change.
#[derive(Clone, Debug)]
pub enum AlertCommand {
    /// The caller sees to it.
    Acknowledge {
        number: u64,
        note: String,
    },
    /// A rule in place of the one of `expected`; 0 where there is none yet.
    SetRule {
        rule: Box<Rule>,
        expected: u64,
    },
    RemoveRule {
        rule_id: String,
        expected: u64,
    },
    /// A time that is over ends the mute.
    Mute(Mute),
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertReply {
    Alert(Box<Alert>),
    Rule(Box<Rule>),
    Removed,
    Muted(Mute),
}

/// What a test of a channel came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelTest {
    /// Why the message was not taken; `None` where it was.
    pub error: Option<String>,
    pub took_ns: i64,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AlertError {
    #[error("there is no such alert: it may have been forgotten, list them")]
    AlertNotFound,
    #[error("the alert is over: there is nothing to see to")]
    AlertOver,
    #[error("there is no rule \"{0}\": list them")]
    RuleNotFound(String),
    #[error("the rule is at version {actual}, not {expected}: read it again, decide again")]
    StaleVersion { expected: u64, actual: u64 },
    #[error("there are {limit} rules, which is as many as there may be: delete one first")]
    TooManyRules { limit: usize },
    /// A field that the caller mends.
    #[error("{field} {detail}")]
    Invalid { field: &'static str, detail: String },
    #[error("request_id \"{0}\" is already used for another request: make a new id for a new one")]
    RequestTaken(RequestId),
    #[error("there is no channel \"{name}\": {known}")]
    NoChannel { name: String, known: String },
    /// It could not be made durable, or is not known to be; the same request may be repeated.
    #[error("alerts cannot be changed now: {0}; repeat the same request")]
    Unavailable(String),
    #[error("the alerts of this node are busy: ask again in a moment")]
    Busy,
}

/// What the desk answers with.
pub type AlertAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AlertError>> + Send + 'a>>;

/// The alerts of a node.
pub trait AlertDesk: Send + Sync {
    /// Returns what is known, and is told with each change.
    fn view(&self) -> watch::Receiver<Arc<AlertsView>>;

    /// Makes a change. It is durable when this returns.
    ///
    /// Errors: [`AlertError`].
    fn change(&self, request: AlertRequest) -> AlertAnswer<'_, AlertReply>;

    /// Sends a test message.
    ///
    /// Errors: `NoChannel`, `Busy`; that it was not taken is an answer.
    fn test(&self, channel: String, by: String) -> AlertAnswer<'_, ChannelTest>;
}
