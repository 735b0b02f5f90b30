//! Journals that go on while their server is away.
//!
//! A commit that has no answer within [`PATIENCE`] goes into the account's reserve, a file of this
//! machine, and so does all that follows it until the server has everything. The frames are those
//! that the server will store, in the same chain, so that nothing has to be translated or compared:
//! what the server has of them is told by its sequence and chain hash, and the rest is sent behind
//! that, in order. Each send moves the account's head from where the one before left it, under the
//! epoch of this owner, so that nothing is stored twice, and nothing at all once another owner has
//! taken over.
//!
//! While it is so the state is `Away`: new orders are refused where they are decided, since an
//! intent belongs on the server before it leaves. What was decided in the second before that was
//! noticed stands in the middle of the chain and goes with it.
//!
//! The database says which data folders may hold a reserve (`owners.rs`, `reserved/others.rs`), and a
//! reserve says of which database it is (`reserved/place.rs`): neither is left out of sight when the
//! other comes back.

use super::journal::{PgJournal, PgJournals};
use super::owners::{self, Keeper};
use super::snapshots;
use crate::StorageError;
use crate::embedded::{FrameBuilder, Kept, MAX_FRAME_BYTES, ReserveFile};
use crate::port::journal::{
    Class, Closed, ClosingJob, CuttingJob, DurableSequence, Head, Journal, JournalState,
    RecordIter, RecordRef, Snapshot, SnapshotIter, SnapshotJob, Unit,
};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::verify::VerifyReport;
use crate::{DataDir, Record};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

mod drain;
mod others;
mod place;
#[cfg(test)]
mod tests;

use drain::{DRAINING, rows};
pub use others::look_for_reserves;
pub(crate) use place::has_reserve;

/// How long a commit waits for the server before it goes into the reserve. A commit takes
/// milliseconds; one second is what a cancel may wait, and longer than a failover of a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// Size of a reserve: some 55,000 events of 150 bytes. What was decided until the second is over
/// goes there as well, some thousand orders at the highest rate.
const RESERVE_BYTES: u64 = 8 << 20;

/// As [`PATIENCE`], of the audit: the kill switch is answered once its record is durable, and an
/// account that has found the server to be away is done with it in milliseconds.
const AUDIT_PATIENCE: Duration = Duration::from_millis(200);

/// The journals of a database, each with a reserve in a data folder.
#[derive(Debug, Clone)]
pub struct ReservedJournals {
    journals: PgJournals,
    dir: Arc<DataDir>,
    keeper: Keeper,
    database_id: String,
    reserve_bytes: u64,
}

impl ReservedJournals {
    /// Keeps the reserves of journals in a folder that this process has taken. The server should
    /// be told never to give up ([`super::ServerOptions::give_up`]): nobody waits for it here.
    ///
    /// # Errors
    /// - `ReserveOfOther`: the folder holds a reserve of another database;
    /// - `Damaged`, `NewerVersion` of a reserve; `Damaged` of the folder's id;
    /// - `Unavailable`, `Full`, `Io`.
    pub fn new(journals: PgJournals, dir: &Arc<DataDir>) -> Result<ReservedJournals, StorageError> {
        let keeper = Keeper {
            folder_id: dir.id()?,
            folder: place::folder_name(dir.root()),
            without_others: false,
        };
        let id = journals.database_id().to_owned();
        place::belong(dir, &id, journals.server().name())?;
        Ok(ReservedJournals {
            journals,
            dir: dir.clone(),
            keeper,
            database_id: id,
            reserve_bytes: RESERVE_BYTES,
        })
    }

    #[cfg(test)]
    pub(super) fn with_reserve_bytes(mut self, bytes: u64) -> ReservedJournals {
        self.reserve_bytes = bytes;
        self
    }

    /// Opens an account's journal and becomes its owner. What an earlier run has left in the
    /// reserve is on the server before this returns.
    ///
    /// # Errors
    /// - as [`PgJournals::open`];
    /// - `ReserveElsewhere`: another folder may hold a reserve; nothing was changed;
    /// - `ReserveConflict`: another owner has written since the reserve was left, or the database ends
    ///   before it;
    /// - `Full` without space for a reserve; `Damaged`, `NewerVersion` of the reserve.
    pub fn open(&self, account_id: &str) -> Result<ReservedJournal, StorageError> {
        // Before it is said that something may be in it: one that is not there was moved away.
        place::make(&self.dir, account_id, &self.database_id)?;
        let server = self.journals.open_with(account_id, Some(&self.keeper))?;
        let (reserve, left) = ReserveFile::open(&self.dir, account_id, self.reserve_bytes)?;
        let head = server.head();
        let mut journal = ReservedJournal {
            largest_frame: MAX_FRAME_BYTES.min(self.reserve_bytes as usize),
            patience: match account_id {
                AUDIT_JOURNAL => AUDIT_PATIENCE,
                _ => PATIENCE,
            },
            folder_id: self.keeper.folder_id.clone(),
            server,
            reserve,
            head,
            staged: FrameBuilder::new(),
            staged_sequence: head.sequence,
            kept: VecDeque::new(),
            sent: None,
            away_since: None,
            slow_at: None,
            exhausted: false,
            broken: None,
            keeps_mark: true,
        };
        if let Some(left) = left {
            let merged = journal.merge(left);
            if let Err(StorageError::ReserveConflict {
                first, server_at, ..
            }) = &merged
            {
                // Whoever accounted for this reserve has forgotten it, and stays right: unless the
                // database was brought back to before that.
                let is_older = server_at + 1 < *first;
                journal.keeps_mark = is_older || !journal.server.is_marked_anew();
            }
            merged?;
            // It is of this database, as its chain shows, whether it said so or not.
            let name = self.journals.server().name();
            place::note(&self.dir, &self.database_id, name)?;
        }
        journal.keeps_mark = false;
        Ok(journal)
    }
}

