//! Where something is damaged, and how that was noticed.

use std::fmt;

/// A place in a file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// File name of the segment or table.
    pub segment: String,
    /// Byte offset from the start of that file.
    pub offset: u64,
    /// The sequence expected there; 0 where sequences have no meaning.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position {
            segment,
            offset,
            sequence,
        } = self;
        write!(f, "segment {segment} byte {offset} (sequence {sequence})")
    }
}

/// How damage was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Bytes do not match their checksum, and it is not an unfinished last write.
    Checksum,
    /// A whole frame does not continue the hash chain: replaced, reordered or of another account.
    Chain,
    /// A whole frame does not continue the sequence: lost, repeated or reordered frames.
    Sequence {
        /// What had to follow.
        expected: u64,
        /// What the frame holds.
        found: u64,
    },
    /// The next segment file does not begin where the last one ended.
    MissingSegment {
        /// Where a segment had to begin.
        expected: u64,
        /// Where the next one there begins.
        found: u64,
    },
    /// Bytes that no write of ours can have left, after the last frame.
    BytesAfterEnd,
    /// A segment file does not have the full size that it was made with: it was cut, or copied in
    /// part.
    SegmentLength {
        /// Its length now.
        bytes: u64,
    },
    /// A checksummed part does not decode.
    Malformed(&'static str),
    /// An object that is to be stored is there already and holds something else.
    OtherContent,
    /// The journal ends before a snapshot that was taken of it: its last part is gone.
    EndsBeforeSnapshot {
        /// Sequence of that snapshot.
        snapshot: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Checksum => write!(f, "checksum mismatch"),
            Damage::Chain => write!(f, "hash chain mismatch"),
            Damage::Sequence { expected, found } => {
                write!(f, "sequence {found} where {expected} must follow")
            }
            Damage::MissingSegment { expected, found } => {
                write!(
                    f,
                    "segment from {expected} is missing, the next begins at {found}"
                )
            }
            Damage::BytesAfterEnd => write!(f, "bytes after the last frame"),
            Damage::SegmentLength { bytes } => {
                write!(
                    f,
                    "file of {bytes} bytes is no whole segment: it was cut or copied in part"
                )
            }
            Damage::Malformed(what) => write!(f, "malformed {what}"),
            Damage::OtherContent => write!(
                f,
                "it is there and holds something else: is the store that of another journal?"
            ),
            Damage::EndsBeforeSnapshot { snapshot } => {
                write!(f, "journal ends before its snapshot at sequence {snapshot}")
            }
        }
    }
}
