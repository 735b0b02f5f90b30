//! Reads frames of a segment, and records over segments, with one frame in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::closed::ClosedSegments;
use super::frame::{HEADER_BYTES, Header, NoHeader, next_record};
use crate::disk::{Disk, DiskFile, Open, zero_from};
use crate::error::{Damage, Position, StorageError};
use crate::port::journal::Record;

/// Read ahead in steps of this: some thousand small records, small beside everything else.
const WINDOW_BYTES: usize = 256 * 1024;

/// A segment's name and place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentName {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
}

impl SegmentName {
    pub(crate) fn new(folder: &Path, first: u64) -> Self {
        SegmentName {
            path: folder.join(format!("{first:020}.seg")),
            first,
        }
    }

    pub(crate) fn position(&self, offset: u64, sequence: u64) -> Position {
        Position {
            segment: file_name(&self.path),
            offset,
            sequence,
        }
    }
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Reads the frames of one segment, one after the other.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    window: Vec<u8>,
    window_at: u64,
    /// Where the next frame begins.
    at: u64,
    length: u64,
}

impl SegmentReader {
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StorageError> {
        let file = disk
            .open(path, Open::Read)
            .map_err(|e| StorageError::io("open", path, e))?;
        SegmentReader::of(file, path)
    }

    /// Reads what is open already; the path is for errors.
    pub(crate) fn of(file: Box<dyn DiskFile>, path: &Path) -> Result<Self, StorageError> {
        let length = file
            .length()
            .map_err(|e| StorageError::io_fatal("read", path, e))?;
        Ok(SegmentReader {
            file,
            length,
            path: path.to_owned(),
            window: Vec::new(),
            window_at: 0,
            at: 0,
        })
    }

    /// Returns the offset of the next frame.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Returns up to `wanted` bytes from the next frame on; fewer only at the end of the file.
    fn peek(&mut self, wanted: usize) -> Result<&[u8], StorageError> {
        // Both casts are of distances within the window.
        let mut skip = (self.at - self.window_at) as usize;
        if self.window.len() < skip + wanted {
            let kept = skip.min(self.window.len());
            self.window.drain(..kept);
            self.window_at = self.at;
            skip = 0;
            let have = self.window.len();
            let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
            self.window
                .resize(wanted.max(WINDOW_BYTES).min(left).max(have), 0);
            let read = self
                .file
                .read_at(&mut self.window[have..], self.at + have as u64)
                .map_err(|e| StorageError::io_fatal("read", &self.path, e))?;
            self.window.truncate(have + read);
        }
        let end = self.window.len().min(skip + wanted);
        Ok(&self.window[skip..end])
    }

    /// Returns the next frame when a whole one begins here, and stays in place.
    pub(crate) fn frame(&mut self) -> Result<Option<(Header, &[u8])>, StorageError> {
        let header = match Header::parse(self.peek(HEADER_BYTES)?) {
            Ok(header) => header,
            Err(NoHeader::Invalid | NoHeader::Version(_)) => return Ok(None),
        };
        let frame = self.peek(header.frame_bytes())?;
        if header.body(frame).is_none() {
            return Ok(None);
        }
        Ok(Some((header, frame)))
    }

    /// Moves past a frame that `frame` returned.
    pub(crate) fn skip(&mut self, header: &Header) {
        self.at += header.frame_bytes() as u64;
    }

    /// Returns the length of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns whether there are only zeros from here to the end of the file.
    pub(crate) fn rest_is_zero(&self) -> Result<bool, StorageError> {
        zero_from(&*self.file, self.at).map_err(|e| StorageError::io_fatal("read", &self.path, e))
    }

    /// Returns everything from here to the end of the file.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, StorageError> {
        let failed = |e| StorageError::io_fatal("read", &self.path, e);
        let length = self.length.saturating_sub(self.at);
        let mut bytes = vec![0; length as usize];
        let read = self.file.read_at(&mut bytes, self.at).map_err(failed)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// The durable records of a journal from some sequence on.
#[derive(Debug)]
pub(crate) struct Records {
    disk: Arc<dyn Disk>,
    /// Where segments are that are no longer in their folder.
    closed: Option<ClosedSegments>,
    /// Segments not begun, the next one last.
    segments: Vec<SegmentName>,
    reader: Option<(SegmentName, SegmentReader)>,
    /// The body of the current frame, and how much of it has been given out.
    body: Vec<u8>,
    given: usize,
    next: u64,
    end: u64,
}

impl Records {
    /// Reads from `first` to `end`, both inclusive, of segments in order.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        closed: Option<ClosedSegments>,
        segments: &[SegmentName],
        first: u64,
        end: u64,
    ) -> Self {
        let first = first.max(1);
        // The last segment that begins at or before it holds it.
        let start = segments
            .partition_point(|segment| segment.first <= first)
            .saturating_sub(1);
        let mut segments = segments[start..].to_vec();
        segments.reverse();
        let (body, reader) = (Vec::new(), None);
        Records {
            disk,
            closed,
            segments,
            reader,
            body,
            given: 0,
            next: first,
            end,
        }
    }

    fn advance(&mut self) -> Result<Record, StorageError> {
        loop {
            let mut rest = &self.body[self.given..];
            if let Some(record) = next_record(&mut rest) {
                self.given = self.body.len() - rest.len();
                if record.sequence < self.next {
                    continue;
                }
                let record = record.to_record();
                self.expect(record.sequence)?;
                self.next += 1;
                return Ok(record);
            }
            self.next_frame()?;
        }
    }

    fn next_frame(&mut self) -> Result<(), StorageError> {
        loop {
            let Some((_, reader)) = &mut self.reader else {
                self.next_segment()?;
                continue;
            };
            let Some((header, frame)) = reader.frame()? else {
                self.reader = None;
                continue;
            };
            self.body.clear();
            self.given = 0;
            if header.last >= self.next {
                self.body
                    .extend_from_slice(&frame[HEADER_BYTES..HEADER_BYTES + header.body_bytes]);
            }
            reader.skip(&header);
            if !self.body.is_empty() {
                return Ok(());
            }
        }
    }

    fn next_segment(&mut self) -> Result<(), StorageError> {
        let Some(name) = self.segments.pop() else {
            // Everything up to the end was there when the journal was opened or written.
            let position = Position {
                segment: String::new(),
                offset: 0,
                sequence: self.next,
            };
            return Err(StorageError::Damaged {
                position,
                reason: Damage::Checksum,
            });
        };
        let reader = self.open(&name)?;
        self.reader = Some((name, reader));
        Ok(())
    }

    fn open(&self, name: &SegmentName) -> Result<SegmentReader, StorageError> {
        match SegmentReader::open(&*self.disk, &name.path) {
            // It was there when this was made, or never: closed segments have other paths.
            Err(error) if error.is_not_found() => {
                let closed = self.closed.as_ref();
                let closed = closed.map(|closed| closed.open(name.first)).transpose()?;
                closed.flatten().ok_or(error)
            }
            opened => opened,
        }
    }

    fn expect(&self, found: u64) -> Result<(), StorageError> {
        if found == self.next {
            return Ok(());
        }
        let expected = self.next;
        let position = match &self.reader {
            Some((name, reader)) => name.position(reader.at(), expected),
            None => Position {
                segment: String::new(),
                offset: 0,
                sequence: expected,
            },
        };
        Err(StorageError::Damaged {
            position,
            reason: Damage::Sequence { expected, found },
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.end {
            return None;
        }
        let item = self.advance();
        if item.is_err() {
            self.end = 0;
        }
        Some(item)
    }
}
