//! Why a strategy host ends.

use apex_proto::FieldErrors;
use apex_strategy::StrategyError;
use std::time::Duration;
use thiserror::Error;

/// Errors of a strategy host. Whoever started it decides whether to start it again.
#[derive(Debug, Error)]
pub enum HostError {
    /// Starting it again with the same configuration does not help.
    #[error("configuration: {0}")]
    Config(String),
    /// As above: the strategy or its parameters.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// Start it again a little later.
    #[error("gateway {url}: {detail}")]
    Connect { url: String, detail: String },
    /// The gateway refused the session or broke it off.
    #[error("session refused: {code}: {message}")]
    Refused { code: String, message: String },
    /// Start it again a little later.
    #[error("gateway said nothing for {0:?}")]
    Silent(Duration),
    /// Both sides must be of one version.
    #[error("{what}: {source}")]
    Wire {
        what: &'static str,
        #[source]
        source: FieldErrors,
    },
    #[error("protocol: {0}")]
    Protocol(String),
    /// The platform ended the session against the strategy.
    #[error("session ended: {kind}: {reason}")]
    Ended { kind: String, reason: String },
    /// The strategy panicked or broke its own budget.
    #[error("strategy {reason}")]
    Failed { reason: String },
}
