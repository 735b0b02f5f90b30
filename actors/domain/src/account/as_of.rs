//! An account as it was: folded from its journal up to a sequence or a time.
//!
//! Nothing is stored for it. The cost is one fold for each record up to the point, and the memory
//! of one account; no record behind the point is read but the first, which shows that the point
//! was passed. From a snapshot it is only the records since, so a reader that takes the newest
//! snapshot at or before the point folds at most what lies between two snapshots.

use super::machine::Account;
use super::recovery::FoldError;
use crate::event::Recorded;
use crate::time::UnixNanos;
use std::ops::ControlFlow;
use thiserror::Error;

/// A point in an account's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// Right after the event of this sequence; 0 is before the first. A decision may have made
    /// several events: a sequence within them shows it half done.
    Sequence(u64),
    /// After every event that was decided up to this time, inclusive: decisions are whole, since
    /// all events of one carry the same time.
    Time(UnixNanos),
}

/// Why an account as it was cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AsOfError {
    /// An older snapshot, or the journal from its start, leads to the point.
    #[error("snapshot at sequence {sequence} is behind the point asked for")]
    SnapshotTooNew { sequence: u64 },
    /// The journal is damaged.
    #[error("journal cannot be folded")]
    Fold(#[from] FoldError),
}

/// An account as it was. For a reader that gets its records piece by piece: hand each to
/// [`AccountAsOf::take`] until it says to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAsOf {
    at: AsOf,
    account: Account,
    passed: bool,
}

impl AccountAsOf {
    /// Begins at the start of the journal.
    pub fn new(at: AsOf) -> AccountAsOf {
        AccountAsOf {
            at,
            account: Account::new(),
            passed: at == AsOf::Sequence(0),
        }
    }

    /// Begins behind a snapshot: the next record is the one after its sequence.
    ///
    /// Errors: `SnapshotTooNew`.
    pub fn from_snapshot(snapshot: Account, at: AsOf) -> Result<AccountAsOf, AsOfError> {
        let sequence = snapshot.sequence();
        let is_before = match at {
            AsOf::Sequence(point) => sequence <= point,
            AsOf::Time(point) => snapshot.last_ts().is_none_or(|last| last <= point),
        };
        if !is_before {
            return Err(AsOfError::SnapshotTooNew { sequence });
        }
        Ok(AccountAsOf {
            at,
            account: snapshot,
            passed: at == AsOf::Sequence(sequence),
        })
    }

    /// Folds one record, unless it lies behind the point. Breaks once no further record can
    /// belong to it.
    ///
    /// Errors: [`FoldError`]. What was folded is then not to be shown.
    pub fn take(&mut self, recorded: &Recorded) -> Result<ControlFlow<()>, FoldError> {
        if self.passed {
            return Ok(ControlFlow::Break(()));
        }
        if let AsOf::Time(point) = self.at
            && recorded.ts > point
        {
            self.passed = true;
            return Ok(ControlFlow::Break(()));
        }
        self.account.fold(recorded)?;
        if self.at == AsOf::Sequence(recorded.sequence) {
            self.passed = true;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Returns true when the point was reached for sure: its sequence was folded, or a later
    /// record was seen. Otherwise the journal has ended before it, and may still get there.
    pub fn is_passed(&self) -> bool {
        self.passed
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    pub fn into_account(self) -> Account {
        self.account
    }
}

/// Returns the account as it was at `at`. Records come from the start of the journal, in order.
///
/// Errors: [`AsOfError`].
pub fn as_of(
    records: impl IntoIterator<Item = Recorded>,
    at: AsOf,
) -> Result<AccountAsOf, AsOfError> {
    fold_up_to(AccountAsOf::new(at), records)
}

/// Returns the account as it was at `at`, from a snapshot at or before it and the records behind
/// the snapshot.
///
/// Errors: [`AsOfError`].
pub fn as_of_tail(
    snapshot: Account,
    tail: impl IntoIterator<Item = Recorded>,
    at: AsOf,
) -> Result<AccountAsOf, AsOfError> {
    fold_up_to(AccountAsOf::from_snapshot(snapshot, at)?, tail)
}

fn fold_up_to(
    mut reading: AccountAsOf,
    records: impl IntoIterator<Item = Recorded>,
) -> Result<AccountAsOf, AsOfError> {
    if reading.passed {
        return Ok(reading);
    }
    for recorded in records {
        if reading.take(&recorded)?.is_break() {
            break;
        }
    }
    Ok(reading)
}
