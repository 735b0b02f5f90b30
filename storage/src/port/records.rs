//! The records port: small values by table and key (users, API keys, settings of accounts,
//! answers kept for idempotency).

use crate::StorageError;

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
}

/// Largest value in bytes; kept small because tables are held in memory.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Largest key in bytes.
pub const MAX_KEY_BYTES: usize = 256;

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
}
