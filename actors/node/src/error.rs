//! Why a node does not run.

use apex_gateway::GatewayError;
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
    Gateway(#[from] GatewayError),
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
    /// Returns what a person can do about it, where that is known and the message does not say it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            NodeError::Storage(StorageError::Locked { .. }) => {
                Some("stop that process, or pass another --data-dir")
            }
            NodeError::Storage(StorageError::Full { .. }) => {
                Some("free some space: an account needs 34 MB to start")
            }
            NodeError::Storage(StorageError::Damaged { .. }) => {
                Some("nothing was changed: see `apextrade verify`, then restore from a backup")
            }
            NodeError::Gateway(GatewayError::Bind { .. }) => {
                Some("stop what serves there, or pass another --listen")
            }
            _ => None,
        }
    }

    /// An actor did not start.
    pub fn spawn(name: &str, error: &ractor::SpawnErr) -> NodeError {
        NodeError::Spawn {
            name: name.to_owned(),
            detail: error.to_string(),
        }
    }
}
