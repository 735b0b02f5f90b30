use super::*;
use apex_domain::{Price, Quantity, UnixNanos};
use apex_storage::archive::ParquetWriter;
use apex_storage::port::series::Decimals;
use std::fs;

fn source(text: &str, choice: &Choice<'_>) -> Result<Source> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.csv");
    fs::write(&path, text)?;
    load(&path, choice, Purpose::Store(folder.path()))
}

const NO_CHOICE: Choice<'static> = Choice {
    instrument: None,
    interval_ns: None,
};

#[test]
fn bars_tell_their_interval_by_their_usual_distance() {
    let text = "date,open,high,low,close\n2024-01-04,1,1,1,1\n2024-01-05,1,1,1,1\n\
                2024-01-08,1,1,1,1\n2024-01-09,1,1,1,1\n";
    let found = source(text, &NO_CHOICE).unwrap();
    let day = Content::Bars {
        interval_ns: 86_400_000_000_000,
    };
    assert_eq!(found.series[0].head.content, day);
    let one = "date,open,high,low,close\n2024-01-04,1,1,1,1\n";
    let refused = source(one, &NO_CHOICE).unwrap_err().to_string();
    assert!(refused.contains("--interval"), "{refused}");
    let choice = Choice {
        instrument: None,
        interval_ns: Some(7),
    };
    assert_eq!(
        source(one, &choice).unwrap().series[0].head.content,
        Content::Bars { interval_ns: 7 }
    );
}

#[test]
fn rows_that_can_hardly_be_meant_are_kept_and_told_with_their_lines() {
    let text = "ts,open,high,low,close\n\
                2024-01-04T00:00:00Z,5,6,4,5\n\
                2024-01-04T00:01:00Z,5,4.5,4,5\n\
                2024-01-04T00:02:00Z,5,6,5.5,6\n\
                2024-01-04T00:03:00Z,5,6,0,5\n\
                2024-01-04T00:04:00Z,5,6,-1,5\n\
                2024-01-04T00:04:00Z,5,6,4,5\n\
                2024-01-04T00:01:00Z,5,6,4,5\n\
                2024-01-04T00:05:00Z,NaN,6,4,5\n";
    let found = source(text, &NO_CHOICE).unwrap();
    assert_eq!((found.rows(), found.bad_count), (7, 1));
    assert_eq!(found.bad[0].line, Some(9));
    let told: Vec<_> = found.doubtful.iter().map(|row| row.line).collect();
    assert_eq!(told, [3, 4, 5, 6, 7, 8].map(Some));
    assert_eq!(found.contradictions, 2);
    let reasons: Vec<_> = found.doubtful.iter().map(|row| &*row.reason).collect();
    assert!(reasons[0].contains("high below"), "{reasons:?}");
    assert!(reasons[1].contains("low above"), "{reasons:?}");
    assert!(
        reasons[2].contains("zero or less in field 4"),
        "{reasons:?}"
    );
    assert!(reasons[3].contains("zero or less"), "{reasons:?}");
    assert!(reasons[4].contains("time of the bar before"), "{reasons:?}");
    assert!(reasons[5].contains("older"), "{reasons:?}");
}

#[test]
fn equal_prints_of_one_moment_are_no_doubt() {
    let text = "ts_ns,price,size\n1,1,1\n1,1,1\n2,1,1\n";
    assert_eq!(source(text, &NO_CHOICE).unwrap().doubtful_count, 0);
}

#[test]
fn bad_rows_are_counted_with_their_lines_and_those_that_do_not_fit_too() {
    let text = "ts_ns,price,size\n1,1,1\nx,1,1\n2,1,1234567890123456789\n";
    let found = source(text, &NO_CHOICE).unwrap();
    assert_eq!((found.rows(), found.bad_count), (1, 2));
    assert_eq!(found.bad[0].line, Some(3));
    assert_eq!(found.bad[1].line, None);
    assert!(
        found.bad[1].reason.contains("at 2 ns"),
        "{}",
        found.bad[1].reason
    );
}

