//! The journal port: one ordered, durable, hash-chained list of records per account.
//!
//! The contract in one paragraph: `append` stages, `commit` makes everything staged durable at once
//! (or nothing of it), and a reply, a publication or a byte to a venue may leave only when its
//! record's sequence is at or below what `commit` returned. An error that
//! [`JournalError::must_abort`] says so for leaves the outcome unknown: the process aborts, and
//! start-up reads what is really there.

use std::fmt;

/// The error of this port; see the variants for what to do next.
pub type JournalError = crate::StorageError;

/// One event of an account, as opaque bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Position in the account's journal: dense, from 1.
    pub sequence: u64,
    /// The domain's tag for the type of event.
    pub kind: u8,
    /// Version of the payload's schema.
    pub schema: u16,
    /// The encoded event; may be empty.
    pub payload: Vec<u8>,
}

impl Record {
    /// Returns a view of it.
    pub fn borrowed(&self) -> RecordRef<'_> {
        RecordRef {
            sequence: self.sequence,
            kind: self.kind,
            schema: self.schema,
            payload: &self.payload,
        }
    }
}

/// A [`Record`] whose payload is borrowed from a read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Position in the account's journal: dense, from 1.
    pub sequence: u64,
    /// The domain's tag for the type of event.
    pub kind: u8,
    /// Version of the payload's schema.
    pub schema: u16,
    /// The encoded event; may be empty.
    pub payload: &'a [u8],
}

impl RecordRef<'_> {
    /// Returns a copy that owns its payload.
    pub fn to_record(self) -> Record {
        Record {
            sequence: self.sequence,
            kind: self.kind,
            schema: self.schema,
            payload: self.payload.to_vec(),
        }
    }
}

/// What may still be stored when the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// New orders, amends and all else that adds exposure or can wait: refused without space.
    Order,
    /// Cancels, the kill switch and reports of a venue: goes on into the reserve.
    Essential,
}

/// The records of one decision. They become durable together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Whether it may use the reserve.
    pub class: Class,
    /// At least one record, in order, their sequences dense.
    pub records: Vec<Record>,
}

/// The last sequence known to be durable; 0 before the first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DurableSequence(pub u64);

/// A link of the hash chain: SHA-256 over the link before it and the batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// The durable end of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the last durable record; 0 when there is none.
    pub sequence: u64,
    /// Chain hash of the last durable batch; of an empty journal a value of the account alone.
    pub chain: ChainHash,
}

impl Head {
    /// Checks that a snapshot can be of a sequence: every backend refuses the same.
    ///
    /// Errors: `SnapshotAhead`.
    pub(crate) fn check_snapshot(&self, sequence: u64) -> Result<(), JournalError> {
        if sequence <= self.sequence {
            return Ok(());
        }
        Err(JournalError::SnapshotAhead {
            snapshot: sequence,
            durable: self.sequence,
        })
    }
}

/// Whether there is space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalState {
    /// Everything is accepted.
    Ready,
    /// The disk is full: only [`Class::Essential`] is accepted.
    Reserve {
        /// Upper bound of what is left for it, in bytes.
        bytes_left: u64,
    },
    /// The server that keeps it does not answer: only [`Class::Essential`] is accepted, into a
    /// reserve on this machine, until the server has that as well.
    Away {
        /// What is left of the reserve, in bytes.
        bytes_left: u64,
    },
    /// The reserve is used up as well: nothing is accepted. Halt the account.
    Full,
}

/// The state of an account after a record, as opaque bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record folded into it.
    pub sequence: u64,
    /// The encoded state.
    pub bytes: Vec<u8>,
}

/// Durable records in order of sequence.
///
/// An item that is an error is the last one. It owns its files and keeps at most one batch in
/// memory, so it can be read on another thread; it ends at what was durable when it was made.
pub type RecordIter = Box<dyn Iterator<Item = Result<Record, JournalError>> + Send>;

/// The snapshots that are kept, newest first. Each is read when it is asked for, so that it can be
/// done on another thread. One that is damaged is passed over with a warning, one that was pruned by
/// then without.
///
/// An item that is an error is the last one: a server that went away has not said that there is no
/// other snapshot.
pub type SnapshotIter = Box<dyn Iterator<Item = Result<Snapshot, JournalError>> + Send>;

/// Old parts of a journal that were stored as objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// The last of their records.
    pub(crate) base: Head,
}

impl Closed {
    /// Returns the sequence of the last record that is in the store of objects now.
    pub fn sequence(&self) -> u64 {
        self.base.sequence
    }
}

/// The work of storing old parts of a journal as objects: takes long, and runs on any thread. `None`
/// where it was only found out there that nothing can go yet. After an error nothing was moved, and
/// what was stored by then is stored again, or found, by the next one.
pub type ClosingJob = Box<dyn FnOnce() -> Result<Option<Closed>, JournalError> + Send>;

