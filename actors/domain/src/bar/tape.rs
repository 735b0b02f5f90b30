//! What the bars that go by the order of arrival share: the open bar, the counters, the hash.

use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};
use crate::number::Price;
use crate::time::UnixNanos;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The most bars that one trade can end. A garbled quantity or price would otherwise fill the
/// memory with bars; real prints stay far below. The last of them takes all further whole
/// thresholds, so that still nothing is lost.
pub const BARS_PER_TRADE_MAX: u64 = 1_000;

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarCounters {
    /// Trades that came behind what was already published: of a passed cell, or older than the
    /// last trade of the last bar.
    pub late: u64,
    /// Sum of their quantities.
    pub late_volume: i128,
    /// Late trades of time bars whose cell was no longer held; nothing shows them.
    pub missed: u64,
    /// Trades without a quantity above zero, which no bar takes.
    pub empty: u64,
    /// Trades whose time is that far ahead of when they were seen that it cannot be theirs; no bar
    /// of time takes them.
    pub ahead: u64,
    /// Times that a trade went on in one more bar: `trade_count` over all bars is the number of
    /// trades and this.
    pub splits: u64,
    /// Bars of several thresholds, where one trade would have made more than
    /// [`BARS_PER_TRADE_MAX`].
    pub oversized: u64,
}

impl BarCounters {
    /// Returns true when a bar can take the trade, and counts it otherwise.
    pub(super) fn admit(&mut self, trade: &Trade) -> bool {
        let is_real = trade.quantity.0 > 0;
        self.empty += u64::from(!is_real);
        is_real
    }

    pub(super) fn count_late(&mut self, trade: &Trade) {
        self.late += 1;
        // No overflow: that takes more trades than can be counted.
        let quantity = i128::from(trade.quantity.0);
        self.late_volume = self.late_volume.saturating_add(quantity);
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct OpenBar {
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    pub volume: i128,
    pub trade_count: u64,
    pub ts_open: UnixNanos,
}

/// The open bar of one series, and what was published before it.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    instrument_id: InstrumentId,
    spec: BarSpec,
    open: Option<OpenBar>,
    counters: BarCounters,
    /// The latest `ts_event` that was taken, and what it was when the last bar ended.
    ts_newest: UnixNanos,
    ts_closed: UnixNanos,
    hash: u64,
}

impl Tape {
    pub fn new(instrument_id: InstrumentId, spec: BarSpec, threshold: i128) -> Tape {
        let seed = xxh3_64_with_seed(instrument_id.as_str().as_bytes(), 0);
        Tape {
            hash: xxh3_64_with_seed(&threshold.to_le_bytes(), seed),
            instrument_id,
            spec,
            open: None,
            counters: BarCounters::default(),
            ts_newest: UnixNanos(i64::MIN),
            ts_closed: UnixNanos(i64::MIN),
        }
    }

    /// Returns true when a bar can take the trade. A trade that is older than the last published
    /// bar's end is counted as late and taken still, since these bars go by the order of arrival.
    pub fn admit(&mut self, trade: &Trade) -> bool {
        if !self.counters.admit(trade) {
            return false;
        }
        if trade.ts_event < self.ts_closed {
            self.counters.count_late(trade);
        }
        self.ts_newest = self.ts_newest.max(trade.ts_event);
        true
    }

    /// Adds a part of a trade to the open bar, which begins with it where there is none.
    pub fn add(&mut self, trade: &Trade, quantity: i128) {
        let open = self.open.get_or_insert(OpenBar {
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: 0,
            trade_count: 0,
            ts_open: trade.ts_event,
        });
        open.high = open.high.max(trade.price);
        open.low = open.low.min(trade.price);
        open.close = trade.price;
        // No overflow: that takes more trades than can be counted.
        open.volume = open.volume.saturating_add(quantity);
        open.trade_count += 1;
    }

    /// Counts that the same trade goes on in the next bar.
    pub fn split(&mut self) {
        self.counters.splits += 1;
    }

    pub fn oversized(&mut self) {
        self.counters.oversized += 1;
    }

    /// Ends the open bar, where there is one.
    pub fn close(&mut self, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        if let Some(open) = self.open.take() {
            self.emit(open, ts_init, bars);
        }
    }

    /// Takes the open bar without ending it.
    pub fn take(&mut self) -> Option<OpenBar> {
        self.open.take()
    }

    pub fn emit(&mut self, open: OpenBar, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        let bar = Bar {
            instrument_id: self.instrument_id.clone(),
            spec: self.spec,
            open: open.open,
            high: open.high,
            low: open.low,
            close: open.close,
            volume: open.volume,
            trade_count: open.trade_count,
            ts_open: open.ts_open,
            ts_init,
        };
        self.hash = roll(self.hash, &bar);
        self.ts_closed = self.ts_newest;
        bars.push(bar);
    }

    pub fn volume(&self) -> i128 {
        self.open.map_or(0, |open| open.volume)
    }

    pub fn trade_count(&self) -> u64 {
        self.open.map_or(0, |open| open.trade_count)
    }

    pub fn counters(&self) -> BarCounters {
        self.counters
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// Goes on with a hash over emitted bars. When a bar was known is not in it.
pub(super) fn roll(hash: u64, bar: &Bar) -> u64 {
    let mut bytes = [0_u8; 64];
    let numbers = [
        bar.ts_open.0,
        bar.open.0,
        bar.high.0,
        bar.low.0,
        bar.close.0,
    ];
    for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    bytes[40..56].copy_from_slice(&bar.volume.to_le_bytes());
    bytes[56..].copy_from_slice(&bar.trade_count.to_le_bytes());
    xxh3_64_with_seed(&bytes, hash)
}
