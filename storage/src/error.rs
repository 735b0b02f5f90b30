//! What can go wrong, by what the caller does next.

mod damage;

pub use damage::{Damage, Position};

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::port::journals::AUDIT_JOURNAL;

/// Why a storage call was not carried out. Variants are told apart by what the caller does next.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// No space is left for this. Nothing was written and nothing was staged: refuse new work with
    /// a clear status, go on with reads, try again when `probe` says that there is space.
    #[error("disk full: no space for {what}")]
    Full {
        /// What did not fit, for a person.
        what: String,
    },
    /// The system could not make written bytes durable. The outcome of the commit is unknown and
    /// stays so: abort the process and recover. It is never retried as success.
    #[error("fsync of \"{}\" failed", path.display())]
    FsyncFailed {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A read or a write failed. For a journal: abort the process and recover.
    #[error("{action} \"{}\" failed", path.display())]
    Io {
        /// What was tried: `write`, `read`, `rename`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Stored bytes are not what was written. Do not trade on it: restore from a backup.
    #[error("damaged at {position}: {reason}")]
    Damaged {
        /// Where the first bad byte range begins.
        position: Position,
        /// How it was noticed.
        reason: Damage,
    },
    /// Someone else has it open. Stop the other one, or use another data folder.
    #[error("\"{}\" is in use by {holder}", path.display())]
    Locked {
        /// The lock file or the folder of the account.
        path: PathBuf,
        /// Who holds it, for a person: `process 4711`.
        holder: String,
    },
    /// Written by a newer build. Upgrade this one; nothing was changed.
    #[error("\"{file}\" has format version {found}, this build reads up to {supported}")]
    NewerVersion {
        /// The file's name.
        file: String,
        /// The version found.
        found: u16,
        /// The newest version this build reads.
        supported: u16,
    },
    /// The staged batch cannot take these units as well: commit, then append them again.
    #[error("staged batch is full at {limit_bytes} bytes")]
    BatchFull {
        /// The largest batch in bytes.
        limit_bytes: usize,
    },
    /// The units can never be stored in one batch. A bug or an absurd input of the caller.
    #[error("unit of {bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge {
        /// Size asked for.
        bytes: usize,
        /// Largest size accepted.
        limit_bytes: usize,
    },
    /// A record's sequence is not the one after the last. A bug of the caller.
    #[error("sequence {found} where {expected} must follow")]
    Sequence {
        /// The only sequence that could be appended.
        expected: u64,
        /// What was given.
        found: u64,
    },
    /// A snapshot of records that are not durable was refused. A bug of the caller.
    #[error("snapshot at sequence {snapshot} is ahead of the durable sequence {durable}")]
    SnapshotAhead {
        /// Sequence of the snapshot.
        snapshot: u64,
        /// Durable sequence of the journal.
        durable: u64,
    },
    /// A snapshot could not be stored; the one before it stands. Go on, try again later.
    #[error("snapshot \"{}\" could not be written", path.display())]
    SnapshotFailed {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A name that cannot be a file name of ours. Refuse the input it came from.
    #[error("{what} {name:?} is not of the form {form}")]
    BadName {
        /// What it should name.
        what: &'static str,
        /// As given.
        name: String,
        /// The accepted form.
        form: &'static str,
    },
    /// A key does not hold what a change of records expects. Nothing was written: read again and
    /// decide again.
    #[error(
        "record {key:?} of table \"{table}\" is not what was expected: it was changed meanwhile"
    )]
    Conflict {
        /// The table of the first change that did not hold.
        table: String,
        /// Its key.
        key: String,
    },
    /// Two changes of one call have the same key. A bug of the caller; nothing was written.
    #[error("record {key:?} of table \"{table}\" is changed twice in one call")]
    SameKeyTwice {
        /// The table.
        table: String,
        /// The key.
        key: String,
    },
    /// One call has more changes of records than are made together. A bug of the caller; nothing
    /// was written.
    #[error("{changes} changes of records in one call, at most {limit} are made together")]
    TooManyChanges {
        /// As given.
        changes: usize,
        /// At the most.
        limit: usize,
    },
    /// A server went away while it committed changes of records, and what became of them was not
    /// found out in time. They are there all or not at all: read again before anything else.
    #[error("it is not known whether {server} stored a change of records: {detail}")]
    OutcomeUnknown {
        /// `PostgreSQL at host:port/database`.
        server: String,
        /// What was seen last.
        detail: String,
    },
    /// A server does not answer, or not as it should. At start: begin it or mend its setting. From a
    /// commit: the outcome was not found out in time, so abort the process and recover.
    #[error("{server} is not available: {detail} (set by {variable})")]
    Unavailable {
        /// `PostgreSQL at host:port/database`; never a user or password.
        server: String,
        /// What it or the system said.
        detail: String,
        /// The setting that names it.
        variable: &'static str,
    },
    /// A server refuses what is to be stored, for a reason of its content: a constraint, a trigger, a
    /// number out of range. Trying again does not help. From a commit: nothing of it is stored, and
    /// the journal cannot go on: abort the process and recover, and mend what its text names.
    #[error("{server} refuses {what}: {detail} (set by {variable})")]
    Refused {
        /// `PostgreSQL at host:port/database`; never a user or password.
        server: String,
        /// What was to be stored: `records 5 to 9 of account paper`.
        what: String,
        /// What it said, with its code.
        detail: String,
        /// The setting that names the server.
        variable: &'static str,
    },
    /// A setting cannot be used as it is. Its text says what to do; trying again does not help.
    #[error("{variable} {detail}")]
    Setting {
        /// The setting: `APEX_DATABASE_URL`.
        variable: &'static str,
        /// What is wrong and what to do, without secrets.
        detail: String,
    },
    /// Another owner has taken the account over. Nothing of this one is stored any more: stop
    /// trading the account here.
    #[error("account {account_id} has another owner: epoch {found} where this one has {epoch}")]
    Fenced {
        /// The account.
        account_id: String,
        /// The epoch of the one refused.
        epoch: u64,
        /// The account's epoch now; 0 when it is not known.
        found: u64,
    },
    /// A reserve was left from a time when the server was away, and the account was written by
    /// another owner since, or its database ends before the reserve. Which of the two is right is for
    /// a person to say: look at both, and move the reserve's folder away to go on with what the
    /// server has. What was acknowledged on the reserve is missing then.
    #[error(
        "the reserve \"{}\" of account {account_id} holds records {first} to {last}, but {}",
        path.display(), conflict(*first, *server_at)
    )]
    ReserveConflict {
        /// The reserve's folder.
        path: PathBuf,
        /// The account.
        account_id: String,
        /// Sequence of the first record in the reserve.
        first: u64,
        /// Sequence of the last one.
        last: u64,
        /// Sequence of the last record on the server.
        server_at: u64,
    },
    /// Another data folder may hold a reserve of these accounts: what was acknowledged there while the
    /// server was away, a halt or a cancel, is not in the database. Start on that folder, or take the
    /// accounts over without it, which halts them.
    #[error(
        "the database may lack what was acknowledged while it was away: {}; this data folder has \
         none of it",
        ReserveHolder::list(holders)
    )]
    ReserveElsewhere {
        /// Where the reserves may be, by account.
        holders: Vec<ReserveHolder>,
    },
    /// A data folder holds a reserve of another database. It is never merged into this one.
    #[error(
        "the reserve \"{}\" belongs to the database {of}, and this one is {found}",
        path.display()
    )]
    ReserveOfOther {
        /// The folder of the reserves.
        path: PathBuf,
        /// The database that it was made for: `host:port/name (id)`.
        of: String,
        /// The database that was opened.
        found: String,
    },
    /// An instrument is known with other decimals. Its mantissas would mean other numbers: give
    /// those that it is known with, or another instrument id.
    #[error(
        "instrument {instrument_id} has {stored} decimals (price/quantity) in storage, not {given}"
    )]
    OtherDecimals {
        /// The instrument.
        instrument_id: String,
        /// As stored: `2/5`.
        stored: String,
        /// As given.
        given: String,
    },
    /// Rows of an instrument that was never declared. A bug of the caller.
    #[error("instrument {instrument_id} is not declared: say its decimals before its first row")]
    NotDeclared {
        /// The instrument.
        instrument_id: String,
    },
    /// A Parquet file that is none, is damaged, or holds other columns than it says. Give another
    /// file; of the archive itself: import the data again.
    #[error("{name} cannot be used as Parquet: {detail}")]
    Parquet {
        /// The file or object.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A row that the archive cannot hold. Leave it out or mend it; rows before it may be stored.
    #[error("row at {ts_ns} ns {detail}")]
    Row {
        /// Its time.
        ts_ns: i64,
        /// What is wrong.
        detail: &'static str,
    },
    /// A restore needs an empty place. Nothing was touched.
    #[error("\"{}\" is not empty: restore into a new folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A restore into the folder did not come to its end: it holds a part of a backup.
    #[error("the restore into \"{}\" did not end: empty the folder and restore again", path.display())]
    UnfinishedRestore {
        /// The folder.
        path: PathBuf,
    },
    /// A restore needs an empty database. Nothing was touched.
    #[error(
        "the database {name} is not empty: restore into one that was just made (set by {variable})"
    )]
    NotEmptyDatabase {
        /// `host:port/database`.
        name: String,
        /// The setting that names it.
        variable: &'static str,
    },
    /// A restore into the database did not come to its end: it holds nothing, or a part of a backup.
    #[error(
        "the restore into the database {name} did not end: drop it, make it anew and restore again \
         (set by {variable})"
    )]
    UnfinishedDatabase {
        /// `host:port/database`.
        name: String,
        /// The setting that names it.
        variable: &'static str,
    },
    /// A backup is not what was stored. Restore another one; what was begun is started by nobody.
    #[error("backup {backup} is damaged: {part} {reason}")]
    DamagedBackup {
        /// Its id.
        backup: String,
        /// The object of the store: `backup/blobs/<hash>`.
        part: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A server answers, and gives or takes nothing of a large table for long. See what it does, or what it
    /// waits for, and try again.
    #[error(
        "{server} answers, and for {seconds} s nothing came of a large table: see in pg_stat_activity \
         whether it waits for a lock or reads, give it time or a faster disk, and run it again"
    )]
    TooSlow {
        /// The server.
        server: String,
        /// How long nothing came.
        seconds: u64,
    },
    /// A backup, or a removal of old ones, stood still for so long that another one may have removed what
    /// it counts on. Earlier backups stand; run it again.
    #[error(
        "it stood still for too long, and its mark {mark} may have counted as that of nobody: run it again"
    )]
    StalledWriter {
        /// The object of the store.
        mark: String,
    },
    /// There is nothing there.
    #[error("no journal in \"{}\"", path.display())]
    NotFound {
        /// The folder looked in.
        path: PathBuf,
    },
}

