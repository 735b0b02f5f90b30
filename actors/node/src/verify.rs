//! Checks every journal of a data folder, the audit too, and rebuilds the state from it alone.

use crate::NodeError;
use crate::audit::{self, AuditVerification};
use crate::stores::{self, Looking, ServerSettings};
use apex_domain::AccountId;
use apex_domain::account::Account;
use apex_persistence::{recover, starts};
use apex_storage::backup::UNFINISHED;
use apex_storage::verify::VerifyReport;
use apex_storage::{AUDIT_JOURNAL, Journals, RecordRef, StorageError};
use serde::Serialize;
use std::cell::Cell;
use std::path::Path;

/// What was found, in the form that `apextrade verify --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    pub ok: bool,
    /// Records of all accounts.
    pub records: u64,
    /// Bytes of unfinished last writes; no damage.
    pub torn_tail_bytes: u64,
    pub first_bad: Option<FirstBad>,
    /// Over all accounts in order of id; empty when something is damaged.
    pub state_hash: String,
    pub accounts: Vec<AccountVerification>,
    /// `None` where no audit was ever begun.
    pub audit: Option<AuditVerification>,
}

/// Where the first damage lies; of the audit with `account_id` "=audit".
#[derive(Clone, Debug, Serialize)]
pub struct FirstBad {
    pub account_id: String,
    pub segment: String,
    pub offset: u64,
    pub sequence: u64,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct AccountVerification {
    pub account_id: String,
    pub records: u64,
    pub last_sequence: u64,
    pub chain: String,
    pub state_hash: String,
}

/// Checks all journals of a data folder, or of the database that it was used with, without changing
/// anything and without a lock.
///
/// Errors: `Usage` when there is no such folder and `NoJournal` when it has none of an account, since
/// a mistyped name must not pass for a journal without fault; `Storage` when it, or the database, cannot be read. Damage is no error but
/// `ok: false`.
pub fn verify(data_dir: &Path, servers: &ServerSettings) -> Result<Verification, NodeError> {
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
    check(data_dir, servers, stores::look(data_dir, servers)?)
}

/// What was found without a bucket that cannot be used.
#[derive(Clone, Debug)]
pub struct HereAlone {
    pub found: Verification,
    /// Records that were moved to the bucket and not looked at.
    pub moved: u64,
}

/// As [`verify`], of the journals of accounts and without a bucket: what was moved to it is passed over,
/// and what follows is then checked by its chain and not folded. The audit is not looked at.
///
/// Errors: as [`verify`].
pub fn verify_here(data_dir: &Path, servers: &ServerSettings) -> Result<HereAlone, NodeError> {
    let servers = ServerSettings {
        s3: None,
        ..servers.clone()
    };
    let Some(database) = stores::look(data_dir, &servers)? else {
        let found = verify_all(data_dir)?;
        return Ok(HereAlone { found, moved: 0 });
    };
    let rows = Rows {
        database,
        moved: Cell::new(0),
    };
    let found = verify_all(&rows)?;
    let moved = rows.moved.get();
    Ok(HereAlone { found, moved })
}

/// As [`verify`], of what a restore that is under way has brought, without a bucket.
pub(crate) fn verify_restored(
    data_dir: &Path,
    database: Option<Looking>,
) -> Result<Verification, NodeError> {
    check(data_dir, &ServerSettings::default(), database)
}

fn check(
    data_dir: &Path,
    servers: &ServerSettings,
    database: Option<Looking>,
) -> Result<Verification, NodeError> {
    let place = match &database {
        Some(database) => NodeError::no_journal_in_database(database.journals.name()),
        None => NodeError::no_journal_in_folder(data_dir),
    };
    let mut found = match &database {
        Some(database) => verify_all(database)?,
        None => verify_all(data_dir)?,
    };
    if found.accounts.is_empty() && found.first_bad.is_none() {
        return Err(place);
    }
    found.audit = audit::verify(data_dir, servers, database.as_ref())?;
    if let Some(audit) = &found.audit {
        found.torn_tail_bytes += audit.torn_tail_bytes;
        if let Some(bad) = &audit.first_bad {
            found.ok = false;
            found.first_bad.get_or_insert(FirstBad {
                account_id: AUDIT_JOURNAL.to_owned(),
                segment: bad.segment.clone(),
                offset: bad.offset,
                sequence: bad.sequence,
                reason: bad.reason.clone(),
            });
        }
    }
    Ok(found)
}

/// Where journals are read for a check.
trait Source {
    fn accounts(&self) -> Result<Vec<String>, StorageError>;
    /// The sequence up to which an account's journal was durable by its last note.
    fn durable(&self, account_id: &str) -> Result<u64, StorageError>;
    fn check(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError>;
}

impl Source for Path {
    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        apex_storage::accounts(self)
    }

