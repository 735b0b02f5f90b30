//! Bars over equal spans of time.

mod columns;

pub use columns::TradeColumns;

use super::tape::{BarCounters, roll};
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};
use crate::number::Price;
use crate::time::UnixNanos;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What is known of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// A mantissa at the instrument's quantity decimals.
    pub volume: i128,
    pub trade_count: u64,
    /// Exchange times of the trades that gave open and close.
    first_ts: UnixNanos,
    last_ts: UnixNanos,
    /// Its bar was emitted.
    is_finished: bool,
}

impl Cell {
    fn of(trade: &Trade) -> Cell {
        Cell {
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: i128::from(trade.quantity.0),
            trade_count: 1,
            first_ts: trade.ts_event,
            last_ts: trade.ts_event,
            is_finished: false,
        }
    }

    fn add(&mut self, trade: &Trade) {
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.volume = self.volume.saturating_add(i128::from(trade.quantity.0));
        self.trade_count += 1;
        if trade.ts_event >= self.last_ts {
            self.close = trade.price;
            self.last_ts = trade.ts_event;
        }
        if trade.ts_event < self.first_ts {
            self.open = trade.price;
            self.first_ts = trade.ts_event;
        }
    }
}

/// How far a source's clock may be ahead of ours, in nanoseconds. Recorded ones are ahead by seconds.
/// One print of a wrong year would end the bars of its instrument: everything behind it would be late.
pub const AHEAD_NS: i64 = 60 * crate::time::NANOS_PER_SECOND;

/// Builds the time bars of one instrument. See [`crate::bar`] for the rules.
#[derive(Clone, Debug)]
pub struct TimeBars {
    instrument_id: InstrumentId,
    interval_ns: i64,
    cells_max: usize,
    /// By start. The last one is open unless finished by time.
    cells: BTreeMap<i64, Cell>,
    /// Starts below this are no longer held.
    floor: i64,
    counters: BarCounters,
    hash: u64,
}

impl TimeBars {
    /// Returns a builder of bars of `interval_ns` nanoseconds (1 at least; less is taken as 1) that
    /// holds the last `cells_max` cells (1 at least). An older cell is dropped, so that memory
    /// stays bounded in a process that runs for months.
    pub fn new(instrument_id: InstrumentId, interval_ns: i64, cells_max: usize) -> TimeBars {
        let hash = xxh3_64_with_seed(instrument_id.as_str().as_bytes(), interval_ns as u64);
        TimeBars {
            instrument_id,
            interval_ns: interval_ns.max(1),
            cells_max: cells_max.max(1),
            cells: BTreeMap::new(),
            floor: i64::MIN,
            counters: BarCounters::default(),
            hash,
        }
    }

    /// Takes a trade; a bar that it finished is appended to `bars`.
    pub fn on_trade(&mut self, trade: &Trade, bars: &mut Vec<Bar>) {
        if !self.counters.admit(trade) {
            return;
        }
        if trade.ts_event.since(trade.ts_init) > AHEAD_NS {
            self.counters.ahead += 1;
            return;
        }
        let start = self.start_of(trade.ts_event);
        let newest = self.cells.last_key_value().map(|(start, _)| *start);
        if newest.is_some_and(|newest| start < newest) {
            self.late(start, trade);
            return;
        }
        if newest.is_some_and(|newest| start > newest) {
            self.finish_newest(trade.ts_init, bars);
        }
        let cell = self
            .cells
            .entry(start)
            .and_modify(|cell| cell.add(trade))
            .or_insert_with(|| Cell::of(trade));
        if cell.is_finished {
            // Time had already closed the newest cell.
            self.counters.count_late(trade);
        }
        self.drop_oldest();
    }

    /// Takes the exchange's time, as the newest event of any kind tells it, so that the last bar
    /// before a quiet stretch is not held back. `ts_init` is when that event was seen.
    pub fn on_time(&mut self, now: UnixNanos, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        if let Some((start, cell)) = self.cells.last_key_value()
            && !cell.is_finished
            && now.0 >= start.saturating_add(self.interval_ns)
        {
            self.finish_newest(ts_init, bars);
        }
    }

    fn start_of(&self, ts: UnixNanos) -> i64 {
        // The first cells of the range may begin before it; they are cut at its start.
        ts.0.saturating_sub(ts.0.rem_euclid(self.interval_ns))
    }

    /// A cell that was passed takes the trade as long as it is held; its bar is out already.
    fn late(&mut self, start: i64, trade: &Trade) {
        self.counters.count_late(trade);
        if start < self.floor {
            self.counters.missed += 1;
            return;
        }
        let cell = self
            .cells
            .entry(start)
            .and_modify(|cell| cell.add(trade))
            .or_insert_with(|| Cell::of(trade));
        cell.is_finished = true;
        self.drop_oldest();
    }

