//! Sizes of journals: of their segments, of what stays when old records move, of what a start folds.

use crate::{NodeError, marks};
use apex_storage::postgres::{KEPT_BYTES, PgJournals, SEGMENT_BYTES as MOVED_BYTES};
use apex_storage::{Journals, Options, Records};

/// The setting of a segment's size.
const JOURNAL_SEGMENT_BYTES: &str = "APEX_JOURNAL_SEGMENT_BYTES";

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
    pub(super) fn embedded(self) -> Options {
        let usual = Options::default();
        let segment_bytes = self.segment_bytes.unwrap_or(usual.segment_bytes);
        let segments = |bytes: u64| usize::try_from(bytes.div_ceil(segment_bytes.max(1)));
        Options {
            segment_bytes,
            kept_segments: self.keep_bytes.map_or(usual.kept_segments, |bytes| {
                segments(bytes).unwrap_or(usize::MAX)
            }),
            ..usual
        }
    }
}

/// Returns journals of a database that move old records in segments of the size of its first start.
/// Whoever moves some is fenced in the database alone, so that two sizes could replace each other's
/// objects in the bucket.
///
/// Errors: `Usage` when another one is asked for; `Storage`.
pub(super) fn sized(
    journals: PgJournals,
    records: &dyn Records,
    sizes: JournalSettings,
) -> Result<PgJournals, NodeError> {
    let noted = records.get(marks::TABLE, NOTED)?;
    let noted = noted.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    let known = match noted {
        Some(known) => known,
        // Of a build that had no setting.
        None if !journals.accounts()?.is_empty() => MOVED_BYTES,
        None => {
            let bytes = sizes.segment_bytes.unwrap_or(MOVED_BYTES);
            records.put(marks::TABLE, NOTED, bytes.to_string().as_bytes())?;
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
