//! One account as it was at a time, folded from its journal.

use crate::recover::{RecoverError, decode};
use crate::writer::JournalQueue;
use apex_domain::UnixNanos;
use apex_domain::account::{Account, AccountAsOf, AsOf};
use apex_domain::event::Recorded;
use apex_storage::JournalError;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

/// Records between two looks at the clock: at a million folded events a second, a millisecond.
const LOOK_EVERY: usize = 1_024;

/// What was folded last. The next page of the same list is answered from it, a later time goes on
/// behind it, and so does the same time again after a fold that had taken too long. One account is
/// kept, since it may be as large as the running one.
#[derive(Debug, Default)]
pub(crate) struct Past {
    kept: Option<Arc<Account>>,
}

/// What a look at the past shows.
#[derive(Debug)]
pub(crate) enum Seen {
    Account(Arc<Account>),
    /// The first event came later.
    NotOpenYet {
        opened: UnixNanos,
    },
    /// It would have taken longer than was allowed; folded up to here.
    TooLong {
        sequence: u64,
    },
    /// There is no event, or the writer has ended.
    NoJournal,
}

impl Past {
    /// Returns the account after every durable event up to `at`, inclusive.
    ///
    /// Errors: [`RecoverError`].
    pub fn at(
        &mut self,
        journal: &JournalQueue,
        at: UnixNanos,
        until: Instant,
    ) -> Result<Seen, RecoverError> {
        if let Some(kept) = self.kept.as_ref().filter(|kept| is_up_to(kept, at)) {
            let next = record(journal, kept.sequence() + 1)?;
            if next.is_none_or(|next| next.ts > at) {
                return Ok(Seen::Account(kept.clone()));
            }
        }
        let start = self.start(journal, at)?;
        let (sequence, at) = (start.sequence(), AsOf::Time(at));
        let mut folding =
            AccountAsOf::from_snapshot(start, at).map_err(|error| unfit(sequence, &error))?;
        let Some(records) = journal.read(folding.account().sequence() + 1) else {
            return Ok(Seen::NoJournal);
        };
        for (number, record) in records?.enumerate() {
            // The first look comes late enough that each call gets somewhere.
            if number % LOOK_EVERY == LOOK_EVERY - 1 && Instant::now() >= until {
                let account = folding.into_account();
                let sequence = account.sequence();
                self.kept = Some(Arc::new(account));
                return Ok(Seen::TooLong { sequence });
            }
            let recorded = decode(&record?)?;
            let taken = folding.take(&recorded);
            if taken
                .map_err(|error| unfit(recorded.sequence, &error))?
                .is_continue()
            {
                continue;
            }
            if !folding.account().is_open() {
                let opened = recorded.ts;
                return Ok(Seen::NotOpenYet { opened });
            }
            break;
        }
        let account = folding.into_account();
        if !account.is_open() {
            return Ok(Seen::NoJournal);
        }
        let account = Arc::new(account);
        self.kept = Some(account.clone());
        Ok(Seen::Account(account))
    }

    /// Returns the newest state at or before `at` that there is: what was kept, a snapshot, or
    /// none yet. Takes what was kept away.
    fn start(&mut self, journal: &JournalQueue, at: UnixNanos) -> Result<Account, RecoverError> {
        let kept = self.kept.take().filter(|kept| is_up_to(kept, at));
        let sequence = kept.as_ref().map_or(0, |kept| kept.sequence());
        if let Some(snapshot) = snapshot(journal, sequence, at)? {
            return Ok(snapshot);
        }
        // It is copied only while an answer still reads it.
        Ok(kept.map_or_else(Account::new, Arc::unwrap_or_clone))
    }
}

fn is_up_to(account: &Account, at: UnixNanos) -> bool {
    account.last_ts().is_none_or(|last| last <= at)
}

/// Returns the newest snapshot at or before `at` that is behind `sequence`.
fn snapshot(
    journal: &JournalQueue,
    sequence: u64,
    at: UnixNanos,
) -> Result<Option<Account>, RecoverError> {
    let Some(snapshots) = journal.snapshots() else {
        return Ok(None);
    };
    for snapshot in snapshots? {
        let snapshot = snapshot?;
        if snapshot.sequence <= sequence {
            return Ok(None);
        }
        // Its last record tells its time, which is much less work than to read the state back.
        let last = record(journal, snapshot.sequence)?;
        if last.is_none_or(|last| last.ts > at) {
            continue;
        }
        match Account::restore(&snapshot.bytes) {
            Ok(account) if account.sequence() == snapshot.sequence => return Ok(Some(account)),
            // A snapshot is a short cut and never the truth: without it more is folded.
            Ok(_) => tracing::warn!(snapshot.sequence, "snapshot of another sequence, ignored"),
            Err(error) => tracing::debug!(snapshot.sequence, %error, "snapshot ignored"),
        }
    }
    Ok(None)
}

/// Returns the record of a sequence; `None` when there is none yet.
fn record(journal: &JournalQueue, sequence: u64) -> Result<Option<Recorded>, RecoverError> {
    let Some(records) = journal.read(sequence) else {
        return Ok(None);
    };
    let record = records?.next().transpose();
    let record = record.map_err(|error: JournalError| RecoverError::Journal(error))?;
    record.as_ref().map(decode).transpose()
}

fn unfit(sequence: u64, error: &dyn Display) -> RecoverError {
    RecoverError::Fold {
        sequence,
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
