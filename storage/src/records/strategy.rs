//! Strategies and what they were at each time.

use super::{Changing, Found, Kept, check_name, found, inserting, replacing};
use crate::StorageError;
use crate::port::records::Records;
use serde::{Deserialize, Serialize};

/// The table of states that strategies save: bytes of their own, by [`state_key`]. A node writes
/// one as the owner of the strategy, see [`super::Hold::put`].
pub const STATE_TABLE: &str = "strategy_state";

/// Returns the key of a strategy's state in an account.
pub fn state_key(account_id: &str, strategy_id: &str) -> String {
    format!("{account_id}/{strategy_id}")
}

/// A strategy, whatever its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// The id that its orders carry; it stays.
    pub strategy_id: String,
    /// Its newest version; 0 before the first.
    pub version: u32,
    /// No node runs it.
    pub disabled: bool,
}

/// A version of a strategy. It never changes: what ran is what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyVersion {
    /// The strategy.
    pub strategy_id: String,
    /// From 1, without gaps.
    pub version: u32,
    /// SHA-256 of the object with its code and parameters, in 64 hexadecimal digits.
    pub content_hash: String,
    /// Where that object is in the store of objects.
    pub object_key: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub created_ns: i64,
}

impl Kept for Strategy {
    const TABLE: &'static str = "strategies";
    const PREFIX: &'static str = "strategy/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.strategy_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("strategy", &self.strategy_id)
    }
}

impl Changing for Strategy {}

impl Kept for StrategyVersion {
    const TABLE: &'static str = "strategies";
    const PREFIX: &'static str = "version/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        format!("{}/{:010}", self.strategy_id, self.version)
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("strategy", &self.strategy_id)?;
        let hash = &self.content_hash;
        let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if hash.len() == 64 && hash.bytes().all(is_digit) {
            return Ok(());
        }
        Err(StorageError::BadName {
            what: "content hash",
            name: hash.chars().take(80).collect(),
            form: "64 hexadecimal digits, small letters",
        })
    }
}

/// Adds the next version of a strategy that was found, and makes it the newest.
///
/// # Errors
/// `Conflict` when the strategy was changed meanwhile; `BadName` when the version is not the next;
/// those of [`Records::change`].
pub fn add_version(
    records: &dyn Records,
    strategy: &Found<Strategy>,
    version: &StrategyVersion,
) -> Result<Found<Strategy>, StorageError> {
    let known = &strategy.value;
    let is_next = known.version.checked_add(1) == Some(version.version);
    if !is_next || known.strategy_id != version.strategy_id {
        return Err(StorageError::BadName {
            what: "strategy version",
            name: version.key(),
            form: "the next one of the strategy",
        });
    }
    let next = Strategy {
        version: version.version,
        ..known.clone()
    };
    records.change(&[replacing(strategy, &next)?, inserting(version)?])?;
    found(&next)
}
