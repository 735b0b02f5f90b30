//! Strategies that were deployed into accounts, and what they were at each time.

use super::{Changing, Found, Kept, check_name, decode, found, inserting, key_of, replacing};
use crate::StorageError;
use crate::port::records::{Change, Page, Records};
use apex_domain::deployment::{Desired, RestartPolicy};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The table of states that strategies save: bytes of their own, by [`state_key`]. A node writes
/// one as the owner of the strategy, see [`super::Hold::put`].
pub const STATE_TABLE: &str = "strategy_state";

/// Returns the key of a strategy's state in an account.
pub fn state_key(account_id: &str, strategy_id: &str) -> String {
    format!("{account_id}/{strategy_id}")
}

/// A strategy in an account, whatever its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// The account that it trades in; it stays.
    pub account_id: String,
    /// The id that its orders carry; it stays.
    pub strategy_id: String,
    /// The registered name of what runs, such as `ema-cross`; it stays.
    pub strategy_type: String,
    /// Its newest version; 0 before the first.
    pub version: u32,
    /// What is wanted of it.
    pub desired: Desired,
    /// When it is started again without a person.
    pub restart: RestartPolicy,
    /// Why it stands so: its last failure. Empty where there is none.
    pub reason: String,
    /// Who wanted it so.
    pub by: String,
    /// When it was deployed.
    pub created_ns: i64,
    /// When it was last wanted otherwise.
    pub changed_ns: i64,
    /// What its last pause or stop still has to do to its orders and positions.
    pub winding: Option<Winding>,
}

/// What is done to orders and positions of a strategy that was paused or stopped. Kept with what is
/// wanted of it, so that a kill in between leaves nothing undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Winding {
    /// The request under which the account does it, once.
    pub request_id: String,
    /// Its working orders are canceled.
    pub cancel: bool,
    /// Its positions are closed.
    pub close: bool,
}

/// A version of a strategy. It never changes: what ran is what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyVersion {
    /// The account of the strategy.
    pub account_id: String,
    /// The strategy.
    pub strategy_id: String,
    /// From 1, without gaps.
    pub version: u32,
    /// What it is made of.
    pub content: StrategyContent,
    /// SHA-256 of the content, in 64 hexadecimal digits.
    pub content_hash: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub created_ns: i64,
}

/// What a version of a strategy is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyContent {
    /// The registered name of its type.
    pub strategy_type: String,
    /// The build whose code of the type it was made with.
    pub code_version: String,
    /// The instruments that it is shown; empty is all.
    pub instruments: Vec<String>,
    /// As they were given, without defaults.
    pub parameters: BTreeMap<String, String>,
}

impl StrategyContent {
    /// Returns the SHA-256 of the content as JSON, in 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        // Texts in a fixed order always serialise.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(bytes);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Kept for Strategy {
    const TABLE: &'static str = "strategies";
    const PREFIX: &'static str = "strategy/";
    /// The first named no account, and no build has written it.
    const VERSION: u16 = 2;

    fn key(&self) -> String {
        state_key(&self.account_id, &self.strategy_id)
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("account", &self.account_id)?;
        check_name("strategy", &self.strategy_id)
    }
}

impl Changing for Strategy {}

impl Kept for StrategyVersion {
    const TABLE: &'static str = "strategies";
    const PREFIX: &'static str = "version/";
    /// As of [`Strategy`].
    const VERSION: u16 = 2;

    fn key(&self) -> String {
        let strategy = state_key(&self.account_id, &self.strategy_id);
        format!("{strategy}/{:010}", self.version)
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("account", &self.account_id)?;
        check_name("strategy", &self.strategy_id)?;
        if self.content_hash == self.content.hash() {
            return Ok(());
        }
        Err(StorageError::BadName {
            what: "content hash",
            name: self.content_hash.chars().take(80).collect(),
            form: "the SHA-256 of the content",
        })
    }
}

/// Returns the changes that add the next version of a strategy, which `next` is then; `known` is
/// `None` for a strategy that is deployed now.
///
/// # Errors
/// `BadName` when the version is not the next, or of another strategy.
pub fn adding_version(
    known: Option<&Found<Strategy>>,
    next: &Strategy,
    version: &StrategyVersion,
) -> Result<[Change; 2], StorageError> {
    let before = known.map_or(0, |known| known.value.version);
    let is_next = before.checked_add(1) == Some(version.version);
    let is_its = version.account_id == next.account_id && version.strategy_id == next.strategy_id;
    if !is_next || !is_its || next.version != version.version {
        return Err(StorageError::BadName {
            what: "strategy version",
            name: version.key(),
            form: "the next one of the strategy",
        });
    }
    let strategy = match known {
        Some(known) => replacing(known, next)?,
        None => inserting(next)?,
    };
    Ok([strategy, inserting(version)?])
}

/// Adds the next version of a strategy that was found, and makes it the newest.
///
/// # Errors
/// `Conflict` when the strategy was changed meanwhile; those of [`adding_version`] and
/// [`Records::change`].
pub fn add_version(
    records: &dyn Records,
    strategy: &Found<Strategy>,
    version: &StrategyVersion,
) -> Result<Found<Strategy>, StorageError> {
    let next = Strategy {
        version: version.version,
        ..strategy.value.clone()
    };
    records.change(&adding_version(Some(strategy), &next, version)?)?;
    found(&next)
}

/// Returns versions of a strategy from the first on, at most `limit`, behind the number `after`. Only
/// an empty answer is the end.
///
/// # Errors
/// `NewerVersion`, `Damaged`, `BadName`; those of [`Records::page`].
pub fn versions(
    records: &dyn Records,
    (account_id, strategy_id): (&str, &str),
    after: u32,
    limit: usize,
) -> Result<Vec<StrategyVersion>, StorageError> {
    check_name("account", account_id)?;
    check_name("strategy", strategy_id)?;
    let strategy = state_key(account_id, strategy_id);
    let prefix = key_of::<StrategyVersion>(&format!("{strategy}/"));
    let after = (after > 0).then(|| format!("{prefix}{after:010}"));
    let page = Page {
        prefix: &prefix,
        after: after.as_deref(),
        limit,
    };
    let entries = records.page(StrategyVersion::TABLE, &page)?.into_iter();
    entries
        .map(|(key, bytes)| Ok(decode::<StrategyVersion>(&key, bytes)?.value))
        .collect()
}
