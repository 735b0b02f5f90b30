//! The audit's writer: one thread with group commit behind a bounded queue, and one that stores
//! checkpoints.
//!
//! Unlike the journal of an account, an audit that fails does not end the process: the kill switch has
//! to work then too. What was handed over stays in memory, the journal is opened anew twice a second,
//! which finds out what is durable, and the rest is written again. Until then [`Audit::ready`] says
//! so, and the gateway refuses what may be refused. One that another process has taken over is that
//! one's: it is not opened again, and what waits is counted as lost.

mod checkpoints;
#[cfg(test)]
mod tests;
mod writer;

use apex_bus::audit::{Audit, AuditCheck, AuditError, AuditFigures, AuditRecords, Durable, Ticket};
use apex_bus::clock::Clock;
use apex_domain::audit::AuditRecord;
use apex_storage::audit::{self, AuditLog, Checkpoints};
use apex_storage::{AUDIT_JOURNAL, Journals, Objects, RecordIter, StorageError};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Records that may wait for the disk: what the handles let be under way (4,096 commands) has two
/// each. Full: what may be refused is, and what may not is counted as lost.
pub const QUEUE: usize = 8_192;

/// Readers that may wait for the writer's present commit. Each holds a blocking thread.
const READERS: usize = 16;

/// What an audit is written to.
pub struct AuditStore {
    pub journals: Arc<dyn Journals>,
    /// Where checkpoints go.
    pub objects: Arc<dyn Objects>,
    pub clock: Clock,
    /// The id that was noted when the audit began; `None` before its first record.
    pub audit_id: Option<String>,
}

impl fmt::Debug for AuditStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditStore")
            .field("journals", &self.journals)
            .finish_non_exhaustive()
    }
}

/// Checks an audit against its checkpoints.
///
/// Errors: those of the stores; damage is a finding.
pub fn check(store: &AuditStore) -> Result<audit::AuditReport, StorageError> {
    audit::check(
        store.audit_id.as_deref(),
        |each| store.journals.verify(AUDIT_JOURNAL, each),
        |id| Checkpoints::of(&*store.objects, id),
    )
}

enum Work {
    Record(Box<Entry>),
    Read {
        from: u64,
        answer: SyncSender<Result<RecordIter, StorageError>>,
    },
    Stop,
}

/// A record on its way, and who wants to know.
struct Entry {
    content: Vec<u8>,
    durable: Durable,
}

/// What the threads tell.
#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    early: AtomicU64,
    waiting: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    figures: AuditFigures,
    error: Option<AuditError>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is of single values, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_error(&self, error: Option<AuditError>) {
        let mut state = self.state();
        if state.error == error {
            return;
        }
        match &error {
            Some(error) => {
                tracing::error!(%error, "the audit is degraded: only the kill switch, cancels and closing go on without it")
            }
            None => tracing::info!("the audit is in order again"),
        }
        state.figures.failing = error.as_ref().map(ToString::to_string);
        state.error = error;
    }
}

/// A running audit. Clones share it.
#[derive(Clone)]
pub struct AuditWriter {
    work: SyncSender<Work>,
    shared: Arc<Shared>,
    /// For checks; given up at the stop, so that no clone holds a data folder that has ended.
    store: Arc<Mutex<Option<Arc<AuditStore>>>>,
    /// Behind `work`: the thread ends once the last clone has given up its end of the queue.
    thread: Arc<Thread>,
}

/// Waits for the thread when it is dropped, so that whoever opens the store next finds it free.
struct Thread(Mutex<Option<JoinHandle<()>>>);

impl Thread {
    fn join(&self) {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread was logged by it.
            let _ = thread.join();
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.join();
    }
}

impl fmt::Debug for AuditWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditWriter")
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

impl AuditWriter {
    /// Opens the audit, with an unfinished last write cut off, writes `begin`, at least one, as its next
    /// records, and returns when they are durable, with the audit's id.
    ///
    /// # Errors
    /// As [`AuditLog::open`]: an audit that is damaged is not written on.
    pub fn start(
        store: AuditStore,
        begin: &[AuditRecord],
    ) -> Result<(AuditWriter, String), StorageError> {
        AuditWriter::start_checked(store, |_| Ok(begin.to_vec()))
    }

