//! Copies the journal of an account out of a database, checks it on the way and shows its records.
//!
//! A group of frames ends with the first one that makes it a part's size. The size of a row does not
//! depend on when it was written, so groups end at the same frames in each backup, also where their
//! rows were moved to a bucket meanwhile; and where the chain is the same at its end, a group has the
//! same frames from the journal's begin on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PART_BYTES;
use super::blobs::Blobs;
use super::databases::{Slice, SliceOf, TABLES, TableCopy};
use super::rows::store;
use crate::embedded::{
    ClosedSegments, Header, Scan, beginning, check_frame, next_record, walk_closed,
};
use crate::error::{Damage, Position, StorageError};
use crate::port::journal::{Head, RecordRef};
use crate::port::objects::Objects;
use crate::postgres::{Base, Dump};

/// The table of frames.
pub(super) const FRAMES: &str = "journal_frame";

/// Groups of an earlier backup, by the first record of each.
pub(super) type Earlier<'m> = BTreeMap<(&'m str, u64), &'m Slice>;

/// Returns the groups of a table of frames.
pub(super) fn earlier(table: Option<&TableCopy>) -> Earlier<'_> {
    let groups = table.into_iter().flat_map(|table| &table.slices);
    let by_first = groups.filter_map(|slice| match &slice.of {
        SliceOf::Frames {
            account_id, first, ..
        } => Some(((account_id.as_str(), *first), slice)),
        _ => None,
    });
    by_first.collect()
}

/// A journal that is copied.
pub(super) struct Journal<'j, 'b, 'a> {
    pub(super) account_id: &'j str,
    /// Where it has to end.
    pub(super) until: Head,
    pub(super) blobs: &'b mut Blobs<'a>,
    pub(super) earlier: &'j Earlier<'j>,
    /// An end of its reserve: whether the journal comes by is asked.
    pub(super) watched: Option<Head>,
    pub(super) each: &'j mut dyn FnMut(RecordRef<'_>),
}

/// What came of it.
pub(super) struct Copied {
    pub(super) groups: Vec<Slice>,
    /// The journal has what `watched` is the end of.
    pub(super) passed: bool,
}

impl Journal<'_, '_, '_> {
    /// Errors: `Damaged` when it is not what was written; `Setting` when records were moved to a
    /// bucket that is not set; of the database, the bucket and the store.
    pub(super) fn copy(
        self,
        dump: &Dump<'_>,
        moved: Option<&Arc<dyn Objects>>,
    ) -> Result<Copied, StorageError> {
        let (account_id, until) = (self.account_id, self.until);
        let base = dump.base(account_id)?;
        let mut walk = Walk {
            head: beginning(account_id),
            first: 1,
            bytes: Vec::new(),
            rows: 0,
            copied: Copied {
                groups: Vec::new(),
                passed: false,
            },
            journal: self,
        };
        let mut behind = 0;
        if let Some(base) = &base {
            let objects = moved.ok_or_else(|| elsewhere(account_id, base.head))?;
            let database_id = dump.database_id()?;
            let closed = ClosedSegments::of_database(objects, &database_id, account_id);
            walk.moved(&closed, base)?;
            behind = base.head.sequence;
        }
        // An account's id has no quotes.
        let columns = TABLES.iter().find(|table| table.name == FRAMES);
        let columns = columns.map_or("", |table| table.columns);
        let asked = format!(
            "SELECT {columns} FROM {FRAMES} WHERE account_id = '{account_id}' \
             AND last_sequence > {behind} ORDER BY last_sequence"
        );
        dump.rows(&asked, &mut |row| walk.row(row.0, row.field(FRAME_AT)?))?;
        if walk.head != until {
            return Err(walk.short(until));
        }
        walk.end_group()?;
        Ok(walk.copied)
    }
}

/// Place of the frame among the columns.
const FRAME_AT: usize = 5;

/// A journal that is walked.
struct Walk<'j, 'b, 'a> {
    journal: Journal<'j, 'b, 'a>,
    /// The end of what was seen.
    head: Head,
    /// The first record of the group that has not ended, its rows and their number.
    first: u64,
    bytes: Vec<u8>,
    rows: u64,
    copied: Copied,
}

