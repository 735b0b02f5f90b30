//! What is known of an account before its journal is opened, and what is asked of it.

use super::{Changing, Kept, check_name};
use crate::StorageError;
use apex_domain::risk::Limits;
use serde::{Deserialize, Serialize};

/// Settings of an account. What it was opened with, its currency and cash, are in its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// The account; it stays.
    pub account_id: String,
    /// What people call it.
    pub title: String,
    /// Who answers for it; a user.
    pub owner: String,
    /// Where its orders go.
    pub venue: String,
    /// Some node is to run it.
    pub enabled: bool,
}

impl Kept for AccountSettings {
    const TABLE: &'static str = "accounts";
    const PREFIX: &'static str = "settings/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("account", &self.account_id)?;
        check_name("user", &self.owner)?;
        check_name("venue", &self.venue)
    }
}

impl Changing for AccountSettings {}

/// Limits that an operator asks for, for an account that may not be running. Those in force are in
/// its journal, where its owner puts these when it next has the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLimits {
    /// The account; it stays.
    pub account_id: String,
    /// Counts the times that they were asked for, from 1: the account's owner takes each once.
    pub revision: u64,
    /// Who asked.
    pub by: String,
    /// When.
    pub asked_ns: i64,
    /// What for.
    pub limits: Limits,
}

impl Kept for AccountLimits {
    const TABLE: &'static str = "accounts";
    const PREFIX: &'static str = "limits/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("account", &self.account_id)
    }
}

impl Changing for AccountLimits {}
