//! Where the segments of a journal begin once older ones were moved to the store of objects.
//!
//! `"AXJB" | version u16 | zero u16 | sequence u64 | chain 32 B | sha256`. The hash covers the
//! account too, so a base that was copied to another account does not pass.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::frame::u64_at;
use super::read::file_name;
use crate::disk::{Disk, read_all, replace_file};
use crate::error::{Damage, Position, StorageError};
use crate::port::journal::{ChainHash, Head};

const MAGIC: [u8; 4] = *b"AXJB";
const VERSION: u16 = 1;
const SEQUENCE_AT: usize = 8;
const CHAIN_AT: usize = 16;
const HASH_AT: usize = 48;
const BYTES: usize = 80;

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("base")
}

fn bytes_of(account_id: &str, base: &Head) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&base.sequence.to_le_bytes());
    bytes.extend_from_slice(&base.chain.0);
    let hash = check_of(account_id, &bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

fn check_of(account_id: &str, bytes: &[u8]) -> [u8; BYTES - HASH_AT] {
    let mut hash = Sha256::new();
    hash.update(b"apextrade journal base v1\0");
    hash.update(account_id.as_bytes());
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().into()
}

/// Returns the check of a base, for a backend that keeps its parts by themselves.
pub(crate) fn check_sum(account_id: &str, base: &Head) -> [u8; BYTES - HASH_AT] {
    check_of(account_id, &bytes_of(account_id, base)[..HASH_AT])
}

/// What a base says, or why it says nothing.
pub(crate) type Read = Result<Option<Head>, (Position, Damage)>;

/// Returns the last record that is no longer among the segments of a folder, and its link of the
/// chain; `None` where they begin with the first record.
///
/// Errors: `Io`; the inner one when the file is not what was written.
pub(crate) fn read(disk: &dyn Disk, folder: &Path, account_id: &str) -> Result<Read, StorageError> {
    let path = path(folder);
    let bytes = match read_all(disk, &path, BYTES as u64 * 2) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ok(None)),
        Err(error) => return Err(StorageError::io_fatal("read", &path, error)),
    };
    let bad = |damage| {
        let position = Position {
            segment: file_name(&path),
            offset: 0,
            sequence: 0,
        };
        Ok(Err((position, damage)))
    };
    if bytes.len() != BYTES || bytes[..4] != MAGIC {
        return bad(Damage::Malformed("journal base"));
    }
    let mut chain = [0; 32];
    chain.copy_from_slice(&bytes[CHAIN_AT..HASH_AT]);
    let base = Head {
        sequence: u64_at(&bytes, SEQUENCE_AT),
        chain: ChainHash(chain),
    };
    if bytes != bytes_of(account_id, &base) {
        return bad(Damage::Checksum);
    }
    Ok(Ok(Some(base)))
}

/// Returns the base of a folder, for who looks whether it has changed; none where it says nothing.
///
/// Errors: `Io`.
pub(crate) fn of(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
) -> Result<Option<Head>, StorageError> {
    Ok(read(disk, folder, account_id)?.unwrap_or_default())
}

/// Writes a base durably, in place of the one before. Until this returns, and after an error, that
/// one stands.
///
/// Errors: the disk's.
pub(crate) fn write(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
    base: &Head,
) -> Result<(), StorageError> {
    let path = path(folder);
    replace_file(disk, &path, &bytes_of(account_id, base))
        .map_err(|error| StorageError::io("write", &path, error))
}
