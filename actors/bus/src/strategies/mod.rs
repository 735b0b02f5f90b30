//! The strategies that were deployed into the accounts of a node, for front ends: what there is, what
//! can be asked of it, and what happened. The node implements [`StrategyDesk`].

mod log;

pub use log::{LogLine, Read, StrategyEvent, StrategyEventKind, StrategyEvents};

use crate::message::CommandError;
use apex_domain::deployment::{DeploymentState, RestartPolicy};
use apex_domain::order::Order;
use apex_domain::{AccountId, InstrumentId, RequestId, StrategyId, UnixNanos};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// A strategy within an account.
pub type StrategyKey = (AccountId, StrategyId);

/// A request that changes something, by which the same answer is found again for seven days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub user_id: String,
    pub request_id: RequestId,
    /// `Service/Method`.
    pub method: &'static str,
    /// All that is asked.
    pub content: Vec<u8>,
}

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    Integer,
    Decimal,
    /// One of these words.
    Choice(Vec<String>),
}

/// One parameter of a type of strategy. Numbers are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    pub name: String,
    pub kind: ParameterKind,
    /// `None` where the strategy works the value out by itself, as `help` says.
    pub default: Option<String>,
    /// Inclusive.
    pub min: Option<String>,
    /// Inclusive.
    pub max: Option<String>,
    pub unit: Option<String>,
    /// It changes while the strategy runs; the others need a restart.
    pub live: bool,
    pub help: String,
}

/// A type of strategy that can be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyTypeInfo {
    pub name: String,
    pub help: String,
    /// The build that has the code.
    pub code_version: String,
    pub parameters: Vec<ParameterInfo>,
}

/// A strategy that is to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStrategy {
    pub key: StrategyKey,
    pub strategy_type: String,
    /// Empty is all.
    pub instruments: Vec<InstrumentId>,
    pub parameters: BTreeMap<String, String>,
    pub restart: RestartPolicy,
}

/// Other parameters of a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterChange {
    pub key: StrategyKey,
    /// The version that the change was made from.
    pub expected_version: u32,
    /// These are set; the others stay.
    pub set: BTreeMap<String, String>,
    /// These go back to their defaults.
    pub reset: Vec<String>,
    /// One that runs may be restarted, where a parameter does not change while it does.
    pub allow_restart: bool,
}

/// When new parameters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The running one was told.
    Live,
    /// Its process begins anew.
    Restarted,
    /// It does not run.
    NextStart,
    /// They are what they were: no version was made.
    Unchanged,
}

/// What happens to working orders, and to positions, of a strategy that is paused or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindDown {
    pub cancel: bool,
    pub close: bool,
}

/// A version of a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    pub version: u32,
    pub content_hash: String,
    pub code_version: String,
    pub instruments: Vec<String>,
    /// As they were given, without defaults.
    pub parameters: BTreeMap<String, String>,
    pub by: String,
    pub created: UnixNanos,
}

/// What a strategy uses of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    pub orders_in_last_second: usize,
    pub orders_per_second: usize,
    pub messages_in_last_second: usize,
    pub messages_per_second: usize,
    pub unanswered_batches: usize,
    pub window: usize,
    pub oldest_unanswered_ns: i64,
    pub answer_timeout_ns: i64,
}

/// A strategy as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyInfo {
    pub key: StrategyKey,
    pub strategy_type: String,
    pub state: DeploymentState,
    /// Why it stands so: its last failure. Empty where there is none.
    pub reason: String,
    pub restart: RestartPolicy,
    /// The newest.
    pub version: VersionInfo,
    /// It has a session, so it is shown data.
    pub connected: bool,
    /// Since the platform started.
    pub restarts: u64,
    /// Who last wanted it otherwise.
    pub by: String,
    pub created: UnixNanos,
    pub changed: UnixNanos,
}

/// What became of a pause or a stop.
#[derive(Clone, Debug)]
pub struct WoundDown {
    pub strategy: StrategyInfo,
    /// The orders whose cancel was decided.
    pub canceled: Vec<Order>,
    /// The closing of its positions goes on under the request's id.
    pub closing: bool,
}

