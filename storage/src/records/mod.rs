//! What the platform keeps about itself, as typed records over the port.
//!
//! | kind | table | key |
//! |---|---|---|
//! | [`User`], [`Session`], [`ApiKey`], [`SigningKey`], [`LoginLink`], [`TriesOf`] | `credentials` | `user/<id>`, `session/<id>`, `key/<id>`, `signing/<kid>`, `link/<id>`, `tries/<bucket>` |
//! | [`AccountSettings`], [`AccountLimits`] | `accounts` | `settings/<account>`, `limits/<account>` |
//! | [`Strategy`], [`StrategyVersion`] | `strategies` | `strategy/<account>/<id>`, `version/<account>/<id>/<number>` |
//! | a strategy's state: bytes of its own | `strategy_state` | `<account>/<strategy>` |
//! | [`Assignment`] | `assignments` | `<kind>/<id>` |
//! | [`Job`] | `work` | `job/<id>`, `key/<unique key>`, `due/<class>/<time>/<id>` |
//! | [`AlertHead`], `Rule`, `Alert`, [`AlertMute`], [`AlertBaseline`] | `alerts` | `head/only`, `rule/<id>`, `alert/<number>`, `mute/all`, `mute/rule/<id>`, `baseline/<account>` |
//! | [`Preference`] | `preferences` | `<user>/<name>` |
//! | [`requests::Answer`] | `requests` | `answer/<user>/<request>` |
//! | [`Schedule`], [`Firing`] | `work` | `schedule/<id>`, `firing/<schedule>/<time>` |
//!
//! Jobs, schedules and firings share a table: what changes together is one write there.
//!
//! A record is JSON, `{"version":1,"value":{…}}`. A newer version is refused as such, and so is a
//! field that this version does not have: nobody writes over what it cannot read. A change of the
//! fields is therefore a new version, which reads those before it.
//!
//! Not here: the limits in force of an account, which are events of its journal; and the audit, which is
//! a journal with a chain of hashes of its own ([`crate::audit`]).
//!
//! Times are in nanoseconds since 1970. Leases are given and run out by the clock of the store, which
//! a database's nodes share ([`Records::now_ns`]); every other time is an argument. Of several callers
//! that take a decision about one record exactly one gets it, and the others hear `Conflict`.

mod access;
mod account;
mod alert;
mod assignment;
mod job;
mod lease;
mod moment;
mod preference;
mod prune;
pub mod requests;
mod schedule;
mod strategy;
#[cfg(test)]
mod tests;

pub use access::{ACCESS_TABLE, TriesOf};
pub use account::{AccountLimits, AccountSettings};
pub use alert::{
    AlertBaseline, AlertHead, AlertMute, change_alerts, dropping, every, forgetting_alert, putting,
    storing,
};
pub use apex_domain::access::{ApiKey, LoginLink, Session, SigningKey, User};
pub use assignment::{Assigned, Assignment, AssignmentError, Hold, claim, look};
pub use job::{Job, JobState, add_job, claim_job, due_jobs, update_job};
pub use lease::{Lease, Refusal};
pub use moment::Moment;
pub use preference::{Preference, preference_key, preferences};
pub use prune::{Pruned, prune, prune_access, prune_answers};
pub use schedule::{Firing, Ledger, Outcome, Schedule, fire, firings, ledger};
pub use strategy::{
    STATE_TABLE, Strategy, StrategyContent, StrategyVersion, Winding, add_version, adding_version,
    state_key, versions,
};

use crate::StorageError;
use crate::error::{Damage, Position};
use crate::port::records::{Change, Page, Records};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A kind of record.
pub trait Kept: Serialize + DeserializeOwned {
    /// Its table.
    const TABLE: &'static str;
    /// What its keys begin with, where kinds share a table.
    const PREFIX: &'static str;
    /// The version that is written, and the newest that is read.
    const VERSION: u16;

    /// Returns its key without the prefix.
    fn key(&self) -> String;

    /// Checks what is about to be stored.
    ///
    /// # Errors
    /// `BadName`: a name or time is out of range.
    fn check(&self) -> Result<(), StorageError>;
}

/// A kind whose records change after they were made. The others are facts.
pub trait Changing: Kept {}

/// A record as it was found: what a change of it expects to find again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What it says.
    pub value: T,
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<T> {
    version: u16,
    value: T,
}

/// The part that is the same in all versions.
#[derive(Deserialize)]
struct AnyVersion {
    version: u16,
}

/// Returns the whole key of a record of a kind.
pub(crate) fn key_of<T: Kept>(key: &str) -> String {
    format!("{}{key}", T::PREFIX)
}

fn encode<T: Kept>(value: &T) -> Result<Vec<u8>, StorageError> {
    value.check()?;
    let stored = Stored {
        version: T::VERSION,
        value,
    };
    // Only a map whose keys are no text could fail, and no kind has one.
    serde_json::to_vec(&stored).map_err(|_| damaged(T::TABLE, &value.key()))
}