    /// As [`AuditWriter::start`], with a look at what was found: `begin` gets the id of the audit that
    /// is there, `None` of an empty one, and returns its next records or refuses it. Nothing was
    /// written then.
    ///
    /// # Errors
    /// Those of `begin` too.
    pub fn start_checked<E: From<StorageError>>(
        mut store: AuditStore,
        begin: impl FnOnce(Option<&str>) -> Result<Vec<AuditRecord>, E>,
    ) -> Result<(AuditWriter, String), E> {
        let mut log = AuditLog::open(&*store.journals)?;
        for record in begin(log.audit_id())? {
            log.append(&record.encode())?;
        }
        log.commit()?;
        // It has a record now.
        let audit_id = log.checkpoint().map(|it| it.audit_id).unwrap_or_default();
        store.audit_id.get_or_insert_with(|| audit_id.clone());
        let store = Arc::new(store);
        let (work, queue) = sync_channel(QUEUE + READERS);
        let shared = Arc::new(Shared::default());
        shared.state().figures.durable = log.durable();
        let failed = |error| StorageError::Io {
            action: "start a thread for",
            path: AUDIT_JOURNAL.into(),
            source: Arc::new(error),
        };
        let keeper = checkpoints::Keeper::start(&store, &shared).map_err(failed)?;
        let running = writer::Running::new(log, store.clone(), queue, shared.clone(), keeper);
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || running.run())
            .map_err(failed)?;
        let writer = AuditWriter {
            work,
            shared,
            store: Arc::new(Mutex::new(Some(store))),
            thread: Arc::new(Thread(Mutex::new(Some(thread)))),
        };
        Ok((writer, audit_id))
    }

    /// Writes `end`, makes everything durable as far as that can be done now, stores a checkpoint, and
    /// ends. Blocking.
    pub fn stop(&self, end: AuditRecord) {
        // An overload would not be there any more: nobody calls.
        let _ = self.append(end);
        let _ = self.work.send(Work::Stop);
        self.thread.join();
        self.store().take();
    }

    fn store(&self) -> MutexGuard<'_, Option<Arc<AuditStore>>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audit for AuditWriter {
    fn append(&self, record: AuditRecord) -> Result<Ticket, AuditError> {
        let overloaded = AuditError::Overloaded { limit: QUEUE };
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE as u64 {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(overloaded);
        }
        let (durable, ticket) = Ticket::pair();
        let content = record.encode();
        let entry = Box::new(Entry { content, durable });
        if self.work.try_send(Work::Record(entry)).is_err() {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(overloaded);
        }
        Ok(ticket)
    }

    fn ready(&self) -> Result<(), AuditError> {
        self.shared.state().error.clone().map_or(Ok(()), Err)
    }

    fn lost(&self) {
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn early(&self) {
        self.shared.early.fetch_add(1, Ordering::Relaxed);
    }

    fn figures(&self) -> AuditFigures {
        let figures = self.shared.state().figures.clone();
        AuditFigures {
            lost: self.shared.lost.load(Ordering::Relaxed),
            early: self.shared.early.load(Ordering::Relaxed),
            waiting: self.shared.waiting.load(Ordering::Relaxed),
            ..figures
        }
    }

    fn read(&self, sequence: u64, limit: usize) -> Result<AuditRecords, AuditError> {
        let unreadable = |error: StorageError| AuditError::Unreadable(error.to_string());
        let (answer, answered) = sync_channel(1);
        let read = Work::Read {
            from: sequence,
            answer,
        };
        let ended = || AuditError::Down("it has ended".to_owned());
        self.work.send(read).map_err(|_| ended())?;
        let records = answered.recv().map_err(|_| ended())?.map_err(unreadable)?;
        let mut found = Vec::new();
        for record in records.take(limit) {
            let record = record.map_err(unreadable)?;
            let content = audit::content(&record).map_err(unreadable)?;
            let decoded = AuditRecord::decode(content);
            let decoded = decoded.map_err(|error| AuditError::Unreadable(error.to_string()))?;
            found.push((record.sequence, decoded));
        }
        Ok(found)
    }

    fn check(&self) -> Result<AuditCheck, AuditError> {
        let store = self.store().clone();
        let store = store.ok_or_else(|| AuditError::Down("it has ended".to_owned()))?;
        let report = check(&store).map_err(|e| AuditError::Unreadable(e.to_string()))?;
        Ok(AuditCheck {
            audit_id: report.audit_id,
            records: report.records,
            link: report.link.to_string(),
            checkpoints: report.checkpoints,
            last_checkpoint: report.last_checkpoint,
            first_bad: report.first_bad.map(|bad| (bad.sequence, bad.reason)),
        })
    }
}

/// The writer's end of the queue.
type Queue = Receiver<Work>;
