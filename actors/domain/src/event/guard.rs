//! How the guard of an order session ends.

use serde::{Deserialize, Serialize};

/// Why a session is no longer guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GuardOutcome {
    /// The client said goodbye: its orders stay.
    LetGo,
    /// The client went away, or was cut, without a goodbye.
    Disconnected,
    /// Nothing was heard of the session for its timeout.
    Silent,
}

impl GuardOutcome {
    /// Returns whether the orders of the session are canceled.
    pub fn cancels(self) -> bool {
        self != GuardOutcome::LetGo
    }
}
