//! Recorded trades: the roll-ups of each backend beside the engine's bars.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::same_as_the_engine;
use super::tests::InDatabase;
use crate::port::series::{Decimals, Series, TradeRow};
use crate::postgres::PgSeries;
use crate::testkit::{Postgres, here};
use crate::{DataDir, EmbeddedSeries, MemorySeries};
use apex_domain::id::InstrumentId;
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;

/// Returns the prints of a day of BAC (88,172, many of one millisecond); `None` after saying that
/// the test is skipped for want of the file.
fn prints() -> Option<Vec<TradeRow>> {
    let folder = std::env::var_os("APEX_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = folder.join("ticks/bac_20131007.csv.gz");
    let Ok(packed) = std::fs::read(&path) else {
        eprintln!("SKIPPED: \"{}\" is not there", path.display());
        return None;
    };
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
    unpacked.read_to_string(&mut text).expect("a packed text");
    let trades = text.lines().filter(|line| line.contains(",T,"));
    Some((1..).zip(trades).map(|(n, line)| print(n, line)).collect())
}

/// Reads `2013-10-07T08:00:00.614Z,T,13.94,500,...`.
fn print(sequence: u64, line: &str) -> TradeRow {
    let words: Vec<&str> = line.split(',').collect();
    let ts: jiff::Timestamp = words[0].parse().expect("a time");
    let ts = UnixNanos(ts.as_nanosecond() as i64);
    let (whole, part) = words[2].split_once('.').unwrap_or((words[2], ""));
    let price = format!("{whole}{part:0<4}");
    TradeRow {
        sequence,
        price: Price(price.parse().expect("a price of four decimals")),
        quantity: Quantity(words[3].parse().expect("a quantity")),
        aggressor: None,
        trade_id: 0,
        ts_event: ts,
        ts_init: ts,
    }
}

fn check(series: &dyn Series, prints: &[TradeRow]) {
    let id = InstrumentId::new("BAC.XNYS").expect("an id");
    let decimals = Decimals {
        price: 4,
        quantity: 0,
    };
    series.declare(&id, decimals).expect("it is declared");
    same_as_the_engine(series, &id, prints);
}

#[test]
fn roll_ups_of_a_recorded_day_are_the_engines_bars() {
    let Some(prints) = prints() else { return };
    assert_eq!(prints.len(), 88_172);
    check(&MemorySeries::new(), &prints);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    check(&EmbeddedSeries::open(&dir).expect("it opens"), &prints);
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let database = InDatabase::new(&server, &AtomicUsize::new(0));
    let series = PgSeries::open(&database.server()).expect("it opens");
    check(&Arc::new(series), &prints);
}
