//! The journal of one account in segment files.
//!
//! A commit is one write and one fdatasync into a zero-filled segment. When a batch does not fit
//! into the rest of the segment, the spare becomes the next segment by a rename, and the one after
//! it is made on a helper thread. When there is no space for a spare, only essential units are
//! taken: into what is left of the segment, and then into the reserve, which becomes the next
//! segment in the same way. So all records stay in one order and one chain.

use std::path::PathBuf;
use std::sync::Arc;

use super::base;
use super::closed::ClosedSegments;
use super::closing::{self, Leaving};
use super::data_dir::{DataDir, check_journal_name, journal_claim, snapshot_folder};
use super::frame::{FrameBuilder, MAX_FRAME_BYTES, MIN_FRAME_BYTES};
use super::open::open_parts;
use super::options::{Opened, Options, Preallocation};
use super::read::{Records, SegmentName};
use super::snapshot;
use super::spare::{Spare, sync_folder_of};
use crate::StorageError;
use crate::disk::{DiskFile, Open, write_all};
use crate::port::journal::{
    Class, Closed, ClosingJob, DurableSequence, Head, Journal, JournalState, RecordIter, Snapshot,
    SnapshotIter, Unit,
};
use crate::port::objects::Objects;

/// The segment being written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) used_bytes: u64,
}

impl Active {
    fn left_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.used_bytes)
    }
}

/// Which file a frame goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Current,
    Spare,
    Reserve,
}

/// The journal of one account in segment files.
#[derive(Debug)]
pub struct EmbeddedJournal {
    dir: Arc<DataDir>,
    account_id: String,
    folder: PathBuf,
    options: Options,
    opened: Opened,
    /// Where old segments go; without it they stay.
    closed: Option<ClosedSegments>,
    /// The last record before `segments`.
    pub(super) base: Head,
    segments: Vec<SegmentName>,
    current: Option<Active>,
    spare: Spare,
    reserve: Spare,
    /// A unit that may use the reserve did not fit: nothing is taken until there is space.
    exhausted: bool,
    staged: FrameBuilder,
    staged_sequence: u64,
    head: Head,
    broken: Option<StorageError>,
}

impl EmbeddedJournal {
    /// Opens an account's journal, or makes an empty one: checks every byte of it, cuts an
    /// unfinished last write, and prepares space.
    ///
    /// # Errors
    /// - `Damaged`, `NewerVersion`: refused, nothing was changed.
    /// - `Locked`: this process has it open already.
    /// - `Full`: not even the folder could be made. (A disk that is full later is a state.)
    /// - `BadName`; `Io`, `FsyncFailed`.
    pub fn open(
        dir: &Arc<DataDir>,
        account_id: &str,
        options: Options,
    ) -> Result<EmbeddedJournal, StorageError> {
        EmbeddedJournal::open_with(dir, account_id, options, None)
    }

