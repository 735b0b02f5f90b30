//! Tells an unfinished last write from damage.
//!
//! A segment is zero-filled before it is used and never used again, and each commit is synced
//! before the next one is written. So a crash can leave at most one unfinished frame, at the very
//! end of the newest segment: a prefix of it (the process or the system died in the middle of the
//! write) or some of its sectors (the disk writes them in any order), and zeros where nothing
//! arrived. Anything else is damage: a bad frame with a good one after it, a frame that is all
//! there and does not match its check, bytes further out than a frame can reach.
//!
//! Assumed of the disk: a sector of 512 bytes is written whole or not at all, and writing zeros'
//! neighbours leaves them zero. A last frame with an aligned 512-byte run of zeros in its payload
//! that is damaged later reads as unfinished; payloads of ours have no such runs.

use memchr::memmem;

use super::frame::{HEADER_BYTES, Header, MAGIC, MAX_FRAME_BYTES, MIN_FRAME_BYTES, NoHeader};
use crate::disk::all_zero;
use crate::error::Damage;

const SECTOR: u64 = 512;

/// What stands where the next frame would begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing: only zeros to the end of the file.
    End,
    /// A write that was never finished, this many bytes long.
    Torn(u64),
    /// Anything else.
    Bad(Damage),
    /// A frame of another version of the format.
    Version(u16),
}

/// Judges the rest of a segment from the place where no whole frame begins.
///
/// `offset` is that place in the file; `newest` says whether this is the newest segment, the only
/// one that can end in an unfinished write, since the ones before it were synced to their end.
pub(crate) fn judge(rest: &[u8], offset: u64, newest: bool) -> Tail {
    let used = used_bytes(rest);
    if used == 0 {
        return Tail::End;
    }
    let tail = &rest[..used];
    let header = Header::parse(tail);
    if let Err(NoHeader::Version(version)) = header {
        return Tail::Version(version);
    }
    if !newest || holds_whole_frame(&tail[1..]) {
        return Tail::Bad(Damage::Checksum);
    }
    if used > MAX_FRAME_BYTES {
        return Tail::Bad(Damage::BytesAfterEnd);
    }
    let unfinished = match header {
        // The header arrived whole, so its length can be trusted, and the last byte of a frame is
        // never zero: a frame that ends early was cut.
        Ok(header) if header.frame_bytes() > used => true,
        Ok(header) if header.frame_bytes() < used => return Tail::Bad(Damage::BytesAfterEnd),
        Ok(_) => lacks_a_sector(tail, offset),
        // Too short to have had a whole header and a record.
        Err(_) if used < MIN_FRAME_BYTES => true,
        Err(_) => lacks_a_sector(tail, offset),
    };
    if unfinished {
        Tail::Torn(used as u64)
    } else {
        Tail::Bad(Damage::Checksum)
    }
}

/// Returns the length without the zeros at the end.
fn used_bytes(rest: &[u8]) -> usize {
    const BLOCK: usize = 4096;
    let mut end = rest.len();
    // Whole blocks first: the zeros behind the last frame are most of a segment.
    while end > 0 {
        let start = (end - 1) / BLOCK * BLOCK;
        if !all_zero(&rest[start..end]) {
            break;
        }
        end = start;
    }
    rest[..end]
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

fn holds_whole_frame(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, &MAGIC).any(|at| {
        let found = &bytes[at..];
        Header::parse(found).is_ok_and(|header| header.body(found).is_some())
    })
}

/// Returns whether the part of the tail in some sector is all zeros: that sector never arrived.
pub(crate) fn lacks_a_sector(tail: &[u8], offset: u64) -> bool {
    // At most SECTOR, so the cast keeps the value.
    let first = (SECTOR - offset % SECTOR) as usize;
    let (head, rest) = tail.split_at(first.min(tail.len()));
    all_zero(head) || rest.chunks(SECTOR as usize).any(all_zero)
}

/// Returns the two steps in which an unfinished write is cut, as ranges within it, each synced
/// before the next.
///
/// The header goes last: whatever a crash leaves in between still reads as unfinished.
pub(crate) fn cut_steps(torn_bytes: u64) -> [std::ops::Range<u64>; 2] {
    let header = torn_bytes.min(HEADER_BYTES as u64);
    [header..torn_bytes, 0..header]
}

