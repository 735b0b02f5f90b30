//! A journal in memory that keeps the promises of the port, with the same frames and chain.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::StorageError;
use crate::embedded::{
    FrameBuilder, Header, MAX_FRAME_BYTES, check_journal_name, genesis, next_record,
};
use crate::port::journal::{
    Class, DurableSequence, Head, Journal, JournalState, Record, RecordIter, RecordRef, Snapshot,
    SnapshotIter, Unit,
};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::verify::VerifyReport;

/// As much as an embedded journal keeps in reserve by default.
const RESERVE_BYTES: u64 = 1 << 20;

#[derive(Debug)]
struct Account {
    frames: Vec<Arc<[u8]>>,
    head: Head,
    snapshots: BTreeMap<u64, Vec<u8>>,
    open: bool,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    full: bool,
    fail_next_sync: bool,
}

/// The durable part: what a journal that is opened anew finds. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code here panics while it holds the lock half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an account's journal, or makes an empty one.
    ///
    /// # Errors
    /// `BadName`; `Locked` when it is open already.
    pub fn open(&self, account_id: &str) -> Result<MemoryJournal, StorageError> {
        check_journal_name(account_id)?;
        let mut state = self.lock();
        let account = state
            .accounts
            .entry(account_id.to_owned())
            .or_insert_with(|| Account {
                frames: Vec::new(),
                head: Head {
                    sequence: 0,
                    chain: genesis(account_id),
                },
                snapshots: BTreeMap::new(),
                open: false,
            });
        if account.open {
            let holder = format!("this process ({})", std::process::id());
            return Err(StorageError::Locked {
                path: PathBuf::from(account_id),
                holder,
            });
        }
        account.open = true;
        Ok(MemoryJournal {
            store: self.clone(),
            account_id: account_id.to_owned(),
            head: account.head,
            staged: FrameBuilder::new(),
            staged_sequence: account.head.sequence,
            reserve_left: RESERVE_BYTES,
            exhausted: false,
            was_full: false,
            broken: None,
        })
    }

    /// Makes the disk full, or gives space back.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Makes the next commit fail as a failed fsync does; nothing of it is kept.
    pub fn fail_next_sync(&self) {
        self.lock().fail_next_sync = true;
    }
}

/// The journal of one account in a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryJournal {
    store: MemoryStore,
    account_id: String,
    head: Head,
    staged: FrameBuilder,
    staged_sequence: u64,
    reserve_left: u64,
    exhausted: bool,
    /// The disk was full and has not been probed since: it stays so until `probe`.
    was_full: bool,
    broken: Option<StorageError>,
}

impl MemoryJournal {
    fn with<T>(&self, f: impl FnOnce(&mut Account) -> T) -> Option<T> {
        self.store.lock().accounts.get_mut(&self.account_id).map(f)
    }

    fn usable(&self) -> Result<(), StorageError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn check_space(&mut self, bytes: usize, class: Class) -> Result<(), StorageError> {
        self.was_full |= self.store.lock().full;
        if !self.was_full {
            return Ok(());
        }
        let full = || StorageError::Full {
            what: "the journal".into(),
        };
        if self.exhausted || class == Class::Order {
            return Err(full());
        }
        let Some(left) = self.reserve_left.checked_sub(bytes as u64) else {
            self.exhausted = true;
            return Err(full());
        };
        self.reserve_left = left;
        Ok(())
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, units: &[Unit]) -> Result<(), StorageError> {
        self.usable()?;
        let added = self
            .staged
            .measure(units, self.staged_sequence, MAX_FRAME_BYTES)?;
        self.check_space(added.bytes, added.class)?;
        self.staged_sequence = self.staged.stage(units, &added);
        Ok(())
    }