/// The cut of what such work has stored, for any thread: as [`Journal::cut`], of the same journal.
pub type CuttingJob = Box<dyn FnOnce(Closed) -> Result<(), JournalError> + Send>;

/// The work of storing a snapshot, for any thread. Its errors are those of [`Journal::snapshot_write`];
/// given up half-way it leaves the older snapshot.
pub type SnapshotJob = Box<dyn FnOnce() -> Result<(), JournalError> + Send>;

/// The journal of one account. Blocking: run it on a thread of its own.
pub trait Journal: Send {
    /// Stages units behind those already staged, all of them or none. Nothing is durable yet.
    ///
    /// # Errors
    /// - `Full`: no space for this class; refuse the work.
    /// - `BatchFull`: commit, then append the same units again.
    /// - `TooLarge`, `Sequence`: the caller's bug; nothing was staged.
    /// - anything that `must_abort`: abort the process.
    fn append(&mut self, units: &[Unit]) -> Result<(), JournalError>;

    /// Makes everything staged durable with one write and one sync, and returns the last durable
    /// sequence. With nothing staged it returns that sequence at once.
    ///
    /// # Errors
    /// Only such as `must_abort`. Afterwards every call returns the same error.
    fn commit(&mut self) -> Result<DurableSequence, JournalError>;

    /// Returns the durable records with this sequence or a later one; 0 and 1 both mean all, a
    /// sequence past the head none.
    ///
    /// # Errors
    /// `Damaged` (here or as an item) when stored bytes changed since the journal was opened.
    fn read_from(&self, sequence: u64) -> Result<RecordIter, JournalError>;

    /// Stores the state after `sequence`, durably, and forgets all but the newest few.
    ///
    /// # Errors
    /// - `SnapshotAhead`: `sequence` is not durable yet.
    /// - `SnapshotFailed`, `Full`: the older snapshot stands; try later. Not fatal.
    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), JournalError>;

    /// Begins to store a snapshot: returns the work where it may take longer than commits may wait for
    /// it, and `None` where it is stored already. One at a time.
    ///
    /// # Errors
    /// As [`Journal::snapshot_write`].
    fn snapshot_job(
        &mut self,
        sequence: u64,
        bytes: Vec<u8>,
    ) -> Result<Option<SnapshotJob>, JournalError> {
        self.snapshot_write(sequence, &bytes)?;
        Ok(None)
    }

    /// Returns the newest snapshot that is whole. A damaged one is passed over with a warning.
    ///
    /// # Errors
    /// Only such as `must_abort`.
    fn snapshot_latest(&self) -> Result<Option<Snapshot>, JournalError>;

    /// Returns the snapshots that are kept, for whoever looks for one that is not too new.
    ///
    /// A backend that cannot put off the reading gives the newest one alone, read at once.
    ///
    /// # Errors
    /// Here or as an item: `Unavailable`, when a server does not answer; try later. Else only such
    /// as `must_abort`.
    fn snapshots(&self) -> Result<SnapshotIter, JournalError> {
        Ok(Box::new(self.snapshot_latest()?.into_iter().map(Ok)))
    }

    /// Returns the work of moving what no start needs any more to the store of objects; `None`
    /// without such a store, or when it is known that there is nothing to move. Records stay where they
    /// are until [`Journal::cut`], and readable behind it.
    ///
    /// # Errors
    /// Only such as `must_abort`.
    fn closing(&self) -> Result<Option<ClosingJob>, JournalError> {
        Ok(None)
    }

    /// Leaves what was stored to the store of objects. `closed` is of a job of this journal.
    ///
    /// # Errors
    /// - `Full`, `Io`: nothing was moved; try later.
    /// - `Unavailable`: it was moved or not, and the journal goes on either way; try later.
    /// - `Fenced`: another owner has the account; nothing was moved.
    fn cut(&mut self, closed: Closed) -> Result<(), JournalError> {
        let _ = closed;
        Ok(())
    }

    /// Returns the cut of what a closing job has stored, where it may take longer than commits may wait
    /// for it; `None` where [`Journal::cut`] is to be called.
    fn cutting(&self) -> Option<CuttingJob> {
        None
    }

    /// Returns the durable end.
    fn head(&self) -> Head;

    /// Returns the last sequence that is where every reader of the journal finds it: before the end
    /// while the rest is in this machine's reserve alone.
    fn shared_sequence(&self) -> u64 {
        self.head().sequence
    }

    /// Returns whether there is space, as last seen by `append`, `commit` or `probe`.
    fn state(&self) -> JournalState;

    /// Looks whether space is back and prepares for going on; call it from a timer while `state` is
    /// not `Ready`. Returns the state then.
    ///
    /// # Errors
    /// Only such as `must_abort`.
    fn probe(&mut self) -> Result<JournalState, JournalError>;
}
