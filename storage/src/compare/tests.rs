//! Differences that were put there, on every backend.

use super::*;
use crate::port::series::TradeRow;
use crate::postgres::{Layout, PgSeries, PgServer, ServerOptions, migrate};
use crate::testkit::{Postgres, here};
use crate::{DataDir, EmbeddedSeries, MemorySeries};
use apex_domain::number::{Price, Quantity};
use std::cell::Cell;

const DAY: i64 = 20_000 * DAY_NS;
const MINUTE: i64 = RollUp::Minute.interval_ns();

fn id() -> InstrumentId {
    InstrumentId::new("BTC/USD.ALPACA").expect("an id")
}

fn trade(sequence: u64, ts: i64, price: i64, quantity: i64) -> TradeRow {
    TradeRow {
        sequence,
        price: Price(price),
        quantity: Quantity(quantity),
        aggressor: None,
        trade_id: 0,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts + 7),
    }
}

/// Two days of trades: in order, late, at one instant, without quantity, and of a wrong year.
fn fill(series: &dyn Series) {
    let (price, quantity) = (2, 3);
    let declared = series.declare(&id(), Decimals { price, quantity });
    declared.expect("it is declared");
    let mut rows: Vec<TradeRow> = (0..3_000_i64)
        .map(|n| {
            let late = if n % 7 == 0 { 90 * MINUTE } else { 0 };
            let ts = DAY + DAY_NS / 4 + n / 2 * (DAY_NS / 2_000) - late;
            trade(n as u64 + 1, ts, 10_000 + n * 37 % 91, n % 11)
        })
        .collect();
    // In a minute that has no other, so that nothing else tells of it.
    let ahead = TradeRow {
        ts_init: UnixNanos(DAY),
        ..trade(3_001, DAY + 3 * MINUTE, 1, 1)
    };
    rows.push(ahead);
    series.write_trades(&id(), &rows).expect("they are stored");
}

fn days(first: i64, count: i64) -> TimeRange {
    span(&(DAY + first * DAY_NS..DAY + (first + count) * DAY_NS))
}

fn compare(series: &dyn Series, range: TimeRange) -> Comparison {
    let found = compare_bars(series, &id(), range, &AtOnce).expect("it can be read");
    found.expect("it goes on to the end")
}

/// What every backend gives: all bars are there and equal, without a roll-up asked for before.
fn all_equal(series: &dyn Series) -> u64 {
    fill(series);
    let found = compare(series, days(0, 2));
    let count = |roll_up| {
        let rows = series.rolled(&id(), roll_up, TimeRange::ALL);
        rows.expect("it reads").count() as u64
    };
    assert_eq!(found.compared, RollUp::ALL.map(count).iter().sum::<u64>());
    assert!(found.compared > 1_000, "{found:?}");
    assert_eq!((found.differ, found.unsettled), (0, 0), "{:?}", found.first);
    assert_eq!(series.instruments().expect("they are listed"), [id()]);
    // Within a day the whole day is meant, and outside of what there is nothing is compared.
    let within = span(&(DAY + DAY_NS / 2..DAY + DAY_NS / 2 + 1));
    assert_eq!(compare(series, within), compare(series, days(0, 1)));
    assert_eq!(compare(series, days(-5, 4)), Comparison::default());
    found.compared
}

#[test]
fn every_backend_has_the_bars_of_the_engine() {
    let memory = all_equal(&MemorySeries::new());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    let embedded = all_equal(&EmbeddedSeries::open(&dir).expect("it opens"));
    assert_eq!(memory, embedded);
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (_, series) = open(&postgres);
    assert_eq!(all_equal(&series), memory);
}

fn open(postgres: &Postgres) -> (PgServer, PgSeries) {
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    let series = PgSeries::open(&server).expect("it opens");
    (server, series)
}

