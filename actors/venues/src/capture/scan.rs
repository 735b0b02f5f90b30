//! What a recording holds, from one walk over all of it.

use super::reader::{CaptureReader, Step};
use crate::binance::{self, Codec, Message, WireLevel};
use crate::decimal::WireDecimal;
use apex_domain::number::MAX_DECIMALS;
use apex_domain::{Instrument, UnixNanos};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

pub use crate::binance::Market;

/// How many lines without any valid frame make a file no recording.
const LINES_UNTIL_REFUSED: u64 = 100;

/// Why a file is not replayed.
#[derive(Debug, Error)]
pub enum CaptureError {
    #[error("cannot read recording {path:?}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path:?} is no recording: none of its first {lines} lines is a time and a known frame; \
         line {first_line} {first_reason}"
    )]
    NotARecording {
        path: PathBuf,
        lines: u64,
        first_line: u64,
        first_reason: String,
    },
    #[error("recording {path:?} is empty")]
    Empty { path: PathBuf },
    #[error("recording {path:?} names an instrument that has no valid id: {symbol:?}")]
    Symbol { path: PathBuf, symbol: String },
}

/// One instrument of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolInfo {
    /// As the venue writes it in the payload.
    pub symbol: String,
    /// Inferred: increments by the decimals of the whole recording, trailing zeros ignored.
    pub instrument: Instrument,
    /// Decimals of prices as the venue wrote them, trailing zeros counted.
    pub wire_price_decimals: u8,
    /// Decimals of quantities as the venue wrote them.
    pub wire_quantity_decimals: u8,
    /// First and last book update id, both 0 when there is none.
    pub update_ids: (u64, u64),
    /// First and last trade id, both 0 when there is none.
    pub trade_ids: (u64, u64),
}

/// What is in a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingInfo {
    pub market: Market,
    /// By symbol.
    pub symbols: Vec<SymbolInfo>,
    /// Lines that are not empty.
    pub frames: u64,
    pub bad_frames: u64,
    /// The smallest and largest receive time.
    pub first_ts: UnixNanos,
    pub last_ts: UnixNanos,
}

/// What was learned about one symbol, by decimals.
#[derive(Debug, Default)]
struct Shape {
    price_wire: u8,
    price: u8,
    quantity_wire: u8,
    quantity: u8,
    update_ids: Option<(u64, u64)>,
    trade_ids: Option<(u64, u64)>,
}

/// Widens the decimals as written and those that count. A number that no instrument can hold is
/// garbled: it must not spoil the increments of all others, and its frame is found bad later.
fn widen(wire: &mut u8, significant: &mut u8, value: WireDecimal) {
    if value.decimals > *significant {
        let decimals = value.significant_decimals();
        if decimals > MAX_DECIMALS {
            return;
        }
        *significant = (*significant).max(decimals);
    }
    *wire = (*wire).max(value.decimals);
}

impl Shape {
    fn price(&mut self, value: WireDecimal) {
        widen(&mut self.price_wire, &mut self.price, value);
    }

    fn quantity(&mut self, value: WireDecimal) {
        widen(&mut self.quantity_wire, &mut self.quantity, value);
    }

    fn levels(&mut self, levels: &[WireLevel]) {
        for level in levels {
            self.price(level.price);
            self.quantity(level.quantity);
        }
    }

    fn learn(&mut self, message: &Message<'_>) {
        let widen = |ids: &mut Option<(u64, u64)>, first: u64, last: u64| {
            let (a, b) = ids.unwrap_or((first, last));
            *ids = Some((a.min(first), b.max(last)));
        };
        match message {
            Message::Depth(depth) => {
                self.levels(depth.bids);
                self.levels(depth.asks);
                widen(
                    &mut self.update_ids,
                    depth.first_update_id,
                    depth.last_update_id,
                );
            }
            Message::Snapshot(snapshot) => {
                self.levels(snapshot.bids);
                self.levels(snapshot.asks);
                widen(
                    &mut self.update_ids,
                    snapshot.last_update_id,
                    snapshot.last_update_id,
                );
            }
            Message::BookTicker(ticker) => {
                self.levels(&[ticker.bid, ticker.ask]);
            }
            Message::Trade(print) | Message::AggTrade(print) => {
                self.price(print.price);
                self.quantity(print.quantity);
                widen(&mut self.trade_ids, print.trade_id, print.trade_id);
            }
            _ => {}
        }
    }
}

/// Looks at the whole of a recording.
///
/// Errors: [`CaptureError`]; the file cannot be replayed.
pub fn scan(path: &Path) -> Result<RecordingInfo, CaptureError> {
    let reader = CaptureReader::open(path).map_err(|source| CaptureError::Read {
        path: path.to_owned(),
        source,
    })?;
    scan_reader(path, reader)
}

