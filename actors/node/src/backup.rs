//! Backups of a data folder, and the way back, with the state of its accounts compared.

use crate::NodeError;
use crate::stores::{self, DATABASE_URL, ServerSettings};
use crate::verify::{Verification, verify};
use apex_domain::account::Account;
use apex_persistence::{RecoverError, recover};
use apex_storage::s3::S3Objects;
pub use apex_storage::s3::S3Options;
use apex_storage::{FolderObjects, Objects, RecordRef, backup};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where backups are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder, which the first backup makes.
    Folder(PathBuf),
    /// A bucket of a server that speaks S3.
    S3(S3Options),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => write!(f, "folder \"{}\"", folder.display()),
            Place::S3(options) => write!(f, "bucket {} at {}", options.bucket, options.endpoint),
        }
    }
}

impl Place {
    fn open(&self) -> Result<Box<dyn Objects>, NodeError> {
        Ok(match self {
            Place::Folder(folder) => Box::new(FolderObjects::open(folder)?),
            Place::S3(options) => Box::new(S3Objects::connect(options.clone())?),
        })
    }
}

/// A backup that was taken, in the form that `apextrade backup --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct BackupReport {
    /// Names it for `restore`.
    pub backup: String,
    /// What was answered before this time is in it.
    pub begun_ns: u64,
    pub seconds: f64,
    /// Bytes of its files, zeros included.
    pub bytes: u64,
    /// Bytes that were copied now.
    pub copied_bytes: u64,
    /// Bytes that an earlier backup had copied.
    pub known_bytes: u64,
    pub accounts: Vec<AccountEnd>,
    pub state_hash: String,
}

/// A backup that was restored, in the form that `apextrade restore --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    pub backup: String,
    pub begun_ns: u64,
    pub seconds: f64,
    pub bytes: u64,
    pub accounts: Vec<AccountEnd>,
    pub state_hash: String,
}

/// Backups that were removed, in the form that `apextrade backup prune --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct PruneReport {
    /// What is left, oldest first.
    pub kept: Vec<String>,
    /// What was removed, oldest first.
    pub removed: Vec<String>,
    /// Bytes that only they had.
    pub removed_bytes: u64,
}

/// How far an account's journal goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountEnd {
    pub account_id: String,
    pub last_sequence: u64,
    pub chain: String,
}

impl From<&backup::JournalEnd> for AccountEnd {
    fn from(end: &backup::JournalEnd) -> AccountEnd {
        AccountEnd {
            account_id: end.account_id.clone(),
            last_sequence: end.sequence,
            chain: end.chain.clone(),
        }
    }
}

/// Takes a backup of a data folder, in use or not. Every journal is checked and folded on the way.
///
/// Errors: `Usage` when the accounts are in a database; `Storage` of the folder, its journals or the
/// place; `Read` when a journal does not fold. Earlier backups stand.
pub fn take(
    data_dir: &Path,
    servers: &ServerSettings,
    place: &Place,
) -> Result<BackupReport, NodeError> {
    refuse_database(data_dir, servers)?;
    let begun = Instant::now();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let begun_ns = since.map_or(0, |since| since.as_nanos() as u64);
    let objects = place.open()?;
    let mut folds = Folds::default();
    let mut each = |account_id: &str, record: RecordRef<'_>| folds.fold(account_id, record);
    let copied = backup::copy(data_dir, &*objects, begun_ns, &mut each)?;
    let taken = copied.finish(&folds.state_hash()?)?;
    let manifest = &taken.manifest;
    Ok(BackupReport {
        backup: taken.id,
        begun_ns,
        seconds: begun.elapsed().as_secs_f64(),
        bytes: manifest.bytes(),
        copied_bytes: taken.copied_bytes,
        known_bytes: taken.known_bytes,
        accounts: manifest.journals.iter().map(AccountEnd::from).collect(),
        state_hash: manifest.state_hash.clone(),
    })
}

