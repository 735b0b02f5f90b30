//! Backups of a data folder and of databases, and the way back, with the state of their accounts
//! compared.

mod place;
mod report;

use crate::NodeError;
use crate::marks::Marks;
use crate::replay::archive;
use crate::stores::{self, DATABASE_URL, ServerSettings, TIMESCALE_URL};
use crate::verify::{Verification, verify_restored};
use apex_domain::account::Account;
use apex_persistence::{RecoverError, recover};
use apex_storage::backup::{Copied, Holds, Manifest, Source, Targets, UNFINISHED};
pub use apex_storage::backup::{Keep, Progress, Step};
use apex_storage::postgres::{PgServer, ServerOptions, schema_version};
pub use apex_storage::s3::S3Options;
use apex_storage::{RecordRef, StorageError, backup};
use apex_venues::sim::journal;
pub use place::Place;
pub use report::{
    AccountEnd, BackupReport, CheckReport, DatabaseRows, ListReport, ListedBackup, PruneReport,
    RestoreReport,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The databases that are set.
struct Databases {
    journals: Option<PgServer>,
    series: Option<PgServer>,
}

impl Databases {
    /// Errors: `Storage`, which names the setting.
    fn connect(servers: &ServerSettings) -> Result<Databases, NodeError> {
        let connect = |variable, url: &Option<String>| {
            let options = url.as_ref().map(|url| ServerOptions::new(variable, url));
            options.map(PgServer::connect).transpose()
        };
        let journals = connect(DATABASE_URL, &servers.database_url)?;
        let series = connect(TIMESCALE_URL, &servers.timescale_url)?;
        Ok(Databases {
            series: series.or_else(|| journals.clone()),
            journals,
        })
    }
}

/// Takes a backup of a data folder and of the databases that are set, in use or not. Every journal
/// is checked and folded on the way.
///
/// Errors: `Usage` when the accounts are elsewhere, or the place is in the data folder; `NoJournal`;
/// `Storage` of the folder, the databases, their journals or the place; `Read` when a journal does not
/// fold. Earlier backups stand.
pub fn take(
    data_dir: &Path,
    servers: &ServerSettings,
    place: &Place,
    progress: Progress<'_>,
) -> Result<BackupReport, NodeError> {
    place.refuse_inside(data_dir)?;
    let files = ServerSettings::default();
    // The venue keeps nothing in the databases, which are of what trades there.
    let servers = if is_venue(data_dir)? { &files } else { servers };
    stores::check_place(data_dir, servers)?;
    let databases = Databases::connect(servers)?;
    refuse_without(data_dir, &databases)?;
    stores::check_series(data_dir, databases.series.as_ref().map(PgServer::name))?;
    let moved = match databases.journals {
        Some(_) => stores::bucket(servers)?,
        None => None,
    };
    let begun = Instant::now();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let begun_ns = since.map_or(0, |since| since.as_nanos() as u64);
    let objects = place.open()?;
    let mut folds = Folds::default();
    let mut each = |account_id: &str, record: RecordRef<'_>| folds.fold(account_id, record);
    let source = Source {
        data_dir,
        journals: databases.journals.as_ref(),
        series: used_series(&databases)?,
        moved: moved.as_ref(),
        build: env!("CARGO_PKG_VERSION"),
        progress,
    };
    let copied = backup::copy(&source, &*objects, begun_ns, &mut each)?;
    refuse_empty(&copied, data_dir, &databases)?;
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
        databases: manifest.contents().map(DatabaseRows::from).collect(),
        reserves_elsewhere: manifest.reserves_elsewhere(),
        state_hash: manifest.state_hash.clone(),
    })
}

/// Returns whether a folder is the one of the simulated venue.
fn is_venue(data_dir: &Path) -> Result<bool, NodeError> {
    let has_journal = data_dir.join(journal::FILE_NAME).is_file();
    Ok(has_journal && stores::noted_place(data_dir)?.is_none())
}