    fn commit(&mut self) -> Result<DurableSequence, StorageError> {
        self.usable()?;
        if self.staged.is_empty() {
            return Ok(DurableSequence(self.head.sequence));
        }
        if std::mem::take(&mut self.store.lock().fail_next_sync) {
            let error = StorageError::fsync(
                self.account_id.as_ref(),
                io::Error::other("failure asked for by a test"),
            );
            self.broken = Some(error.clone());
            return Err(error);
        }
        let (frame, sequence, chain) = self.staged.seal(&self.head.chain);
        let frame = Arc::from(frame);
        self.staged.clear();
        self.head = Head { sequence, chain };
        let head = self.head;
        self.with(|account| {
            account.frames.push(frame);
            account.head = head;
        });
        Ok(DurableSequence(sequence))
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, StorageError> {
        self.usable()?;
        let frames = self
            .with(|account| account.frames.clone())
            .unwrap_or_default();
        let records = frames.into_iter().flat_map(|frame| records_of(&frame));
        Ok(Box::new(
            records
                .filter(move |record| record.sequence >= sequence)
                .map(Ok),
        ))
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.usable()?;
        self.head.check_snapshot(sequence)?;
        self.with(|account| account.snapshots.insert(sequence, bytes.to_vec()));
        Ok(())
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, StorageError> {
        self.usable()?;
        let newest = |account: &mut Account| {
            let (sequence, bytes) = account.snapshots.last_key_value()?;
            Some(Snapshot {
                sequence: *sequence,
                bytes: bytes.clone(),
            })
        };
        Ok(self.with(newest).flatten())
    }

    fn snapshots(&self) -> Result<SnapshotIter, StorageError> {
        self.usable()?;
        let kept = |account: &mut Account| account.snapshots.clone();
        let kept = self.with(kept).unwrap_or_default().into_iter().rev();
        Ok(Box::new(
            kept.map(|(sequence, bytes)| Ok(Snapshot { sequence, bytes })),
        ))
    }

    fn head(&self) -> Head {
        self.head
    }

    fn state(&self) -> JournalState {
        match (self.was_full, self.exhausted) {
            (false, _) => JournalState::Ready,
            (true, false) => JournalState::Reserve {
                bytes_left: self.reserve_left,
            },
            (true, true) => JournalState::Full,
        }
    }

    fn probe(&mut self) -> Result<JournalState, StorageError> {
        self.usable()?;
        self.was_full = self.store.lock().full;
        if !self.was_full {
            self.exhausted = false;
            self.reserve_left = RESERVE_BYTES;
        }
        Ok(self.state())
    }
}

impl Drop for MemoryJournal {
    fn drop(&mut self) {
        self.with(|account| account.open = false);
    }
}

impl Journals for MemoryStore {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        Ok(Box::new(MemoryStore::open(self, account_id)?))
    }

    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        let state = self.lock();
        let names = state.accounts.keys().filter(|name| *name != AUDIT_JOURNAL);
        Ok(names.cloned().collect())
    }

    /// Nothing changes frames in memory, so there is no damage to find.
    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        check_journal_name(account_id)?;
        let known = self.lock().accounts.get(account_id).map(|account| {
            let frames: Vec<Arc<[u8]>> = account.frames.clone();
            (frames, account.head)
        });
        let Some((frames, head)) = known else {
            let path = PathBuf::from(account_id);
            return Err(StorageError::NotFound { path });
        };
        let mut records = 0;
        for record in frames.iter().flat_map(|frame| records_of(frame)) {
            records += 1;
            each(record.borrowed());
        }
        Ok(VerifyReport {
            records,
            frames: frames.len() as u64,
            torn_tail_bytes: 0,
            head,
            first_bad: None,
        })
    }
}

fn records_of(frame: &[u8]) -> Vec<Record> {
    let header = Header::parse(frame).ok();
    let mut body = header
        .and_then(|header| header.body(frame))
        .unwrap_or_default();
    let mut records = Vec::new();
    while let Some(record) = next_record(&mut body) {
        records.push(record.to_record());
    }
    records
}
