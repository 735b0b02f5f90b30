//! Who may call: the keys of this data folder, and the first one for its owner.

use crate::NodeError;
use apex_gateway::auth::{ApiKeys, Grants, KeyRecord, MemoryCredentials, RANDOM_BYTES, Role};
use apex_storage::{Change, Records};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

pub(crate) const TABLE: &str = "api_keys";

/// The owner of the data folder, whose token is in its file.
const ADMIN: &str = "admin";

/// The keys of a node, and the ones that it uses itself.
pub struct Keys {
    pub keys: ApiKeys,
    /// The public part of the key that was made now, if one was.
    pub made: Option<String>,
    memory: Arc<MemoryCredentials>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Reads the keys, and makes one for the user `admin` when its token file is missing: on the
/// first start, or after the file was deleted, which is how a lost token is replaced. The keys
/// that `admin` had before are revoked then: who found the lost token must not get in with it.
///
/// Errors: [`NodeError`] when records or token file cannot be read or written.
pub fn open(records: &dyn Records, token_file: &Path) -> Result<Keys, NodeError> {
    let mut known = Vec::new();
    let mut stored = Vec::new();
    for (key_id, bytes) in records.list(TABLE)? {
        let record: KeyRecord = serde_json::from_slice(&bytes)
            .map_err(|error| NodeError::Credentials(format!("key {key_id}: {error}")))?;
        known.push(record);
        stored.push(bytes);
    }
    let is_lost = !token_file.exists();
    if is_lost {
        let keys = known.iter_mut().zip(stored);
        for (record, stored) in keys.filter(|(key, _)| key.user_id == ADMIN) {
            record.revoked = true;
            // Only of the key as it was read: what another process changed meanwhile stays.
            let change = Change::replace(TABLE, &record.key_id, stored, encode(record)?);
            records.change(&[change])?;
        }
    }
    let memory = Arc::new(MemoryCredentials::new(known));
    let mut made = None;
    if is_lost {
        let (key_id, token) = create(records, &memory, ADMIN)?;
        made = Some(key_id);
        write_private(token_file, &token).map_err(|source| NodeError::Token {
            path: token_file.to_owned(),
            source,
        })?;
    }
    Ok(Keys {
        keys: ApiKeys::new(memory.clone()),
        made,
        memory,
    })
}

/// Returns the id of the new key and its token.
fn create(
    records: &dyn Records,
    memory: &MemoryCredentials,
    user_id: &str,
) -> Result<(String, String), NodeError> {
    let new = ApiKeys::create(&random()?, user_id, Role::Admin, Grants::All);
    keep(records, &new.record)?;
    let key_id = new.record.key_id.clone();
    memory.put(new.record);
    Ok((key_id, new.token))
}

/// Stores a new key. One of the same id is a conflict and stays: it may be another's.
fn keep(records: &dyn Records, key: &KeyRecord) -> Result<(), NodeError> {
    let change = Change::insert(TABLE, &key.key_id, encode(key)?);
    Ok(records.change(&[change])?)
}

fn encode(key: &KeyRecord) -> Result<Vec<u8>, NodeError> {
    serde_json::to_vec(key).map_err(|error| NodeError::Credentials(error.to_string()))
}

fn random() -> Result<[u8; RANDOM_BYTES], NodeError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| NodeError::Credentials(format!("no randomness: {error}")))?;
    Ok(bytes)
}

impl Keys {
    /// Makes a key that lives as long as this process: for its own strategy hosts.
    ///
    /// Errors: `Credentials` when the system gives no randomness.
    pub fn for_process(&self, user_id: &str) -> Result<String, NodeError> {
        let new = ApiKeys::create(&random()?, user_id, Role::Trader, Grants::All);
        self.memory.put(new.record);
        Ok(new.token)
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("token.new");
    // A left-over of a start that was cut off.
    let _ = std::fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_storage::MemoryRecords;

    fn opens(keys: &Keys, token: &str) -> bool {
        keys.keys.verify(token.trim()).unwrap().is_some()
    }

    #[test]
    fn a_key_whose_id_exists_is_a_conflict_and_leaves_the_other() {
        let records = MemoryRecords::new();
        let new = |user: &str| {
            let mut record =
                ApiKeys::create(&[7; RANDOM_BYTES], user, Role::Admin, Grants::All).record;
            record.key_id = "same".to_owned();
            record
        };
        keep(&records, &new("ann")).unwrap();
        let before = records.list(TABLE).unwrap();
        let refused = keep(&records, &new("mallory")).unwrap_err();
        let is_conflict = matches!(
            &refused,
            NodeError::Storage(apex_storage::StorageError::Conflict { key, .. }) if key == "same"
        );
        assert!(is_conflict, "{refused}");
        assert_eq!(records.list(TABLE).unwrap(), before);
    }

    #[test]
    fn a_lost_token_is_replaced_and_opens_nothing_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin.token");
        let records = MemoryRecords::new();
        open(&records, &file).unwrap();
        let lost = std::fs::read_to_string(&file).unwrap();
        assert!(
            opens(&open(&records, &file).unwrap(), &lost),
            "as long as its file is there"
        );

        std::fs::remove_file(&file).unwrap();
        let keys = open(&records, &file).unwrap();
        let new = std::fs::read_to_string(&file).unwrap();
        assert!(opens(&keys, &new) && !opens(&keys, &lost));
        assert!(
            !opens(&open(&records, &file).unwrap(), &lost),
            "nor after the next start"
        );
    }
}
