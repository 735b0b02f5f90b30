//! The records port: small values by table and key (users, API keys, settings of accounts,
//! answers kept for idempotency).

use crate::StorageError;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};

/// A table's keys and values, in order of key.
pub type Entries = Vec<(String, Vec<u8>)>;

/// Small keyed values. Blocking; shared between threads.
///
/// A table comes into being with its first `put`. Table names are `[a-z0-9_]{1,32}`, keys are 1 to
/// 256 bytes of any text, values up to 1 MiB.
pub trait Records: Send + Sync {
    /// Returns the value, or `None` when the key is not there.
    ///
    /// # Errors
    /// `BadName`; `Damaged` or `Io` when the table cannot be read.
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// Stores a value, new or in place of the old one. It is durable when this returns.
    ///
    /// # Errors
    /// - `BadName`, `TooLarge`: the input is wrong; nothing was written.
    /// - `Full`: nothing was written; try later.
    /// - anything that `must_abort`: the outcome is unknown, and every later change of the table
    ///   fails as well until the store is opened anew.
    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError>;

    /// Removes a key and returns whether it was there. It is durable when this returns.
    ///
    /// # Errors
    /// As `put`.
    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError>;

    /// Returns the whole table in order of key; empty when there is no such table.
    ///
    /// # Errors
    /// As `get`.
    fn list(&self, table: &str) -> Result<Entries, StorageError>;

    /// Carries out several changes, all or none of them, where each finds its key as it expects.
    /// They are durable when this returns. Of two callers that expect the same of a key and change
    /// it, in whatever process, exactly one succeeds.
    ///
    /// # Errors
    /// - `Conflict`: the first one that did not find what it expects. Nothing was written: read
    ///   again, decide again.
    /// - `SameKeyTwice`, `BadName`, `TooLarge`: the input is wrong; nothing was written.
    /// - `Full`: nothing was written; try later.
    /// - `OutcomeUnknown`: a server went away while it committed. Read again.
    /// - anything else that `must_abort`: as `put`.
    fn change(&self, changes: &[Change]) -> Result<(), StorageError>;

    /// Returns a part of a table in order of key. It may be shorter than asked for where values are
    /// large, but is empty only at the end.
    ///
    /// # Errors
    /// As `get`.
    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError>;

    /// Returns the store's clock, in nanoseconds since 1970: a server's own, which is one for all
    /// who share it, else that of this machine. It may be set back.
    ///
    /// # Errors
    /// `Unavailable` when the server does not answer.
    fn now_ns(&self) -> Result<i64, StorageError>;
}

/// What part of a table is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Only keys that begin with this; empty for all.
    pub prefix: &'a str,
    /// Only keys behind this one: the last key of the page before. `None` begins.
    pub after: Option<&'a str>,
    /// Entries at the most; more than [`MAX_PAGE`] counts as that, zero gives none.
    pub limit: usize,
}

impl<'a> Page<'a> {
    /// Returns the first page of the keys with a prefix.
    pub fn first(prefix: &'a str, limit: usize) -> Page<'a> {
        Page {
            prefix,
            after: None,
            limit,
        }
    }

    /// Returns the page behind a key.
    #[must_use]
    pub fn behind(self, key: &'a str) -> Page<'a> {
        Page {
            after: Some(key),
            ..self
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.limit.min(MAX_PAGE)
    }
}

/// One of the changes that are made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The key; no other change of the same call has it.
    pub key: String,
    /// What has to be there.
    pub expected: Expected,
    /// What is done.
    pub action: Action,
}

/// What a change has to find at its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// Nothing.
    Absent,
    /// Exactly this value.
    Value(Vec<u8>),
    /// A value that begins with these bytes: the rest of it may change.
    Begin(Vec<u8>),
}

/// What a change does with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the others depend on what is there.
    Keep,
    /// Stores a value.
    Put(Vec<u8>),
    /// Removes the key; one that is not there is no error.
    Delete,
}

impl Change {
    fn new(table: &str, key: &str, expected: Expected, action: Action) -> Change {
        Change {
            table: table.to_owned(),
            key: key.to_owned(),
            expected,
            action,
        }
    }

    /// Stores a value whatever was there.
    pub fn put(table: &str, key: &str, value: impl Into<Vec<u8>>) -> Change {
        Change::new(table, key, Expected::Anything, Action::Put(value.into()))
    }

    /// Stores the first value of a key.
    pub fn insert(table: &str, key: &str, value: impl Into<Vec<u8>>) -> Change {
        Change::new(table, key, Expected::Absent, Action::Put(value.into()))
    }

