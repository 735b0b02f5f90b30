//! Why a node does not run.

use apex_persistence::RecoverError;
use apex_storage::StorageError;
use std::path::PathBuf;
use thiserror::Error;

/// Each says what has to be mended; none goes away by trying again at once.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("account cannot be rebuilt from its journal")]
    Recover(#[from] RecoverError),
    #[error("account cannot be opened")]
    Opening(#[source] apex_domain::account::Refusal),
    #[error("the account was never opened")]
    NotOpened,
    #[error("no thread for the journal's writer")]
    Thread(#[source] std::io::Error),
    #[error("credentials of this data folder: {0}")]
    Credentials(String),
    #[error("cannot write token file \"{}\"", path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Gateway(#[from] apex_gateway::GatewayError),
    #[error(transparent)]
    Venue(#[from] apex_venues::sim::SimVenueError),
    #[error(transparent)]
    Market(#[from] apex_domain::matching::SimError),
    #[error(transparent)]
    Replay(#[from] apex_market_data::replay::ReplayError),
    #[error(transparent)]
    Strategy(#[from] apex_strategy::StrategyError),
    #[error(transparent)]
    Strategies(#[from] crate::strategies::StrategiesError),
    #[error("cannot write \"{}\"", path.display())]
    Archive {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("replay stopped: {0}")]
    Step(String),
    #[error("{0}")]
    Usage(String),
    #[error("{name} did not start: {detail}")]
    Spawn { name: String, detail: String },
}

impl NodeError {
    /// An actor did not start.
    pub fn spawn(name: &str, error: &ractor::SpawnErr) -> NodeError {
        NodeError::Spawn {
            name: name.to_owned(),
            detail: error.to_string(),
        }
    }
}