impl Walk<'_, '_, '_> {
    /// Takes a row of the database.
    fn row(&mut self, row: &[u8], frame: &[u8]) -> Result<(), StorageError> {
        let expected = self.head.sequence + 1;
        let bad = |reason| damaged(self.journal.account_id, expected, reason);
        let header = Header::parse(frame).map_err(|_| bad(Damage::Checksum))?;
        if header.frame_bytes() != frame.len() {
            return Err(bad(Damage::Malformed("frame length")));
        }
        check_frame(&header, frame, expected, Some(&self.head.chain)).map_err(bad)?;
        self.bytes.extend_from_slice(row);
        self.take(&header, frame)
    }

    /// Takes what was moved to a bucket, up to where the rows of the database begin.
    fn moved(&mut self, closed: &ClosedSegments, base: &Base) -> Result<(), StorageError> {
        let mut scan = Scan::behind(self.head);
        let mut failed = None;
        walk_closed(closed, base.head, &mut scan, &mut |header, frame| {
            // It was checked there.
            if failed.is_none() {
                put_row(
                    self.journal.account_id,
                    header,
                    frame,
                    base,
                    &mut self.bytes,
                );
                failed = self.take(header, frame).err();
            }
        })?;
        failed.or_else(|| scan.refusal()).map_or(Ok(()), Err)
    }

    /// Takes a frame whose row was added.
    fn take(&mut self, header: &Header, frame: &[u8]) -> Result<(), StorageError> {
        self.rows += 1;
        self.journal.blobs.writing.go_on()?;
        let mut body = header.body(frame).unwrap_or_default();
        while let Some(record) = next_record(&mut body) {
            (self.journal.each)(record);
        }
        self.head = Head {
            sequence: header.last,
            chain: header.chain,
        };
        self.copied.passed |= self.journal.watched == Some(self.head);
        if self.bytes.len() >= PART_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), StorageError> {
        if self.rows == 0 {
            return Ok(());
        }
        let of = SliceOf::Frames {
            account_id: self.journal.account_id.to_owned(),
            first: self.first,
            last: self.head.sequence,
            chain: self.head.chain.to_string(),
        };
        let known = self
            .journal
            .earlier
            .get(&(self.journal.account_id, self.first));
        let mut parts = Vec::new();
        if let Some(known) = known.filter(|known| known.of == of && known.rows == self.rows) {
            let stored = known.parts.iter().map(|part| (part.hash, part.bytes));
            if self.journal.blobs.use_again(stored)? {
                parts.clone_from(&known.parts);
            }
        }
        if parts.is_empty() {
            parts.push(store(self.journal.blobs, &self.bytes)?);
        }
        self.copied.groups.push(Slice {
            rows: self.rows,
            of,
            parts,
        });
        self.first = self.head.sequence + 1;
        self.bytes.clear();
        self.rows = 0;
        Ok(())
    }

    /// The error of a journal that does not end where its account says.
    fn short(&self, until: Head) -> StorageError {
        let (expected, found) = (until.sequence, self.head.sequence);
        let reason = if expected == found {
            Damage::Chain
        } else {
            Damage::Sequence { expected, found }
        };
        damaged(self.journal.account_id, found + 1, reason)
    }
}

fn damaged(account_id: &str, sequence: u64, reason: Damage) -> StorageError {
    let position = Position {
        segment: format!("{FRAMES} of {account_id}"),
        offset: 0,
        sequence,
    };
    StorageError::Damaged { position, reason }
}

fn elsewhere(account_id: &str, base: Head) -> StorageError {
    StorageError::Setting {
        variable: "APEX_S3_ENDPOINT",
        detail: format!(
            "is not set, and records 1 to {} of account {account_id} were moved to a bucket: set \
             APEX_S3_* as they were",
            base.sequence
        ),
    }
}

/// Makes the row of a frame that has none any more: with the owner who moved it, and when.
fn put_row(account_id: &str, header: &Header, frame: &[u8], base: &Base, out: &mut Vec<u8>) {
    let (last, first) = (header.last.to_be_bytes(), header.first.to_be_bytes());
    let fields: [&[u8]; 6] = [
        account_id.as_bytes(),
        &last,
        &first,
        &base.epoch,
        &base.moved_at,
        frame,
    ];
    out.extend_from_slice(&(fields.len() as i16).to_be_bytes());
    for field in fields {
        // A frame is of a megabyte at the most.
        out.extend_from_slice(&(field.len() as i32).to_be_bytes());
        out.extend_from_slice(field);
    }
}
