//! Work that is done once: what is asked, who does it, and what came of it.
//!
//! A job is ready, then running under a lease like an assignment's, then done, failed or canceled. A
//! run whose lease has ended is claimed by another in a newer epoch, and the first one's result is
//! refused. Jobs that wait stand in an index by class and time as well, so that finding the next is
//! one page, however many are done.

use super::{
    Changing, Found, Kept, check_name, check_time, find, found, inserting, replacing, sortable,
};
use crate::StorageError;
use crate::port::records::{Change, MAX_PAGE, Page, Records};
use serde::{Deserialize, Serialize};

/// Where jobs, their unique keys and the index are.
pub(super) const TABLE: &str = "work";

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its id; it stays.
    pub job_id: String,
    /// Of two jobs with the same one the second is never made; `None` where any number may be.
    pub unique_key: Option<String>,
    /// What is to be done.
    pub kind: String,
    /// Which nodes do it, such as `batch`.
    pub class: String,
    /// What the kind needs to know, as its own text.
    pub arguments: String,
    /// How far it is.
    pub state: JobState,
    /// Times that it was begun.
    pub attempt: u32,
    /// From here on it may be begun, in nanoseconds since 1970.
    pub due_ns: i64,
    /// Counts those who ran it. Each call of one names its own.
    pub epoch: u64,
    /// Where its result is in the store of objects, once it is done.
    pub result_key: Option<String>,
    /// Why it failed last, or was canceled.
    pub reason: Option<String>,
    /// When it was done, given up or canceled, in nanoseconds since 1970 by the store's clock; `None`
    /// before, and of one that an older build ended.
    #[serde(default)]
    pub ended_ns: Option<i64>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum JobState {
    /// Waits for its time and a node.
    Ready,
    /// A node runs it, and may be taken for lost from `until_ns` on.
    Running {
        /// The node.
        node: String,
        /// The end of its lease.
        until_ns: i64,
    },
    /// Came to its end.
    Done,
    /// Is given up.
    Failed,
    /// Is not wanted any more.
    Canceled,
}

impl Job {
    /// Returns the job begun by a node, in a new epoch; `None` where it is not due, runs, or has
    /// ended.
    pub fn begun(&self, node: &str, now_ns: i64, lease_ns: i64) -> Option<Job> {
        let due_ns = self.waits_until()?;
        let epoch = self.epoch.checked_add(1)?;
        (due_ns <= now_ns).then(|| Job {
            state: JobState::Running {
                node: node.to_owned(),
                until_ns: now_ns.saturating_add(lease_ns),
            },
            attempt: self.attempt.saturating_add(1),
            epoch,
            ..self.clone()
        })
    }

    /// Returns the job with more time for its run, from the store's time `now_ns` on; `None` when this
    /// epoch does not run it.
    pub fn renewed(&self, epoch: u64, now_ns: i64, lease_ns: i64) -> Option<Job> {
        let JobState::Running { node, until_ns } = self.run_of(epoch)? else {
            return None;
        };
        let state = JobState::Running {
            node: node.clone(),
            until_ns: now_ns.saturating_add(lease_ns).max(*until_ns),
        };
        Some(Job {
            state,
            ..self.clone()
        })
    }

    /// Returns the job done at the store's time `now_ns`; `None` when this epoch does not run it.
    pub fn done(&self, epoch: u64, now_ns: i64, result_key: Option<&str>) -> Option<Job> {
        self.run_of(epoch)?;
        Some(Job {
            state: JobState::Done,
            result_key: result_key.map(str::to_owned),
            reason: None,
            ended_ns: Some(now_ns),
            ..self.clone()
        })
    }

    /// Returns the job failed at the store's time `now_ns`, to be begun again at `again_ns` or given
    /// up; `None` when this epoch does not run it.
    pub fn failed(
        &self,
        epoch: u64,
        now_ns: i64,
        reason: &str,
        again_ns: Option<i64>,
    ) -> Option<Job> {
        self.run_of(epoch)?;
        Some(Job {
            state: again_ns.map_or(JobState::Failed, |_| JobState::Ready),
            due_ns: again_ns.unwrap_or(self.due_ns),
            reason: Some(reason.to_owned()),
            ended_ns: again_ns.is_none().then_some(now_ns),
            ..self.clone()
        })
    }

    /// Returns the job canceled at the store's time `now_ns`, also while it runs: its run is refused
    /// from then on. `None` when it has ended.
    pub fn canceled(&self, now_ns: i64, reason: &str) -> Option<Job> {
        self.waits_until()?;
        Some(Job {
            state: JobState::Canceled,
            reason: Some(reason.to_owned()),
            ended_ns: Some(now_ns),
            ..self.clone()
        })
    }

    fn run_of(&self, epoch: u64) -> Option<&JobState> {
        let is_running = matches!(self.state, JobState::Running { .. });
        (is_running && self.epoch == epoch).then_some(&self.state)
    }

    /// When it may be begun next; `None` when it has ended.
    fn waits_until(&self) -> Option<i64> {
        match &self.state {
            JobState::Ready => Some(self.due_ns),
            JobState::Running { until_ns, .. } => Some(*until_ns),
            JobState::Done | JobState::Failed | JobState::Canceled => None,
        }
    }