#[cfg(test)]
mod tests {
    use super::super::frame::genesis;
    use super::super::frame::tests::frame;
    use super::*;

    fn segment(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = parts.concat();
        bytes.resize(bytes.len() + 3000, 0);
        bytes
    }

    #[test]
    fn zeros_are_the_end() {
        assert_eq!(judge(&[0; 10_000], 77, true), Tail::End);
        assert_eq!(judge(&[], 0, false), Tail::End);
    }

    #[test]
    fn a_prefix_of_any_length_is_unfinished() {
        let payload: Vec<u8> = (0..1500u32).map(|i| (i % 251) as u8).collect();
        let whole = frame(1, &[&payload], &genesis("a"));
        for kept in 1..whole.len() {
            let bytes = segment(&[&whole[..kept]]);
            let Tail::Torn(torn) = judge(&bytes, 300, true) else {
                panic!("{kept} bytes: {:?}", judge(&bytes, 300, true));
            };
            assert!(torn as usize <= kept, "zeros at the cut belong to nobody");
        }
    }

    #[test]
    fn any_missing_sectors_are_unfinished() {
        let payload: Vec<u8> = (0..3000u32).map(|i| (i % 251) as u8 + 1).collect();
        let whole = frame(1, &[&payload], &genesis("a"));
        let offset = 300_usize;
        let sectors = (offset + whole.len()).div_ceil(512);
        for mask in 1..(1_u32 << sectors) - 1 {
            let mut bytes = whole.clone();
            for (at, byte) in bytes.iter_mut().enumerate() {
                if mask >> ((at + offset) / 512) & 1 == 0 {
                    *byte = 0;
                }
            }
            let judged = judge(&segment(&[&bytes]), offset as u64, true);
            assert!(matches!(judged, Tail::Torn(_)), "mask {mask:b}: {judged:?}");
        }
    }

    #[test]
    fn any_flipped_bit_of_a_whole_last_frame_is_damage() {
        let payload: Vec<u8> = (0..700u32).map(|i| (i % 251) as u8 + 1).collect();
        let whole = frame(1, &[&payload], &genesis("a"));
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let judged = judge(&segment(&[&changed]), 0, true);
            assert_eq!(judged, Tail::Bad(Damage::Checksum), "bit {bit}");
        }
    }

    #[test]
    fn a_bad_frame_before_a_good_one_is_damage() {
        let start = genesis("a");
        let (first, second) = (frame(1, &[b"x"], &start), frame(2, &[b"y"], &start));
        let cut = &first[..first.len() - 20];
        assert_eq!(
            judge(&segment(&[cut, &second]), 0, true),
            Tail::Bad(Damage::Checksum)
        );
        assert_eq!(
            judge(&segment(&[&[0; 600], &second]), 0, true),
            Tail::Bad(Damage::Checksum)
        );
    }

    #[test]
    fn an_older_segment_cannot_end_unfinished() {
        let whole = frame(1, &[b"x"], &genesis("a"));
        assert_eq!(
            judge(&segment(&[&whole[..50]]), 0, false),
            Tail::Bad(Damage::Checksum)
        );
    }

    #[test]
    fn bytes_further_out_than_a_frame_reaches_are_damage() {
        let mut bytes = vec![0; MAX_FRAME_BYTES + 10];
        bytes[MAX_FRAME_BYTES + 5] = 1;
        assert_eq!(judge(&bytes, 0, true), Tail::Bad(Damage::BytesAfterEnd));
    }

    #[test]
    fn a_cut_that_is_itself_cut_is_still_unfinished() {
        let payload = [7_u8; 200];
        let whole = frame(1, &[&payload], &genesis("a"));
        let torn = &whole[..whole.len() - 30];
        let [body, header] = cut_steps(torn.len() as u64);
        let mut bytes = torn.to_vec();
        for at in body.chain(header) {
            bytes[at as usize] = 0;
            let judged = judge(&segment(&[&bytes]), 0, true);
            assert!(
                matches!(judged, Tail::Torn(_) | Tail::End),
                "at {at}: {judged:?}"
            );
        }
    }
}
