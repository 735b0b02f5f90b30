//! What a user's programs keep for the user: watchlists, layouts, hotkeys. Nobody else reads it.

use super::{Changing, Found, Kept, check_name, decode, key_of};
use crate::StorageError;
use crate::port::records::{Page, Records};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One of a user's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// Whose it is.
    pub user_id: String,
    /// What it is called.
    pub name: String,
    /// Grows by one with each change.
    pub version: u64,
    /// The value, in base64.
    pub value: String,
    /// When it was changed last, in nanoseconds since 1970.
    pub updated_ns: i64,
}

impl Preference {
    /// Returns the bytes that were stored; none where they cannot be read.
    pub fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.value).unwrap_or_default()
    }

    /// Returns bytes as they are stored.
    pub fn encoded(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }
}

impl Kept for Preference {
    const TABLE: &'static str = "preferences";
    const PREFIX: &'static str = "";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        preference_key(&self.user_id, &self.name)
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("user", &self.user_id)?;
        check_name("preference", &self.name)
    }
}

impl Changing for Preference {}

/// Returns the key of a user's value.
pub fn preference_key(user_id: &str, name: &str) -> String {
    format!("{user_id}/{name}")
}

/// Returns all values of a user, in order of name; at most `limit`.
///
/// # Errors
/// `BadName`, `NewerVersion`, `Damaged`; those of [`Records::page`].
pub fn preferences(
    records: &dyn Records,
    user_id: &str,
    limit: usize,
) -> Result<Vec<Found<Preference>>, StorageError> {
    check_name("user", user_id)?;
    let prefix = key_of::<Preference>(&preference_key(user_id, ""));
    let mut found: Vec<Found<Preference>> = Vec::new();
    while found.len() < limit {
        let after = found.last().map(|last| last.value.key());
        let page = Page {
            prefix: &prefix,
            after: after.as_deref(),
            limit: limit - found.len(),
        };
        let entries = records.page(Preference::TABLE, &page)?;
        if entries.is_empty() {
            break;
        }
        for (key, bytes) in entries {
            found.push(decode(&key, bytes)?);
        }
    }
    Ok(found)
}
