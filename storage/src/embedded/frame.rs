//! The bytes of a commit batch.
//!
//! ```text
//! header   0  magic "AXJF"          body     per record:
//!          4  version      u16                0  sequence  u64
//!          6  zero         u16                8  kind      u8
//!          8  body length  u32                9  schema    u16
//!         12  records      u32               11  length    u32
//!         16  first        u64               15  payload
//!         24  last         u64      trailer   0  body check (xxh3)  u64
//!         32  chain        32 B               8  mark "AXJE"
//!         64  header check u64
//! ```
//! Integers are little-endian. `chain = sha256(chain before || header[0..32] || body)`; the chain
//! before the first batch is made of the account id, so that a journal moved to another account
//! does not fit. The checks are quick and find torn writes; the chain finds what was replaced. The
//! header keeps its length and its check in every later version, and the last byte of a frame is
//! never zero: `tail.rs` relies on both.

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use crate::StorageError;
use crate::port::journal::{ChainHash, Class, Record, RecordRef, Unit};

pub(crate) const MAGIC: [u8; 4] = *b"AXJF";
pub(crate) const VERSION: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 72;
pub(crate) const TRAILER_BYTES: usize = 12;
pub(crate) const RECORD_BYTES: usize = 15;
const END_MARK: [u8; 4] = *b"AXJE";
const HASHED_HEADER: usize = 32;

/// Largest frame. As large as the default reserve, so that any batch fits into a fresh reserve; a
/// batch of 1,024 records of 128 bytes is a seventh of it.
pub(crate) const MAX_FRAME_BYTES: usize = 1 << 20;

/// Smallest frame: one record without payload.
pub(crate) const MIN_FRAME_BYTES: usize = HEADER_BYTES + RECORD_BYTES + TRAILER_BYTES;

/// Returns the chain hash of an account's empty journal.
pub(crate) fn genesis(account_id: &str) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(b"apextrade journal v1\0");
    hash.update(account_id.as_bytes());
    ChainHash(hash.finalize().into())
}

fn link(before: &ChainHash, header: &[u8], body: &[u8]) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(before.0);
    hash.update(&header[..HASHED_HEADER]);
    hash.update(body);
    ChainHash(hash.finalize().into())
}

/// A frame being filled. One buffer, used again for each batch.
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    records: u32,
    first: u64,
    last: u64,
}

impl FrameBuilder {
    pub(crate) fn new() -> Self {
        FrameBuilder {
            bytes: vec![0; HEADER_BYTES],
            records: 0,
            first: 0,
            last: 0,
        }
    }

    /// Returns the length of a frame around no records at all.
    pub(crate) const fn empty_length() -> usize {
        HEADER_BYTES + TRAILER_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns the length of the frame if this many more bytes of records came to it.
    pub(crate) fn length_with(&self, more_bytes: usize) -> usize {
        self.bytes.len() + more_bytes + TRAILER_BYTES
    }

    /// Checks that units can be added behind record `sequence`, in a frame of at most
    /// `limit_bytes`; every backend accepts and refuses the same.
    ///
    /// Errors: `Sequence`, `TooLarge`, `BatchFull`.
    pub(crate) fn measure(
        &self,
        units: &[Unit],
        mut sequence: u64,
        limit_bytes: usize,
    ) -> Result<Measure, StorageError> {
        let (mut bytes, mut class) = (0, Class::Essential);
        for unit in units {
            class = class.min(unit.class);
            for record in &unit.records {
                sequence += 1;
                if record.sequence != sequence {
                    let (expected, found) = (sequence, record.sequence);
                    return Err(StorageError::Sequence { expected, found });
                }
                bytes += record_bytes(record);
            }
        }
        let alone = FrameBuilder::empty_length() + bytes;
        if alone > limit_bytes {
            return Err(StorageError::TooLarge {
                bytes: alone,
                limit_bytes,
            });
        }
        if self.length_with(bytes) > limit_bytes {
            return Err(StorageError::BatchFull { limit_bytes });
        }
        Ok(Measure {
            bytes,
            sequence,
            class,
        })
    }

    /// Adds the units that were measured, and returns the sequence of the last record.
    pub(crate) fn stage(&mut self, units: &[Unit], measured: &Measure) -> u64 {
        for record in units.iter().flat_map(|unit| &unit.records) {
            self.push(record);
        }
        measured.sequence
    }

    /// Adds a record. The caller has checked the sequence and the length.
    pub(crate) fn push(&mut self, record: &Record) {
        if self.records == 0 {
            self.first = record.sequence;
        }
        self.records += 1;
        self.last = record.sequence;
        let mut head = [0; RECORD_BYTES];
        head[..8].copy_from_slice(&record.sequence.to_le_bytes());
        head[8] = record.kind;
        head[9..11].copy_from_slice(&record.schema.to_le_bytes());
        // Within u32, since a frame is at most MAX_FRAME_BYTES.
        head[11..].copy_from_slice(&(record.payload.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(&record.payload);
    }

    /// Finishes the frame and returns its bytes, its last sequence and its link of the chain.
    pub(crate) fn seal(&mut self, before: &ChainHash) -> (&[u8], u64, ChainHash) {
        let (header, body) = self.bytes.split_at_mut(HEADER_BYTES);
        header[..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[6..8].fill(0);
        header[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[12..16].copy_from_slice(&self.records.to_le_bytes());
        header[16..24].copy_from_slice(&self.first.to_le_bytes());
        header[24..32].copy_from_slice(&self.last.to_le_bytes());
        let chain = link(before, header, body);
        header[32..64].copy_from_slice(&chain.0);
        let header_check = xxh3_64(&header[..64]);
        header[64..].copy_from_slice(&header_check.to_le_bytes());
        let body_check = xxh3_64(body);
        self.bytes.extend_from_slice(&body_check.to_le_bytes());
        self.bytes.extend_from_slice(&END_MARK);
        (&self.bytes, self.last, chain)
    }

    /// Forgets the frame and keeps the buffer.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(HEADER_BYTES);
        self.records = 0;
    }
}

/// What units would add to a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) bytes: usize,
    /// Of the last record.
    pub(crate) sequence: u64,
    /// The strictest of the units.
    pub(crate) class: Class,
}

/// Returns the bytes that a record takes in a frame.
pub(crate) fn record_bytes(record: &Record) -> usize {
    RECORD_BYTES + record.payload.len()
}

/// What a frame says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) body_bytes: usize,
    pub(crate) records: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) chain: ChainHash,
}

/// Why bytes are not a header of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// Not a header, or a changed one.
    Invalid,
    /// A whole header of another version.
    Version(u16),
}

