//! Checks an audit against its chain and its checkpoints.

use super::chain::split;
use super::{Checkpoints, Link};
use crate::StorageError;
use crate::port::journal::RecordRef;
use crate::verify::VerifyReport;

/// Whether an audit is sound, and what was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Names its checkpoints; empty of an audit that has no first record.
    pub audit_id: String,
    /// Whole records, up to the first bad place.
    pub records: u64,
    /// Link of the last of them.
    pub link: Link,
    /// Bytes of an unfinished last write: no damage.
    pub torn_tail_bytes: u64,
    /// Checkpoints that there are.
    pub checkpoints: u64,
    /// Sequence of the last one; 0 without any.
    pub last_checkpoint: u64,
    pub first_bad: Option<BadRecord>,
}

impl AuditReport {
    /// Returns how many records no checkpoint covers yet: the end of which could be cut off unseen.
    pub fn unseen(&self) -> u64 {
        self.records.saturating_sub(self.last_checkpoint)
    }
}

/// The first record that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    pub sequence: u64,
    /// File or table; empty where it is known by the record alone.
    pub segment: String,
    pub offset: u64,
    /// For a person.
    pub reason: String,
}

/// Checks every record of an audit.
///
/// `expected_id` is the id that the store noted when the audit began; without one that of the first
/// record counts. `scan` checks the journal and shows its records: [`crate::verify()`] or
/// [`crate::Journals::verify`]. `checkpoints` reads those of an id.
///
/// # Errors
/// Those of `scan` and `checkpoints`, but for a journal that is not there: that is a finding where
/// there ought to be one, and else an empty audit.
pub fn check(
    expected_id: Option<&str>,
    scan: impl FnOnce(&mut dyn FnMut(RecordRef<'_>)) -> Result<VerifyReport, StorageError>,
    checkpoints: impl Fn(&str) -> Result<Checkpoints, StorageError>,
) -> Result<AuditReport, StorageError> {
    // Before the journal, which may be growing. Without the id it waits for the first record.
    let known = expected_id.map(&checkpoints).transpose()?;
    let mut walk = Walk::new(known, expected_id, &checkpoints);
    let scanned = match scan(&mut |record| walk.record(record)) {
        Ok(report) => Some(report),
        Err(StorageError::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    if let Some(error) = walk.failed {
        return Err(error);
    }
    let cut_off = walk.cut_off();
    let place = scanned.as_ref().and_then(bad_place);
    // The first in the journal; of two findings about one record the plainer stands first.
    let first_bad = [walk.first_bad, place, cut_off].into_iter().flatten();
    let known = walk.known.unwrap_or_default();
    Ok(AuditReport {
        first_bad: first_bad.min_by_key(|bad| bad.sequence),
        audit_id: expected_id
            .map(str::to_owned)
            .or(walk.audit_id)
            .unwrap_or_default(),
        records: walk.records,
        link: walk.link,
        torn_tail_bytes: scanned.map_or(0, |report| report.torn_tail_bytes),
        checkpoints: known.len() as u64,
        last_checkpoint: known.last(),
    })
}

fn bad_place(report: &VerifyReport) -> Option<BadRecord> {
    let bad = report.first_bad.as_ref()?;
    Some(BadRecord {
        sequence: bad.sequence,
        segment: bad.segment.clone(),
        offset: bad.offset,
        reason: bad.reason.clone(),
    })
}

fn bad(sequence: u64, reason: String) -> BadRecord {
    BadRecord {
        sequence,
        segment: String::new(),
        offset: 0,
        reason,
    }
}

/// The records on their way by.
struct Walk<'a> {
    expected_id: Option<&'a str>,
    checkpoints: &'a dyn Fn(&str) -> Result<Checkpoints, StorageError>,
    known: Option<Checkpoints>,
    /// Why checkpoints could not be read.
    failed: Option<StorageError>,
    audit_id: Option<String>,
    records: u64,
    link: Link,
    /// The last record that a checkpoint agrees with.
    agreed: u64,
    first_bad: Option<BadRecord>,
}

impl<'a> Walk<'a> {
    fn new(
        known: Option<Checkpoints>,
        expected_id: Option<&'a str>,
        checkpoints: &'a dyn Fn(&str) -> Result<Checkpoints, StorageError>,
    ) -> Walk<'a> {
        Walk {
            expected_id,
            checkpoints,
            known,
            failed: None,
            audit_id: None,
            records: 0,
            link: Link::NONE,
            agreed: 0,
            first_bad: None,
        }
    }

    fn record(&mut self, record: RecordRef<'_>) {
        if self.first_bad.is_some() || self.failed.is_some() {
            return;
        }
        let expected = self.records + 1;
        let sequence = record.sequence;
        if sequence != expected {
            let reason = format!("record {sequence} stands where {expected} must follow");
            self.first_bad = Some(bad(expected, reason));
            return;
        }
        let Some((link, content)) = split(record.payload) else {
            self.first_bad = Some(bad(sequence, "it is no audit record".to_owned()));
            return;
        };
        if link != self.link.next(sequence, content) {
            let reason = "its link does not follow from the record before and what it says";
            self.first_bad = Some(bad(sequence, reason.to_owned()));
            return;
        }
        if sequence == 1 {
            self.begin(link.audit_id());
        }
        if let Some(other) = self.against(sequence, link) {
            self.first_bad = Some(other);
            return;
        }
        self.records = sequence;
        self.link = link;
    }

    fn begin(&mut self, found: String) {
        if let Some(expected) = self.expected_id
            && expected != found
        {
            let reason = format!("it begins audit {found}, and this store's is {expected}");
            self.first_bad = Some(bad(1, reason));
        } else if self.known.is_none() {
            match (self.checkpoints)(&found) {
                Ok(known) => self.known = Some(known),
                Err(error) => self.failed = Some(error),
            }
        }
        self.audit_id = Some(found);
    }

    /// A checkpoint saw another record than the one that is there.
    fn against(&mut self, sequence: u64, found: Link) -> Option<BadRecord> {
        let links = self.known.as_ref()?.links.get(&sequence)?;
        if links.iter().all(|link| *link == found) {
            self.agreed = sequence;
            return None;
        }
        let first = self.agreed + 1;
        let reason = format!(
            "the checkpoint at record {sequence} saw another history: a record from {first} to \
             {sequence} was rewritten with all behind it"
        );
        Some(bad(first, reason))
    }

    /// The records up to the last checkpoint are not all there.
    fn cut_off(&self) -> Option<BadRecord> {
        let (last, end) = (self.known.as_ref()?.last(), self.records);
        if end == 0 && self.expected_id.is_some() {
            return Some(bad(1, "the audit is gone: it was begun here".to_owned()));
        }
        (end < last).then(|| {
            let reason = format!(
                "the audit ends with record {end}, and the checkpoint at record {last} was stored: \
                 its end was cut off"
            );
            bad(end + 1, reason)
        })
    }
}
