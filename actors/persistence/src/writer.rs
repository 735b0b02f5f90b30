//! The journal's writer thread: group commit behind a bounded queue.

use apex_bus::message::JournalHealth;
use apex_storage::{Class, Journal, JournalError, JournalState, Record, RecordIter, Unit};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Units that may wait for the disk. The handles let 4,096 commands be under way and venue
/// reports come on top; when it is full the account waits, since there is nothing better that it
/// could do while its disk stands still.
const QUEUE: usize = 8_192;

/// Units in one commit. Enough that the sync is shared by all that came during the one before.
const BATCH: usize = 4_096;

/// How often a full disk is looked at again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// What the writer tells. Called on the writer's thread; must not block.
pub trait Notices: Send {
    /// Everything up to `sequence` is durable.
    fn durable(&self, sequence: u64);
    fn health(&self, health: JournalHealth);
    /// A write or sync failed and nobody knows what is on the disk: the process has to end, and
    /// its start-up finds out.
    fn failed(&self, error: &JournalError) -> !;
}

enum Work {
    Unit(Vec<Record>),
    Snapshot {
        sequence: u64,
        bytes: Vec<u8>,
    },
    Read {
        from: u64,
        answer: SyncSender<Result<RecordIter, JournalError>>,
    },
    Stop,
}

/// The account's end of the queue.
#[derive(Clone, Debug)]
pub struct JournalQueue {
    sender: SyncSender<Work>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Work::Unit(_) => "Unit",
            Work::Snapshot { .. } => "Snapshot",
            Work::Read { .. } => "Read",
            Work::Stop => "Stop",
        })
    }
}

impl JournalQueue {
    /// Hands over the events of one decision; they become durable together. Waits while the
    /// queue is full. After the writer has ended nothing is taken, and nothing is ever told to be
    /// durable, so that nothing leaves.
    pub fn append(&self, records: Vec<Record>) {
        let _ = self.sender.send(Work::Unit(records));
    }

    /// Hands over the account's state after `sequence`, unless the queue is full: the next one
    /// will do.
    pub fn snapshot(&self, sequence: u64, bytes: Vec<u8>) {
        let _ = self.sender.try_send(Work::Snapshot { sequence, bytes });
    }

    /// Returns the durable records from `from` on, as of now. Blocks until the writer's present
    /// commit is done. `None` once the writer has ended.
    ///
    /// Errors: those of [`Journal::read_from`].
    pub fn read(&self, from: u64) -> Option<Result<RecordIter, JournalError>> {
        let (answer, answered) = sync_channel(1);
        self.sender.send(Work::Read { from, answer }).ok()?;
        answered.recv().ok()
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
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                Loop {
                    journal,
                    notices,
                    backlog: VecDeque::new(),
                }
                .run(&receiver)
            })?;
        Ok(Writer {
            queue: JournalQueue { sender },
            thread: Some(thread),
        })
    }

    pub fn queue(&self) -> JournalQueue {
        self.queue.clone()
    }

    /// Makes durable what was handed over, and ends the thread. On a full disk what does not fit
    /// is given up: it was never answered.
    pub fn stop(mut self) {
        let _ = self.queue.sender.send(Work::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    journal: Box<dyn Journal>,
    notices: Box<dyn Notices>,
    /// Decided, and without space so far.
    backlog: VecDeque<Unit>,
}

impl Loop {
    fn run(mut self, receiver: &Receiver<Work>) {
        let mut health = JournalHealth::Ready;
        loop {
            let first = if health == JournalHealth::Ready && self.backlog.is_empty() {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(PROBE_INTERVAL)
            };
            let stop = match first {
                Ok(work) => self.collect(work, receiver),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if health != JournalHealth::Ready
                && let Err(error) = self.journal.probe()
            {
                self.notices.failed(&error);
            }
            self.write();
            let now = health_of(self.journal.state(), !self.backlog.is_empty());
            if now != health {
                health = now;
                self.notices.health(health);
            }
            if stop {
                return;
            }
        }
    }

    /// Takes what is waiting, up to a batch. Returns true when the thread is to end.
    fn collect(&mut self, first: Work, receiver: &Receiver<Work>) -> bool {
        let mut next = Ok(first);
        loop {
            match next {
                // What was decided before the disk ran full must be kept as well as a report:
                // new orders are refused at the account, where nothing was decided yet.
                Ok(Work::Unit(records)) => {
                    self.backlog.push_back(Unit {
                        class: Class::Essential,
                        records,
                    });
                }
                Ok(Work::Snapshot { sequence, bytes }) => self.snapshot(sequence, &bytes),
                Ok(Work::Read { from, answer }) => {
                    // A reader that has gone away in the meantime is no fault.
                    let _ = answer.send(self.journal.read_from(from));
                }
                Ok(Work::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
            if self.backlog.len() >= BATCH {
                return false;
            }
            next = receiver.try_recv();
        }
    }

    /// Makes the backlog durable as far as there is space.
    fn write(&mut self) {
        while !self.backlog.is_empty() {
            let units = self.backlog.make_contiguous();
            match self.journal.append(units) {
                Ok(()) => self.backlog.clear(),
                Err(JournalError::BatchFull { .. }) => {}
                Err(JournalError::Full { .. }) => {
                    if !self.write_one_by_one() {
                        return;
                    }
                    continue;
                }
                Err(error) => self.notices.failed(&error),
            }
            self.commit();
        }
    }

    /// The batch as a whole has no space: takes its units one at a time. Returns false when not
    /// even the first one fits.
    fn write_one_by_one(&mut self) -> bool {
        let mut taken = 0;
        for unit in &self.backlog {
            match self.journal.append(std::slice::from_ref(unit)) {
                Ok(()) => taken += 1,
                Err(JournalError::BatchFull { .. } | JournalError::Full { .. }) => break,
                Err(error) => self.notices.failed(&error),
            }
        }
        self.backlog.drain(..taken);
        self.commit();
        taken > 0
    }

    fn commit(&mut self) {
        match self.journal.commit() {
            Ok(durable) => self.notices.durable(durable.0),
            Err(error) => self.notices.failed(&error),
        }
    }

    fn snapshot(&mut self, sequence: u64, bytes: &[u8]) {
        // The snapshot must not be ahead of what is durable.
        self.write();
        match self.journal.snapshot_write(sequence, bytes) {
            Ok(()) => {}
            Err(error) if error.must_abort() => self.notices.failed(&error),
            Err(error) => tracing::warn!(sequence, %error, "snapshot not written, going on"),
        }
    }
}

fn health_of(state: JournalState, waiting: bool) -> JournalHealth {
    match state {
        JournalState::Full => JournalHealth::Full,
        _ if waiting => JournalHealth::Full,
        JournalState::Reserve { .. } => JournalHealth::Reserve,
        JournalState::Ready => JournalHealth::Ready,
    }
}
