//! Roll-ups beside what the engine makes of the same trades.

use super::SeriesBackend;
use super::series::{DAY, DECIMALS, open, rows, store, trade};
use crate::port::series::{BarRow, DAY_NS, RollUp, Series, TimeRange, TradeRow};
use apex_domain::bar::{AHEAD_NS, TimeBars};
use apex_domain::id::InstrumentId;
use apex_domain::market::Trade;
use apex_domain::number::Price;
use apex_domain::time::UnixNanos;

/// What bars are compared by: start, prices, volume, trades.
type Shown = (i64, [i64; 4], i128, u64);

fn shown(bars: &[BarRow]) -> Vec<Shown> {
    let show = |bar: &BarRow| {
        let prices = [bar.open.0, bar.high.0, bar.low.0, bar.close.0];
        (bar.ts_open.0, prices, bar.volume, bar.trade_count)
    };
    bars.iter().map(show).collect()
}

fn to_engine(id: &InstrumentId, row: &TradeRow) -> Trade {
    Trade {
        instrument_id: id.clone(),
        price: row.price,
        quantity: row.quantity,
        aggressor: row.aggressor,
        trade_id: row.trade_id,
        ts_event: row.ts_event,
        ts_init: row.ts_init,
    }
}

/// Returns the bars that the engine publishes of trades, its last one too.
fn published(id: &InstrumentId, trades: &[TradeRow], interval_ns: i64) -> Vec<Shown> {
    let mut engine = TimeBars::new(id.clone(), interval_ns, 4);
    let mut bars = Vec::new();
    for row in trades {
        engine.on_trade(&to_engine(id, row), &mut bars);
    }
    engine.end_session(UnixNanos(0), &mut bars);
    assert_eq!(engine.counters().late, 0, "the trades are in order");
    let show = |bar: &apex_domain::market::Bar| {
        let prices = [bar.open.0, bar.high.0, bar.low.0, bar.close.0];
        (bar.ts_open.0, prices, bar.volume, bar.trade_count)
    };
    bars.iter().map(show).collect()
}

/// Returns the cells that the engine keeps of trades, late ones included.
fn cells(id: &InstrumentId, trades: &[TradeRow], interval_ns: i64) -> Vec<Shown> {
    let mut engine = TimeBars::new(id.clone(), interval_ns, usize::MAX);
    for row in trades {
        engine.on_trade(&to_engine(id, row), &mut Vec::new());
    }
    engine
        .cells()
        .map(|(start, cell)| {
            let prices = [cell.open, cell.high, cell.low, cell.close].map(|price| price.0);
            (start.0, prices, cell.volume, cell.trade_count)
        })
        .collect()
}

fn rolled(series: &dyn Series, id: &InstrumentId, roll_up: RollUp) -> Vec<BarRow> {
    rows(series.rolled(id, roll_up, TimeRange::ALL))
}

/// Stores trades and compares every roll-up of them with the bars that the engine publishes.
///
/// # Panics
/// When one differs.
pub fn same_as_the_engine(series: &dyn Series, id: &InstrumentId, trades: &[TradeRow]) {
    for batch in trades.chunks(10_000) {
        store(series, id, batch);
        series.roll_up().expect("they are made");
    }
    for roll_up in RollUp::ALL {
        let expected = published(id, trades, roll_up.interval_ns());
        assert!(!expected.is_empty());
        assert_eq!(shown(&rolled(series, id, roll_up)), expected, "{roll_up:?}");
    }
}

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit) as i64
    }
}

/// Trades over three days, in order; many share an instant, some have no quantity.
fn ticks(seed: u64, count: u64) -> Vec<TradeRow> {
    let mut numbers = Numbers(seed);
    let mut ts = DAY - 3 * DAY_NS / 2;
    let step = 3 * DAY_NS as u64 / count / 10;
    (1..=count)
        .map(|sequence| {
            // Quiet for a while now and then, so that there are cells without a trade.
            ts += match numbers.below(20) {
                0 => numbers.below(step * 150),
                1..=7 => 0,
                _ => numbers.below(step * 8),
            };
            trade(sequence, ts, numbers.below(200) - 100, numbers.below(50))
        })
        .collect()
}

pub(super) fn in_order(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    same_as_the_engine(&*series, &id, &ticks(7, 20_000));
}

pub(super) fn in_any_order(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let mut numbers = Numbers(11);
    // Before 1970 as well, where a cell begins below its trades too.
    let mut trades = ticks(13, 6_000);
    for row in &mut trades {
        match numbers.below(10) {
            0 => row.ts_event.0 -= numbers.below(2 * DAY_NS as u64),
            1 => row.ts_event.0 -= numbers.below(600_000_000_000),
            2 => row.ts_event.0 -= DAY + numbers.below(60_000_000_000),
            _ => {}
        }
    }
    for batch in trades.chunks(1_000) {
        store(&*series, &id, batch);
        series.roll_up().expect("they are made");
    }
    for roll_up in RollUp::ALL {
        let expected = cells(&id, &trades, roll_up.interval_ns());
        assert_eq!(
            shown(&rolled(&*series, &id, roll_up)),
            expected,
            "{roll_up:?}"
        );
    }
}