    fn durable(&self, account_id: &str) -> Result<u64, StorageError> {
        starts::durable_in(self, account_id)
    }

    fn check(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        apex_storage::verify(self, account_id, each)
    }
}

impl Source for Looking {
    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        self.journals.accounts()
    }

    fn durable(&self, account_id: &str) -> Result<u64, StorageError> {
        starts::durable(&self.records, account_id)
    }

    fn check(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        self.journals.verify(account_id, each)
    }
}

/// A database without the records that were moved out of it.
struct Rows {
    database: Looking,
    moved: Cell<u64>,
}

impl Source for Rows {
    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        self.database.accounts()
    }

    fn durable(&self, account_id: &str) -> Result<u64, StorageError> {
        self.database.durable(account_id)
    }

    fn check(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        let mut is_whole = false;
        let mut from_first = |record: RecordRef<'_>| {
            is_whole |= record.sequence == 1;
            if is_whole {
                each(record);
            }
        };
        let journals = &self.database.journals;
        let (report, moved) = journals.verify_rows(account_id, &mut from_first)?;
        self.moved.set(self.moved.get() + moved);
        Ok(report)
    }
}

fn verify_all(source: &(impl Source + ?Sized)) -> Result<Verification, NodeError> {
    let mut verification = Verification {
        ok: true,
        records: 0,
        torn_tail_bytes: 0,
        first_bad: None,
        state_hash: String::new(),
        accounts: Vec::new(),
        audit: None,
    };
    let mut states: Vec<(AccountId, u64, u64)> = Vec::new();
    for account_id in source.accounts()? {
        verify_account(source, &account_id, &mut verification, &mut states)?;
    }
    if verification.ok {
        let hash = apex_domain::hash::state_hash(
            states
                .iter()
                .map(|(id, sequence, rolled)| (id, *sequence, *rolled)),
        );
        verification.state_hash = format!("{hash:016x}");
    }
    Ok(verification)
}

fn verify_account(
    source: &(impl Source + ?Sized),
    account_id: &str,
    verification: &mut Verification,
    states: &mut Vec<(AccountId, u64, u64)>,
) -> Result<(), NodeError> {
    let mut account = Account::new();
    let mut unreadable: Option<(u64, String)> = None;
    let mut each = |record: RecordRef<'_>| {
        if unreadable.is_none()
            && let Err(error) = recover::fold(&mut account, &record.to_record())
        {
            unreadable = Some((record.sequence, error.to_string()));
        }
    };
    // Before the journal is read, which may be growing.
    let durable = source.durable(account_id)?;
    let report = source.check(account_id, &mut each)?;
    verification.records += report.records;
    verification.torn_tail_bytes += report.torn_tail_bytes;
    let bad = report
        .first_bad
        .map(|bad| FirstBad {
            account_id: account_id.to_owned(),
            segment: bad.segment,
            offset: bad.offset,
            sequence: bad.sequence,
            reason: bad.reason,
        })
        .or_else(|| {
            unreadable.map(|(sequence, reason)| FirstBad {
                account_id: account_id.to_owned(),
                segment: String::new(),
                offset: 0,
                sequence,
                reason,
            })
        })
        .or_else(|| {
            (report.head.sequence < durable).then(|| FirstBad {
                account_id: account_id.to_owned(),
                segment: String::new(),
                offset: 0,
                sequence: report.head.sequence + 1,
                reason: format!(
                    "journal ends at sequence {}, but {durable} was durable at the last start or \
                     stop: segment files are missing or were cut",
                    report.head.sequence
                ),
            })
        });
    if let Some(bad) = bad {
        verification.ok = false;
        verification.first_bad.get_or_insert(bad);
        return Ok(());
    }
    verification.accounts.push(AccountVerification {
        account_id: account_id.to_owned(),
        records: report.records,
        last_sequence: report.head.sequence,
        chain: report.head.chain.to_string(),
        state_hash: format!("{:016x}", account.state_hash()),
    });
    // An empty journal belongs to no account yet and adds nothing.
    if let Some(id) = account.account_id() {
        states.push((id.clone(), account.sequence(), account.state_hash()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_journal_is_no_journal_without_fault() {
        let folder = tempfile::tempdir().unwrap();
        let empty = verify(folder.path(), &ServerSettings::default()).unwrap_err();
        assert!(matches!(empty, NodeError::NoJournal { .. }), "{empty}");
        let missing = folder.path().join("mistyped");
        assert!(matches!(
            verify(&missing, &ServerSettings::default()),
            Err(NodeError::Usage(_))
        ));
        assert!(!missing.exists());
    }
}