fn decode<T: Kept>(key: &str, bytes: Vec<u8>) -> Result<Found<T>, StorageError> {
    let bad = |_| damaged(T::TABLE, key);
    let AnyVersion { version } = serde_json::from_slice(&bytes).map_err(bad)?;
    if version > T::VERSION {
        return Err(StorageError::NewerVersion {
            file: format!("record {}/{key}", T::TABLE),
            found: version,
            supported: T::VERSION,
        });
    }
    let stored: Stored<T> = serde_json::from_slice(&bytes).map_err(bad)?;
    let value = stored.value;
    Ok(Found { value, bytes })
}

fn damaged(table: &str, key: &str) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: format!("record {table}/{key}"),
            offset: 0,
            sequence: 0,
        },
        reason: Damage::Malformed("record"),
    }
}

/// Returns a record by its key without the prefix.
///
/// # Errors
/// `NewerVersion`, `Damaged`, `BadName`; those of [`Records::get`].
pub fn find<T: Kept>(records: &dyn Records, key: &str) -> Result<Option<Found<T>>, StorageError> {
    let key = key_of::<T>(key);
    let bytes = records.get(T::TABLE, &key)?;
    bytes.map(|bytes| decode(&key, bytes)).transpose()
}

/// Returns records of a kind in order of key, at most `limit`, behind `after` (a key without the
/// prefix). Only an empty page is the end.
///
/// # Errors
/// As [`find`].
pub fn page<T: Kept>(
    records: &dyn Records,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Found<T>>, StorageError> {
    let after = after.map(key_of::<T>);
    let page = Page {
        prefix: T::PREFIX,
        after: after.as_deref(),
        limit,
    };
    let entries = records.page(T::TABLE, &page)?.into_iter();
    entries.map(|(key, bytes)| decode(&key, bytes)).collect()
}

/// Stores the first record of its key.
///
/// # Errors
/// `Conflict` when the key is there; `BadName`; those of [`Records::change`].
pub fn insert<T: Kept + Clone>(records: &dyn Records, value: &T) -> Result<Found<T>, StorageError> {
    records.change(&[inserting(value)?])?;
    found(value)
}

/// Stores a record in place of the one that was found; its key stays.
///
/// # Errors
/// `Conflict` when it was changed meanwhile; `BadName`; those of [`Records::change`].
pub fn replace<T: Changing + Clone>(
    records: &dyn Records,
    known: &Found<T>,
    value: &T,
) -> Result<Found<T>, StorageError> {
    records.change(&[replacing(known, value)?])?;
    found(value)
}

/// Returns the change that removes a record that was found, to be made together with others.
pub fn removing<T: Kept>(known: &Found<T>) -> Change {
    let key = key_of::<T>(&known.value.key());
    Change::remove(T::TABLE, &key, known.bytes.clone())
}

/// Returns the change that does nothing, where a record is as it was found: others depend on it.
pub fn keeping<T: Kept>(known: &Found<T>) -> Change {
    let key = key_of::<T>(&known.value.key());
    Change::unchanged(T::TABLE, &key, known.bytes.clone())
}

/// Removes a record that was found.
///
/// # Errors
/// `Conflict` when it was changed meanwhile; those of [`Records::change`].
pub fn remove<T: Kept>(records: &dyn Records, known: &Found<T>) -> Result<(), StorageError> {
    records.change(&[removing(known)])
}

/// As [`remove`], to be made together with other changes.
pub fn dropping_found<T: Kept>(known: &Found<T>) -> Change {
    let key = key_of::<T>(&known.value.key());
    Change::remove(T::TABLE, &key, known.bytes.clone())
}

/// As [`insert`], to be made together with other changes.
///
/// # Errors
/// `BadName`.
pub fn inserting<T: Kept>(value: &T) -> Result<Change, StorageError> {
    let key = key_of::<T>(&value.key());
    Ok(Change::insert(T::TABLE, &key, encode(value)?))
}

/// As [`replace`], to be made together with other changes.
///
/// # Errors
/// `BadName`, also for a record of another key.
pub fn replacing<T: Changing>(known: &Found<T>, value: &T) -> Result<Change, StorageError> {
    let key = value.key();
    if key != known.value.key() {
        return Err(StorageError::BadName {
            what: "key of a changed record",
            name: key,
            form: "the one that it had",
        });
    }
    let key = key_of::<T>(&key);
    Ok(Change::replace(
        T::TABLE,
        &key,
        known.bytes.clone(),
        encode(value)?,
    ))
}

fn found<T: Kept + Clone>(value: &T) -> Result<Found<T>, StorageError> {
    Ok(Found {
        value: value.clone(),
        bytes: encode(value)?,
    })
}

/// Checks a name that becomes a part of a key.
fn check_name(what: &'static str, name: &str) -> Result<(), StorageError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._@:=-".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(StorageError::BadName {
        what,
        name: name.chars().take(80).collect(),
        form: "1 to 64 letters, digits and ._@:=-",
    })
}

/// Checks a time that becomes a part of a key, where digits have to sort as numbers.
fn check_time(what: &'static str, ns: i64) -> Result<(), StorageError> {
    if ns >= 0 {
        return Ok(());
    }
    Err(StorageError::BadName {
        what,
        name: ns.to_string(),
        form: "nanoseconds since 1970, none negative",
    })
}

/// Returns a time that is not negative as digits that sort as it does.
fn sortable(ns: i64) -> String {
    format!("{ns:019}")
}