impl Journals for ReservedJournals {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        Ok(Box::new(ReservedJournals::open(self, account_id)?))
    }

    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        self.journals.accounts()
    }

    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        self.journals.verify(account_id, each)
    }
}

/// Frames on their way to the server.
struct Sent {
    frames: usize,
    after: Head,
    outcome: Receiver<Result<(), StorageError>>,
}

/// The journal of one account in [`ReservedJournals`].
pub struct ReservedJournal {
    /// Its head is what the server is known to have.
    server: PgJournal,
    reserve: ReserveFile,
    /// Of the data folder with the reserve.
    folder_id: String,
    /// How long a commit waits for the server.
    patience: Duration,
    largest_frame: usize,
    /// The end of what is durable, on the server or here.
    head: Head,
    staged: FrameBuilder,
    staged_sequence: u64,
    /// Durable here and not known to be on the server, oldest first; bounded by the reserve.
    kept: VecDeque<Kept>,
    /// The first of them, under way.
    sent: Option<Sent>,
    /// Since when the server is away; `None` while it answers.
    away_since: Option<Instant>,
    /// When it last answered, and then had no answer to the rest in time.
    slow_at: Option<Instant>,
    /// A unit did not fit into the reserve: nothing is taken until the server is back.
    exhausted: bool,
    broken: Option<StorageError>,
    /// What an earlier run has left is not on the server, so that the database goes on saying that
    /// this folder holds something.
    keeps_mark: bool,
}

impl fmt::Debug for ReservedJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservedJournal")
            .field("server", &self.server)
            .field("head", &self.head)
            .field("kept", &self.kept.len())
            .finish_non_exhaustive()
    }
}

impl ReservedJournal {
    fn usable(&self) -> Result<(), StorageError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Remembers a failure after which nothing here can be trusted.
    fn note<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result {
            self.broken = Some(error.clone());
        }
        result
    }

    /// Checks that a frame with so many bytes more can be made durable without the server.
    fn check_space(&mut self, more_bytes: usize, class: Class) -> Result<(), StorageError> {
        if self.away_since.is_none() {
            return Ok(());
        }
        let full = |what: &str| StorageError::Full { what: what.into() };
        if class == Class::Order {
            return Err(full("new orders, while the journal's server is away"));
        }
        if self.exhausted {
            return Err(full("the journal's reserve"));
        }
        if self.staged.length_with(more_bytes) as u64 <= self.reserve.left_bytes() {
            return Ok(());
        }
        if !self.staged.is_empty() {
            let limit_bytes = self.largest_frame;
            return Err(StorageError::BatchFull { limit_bytes });
        }
        self.exhausted = true;
        tracing::error!(
            account_id = self.server.account_id(),
            "the journal's reserve is full and its server is away: nothing is taken"
        );
        Err(full("the journal's reserve"))
    }

    /// Makes the staged frame durable, on the server or in the reserve. Returns the end with it.
    fn store_staged(&mut self) -> Result<Head, StorageError> {
        let first = self.head.sequence + 1;
        let (frame, sequence, chain) = self.staged.seal(&self.head.chain);
        let after = Head { sequence, chain };
        let frame = frame.to_vec();
        let kept = Kept {
            first,
            after,
            frame,
        };
        if self.away_since.is_none() && self.store_on_server(&kept)? {
            return Ok(after);
        }
        self.reserve.append(&self.head, &kept.frame)?;
        self.kept.push_back(kept);
        Ok(after)
    }

    /// Returns false when the server gave no answer in time: it may or may not store the frame.
    fn store_on_server(&mut self, frame: &Kept) -> Result<bool, StorageError> {
        let trouble = match self.server.hand_over(frame.after, rows([frame])) {
            Err(trouble) => trouble,
            Ok(outcome) => match outcome.recv_timeout(self.patience) {
                Ok(Ok(())) => {
                    self.server.stored(frame.after);
                    return Ok(true);
                }
                Ok(Err(trouble @ StorageError::Unavailable { .. })) => trouble,
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {
                    self.sent = Some(Sent {
                        frames: 1,
                        after: frame.after,
                        outcome,
                    });
                    let server = self.server.server();
                    server.unavailable("a commit has no answer in time")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.server.server().unavailable("the writer has ended")
                }
            },
        };
        self.away_since = Some(Instant::now());
        tracing::error!(
            account_id = self.server.account_id(),
            error = %trouble,
            "the journal's server is away: new orders are refused, cancels and reports go on into \
             the reserve"
        );
        Ok(false)
    }

    /// Checks that a snapshot can be stored on the server.
    fn check_snapshot(&self, sequence: u64) -> Result<(), StorageError> {
        self.usable()?;
        self.head.check_snapshot(sequence)?;
        match self.away_since {
            Some(_) => Err(snapshots::not_kept(&self.server.place(), self.away())),
            None => Ok(()),
        }
    }

    fn away(&self) -> StorageError {
        let server = self.server.server();
        server.unavailable("it is away, and the past is read from it: try again once it is back")
    }
}