/// Returns the database of series, where it was ever used for them.
fn used_series(databases: &Databases) -> Result<Option<&PgServer>, NodeError> {
    let Some(server) = &databases.series else {
        return Ok(None);
    };
    // One of its own gets its tables when the first market data is recorded.
    let is_unused = server.variable() == TIMESCALE_URL && schema_version(server)? == 0;
    Ok((!is_unused).then_some(server))
}

/// Refuses what has no journal that a backup could be of, before anything is written.
fn refuse_without(data_dir: &Path, databases: &Databases) -> Result<(), NodeError> {
    if !data_dir.is_dir() {
        return Err(NodeError::Usage(format!(
            "there is no folder \"{}\": check --data-dir",
            data_dir.display()
        )));
    }
    if data_dir.join(UNFINISHED).exists() {
        let path = data_dir.to_owned();
        return Err(StorageError::UnfinishedRestore { path }.into());
    }
    let Some(server) = &databases.journals else {
        let is_venue = data_dir.join(journal::FILE_NAME).is_file();
        if apex_storage::accounts(data_dir)?.is_empty() && !is_venue {
            return Err(NodeError::no_journal_in_folder(data_dir));
        }
        return Ok(());
    };
    if Marks::in_folder(data_dir).get(archive::MARK)?.is_some() {
        return Err(NodeError::Usage(format!(
            "data folder \"{}\" is of a replay, and a backup of a database is of what trades: \
             replay it again instead",
            data_dir.display()
        )));
    }
    if schema_version(server)? == 0 {
        return Err(NodeError::no_journal_in_database(server.name()));
    }
    refuse_other_folder(data_dir, server)
}

/// Refuses a folder that was not used with a database: its token, reserves and checkpoints would be
/// those of another platform.
fn refuse_other_folder(data_dir: &Path, server: &PgServer) -> Result<(), NodeError> {
    let noted = stores::noted_place(data_dir)?;
    let used = match noted.as_deref() {
        Some(noted) if noted == server.name() => return Ok(()),
        Some(noted) => format!("was used with the database {noted}"),
        None => "was never used with a database".to_owned(),
    };
    Err(NodeError::Usage(format!(
        "data folder \"{}\" {used}, and {DATABASE_URL} names {}: pass the --data-dir that `apextrade \
         up` uses with it and the same {DATABASE_URL}; where the database was moved, start `up` on it \
         once",
        data_dir.display(),
        server.name()
    )))
}

/// Refuses a database without an account before its backup is there.
fn refuse_empty(
    copied: &Copied<'_>,
    data_dir: &Path,
    databases: &Databases,
) -> Result<(), NodeError> {
    match &databases.journals {
        Some(server) if copied.journals() == 0 => {
            Err(NodeError::no_journal_in_database(server.name()))
        }
        None if copied.journals() == 0 && !data_dir.join(journal::FILE_NAME).is_file() => {
            Err(NodeError::no_journal_in_folder(data_dir))
        }
        _ => Ok(()),
    }
}

