//! Sizes of journals: of their segments, of what stays when old records move, of what a start folds.

use crate::{NodeError, marks};
use apex_storage::postgres::{KEPT_BYTES, PgJournals, SEGMENT_BYTES as MOVED_BYTES};
use apex_storage::{Change, Journals, Options, Records};

/// The setting of a segment's size.
const JOURNAL_SEGMENT_BYTES: &str = "APEX_JOURNAL_SEGMENT_BYTES";

/// Room for the largest batch, and for the largest record of an audit.
const SMALLEST_IN_FOLDER: u64 = 2 << 20;

/// In a database, beside its marks: the size of the segments in which its old records move.
const NOTED: &str = "journal_segment_bytes";

/// Sizes of journals; `None` is what is usual where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalSettings {
    /// Bytes of a segment, a power of two: 16 MiB in a data folder, 4 MiB of a database, which keeps
    /// the size of its first start.
    pub segment_bytes: Option<u64>,
    /// Bytes of the newest records that are not moved: 32 MiB.
    pub keep_bytes: Option<u64>,
    /// Events between two snapshots of an account at the least: 100,000.
    pub snapshot_events: Option<u64>,
}

impl JournalSettings {
    /// Returns the options of journals in a folder.
    ///
    /// Errors: `Usage` of segments that could not hold every batch.
    pub(super) fn embedded(self) -> Result<Options, NodeError> {
        let usual = Options::default();
        let segment_bytes = self.segment_bytes.unwrap_or(usual.segment_bytes);
        if segment_bytes < SMALLEST_IN_FOLDER {
            return Err(NodeError::Usage(format!(
                "{JOURNAL_SEGMENT_BYTES} is {segment_bytes}, and a segment of a data folder holds \
                 whole batches: set at least {SMALLEST_IN_FOLDER}; smaller ones are for a database"
            )));
        }
        let kept = self.keep_bytes.unwrap_or(KEPT_BYTES);
        Ok(Options {
            segment_bytes,
            kept_segments: usize::try_from(kept.div_ceil(segment_bytes)).unwrap_or(usize::MAX),
            ..usual
        })
    }
}

/// Returns journals of a database that move old records in segments of the size of its first start.
/// Whoever moves some is fenced in the database alone, so that two sizes could replace each other's
/// objects in the bucket.
///
/// Errors: `Usage` when another one is asked for, or when what was noted is no number; `Storage`.
pub(super) fn sized(
    journals: PgJournals,
    records: &dyn Records,
    sizes: JournalSettings,
) -> Result<PgJournals, NodeError> {
    let noted = records.get(marks::TABLE, NOTED)?;
    let known = match noted {
        Some(noted) => parsed(&noted)?,
        // Of a build that had no setting.
        None if !journals.accounts()?.is_empty() => MOVED_BYTES,
        None => {
            let bytes = sizes.segment_bytes.unwrap_or(MOVED_BYTES);
            // Of two first starts the one that comes second is told.
            let note = Change::insert(marks::TABLE, NOTED, bytes.to_string());
            records.change(&[note])?;
            bytes
        }
    };
    match sizes.segment_bytes {
        Some(asked) if asked != known => Err(NodeError::Usage(format!(
            "{JOURNAL_SEGMENT_BYTES} is {asked}, and old records of this database move in segments \
             of {known} bytes since its first start: unset it, or set {known}"
        ))),
        _ => Ok(journals.with_sizes(known, sizes.keep_bytes.unwrap_or(KEPT_BYTES))),
    }
}

fn parsed(noted: &[u8]) -> Result<u64, NodeError> {
    let text = String::from_utf8_lossy(noted);
    text.parse().map_err(|_| {
        NodeError::Usage(format!(
            "the database notes \"{text}\" as the size of its segments, which is no number: somebody \
             has changed the record {NOTED} of its table {}",
            marks::TABLE
        ))
    })
}