    /// Returns true for one that is done, given up or not wanted any more.
    pub fn has_ended(&self) -> bool {
        self.waits_until().is_none()
    }

    /// Returns true for one that ended before `before_ns`; where the time of its end is not known, that
    /// it was due at counts.
    pub fn has_ended_before(&self, before_ns: i64) -> bool {
        self.has_ended() && self.ended_ns.unwrap_or(self.due_ns) < before_ns
    }

    /// Returns the change that frees its unique key, where it has one.
    pub(super) fn freeing_key(&self) -> Option<Change> {
        let key = format!("key/{}", self.unique_key.as_ref()?);
        Some(Change::remove(TABLE, &key, self.job_id.as_bytes()))
    }

    fn index_key(&self) -> Option<String> {
        let until = sortable(self.waits_until()?);
        Some(format!("due/{}/{until}/{}", self.class, self.job_id))
    }

    fn unique(&self) -> Option<Change> {
        let key = format!("key/{}", self.unique_key.as_ref()?);
        Some(Change::insert(TABLE, &key, self.job_id.as_bytes()))
    }
}

impl Kept for Job {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "job/";
    /// 2 has the time of its end.
    const VERSION: u16 = 2;

    fn key(&self) -> String {
        self.job_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("job", &self.job_id)?;
        check_name("kind of job", &self.kind)?;
        check_name("class of job", &self.class)?;
        if let Some(key) = &self.unique_key {
            check_name("unique key of a job", key)?;
        }
        if let JobState::Running { node, until_ns } = &self.state {
            check_name("node", node)?;
            check_time("end of a lease", *until_ns)?;
        }
        check_time("time of a job", self.due_ns)
    }
}

impl Changing for Job {}

/// Returns the changes that make a job.
///
/// # Errors
/// `BadName`.
pub(super) fn adding(job: &Job) -> Result<Vec<Change>, StorageError> {
    let mut changes = vec![inserting(job)?];
    changes.extend(job.unique());
    let index = job.index_key();
    changes.extend(index.map(|key| Change::insert(TABLE, &key, [])));
    Ok(changes)
}

/// Stores a new job.
///
/// # Errors
/// `Conflict` when its id or its unique key is there already, and names which (`job/…`, `key/…`);
/// `BadName`; those of [`Records::change`].
pub fn add_job(records: &dyn Records, job: &Job) -> Result<Found<Job>, StorageError> {
    records.change(&adding(job)?)?;
    found(job)
}

/// Stores what became of a job that was found.
///
/// # Errors
/// `Conflict` when it was changed meanwhile: it is another's, or canceled; `BadName`; those of
/// [`Records::change`].
pub fn update_job(
    records: &dyn Records,
    known: &Found<Job>,
    job: &Job,
) -> Result<Found<Job>, StorageError> {
    let mut changes = vec![replacing(known, job)?];
    let (before, after) = (known.value.index_key(), job.index_key());
    if before != after {
        changes.extend(before.map(|key| Change::delete(TABLE, &key)));
        changes.extend(after.map(|key| Change::put(TABLE, &key, [])));
    }
    records.change(&changes)?;
    found(job)
}

/// Returns ids of jobs of a class that may be begun at `now_ns`, the longest due first: those that
/// are ready, and those whose run's lease has ended.
///
/// # Errors
/// Those of [`Records::page`].
pub fn due_jobs(
    records: &dyn Records,
    class: &str,
    now_ns: i64,
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    check_name("class of job", class)?;
    let prefix = format!("due/{class}/");
    let entries = records.page(TABLE, &Page::first(&prefix, limit))?;
    let keys = entries
        .iter()
        .filter_map(|(key, _)| key.strip_prefix(&prefix));
    let due = keys.filter_map(|key| key.split_once('/'));
    Ok(due
        .take_while(|(time, _)| time.parse().is_ok_and(|time: i64| time <= now_ns))
        .map(|(_, job_id)| job_id.to_owned())
        .collect())
}

/// Begins the job of a class that is due longest, for `lease_ns` nanoseconds; `None` when there is
/// none that nobody else takes. Whether it is due, and the end of its lease, are by the store's clock.
///
/// # Errors
/// `NewerVersion`, `Damaged`; those of [`Records::change`] except `Conflict`.
pub fn claim_job(
    records: &dyn Records,
    class: &str,
    node: &str,
    lease_ns: i64,
) -> Result<Option<Found<Job>>, StorageError> {
    let now_ns = records.now_ns()?;
    // Nodes that ask at once go down the same list; each conflict is a job that another got.
    for job_id in due_jobs(records, class, now_ns, MAX_PAGE)? {
        let Some(known) = find::<Job>(records, &job_id)? else {
            continue;
        };
        let Some(begun) = known.value.begun(node, now_ns, lease_ns) else {
            continue;
        };
        match update_job(records, &known, &begun) {
            Ok(claimed) => return Ok(Some(claimed)),
            Err(StorageError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
