//! What is over is removed: jobs that have ended, and firings, behind a time of retention.

use super::{Firing, Job, Kept, LoginLink, TriesOf, decode, key_of, requests};
use crate::StorageError;
use crate::port::records::{Change, MAX_CHANGES, MAX_PAGE, Page, Records};

/// How much was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Jobs, with their unique keys.
    pub jobs: usize,
    /// Firings.
    pub firings: usize,
}

/// Removes login links and counts of failed logins that are over at `now_ns`. As [`prune`] otherwise.
///
/// # Errors
/// As [`prune`].
pub fn prune_access(records: &dyn Records, now_ns: i64) -> Result<(), StorageError> {
    each::<LoginLink>(records, |link| (link.expires_ns <= now_ns).then_some(None))?;
    each::<TriesOf>(records, |of| of.tries.is_over(now_ns).then_some(None))?;
    Ok(())
}

/// Removes answers to requests that are older than they have to be at `now_ns`. As [`prune`] otherwise.
///
/// # Errors
/// As [`prune`].
pub fn prune_answers(records: &dyn Records, now_ns: i64) -> Result<usize, StorageError> {
    each::<requests::Answer>(records, |answer| answer.is_over(now_ns).then_some(None))
}

/// Removes jobs that ended (done, failed for good, canceled) before `before_ns`, in nanoseconds since
/// 1970, and firings that were due before it. Jobs that wait or run stay however old
/// they are, and so do schedules: what was seen to is not due again without its firing either. The
/// unique key of a removed job is free again. Beside nodes that work, and other callers of it.
///
/// Reads both tables a page at a time, and removes a few tens in one change: cut off anywhere, it goes
/// on with the next call.
///
/// # Errors
/// `NewerVersion`, `Damaged`: what cannot be read stays, and all behind it; those of
/// [`Records::change`] except `Conflict`.
pub fn prune(records: &dyn Records, before_ns: i64) -> Result<Pruned, StorageError> {
    let jobs = each::<Job>(records, |job| {
        job.has_ended_before(before_ns).then(|| job.freeing_key())
    })?;
    let firings = each::<Firing>(records, |firing| {
        (firing.due_ns < before_ns).then_some(None)
    })?;
    Ok(Pruned { jobs, firings })
}

/// Removes the records of a kind that `goes` names, each with the further change that it returns.
fn each<T: Kept>(
    records: &dyn Records,
    goes: impl Fn(&T) -> Option<Option<Change>>,
) -> Result<usize, StorageError> {
    let (mut removed, mut after) = (0, None::<String>);
    loop {
        let page = Page {
            prefix: T::PREFIX,
            after: after.as_deref(),
            limit: MAX_PAGE,
        };
        let entries = records.page(T::TABLE, &page)?;
        let Some((last, _)) = entries.last() else {
            return Ok(removed);
        };
        let last = last.clone();
        let mut leaving: Vec<Vec<Change>> = Vec::new();
        for (key, bytes) in entries {
            let found = decode::<T>(&key, bytes.clone())?;
            if let Some(more) = goes(&found.value) {
                let key = key_of::<T>(&found.value.key());
                let mut changes = vec![Change::remove(T::TABLE, &key, bytes)];
                changes.extend(more);
                leaving.push(changes);
            }
        }
        // Each has two changes at the most.
        for several in leaving.chunks(MAX_CHANGES / 2) {
            removed += remove(records, several)?;
        }
        after = Some(last);
    }
}

/// Removes several together, or, where another caller removed one of them meanwhile, one by one.
fn remove(records: &dyn Records, several: &[Vec<Change>]) -> Result<usize, StorageError> {
    match records.change(&several.concat()) {
        Ok(()) => return Ok(several.len()),
        Err(StorageError::Conflict { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut removed = 0;
    for one in several {
        match records.change(one) {
            Ok(()) => removed += 1,
            Err(StorageError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
