//! A row of a series as so many bytes of a temporary file.

use crate::port::series::{BarRow, QuoteRow, TradeRow};
use apex_domain::market::{Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;

/// A row of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesRow {
    Trade(TradeRow),
    Quote(QuoteRow),
    Bar(BarRow),
}

impl SeriesRow {
    /// Returns the time that it is kept by.
    pub fn ts(&self) -> UnixNanos {
        match self {
            SeriesRow::Trade(row) => row.ts_event,
            SeriesRow::Quote(row) => row.ts_event,
            SeriesRow::Bar(row) => row.ts_open,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub series: u32,
    pub row: SeriesRow,
}

/// Words of a record, of 64 bits: the series and the kind, the time, and what the kind has.
const WORDS: usize = 10;

/// Of a record in a file. It is read by the process that wrote it.
pub const BYTES: usize = WORDS * 8;

impl Record {
    pub fn key(&self) -> (u32, i64) {
        (self.series, self.row.ts().0)
    }

    pub fn to_bytes(self) -> [u8; BYTES] {
        let (kind, words) = match self.row {
            SeriesRow::Trade(row) => (0, of_trade(&row)),
            SeriesRow::Quote(row) => (1, of_quote(&row)),
            SeriesRow::Bar(row) => (2, of_bar(&row)),
        };
        let mut bytes = [0; BYTES];
        let first = u64::from(self.series) << 8 | kind;
        let words = std::iter::once(first as i64).chain(words);
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Returns the record of bytes; `None` where nothing of this build has written them.
    pub fn of_bytes(bytes: &[u8; BYTES]) -> Option<Record> {
        let mut words = [0; WORDS];
        for (word, from) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = i64::from_le_bytes(from.try_into().ok()?);
        }
        let [first, words @ ..] = words;
        let row = match first & 0xFF {
            0 => SeriesRow::Trade(trade(&words)?),
            1 => SeriesRow::Quote(quote(&words)),
            2 => SeriesRow::Bar(bar(&words)),
            _ => return None,
        };
        let series = u32::try_from(first >> 8).ok()?;
        Some(Record { series, row })
    }
}

/// Without the first one.
type Words = [i64; WORDS - 1];

fn of_trade(row: &TradeRow) -> Words {
    let side = match row.aggressor {
        None => 0,
        Some(Side::Buy) => 1,
        Some(Side::Sell) => 2,
    };
    // Unsigned numbers keep their bits.
    let (id, sequence) = (row.trade_id as i64, row.sequence as i64);
    let (price, quantity) = (row.price.0, row.quantity.0);
    let (ts_event, ts_init) = (row.ts_event.0, row.ts_init.0);
    [ts_event, ts_init, price, quantity, side, id, sequence, 0, 0]
}

fn trade(words: &Words) -> Option<TradeRow> {
    let [ts_event, ts_init, price, quantity, side, id, sequence, ..] = *words;
    Some(TradeRow {
        sequence: sequence as u64,
        price: Price(price),
        quantity: Quantity(quantity),
        aggressor: match side {
            0 => None,
            1 => Some(Side::Buy),
            2 => Some(Side::Sell),
            _ => return None,
        },
        trade_id: id as u64,
        ts_event: UnixNanos(ts_event),
        ts_init: UnixNanos(ts_init),
    })
}

fn of_quote(row: &QuoteRow) -> Words {
    let level = |level: Option<Level>| level.map_or((0, 0), |it| (it.price.0, it.quantity.0));
    let ((bid, bid_quantity), (ask, ask_quantity)) = (level(row.bid), level(row.ask));
    [
        row.ts_event.0,
        row.ts_init.0,
        i64::from(row.bid.is_some()),
        bid,
        bid_quantity,
        i64::from(row.ask.is_some()),
        ask,
        ask_quantity,
        row.sequence as i64,
    ]
}

fn quote(words: &Words) -> QuoteRow {
    let level = |at: usize| {
        (words[at] != 0).then(|| Level {
            price: Price(words[at + 1]),
            quantity: Quantity(words[at + 2]),
        })
    };
    QuoteRow {
        sequence: words[8] as u64,
        bid: level(2),
        ask: level(5),
        ts_event: UnixNanos(words[0]),
        ts_init: UnixNanos(words[1]),
    }
}

/// A bar has a word more than there is room for: its sequence, which no archive keeps.
fn of_bar(row: &BarRow) -> Words {
    [
        row.ts_open.0,
        row.ts_init.0,
        row.open.0,
        row.high.0,
        row.low.0,
        row.close.0,
        row.volume as i64,
        (row.volume >> 64) as i64,
        row.trade_count as i64,
    ]
}

fn bar(words: &Words) -> BarRow {
    let [
        ts_open,
        ts_init,
        open,
        high,
        low,
        close,
        volume,
        volume_high,
        count,
    ] = *words;
    BarRow {
        sequence: 0,
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price(close),
        volume: i128::from(volume_high) << 64 | i128::from(volume as u64),
        trade_count: count as u64,
        ts_open: UnixNanos(ts_open),
        ts_init: UnixNanos(ts_init),
    }
}
