//! The archive on a folder.

use super::*;
use crate::FolderObjects;
use crate::port::series::{BarRow, DAY_NS, Decimals, QuoteRow, TradeRow};
use apex_domain::bar::TimeBars;
use apex_domain::market::{Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

const TWO: Decimals = Decimals {
    price: 2,
    quantity: 3,
};
const START: i64 = 16_000 * DAY_NS;

fn id() -> InstrumentId {
    InstrumentId::new("BTC/USD.ALPACA").unwrap()
}

fn store() -> (TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let objects = FolderObjects::open(folder.path()).unwrap();
    (folder, Archive::new(Arc::new(objects)))
}

fn trade(ts: i64, price: i64) -> TradeRow {
    TradeRow {
        sequence: 0,
        price: Price(price),
        quantity: Quantity(5),
        aggressor: [None, Some(Side::Buy), Some(Side::Sell)][(price % 3) as usize],
        trade_id: u64::MAX - price as u64,
        ts_event: UnixNanos(START + ts),
        ts_init: UnixNanos(START + ts + 7),
    }
}

fn head(content: Content, decimals: Decimals) -> Head {
    Head {
        content,
        instrument_id: id(),
        decimals,
    }
}

fn add(archive: &Archive, rows: &[TradeRow], decimals: Decimals) -> Added {
    let rows = rows.iter().copied().map(Ok);
    archive.add(&head(Content::Trades, decimals), rows).unwrap()
}

fn trades(archive: &Archive, range: TimeRange) -> Vec<TradeRow> {
    let rows = archive.rows(Content::Trades, &id(), range).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn trades_of_several_days_come_back_as_they_were() {
    let (folder, archive) = store();
    let rows: Vec<_> = (0..100).map(|n| trade(n * DAY_NS / 40, n)).collect();
    let added = add(&archive, &rows, TWO);
    assert_eq!(
        added,
        Added {
            stored: 100,
            repeated: 0
        }
    );
    assert_eq!(trades(&archive, TimeRange::ALL), rows);
    assert_eq!(archive.contents(&id()).unwrap(), [Content::Trades]);
    let range = TimeRange {
        from: rows[30].ts_event,
        to: rows[50].ts_event,
    };
    assert_eq!(trades(&archive, range), rows[30..50]);
    let days = folder
        .path()
        .join("data/market/trades/instrument=BTC_2FUSD.ALPACA");
    assert_eq!(fs::read_dir(days).unwrap().count(), 3);
}

#[test]
fn quotes_with_one_side_or_none_come_back() {
    let (_folder, archive) = store();
    let level = |price| {
        Some(Level {
            price: Price(price),
            quantity: Quantity(0),
        })
    };
    let sides = [
        (level(1), level(2)),
        (None, level(-3)),
        (level(4), None),
        (None, None),
    ];
    let rows: Vec<QuoteRow> = (0..4)
        .zip(sides)
        .map(|(ts, (bid, ask))| QuoteRow {
            sequence: 0,
            bid,
            ask,
            ts_event: UnixNanos(ts),
            ts_init: UnixNanos(ts),
        })
        .collect();
    let added = archive.add(
        &head(Content::Quotes, TWO),
        rows.clone().into_iter().map(Ok),
    );
    assert_eq!(added.unwrap().stored, 4);
    let back = archive
        .rows::<QuoteRow>(Content::Quotes, &id(), TimeRange::ALL)
        .unwrap();
    assert_eq!(back.map(Result::unwrap).collect::<Vec<_>>(), rows);
}

#[test]
fn bars_keep_to_their_interval_and_have_volumes_beyond_64_bits() {
    let (_folder, archive) = store();
    let bar = |n: i64| BarRow {
        sequence: 0,
        open: Price(n),
        high: Price(n + 2),
        low: Price(-n),
        close: Price(n + 1),
        volume: 10_i128.pow(30) + i128::from(n),
        trade_count: 3,
        ts_open: UnixNanos(n * DAY_NS),
        ts_init: UnixNanos(n * DAY_NS),
    };
    let rows: Vec<BarRow> = (0..800).map(bar).collect();
    for interval_ns in [DAY_NS, 60_000_000_000] {
        let head = head(Content::Bars { interval_ns }, TWO);
        let few = rows[..20].iter().copied().map(Ok);
        assert_eq!(archive.add(&head, few).unwrap().stored, 20);
    }
    let daily = Content::Bars {
        interval_ns: DAY_NS,
    };
    archive
        .add(&head(daily, TWO), rows.clone().into_iter().map(Ok))
        .unwrap();
    let read = |content| {
        let rows = archive
            .rows::<BarRow>(content, &id(), TimeRange::ALL)
            .unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(read(daily), rows);
    let minutes = Content::Bars {
        interval_ns: 60_000_000_000,
    };
    assert_eq!(read(minutes), rows[..20]);
    assert_eq!(archive.contents(&id()).unwrap(), [minutes, daily]);
    assert_eq!(archive.parts(daily, &id()).unwrap().len(), 3, "one a year");
}

#[test]
fn rows_that_are_added_again_change_no_byte() {
    let (_folder, archive) = store();
    // Two real prints of the same nanosecond.
    let rows = [trade(1, 5), trade(1, 5), trade(1, 6), trade(2, 5)];
    add(&archive, &rows, TWO);
    let key = archive.parts(Content::Trades, &id()).unwrap().remove(0);
    let before = archive.objects.hash(&key).unwrap();
    assert_eq!(
        add(&archive, &rows, TWO),
        Added {
            stored: 0,
            repeated: 4
        }
    );
    assert_eq!(archive.objects.hash(&key).unwrap(), before);
    // A longer version of the same file.
    let longer = [
        trade(1, 5),
        trade(1, 5),
        trade(1, 6),
        trade(2, 5),
        trade(3, 1),
    ];
    assert_eq!(
        add(&archive, &longer, TWO),
        Added {
            stored: 1,
            repeated: 4
        }
    );
    assert_eq!(trades(&archive, TimeRange::ALL), longer);
}

#[test]
fn more_decimals_widen_what_is_there_and_fewer_are_widened() {
    let (_folder, archive) = store();
    add(&archive, &[trade(0, 3), trade(DAY_NS, 6)], TWO);
    let fine = Decimals {
        price: 4,
        quantity: 3,
    };
    add(&archive, &[trade(1, 900)], fine);
    // The same row as the first, as a file of two decimals states it.
    assert_eq!(add(&archive, &[trade(0, 3)], TWO).repeated, 1);
    let prices: Vec<i64> = trades(&archive, TimeRange::ALL)
        .iter()
        .map(|t| t.price.0)
        .collect();
    assert_eq!(prices, [300, 900, 600]);
    for key in archive.parts(Content::Trades, &id()).unwrap() {
        assert_eq!(archive.part_head(&key).unwrap().decimals, fine);
    }
}

#[test]
fn bars_of_trades_are_those_of_a_feed_in_every_range() {
    const MINUTE_NS: i64 = 60_000_000_000;
    let (_folder, archive) = store();
    // Two days of trades, more than are decoded at a time, and a bar over midnight.
    let rows: Vec<TradeRow> = (0..40_000)
        .map(|n| trade(n * 4_300_000_000, 10_000 + (n * 7_919) % 400))
        .collect();
    add(&archive, &rows, TWO);
    for interval_ns in [MINUTE_NS, 7 * MINUTE_NS, 3 * DAY_NS] {
        let mut engine = TimeBars::new(id(), interval_ns, 1);
        let mut expected = Vec::new();
        for row in &rows {
            engine.on_trade(&row.trade(&id()), &mut expected);
        }
        engine.end_session(rows[rows.len() - 1].ts_init, &mut expected);
        let middle = UnixNanos(START + DAY_NS - 3 * MINUTE_NS);
        for (from, to) in [
            (UnixNanos(i64::MIN), UnixNanos(i64::MAX)),
            (UnixNanos(i64::MIN), middle),
            (middle, UnixNanos(i64::MAX)),
            (middle, middle),
        ] {
            let range = TimeRange { from, to };
            let bars = archive.bars_of_trades(&id(), interval_ns, range).unwrap();
            let bars: Vec<BarRow> = bars.map(Result::unwrap).collect();
            let expected = expected.iter().filter(|bar| range.contains(bar.ts_open));
            let expected: Vec<BarRow> = expected.map(|bar| BarRow::of(0, bar)).collect();
            assert_eq!(bars, expected, "{interval_ns} {range:?}");
        }
    }
}

#[test]
fn bars_of_parts_with_fewer_decimals_are_at_those_of_the_instrument() {
    let (_folder, archive) = store();
    add(&archive, &[trade(0, 3)], TWO);
    let fine = Decimals {
        price: 4,
        quantity: 3,
    };
    // As a crash between the widening of two parts leaves them.
    let part = archive.parts(Content::Trades, &id()).unwrap().remove(0);
    let open = || archive.part::<TradeRow>(&part).unwrap().unwrap();
    let mut wide = open().at_decimals(fine);
    let columns = wide.next_columns().unwrap().unwrap();
    let mut machine = TimeBars::new(id(), 10, 1);
    let mut bars = Vec::new();
    machine.on_trades(&columns, &mut bars);
    machine.end_session(UnixNanos(0), &mut bars);
    assert_eq!((bars[0].close, bars[0].volume), (Price(300), 5));
    assert!(wide.next_columns().unwrap().is_none());
    // No number of 18 digits holds a price of 3 at so many decimals.
    let mut too_wide = open().at_decimals(Decimals {
        price: 20,
        quantity: 3,
    });
    let error = too_wide.next_columns().unwrap_err().to_string();
    assert!(error.contains("a price has more than 18 digits"), "{error}");
}

#[test]
fn what_does_not_fit_or_is_not_in_order_is_refused_by_its_time() {
    let (_folder, archive) = store();
    let refused = |rows: Vec<TradeRow>| {
        let head = head(Content::Trades, TWO);
        archive
            .add(&head, rows.into_iter().map(Ok))
            .unwrap_err()
            .to_string()
    };
    let large = refused(vec![trade(0, 10_i64.pow(18))]);
    assert!(large.contains("18 digits"), "{large}");
    let disordered = refused(vec![trade(5, 1), trade(4, 1)]);
    assert!(disordered.contains("sort the file"), "{disordered}");
    assert_eq!(trades(&archive, TimeRange::ALL), []);
}

#[test]
fn a_damaged_part_is_an_error_and_no_panic() {
    let (folder, archive) = store();
    let rows: Vec<_> = (0..5_000).map(|n| trade(n, n % 50)).collect();
    add(&archive, &rows, TWO);
    let key = archive.parts(Content::Trades, &id()).unwrap().remove(0);
    let path = folder.path().join("data").join(key.as_str());
    let whole = fs::read(&path).unwrap();
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(
            archive.head(Content::Trades, &id()).is_err(),
            "cut at {cut}"
        );
    }
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        // Anything but a panic: there is no checksum in a page.
        if let Ok(rows) = archive.rows::<TradeRow>(Content::Trades, &id(), TimeRange::ALL) {
            assert!(rows.count() <= 5_001);
        }
    }
}

#[test]
fn a_file_of_ours_says_what_it_holds_and_becomes_text_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let head = head(Content::Trades, TWO);
    let file = fs::File::create(&path).unwrap();
    let mut writer = ParquetWriter::new("x", file, &head).unwrap();
    for n in 0..3 {
        writer.push(&trade(n, n)).unwrap();
    }
    assert_eq!(writer.finish().unwrap().1, 3);
    assert_eq!(file_head(&path).unwrap(), Some(head));
    assert_eq!(ParquetRows::<TradeRow>::open(&path).unwrap().row_count(), 3);
    assert!(ParquetRows::<QuoteRow>::open(&path).is_err());
    let few = ParquetRows::<TradeRow>::open(&path).unwrap();
    let few = few.leaving_out(&["aggressor", "trade_id"]);
    let expected = TradeRow {
        aggressor: None,
        trade_id: 0,
        ..trade(2, 2)
    };
    assert_eq!(few.map(Result::unwrap).last(), Some(expected));
    let text = std::io::read_to_string(ParquetText::open(&path).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "instrument_id,ts_ns,ts_init,price,quantity,aggressor,trade_id"
    );
    let expected = format!(
        "BTC/USD.ALPACA,{},{},0.01,0.005,buy,{}",
        START + 1,
        START + 8,
        u64::MAX - 1
    );
    assert_eq!(lines[2], expected);
    fs::write(&path, b"PAR1 is no file").unwrap();
    assert!(file_head(&path).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever was there: after adding, each row stands as often as in the one that has it more
    /// often, and in order of time.
    #[test]
    fn adding_makes_a_union(
        first in prop::collection::vec((0_i64..4, 0_i64..3), 0..12),
        second in prop::collection::vec((0_i64..4, 0_i64..3), 0..12),
    ) {
        let (_folder, archive) = store();
        let rows = |mut pairs: Vec<(i64, i64)>| {
            pairs.sort();
            pairs.into_iter().map(|(ts, price)| trade(ts, price)).collect::<Vec<_>>()
        };
        let (first, second) = (rows(first), rows(second));
        add(&archive, &first, TWO);
        add(&archive, &second, TWO);
        let both = trades(&archive, TimeRange::ALL);
        prop_assert!(both.is_sorted_by_key(|row| row.ts_event));
        let count = |rows: &[TradeRow], row: &TradeRow| rows.iter().filter(|r| *r == row).count();
        for (ts, price) in (0..4).flat_map(|ts| (0..3).map(move |price| (ts, price))) {
            let row = trade(ts, price);
            let expected = count(&first, &row).max(count(&second, &row));
            prop_assert_eq!(count(&both, &row), expected);
        }
    }
}