    /// Finishes the open cell before its time, as at the end of a session. A trade of it that
    /// comes later is late.
    pub fn end_session(&mut self, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        self.finish_newest(ts_init, bars);
    }

    fn finish_newest(&mut self, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        if let Some((start, cell)) = self.cells.last_key_value()
            && !cell.is_finished
        {
            self.emit(*start, ts_init, bars);
        }
    }

    fn emit(&mut self, start: i64, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        let Some(cell) = self.cells.get_mut(&start) else {
            return;
        };
        cell.is_finished = true;
        let bar = Bar {
            instrument_id: self.instrument_id.clone(),
            spec: BarSpec::Time {
                interval_ns: self.interval_ns,
            },
            open: cell.open,
            high: cell.high,
            low: cell.low,
            close: cell.close,
            volume: cell.volume,
            trade_count: cell.trade_count,
            ts_open: UnixNanos(start),
            ts_init,
        };
        self.hash = roll(self.hash, &bar);
        bars.push(bar);
    }

    fn drop_oldest(&mut self) {
        while self.cells.len() > self.cells_max {
            if let Some((start, _)) = self.cells.pop_first() {
                self.floor = start.saturating_add(1);
            }
        }
    }

    /// Walks over the held cells by start, the open one included.
    pub fn cells(&self) -> impl Iterator<Item = (UnixNanos, &Cell)> {
        self.cells
            .iter()
            .map(|(start, cell)| (UnixNanos(*start), cell))
    }

    pub fn counters(&self) -> BarCounters {
        self.counters
    }

    /// Returns the quantity of the open cell, whose bar is still to come.
    pub fn pending_volume(&self) -> i128 {
        let newest = self.cells.values().next_back();
        newest
            .filter(|cell| !cell.is_finished)
            .map_or(0, |cell| cell.volume)
    }

