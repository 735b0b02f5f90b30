//! Records with their links, and the journal that they are written to.

use crate::StorageError;
use crate::error::{Damage, Position};
use crate::port::journal::{Class, Journal, JournalState, Record, RecordIter, Unit};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use sha2::{Digest, Sha256};
use std::fmt;

/// Kind of a record that holds an audit record.
const KIND: u8 = 2;

/// Schema of the payload: link, then content.
const SCHEMA: u16 = 1;

const LINK_BYTES: usize = 32;

/// A link of the chain over single records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub [u8; LINK_BYTES]);

impl Link {
    /// What stands before the first record.
    pub const NONE: Link = Link([0; LINK_BYTES]);

    /// Returns the link of the record behind this one.
    pub fn next(&self, sequence: u64, content: &[u8]) -> Link {
        let mut hash = Sha256::new();
        hash.update(b"apextrade audit v1\0");
        hash.update(self.0);
        hash.update(sequence.to_le_bytes());
        hash.update(content);
        Link(hash.finalize().into())
    }

    /// Returns the id of the audit whose first link this is.
    pub fn audit_id(&self) -> String {
        self.to_string()[..16].to_owned()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({self})")
    }
}

/// Takes a payload apart; `None` when it is too short to be one.
pub(super) fn split(payload: &[u8]) -> Option<(Link, &[u8])> {
    let (link, content) = payload.split_first_chunk::<LINK_BYTES>()?;
    Some((Link(*link), content))
}

/// Returns what a record of the audit says, without its link.
///
/// # Errors
/// `Damaged` when it has none.
pub fn content(record: &Record) -> Result<&[u8], StorageError> {
    split(&record.payload)
        .map(|(_, content)| content)
        .ok_or_else(|| no_link(record.sequence))
}

fn no_link(sequence: u64) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: AUDIT_JOURNAL.to_owned(),
            offset: 0,
            sequence,
        },
        reason: Damage::Malformed("audit record"),
    }
}

/// The audit's journal, open for writing. Blocking.
pub struct AuditLog {
    journal: Box<dyn Journal>,
    audit_id: Option<String>,
    /// Of the last record that was appended, and of the last durable one.
    appended: (u64, Link),
    durable: (u64, Link),
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens the audit of a store, or begins it. An unfinished last write is cut off.
    ///
    /// # Errors
    /// As [`Journals::open`].
    pub fn open(journals: &dyn Journals) -> Result<AuditLog, StorageError> {
        let journal = journals.open(AUDIT_JOURNAL)?;
        let head = journal.head().sequence;
        let link_at = |sequence: u64| -> Result<Link, StorageError> {
            let mut records = journal.read_from(sequence)?;
            let record = records.next().ok_or_else(|| no_link(sequence))??;
            let (link, _) = split(&record.payload).ok_or_else(|| no_link(sequence))?;
            Ok(link)
        };
        let (mut last, mut audit_id) = ((0, Link::NONE), None);
        if head > 0 {
            audit_id = Some(link_at(1)?.audit_id());
            last = (head, link_at(head)?);
        }
        Ok(AuditLog {
            journal,
            audit_id,
            appended: last,
            durable: last,
        })
    }

    /// Stages a record behind the others and returns its sequence. Nothing is durable yet.
    ///
    /// # Errors
    /// As [`Journal::append`]; nothing was staged.
    pub fn append(&mut self, content: &[u8]) -> Result<u64, StorageError> {
        let (before, link) = self.appended;
        let sequence = before + 1;
        let link = link.next(sequence, content);
        let mut payload = Vec::with_capacity(LINK_BYTES + content.len());
        payload.extend_from_slice(&link.0);
        payload.extend_from_slice(content);
        let record = Record {
            sequence,
            kind: KIND,
            schema: SCHEMA,
            payload,
        };
        // What is audited was done: it may use what is kept for the end of the space.
        let unit = Unit {
            class: Class::Essential,
            records: vec![record],
        };
        self.journal.append(&[unit])?;
        self.appended = (sequence, link);
        Ok(sequence)
    }

    /// Makes everything staged durable and returns the last durable sequence.
    ///
    /// # Errors
    /// As [`Journal::commit`]: open it anew to find out what is there.
    pub fn commit(&mut self) -> Result<u64, StorageError> {
        let durable = self.journal.commit()?;
        self.durable = self.appended;
        if self.audit_id.is_none() && durable.0 > 0 {
            let first = self.journal.read_from(1)?.next();
            let first = first.ok_or_else(|| no_link(1))??;
            let (link, _) = split(&first.payload).ok_or_else(|| no_link(1))?;
            self.audit_id = Some(link.audit_id());
        }
        Ok(durable.0)
    }

    /// Returns the durable records from `sequence` on.
    ///
    /// # Errors
    /// As [`Journal::read_from`].
    pub fn read_from(&self, sequence: u64) -> Result<RecordIter, StorageError> {
        self.journal.read_from(sequence)
    }

    /// Returns the audit's id; `None` of an empty audit.
    pub fn audit_id(&self) -> Option<&str> {
        self.audit_id.as_deref()
    }

    /// Returns the last durable sequence; 0 of an empty audit.
    pub fn durable(&self) -> u64 {
        self.durable.0
    }

    /// Returns what a checkpoint of the durable end says; `None` of an empty audit, and while the
    /// end is in a reserve alone: whoever takes over without that would miss what it vouches for.
    pub fn checkpoint(&self) -> Option<super::Checkpoint> {
        let (sequence, link) = self.durable;
        let audit_id = self.audit_id.clone()?;
        let is_shared = sequence <= self.journal.shared_sequence();
        (sequence > 0 && is_shared).then_some(super::Checkpoint {
            audit_id,
            sequence,
            link,
        })
    }

    /// Returns whether there is space.
    pub fn state(&self) -> JournalState {
        self.journal.state()
    }

    /// Looks whether space is back.
    ///
    /// # Errors
    /// As [`Journal::probe`].
    pub fn probe(&mut self) -> Result<JournalState, StorageError> {
        self.journal.probe()
    }
}
