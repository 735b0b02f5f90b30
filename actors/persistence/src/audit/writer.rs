//! The writer's thread.

use super::checkpoints::Keeper;
use super::{AuditStore, Entry, Queue, Shared, Work};
use apex_bus::audit::AuditError;
use apex_storage::audit::{AuditLog, content};
use apex_storage::{JournalState, StorageError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// Records in one commit: enough that a sync is shared by all that came during the one before.
const BATCH: usize = 1_024;

/// How often a store that failed is tried again, and a full disk looked at.
const RETRY: Duration = Duration::from_millis(500);

pub(super) struct Running {
    /// `None` while the store fails.
    log: Option<AuditLog>,
    store: Arc<AuditStore>,
    queue: Queue,
    shared: Arc<Shared>,
    keeper: Keeper,
    /// What is not durable yet, in order. Those before `staged` are in the log's batch.
    backlog: VecDeque<Box<Entry>>,
    staged: usize,
    /// Sequence of the first of the backlog, as it was given out.
    first: u64,
    has_space: bool,
    /// Another process has taken the audit over: nothing is written here any more.
    is_fenced: bool,
    is_stopping: bool,
}

impl Running {
    pub fn new(
        log: AuditLog,
        store: Arc<AuditStore>,
        queue: Queue,
        shared: Arc<Shared>,
        keeper: Keeper,
    ) -> Running {
        Running {
            first: log.durable() + 1,
            log: Some(log),
            store,
            queue,
            shared,
            keeper,
            backlog: VecDeque::new(),
            staged: 0,
            has_space: true,
            is_fenced: false,
            is_stopping: false,
        }
    }

    pub fn run(mut self) {
        while !self.is_stopping {
            // First, so that what the run began with has a checkpoint at once.
            let head = self.log.as_ref().and_then(AuditLog::checkpoint);
            self.keeper.look(head);
            self.wait();
            self.write();
        }
        let left = self.backlog.len();
        if left > 0 {
            tracing::error!(
                left,
                "records of the audit could not be written before the end"
            );
            self.shared.lost.fetch_add(left as u64, Ordering::Relaxed);
        }
        let head = self.log.as_ref().and_then(AuditLog::checkpoint);
        self.keeper.stop(head);
    }

    /// Waits for work, at most until something is due, and takes what is there.
    fn wait(&mut self) {
        let is_well = self.log.is_some() && self.backlog.is_empty() && self.has_space;
        let patience = if is_well { self.keeper.due() } else { RETRY };
        // Never zero for long: what is due is done behind it.
        match self
            .queue
            .recv_timeout(patience.max(Duration::from_millis(1)))
        {
            Ok(work) => self.take(work),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => {
                self.is_stopping = true;
                return;
            }
        }
        // The queue holds as many as may wait at all.
        while self.backlog.len() - self.staged < BATCH {
            match self.queue.try_recv() {
                Ok(work) => self.take(work),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Record(entry) => {
                self.backlog.push_back(entry);
                if self.is_fenced {
                    self.give_up();
                }
            }
            Work::Read { from, answer } => {
                let outcome = match &self.log {
                    Some(log) => log.read_from(from),
                    None => Err(away()),
                };
                // A reader that has gone away in the meantime is no fault.
                let _ = answer.send(outcome);
            }
            Work::Stop => self.is_stopping = true,
        }
    }

    /// Makes the backlog durable as far as that can be done now.
    fn write(&mut self) {
        if self.log.is_none() && !self.is_fenced {
            self.reopen();
        }
        let mut is_over = false;
        while !is_over && self.log.is_some() {
            let outcome = if self.backlog.is_empty() {
                is_over = true;
                self.look_for_space()
            } else {
                self.write_batch().map(|is_written| is_over = !is_written)
            };
            if let Err(error) = outcome {
                // Nobody knows what of the batch is there: opening it anew finds out.
                self.log = None;
                self.staged = 0;
                if matches!(error, StorageError::Fenced { .. }) {
                    // Opening it anew would take it from its owner.
                    self.is_fenced = true;
                    self.give_up();
                }
                let error = AuditError::Down(error.to_string());
                self.shared.set_error(Some(error));
            }
        }
    }

    fn look_for_space(&mut self) -> Result<(), StorageError> {
        if let Some(log) = &mut self.log
            && !self.has_space
        {
            let state = log.probe()?;
            self.has_space = state == JournalState::Ready;
            self.shared.set_error(no_space(state));
        }
        Ok(())
    }

    /// Returns false when there is no space.
    fn write_batch(&mut self) -> Result<bool, StorageError> {
        let Some(log) = &mut self.log else {
            return Err(away());
        };
        if log.state() != JournalState::Ready {
            log.probe()?;
        }
        let mut is_full = false;
        for entry in self.backlog.iter().skip(self.staged).take(BATCH) {
            match log.append(&entry.content) {
                Ok(_) => self.staged += 1,
                Err(StorageError::BatchFull { .. }) if self.staged > 0 => break,
                Err(StorageError::Full { .. }) => {
                    is_full = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if self.staged > 0 {
            log.commit()?;
        }
        self.has_space = !is_full && log.state() == JournalState::Ready;
        let (durable, state) = (log.durable(), log.state());
        self.settle(durable);
        let error = is_full.then_some(AuditError::NoSpace);
        self.shared.set_error(error.or_else(|| no_space(state)));
        Ok(!is_full)
    }

    /// Tells those whose records are durable.
    fn settle(&mut self, durable: u64) {
        while self.first <= durable {
            let Some(entry) = self.backlog.pop_front() else {
                break;
            };
            self.first += 1;
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            entry.durable.tell();
        }
        self.staged = 0;
        self.shared.state().figures.durable = durable;
    }

    /// Counts what waits as lost: who waits for it hears that it is not durable.
    fn give_up(&mut self) {
        let left = self.backlog.len() as u64;
        self.backlog.clear();
        self.shared.waiting.fetch_sub(left, Ordering::Relaxed);
        self.shared.lost.fetch_add(left, Ordering::Relaxed);
    }

    /// Opens the journal again and finds out what of the backlog is there.
    fn reopen(&mut self) {
        let opened = AuditLog::open(&*self.store.journals);
        let opened = opened.and_then(|log| Ok((self.last_stored(&log)?, log)));
        match opened {
            Ok((stored, log)) => {
                self.settle(stored);
                // Others may have written in its place, and behind it.
                let durable = log.durable();
                self.first = durable + 1;
                self.shared.state().figures.durable = durable;
                self.log = Some(log);
                self.shared.set_error(None);
            }
            Err(error) => {
                self.shared
                    .set_error(Some(AuditError::Down(error.to_string())));
            }
        }
    }
}

impl Running {
    /// Returns the sequence up to which a journal has what was handed over, by what its records say: at
    /// the same place another owner may have written something else meanwhile.
    ///
    /// Errors: those of reading it.
    fn last_stored(&self, log: &AuditLog) -> Result<u64, StorageError> {
        let mut last = self.first - 1;
        if log.durable() <= last {
            return Ok(last);
        }
        let found = log.read_from(self.first)?;
        for (entry, record) in self.backlog.iter().zip(found) {
            if content(&record?)? != entry.content {
                break;
            }
            last += 1;
        }
        Ok(last)
    }
}

/// Returns the error of a journal that is short of space. One whose server is away is not: what is
/// recorded meanwhile is durable in its reserve, and accounts say themselves what they refuse.
fn no_space(state: JournalState) -> Option<AuditError> {
    match state {
        JournalState::Ready | JournalState::Away { .. } => None,
        JournalState::Reserve { .. } | JournalState::Full => Some(AuditError::NoSpace),
    }
}

fn away() -> StorageError {
    StorageError::Io {
        action: "read",
        path: apex_storage::AUDIT_JOURNAL.into(),
        source: Arc::new(std::io::Error::other("the audit is being opened anew")),
    }
}
