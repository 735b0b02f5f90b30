use super::*;
use apex_domain::market::{Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;
use proptest::prelude::*;

fn trade(ts: i64, id: u64) -> TradeRow {
    TradeRow {
        sequence: 0,
        price: Price(-7),
        quantity: Quantity(3),
        aggressor: [None, Some(Side::Buy), Some(Side::Sell)][(id % 3) as usize],
        trade_id: id,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts + 1),
    }
}

/// Sorts with little memory, and by the standard library: series and times in any order, ids in the
/// order of the file.
fn check(rows: &[(u32, i64)], held_rows: usize, max_runs: usize) -> Sorted {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sorter = Sorter::with_bounds(folder.path(), held_rows, max_runs);
    let mut expected = Vec::new();
    for (id, (series, ts)) in rows.iter().enumerate() {
        let row = trade(*ts, id as u64);
        sorter.push(*series, row).expect("there is space");
        expected.push((*series, SeriesRow::Trade(row)));
    }
    expected.sort_by_key(|(series, row)| (*series, row.ts()));
    let sorted = sorter.finish().expect("there is space");
    for _ in 0..2 {
        let found: Result<Vec<_>, _> = sorted.rows().expect("it can be read").collect();
        assert_eq!(found.expect("it can be read"), expected);
    }
    let left = std::fs::read_dir(folder.path()).expect("it is there");
    assert_eq!(left.count(), 0, "files without a name");
    sorted
}

#[test]
fn few_rows_need_no_file() {
    let sorted = check(&[(1, 5), (0, 9), (1, 4), (0, 9)], 4, 2);
    assert_eq!((sorted.held.len(), sorted.fresh.len()), (4, 0));
    check(&[], 4, 2);
}

#[test]
fn a_file_in_order_is_one_run_of_any_length() {
    let rows: Vec<_> = (0..1_000).map(|at| (3, at / 2)).collect();
    let sorted = check(&rows, 10, 2);
    assert_eq!((sorted.fresh.len(), sorted.merged.len()), (1, 0));
}

#[test]
fn the_newest_row_first_takes_as_many_runs_as_it_needs() {
    let rows: Vec<_> = (0..1_000).rev().map(|at| (0, at)).collect();
    let sorted = check(&rows, 100, 3);
    assert_eq!((sorted.merged.len(), sorted.fresh.len()), (3, 1));
}

#[test]
fn more_than_there_are_runs_for_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sorter = Sorter::with_bounds(folder.path(), 2, 2);
    let pushed = (0..100).try_for_each(|at| sorter.push(0, trade(-at, 0)));
    let error = pushed.expect_err("there are more than 12").to_string();
    assert!(error.contains("sort rows"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let mut sorter = Sorter::with_bounds(Path::new("/nowhere"), 1, 2);
    sorter.push(0, trade(1, 1)).expect("it is held");
    let error = sorter.push(0, trade(2, 2)).expect_err("there is no folder");
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

#[test]
fn rows_of_each_kind_come_back_as_they_were() {
    let level = |price, quantity| {
        Some(Level {
            price: Price(price),
            quantity: Quantity(quantity),
        })
    };
    let quote = |bid, ask| {
        SeriesRow::Quote(QuoteRow {
            sequence: 4,
            bid,
            ask,
            ts_event: UnixNanos(i64::MIN),
            ts_init: UnixNanos(i64::MAX),
        })
    };
    let bar = |volume| {
        SeriesRow::Bar(BarRow {
            sequence: 0,
            open: Price(i64::MIN),
            high: Price(i64::MAX),
            low: Price(-1),
            close: Price(0),
            volume,
            trade_count: u64::MAX,
            ts_open: UnixNanos(1),
            ts_init: UnixNanos(2),
        })
    };
    let rows = [
        SeriesRow::Trade(trade(i64::MIN, u64::MAX)),
        SeriesRow::Trade(trade(-1, 1)),
        SeriesRow::Trade(trade(-1, 2)),
        quote(level(0, 0), None),
        quote(None, level(-5, 7)),
        quote(None, None),
        bar(0),
        bar(-1),
        bar(i128::MAX),
        bar(i128::MIN),
        bar(1 << 64),
        bar(u64::MAX.into()),
    ];
    for (series, row) in [(0, rows[0]), (u32::MAX, rows[1])] {
        let record = Record { series, row };
        assert_eq!(Record::of_bytes(&record.to_bytes()), Some(record));
    }
    for row in rows {
        let record = Record { series: 5, row };
        assert_eq!(Record::of_bytes(&record.to_bytes()), Some(record));
    }
    assert_eq!(Record::of_bytes(&[0xFF; record::BYTES]), None);
}

proptest! {
    #[test]
    fn any_order_is_sorted_and_ties_stay(
        rows in proptest::collection::vec((0_u32..4, 0_i64..20), 0..300),
        held in 1_usize..40,
        runs in 9_usize..20,
    ) {
        // 300 rows in runs of one need 18 times 18 of them.
        let runs = runs.max(300_usize.div_ceil(held).isqrt() + 1);
        check(&rows, held, runs);
    }
}