impl Header {
    pub(crate) fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes + TRAILER_BYTES
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Header, NoHeader> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(NoHeader::Invalid);
        };
        if header[..4] != MAGIC || xxh3_64(&header[..64]) != u64_at(header, 64) {
            return Err(NoHeader::Invalid);
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version != VERSION {
            return Err(NoHeader::Version(version));
        }
        let mut chain = ChainHash([0; 32]);
        chain.0.copy_from_slice(&header[32..64]);
        let parsed = Header {
            body_bytes: u32_at(header, 8) as usize,
            records: u32_at(header, 12),
            first: u64_at(header, 16),
            last: u64_at(header, 24),
            chain,
        };
        if parsed.frame_bytes() > MAX_FRAME_BYTES || parsed.records == 0 {
            return Err(NoHeader::Invalid);
        }
        Ok(parsed)
    }

    /// Returns the body when the frame is whole. `frame` has exactly `frame_bytes` bytes.
    pub(crate) fn body<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let rest = frame.get(HEADER_BYTES..self.frame_bytes())?;
        let (body, trailer) = rest.split_at(self.body_bytes);
        let whole = trailer[8..] == END_MARK && xxh3_64(body) == u64_at(trailer, 0);
        whole.then_some(body)
    }

    /// Returns whether the frame continues the chain.
    pub(crate) fn follows(&self, before: &ChainHash, frame: &[u8], body: &[u8]) -> bool {
        link(before, frame, body) == self.chain
    }
}

/// Takes the record at the front of a body, and moves past it. `None` when it does not decode.
pub(crate) fn next_record<'a>(body: &mut &'a [u8]) -> Option<RecordRef<'a>> {
    let (head, rest) = body.split_first_chunk::<RECORD_BYTES>()?;
    let length = u32_at(head, 11) as usize;
    if rest.len() < length {
        return None;
    }
    let (payload, rest) = rest.split_at(length);
    *body = rest;
    Some(RecordRef {
        sequence: u64_at(head, 0),
        kind: head[8],
        schema: u16::from_le_bytes([head[9], head[10]]),
        payload,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn frame(first: u64, payloads: &[&[u8]], before: &ChainHash) -> Vec<u8> {
        let mut builder = FrameBuilder::new();
        for (index, payload) in payloads.iter().enumerate() {
            let sequence = first + index as u64;
            builder.push(&Record {
                sequence,
                kind: 7,
                schema: 1,
                payload: payload.to_vec(),
            });
        }
        builder.seal(before).0.to_vec()
    }

    #[test]
    fn a_frame_gives_back_its_records() {
        let start = genesis("paper");
        let bytes = frame(5, &[b"one", b"", b"three"], &start);
        let header = Header::parse(&bytes).expect("a header just made parses");
        assert_eq!((header.first, header.last, header.records), (5, 7, 3));
        assert_eq!(header.frame_bytes(), bytes.len());
        let mut body = header.body(&bytes).expect("a frame just made is whole");
        assert!(header.follows(&start, &bytes, body));
        assert!(!header.follows(&genesis("live"), &bytes, body));
        let mut seen = Vec::new();
        while let Some(record) = next_record(&mut body) {
            seen.push((record.sequence, record.payload.to_vec()));
        }
        assert_eq!(
            seen,
            [(5, b"one".to_vec()), (6, vec![]), (7, b"three".to_vec())]
        );
        assert!(body.is_empty());
    }

    #[test]
    fn every_flipped_bit_is_noticed_by_a_check() {
        let bytes = frame(1, &[b"payload"], &genesis("paper"));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let whole = Header::parse(&changed).is_ok_and(|h| h.body(&changed).is_some());
            assert!(!whole, "bit {bit}");
        }
    }

    #[test]
    fn a_used_builder_makes_the_same_bytes_as_a_new_one() {
        let start = genesis("paper");
        let mut builder = FrameBuilder::new();
        builder.push(&Record {
            sequence: 1,
            kind: 1,
            schema: 1,
            payload: vec![9; 300],
        });
        builder.seal(&start);
        builder.clear();
        builder.push(&Record {
            sequence: 5,
            kind: 7,
            schema: 1,
            payload: b"x".to_vec(),
        });
        assert_eq!(builder.seal(&start).0, frame(5, &[b"x"], &start));
    }
}