    /// Opens it as [`EmbeddedJournal::open`] does, with a store where old segments go and are.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        dir: &Arc<DataDir>,
        account_id: &str,
        options: Options,
        objects: Option<&Arc<dyn Objects>>,
    ) -> Result<EmbeddedJournal, StorageError> {
        check_journal_name(account_id)?;
        let claim = journal_claim(account_id);
        dir.claim(&claim)?;
        let parts = open_parts(dir, account_id, options);
        let parts = parts.inspect_err(|_| dir.release(&claim))?;
        let mut journal = EmbeddedJournal {
            dir: Arc::clone(dir),
            account_id: account_id.to_owned(),
            folder: parts.folder,
            options: parts.options,
            opened: parts.opened,
            closed: objects.map(|objects| ClosedSegments::new(objects, account_id)),
            base: parts.base,
            segments: parts.segments,
            current: parts.current,
            spare: parts.spare,
            reserve: parts.reserve,
            exhausted: false,
            staged: FrameBuilder::new(),
            staged_sequence: parts.head.sequence,
            head: parts.head,
            broken: None,
        };
        if !journal.spare.is_ready() {
            journal.prepare_spare(false)?;
        }
        Ok(journal)
    }

    /// Returns what was found when it was opened.
    pub fn opened(&self) -> Opened {
        self.opened
    }

    fn largest_frame(&self) -> usize {
        let smallest = self.options.segment_bytes.min(self.options.reserve_bytes);
        // At most MAX_FRAME_BYTES, so the cast keeps the value.
        smallest.min(MAX_FRAME_BYTES as u64) as usize
    }

    fn left_bytes(&self) -> u64 {
        self.current.as_ref().map_or(0, Active::left_bytes)
    }

    fn has_space(&self) -> bool {
        self.spare.is_expected() && self.reserve.is_ready()
    }

    /// Decides where a frame of this length goes, waiting for a helper only when it must.
    fn place(&mut self, frame_bytes: usize) -> Result<Option<Place>, StorageError> {
        let bytes = frame_bytes as u64;
        if bytes <= self.left_bytes() {
            return Ok(Some(Place::Current));
        }
        let waited = self.spare.wait();
        self.note(waited)?;
        if self.spare.is_ready() {
            return Ok(Some(Place::Spare));
        }
        if self.reserve.is_ready() && bytes <= self.reserve.bytes {
            return Ok(Some(Place::Reserve));
        }
        Ok(None)
    }

    /// Checks that the staged frame with these units can be written, so that `commit` cannot fail
    /// for want of space.
    fn check_space(&mut self, more_bytes: usize, class: Class) -> Result<(), StorageError> {
        let polled = self.spare.poll();
        self.note(polled)?;
        let full = || StorageError::Full {
            what: "the journal".into(),
        };
        // First, since waiting for the spare may show that the disk is full.
        let place = self.place(self.staged.length_with(more_bytes))?;
        if self.exhausted || (!self.has_space() && class == Class::Order) {
            return Err(full());
        }
        if place.is_some() {
            return Ok(());
        }
        if !self.staged.is_empty() {
            let limit_bytes = self.largest_frame();
            return Err(StorageError::BatchFull { limit_bytes });
        }
        self.exhausted = true;
        Err(full())
    }

    /// Makes a spare or the reserve the next segment.
    fn roll(&mut self, place: Place) -> Result<(), StorageError> {
        let disk = Arc::clone(self.dir.disk());
        let next = match place {
            Place::Current => return Ok(()),
            Place::Spare => &mut self.spare,
            Place::Reserve => &mut self.reserve,
        };
        let name = SegmentName::new(&self.folder, self.head.sequence + 1);
        disk.rename(&next.path, &name.path)
            .map_err(|e| StorageError::io_fatal("rename", &name.path, e))?;
        sync_folder_of(&*disk, &name.path)?;
        next.take();
        let bytes = next.bytes;
        let file = disk.open(&name.path, Open::Write);
        let file = file.map_err(|e| StorageError::io_fatal("open", &name.path, e))?;
        self.current = Some(Active {
            file,
            path: name.path.clone(),
            bytes,
            used_bytes: 0,
        });
        // A segment that was never written to has the same name, and this one took its place.
        if self.segments.last() == Some(&name) {
            self.segments.pop();
        }
        self.segments.push(name);
        if place == Place::Spare {
            self.prepare_spare(false)?;
        }
        Ok(())
    }

    fn prepare_spare(&mut self, after_full: bool) -> Result<(), StorageError> {
        match self.options.preallocation {
            Preallocation::Inline => self.spare.build(&**self.dir.disk()),
            Preallocation::Helper => {
                self.spare
                    .build_aside(Arc::clone(self.dir.disk()), after_full);
                Ok(())
            }
        }
    }

    fn write_staged(&mut self) -> Result<Head, StorageError> {
        let place = self.place(self.staged.length_with(0))?;
        // `append` staged only what has a place, and nothing takes a place away.
        let place = place.ok_or_else(|| self.misplaced())?;
        self.roll(place)?;
        let Some(current) = &mut self.current else {
            return Err(self.misplaced());
        };
        let (frame, sequence, chain) = self.staged.seal(&self.head.chain);
        // Out of space here means a file system that allocates on overwriting: a part may be
        // written, so it is not `Full`.
        write_all(&*current.file, frame, current.used_bytes)
            .map_err(|e| StorageError::io_fatal("write", &current.path, e))?;
        current
            .file
            .sync_data()
            .map_err(|e| StorageError::fsync(&current.path, e))?;
        current.used_bytes += frame.len() as u64;
        Ok(Head { sequence, chain })
    }

    /// The error of a broken invariant of ours: not `Full`, since the batch was accepted.
    fn misplaced(&self) -> StorageError {
        let cause = std::io::Error::other("a staged batch has no place");
        StorageError::io_fatal("write to", &self.folder, cause)
    }

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

    fn probe_space(&mut self) -> Result<(), StorageError> {
        self.spare.poll()?;
        let disk = Arc::clone(self.dir.disk());
        let mut needed = 0;
        for missing in [&self.reserve, &self.spare] {
            needed += if missing.is_missing() {
                missing.bytes
            } else {
                0
            };
        }
        let free = disk.free_bytes(&self.folder);
        let free = free.map_err(|e| StorageError::io_fatal("statvfs", &self.folder, e))?;
        // Asking first keeps a timer from filling the last free bytes again and again.
        if free < needed {
            return Ok(());
        }
        if self.reserve.is_missing() {
            self.reserve.build(&*disk)?;
        }
        if self.reserve.is_ready() && self.spare.is_missing() {
            self.prepare_spare(true)?;
        }
        Ok(())
    }
}

