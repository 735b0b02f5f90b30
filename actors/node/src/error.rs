//! Why a node does not run.

use apex_persistence::RecoverError;
use apex_storage::StorageError;
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
    #[error("{name} did not start: {detail}")]
    Spawn { name: String, detail: String },
}
