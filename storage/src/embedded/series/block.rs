//! The bytes of a block of rows.
//!
//! ```text
//! header  0  magic "AXSB"        24  earliest time  i64     runs   first u64, last u64, each
//!         4  version      u16    32  latest time    i64     check  xxh3 of header and runs
//!         6  kind         u8     40  batch offset   u64     rows   of one length each
//!         7  zero                                           check  xxh3 of the rows
//!         8  rows         u32
//!        12  runs         u32
//!        16  zero         u64
//! ```
//! Integers are little-endian. Rows are in order of time and sequence. Runs are the sequences that
//! the rows have, without holes within a run. The batch offset is where the first block of the same
//! write begins: a whole block that names a later one than a broken block was written when that one
//! had been made durable, so the broken one is damage and no unfinished write.

use crate::port::series::{BarRow, QuoteRow, Row, TradeRow};
use apex_domain::market::{Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;
use xxhash_rust::xxh3::xxh3_64;

pub(super) const MAGIC: [u8; 4] = *b"AXSB";
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 48;
const RUN_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;

/// Rows of a block: a quarter of a megabyte, of which a reader has the ones that overlap.
pub(super) const BLOCK_ROWS: usize = 4_096;

/// First and last of sequences without holes.
pub(super) type Run = (u64, u64);

/// A row with bytes.
pub(super) trait Coded: Row {
    const KIND: u8;
    const BYTES: usize;

    fn put(&self, out: &mut Vec<u8>);
    /// `None` when a field is none. `bytes` are `BYTES` long.
    fn take(bytes: &[u8]) -> Option<Self>;
}

/// What a block says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: u8,
    pub rows: usize,
    pub earliest: i64,
    pub latest: i64,
    pub batch: u64,
    pub runs: Vec<Run>,
}

/// Why bytes are no head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHead {
    Invalid,
    /// So many bytes are needed.
    Short(usize),
    Version(u16),
}

impl Head {
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.runs.len() * RUN_BYTES + CHECK_BYTES
    }

    pub fn block_bytes(&self, row_bytes: usize) -> usize {
        self.bytes() + self.rows * row_bytes + CHECK_BYTES
    }

    pub fn parse(bytes: &[u8]) -> Result<Head, NoHead> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(NoHead::Short(HEADER_BYTES));
        };
        let half = |at: usize| u64_at(header, at) as u32 as usize;
        let (rows, count) = (half(8), half(12));
        if header[..4] != MAGIC || rows == 0 || rows > BLOCK_ROWS || count == 0 || count > rows {
            return Err(NoHead::Invalid);
        }
        let checked = HEADER_BYTES + count * RUN_BYTES;
        let Some(check) = bytes.get(checked..checked + CHECK_BYTES) else {
            return Err(NoHead::Short(checked + CHECK_BYTES));
        };
        if xxh3_64(&bytes[..checked]) != u64_at(check, 0) {
            return Err(NoHead::Invalid);
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version != VERSION {
            return Err(NoHead::Version(version));
        }
        let runs = bytes[HEADER_BYTES..checked].chunks_exact(RUN_BYTES);
        Ok(Head {
            kind: header[6],
            rows,
            earliest: u64_at(header, 24) as i64,
            latest: u64_at(header, 32) as i64,
            batch: u64_at(header, 40),
            runs: runs.map(|run| (u64_at(run, 0), u64_at(run, 8))).collect(),
        })
    }
}

/// Appends a block of rows, which are in order of sequence and at most [`BLOCK_ROWS`].
pub(super) fn put_block<T: Coded>(rows: &[T], batch: u64, out: &mut Vec<u8>) {
    let mut runs: Vec<Run> = Vec::new();
    for row in rows {
        add_run(&mut runs, (row.sequence(), row.sequence()));
    }
    let mut sorted = rows.to_vec();
    sorted.sort_unstable_by_key(|row| (row.ts(), row.sequence()));
    let begin = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[T::KIND, 0]);
    // At most `BLOCK_ROWS`, so the casts keep the values.
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    for ts in [sorted.first(), sorted.last()] {
        out.extend_from_slice(&ts.map_or(0, Row::ts).to_le_bytes());
    }
    out.extend_from_slice(&batch.to_le_bytes());
    for (first, last) in runs {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&last.to_le_bytes());
    }
    let check = xxh3_64(&out[begin..]);
    out.extend_from_slice(&check.to_le_bytes());
    let begin = out.len();
    for row in &sorted {
        row.put(out);
    }
    let check = xxh3_64(&out[begin..]);
    out.extend_from_slice(&check.to_le_bytes());
}

/// Returns the rows of a block; `None` when they are not what was written.
pub(super) fn take_rows<T: Coded>(head: &Head, block: &[u8]) -> Option<Vec<T>> {
    let rest = block.get(head.bytes()..head.block_bytes(T::BYTES))?;
    let (rows, check) = rest.split_at(head.rows * T::BYTES);
    if xxh3_64(rows) != u64_at(check, 0) {
        return None;
    }
    rows.chunks_exact(T::BYTES).map(T::take).collect()
}