/// Restores a backup, the newest without an id, into a folder that is empty or not there, and checks
/// that it has the journals and the state that were backed up.
///
/// Errors: `Usage` when there is no such backup; `Storage`, also when the place is not empty;
/// `NotAsBackedUp`.
pub fn restore(place: &Place, id: Option<&str>, to: &Path) -> Result<RestoreReport, NodeError> {
    let begun = Instant::now();
    if let Place::Folder(folder) = place
        && !folder.is_dir()
    {
        return Err(none_there(place, id));
    }
    let objects = place.open()?;
    let found = backup::find(&*objects, id)?.ok_or_else(|| none_there(place, id))?;
    backup::restore(&*objects, &found, to)?;
    let manifest = &found.manifest;
    let accounts: Vec<_> = manifest.journals.iter().map(AccountEnd::from).collect();
    let restored = verify(to, &ServerSettings::default())?;
    compare(&restored, &accounts, &manifest.state_hash)?;
    Ok(RestoreReport {
        backup: found.id.clone(),
        begun_ns: manifest.begun_ns,
        seconds: begun.elapsed().as_secs_f64(),
        bytes: manifest.bytes(),
        accounts,
        state_hash: restored.state_hash,
    })
}

/// Keeps the newest `keep` backups of a place, one at least, and removes the others.
///
/// Errors: `Usage` when there is no such folder; `Storage`: `Locked` while a backup is taken there,
/// and what the place cannot do.
pub fn prune(place: &Place, keep: usize) -> Result<PruneReport, NodeError> {
    if let Place::Folder(folder) = place {
        if !folder.is_dir() {
            return Err(none_there(place, None));
        }
        // To open it removes what is half written: by a backup that is being taken.
        backup::refuse_writers(&FolderObjects::look(folder))?;
    }
    let objects = place.open()?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_s = since.unwrap_or_default().as_secs() as i64;
    let pruned = backup::prune(&*objects, keep, now_s, backup::YOUNG)?;
    Ok(PruneReport {
        kept: pruned.kept,
        removed: pruned.removed,
        removed_bytes: pruned.removed_bytes,
    })
}

fn none_there(place: &Place, id: Option<&str>) -> NodeError {
    let what = id.map_or_else(
        || "no backup".to_owned(),
        |id| format!("no backup \"{id}\""),
    );
    NodeError::Usage(format!(
        "there is {what} in {place}: check the folder or bucket, and --backup"
    ))
}

fn refuse_database(data_dir: &Path, servers: &ServerSettings) -> Result<(), NodeError> {
    if servers.database_url.is_some() {
        return Err(NodeError::Usage(format!(
            "{DATABASE_URL} is set, and a backup is of a data folder: back the database up by its \
             own means, such as pg_dump, or unset it"
        )));
    }
    // A folder whose accounts are in a database says so.
    stores::look(data_dir, servers).map(drop)
}

fn compare(
    restored: &Verification,
    accounts: &[AccountEnd],
    state_hash: &str,
) -> Result<(), NodeError> {
    let differs = |what: String| Err(NodeError::NotAsBackedUp(what));
    if let Some(bad) = &restored.first_bad {
        let (id, sequence, reason) = (&bad.account_id, bad.sequence, &bad.reason);
        return differs(format!(
            "account {id} is damaged at sequence {sequence}: {reason}"
        ));
    }
    let found = restored.accounts.iter().map(|account| AccountEnd {
        account_id: account.account_id.clone(),
        last_sequence: account.last_sequence,
        chain: account.chain.clone(),
    });
    if !found.eq(accounts.iter().cloned()) {
        return differs("its journals end elsewhere".to_owned());
    }
    if restored.state_hash != state_hash {
        let found = &restored.state_hash;
        return differs(format!("its state hash is {found}, not {state_hash}"));
    }
    Ok(())
}

/// The accounts of a copy, folded while it is made.
#[derive(Default)]
struct Folds {
    accounts: BTreeMap<String, Account>,
    unreadable: Option<RecoverError>,
}

impl Folds {
    fn fold(&mut self, account_id: &str, record: RecordRef<'_>) {
        if self.unreadable.is_some() {
            return;
        }
        if !self.accounts.contains_key(account_id) {
            self.accounts.insert(account_id.to_owned(), Account::new());
        }
        if let Some(account) = self.accounts.get_mut(account_id)
            && let Err(error) = recover::fold(account, &record.to_record())
        {
            self.unreadable = Some(error);
        }
    }

    fn state_hash(self) -> Result<String, NodeError> {
        if let Some(error) = self.unreadable {
            return Err(NodeError::Read(error));
        }
        let states = self.accounts.values().filter_map(|account| {
            let id = account.account_id()?;
            Some((id, account.sequence(), account.state_hash()))
        });
        let hash = apex_domain::hash::state_hash(states);
        Ok(format!("{hash:016x}"))
    }
}
