//! What a replay has seen, in the words of the machine-readable summary.

use super::feed::ReplayFeed;
use super::state::InstrumentState;
use apex_domain::market::Level;
use apex_domain::number::{self, format_mantissa, pow10};
use serde::Serialize;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many levels a side the summary shows.
const LEVELS: usize = 5;

/// Everything that was seen. Decimals are strings as the venue writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedSummary {
    /// Lines that are not empty, unreadable ones included.
    pub frames: u64,
    pub bad_frames: u64,
    /// Trades, quotes and applied changes of books.
    pub ticks: u64,
    /// Hexadecimal; over the books and minute bars of all instruments in order of id.
    pub market_hash: String,
    pub instruments: BTreeMap<String, InstrumentSummary>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstrumentSummary {
    pub trades: u64,
    pub volume: String,
    /// Without trailing zeros.
    pub notional: String,
    pub book: BookSummary,
    /// By start in milliseconds since the epoch.
    pub minute_bars: BTreeMap<i64, MinuteBar>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BookSummary {
    pub update_id: u64,
    /// Price and quantity, best first.
    pub bids: Vec<[String; 2]>,
    pub asks: Vec<[String; 2]>,
    /// A change is missing since the last snapshot.
    pub stale: bool,
}

/// Open, high, low, close, volume and number of trades of a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MinuteBar {
    pub o: String,
    pub h: String,
    pub l: String,
    pub c: String,
    pub v: String,
    pub n: u64,
}

impl ReplayFeed {
    /// Returns what was seen so far.
    pub fn summary(&self) -> FeedSummary {
        let instruments = self
            .instruments
            .iter()
            .map(|state| (state.instrument.instrument_id.to_string(), state.summary()))
            .collect();
        FeedSummary {
            frames: self.frames,
            bad_frames: self.bad_count,
            ticks: self.ticks(),
            market_hash: format!("{:016x}", self.market_hash()),
            instruments,
        }
    }

    /// Returns how many trades, quotes and applied changes of books there were.
    pub fn ticks(&self) -> u64 {
        let of = |state: &InstrumentState| {
            state.counts.trades + state.counts.quotes + state.book().counters().applied
        };
        self.instruments.iter().map(of).sum()
    }

    /// Returns one hash over the books and minute bars of all instruments, in order of id.
    pub fn market_hash(&self) -> u64 {
        let mut hashes: Vec<_> = self
            .instruments
            .iter()
            .map(|s| {
                (
                    &s.instrument.instrument_id,
                    s.book().market_hash(),
                    s.minutes().market_hash(),
                )
            })
            .collect();
        hashes.sort();
        hashes.iter().fold(0, |hash, (id, book, bars)| {
            let mut bytes = id.as_str().as_bytes().to_vec();
            bytes.extend_from_slice(&book.to_le_bytes());
            bytes.extend_from_slice(&bars.to_le_bytes());
            xxh3_64_with_seed(&bytes, hash)
        })
    }
}

impl InstrumentState {
    fn summary(&self) -> InstrumentSummary {
        let (bids, asks) = self.book().top(LEVELS);
        let side = |levels: Vec<Level>| {
            levels
                .iter()
                .map(|level| {
                    [
                        self.price(level.price.0),
                        self.quantity(level.quantity.0.into()),
                    ]
                })
                .collect()
        };
        let decimals = self.instrument.price_decimals + self.instrument.quantity_decimals;
        let minute_bars = self.minutes().cells().map(|(start, cell)| {
            let bar = MinuteBar {
                o: self.price(cell.open.0),
                h: self.price(cell.high.0),
                l: self.price(cell.low.0),
                c: self.price(cell.close.0),
                v: self.quantity(cell.volume),
                n: cell.trade_count,
            };
            (start.millis(), bar)
        });
        InstrumentSummary {
            trades: self.counts.trades,
            volume: self.quantity(self.counts.volume),
            notional: plain(self.counts.notional, decimals),
            book: BookSummary {
                update_id: self.book().update_id(),
                bids: side(bids),
                asks: side(asks),
                stale: self.book().update_id() > 0
                    && self.book().status() != apex_domain::book::BookStatus::InSync,
            },
            minute_bars: minute_bars.collect(),
        }
    }

    fn price(&self, mantissa: i64) -> String {
        widened(
            mantissa.into(),
            self.instrument.price_decimals,
            self.wire_price_decimals,
        )
    }

    fn quantity(&self, mantissa: i128) -> String {
        widened(
            mantissa,
            self.instrument.quantity_decimals,
            self.wire_quantity_decimals,
        )
    }
}

/// Writes a mantissa of `decimals` with the decimals of the wire, of which there are never fewer.
fn widened(mantissa: i128, decimals: u8, wire: u8) -> String {
    let wide = pow10(wire.saturating_sub(decimals)).and_then(|factor| mantissa.checked_mul(factor));
    match wide {
        Some(mantissa) => format_mantissa(mantissa, wire.max(decimals)),
        // Only a sum out of all proportion; it is still written exactly.
        None => format_mantissa(mantissa, decimals),
    }
}

/// Writes a mantissa without trailing zeros.
fn plain(mantissa: i128, decimals: u8) -> String {
    let text = number::DecimalText { mantissa, decimals }.normalized();
    format_mantissa(text.mantissa, text.decimals)
}
