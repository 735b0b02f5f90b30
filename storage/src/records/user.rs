//! Who may be known to the platform. What a caller may do stands with its key.

use super::{Changing, Kept, check_name};
use crate::StorageError;
use serde::{Deserialize, Serialize};

/// A person or program with keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name that keys and the audit have; it stays.
    pub user_id: String,
    /// The most that a key of this user may do.
    pub role: UserRole,
    /// No key of this user is let in.
    pub disabled: bool,
    /// When the user was made.
    pub created_ns: i64,
}

/// What a user may do at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Reads.
    Viewer,
    /// Reads and trades.
    Trader,
    /// Everything.
    Admin,
}

impl Kept for User {
    const TABLE: &'static str = "users";
    const PREFIX: &'static str = "";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.user_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("user", &self.user_id)
    }
}

impl Changing for User {}
