//! Cuts rows into parts.

use xxhash_rust::xxh3::xxh3_64;

use super::PART_BYTES;
use super::blobs::Blobs;
use super::databases::{RowsPart, Slice, SliceOf};
use crate::error::StorageError;

/// A part does not end before.
const LEAST_BYTES: usize = PART_BYTES / 4;

/// Behind that, one row of so many ends it: where parts end follows from the rows and not from their
/// places, so a row that comes or goes changes one part or two, and not all behind it.
const ENDING: u64 = 512;

/// Parts of rows, in the making.
#[derive(Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    rows: u64,
    parts: Vec<RowsPart>,
}

impl Cutter {
    /// Takes the next row. A large one goes over several parts, so that each can be read at once.
    pub(super) fn add(&mut self, blobs: &mut Blobs<'_>, row: &[u8]) -> Result<(), StorageError> {
        self.rows += 1;
        self.bytes.extend_from_slice(row);
        let mut at = 0;
        while self.bytes.len() - at >= 2 * PART_BYTES {
            let part = store(blobs, &self.bytes[at..at + PART_BYTES])?;
            self.parts.push(part);
            at += PART_BYTES;
        }
        self.bytes.drain(..at);
        let is_end = self.bytes.len() >= LEAST_BYTES && xxh3_64(row).is_multiple_of(ENDING);
        if is_end || self.bytes.len() >= PART_BYTES {
            self.store(blobs)?;
        }
        Ok(())
    }

    fn store(&mut self, blobs: &mut Blobs<'_>) -> Result<(), StorageError> {
        let part = store(blobs, &self.bytes)?;
        self.parts.push(part);
        self.bytes.clear();
        Ok(())
    }

    /// Returns the rows that came, as a slice.
    pub(super) fn finish(
        mut self,
        blobs: &mut Blobs<'_>,
        of: SliceOf,
    ) -> Result<Slice, StorageError> {
        if !self.bytes.is_empty() {
            self.store(blobs)?;
        }
        Ok(Slice {
            rows: self.rows,
            of,
            parts: self.parts,
        })
    }
}

/// Stores bytes of rows.
pub(super) fn store(blobs: &mut Blobs<'_>, bytes: &[u8]) -> Result<RowsPart, StorageError> {
    Ok(RowsPart {
        hash: blobs.store(bytes)?,
        bytes: bytes.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;

    #[test]
    fn a_new_row_in_front_changes_few_parts_and_a_large_one_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let mut blobs = Blobs::open(&objects, &|_| {}).unwrap();
        let rows: Vec<Vec<u8>> = (0..40_000_u64)
            .map(|n| format!("{n:0100}").into_bytes())
            .collect();
        let mut cut = |rows: &[Vec<u8>]| {
            let mut cutter = Cutter::default();
            for row in rows {
                cutter.add(&mut blobs, row).unwrap();
            }
            let slice = cutter.finish(&mut blobs, SliceOf::Whole).unwrap();
            (slice.rows, slice.parts)
        };
        let (count, parts) = cut(&rows);
        assert_eq!(count, 40_000);
        assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>(), 4_000_000);
        assert!(parts.len() > 3, "{}", parts.len());
        let more = [vec![b"new".to_vec()], rows].concat();
        let (_, again) = cut(&more);
        let new = again.iter().filter(|part| !parts.contains(part)).count();
        assert!(new <= 2, "{new} of {}", again.len());

        let large = [vec![7; 5 * PART_BYTES + 5]];
        let (count, parts) = cut(&large);
        assert_eq!(count, 1);
        let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
        let part = PART_BYTES as u64;
        assert_eq!(sizes, [part, part, part, part, part + 5]);
    }
}