/// As [`scan`], over a reader; `path` only names it in errors.
///
/// Errors: as [`scan`].
pub fn scan_reader(path: &Path, mut reader: CaptureReader) -> Result<RecordingInfo, CaptureError> {
    let mut learned = Learned::default();
    while let Some(step) = reader.advance() {
        learned.frames += 1;
        match step {
            Step::Line { line, ts } => learned.line(line, ts, reader.frame()),
            Step::Bad(bad) => learned.bad(bad.line, bad.reason.to_string()),
        }
        if learned.known == 0 && learned.frames >= LINES_UNTIL_REFUSED {
            break;
        }
    }
    learned.finish(path)
}

#[derive(Default)]
struct Learned {
    codec: Codec,
    shapes: BTreeMap<String, Shape>,
    /// Snapshots do not name their symbol.
    nameless: Shape,
    is_usd_m: bool,
    frames: u64,
    known: u64,
    bad: u64,
    first_bad: Option<(u64, String)>,
    span: Option<(UnixNanos, UnixNanos)>,
}

impl Learned {
    fn bad(&mut self, line: u64, reason: String) {
        self.bad += 1;
        self.first_bad.get_or_insert((line, reason));
    }

    fn line(&mut self, line: u64, ts: UnixNanos, frame: &[u8]) {
        let mut codec = std::mem::take(&mut self.codec);
        match codec.parse(frame) {
            Err(error) => self.bad(line, error.to_string()),
            Ok(Message::Other { event }) => {
                let event: String = event.chars().take(40).collect();
                self.first_bad
                    .get_or_insert((line, format!("is of an unknown kind {event:?}")));
            }
            Ok(message) => {
                self.known += 1;
                let (first, last) = self.span.unwrap_or((ts, ts));
                self.span = Some((first.min(ts), last.max(ts)));
                self.message(&message);
            }
        }
        self.codec = codec;
    }

    fn message(&mut self, message: &Message<'_>) {
        match message {
            Message::Depth(depth) => self.is_usd_m |= depth.previous_update_id.is_some(),
            Message::BookTicker(ticker) => self.is_usd_m |= ticker.event_time_ns.is_some(),
            _ => {}
        }
        match message.symbol() {
            Some(symbol) => match self.shapes.get_mut(symbol) {
                Some(shape) => shape.learn(message),
                None => {
                    let mut shape = Shape::default();
                    shape.learn(message);
                    self.shapes.insert(symbol.to_owned(), shape);
                }
            },
            None => self.nameless.learn(message),
        }
    }

    fn finish(mut self, path: &Path) -> Result<RecordingInfo, CaptureError> {
        let path_buf = || path.to_owned();
        if self.frames == 0 {
            return Err(CaptureError::Empty { path: path_buf() });
        }
        let span = match self.span {
            Some(span) if !self.shapes.is_empty() => span,
            _ => {
                let (first_line, first_reason) = self
                    .first_bad
                    .unwrap_or((1, "names no instrument".to_owned()));
                return Err(CaptureError::NotARecording {
                    path: path_buf(),
                    lines: self.frames,
                    first_line,
                    first_reason,
                });
            }
        };
        if self.shapes.len() == 1
            && let Some(only) = self.shapes.values_mut().next()
        {
            only.adopt(&self.nameless);
        }
        let market = if self.is_usd_m {
            Market::UsdM
        } else {
            Market::Spot
        };
        let mut symbols = Vec::with_capacity(self.shapes.len());
        for (symbol, shape) in self.shapes {
            symbols.push(
                shape
                    .info(symbol, market)
                    .map_err(|symbol| CaptureError::Symbol {
                        path: path_buf(),
                        symbol,
                    })?,
            );
        }
        Ok(RecordingInfo {
            market,
            symbols,
            frames: self.frames,
            bad_frames: self.bad,
            first_ts: span.0,
            last_ts: span.1,
        })
    }
}

impl Shape {
    /// Takes over what snapshots showed, in a recording of one symbol.
    fn adopt(&mut self, other: &Shape) {
        self.price_wire = self.price_wire.max(other.price_wire);
        self.price = self.price.max(other.price);
        self.quantity_wire = self.quantity_wire.max(other.quantity_wire);
        self.quantity = self.quantity.max(other.quantity);
        if let Some((first, last)) = other.update_ids {
            let (a, b) = self.update_ids.unwrap_or((first, last));
            self.update_ids = Some((a.min(first), b.max(last)));
        }
    }

    /// Errors: the symbol, when no instrument id can be made of it.
    fn info(self, symbol: String, market: Market) -> Result<SymbolInfo, String> {
        let Ok(instrument_id) = binance::instrument_id(&symbol, market) else {
            return Err(symbol);
        };
        Ok(SymbolInfo {
            symbol,
            instrument: binance::instrument(instrument_id, market, self.price, self.quantity),
            wire_price_decimals: self.price_wire,
            wire_quantity_decimals: self.quantity_wire,
            update_ids: self.update_ids.unwrap_or_default(),
            trade_ids: self.trade_ids.unwrap_or_default(),
        })
    }
}