#[test]
fn the_first_difference_is_told_with_its_field_and_both_values() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (_server, series) = open(&postgres);
    if series.layout() == Layout::Timescale {
        return;
    }
    fill(&series);
    let equal = compare(&series, days(0, 2));
    let noon = DAY + DAY_NS / 2;
    let of = |roll_up: RollUp, ts: i64| {
        format!(
            "WHERE interval_ns = {} AND ts_open_ns = {ts}",
            roll_up.interval_ns()
        )
    };
    let ask = |sql: &str| postgres.query("apex", sql).expect("it answers");
    let hour = of(RollUp::Hour, noon);
    for (field, change, back) in [
        ("open", "open = open + 5", "open = open - 5"),
        ("high", "high = high + 5", "high = high - 5"),
        ("low", "low = low - 5", "low = low + 5"),
        ("close", "close = close - 5", "close = close + 5"),
        ("volume", "volume = volume + 5", "volume = volume - 5"),
        (
            "trade_count",
            "trade_count = trade_count + 5",
            "trade_count = trade_count - 5",
        ),
    ] {
        let decimals = match field {
            "volume" => 1_000.0,
            "trade_count" => 1.0,
            _ => 100.0,
        };
        let value = || -> f64 {
            let text = ask(&format!("SELECT {field} FROM series_rolled {hour}"));
            text.parse::<f64>().expect("a number") / decimals
        };
        let made = value();
        ask(&format!("UPDATE series_rolled SET {change} {hour}"));
        let stored = value();
        let found = compare(&series, days(0, 2));
        let first = found.first.expect("it differs");
        assert_eq!((found.compared, found.differ), (equal.compared, 1));
        assert_eq!((first.roll_up, first.ts_open.0), (RollUp::Hour, noon));
        assert_eq!(first.field, field);
        let number = |text: &str| text.parse::<f64>().expect("a number");
        assert_eq!((number(&first.stored), number(&first.made)), (stored, made));
        ask(&format!("UPDATE series_rolled SET {back} {hour}"));
        // What is not the day that is asked for is not looked at.
        assert_eq!(compare(&series, days(0, 2)), equal, "{field}");
    }
    let minute = of(RollUp::Minute, noon);
    ask(&format!("DELETE FROM series_rolled {minute}"));
    let gone = compare(&series, days(0, 1)).first.expect("one is gone");
    let text = format!(
        "BTC/USD.ALPACA 1m bar that opens at {noon} ns: bar is none as stored, one by its trades"
    );
    assert_eq!(gone.to_string(), text);
    // A minute of a print of a wrong year, which the engine makes no bar of.
    ask(&format!(
        "INSERT INTO series_rolled SELECT open, high, low, close, trade_count, {}, ts_init_ns, \
         interval_ns, stream_no, volume FROM series_rolled WHERE interval_ns = {MINUTE} LIMIT 1",
        DAY + 3 * MINUTE
    ));
    let found = compare(&series, days(0, 1));
    let first = found.first.expect("one too many");
    assert_eq!((found.differ, first.ts_open.0), (2, DAY + 3 * MINUTE));
    assert_eq!(
        (first.stored.as_str(), first.made.as_str()),
        ("one", "none")
    );
    assert_eq!(compare(&series, days(1, 1)).first, None);
}

#[test]
fn a_late_trade_is_rolled_up_before_it_is_compared() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (_server, series) = open(&postgres);
    fill(&series);
    let before = compare(&series, days(0, 1));
    let late = trade(3_002, DAY + DAY_NS / 2 + 1, 77, 5);
    series.write_trades(&id(), &[late]).expect("it is stored");
    let after = compare(&series, days(0, 1));
    assert_eq!((after.differ, after.unsettled), (0, 0));
    assert!(after.compared >= before.compared);
    let low = "SELECT min(low) FROM series_rolled WHERE ts_open_ns >= 1";
    assert_eq!(postgres.query("apex", low).expect("it answers"), "77");
}

/// A writer that adds a late trade each time it is asked whether to go on, rolls it up, and ends it
/// when told.
struct Busy<'a> {
    series: &'a dyn Series,
    next: Cell<u64>,
    rests: Cell<u64>,
    ends_after: u64,
}

impl Pace for Busy<'_> {
    fn goes_on(&self) -> bool {
        let sequence = self.next.get();
        self.next.set(sequence + 1);
        let late = trade(sequence, DAY + DAY_NS / 2 + sequence as i64, 5, 1);
        let written = self.series.write_trades(&id(), &[late]);
        written.expect("it is stored");
        self.series.roll_up().expect("it is rolled up");
        self.rests.get() < self.ends_after
    }

    fn rest(&self, _: u64) {
        self.rests.set(self.rests.get() + 1);
    }
}

fn busy(series: &dyn Series, ends_after: u64) -> Busy<'_> {
    Busy {
        series,
        next: Cell::new(3_002),
        rests: Cell::new(0),
        ends_after,
    }
}

#[test]
fn what_is_written_meanwhile_is_no_difference() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (_server, series) = open(&postgres);
    fill(&series);
    let more: Vec<TradeRow> = (3_002..20_000)
        .map(|n| trade(n, DAY + DAY_NS / 2 + n as i64, 9, 1))
        .collect();
    series.write_trades(&id(), &more).expect("they are stored");
    let pace = Busy {
        next: Cell::new(20_000),
        ..busy(&series, 9)
    };
    let found = compare_bars(&series, &id(), days(0, 2), &pace).expect("it can be read");
    let found = found.expect("it goes on to the end");
    assert!(pace.next.get() > 20_003, "it was asked while it read");
    assert_eq!((found.differ, found.first), (0, None));
}

#[test]
fn a_large_day_is_gone_through_by_the_hour_and_ends_when_it_is_told_to() {
    let series = MemorySeries::new();
    fill(&series);
    let count = LARGE_DAY as i64;
    for batch in 0..2 {
        let more: Vec<TradeRow> = (0..count / 2)
            .map(|n| {
                let sequence = 4_000 + batch * count / 2 + n;
                let ts = DAY + sequence * (DAY_NS / count) % DAY_NS;
                trade(sequence as u64, ts, 9_000 + n % 13, 1)
            })
            .collect();
        series.write_trades(&id(), &more).expect("they are stored");
    }
    let pace = Busy {
        next: Cell::new(200_000),
        ..busy(&series, u64::MAX)
    };
    let found = compare_bars(&series, &id(), days(0, 1), &pace).expect("it can be read");
    assert_eq!(found.expect("to the end").differ, 0);
    assert_eq!(pace.rests.get(), 24);
    let pace = Busy {
        next: Cell::new(300_000),
        ..busy(&series, 3)
    };
    let found = compare_bars(&series, &id(), days(0, 2), &pace).expect("it can be read");
    assert_eq!(found, None);
    assert_eq!(pace.rests.get(), 3);
}