pub(super) fn late_trade(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let minute = RollUp::Minute.interval_ns();
    let at = |minutes: i64, ns: i64| DAY + minutes * minute + ns;
    store(
        &*series,
        &id,
        &[trade(1, at(0, 50), 5, 1), trade(2, at(7, 0), 6, 1)],
    );
    series.roll_up().expect("they are made");
    assert_eq!(rolled(&*series, &id, RollUp::Minute).len(), 2);
    // One before all others of its cell, one in a minute that had none, one without quantity.
    store(
        &*series,
        &id,
        &[trade(3, at(0, 10), 9, 2), trade(4, at(3, 0), 1, 4)],
    );
    store(&*series, &id, &[trade(5, at(5, 0), 100, 0)]);
    series.roll_up().expect("they are made");
    let found = shown(&rolled(&*series, &id, RollUp::Minute));
    assert_eq!(
        found,
        [
            (at(0, 0), [9, 9, 5, 5], 3, 2),
            (at(3, 0), [1; 4], 4, 1),
            (at(7, 0), [6; 4], 1, 1)
        ]
    );
    let found = shown(&rolled(&*series, &id, RollUp::FiveMinutes));
    assert_eq!(
        found,
        [(at(0, 0), [9, 9, 1, 1], 7, 3), (at(5, 0), [6; 4], 1, 1)]
    );
    let day = rolled(&*series, &id, RollUp::Day);
    assert_eq!(shown(&day), [(DAY, [9, 9, 1, 6], 8, 4)]);
    assert_eq!(day[0].ts_init, UnixNanos(at(7, 5)));
}

pub(super) fn large_volume(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let trades: Vec<TradeRow> = (1..=3)
        .map(|n| TradeRow {
            price: Price(i64::MAX),
            ..trade(n, DAY, 1, i64::MAX)
        })
        .collect();
    store(&*series, &id, &trades);
    series.roll_up().expect("they are made");
    for roll_up in RollUp::ALL {
        let found = shown(&rolled(&*series, &id, roll_up));
        let volume = 3 * i128::from(i64::MAX);
        assert_eq!(found, [(DAY, [i64::MAX; 4], volume, 3)]);
    }
}

pub(super) fn ranges(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let minute = RollUp::Minute.interval_ns();
    let trades: Vec<TradeRow> = (0..10)
        .map(|n| trade(n as u64 + 1, DAY + n * minute + 1, n, 1))
        .collect();
    store(&*series, &id, &trades);
    series.roll_up().expect("they are made");
    for (from, to, expected) in [
        (0, minute, 0..1),
        (1, minute + 1, 1..2),
        (3 * minute, 3 * minute, 0..0),
        (8 * minute, 100 * minute, 8..10),
    ] {
        let range = TimeRange {
            from: UnixNanos(DAY + from),
            to: UnixNanos(DAY + to),
        };
        let found = rows(series.rolled(&id, RollUp::Minute, range));
        let starts: Vec<i64> = found.iter().map(|bar| bar.ts_open.0).collect();
        let expected: Vec<i64> = expected.map(|n| DAY + n * minute).collect();
        assert_eq!(starts, expected);
    }
}

/// In order of id, with those that have no rows, and with names that are no names of files.
pub(super) fn listed(backend: &dyn SeriesBackend) {
    let series = backend.open().expect("it opens");
    assert_eq!(series.instruments().expect("none yet"), []);
    let names = [
        "b.SIM",
        "BTC/USD.ALPACA",
        "BTC-X.SIM",
        "A-PERP.SIM",
        "BRK.B.XNYS",
        ".X.SIM",
    ];
    let mut ids: Vec<InstrumentId> = names.iter().map(|name| super::series::id(name)).collect();
    for id in &ids {
        series.declare(id, DECIMALS).expect("it is declared");
    }
    store(&*series, &ids[1], &[trade(1, DAY, 5, 1)]);
    ids.sort();
    assert_eq!(series.instruments().expect("they are listed"), ids);
}

/// Its time cannot be its own, so that no bar takes it (TC-B20), and it is read all the same.
pub(super) fn ahead(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let seen = |by: i64, row: TradeRow| TradeRow {
        ts_init: UnixNanos(row.ts_event.0 - by),
        ..row
    };
    let minute = RollUp::Minute.interval_ns();
    let trades = [
        trade(1, DAY, 5, 1),
        seen(AHEAD_NS, trade(2, DAY + minute, 6, 1)),
        seen(AHEAD_NS + 1, trade(3, DAY + minute + 1, 9, 1)),
        seen(400 * DAY_NS, trade(4, DAY + 400 * DAY_NS, 9, 1)),
    ];
    store(&*series, &id, &trades);
    series.roll_up().expect("they are made");
    let found = shown(&rolled(&*series, &id, RollUp::Minute));
    assert_eq!(found, [(DAY, [5; 4], 1, 1), (DAY + minute, [6; 4], 1, 1)]);
    let found = shown(&rolled(&*series, &id, RollUp::Day));
    assert_eq!(found, [(DAY, [5, 6, 5, 6], 2, 2)]);
    let read = rows(series.trades(&id, TimeRange::ALL));
    assert_eq!(read, trades);
}
