//! The part of a journal that was moved to the store of objects.

use super::{end_of, records_of};
use crate::StorageError;
use crate::embedded::{ClosedSegments, SegmentName, SegmentReader, check_frame};
use crate::error::Damage;
use crate::port::journal::{Head, Record};
use std::path::Path;

/// Segments from one that holds a sequence on, up to the base of the rows.
pub(super) struct Past {
    closed: ClosedSegments,
    base: Head,
    /// Not begun, the next one last.
    names: Vec<SegmentName>,
    reader: Option<(SegmentName, SegmentReader)>,
}

impl Past {
    /// Finds the segments.
    ///
    /// Errors: of the store.
    pub fn open(closed: ClosedSegments, from: u64, base: Head) -> Result<Past, StorageError> {
        let mut names = closed.names_from(from, base.sequence)?;
        names.reverse();
        Ok(Past {
            closed,
            base,
            names,
            reader: None,
        })
    }

    /// Returns the records of the next batch, `None` once the base is reached, and moves `read_to`
    /// behind it. A batch before `from` has none.
    ///
    /// Errors: `Damaged` names the segment that is missing or changed; of the store.
    pub fn next_batch(
        &mut self,
        read_to: &mut Option<Head>,
        from: u64,
    ) -> Result<Option<Vec<Record>>, StorageError> {
        loop {
            let Some((name, reader)) = &mut self.reader else {
                if read_to.is_some_and(|at| at.sequence >= self.base.sequence) {
                    return self.at_base(read_to);
                }
                self.reader = Some(self.next_segment(*read_to, from)?);
                continue;
            };
            let at = reader.at();
            let expected = read_to.map_or(name.first, |at| at.sequence + 1);
            let bad = |reason| StorageError::Damaged {
                position: name.position(at, expected),
                reason,
            };
            let Some((header, frame)) = reader.frame()? else {
                if at != reader.length() {
                    return Err(bad(Damage::Checksum));
                }
                self.reader = None;
                continue;
            };
            let chain = read_to.map(|at| at.chain);
            check_frame(&header, frame, expected, chain.as_ref()).map_err(bad)?;
            let records = records_of(&header, frame, from);
            *read_to = Some(end_of(&header));
            reader.skip(&header);
            return Ok(Some(records));
        }
    }

    fn at_base(&self, read_to: &Option<Head>) -> Result<Option<Vec<Record>>, StorageError> {
        if *read_to == Some(self.base) {
            return Ok(None);
        }
        let name = SegmentName::new(Path::new(""), self.base.sequence);
        Err(StorageError::Damaged {
            position: name.position(0, self.base.sequence),
            reason: Damage::Chain,
        })
    }

    fn next_segment(
        &mut self,
        read_to: Option<Head>,
        from: u64,
    ) -> Result<(SegmentName, SegmentReader), StorageError> {
        let expected = read_to.map_or(from.max(1), |at| at.sequence + 1);
        let mut found = self.names.pop();
        // What begins in the midst of what was read is of another database.
        while read_to.is_some() && found.as_ref().is_some_and(|it| it.first < expected) {
            found = self.names.pop();
        }
        let follows = |name: &SegmentName| match read_to {
            Some(_) => name.first == expected,
            None => name.first <= expected,
        };
        let missing = |found| {
            let name = SegmentName::new(Path::new(""), expected);
            StorageError::Damaged {
                position: name.position(0, expected),
                reason: Damage::MissingSegment { expected, found },
            }
        };
        let Some(name) = found else {
            return Err(missing(self.base.sequence + 1));
        };
        if !follows(&name) {
            return Err(missing(name.first));
        }
        match self.closed.open(name.first)? {
            Some(reader) => Ok((name, reader)),
            // It was listed a moment ago.
            None => Err(missing(self.base.sequence + 1)),
        }
    }
}
