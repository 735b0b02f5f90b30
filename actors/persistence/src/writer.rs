//! The journal's writer thread: group commit behind a bounded queue.

use crate::committer::{Committer, Moved, Snapshot};
use apex_bus::message::JournalHealth;
use apex_bus::supervision::{Abort, abort_process};
use apex_storage::{Journal, JournalError, Record, RecordIter, SnapshotIter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Units that may wait for the disk. The handles let 4,096 commands be under way and venue
/// reports come on top; when it is full the account waits, since there is nothing better that it
/// could do while its disk stands still.
const QUEUE: usize = 8_192;

/// Requests that go past the units: reads of the past, and the stop. Each holds a
/// blocking thread of its caller; when it is full the caller waits.
const REQUESTS: usize = 64;

/// Units in one commit, and the most that are taken from the queue while the disk is full. Enough
/// that the sync is shared by all that came during the one before.
const BATCH: usize = 4_096;

/// How often a full disk is looked at again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// How long a stop waits for a snapshot that is being stored: as long as for a commit. Without it the
/// next start folds more records.
const LAST_SNAPSHOT: Duration = Duration::from_secs(1);

/// What the writer tells. Called on the writer's thread; must not block.
pub trait Notices: Send {
    /// Everything up to `sequence` is durable.
    fn durable(&self, sequence: u64);
    /// Every reader of the journal finds what is up to `sequence`: the rest is in this machine's
    /// reserve alone.
    fn shared(&self, sequence: u64);
    /// How the journal stands. Told at each change, and again at each probe while it is not
    /// `Ready`, so that a listener that came late hears of it as well.
    fn health(&self, health: JournalHealth);
    /// A write or sync failed and nobody knows what is on the disk: the process has to end, and
    /// its start-up finds out.
    fn failed(&self, error: &JournalError) -> !;
    /// The thread broke an invariant of ours. What waits for it would wait for ever, so the
    /// process ends.
    fn panicked(&self) {
        abort_process(&Abort {
            name: "journal writer".into(),
            reason: "broken invariant".to_owned(),
        });
    }
}

#[derive(Debug)]
enum Work {
    Unit(Vec<Record>),
    Snapshot {
        sequence: u64,
        bytes: Vec<u8>,
    },
    /// There is a request.
    Wake,
}

enum Request {
    Read {
        from: u64,
        answer: SyncSender<Result<RecordIter, JournalError>>,
    },
    Snapshots {
        answer: SyncSender<Result<SnapshotIter, JournalError>>,
    },
    Stop,
}

/// The account's end of the queue.
#[derive(Clone, Debug)]
pub struct JournalQueue {
    work: SyncSender<Work>,
    requests: SyncSender<Request>,
}

impl JournalQueue {
    /// Hands over the events of one decision; they become durable together. Waits while the
    /// queue is full. After the writer has ended nothing is taken, and nothing is ever told to be
    /// durable, so that nothing leaves.
    pub fn append(&self, records: Vec<Record>) {
        let _ = self.work.send(Work::Unit(records));
    }

    /// Hands over the account's state after `sequence`, unless the queue is full: the next one
    /// will do.
    pub fn snapshot(&self, sequence: u64, bytes: Vec<u8>) {
        let _ = self.work.try_send(Work::Snapshot { sequence, bytes });
    }

    /// Returns the durable records from `from` on, as of now. Blocks until the writer's present
    /// commit is done; a full disk does not hold it up. `None` once the writer has ended.
    ///
    /// Errors: those of [`Journal::read_from`].
    pub fn read(&self, from: u64) -> Option<Result<RecordIter, JournalError>> {
        let (answer, answered) = sync_channel(1);
        self.request(Request::Read { from, answer })?;
        answered.recv().ok()
    }

    /// Returns the snapshots that are kept, newest first, each read when it is asked for. Blocks
    /// like [`JournalQueue::read`]. `None` once the writer has ended.
    ///
    /// Errors: those of [`Journal::snapshots`].
    pub fn snapshots(&self) -> Option<Result<SnapshotIter, JournalError>> {
        let (answer, answered) = sync_channel(1);
        self.request(Request::Snapshots { answer })?;
        answered.recv().ok()
    }

    fn request(&self, request: Request) -> Option<()> {
        self.requests.send(request).ok()?;
        // A full queue keeps the writer awake by itself.
        let _ = self.work.try_send(Work::Wake);
        Some(())
    }
}

/// A running writer thread.
#[derive(Debug)]
pub struct Writer {
    queue: JournalQueue,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts a thread that owns `journal`.
    ///
    /// Errors: the system's, when it has no thread to give.
    pub fn start(journal: Box<dyn Journal>, notices: Box<dyn Notices>) -> std::io::Result<Writer> {
        Writer::start_with(journal, notices, PROBE_INTERVAL)
    }

    pub(crate) fn start_with(
        journal: Box<dyn Journal>,
        notices: Box<dyn Notices>,
        probe_interval: Duration,
    ) -> std::io::Result<Writer> {
        let (work, work_queue) = sync_channel(QUEUE);
        let (requests, request_queue) = sync_channel(REQUESTS);
        let mut running = Running {
            committer: Committer::new(journal, notices),
            work: work_queue,
            requests: request_queue,
            storing: None,
            closing: None,
            health: JournalHealth::Ready,
            probe_interval,
            probed: None,
        };
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| running.run())).is_err() {
                    running.committer.notices().panicked();
                }
            })?;
        Ok(Writer {
            queue: JournalQueue { work, requests },
            thread: Some(thread),
        })
    }

    pub fn queue(&self) -> JournalQueue {
        self.queue.clone()
    }

    /// Makes durable what was handed over, and ends the thread. On a full disk what does not fit
    /// is given up: it was never answered.
    pub fn stop(mut self) {
        let _ = self.queue.request(Request::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Running {
    committer: Committer,
    work: Receiver<Work>,
    requests: Receiver<Request>,
    /// A snapshot that is being stored on a thread, which says what became of it.
    storing: Option<(u64, Receiver<Result<(), JournalError>>)>,
    /// What the thread says that stores old records as objects, while there is one.
    closing: Option<Receiver<Result<Moved, JournalError>>>,
    /// As last told.
    health: JournalHealth,
    probe_interval: Duration,
    probed: Option<Instant>,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

impl Running {
    fn run(&mut self) {
        self.tell_health(false);
        loop {
            let mut then = self.wait();
            let probed = self.probe_when_due();
            self.committer.write();
            self.tell_health(probed);
            self.take_stored();
            self.take_closed();
            if self.answer_requests() == Then::Stop {
                then = Then::Stop;
            }
            if then == Then::Stop {
                return self.finish();
            }
        }
    }

    /// Waits for something to do, and takes what is there.
    fn wait(&mut self) -> Then {
        if self.committer.waiting() >= BATCH {
            // No more units until there is space: the queue behind them bounds what is decided.
            return match self.requests.recv_timeout(self.probe_interval) {
                Ok(request) => self.answer(request),
                Err(RecvTimeoutError::Timeout) => Then::GoOn,
                Err(RecvTimeoutError::Disconnected) => Then::Stop,
            };
        }
        let first = if self.health == JournalHealth::Ready {
            self.work.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            self.work.recv_timeout(self.probe_interval)
        };
        match first {
            Ok(work) => self.take(work),
            Err(RecvTimeoutError::Timeout) => return Then::GoOn,
            Err(RecvTimeoutError::Disconnected) => return Then::Stop,
        }
        self.take_waiting();
        Then::GoOn
    }

    /// Takes what else is in the queue, up to a batch. Returns true once it is empty.
    fn take_waiting(&mut self) -> bool {
        while self.committer.waiting() < BATCH {
            match self.work.try_recv() {
                Ok(work) => self.take(work),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Unit(records) => self.committer.push(records),
            Work::Snapshot { sequence, bytes } => self.snapshot(sequence, bytes),
            Work::Wake => {}
        }
    }

    /// Has a snapshot stored. One at a time: while a server takes long for it the next is left out.
    fn snapshot(&mut self, sequence: u64, bytes: Vec<u8>) {
        if self.storing.is_some() {
            tracing::debug!(
                sequence,
                "snapshot left out: the one before is being stored"
            );
            return;
        }
        match self.committer.snapshot(sequence, bytes) {
            Snapshot::Kept => self.close_old(),
            Snapshot::Begun(job) => {
                let outcome = beside("journal-snapshot", job);
                self.storing = outcome.map(|outcome| (sequence, outcome));
            }
            Snapshot::None => {}
        }
    }

    /// Nobody wakes the writer for it: there is no hurry.
    fn take_stored(&mut self) {
        if let Some((sequence, outcome)) = &self.storing {
            let stored = match outcome.try_recv() {
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => None,
                Ok(stored) => Some(stored),
            };
            self.stored(*sequence, stored);
        }
    }

    /// What became of the snapshot that was being stored; `None` where its thread has panicked.
    fn stored(&mut self, sequence: u64, stored: Option<Result<(), JournalError>>) {
        self.storing = None;
        match stored {
            Some(Ok(())) => self.close_old(),
            Some(Err(error)) => self.committer.not_kept(sequence, &error),
            None => tracing::warn!(sequence, "snapshot not written: its thread has panicked"),
        }
    }

    /// Has what the snapshots made needless stored elsewhere, beside everything else. What fails is
    /// tried again at the next snapshot; when the journal ends meanwhile, by the next start.
    fn close_old(&mut self) {
        if self.closing.is_none()
            && let Some(closing) = self.committer.closing()
        {
            self.closing = beside("journal-closing", move || closing.run());
        }
    }

    /// Nobody wakes the writer for it: there is no hurry.
    fn take_closed(&mut self) {
        let Some(outcome) = &self.closing else {
            return;
        };
        match outcome.try_recv() {
            Ok(moved) => self.committer.cut(moved),
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                tracing::warn!("old records of the journal stay: their thread has panicked");
            }
        }
        self.closing = None;
    }

    fn answer_requests(&mut self) -> Then {
        while let Ok(request) = self.requests.try_recv() {
            if self.answer(request) == Then::Stop {
                return Then::Stop;
            }
        }
        Then::GoOn
    }

    fn answer(&mut self, request: Request) -> Then {
        match request {
            Request::Read { from, answer } => {
                // A reader that has gone away in the meantime is no fault.
                let _ = answer.send(self.committer.read(from));
                Then::GoOn
            }
            Request::Snapshots { answer } => {
                let _ = answer.send(self.committer.snapshots());
                Then::GoOn
            }
            Request::Stop => Then::Stop,
        }
    }

    /// Returns true when it looked.
    fn probe_when_due(&mut self) -> bool {
        let due = self
            .probed
            .is_none_or(|probed| probed.elapsed() >= self.probe_interval);
        if self.health == JournalHealth::Ready || !due {
            return false;
        }
        self.probed = Some(Instant::now());
        self.committer.probe();
        true
    }

    fn tell_health(&mut self, again: bool) {
        let now = self.committer.health();
        if now != self.health || (again && now != JournalHealth::Ready) {
            self.health = now;
            self.committer.notices().health(now);
        }
    }

    /// Takes and writes what was handed over before the stop, as far as there is space.
    fn finish(&mut self) {
        loop {
            let empty = self.take_waiting();
            self.committer.write();
            if empty || self.committer.waiting() > 0 {
                break;
            }
        }
        // What it says does not matter any more, but that it is there at the next start.
        if let Some((sequence, outcome)) = self.storing.take()
            && let Ok(Err(error)) = outcome.recv_timeout(LAST_SNAPSHOT)
        {
            tracing::warn!(sequence, %error, "snapshot not written");
        }
    }
}

/// Does work on a thread of its own, which says what came of it; `None` where there is no thread.
fn beside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<Receiver<T>> {
    let (told, outcome) = sync_channel(1);
    let thread = std::thread::Builder::new().name(name.into());
    let started = thread.spawn(move || {
        let _ = told.send(work());
    });
    match started {
        Ok(_) => Some(outcome),
        Err(error) => {
            tracing::warn!(thread = name, %error, "no thread for the journal, going on without");
            None
        }
    }
}

#[cfg(test)]
mod tests;