/// Restores a backup, the newest without an id, into a folder that is empty or not there and into the
/// empty databases that are set where it is of some, and checks that they have the journals and the
/// state that were backed up.
///
/// Errors: `Usage` when there is no such backup, or it has no journal; `Storage`, also when a place is
/// not empty or of another kind than the backup; `NotAsBackedUp`. After an error nothing starts on what
/// is there.
pub fn restore(
    place: &Place,
    id: Option<&str>,
    to: &Path,
    servers: &ServerSettings,
    progress: Progress<'_>,
) -> Result<RestoreReport, NodeError> {
    let begun = Instant::now();
    refuse_missing(place, id)?;
    let objects = place.look()?;
    let found = backup::find(&*objects, id)?.ok_or_else(|| none_there(place, id))?;
    let manifest = &found.manifest;
    let is_venue = manifest.has_file(journal::FILE_NAME);
    if manifest.journals.is_empty() && !is_venue {
        return Err(NodeError::Usage(format!(
            "backup {} has no journal of an account, so nothing could start on it: restore another \
             one (`apextrade backup list`)",
            found.id
        )));
    }
    let files = ServerSettings::default();
    let is_venue_alone = is_venue && manifest.journals.is_empty();
    let databases = Databases::connect(if is_venue_alone { &files } else { servers })?;
    let targets = Targets {
        journals: databases.journals.as_ref(),
        series: databases.series.as_ref(),
    };
    let restoring = backup::restore(&*objects, &found, to, &targets, progress)?;
    let accounts: Vec<_> = manifest.journals.iter().map(AccountEnd::from).collect();
    let state_hash = match is_venue_alone {
        // The venue checks its own journal when it starts.
        true => manifest.state_hash.clone(),
        false => compared(manifest, &accounts, to, restoring.journals())?,
    };
    if manifest.contents().any(|of| of.holds == Holds::Series) {
        stores::note_series(to, databases.series.as_ref().map(PgServer::name))?;
    }
    restoring.finish()?;
    Ok(RestoreReport {
        backup: found.id.clone(),
        begun_ns: manifest.begun_ns,
        seconds: begun.elapsed().as_secs_f64(),
        bytes: manifest.bytes(),
        accounts,
        databases: manifest.contents().map(DatabaseRows::from).collect(),
        reserves_elsewhere: manifest.reserves_elsewhere(),
        state_hash,
    })
}

/// Compares what was restored with what was backed up, and returns its state hash.
fn compared(
    manifest: &Manifest,
    accounts: &[AccountEnd],
    to: &Path,
    journals: Option<&PgServer>,
) -> Result<String, NodeError> {
    if let Some(server) = journals {
        stores::note_place(to, server.name())?;
    }
    // Without the bucket: all records are in the database again, and what was audited since is gone,
    // which checkpoints there would show as damage.
    let looking = journals.map(stores::look_at).transpose()?;
    let restored = verify_restored(to, looking)?;
    compare(&restored, accounts, &manifest.state_hash)?;
    Ok(restored.state_hash)
}

/// Returns what backups a place has.
///
/// Errors: `Usage` when there is no such folder; `Storage`.
pub fn list(place: &Place) -> Result<ListReport, NodeError> {
    refuse_missing(place, None)?;
    let mut backups = Vec::new();
    backup::list(&*place.look()?, &mut |listed| {
        backups.push(ListedBackup::from(listed));
    })?;
    Ok(ListReport { backups })
}

/// Reads every part of a backup, the newest without an id, against its hash.
///
/// Errors: `Usage` when there is no such backup; `Storage`. That a part is damaged is none.
pub fn check(
    place: &Place,
    id: Option<&str>,
    progress: Progress<'_>,
) -> Result<CheckReport, NodeError> {
    refuse_missing(place, id)?;
    let objects = place.look()?;
    let found = backup::find(&*objects, id)?.ok_or_else(|| none_there(place, id))?;
    let checked = backup::check_parts(&*objects, &found, progress)?;
    Ok(CheckReport {
        ok: checked.damaged.is_empty(),
        backup: found.id,
        parts: checked.parts,
        bytes: checked.bytes,
        damaged: checked.damaged,
    })
}

/// Keeps some backups of a place and removes the others.
///
/// Errors: `Usage` when there is no such folder; `Storage`: `Locked` while a backup is taken there,
/// and what the place cannot do.
pub fn prune(place: &Place, keep: Keep<'_>) -> Result<PruneReport, NodeError> {
    refuse_missing(place, None)?;
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

/// Refuses a folder that is not there: a mistyped name must not pass for a place without backups.
fn refuse_missing(place: &Place, id: Option<&str>) -> Result<(), NodeError> {
    match place {
        Place::Folder(folder) if !folder.is_dir() => Err(none_there(place, id)),
        _ => Ok(()),
    }
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
