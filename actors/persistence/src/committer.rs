//! What the writer thread does with its journal, one step at a time and without a queue.

use crate::writer::Notices;
use apex_bus::message::JournalHealth;
use apex_storage::{
    Class, Closed, ClosingJob, CuttingJob, Journal, JournalError, JournalState, Lasting, Outage,
    Record, RecordIter, SnapshotIter, SnapshotJob, Unit,
};
use std::collections::VecDeque;
use std::time::Instant;

/// A journal and the decisions that wait for it, in the order in which they were made.
pub(crate) struct Committer {
    journal: Box<dyn Journal>,
    notices: Box<dyn Notices>,
    backlog: VecDeque<Unit>,
    /// It was told that the journal's server is away.
    told_away: bool,
    /// Of moving old records away.
    closing_outage: Outage,
}

/// What became of a snapshot.
pub(crate) enum Snapshot {
    Kept,
    /// It is to be stored beside the commits.
    Begun(SnapshotJob),
    None,
}

/// The work of moving old records.
pub(crate) struct Closing {
    job: ClosingJob,
    cut: Option<CuttingJob>,
}

/// How far that work came on a thread of its own.
pub(crate) enum Moved {
    Nothing,
    /// It is to be cut off.
    Stored(Closed),
    /// Up to this sequence, and it is cut off.
    Cut(u64),
}

impl Closing {
    pub fn run(self) -> Result<Moved, JournalError> {
        let Some(closed) = (self.job)()? else {
            return Ok(Moved::Nothing);
        };
        let Some(cut) = self.cut else {
            return Ok(Moved::Stored(closed));
        };
        cut(closed)?;
        Ok(Moved::Cut(closed.sequence()))
    }
}

impl Committer {
    pub fn new(journal: Box<dyn Journal>, notices: Box<dyn Notices>) -> Committer {
        Committer {
            journal,
            notices,
            backlog: VecDeque::new(),
            told_away: false,
            closing_outage: Outage::default(),
        }
    }

    pub fn notices(&self) -> &dyn Notices {
        &*self.notices
    }

    /// Returns how many decisions wait.
    pub fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Takes a decision's records behind those that wait.
    pub fn push(&mut self, records: Vec<Record>) {
        // What was decided before the disk ran full must be kept as well as a report: new orders
        // are refused at the account, where nothing was decided yet.
        let class = Class::Essential;
        if !records.is_empty() {
            self.backlog.push_back(Unit { class, records });
        }
    }

    /// Makes what waits durable as far as there is space, in as few commits as its size allows.
    pub fn write(&mut self) {
        let mut staged = false;
        while let Some(unit) = self.backlog.front() {
            match self.journal.append(std::slice::from_ref(unit)) {
                Ok(()) => {
                    self.backlog.pop_front();
                    staged = true;
                }
                // The unit begins the next batch. With nothing staged there is always room for
                // one: then the journal breaks its contract, and trying again would never end.
                Err(JournalError::BatchFull { .. }) if staged => {
                    self.commit();
                    staged = false;
                }
                Err(JournalError::TooLarge { .. }) if unit.records.len() > 1 => self.split_first(),
                Err(JournalError::Full { .. }) => break,
                Err(error) => self.notices.failed(&error),
            }
        }
        if staged {
            self.commit();
        }
    }

    /// Halves a decision that is larger than any batch: a cancel of all of ten thousand orders, or
    /// as many that a lost session left unknown. Its events stand alone, one order each, so a half
    /// is a state that could have been; and nothing leaves before the last of them is durable.
    fn split_first(&mut self) {
        let Some(Unit { class, mut records }) = self.backlog.pop_front() else {
            return;
        };
        let rest = records.split_off(records.len() / 2);
        self.backlog.push_front(Unit {
            class,
            records: rest,
        });
        self.backlog.push_front(Unit { class, records });
    }

