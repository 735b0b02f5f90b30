//! Sizes of an embedded journal, and what opening it found.

/// Where spares are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preallocation {
    /// On a helper thread, so that no commit waits for it.
    Helper,
    /// Within the call that finds the need: the same steps in the same order each time, for tests.
    Inline,
}

/// Sizes of an embedded journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Size of a segment in bytes; 4 KiB to 1 GiB, rounded up to a power of two, since that is how
    /// a file that was cut is told from a whole one. 16 MiB holds some 110,000 records of 128 bytes,
    /// so a spare is made every few seconds at the highest rate, and costs a start 50 ms.
    pub segment_bytes: u64,
    /// Size of the reserve in bytes; as `segment_bytes`. 1 MiB takes some 7,000 cancels and reports.
    pub reserve_bytes: u64,
    /// Newest closed segments that stay in the folder when older ones move to the store of objects:
    /// what clients ask for again is mostly of the last hours.
    pub kept_segments: usize,
    /// Where spares are made.
    pub preallocation: Preallocation,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 16 << 20,
            reserve_bytes: 1 << 20,
            kept_segments: 2,
            preallocation: Preallocation::Helper,
        }
    }
}

/// What was found when a journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opened {
    /// Records found.
    pub records: u64,
    /// Commit batches found.
    pub frames: u64,
    /// Bytes of an unfinished last write, which was cut. Nothing of it had been acknowledged.
    pub torn_tail_bytes: u64,
}

const SMALLEST_FILE_BYTES: u64 = 4096;

/// Largest segment. The end of a damaged one is held in memory to look for frames behind the bad
/// place, and a file beyond this is none of ours.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// Returns whether a segment can have been made with this length.
///
/// A file gets its name only after it was filled to its full size, and it never changes its length
/// afterwards. No header says which size that was, and it differs between segments, spares that a
/// full disk made the next segment, and runs with other options; but all of them are powers of two.
pub(crate) fn is_full_size(bytes: u64) -> bool {
    (SMALLEST_FILE_BYTES..=MAX_SEGMENT_BYTES).contains(&bytes) && bytes.is_power_of_two()
}

impl Options {
    /// Returns sizes that hold at least a few records each.
    pub(crate) fn within_limits(self) -> Options {
        Options {
            segment_bytes: self
                .segment_bytes
                .clamp(SMALLEST_FILE_BYTES, MAX_SEGMENT_BYTES)
                .next_power_of_two(),
            reserve_bytes: self
                .reserve_bytes
                .clamp(SMALLEST_FILE_BYTES, MAX_SEGMENT_BYTES)
                .next_power_of_two(),
            ..self
        }
    }
}