/// Adds a run to runs that are in order and do not touch.
pub(super) fn add_run(runs: &mut Vec<Run>, (first, last): Run) {
    // Mostly it goes on behind the last one.
    if let Some(end) = runs.last_mut()
        && end.1.checked_add(1) == Some(first)
    {
        end.1 = last;
        return;
    }
    let begin = runs.partition_point(|run| run.1.saturating_add(1) < first);
    let end = runs.partition_point(|run| run.0 <= last.saturating_add(1));
    let merged = runs[begin..end].iter().fold((first, last), |all, run| {
        (all.0.min(run.0), all.1.max(run.1))
    });
    runs.splice(begin..end.max(begin), [merged]);
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

fn put_all(values: &[i64], out: &mut Vec<u8>) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn i64_at(bytes: &[u8], index: usize) -> i64 {
    u64_at(bytes, index * 8) as i64
}

impl Coded for TradeRow {
    const KIND: u8 = 0;
    const BYTES: usize = 49;

    fn put(&self, out: &mut Vec<u8>) {
        let (sequence, trade_id) = (self.sequence as i64, self.trade_id as i64);
        put_all(&[sequence, self.price.0, self.quantity.0, trade_id], out);
        put_all(&[self.ts_event.0, self.ts_init.0], out);
        out.push(match self.aggressor {
            None => 0,
            Some(Side::Buy) => 1,
            Some(Side::Sell) => 2,
        });
    }

    fn take(bytes: &[u8]) -> Option<TradeRow> {
        Some(TradeRow {
            sequence: u64_at(bytes, 0),
            price: Price(i64_at(bytes, 1)),
            quantity: Quantity(i64_at(bytes, 2)),
            trade_id: u64_at(bytes, 24),
            ts_event: UnixNanos(i64_at(bytes, 4)),
            ts_init: UnixNanos(i64_at(bytes, 5)),
            aggressor: match bytes[48] {
                0 => None,
                1 => Some(Side::Buy),
                2 => Some(Side::Sell),
                _ => return None,
            },
        })
    }
}

impl Coded for QuoteRow {
    const KIND: u8 = 1;
    const BYTES: usize = 57;

    fn put(&self, out: &mut Vec<u8>) {
        put_all(&[self.sequence as i64], out);
        for side in [self.bid, self.ask] {
            let (price, quantity) = side.map_or((0, 0), |s| (s.price.0, s.quantity.0));
            put_all(&[price, quantity], out);
        }
        put_all(&[self.ts_event.0, self.ts_init.0], out);
        out.push(u8::from(self.bid.is_some()) + 2 * u8::from(self.ask.is_some()));
    }

    fn take(bytes: &[u8]) -> Option<QuoteRow> {
        let sides = bytes[56];
        let side = |bit: u8, at: usize| {
            (sides & bit != 0).then(|| Level {
                price: Price(i64_at(bytes, at)),
                quantity: Quantity(i64_at(bytes, at + 1)),
            })
        };
        (sides < 4).then(|| QuoteRow {
            sequence: u64_at(bytes, 0),
            bid: side(1, 1),
            ask: side(2, 3),
            ts_event: UnixNanos(i64_at(bytes, 5)),
            ts_init: UnixNanos(i64_at(bytes, 6)),
        })
    }
}

impl Coded for BarRow {
    const KIND: u8 = 2;
    const BYTES: usize = 80;

    fn put(&self, out: &mut Vec<u8>) {
        let (sequence, trade_count) = (self.sequence as i64, self.trade_count as i64);
        put_all(&[sequence, self.open.0, self.high.0, self.low.0], out);
        put_all(&[self.close.0, trade_count], out);
        put_all(&[self.ts_open.0, self.ts_init.0], out);
        out.extend_from_slice(&self.volume.to_le_bytes());
    }

    fn take(bytes: &[u8]) -> Option<BarRow> {
        Some(BarRow {
            sequence: u64_at(bytes, 0),
            open: Price(i64_at(bytes, 1)),
            high: Price(i64_at(bytes, 2)),
            low: Price(i64_at(bytes, 3)),
            close: Price(i64_at(bytes, 4)),
            trade_count: u64_at(bytes, 40),
            ts_open: UnixNanos(i64_at(bytes, 6)),
            ts_init: UnixNanos(i64_at(bytes, 7)),
            volume: i128::from_le_bytes(*bytes.get(64..80)?.first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_where_they_touch() {
        let mut runs = Vec::new();
        for run in [
            (5, 6),
            (1, 2),
            (9, 9),
            (3, 3),
            (4, 4),
            (8, 8),
            (20, 30),
            (2, 25),
        ] {
            add_run(&mut runs, run);
            let apart = runs.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
            assert!(apart, "{runs:?}");
        }
        assert_eq!(runs, [(1, 30)]);
    }

    #[test]
    fn every_flipped_bit_of_a_block_is_noticed() {
        let row = |sequence| TradeRow {
            sequence,
            price: Price(5),
            quantity: Quantity(6),
            aggressor: Some(Side::Sell),
            trade_id: 7,
            ts_event: UnixNanos(8),
            ts_init: UnixNanos(9),
        };
        let mut bytes = Vec::new();
        put_block(&[row(1), row(3)], 0, &mut bytes);
        let whole = |bytes: &[u8]| {
            let head = Head::parse(bytes).ok()?;
            take_rows::<TradeRow>(&head, bytes)
        };
        assert_eq!(whole(&bytes), Some(vec![row(1), row(3)]));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(whole(&changed), None, "bit {bit}");
        }
    }
}
