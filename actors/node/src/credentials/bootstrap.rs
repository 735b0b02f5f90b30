//! What a first start makes, and what an older build left.

use super::store::StoredAccess;
use super::{ADMIN, SharedAccess, random, write};
use crate::NodeError;
use apex_bus::access::{AccessChange, AccessError, AccessStore, Swap};
use apex_domain::access::{ApiKey, Grants, Role, User};
use apex_gateway::auth::{RANDOM_BYTES, new_key, new_signing_key};
use apex_storage::records::{self, ACCESS_TABLE};
use apex_storage::{Change, Records, StorageError};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Where builds before users kept API keys.
pub(crate) const OLD_TABLE: &str = "api_keys";

/// A key as those builds kept it.
#[derive(Debug, Deserialize)]
struct OldKey {
    key_id: String,
    secret_sha256: [u8; 32],
    user_id: String,
    role: Role,
    grants: Grants,
    revoked: bool,
}

/// Moves keys of an older build to where they are kept now. Its users come into being with them.
///
/// # Errors
/// `Credentials` for one that cannot be read, which stays; those of the store.
pub(super) fn move_old(records: &dyn Records) -> Result<(), NodeError> {
    for (key_id, bytes) in records.list(OLD_TABLE)? {
        let old: OldKey = serde_json::from_slice(&bytes)
            .map_err(|error| NodeError::Credentials(format!("key {key_id}: {error}")))?;
        let mut changes = Vec::new();
        if records::find::<User>(records, &old.user_id)?.is_none() {
            let user = User::new(&old.user_id, old.role, old.grants.clone(), 0);
            changes.push(records::inserting(&user)?);
        }
        let key = ApiKey {
            key_id: old.key_id,
            secret_hash: old.secret_sha256,
            user_id: old.user_id,
            name: "of an earlier version".to_owned(),
            role: old.role,
            grants: old.grants,
            scopes: BTreeSet::new(),
            networks: Vec::new(),
            created_ns: 0,
            expires_ns: None,
            revoked_ns: old.revoked.then_some(0),
        };
        changes.push(records::inserting(&key)?);
        changes.push(Change::remove(OLD_TABLE, &key_id, bytes));
        changes.push(Change::put(
            ACCESS_TABLE,
            "generation/users",
            format!("moved-{key_id}"),
        ));
        match records.change(&changes) {
            // Another process of the same platform moves them too.
            Ok(()) | Err(StorageError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes what is missing. Returns the id of the API key that was made, if one was.
///
/// # Errors
/// [`NodeError`].
pub(super) fn first(
    store: &Arc<StoredAccess>,
    token_file: &Path,
) -> Result<Option<String>, NodeError> {
    let known = SharedAccess(store.clone());
    let now = known.now_ns();
    if known.user(ADMIN).is_none() {
        let admin = User::new(ADMIN, Role::Admin, Grants::All, now);
        made(store, AccessChange::User(Swap::insert(admin)))?;
    }
    if known.signing_keys().is_empty() {
        let key = new_signing_key(now).map_err(NodeError::Credentials)?;
        // Two that start at once may both make one: each is as good, and both are known to all.
        made(store, AccessChange::Signing(Swap::insert(key)))?;
    }
    if token_file.exists() {
        return Ok(None);
    }
    for key in known.keys() {
        if key.user_id == ADMIN && key.revoked_ns.is_none() {
            let after = ApiKey {
                revoked_ns: Some(now),
                ..(*key).clone()
            };
            // Only of the key as it was read: what another process changed meanwhile stays.
            let swap = Swap::replace((*key).clone(), after);
            store.write(&write(vec![AccessChange::Key(swap)]))?;
        }
    }
    let new = new_key(
        &random::<RANDOM_BYTES>()?,
        ADMIN,
        Role::Admin,
        Grants::All,
        now,
    );
    let record = ApiKey {
        name: "admin.token".to_owned(),
        ..new.record
    };
    let key_id = record.key_id.clone();
    // One of the same id is a conflict and stays: it may be another's.
    store.write(&write(vec![AccessChange::Key(Swap::insert(record))]))?;
    write_private(token_file, &new.token).map_err(|source| NodeError::Token {
        path: token_file.to_owned(),
        source,
    })?;
    Ok(Some(key_id))
}

/// Makes a record, which another process may have made at the same moment.
fn made(store: &StoredAccess, change: AccessChange) -> Result<(), NodeError> {
    match store.write(&write(vec![change])) {
        Ok(()) => Ok(()),
        Err(AccessError::Conflict) => Ok(store.follow()?),
        Err(error) => Err(error.into()),
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
