//! Faults under the time series in files.

use super::*;
use crate::disk::{Crash, SimDisk};
use apex_domain::number::{Price, Quantity};

const DAY_FILE: &str = "/data/series/X.SIM/trades/20000.ser";
const DAY: i64 = 20_000 * crate::port::series::DAY_NS;

fn open(disk: &SimDisk) -> Result<(EmbeddedSeries, InstrumentId), StorageError> {
    let dir = DataDir::on_disk(Arc::new(disk.clone()), Path::new("/data"));
    let series = EmbeddedSeries::open(&dir)?;
    let id = InstrumentId::new("X.SIM").expect("an id");
    let (price, quantity) = (2, 0);
    series.declare(&id, Decimals { price, quantity })?;
    Ok((series, id))
}

/// Every third one is of the day before.
fn trades(sequences: std::ops::RangeInclusive<u64>) -> Vec<TradeRow> {
    let trade = |sequence: u64| TradeRow {
        sequence,
        price: Price(sequence as i64),
        quantity: Quantity(1),
        aggressor: None,
        trade_id: 0,
        ts_event: UnixNanos(
            DAY + if sequence.is_multiple_of(3) {
                -1
            } else {
                sequence as i64
            },
        ),
        ts_init: UnixNanos(0),
    };
    sequences.map(trade).collect()
}

fn stored(series: &EmbeddedSeries, id: &InstrumentId) -> Result<Vec<u64>, StorageError> {
    let rows: Result<Vec<TradeRow>, StorageError> = series.trades(id, TimeRange::ALL)?.collect();
    let mut sequences: Vec<u64> = rows?.iter().map(|row| row.sequence).collect();
    sequences.sort_unstable();
    Ok(sequences)
}

#[test]
fn power_cut_anywhere_loses_nothing_acknowledged_and_a_repeat_stores_the_rest() {
    let crashes = [
        Crash::LoseUnsynced,
        Crash::KeepAll,
        Crash::KeepPrefix(70),
        Crash::KeepSectors(0b1010),
    ];
    for crash in crashes {
        for operations in 1..80 {
            let disk = SimDisk::new();
            // A disk keeps or loses sectors, not the parts of a write in between.
            let whole = matches!(crash, Crash::KeepPrefix(_) | Crash::KeepSectors(_));
            disk.set_longest_write((!whole).then_some(100));
            disk.cut_power_after(operations);
            let mut acknowledged = 0;
            if let Ok((series, id)) = open(&disk) {
                for batch in 0..5 {
                    let (from, to) = (batch * 10 + 1, batch * 10 + 10);
                    if series.write_trades(&id, &trades(from..=to)).is_err() {
                        break;
                    }
                    acknowledged = to;
                }
            }
            let (series, id) = open(&disk.crash(crash)).expect("it opens after a crash");
            let found = stored(&series, &id).expect("it can be read");
            let kept = found.iter().filter(|n| **n <= acknowledged).count() as u64;
            assert_eq!(
                kept, acknowledged,
                "after {operations} operations: {found:?}"
            );
            series
                .write_trades(&id, &trades(1..=50))
                .expect("the rest is stored");
            let all: Vec<u64> = (1..=50).collect();
            assert_eq!(stored(&series, &id).expect("it can be read"), all);
            assert_eq!(series.gaps(&id, Stream::Trades).expect("none"), []);
        }
    }
}

#[test]
fn damage_before_the_last_write_is_refused_and_not_cut() {
    let disk = SimDisk::new();
    let (series, id) = open(&disk).expect("it opens");
    for batch in [1..=4, 5..=8] {
        series.write_trades(&id, &trades(batch)).expect("stored");
    }
    drop(series);
    let whole = disk.content(Path::new(DAY_FILE)).expect("the file");
    for at in [0, 30, 60, 100] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        disk.set_content(Path::new(DAY_FILE), changed);
        let (series, id) = open(&disk).expect("it opens");
        let error = stored(&series, &id).expect_err("it is damaged");
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    }
    let mut cut = whole.clone();
    cut.truncate(whole.len() - 1);
    disk.set_content(Path::new(DAY_FILE), cut);
    let (series, id) = open(&disk).expect("it opens");
    assert!(!stored(&series, &id).expect("the end is cut").contains(&8));
}

#[test]
fn a_failed_sync_leaves_nothing_that_a_repeat_would_take_for_stored() {
    let disk = SimDisk::new();
    let (series, id) = open(&disk).expect("it opens");
    series.write_trades(&id, &trades(1..=2)).expect("stored");
    disk.fail_sync_after(0, ".ser");
    let error = series
        .write_trades(&id, &trades(3..=5))
        .expect_err("a sync");
    assert!(matches!(error, StorageError::FsyncFailed { .. }), "{error}");
    drop(series);
    let (series, id) = open(&disk.crash(Crash::LoseUnsynced)).expect("it opens");
    series.write_trades(&id, &trades(1..=5)).expect("stored");
    let all: Vec<u64> = (1..=5).collect();
    assert_eq!(stored(&series, &id).expect("it can be read"), all);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let disk = SimDisk::new();
    let (series, id) = open(&disk).expect("it opens");
    series.write_trades(&id, &trades(1..=10)).expect("stored");
    disk.set_capacity(Some(disk.used_bytes() + 100));
    let error = series.write_trades(&id, &trades(11..=30));
    let error = error.expect_err("no space");
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    disk.set_capacity(None);
    series.write_trades(&id, &trades(11..=30)).expect("stored");
    assert_eq!(stored(&series, &id).expect("it can be read").len(), 30);
}