impl Journal for ReservedJournal {
    fn append(&mut self, units: &[Unit]) -> Result<(), StorageError> {
        self.usable()?;
        let added = self
            .staged
            .measure(units, self.staged_sequence, self.largest_frame)?;
        if added.bytes == 0 {
            return Ok(());
        }
        self.check_space(added.bytes, added.class)?;
        self.staged_sequence = self.staged.stage(units, &added);
        Ok(())
    }

    fn commit(&mut self) -> Result<DurableSequence, StorageError> {
        self.usable()?;
        if !self.staged.is_empty() {
            let stored = self.store_staged();
            self.head = self.note(stored)?;
            self.staged.clear();
        }
        Ok(DurableSequence(self.head.sequence))
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, StorageError> {
        self.usable()?;
        let on_server = self.server.head().sequence;
        if self.away_since.is_some() && sequence <= on_server && on_server > 0 {
            return Err(self.away());
        }
        let here: Vec<Record> = self
            .kept
            .iter()
            .filter(|kept| kept.after.sequence >= sequence)
            .flat_map(Kept::records)
            .filter(|record| record.sequence >= sequence)
            .collect();
        if sequence > on_server {
            return Ok(Box::new(here.into_iter().map(Ok)));
        }
        let there = self.server.read_from(sequence)?;
        Ok(Box::new(there.chain(here.into_iter().map(Ok))))
    }

    fn closing(&self) -> Result<Option<ClosingJob>, StorageError> {
        self.usable()?;
        if self.away_since.is_some() {
            return Ok(None);
        }
        self.server.closing()
    }

    fn cut(&mut self, closed: Closed) -> Result<(), StorageError> {
        self.usable()?;
        if self.away_since.is_some() {
            return Err(self.away());
        }
        let setting = self.server.setting_base(closed);
        self.server.server().wait_for(PATIENCE, setting)?;
        self.server.passed(closed);
        Ok(())
    }

    fn cutting(&self) -> Option<CuttingJob> {
        Some(self.server.cutting_job())
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.check_snapshot(sequence)?;
        let storing = self.server.storing_snapshot(sequence, bytes);
        let stored = self.server.server().wait_for(PATIENCE, storing);
        stored.map_err(|error| snapshots::not_kept(&self.server.place(), error))
    }

    fn snapshot_job(
        &mut self,
        sequence: u64,
        bytes: Vec<u8>,
    ) -> Result<Option<SnapshotJob>, StorageError> {
        self.check_snapshot(sequence)?;
        // A large state takes longer than a commit may wait behind it.
        let storing = self.server.storing_snapshot(sequence, &bytes);
        let (server, place) = (self.server.server().clone(), self.server.place());
        Ok(Some(Box::new(move || {
            let stored = server.wait(storing);
            stored.map_err(|error| snapshots::not_kept(&place, error))
        })))
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, StorageError> {
        self.usable()?;
        self.server.snapshot_latest()
    }

    fn snapshots(&self) -> Result<SnapshotIter, StorageError> {
        self.usable()?;
        self.server.snapshots()
    }

    fn head(&self) -> Head {
        self.head
    }

    fn shared_sequence(&self) -> u64 {
        self.server.head().sequence
    }

    fn state(&self) -> JournalState {
        if self.away_since.is_none() {
            return JournalState::Ready;
        }
        // That it is away was told before anything can have been refused for want of room.
        if self.exhausted {
            return JournalState::Full;
        }
        let bytes_left = self.reserve.left_bytes();
        JournalState::Away { bytes_left }
    }

    fn probe(&mut self) -> Result<JournalState, StorageError> {
        self.usable()?;
        if self.away_since.is_some() {
            let drained = self.drain(Duration::ZERO, DRAINING);
            self.note(drained)?;
        }
        Ok(self.state())
    }
}