    /// Returns a hash over the instrument, the interval and all emitted bars in order. When a bar
    /// was known is not in it.
    pub fn market_hash(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Quantity;

    fn trade(ts: i64, price: i64) -> Trade {
        Trade {
            instrument_id: InstrumentId::new("X.SIM").unwrap(),
            price: Price(price),
            quantity: Quantity(1),
            aggressor: None,
            trade_id: 0,
            ts_event: UnixNanos(ts),
            ts_init: UnixNanos(ts - 1_000),
        }
    }

    fn bars(cells_max: usize) -> TimeBars {
        TimeBars::new(InstrumentId::new("X.SIM").unwrap(), 10, cells_max)
    }

    /// Feeds trades as (time, price) and compares the emitted bars as
    /// (start, [open, high, low, close], trades).
    fn check(builder: &mut TimeBars, trades: &[(i64, i64)], expected: &[(i64, [i64; 4], u64)]) {
        let mut out = Vec::new();
        for (ts, price) in trades {
            builder.on_trade(&trade(*ts, *price), &mut out);
        }
        assert_eq!(shown(&out), expected);
    }

    fn shown(bars: &[Bar]) -> Vec<(i64, [i64; 4], u64)> {
        bars.iter()
            .map(|bar| {
                let prices = [bar.open.0, bar.high.0, bar.low.0, bar.close.0];
                (bar.ts_open.0, prices, bar.trade_count)
            })
            .collect()
    }

    #[test]
    fn tc_b01_the_start_of_a_cell_belongs_to_it_and_the_end_to_the_next() {
        let trades = [(10, 5), (19, 7), (15, 4), (20, 6)];
        check(&mut bars(4), &trades, &[(10, [5, 7, 4, 7], 3)]);
    }

    #[test]
    fn tc_b04_an_empty_interval_gives_no_bar() {
        let trades = [(5, 1), (55, 2), (95, 3)];
        check(&mut bars(4), &trades, &[(0, [1; 4], 1), (50, [2; 4], 1)]);
    }

    #[test]
    fn tc_b01_times_before_the_epoch_are_aligned_the_same_way() {
        check(&mut bars(4), &[(-1, 1), (0, 2)], &[(-10, [1; 4], 1)]);
    }

    #[test]
    fn tc_b20_a_print_of_a_wrong_year_ends_no_bars() {
        let seconds = |seconds: i64| UnixNanos(seconds * crate::time::NANOS_PER_SECOND);
        let id = crate::InstrumentId::new("BTCUSDT.SIM").unwrap();
        let mut builder = TimeBars::new(id.clone(), 10 * crate::time::NANOS_PER_SECOND, 4);
        let mut out = Vec::new();
        // The second is ahead by as much as a clock may be, the third by a little more.
        for (event, init) in [
            (5, 5),
            (72, 12),
            (90, 29),
            (400_000_000, 30),
            (83, 40),
            (91, 50),
        ] {
            let trade = Trade {
                instrument_id: id.clone(),
                price: Price(5),
                quantity: crate::Quantity(1),
                aggressor: None,
                trade_id: 0,
                ts_event: seconds(event),
                ts_init: seconds(init),
            };
            builder.on_trade(&trade, &mut out);
        }
        let starts: Vec<UnixNanos> = out.iter().map(|bar| bar.ts_open).collect();
        assert_eq!(starts, [0, 70, 80].map(seconds));
        assert_eq!(builder.counters().ahead, 2);
    }

    #[test]
    fn time_finishes_the_bar_once() {
        let mut builder = bars(4);
        check(&mut builder, &[(12, 5)], &[]);
        let mut out = Vec::new();
        builder.on_time(UnixNanos(19), UnixNanos(1), &mut out);
        assert!(out.is_empty());
        builder.on_time(UnixNanos(20), UnixNanos(2), &mut out);
        builder.on_time(UnixNanos(21), UnixNanos(3), &mut out);
        assert_eq!(shown(&out), [(10, [5; 4], 1)]);
        assert_eq!(out[0].ts_init, UnixNanos(2));
        check(&mut builder, &[(21, 6), (30, 7)], &[(20, [6; 4], 1)]);
    }

    fn late(late: u64, missed: u64) -> BarCounters {
        BarCounters {
            late,
            missed,
            late_volume: i128::from(late),
            ..BarCounters::default()
        }
    }

    #[test]
    fn tc_b03_a_late_trade_changes_the_held_cell_and_no_published_bar() {
        let mut builder = bars(4);
        check(&mut builder, &[(12, 5), (21, 6)], &[(10, [5; 4], 1)]);
        check(&mut builder, &[(13, 9), (11, 2)], &[]);
        assert_eq!(builder.counters(), late(2, 0));
        let (start, cell) = builder.cells().next().unwrap();
        assert_eq!((start.0, cell.trade_count, cell.volume), (10, 3, 3));
        let prices = [cell.open, cell.high, cell.low, cell.close].map(|price| price.0);
        assert_eq!(prices, [2, 9, 2, 9]);
        check(&mut builder, &[(30, 7)], &[(20, [6; 4], 1)]);
    }

    #[test]
    fn tc_b03_a_late_trade_of_an_interval_that_was_empty_gives_no_bar() {
        let mut builder = bars(4);
        check(&mut builder, &[(5, 1), (25, 2)], &[(0, [1; 4], 1)]);
        check(&mut builder, &[(15, 9)], &[]);
        check(&mut builder, &[(30, 3)], &[(20, [2; 4], 1)]);
        assert_eq!(builder.counters(), late(1, 0));
    }

    #[test]
    fn tc_b03_a_trade_after_time_closed_its_cell_is_late() {
        let mut builder = bars(4);
        check(&mut builder, &[(12, 5)], &[]);
        assert_eq!(builder.pending_volume(), 1);
        builder.on_time(UnixNanos(20), UnixNanos(2), &mut Vec::new());
        check(&mut builder, &[(14, 6)], &[]);
        assert_eq!(builder.counters(), late(1, 0));
        assert_eq!(builder.pending_volume(), 0);
    }

    #[test]
    fn tc_b03_a_late_trade_of_a_cell_that_is_gone_is_counted_as_missed() {
        let mut builder = bars(2);
        check(
            &mut builder,
            &[(5, 1), (15, 2), (25, 3)],
            &[(0, [1; 4], 1), (10, [2; 4], 1)],
        );
        check(&mut builder, &[(6, 9)], &[]);
        assert_eq!(builder.counters(), late(1, 1));
        assert_eq!(builder.cells().count(), 2);
    }

    #[test]
    fn tc_b05_the_end_of_a_session_finishes_the_open_cell_once() {
        let mut builder = bars(4);
        check(&mut builder, &[(12, 5)], &[]);
        let mut out = Vec::new();
        builder.end_session(UnixNanos(9), &mut out);
        builder.end_session(UnixNanos(10), &mut out);
        builder.on_time(UnixNanos(20), UnixNanos(11), &mut out);
        assert_eq!(shown(&out), [(10, [5; 4], 1)]);
        assert_eq!(out[0].ts_init, UnixNanos(9));
    }

    #[test]
    fn the_hash_follows_the_bars_and_not_when_they_were_known() {
        let run = |shift: i64, price: i64| {
            let mut builder = bars(4);
            let mut out = Vec::new();
            for (ts, price) in [(1, 5), (11, price), (21, 5)] {
                let ts_init = UnixNanos(ts + shift);
                builder.on_trade(
                    &Trade {
                        ts_init,
                        ..trade(ts, price)
                    },
                    &mut out,
                );
            }
            builder.market_hash()
        };
        assert_eq!(run(0, 6), run(77, 6));
        assert_ne!(run(0, 6), run(0, 7));
    }
}
