//! What backup commands print.

use apex_storage::backup::{self, Listed};
use serde::Serialize;

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
    /// What of databases is in it.
    pub databases: Vec<DatabaseRows>,
    /// Reserves that other data folders may hold and that are not in it: a start on what is restored
    /// asks for them.
    pub reserves_elsewhere: u64,
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
    /// What of databases is in it.
    pub databases: Vec<DatabaseRows>,
    /// Reserves that other data folders may hold and that are not in it: a start on what is restored
    /// asks for them.
    pub reserves_elsewhere: u64,
    pub state_hash: String,
}

/// A backup whose parts were read, in the form that `apextrade backup check --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub ok: bool,
    pub backup: String,
    /// Parts that it names, each once, and their bytes.
    pub parts: u64,
    pub bytes: u64,
    /// What is wrong, with the part that it is wrong with.
    pub damaged: Vec<String>,
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

/// What a backup has of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseRows {
    /// `journals`, with records, or `series`.
    pub holds: &'static str,
    /// `host:port/database` that it was taken of.
    pub name: String,
    pub rows: u64,
}

impl From<backup::Contents<'_>> for DatabaseRows {
    fn from(of: backup::Contents<'_>) -> DatabaseRows {
        DatabaseRows {
            holds: of.holds.word(),
            name: of.name.to_owned(),
            rows: of.rows,
        }
    }
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

/// The backups of a place, in the form that `apextrade backup list --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct ListReport {
    /// Oldest first.
    pub backups: Vec<ListedBackup>,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub struct ListedBackup {
    pub backup: String,
    /// What was answered before this time is in it; `None` where its list cannot be read.
    pub begun_ns: Option<u64>,
    /// Bytes of its files, zeros included, and of its rows.
    pub bytes: Option<u64>,
    /// `folder`, or `database` where the journals were in one.
    pub kind: Option<&'static str>,
    /// Version of the build that took it; builds before 2 of its list did not say so.
    pub build: Option<String>,
    /// Version of the schema of its databases.
    pub schema: Option<i32>,
    pub accounts: Vec<AccountEnd>,
    /// Why it cannot be restored, where that shows in its list.
    pub error: Option<String>,
}

impl From<Listed> for ListedBackup {
    fn from(listed: Listed) -> ListedBackup {
        let mut row = ListedBackup {
            backup: listed.id,
            begun_ns: None,
            bytes: None,
            kind: None,
            build: None,
            schema: None,
            accounts: Vec::new(),
            error: None,
        };
        match listed.manifest {
            Ok(manifest) => {
                row.begun_ns = Some(manifest.begun_ns);
                row.bytes = Some(manifest.bytes());
                row.kind = Some(match manifest.has_journals_in_database() {
                    true => "database",
                    false => "folder",
                });
                row.schema = manifest.schema();
                row.accounts = manifest.journals.iter().map(AccountEnd::from).collect();
                row.build = Some(manifest.build).filter(|build| !build.is_empty());
            }
            Err(error) => row.error = Some(error.to_string()),
        }
        row
    }
}
