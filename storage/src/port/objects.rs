//! The objects port: whole files by key (archives, backups, reports, closed journal segments).
//!
//! An object is there whole or not at all, and is checked against the hash of its content whenever
//! it is read whole. Keys are made by the platform; what a caller names goes through
//! [`ObjectKey::new`], which leaves no way out of the store.

use crate::StorageError;
use crate::error::{Damage, Position};
use std::fmt;
use std::io::Read;
use std::time::Duration;

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// Largest part of an object that one call returns, in bytes.
pub const MAX_READ_BYTES: u64 = 64 << 20;

/// The name of an object: parts of `[A-Za-z0-9._=-]`, `/` between them, at most 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Takes a text over as a key.
    ///
    /// # Errors
    /// `BadName` when a part is empty, `.` or `..`, or holds another character.
    pub fn new(text: &str) -> Result<ObjectKey, StorageError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '=' | '-');
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..") && part.len() <= 200 && part.chars().all(allowed)
        };
        if text.len() <= MAX_KEY_BYTES && text.split('/').all(is_part) {
            return Ok(ObjectKey(text.to_owned()));
        }
        Err(StorageError::BadName {
            what: "object key",
            name: text.chars().take(80).collect(),
            form: "parts of [A-Za-z0-9._=-]{1,200} with / between them, 512 bytes in all",
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of an object's content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Reads what [`fmt::Display`] writes: 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<ContentHash> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Some(ContentHash(hash))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: ObjectKey,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was stored, in seconds since 1970 by the store's clock.
    pub stored_at: i64,
}

/// Whole files by key. Blocking; shared between threads.
pub trait Objects: Send + Sync {
    /// Stores everything that `content` gives, new or in place of the old object, and returns its
    /// hash. It is durable when this returns; until then, and after an error, the old one stands.
    ///
    /// # Errors
    /// `Full`, `Io`, `Unavailable`; an error of `content` itself as `Io`.
    fn put(&self, key: &ObjectKey, content: &mut dyn Read) -> Result<ContentHash, StorageError>;

    /// Returns a whole object, checked against its hash; `None` when there is none.
    ///
    /// # Errors
    /// `Damaged` when the content is not what was stored; `TooLarge` beyond [`MAX_READ_BYTES`]:
    /// read it in ranges; `Io`, `Unavailable`.
    fn get(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StorageError>;

    /// Returns up to `length` bytes from `offset` on: fewer at the end, none behind it. What a
    /// range holds is not checked. `None` when there is no such object.
    ///
    /// # Errors
    /// `TooLarge` for a length beyond [`MAX_READ_BYTES`]; `Io`, `Unavailable`.
    fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, StorageError>;

    /// Returns the hash that an object was stored with; `None` when there is none.
    ///
    /// # Errors
    /// `Io`, `Unavailable`.
    fn hash(&self, key: &ObjectKey) -> Result<Option<ContentHash>, StorageError>;

    /// Returns up to `limit` objects whose key begins with `prefix`, in order of key, behind
    /// `after`.
    ///
    /// # Errors
    /// `Io`, `Unavailable`.
    fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StorageError>;

    /// Removes an object and returns whether it was there.
    ///
    /// # Errors
    /// `Io`, `Unavailable`.
    fn delete(&self, key: &ObjectKey) -> Result<bool, StorageError>;

    /// Returns a URL at which anybody who has it can read the object for so long; `None` where the
    /// store has no such thing, and the gateway hands the object out itself.
    ///
    /// # Errors
    /// `Unavailable`.
    fn presign(&self, key: &ObjectKey, valid: Duration) -> Result<Option<String>, StorageError>;

    /// Removes objects below `prefix` by themselves once they are older than this many days. A
    /// folder does it now and each time it is asked; a server at its own times.
    ///
    /// # Errors
    /// `Io`, `Unavailable`.
    fn expire(&self, prefix: &str, days: u32) -> Result<(), StorageError>;
}

/// Checks the length of what one call would return.
pub(crate) fn check_length(bytes: u64) -> Result<(), StorageError> {
    if bytes <= MAX_READ_BYTES {
        return Ok(());
    }
    Err(StorageError::TooLarge {
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        // Within memory.
        limit_bytes: MAX_READ_BYTES as usize,
    })
}

/// The error of an object that is not what was stored.
pub(crate) fn damaged(key: &ObjectKey) -> StorageError {
    damaged_by(key, Damage::Checksum)
}

/// The error of an object that is not what it has to be.
pub(crate) fn damaged_by(key: &ObjectKey, reason: Damage) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: format!("object {key}"),
            offset: 0,
            sequence: 0,
        },
        reason,
    }
}