impl Journal for EmbeddedJournal {
    fn append(&mut self, units: &[Unit]) -> Result<(), StorageError> {
        self.usable()?;
        let added = self
            .staged
            .measure(units, self.staged_sequence, self.largest_frame())?;
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
            let written = self.write_staged();
            self.head = self.note(written)?;
            self.staged.clear();
        }
        Ok(DurableSequence(self.head.sequence))
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, StorageError> {
        self.usable()?;
        let disk = Arc::clone(self.dir.disk());
        let mut segments = Vec::new();
        if sequence.max(1) <= self.base.sequence {
            let closed = self.closed.as_ref();
            let closed = closed.ok_or_else(|| StorageError::NotFound {
                // Where they would be, in the store that this one was opened without.
                path: format!("journals/{}", self.account_id).into(),
            })?;
            segments = closed.names_up_to(self.base.sequence)?;
        }
        segments.extend_from_slice(&self.segments);
        Ok(Box::new(Records::new(
            disk,
            self.closed.clone(),
            &segments,
            sequence,
            self.head.sequence,
        )))
    }

    fn closing(&self) -> Result<Option<ClosingJob>, StorageError> {
        self.usable()?;
        let Some(closed) = &self.closed else {
            return Ok(None);
        };
        // Whether anything can go at all is cheap to say. For the rest snapshots are read, which
        // commits must not wait for.
        let kept = self.options.kept_segments;
        if closing::leaving(&self.segments, u64::MAX, kept) == 0 {
            return Ok(None);
        }
        let leaving = Leaving {
            disk: Arc::clone(self.dir.disk()),
            account_id: self.account_id.clone(),
            snapshots: snapshot_folder(self.dir.root(), &self.account_id),
            closed: closed.clone(),
            segments: self.segments.clone(),
            kept,
            base: self.base,
        };
        Ok(Some(leaving.job()))
    }

    fn cut(&mut self, closed: Closed) -> Result<(), StorageError> {
        self.usable()?;
        let disk = Arc::clone(self.dir.disk());
        base::write(&*disk, &self.folder, &self.account_id, &closed.base)?;
        self.base = closed.base;
        let stay = |segment: &SegmentName| segment.first > closed.base.sequence;
        let (stay, passed) = std::mem::take(&mut self.segments)
            .into_iter()
            .partition(stay);
        self.segments = stay;
        let passed: Vec<SegmentName> = passed;
        closing::remove(&*disk, passed.into_iter().map(|name| name.path));
        Ok(())
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.usable()?;
        self.head.check_snapshot(sequence)?;
        let folder = snapshot_folder(self.dir.root(), &self.account_id);
        snapshot::write(
            &**self.dir.disk(),
            &folder,
            &self.account_id,
            sequence,
            bytes,
        )
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, StorageError> {
        self.usable()?;
        super::latest_snapshot(&**self.dir.disk(), self.dir.root(), &self.account_id)
    }

    fn snapshots(&self) -> Result<SnapshotIter, StorageError> {
        self.usable()?;
        let folder = snapshot_folder(self.dir.root(), &self.account_id);
        snapshot::newest_first(Arc::clone(self.dir.disk()), &folder, &self.account_id)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn state(&self) -> JournalState {
        if self.has_space() && !self.exhausted {
            return JournalState::Ready;
        }
        let reserve_bytes = if self.reserve.is_ready() {
            self.reserve.bytes
        } else {
            0
        };
        let bytes_left = self.left_bytes() + reserve_bytes;
        if self.exhausted || bytes_left < MIN_FRAME_BYTES as u64 {
            return JournalState::Full;
        }
        JournalState::Reserve { bytes_left }
    }

    fn probe(&mut self) -> Result<JournalState, StorageError> {
        self.usable()?;
        if !self.has_space() {
            let probed = self.probe_space();
            self.note(probed)?;
        }
        if self.has_space() {
            self.exhausted = false;
        }
        Ok(self.state())
    }
}

impl Drop for EmbeddedJournal {
    fn drop(&mut self) {
        // The helper first: the next one to open this account must not meet it.
        let _ = self.spare.wait();
        self.dir.release(&journal_claim(&self.account_id));
    }
}