/// Returns the rows of each series as they would be stored: its number, and times with prices.
fn stored(source: &Source) -> Vec<(u32, i64, i64)> {
    let Stored::Sorted(sorted) = &source.stored else {
        panic!("it is no file of ours");
    };
    let each = |item: Result<(u32, SeriesRow), StorageError>| match item.unwrap() {
        (number, SeriesRow::Trade(row)) => (number, row.ts_event.0, row.price.0),
        (number, SeriesRow::Bar(row)) => (number, row.ts_open.0, row.close.0),
        (number, SeriesRow::Quote(row)) => (number, row.ts_event.0, 0),
    };
    sorted.rows().unwrap().map(each).collect()
}

#[test]
fn rows_are_told_apart_and_in_order_of_time_and_of_the_file_where_that_is_equal() {
    let text = "symbol,ts_ns,price,size\nB.X,20,1,1\nA.X,30,2,1\nB.X,10,3,1\nA.X,30,1,1\n\
                A.X,5,9,1\nB.X,20,7,1\n";
    let found = source(text, &NO_CHOICE).unwrap();
    let expected = [
        (0, 5, 9),
        (0, 30, 2),
        (0, 30, 1),
        (3, 10, 3),
        (3, 20, 1),
        (3, 20, 7),
    ];
    assert_eq!(stored(&found), expected);
    let names: Vec<_> = found
        .series
        .iter()
        .map(|of| of.head.instrument_id.as_str())
        .collect();
    assert_eq!(names, ["A.X", "B.X"]);
    assert_eq!(found.series[1].number, 3);
}

#[test]
fn bars_in_no_order_tell_the_interval_that_they_have_in_order() {
    let mut text = "symbol,ts_ns,open,high,low,close\n".to_owned();
    // Halves that interleave: each other bar first, then those between them.
    for at in (0..20).step_by(2).chain((1..20).step_by(2)) {
        text.push_str(&format!("A.X,{},1,1,1,1\n", at * 60));
    }
    for purpose in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        fs::write(&path, &text).unwrap();
        let purpose = match purpose {
            true => Purpose::Store(folder.path()),
            false => Purpose::Look {
                is_shown: true,
                is_checked: true,
            },
        };
        let found = load(&path, &NO_CHOICE, purpose).unwrap();
        let content = Content::Bars { interval_ns: 60 };
        assert_eq!(found.series[0].head.content, content, "{purpose:?}");
    }
}

#[test]
fn the_first_rows_that_are_shown_are_the_oldest() {
    let mut text = "symbol,ts_ns,price,size\n".to_owned();
    for ts in (0..50).rev() {
        text.push_str(&format!(
            "A.X,{ts},{},1\nA.X,{ts},{},1\n",
            2 * ts + 1,
            2 * ts + 2
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    fs::write(&path, &text).unwrap();
    let purpose = Purpose::Look {
        is_shown: true,
        is_checked: false,
    };
    let found = load(&path, &NO_CHOICE, purpose).unwrap();
    let first = |row: &SeriesRow| match row {
        SeriesRow::Trade(row) => row.price.0,
        other => panic!("{other:?}"),
    };
    let first: Vec<_> = found.series[0].first.iter().map(first).collect();
    assert_eq!(first, [1, 2, 3, 4, 5]);
    assert_eq!(found.rows(), 100);
}

#[test]
fn a_file_of_ours_is_checked_to_its_last_row_before_anything_is_stored() {
    let head = Head {
        content: Content::Trades,
        instrument_id: InstrumentId::new("A.X").unwrap(),
        decimals: Decimals {
            price: 0,
            quantity: 0,
        },
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let file = File::create(&path).unwrap();
    let mut writer = ParquetWriter::new("x", file, &head).unwrap();
    for ts in [1, 2, 3, 4, 5, 6, 9, 8] {
        let row = TradeRow {
            sequence: 0,
            price: Price(1),
            quantity: Quantity(1),
            aggressor: None,
            trade_id: 0,
            ts_event: UnixNanos(ts),
            ts_init: UnixNanos(ts),
        };
        writer.push(&row).unwrap();
    }
    writer.finish().unwrap();
    let look = |is_checked| Purpose::Look {
        is_shown: true,
        is_checked,
    };
    let shown = load(&path, &NO_CHOICE, look(false)).unwrap();
    assert_eq!((shown.rows(), shown.series[0].first.len()), (8, 5));
    let refused = load(&path, &NO_CHOICE, look(true)).unwrap_err().to_string();
    assert!(refused.contains("older than the row before"), "{refused}");
}