/// Why something of a strategy was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StrategyDeskError {
    /// Fields that the caller mends: name and description of each.
    #[error("{}", .0.iter().map(|(f, d)| format!("{f}: {d}")).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<(String, String)>),
    #[error("account \"{account_id}\" has no strategy \"{strategy_id}\"")]
    NotFound {
        account_id: AccountId,
        strategy_id: StrategyId,
    },
    #[error(
        "account \"{account_id}\" has a strategy \"{strategy_id}\" already: name another, or change \
         that one"
    )]
    Exists {
        account_id: AccountId,
        strategy_id: StrategyId,
    },
    #[error("request_id \"{0}\" is already used for another request: make a new id for a new one")]
    RequestTaken(RequestId),
    #[error(
        "strategy \"{strategy_id}\" has version {actual} and not {expected}: look at it again, then \
         decide"
    )]
    StaleVersion {
        strategy_id: StrategyId,
        expected: u32,
        actual: u32,
    },
    /// A rule says no.
    #[error("{detail}")]
    Rule { code: &'static str, detail: String },
    /// It is not known whether it was kept; the same request may be repeated.
    #[error("{0}; repeat the same request")]
    NotKept(String),
    #[error("the node is stopping")]
    Stopping,
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// What a desk answers with.
pub type StrategyAnswer<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, StrategyDeskError>> + Send + 'a>>;

/// The strategies of a node. Each change is carried out to its end when its caller goes away
/// meanwhile.
pub trait StrategyDesk: Send + Sync + fmt::Debug {
    /// Returns what can be deployed, in order of name.
    fn types(&self) -> Vec<StrategyTypeInfo>;

    /// Returns what was deployed, in order of account and id.
    fn list(&self) -> Vec<StrategyInfo>;

    /// Returns a strategy.
    fn get(&self, key: &StrategyKey) -> Option<StrategyInfo>;

    /// Returns versions of a strategy, the newest first, at most `limit`, before the number `before`
    /// (0: from the newest).
    ///
    /// Errors: `NotFound`, `NotKept`.
    fn versions(
        &self,
        key: &StrategyKey,
        before: u32,
        limit: usize,
    ) -> StrategyAnswer<'_, Vec<VersionInfo>>;

    /// Returns what a strategy uses of its budget; `None` while it has no session.
    ///
    /// Errors: none.
    fn usage(&self, key: &StrategyKey) -> StrategyAnswer<'_, Option<BudgetUse>>;

    /// Returns what happened since the node started.
    fn events(&self) -> StrategyEvents;

    /// Deploys a strategy. It does not run yet.
    ///
    /// Errors: [`StrategyDeskError`].
    fn deploy(&self, asked: Asked, new: NewStrategy) -> StrategyAnswer<'_, StrategyInfo>;

    /// Starts a strategy, or lets a paused one order again.
    ///
    /// Errors: [`StrategyDeskError`].
    fn start(&self, asked: Asked, key: StrategyKey) -> StrategyAnswer<'_, StrategyInfo>;

    /// Refuses new orders of a running strategy, which is shown everything as before. When it
    /// returns, all that it had asked for before is with its account.
    ///
    /// Errors: [`StrategyDeskError`]; its orders are refused whatever the error.
    fn pause(&self, asked: Asked, key: StrategyKey, cancel: bool) -> StrategyAnswer<'_, WoundDown>;

    /// Ends a strategy: it may save its state, then its process is gone.
    ///
    /// Errors: [`StrategyDeskError`]; its orders are refused whatever the error.
    fn stop(&self, asked: Asked, key: StrategyKey, wind: WindDown)
    -> StrategyAnswer<'_, WoundDown>;

    /// Changes parameters, which makes a version.
    ///
    /// Errors: [`StrategyDeskError`].
    fn update(
        &self,
        asked: Asked,
        change: ParameterChange,
    ) -> StrategyAnswer<'_, (StrategyInfo, Applied)>;
}