    fn commit(&mut self) {
        match self.journal.commit() {
            Ok(durable) => {
                self.tell_away();
                self.notices.durable(durable.0);
                self.notices.shared(self.journal.shared_sequence());
            }
            Err(error) => self.notices.failed(&error),
        }
    }

    /// Tells that the server is away before it tells what is durable without it: a new order must
    /// not leave on that.
    fn tell_away(&mut self) {
        let is_away = matches!(self.journal.state(), JournalState::Away { .. });
        if is_away && !self.told_away {
            self.notices.health(JournalHealth::Away);
        }
        self.told_away = is_away;
    }

    /// Keeps a snapshot, once all that was decided before it is durable. Without space for that there
    /// is none: the next one will do.
    pub fn snapshot(&mut self, sequence: u64, bytes: Vec<u8>) -> Snapshot {
        self.write();
        match self.journal.snapshot_job(sequence, bytes) {
            Ok(None) => Snapshot::Kept,
            Ok(Some(job)) => Snapshot::Begun(job),
            Err(error) => {
                self.not_kept(sequence, &error);
                Snapshot::None
            }
        }
    }

    /// Takes note of a snapshot that could not be stored.
    pub fn not_kept(&self, sequence: u64, error: &JournalError) {
        if error.must_abort() {
            self.notices.failed(error);
        }
        tracing::warn!(sequence, %error, "snapshot not written, going on");
    }

    /// Returns the work of moving what no start needs any more, if there is some: storing it
    /// elsewhere, and the cut where that does not need this thread.
    pub fn closing(&mut self) -> Option<Closing> {
        match self.journal.closing() {
            Ok(job) => Some(Closing {
                job: job?,
                cut: self.journal.cutting(),
            }),
            Err(error) if error.must_abort() => self.notices.failed(&error),
            Err(error) => {
                self.stays(&error);
                None
            }
        }
    }

    fn stays(&mut self, error: &JournalError) {
        if let Some(Lasting { failures, seconds }) = self.closing_outage.failed(Instant::now()) {
            tracing::warn!(
                %error,
                failures,
                seconds,
                "old records of the journal stay, going on; the next snapshot tries again"
            );
        }
    }

    /// Leaves what was moved to the store of objects.
    pub fn cut(&mut self, moved: Result<Moved, JournalError>) {
        let cut = moved.and_then(|moved| match moved {
            Moved::Nothing => Ok(None),
            Moved::Stored(closed) => self.journal.cut(closed).map(|()| Some(closed.sequence())),
            Moved::Cut(sequence) => Ok(Some(sequence)),
        });
        match cut {
            Ok(None) => {}
            Ok(Some(sequence)) => {
                self.closing_outage.over(Instant::now());
                tracing::info!(sequence, "old records of the journal were moved");
            }
            // What failed has changed nothing that the journal stands on.
            Err(error) => self.stays(&error),
        }
    }

    /// Returns the durable records from `from` on.
    pub fn read(&self, from: u64) -> Result<RecordIter, JournalError> {
        self.journal.read_from(from)
    }

    /// Returns the snapshots that are kept, newest first.
    pub fn snapshots(&self) -> Result<SnapshotIter, JournalError> {
        self.journal.snapshots()
    }

    /// Looks whether space is back.
    pub fn probe(&mut self) {
        if let Err(error) = self.journal.probe() {
            self.notices.failed(&error);
        }
        self.notices.shared(self.journal.shared_sequence());
        // The server may be back without a commit, and away again at the next one: that is told anew.
        self.told_away &= matches!(self.journal.state(), JournalState::Away { .. });
    }

    /// Returns how the journal stands; `Full` as long as a decision waits for space.
    pub fn health(&self) -> JournalHealth {
        match self.journal.state() {
            JournalState::Full => JournalHealth::Full,
            _ if !self.backlog.is_empty() => JournalHealth::Full,
            JournalState::Reserve { .. } => JournalHealth::Reserve,
            JournalState::Away { .. } => JournalHealth::Away,
            JournalState::Ready => JournalHealth::Ready,
        }
    }
}

#[cfg(test)]
mod tests;
