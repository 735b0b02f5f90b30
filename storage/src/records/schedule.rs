//! What is to happen at which times, and what happened at each of them.

use super::job::{Job, TABLE, adding};
use super::{
    Changing, Found, Kept, check_name, check_time, decode, found, inserting, key_of, replacing,
    sortable,
};
use crate::StorageError;
use crate::port::records::{Page, Records};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A schedule. Its times are worked out by the scheduler; here is when it is due next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its id; it stays.
    pub schedule_id: String,
    /// What kind of job it makes.
    pub kind: String,
    /// When, as it was asked for.
    pub spec: String,
    /// In which time zone, by its IANA name.
    pub time_zone: String,
    /// When it is due next, in nanoseconds since 1970; `None` when it never is again.
    pub next_due_ns: Option<i64>,
    /// It is not due while it is paused.
    pub paused: bool,
}

/// What happened at one time of a schedule. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// The schedule.
    pub schedule_id: String,
    /// When it was due. There is at most one firing for it.
    pub due_ns: i64,
    /// When it was seen to.
    pub fired_ns: i64,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened at a time of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Outcome {
    /// A job was made.
    Fired {
        /// Its id.
        job_id: String,
    },
    /// Nothing was made.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl Kept for Schedule {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "schedule/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.schedule_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("schedule", &self.schedule_id)?;
        check_name("kind of job", &self.kind)?;
        check_time("time of a schedule", self.next_due_ns.unwrap_or(0))
    }
}

impl Changing for Schedule {}

impl Kept for Firing {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "firing/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        format!("{}/{}", self.schedule_id, sortable(self.due_ns))
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("schedule", &self.schedule_id)?;
        check_time("time of a firing", self.due_ns)
    }
}

/// Stores what happened at the time that a schedule is due: the firing, its job if there is one, and
/// when it is due next, all or nothing.
///
/// # Errors
/// `Conflict` when another has seen to it, or changed the schedule; `BadName` when the firing is not
/// of the schedule's next time, or names another job; those of [`Records::change`].
pub fn fire(
    records: &dyn Records,
    schedule: &Found<Schedule>,
    firing: &Firing,
    job: Option<&Job>,
    next_due_ns: Option<i64>,
) -> Result<Found<Schedule>, StorageError> {
    let known = &schedule.value;
    let is_due = known.next_due_ns == Some(firing.due_ns) && !known.paused;
    let job_id = match &firing.outcome {
        Outcome::Fired { job_id } => Some(job_id),
        Outcome::Skipped { .. } => None,
    };
    // Never back: what was seen to is not due again.
    let goes_on = next_due_ns.is_none_or(|next| next > firing.due_ns);
    let is_its = known.schedule_id == firing.schedule_id && job_id == job.map(|job| &job.job_id);
    if !is_due || !is_its || !goes_on {
        return Err(StorageError::BadName {
            what: "firing",
            name: firing.key(),
            form: "of the schedule's next time, with its own job, before the time after it",
        });
    }
    let next = Schedule {
        next_due_ns,
        ..known.clone()
    };
    let mut changes = vec![inserting(firing)?, replacing(schedule, &next)?];
    if let Some(job) = job {
        changes.extend(adding(job)?);
    }
    records.change(&changes)?;
    found(&next)
}

/// Returns firings of a schedule in order of their due times, from `from_ns` on, at most `limit`.
/// Only an empty answer is the end.
///
/// # Errors
/// `NewerVersion`, `Damaged`, `BadName`; those of [`Records::page`].
pub fn firings(
    records: &dyn Records,
    schedule_id: &str,
    from_ns: i64,
    limit: usize,
) -> Result<Vec<Firing>, StorageError> {
    check_name("schedule", schedule_id)?;
    let prefix = key_of::<Firing>(&format!("{schedule_id}/"));
    // What sorts directly before the time: no key of ours is.
    let after = (from_ns > 0).then(|| format!("{prefix}{}~", sortable(from_ns - 1)));
    let page = Page {
        prefix: &prefix,
        after: after.as_deref(),
        limit,
    };
    let entries = records.page(Firing::TABLE, &page)?.into_iter();
    entries
        .map(|(key, bytes)| Ok(decode::<Firing>(&key, bytes)?.value))
        .collect()
}

/// Due times held against firings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Due, and nothing happened.
    pub missing_ns: Vec<i64>,
    /// Something happened that was not due.
    pub unexpected_ns: Vec<i64>,
}

/// Holds the times at which a schedule was due against what happened, both of the same span.
pub fn ledger(due_ns: &[i64], fired: &[Firing]) -> Ledger {
    let due: BTreeSet<i64> = due_ns.iter().copied().collect();
    let fired: BTreeSet<i64> = fired.iter().map(|firing| firing.due_ns).collect();
    Ledger {
        missing_ns: due.difference(&fired).copied().collect(),
        unexpected_ns: fired.difference(&due).copied().collect(),
    }
}
