//! What callers of a journal see of it.

use super::PgJournal;
use crate::StorageError;
use crate::embedded::MAX_FRAME_BYTES;
use crate::port::journal::{
    Closed, ClosingJob, DurableSequence, Head, Journal, JournalState, RecordIter, Snapshot,
    SnapshotIter, Unit,
};
use crate::postgres::closing::Leaving;
use crate::postgres::read::Frames;
use crate::postgres::snapshots;

impl Journal for PgJournal {
    fn append(&mut self, units: &[Unit]) -> Result<(), StorageError> {
        self.usable()?;
        let added = self
            .staged
            .measure(units, self.staged_sequence, MAX_FRAME_BYTES)?;
        self.staged_sequence = self.staged.stage(units, &added);
        Ok(())
    }

    fn commit(&mut self) -> Result<DurableSequence, StorageError> {
        self.usable()?;
        if self.staged.is_empty() {
            return Ok(DurableSequence(self.head.sequence));
        }
        let outcome = self.store();
        if let Err(error) = &outcome {
            self.broken = Some(error.clone());
        }
        outcome
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, StorageError> {
        self.usable()?;
        let closed = self.on.closed(&self.account_id);
        let server = &self.on.server;
        let frames = Frames::open(server, closed, &self.account_id, sequence, self.head);
        Ok(Box::new(frames.records()))
    }

    fn closing(&self) -> Result<Option<ClosingJob>, StorageError> {
        self.usable()?;
        let leaving = self.on.closed(&self.account_id).map(|closed| Leaving {
            server: self.on.server.clone(),
            account_id: self.account_id.clone(),
            epoch: self.epoch,
            head: self.head.sequence,
            closed,
            segment_bytes: self.on.segment_bytes,
            kept_bytes: self.on.kept_bytes,
            one: self.on.storing.clone(),
        });
        Ok(leaving.map(Leaving::job))
    }

    fn cut(&mut self, closed: Closed) -> Result<(), StorageError> {
        self.usable()?;
        self.on.server.wait(self.setting_base(closed))?;
        self.passed(closed);
        Ok(())
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.usable()?;
        self.head.check_snapshot(sequence)?;
        let outcome = self.on.server.wait(self.storing_snapshot(sequence, bytes));
        outcome.map_err(|error| snapshots::not_kept(&self.place(), error))
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, StorageError> {
        self.usable()?;
        snapshots::newest(&self.on.server, &self.account_id, self.head.sequence)
    }

    fn snapshots(&self) -> Result<SnapshotIter, StorageError> {
        self.usable()?;
        let (server, id) = (self.on.server.clone(), self.account_id.clone());
        snapshots::newest_first(server, id, self.head.sequence)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn state(&self) -> JournalState {
        // Space is the server's concern: a commit without any waits for it.
        JournalState::Ready
    }

    fn probe(&mut self) -> Result<JournalState, StorageError> {
        self.usable()?;
        Ok(self.state())
    }
}
