//! The cases of the time-series port.

use super::SeriesBackend;
use super::series_bars;
use crate::StorageError;
use crate::port::series::{
    BarRow, DAY_NS, Decimals, Gap, Kind, MAX_BATCH_ROWS, QuoteRow, RollUp, Rows, Series, Stream,
    TimeRange, TradeRow, Written,
};
use apex_domain::id::InstrumentId;
use apex_domain::market::{BarSpec, Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;

type Case = (&'static str, fn(&dyn SeriesBackend));

const CASES: &[Case] = &[
    ("TC-TS01 an unknown instrument has nothing", unknown),
    ("TC-TS02 decimals are stated once", stated_once),
    ("TC-TS03 rows come back as they were written", as_written),
    ("TC-TS04 a repeat is dropped, however it is cut", repeated),
    ("TC-TS05 a batch that is none is refused whole", refused),
    ("TC-TS06 a range has its start and not its end", half_open),
    ("TC-TS07 streams with like names stay apart", apart),
    ("TC-TS08 sequences without a row are gaps", gaps),
    ("TC-TS09 everything is there after reopening", reopened),
    ("TC-TS10 late rows fall into their place", late),
    (
        "TC-TS11 roll-ups of ticks in order are the engine's bars",
        series_bars::in_order,
    ),
    (
        "TC-TS12 roll-ups of any ticks are the engine's cells",
        series_bars::in_any_order,
    ),
    (
        "TC-TS13 a late trade changes the roll-ups that were made",
        series_bars::late_trade,
    ),
    (
        "TC-TS14 volumes sum beyond the range of one order",
        series_bars::large_volume,
    ),
    (
        "TC-TS15 a roll-up is in the range that its cell begins in",
        series_bars::ranges,
    ),
    ("TC-TS16 whole days are forgotten, sequences not", forgotten),
    (
        "TC-TS17 maintenance changes nothing that is read",
        maintained,
    ),
    (
        "TC-TS18 a reader who leaves early is in nobody's way",
        leaves,
    ),
    ("TC-TS19 writers of other streams go on at once", at_once),
    ("TC-TS20 instruments are listed", series_bars::listed),
    ("TC-TS21 a print of a wrong year", series_bars::ahead),
];

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn series_suite<B: SeriesBackend>(make: impl Fn() -> B) {
    for (name, case) in CASES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

/// A day of 2024, where most cases are.
pub(super) const DAY: i64 = 20_000 * DAY_NS;

pub(super) fn id(text: &str) -> InstrumentId {
    InstrumentId::new(text).expect("an instrument id")
}

/// Opens the store with one instrument.
pub(super) fn open(backend: &dyn SeriesBackend) -> (Box<dyn Series>, InstrumentId) {
    let (series, id) = (backend.open().expect("it opens"), id("X.SIM"));
    series.declare(&id, DECIMALS).expect("it is declared");
    (series, id)
}

pub(super) const DECIMALS: Decimals = Decimals {
    price: 2,
    quantity: 3,
};

pub(super) fn trade(sequence: u64, ts: i64, price: i64, quantity: i64) -> TradeRow {
    TradeRow {
        sequence,
        price: Price(price),
        quantity: Quantity(quantity),
        aggressor: None,
        trade_id: sequence,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts + 5),
    }
}

fn bar(sequence: u64, ts: i64, volume: i128) -> BarRow {
    BarRow {
        sequence,
        open: Price(5),
        high: Price(9),
        low: Price(-3),
        close: Price(4),
        volume,
        trade_count: 12,
        ts_open: UnixNanos(ts),
        ts_init: UnixNanos(ts + 60),
    }
}

pub(super) fn rows<T>(rows: Result<Rows<T>, StorageError>) -> Vec<T> {
    let rows: Result<Vec<T>, StorageError> = rows.expect("it can be read").collect();
    rows.expect("all of it can be read")
}

pub(super) fn store(series: &dyn Series, id: &InstrumentId, trades: &[TradeRow]) {
    let written = series.write_trades(id, trades).expect("it is stored");
    assert_eq!((written.stored, written.repeated), (trades.len(), 0));
}

fn all_trades(series: &dyn Series, id: &InstrumentId) -> Vec<TradeRow> {
    rows(series.trades(id, TimeRange::ALL))
}

fn unknown(backend: &dyn SeriesBackend) {
    let (series, _) = open(backend);
    let id = id("OTHER.SIM");
    assert_eq!(series.decimals(&id).expect("it answers"), None);
    assert_eq!(all_trades(&*series, &id), []);
    assert_eq!(rows(series.quotes(&id, TimeRange::ALL)), []);
    assert_eq!(
        rows(series.bars(&id, BarSpec::External, TimeRange::ALL)),
        []
    );
    assert_eq!(rows(series.rolled(&id, RollUp::Day, TimeRange::ALL)), []);
    assert_eq!(series.last_sequence(&id, Stream::Trades).expect("so"), 0);
    assert_eq!(series.gaps(&id, Stream::Quotes).expect("it answers"), []);
    let before = UnixNanos(DAY);
    assert_eq!(series.forget(Kind::Trades, before).expect("nothing"), 0);
}

fn stated_once(backend: &dyn SeriesBackend) {
    let (series, known) = open(backend);
    series.declare(&known, DECIMALS).expect("as before");
    let other = Decimals {
        price: 3,
        ..DECIMALS
    };
    let error = series.declare(&known, other).expect_err("other numbers");
    assert_eq!(
        error.to_string(),
        "instrument X.SIM has 2/3 decimals (price/quantity) in storage, not 3/3"
    );
    assert_eq!(series.decimals(&known).expect("it answers"), Some(DECIMALS));
    let absurd = Decimals {
        price: 19,
        ..DECIMALS
    };
    let error = series.declare(&id("Y.SIM"), absurd).expect_err("absurd");
    assert!(matches!(error, StorageError::BadName { .. }), "{error}");
    let rows = [trade(1, DAY, 1, 1)];
    let error = series.write_trades(&id("Y.SIM"), &rows);
    let error = error.expect_err("nobody knows what the numbers mean");
    assert!(matches!(error, StorageError::NotDeclared { .. }), "{error}");
}

fn as_written(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let mut trades = vec![
        trade(1, DAY, i64::MIN, i64::MAX),
        trade(2, DAY, i64::MAX, 0),
        trade(3, DAY - 1, 0, -1),
        trade(4, -1, 7, 7),
    ];
    trades[0].aggressor = Some(Side::Buy);
    trades[1].aggressor = Some(Side::Sell);
    trades[1].trade_id = u64::MAX;
    trades[2].ts_init = UnixNanos(i64::MIN);
    store(&*series, &id, &trades);
    trades.sort_by_key(|row| (row.ts_event, row.sequence));
    assert_eq!(all_trades(&*series, &id), trades);

    let level = |price, quantity| {
        Some(Level {
            price: Price(price),
            quantity: Quantity(quantity),
        })
    };
    let sides = [
        (level(1, 2), level(3, 4)),
        (None, level(i64::MAX, 1)),
        (level(i64::MIN, i64::MAX), None),
        (None, None),
    ];
    let quotes: Vec<QuoteRow> = (1..)
        .zip(sides)
        .map(|(sequence, (bid, ask))| QuoteRow {
            sequence,
            bid,
            ask,
            ts_event: UnixNanos(DAY + sequence as i64),
            ts_init: UnixNanos(DAY - 1),
        })
        .collect();
    let written = series.write_quotes(&id, &quotes).expect("it is stored");
    assert_eq!(written.stored, 4);
    assert_eq!(rows(series.quotes(&id, TimeRange::ALL)), quotes);

    let volumes = [0, 1, 9_999, 10_000, -10_001, i128::MAX, i128::MIN];
    let bars: Vec<BarRow> = (1..)
        .zip(volumes)
        .map(|(sequence, volume)| bar(sequence, DAY + sequence as i64, volume))
        .collect();
    let spec = BarSpec::Value { amount: i128::MAX };
    series.write_bars(&id, spec, &bars).expect("it is stored");
    assert_eq!(rows(series.bars(&id, spec, TimeRange::ALL)), bars);
}

fn repeated(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    // Over a midnight, so that a batch lies in two days.
    let trades: Vec<TradeRow> = (1..=100)
        .map(|n| trade(n, DAY - 50 + n as i64, 1, 1))
        .collect();
    store(&*series, &id, &trades[..60]);
    for (from, to, stored) in [(0, 60, 0), (10, 20, 0), (40, 80, 20), (0, 100, 20)] {
        let outcome = series.write_trades(&id, &trades[from..to]).expect("it is");
        let repeated = to - from - stored;
        assert_eq!(outcome, Written { stored, repeated });
    }
    assert_eq!(all_trades(&*series, &id), trades);
    assert_eq!(series.last_sequence(&id, Stream::Trades).expect("so"), 100);
    assert_eq!(series.gaps(&id, Stream::Trades).expect("none"), []);
}

fn refused(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    for sequences in [vec![0], vec![1, 1], vec![1, 2, 4, 3], vec![1, u64::MAX]] {
        let batch: Vec<TradeRow> = sequences
            .iter()
            .map(|sequence| TradeRow {
                sequence: *sequence,
                ..trade(1, DAY, 1, 1)
            })
            .collect();
        let error = series.write_trades(&id, &batch).expect_err("no batch");
        assert!(matches!(error, StorageError::Sequence { .. }), "{error}");
    }
    for ts in [i64::MIN, i64::MAX, i64::MAX - DAY_NS + 1] {
        let no_time = TradeRow {
            ts_event: UnixNanos(ts),
            ..trade(1, DAY, 1, 1)
        };
        let error = series.write_trades(&id, &[no_time]).expect_err("no time");
        assert!(matches!(error, StorageError::BadName { .. }), "{error}");
    }
    let many: Vec<TradeRow> = (1..=MAX_BATCH_ROWS as u64 + 1)
        .map(|n| trade(n, DAY, 1, 1))
        .collect();
    let error = series.write_trades(&id, &many).expect_err("too many");
    assert!(matches!(error, StorageError::TooLarge { .. }), "{error}");
    assert_eq!(series.write_trades(&id, &[]).expect("nothing").stored, 0);
    assert_eq!(all_trades(&*series, &id), []);
    store(&*series, &id, &many[1..]);
    assert_eq!(all_trades(&*series, &id).len(), MAX_BATCH_ROWS);
}

fn half_open(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let times = [-DAY_NS, 0, DAY - 1, DAY, DAY + 1, DAY + DAY_NS];
    let trades: Vec<TradeRow> = (1..)
        .zip(times)
        .map(|(sequence, ts)| trade(sequence, ts, 1, 1))
        .collect();
    store(&*series, &id, &trades);
    for (from, to, expected) in [
        (DAY - 1, DAY, 2..3),
        (DAY, DAY + DAY_NS, 3..5),
        (DAY, DAY, 0..0),
        (DAY + 1, DAY - 1, 0..0),
        (-DAY_NS, DAY + DAY_NS + 1, 0..6),
        (i64::MIN, 0, 0..1),
        (DAY + 1, i64::MAX, 4..6),
    ] {
        let range = TimeRange {
            from: UnixNanos(from),
            to: UnixNanos(to),
        };
        assert_eq!(rows(series.trades(&id, range)), trades[expected]);
    }
}

fn apart(backend: &dyn SeriesBackend) {
    let series = backend.open().expect("it opens");
    let long = format!("{}.SIM", "L".repeat(60));
    let names = [
        "A/B.SIM", "A_B.SIM", "A:B.SIM", "A-B.SIM", "a_b.SIM", "...SIM", "--.SIM", &long,
    ];
    for (number, name) in names.iter().enumerate() {
        let id = id(name);
        series.declare(&id, DECIMALS).expect("it is declared");
        let own = number as i64;
        store(&*series, &id, &[trade(1, DAY, own, 1)]);
        for spec in [BarSpec::External, BarSpec::Tick { count: 5 }] {
            let first = [bar(1, DAY + own, 1)];
            series.write_bars(&id, spec, &first).expect("it is stored");
        }
    }
    for (number, name) in names.iter().enumerate() {
        let id = id(name);
        let found = all_trades(&*series, &id);
        let own = number as i64;
        assert_eq!(found, [trade(1, DAY, own, 1)], "{name}");
        let bars = |spec| rows(series.bars(&id, spec, TimeRange::ALL)).len();
        assert_eq!(bars(BarSpec::External), 1);
        assert_eq!(bars(BarSpec::Tick { count: 5 }), 1);
        assert_eq!(bars(BarSpec::Tick { count: 6 }), 0);
    }
    for bad in ["X'; DROP TABLE series_trade;--.SIM", "X\0.SIM", "../X.SIM "] {
        assert!(InstrumentId::new(bad).is_err(), "{bad:?}");
    }
}

fn gaps(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    for sequences in [&[3, 4, 6][..], &[7], &[6, 7, 11], &[12, 13]] {
        let batch: Vec<TradeRow> = sequences
            .iter()
            // The sixth is late and of another day.
            .map(|n| trade(*n, if *n == 6 { DAY - 1 } else { DAY }, 1, 1))
            .collect();
        series.write_trades(&id, &batch).expect("it is stored");
    }
    let expected = [(1, 2), (5, 5), (8, 10)].map(|(first, last)| Gap { first, last });
    assert_eq!(series.gaps(&id, Stream::Trades).expect("so"), expected);
    assert_eq!(series.gaps(&id, Stream::Quotes).expect("none"), []);
}

fn reopened(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let trades: Vec<TradeRow> = (1..=5_000)
        .map(|n| trade(n, DAY + n as i64 % 7 * DAY_NS / 2, n as i64, 1))
        .collect();
    for batch in trades.chunks(700) {
        store(&*series, &id, batch);
    }
    let before = all_trades(&*series, &id);
    assert_eq!(before.len(), 5_000);
    drop(series);
    let (series, id) = open(backend);
    assert_eq!(all_trades(&*series, &id), before);
    assert_eq!(
        series.last_sequence(&id, Stream::Trades).expect("so"),
        5_000
    );
    let again = series.write_trades(&id, &trades[4_000..]).expect("it is");
    assert_eq!((again.stored, again.repeated), (0, 1_000));
    store(&*series, &id, &[trade(5_001, DAY, 1, 1)]);
    assert_eq!(all_trades(&*series, &id).len(), 5_001);
}

fn late(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    store(
        &*series,
        &id,
        &[trade(1, DAY + 10, 1, 1), trade(2, DAY + 20, 2, 1)],
    );
    store(
        &*series,
        &id,
        &[trade(3, DAY + 15, 3, 1), trade(4, DAY + 10, 4, 1)],
    );
    store(
        &*series,
        &id,
        &[trade(5, DAY - 1, 5, 1), trade(6, DAY, 6, 1)],
    );
    let found = all_trades(&*series, &id);
    let order: Vec<u64> = found.iter().map(|row| row.sequence).collect();
    assert_eq!(order, [5, 6, 1, 4, 3, 2]);
}

fn forgotten(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let at = |day: i64| DAY + day * DAY_NS;
    let trades: Vec<TradeRow> = (1..=5).map(|n| trade(n, at(n as i64) + 7, 1, 1)).collect();
    store(&*series, &id, &trades);
    let external = [bar(1, at(1), 1)];
    series
        .write_bars(&id, BarSpec::External, &external)
        .expect("it is stored");
    series.roll_up().expect("they are made");
    // Into the third day: its row is still within what is asked to be kept.
    let before = UnixNanos(at(3) + 9);
    assert_eq!(series.forget(Kind::Trades, before).expect("two days"), 2);
    assert_eq!(series.forget(Kind::Trades, before).expect("again"), 0);
    assert_eq!(all_trades(&*series, &id), trades[2..]);
    assert_eq!(
        rows(series.rolled(&id, RollUp::Day, TimeRange::ALL)).len(),
        3
    );
    let bars = series.bars(&id, BarSpec::External, TimeRange::ALL);
    assert_eq!(rows(bars), external);
    drop(series);
    let (series, id) = open(backend);
    let again = series.write_trades(&id, &trades).expect("repeats");
    assert_eq!((again.stored, again.repeated), (0, 5));
    let every = UnixNanos(at(100));
    assert_eq!(series.forget(Kind::Trades, every).expect("the rest"), 3);
    assert_eq!(series.last_sequence(&id, Stream::Trades).expect("so"), 5);
    assert_eq!(series.gaps(&id, Stream::Trades).expect("none"), []);
    store(&*series, &id, &[trade(6, at(1), 1, 1)]);
    assert_eq!(all_trades(&*series, &id).len(), 1);
    assert_eq!(series.forget(Kind::Bars, every).expect("one day"), 1);
    assert_eq!(
        rows(series.bars(&id, BarSpec::External, TimeRange::ALL)),
        []
    );
}

fn maintained(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    series.maintain(UnixNanos(DAY)).expect("days ahead");
    let trades: Vec<TradeRow> = (1..=300)
        .map(|n| trade(n, DAY + n as i64 * DAY_NS / 100, n as i64, 1))
        .collect();
    store(&*series, &id, &trades[..200]);
    series.roll_up().expect("they are made");
    for days in [1, 2, 5, 5] {
        let now = UnixNanos(DAY + days * DAY_NS);
        series.maintain(now).expect("days are settled");
        assert_eq!(all_trades(&*series, &id), trades[..200]);
    }
    store(&*series, &id, &trades[200..]);
    store(&*series, &id, &[trade(301, DAY, 1, 1)]);
    assert_eq!(all_trades(&*series, &id).len(), 301);
}

fn leaves(backend: &dyn SeriesBackend) {
    let (series, id) = open(backend);
    let trades: Vec<TradeRow> = (1..=60_000)
        .map(|n| trade(n, DAY + n as i64, 1, 1))
        .collect();
    store(&*series, &id, &trades);
    let mut stays = series.trades(&id, TimeRange::ALL).expect("it reads");
    for _ in 0..20 {
        let mut reader = series.trades(&id, TimeRange::ALL).expect("it reads");
        assert_eq!(reader.next().expect("one").expect("a row"), trades[0]);
    }
    store(&*series, &id, &[trade(60_001, DAY, 1, 1)]);
    assert_eq!(stays.next().expect("one").expect("a row"), trades[0]);
    assert!(stays.by_ref().count() >= 59_999);
}

fn at_once(backend: &dyn SeriesBackend) {
    let series = backend.open().expect("it opens");
    let names = ["A.SIM", "B.SIM", "C.SIM"];
    std::thread::scope(|scope| {
        for name in names {
            let series = &series;
            scope.spawn(move || {
                let id = id(name);
                series.declare(&id, DECIMALS).expect("it is declared");
                for batch in 0..10 {
                    let rows: Vec<TradeRow> = (1..=50)
                        .map(|n| trade(batch * 50 + n, DAY + batch as i64 * DAY_NS / 4, 1, 1))
                        .collect();
                    store(&**series, &id, &rows);
                    series.roll_up().expect("they are made");
                }
            });
        }
    });
    for name in names {
        assert_eq!(all_trades(&*series, &id(name)).len(), 500);
        let days = rows(series.rolled(&id(name), RollUp::Day, TimeRange::ALL));
        let counts: u64 = days.iter().map(|bar| bar.trade_count).sum();
        assert_eq!(counts, 500);
    }
}