    /// Stores a value in place of exactly the one that is known.
    pub fn replace(
        table: &str,
        key: &str,
        known: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Change {
        let expected = Expected::Value(known.into());
        Change::new(table, key, expected, Action::Put(value.into()))
    }

    /// Removes a key whatever was there.
    pub fn delete(table: &str, key: &str) -> Change {
        Change::new(table, key, Expected::Anything, Action::Delete)
    }

    /// Removes a key that has exactly the value that is known.
    pub fn remove(table: &str, key: &str, known: impl Into<Vec<u8>>) -> Change {
        Change::new(table, key, Expected::Value(known.into()), Action::Delete)
    }

    /// Lets the others happen only while a key has exactly this value.
    pub fn unchanged(table: &str, key: &str, known: impl Into<Vec<u8>>) -> Change {
        Change::new(table, key, Expected::Value(known.into()), Action::Keep)
    }

    /// Lets the others happen only while a key has a value that begins with these bytes.
    pub fn begins(table: &str, key: &str, begin: impl Into<Vec<u8>>) -> Change {
        Change::new(table, key, Expected::Begin(begin.into()), Action::Keep)
    }

    /// Lets the others happen only while a key is not there.
    pub fn absent(table: &str, key: &str) -> Change {
        Change::new(table, key, Expected::Absent, Action::Keep)
    }
}

/// Changes of one call: more than any record of ours needs, and still one write of a disk.
pub const MAX_CHANGES: usize = 64;
/// Bytes of all keys and values of one call.
pub const MAX_CHANGES_BYTES: usize = 4 << 20;
/// Entries of one page.
pub const MAX_PAGE: usize = 1_000;
/// A page ends with the entry that brings its values to this.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// Largest value in bytes; kept small because tables are held in memory.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Largest key in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// Returns the clock of this machine, in nanoseconds since 1970.
pub(crate) fn machine_now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 counts as its begin; nanoseconds fit until 2262.
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// Checks a table's name.
pub(crate) fn check_table(table: &str) -> Result<(), StorageError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=32).contains(&table.len()) && table.chars().all(allowed) {
        return Ok(());
    }
    let name = table.chars().take(80).collect();
    Err(StorageError::BadName {
        what: "table",
        name,
        form: "[a-z0-9_]{1,32}",
    })
}

/// Checks what a caller gives; every backend accepts and refuses the same.
pub(crate) fn check_input(table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
    check_table(table)?;
    if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
        let name = key.chars().take(80).collect();
        return Err(StorageError::BadName {
            what: "key",
            name,
            form: "1 to 256 bytes",
        });
    }
    if value.len() > MAX_VALUE_BYTES {
        let (bytes, limit_bytes) = (value.len(), MAX_VALUE_BYTES);
        return Err(StorageError::TooLarge { bytes, limit_bytes });
    }
    Ok(())
}

/// Checks the changes of one call; every backend accepts and refuses the same.
pub(crate) fn check_changes(changes: &[Change]) -> Result<(), StorageError> {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for change in changes {
        let Change { table, key, .. } = change;
        let (mut put, mut known) = (&[][..], &[][..]);
        if let Action::Put(value) = &change.action {
            put = value;
        }
        if let Expected::Value(value) | Expected::Begin(value) = &change.expected {
            known = value;
        }
        check_input(table, key, put)?;
        check_input(table, key, known)?;
        bytes += table.len() + key.len() + put.len();
        if !seen.insert((table, key)) {
            return Err(StorageError::SameKeyTwice {
                table: table.clone(),
                key: key.clone(),
            });
        }
    }
    if changes.len() > MAX_CHANGES {
        return Err(StorageError::TooManyChanges {
            changes: changes.len(),
            limit: MAX_CHANGES,
        });
    }
    if bytes > MAX_CHANGES_BYTES {
        let limit_bytes = MAX_CHANGES_BYTES;
        return Err(StorageError::TooLarge { bytes, limit_bytes });
    }
    Ok(())
}

/// Holds what is there against what the changes expect, in their order.
pub(crate) fn check_expected<'a>(
    changes: &[Change],
    found: impl Fn(&Change) -> Option<&'a [u8]>,
) -> Result<(), StorageError> {
    for change in changes {
        let holds = match (&change.expected, found(change)) {
            (Expected::Anything, _) | (Expected::Absent, None) => true,
            (Expected::Value(known), Some(value)) => known == value,
            (Expected::Begin(begin), Some(value)) => value.starts_with(begin),
            (Expected::Absent, Some(_)) | (Expected::Value(_) | Expected::Begin(_), None) => false,
        };
        if !holds {
            return Err(StorageError::Conflict {
                table: change.table.clone(),
                key: change.key.clone(),
            });
        }
    }
    Ok(())
}

/// Returns a page of rows that are held in order.
pub(crate) fn page_of(rows: &BTreeMap<String, Vec<u8>>, page: &Page<'_>) -> Entries {
    let from = match page.after {
        Some(after) if after >= page.prefix => Bound::Excluded(after),
        _ => Bound::Included(page.prefix),
    };
    let mut bytes = 0;
    rows.range::<str, _>((from, Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(page.prefix))
        .take(page.entries())
        .take_while(|(_, value)| {
            let goes_on = bytes < PAGE_BYTES;
            bytes += value.len();
            goes_on
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A shared store is a store.
impl<T: Records + ?Sized> Records for std::sync::Arc<T> {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        (**self).get(table, key)
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        (**self).put(table, key, value)
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        (**self).delete(table, key)
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        (**self).list(table)
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        (**self).change(changes)
    }

    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError> {
        (**self).page(table, page)
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        (**self).now_ns()
    }
}