/// Says why a reserve does not go on from where its database ends.
fn conflict(first: u64, server_at: u64) -> String {
    if server_at + 1 < first {
        return format!(
            "its database ends at record {server_at}, before that: it was brought back to an earlier time"
        );
    }
    format!("its database was written by another owner since and ends at record {server_at}")
}

/// A data folder that may hold a reserve of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveHolder {
    /// The account, or the audit's journal.
    pub account_id: String,
    /// The folder with its host, for people: `host:/srv/apex`.
    pub folder: String,
    /// The epoch of the owner that used it.
    pub epoch: u64,
    /// Since when that owner had the account, UTC: `2026-11-27T13:40:00Z`.
    pub since: String,
}

impl ReserveHolder {
    fn list(holders: &[ReserveHolder]) -> String {
        let each: Vec<String> = holders.iter().map(ReserveHolder::to_string).collect();
        each.join(", ")
    }
}

impl fmt::Display for ReserveHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReserveHolder {
            account_id,
            folder,
            epoch,
            since,
        } = self;
        match account_id.as_str() {
            AUDIT_JOURNAL => write!(f, "the audit")?,
            account_id => write!(f, "account {account_id}")?,
        }
        write!(
            f,
            " may have a reserve in \"{folder}\" (owner of epoch {epoch} since {since})"
        )
    }
}

impl StorageError {
    /// Returns whether the process has to abort and recover, since what is durable is not known.
    pub fn must_abort(&self) -> bool {
        matches!(
            self,
            StorageError::FsyncFailed { .. }
                | StorageError::Io { .. }
                | StorageError::Unavailable { .. }
                | StorageError::OutcomeUnknown { .. }
                | StorageError::Refused { .. }
                | StorageError::Fenced { .. }
        )
    }

    /// Sorts an I/O error by what the caller does next: no space is `Full`, all else is `Io`.
    /// Returns whether a file that was named is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            StorageError::NotFound { .. } => true,
            StorageError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if no_space(&source) {
            return StorageError::Full {
                what: format!("{action} \"{}\"", path.display()),
            };
        }
        StorageError::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Like [`StorageError::io`], but no space is an `Io` too: for a write into space that was
    /// already allocated, where a part may have been written and the outcome is unknown.
    pub(crate) fn io_fatal(action: &'static str, path: &Path, source: io::Error) -> Self {
        StorageError::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn fsync(path: &Path, source: io::Error) -> Self {
        StorageError::FsyncFailed {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }
}

/// Returns whether the system says that there is no space, or no quota, left.
pub(crate) fn no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
