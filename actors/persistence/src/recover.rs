//! From a journal back to an account.

use crate::KIND_ACCOUNT_EVENT;
use apex_domain::account::Account;
use apex_domain::event::{DecodeError, Recorded};
use apex_storage::{Journal, JournalError, Record, Snapshot};
use thiserror::Error;

/// Why an account could not be rebuilt. None of these is mended by trying again, but for
/// `Unavailable` of the journal's server.
#[derive(Debug, Error)]
pub enum RecoverError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("record {sequence} of kind {kind} is not known to this build")]
    Kind { sequence: u64, kind: u8 },
    #[error("record {sequence} cannot be read")]
    Decode {
        sequence: u64,
        #[source]
        source: DecodeError,
    },
    #[error("record {sequence} does not fit the state before it: {detail}")]
    Fold { sequence: u64, detail: String },
}

/// A rebuilt account and how much of it was read.
#[derive(Debug)]
pub struct Recovered {
    pub account: Account,
    /// Records that were folded behind the snapshot, or all without one.
    pub records: u64,
}

/// Rebuilds an account from its newest snapshot that can be used and the records behind it: a
/// snapshot is a short cut and never the truth, so one that cannot be used is passed over, and
/// without any all is read.
///
/// Errors: [`RecoverError`]. A server that goes away between two snapshots has not said that there
/// is no other one, and is not asked for all records.
pub fn recover(journal: &dyn Journal) -> Result<Recovered, RecoverError> {
    // Old records are moved away behind two snapshots, so the records behind the one before are there.
    let mut account = None;
    for snapshot in journal.snapshots()? {
        account = restored(snapshot?);
        if account.is_some() {
            break;
        }
    }
    let mut account = account.unwrap_or_default();
    let mut records = 0;
    for record in journal.read_from(account.sequence() + 1)? {
        fold(&mut account, &record?)?;
        records += 1;
    }
    Ok(Recovered { account, records })
}

/// Returns the account of a snapshot; `None` where it is not what an account of this build wrote.
fn restored(snapshot: Snapshot) -> Option<Account> {
    let sequence = snapshot.sequence;
    match Account::restore(&snapshot.bytes) {
        Ok(restored) if restored.sequence() == sequence => return Some(restored),
        Ok(restored) => tracing::warn!(
            sequence,
            found = restored.sequence(),
            "a snapshot is of another sequence: the one before it is used, and the records since"
        ),
        Err(error) => tracing::warn!(
            sequence,
            %error,
            "a snapshot cannot be used: the one before it is used, and the records since"
        ),
    }
    None
}

/// Folds one journal record into `account` and returns its event.
///
/// Errors: [`RecoverError`].
pub fn fold(account: &mut Account, record: &Record) -> Result<Recorded, RecoverError> {
    let recorded = decode(record)?;
    account
        .fold(&recorded)
        .map_err(|error| RecoverError::Fold {
            sequence: record.sequence,
            detail: error.to_string(),
        })?;
    Ok(recorded)
}

/// Returns the event of a journal record.
///
/// Errors: `Kind`, `Decode`.
pub fn decode(record: &Record) -> Result<Recorded, RecoverError> {
    let sequence = record.sequence;
    if record.kind != KIND_ACCOUNT_EVENT {
        return Err(RecoverError::Kind {
            sequence,
            kind: record.kind,
        });
    }
    Recorded::decode(record.schema, &record.payload)
        .map_err(|source| RecoverError::Decode { sequence, source })
}

#[cfg(test)]
mod cut_tests;
#[cfg(test)]
mod tests;
