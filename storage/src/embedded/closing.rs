//! Moves closed segments to the store of objects, so that a start has little to read.
//!
//! A segment goes once two snapshots are behind its last record: whichever of them a start takes, it
//! needs nothing of it. The steps, each durable before the next: it is checked and stored as an
//! object; the base of the folder is set behind it; its file is removed. A crash between them leaves
//! an object that is stored again, or a file in front of the base, which the next start removes.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::closed::ClosedSegments;
use super::read::SegmentName;
use super::scan::scan_closed;
use super::snapshot;
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open};
use crate::port::journal::{Closed, ClosingJob, Head};

/// What a journal hands over to be moved.
pub(crate) struct Leaving {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) account_id: String,
    /// The folder of its snapshots.
    pub(crate) snapshots: PathBuf,
    pub(crate) closed: ClosedSegments,
    /// All of them in order, the one that is written last.
    pub(crate) segments: Vec<SegmentName>,
    /// How many closed ones stay.
    pub(crate) kept: usize,
    /// The head before the first of them.
    pub(crate) base: Head,
}

impl Leaving {
    /// Returns the work of finding out what may go, and of storing it, for any thread.
    pub(crate) fn job(self) -> ClosingJob {
        Box::new(move || self.run())
    }

    fn run(&self) -> Result<Option<Closed>, StorageError> {
        let older = snapshot::oldest_of_two(&*self.disk, &self.snapshots, &self.account_id)?;
        let count = older.map_or(0, |older| leaving(&self.segments, older, self.kept));
        let mut base = self.base;
        for name in &self.segments[..count] {
            let (head, used_bytes) = scan_closed(&*self.disk, name, base)?;
            self.store(name, used_bytes)?;
            base = head;
        }
        Ok((count > 0).then_some(Closed { base }))
    }

    fn store(&self, name: &SegmentName, used_bytes: u64) -> Result<(), StorageError> {
        let file = self.disk.open(&name.path, Open::Read);
        let file = file.map_err(|error| StorageError::io("open", &name.path, error))?;
        let mut content = Content {
            file,
            at: 0,
            end: used_bytes,
        };
        let key = self.closed.key(name.first)?;
        self.closed.objects().put(&key, &mut content)?;
        Ok(())
    }
}

/// The frames of a segment.
struct Content {
    file: Box<dyn DiskFile>,
    at: u64,
    end: u64,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// Returns how many of the first segments may go: all of their records are in the snapshot of
/// `sequence`, and so many closed ones stay.
pub(crate) fn leaving(segments: &[SegmentName], sequence: u64, kept: usize) -> usize {
    let covered = segments.windows(2);
    let covered = covered.take_while(|pair| pair[1].first <= sequence.saturating_add(1));
    // The last one is being written.
    let closed = segments.len().saturating_sub(1);
    covered.count().min(closed.saturating_sub(kept))
}

/// Removes files that the base has passed. One that stays takes space and harms nobody: it is tried
/// again at the next start.
pub(crate) fn remove(disk: &dyn Disk, passed: impl Iterator<Item = PathBuf>) {
    for path in passed {
        if let Err(error) = disk.remove(&path) {
            tracing::warn!(path = %path.display(), %error, "a moved segment stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_a_snapshot_covers_may_go_but_for_the_newest() {
        let folder = Path::new("f");
        let firsts = [1, 11, 21, 31, 41];
        let segments: Vec<_> = firsts.map(|first| SegmentName::new(folder, first)).into();
        let table = [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (30, 2), (99, 2)];
        for (sequence, expected) in table {
            assert_eq!(leaving(&segments, sequence, 2), expected, "{sequence}");
        }
        assert_eq!(leaving(&segments, 99, 0), 4);
        assert_eq!(leaving(&segments, 99, 3), 1);
        assert_eq!(leaving(&segments, 99, usize::MAX), 0);
        assert_eq!(leaving(&segments[..3], 99, 2), 0);
        assert_eq!(leaving(&[], 99, 0), 0);
    }
}
