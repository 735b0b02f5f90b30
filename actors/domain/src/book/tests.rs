use super::*;
use crate::id::InstrumentId;
use crate::market::{BookDelta, BookSnapshot, Level};
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;

fn id() -> InstrumentId {
    InstrumentId::new("BTCUSDT.BINANCE").unwrap()
}

fn levels(levels: &[(i64, i64)]) -> Vec<Level> {
    levels
        .iter()
        .map(|(price, quantity)| Level {
            price: Price(*price),
            quantity: Quantity(*quantity),
        })
        .collect()
}

/// A change of updates `first..=last` that sets the bid at 100 to `last`.
fn delta(first: u64, last: u64) -> BookDelta {
    BookDelta {
        instrument_id: id(),
        first_update_id: first,
        last_update_id: last,
        previous_update_id: None,
        bids: levels(&[(100, last as i64)]),
        asks: Vec::new(),
        ts_event: UnixNanos(0),
        ts_init: UnixNanos(0),
    }
}

fn usd_m(first: u64, last: u64, previous: u64) -> BookDelta {
    BookDelta {
        previous_update_id: Some(previous),
        ..delta(first, last)
    }
}

fn snapshot(update_id: u64) -> BookSnapshot {
    BookSnapshot {
        instrument_id: id(),
        update_id,
        bids: levels(&[(100, 1), (99, 2), (98, 3)]),
        asks: levels(&[(101, 1), (102, 2)]),
        stale: false,
        ts_event: UnixNanos(0),
        ts_init: UnixNanos(0),
    }
}

/// What a script does, and how each step must end.
enum Do {
    Delta(BookDelta, &'static str),
    Snapshot(u64, &'static str),
}

fn check(rule: SequenceRule, script: Vec<Do>, status: BookStatus, update_id: u64) -> L2Book {
    let mut book = L2Book::new(id(), rule);
    for (number, step) in script.into_iter().enumerate() {
        let (found, expected) = match step {
            Do::Delta(delta, expected) => match book.apply_delta(delta) {
                DeltaOutcome::Applied(_) => ("applied".to_owned(), expected),
                DeltaOutcome::Waiting => ("waiting".to_owned(), expected),
                DeltaOutcome::Ignored => ("ignored".to_owned(), expected),
                DeltaOutcome::Gap { have, found } => (format!("gap {have} {found}"), expected),
            },
            Do::Snapshot(id, expected) => match book.apply_snapshot(&snapshot(id)) {
                SnapshotOutcome::Applied { then } => (format!("then {}", then.len()), expected),
                SnapshotOutcome::TooOld => ("too old".to_owned(), expected),
                SnapshotOutcome::Ignored => ("ignored".to_owned(), expected),
            },
        };
        assert_eq!(found, expected, "step {number}");
    }
    assert_eq!((book.status(), book.update_id()), (status, update_id));
    book
}

use BookStatus::{Awaiting, Gapped, InSync};
use Do::{Delta, Snapshot};
use SequenceRule::{BinanceSpot, BinanceUsdM};

#[test]
fn changes_wait_for_the_snapshot_and_the_older_ones_are_dropped() {
    let script = vec![
        Delta(delta(1, 5), "waiting"),
        Delta(delta(6, 10), "waiting"),
        Delta(delta(11, 15), "waiting"),
        Snapshot(12, "then 1"),
        Delta(delta(16, 17), "applied"),
    ];
    let book = check(BinanceSpot, script, InSync, 17);
    let counters = book.counters();
    assert_eq!((counters.applied, counters.dropped_before_snapshot), (2, 2));
    assert_eq!(book.best_bid().unwrap().quantity, Quantity(17));
    assert_eq!(book.known_range(), (Some(Price(98)), Some(Price(102))));
}

#[test]
fn a_change_that_begins_right_behind_the_snapshot_follows() {
    check(
        BinanceSpot,
        vec![Snapshot(12, "then 0"), Delta(delta(13, 14), "applied")],
        InSync,
        14,
    );
    check(
        BinanceSpot,
        vec![Snapshot(12, "then 0"), Delta(delta(14, 15), "gap 12 14")],
        Gapped,
        12,
    );
}

#[test]
fn a_snapshot_that_ends_before_the_waiting_changes_is_too_old() {
    let script = vec![
        Delta(delta(20, 25), "waiting"),
        Snapshot(18, "too old"),
        Snapshot(19, "then 1"),
    ];
    check(BinanceSpot, script, InSync, 25);
    check(
        BinanceSpot,
        vec![Delta(delta(20, 25), "waiting"), Snapshot(18, "too old")],
        Awaiting,
        0,
    );
}

#[test]
fn a_repeated_change_is_ignored() {
    let script = vec![
        Snapshot(10, "then 0"),
        Delta(delta(11, 12), "applied"),
        Delta(delta(11, 12), "ignored"),
        Delta(delta(9, 10), "ignored"),
        Delta(delta(13, 13), "applied"),
    ];
    assert_eq!(check(BinanceSpot, script, InSync, 13).counters().ignored, 2);
}

#[test]
fn a_hole_makes_the_book_stale_until_a_newer_snapshot() {
    let script = vec![
        Snapshot(10, "then 0"),
        Delta(delta(13, 14), "gap 10 13"),
        Delta(delta(15, 16), "waiting"),
    ];
    let mut book = check(BinanceSpot, script, Gapped, 10);
    assert_eq!(
        book.best_bid().unwrap().quantity,
        Quantity(1),
        "the old book is still served"
    );
    assert!(book.snapshot(5, UnixNanos(0), UnixNanos(0)).stale);
    assert_eq!(book.apply_snapshot(&snapshot(11)), SnapshotOutcome::TooOld);
    let SnapshotOutcome::Applied { then } = book.apply_snapshot(&snapshot(14)) else {
        panic!()
    };
    assert_eq!(then.len(), 1);
    assert_eq!((book.status(), book.update_id()), (InSync, 16));
    assert!(!book.snapshot(5, UnixNanos(0), UnixNanos(0)).stale);
}

#[test]
fn a_hole_among_the_waiting_changes_shows_after_the_snapshot() {
    let script = vec![
        Delta(delta(1, 5), "waiting"),
        Delta(delta(8, 9), "waiting"),
        Delta(delta(10, 11), "waiting"),
        Snapshot(3, "then 1"),
    ];
    let mut book = check(BinanceSpot, script, Gapped, 5);
    let SnapshotOutcome::Applied { then } = book.apply_snapshot(&snapshot(9)) else {
        panic!()
    };
    assert_eq!((then.len(), book.update_id()), (1, 11));
}

#[test]
fn a_snapshot_behind_a_book_in_sync_is_ignored_and_a_newer_one_replaces_it() {
    let script = vec![
        Snapshot(10, "then 0"),
        Delta(delta(11, 12), "applied"),
        Snapshot(11, "ignored"),
        Snapshot(20, "then 0"),
        Delta(delta(13, 20), "ignored"),
        Delta(delta(21, 21), "applied"),
    ];
    check(BinanceSpot, script, InSync, 21);
}

#[test]
fn usd_m_changes_are_chained_by_the_update_before() {
    let script = vec![
        Delta(usd_m(1, 5, 0), "waiting"),
        Delta(usd_m(8, 20, 5), "waiting"),
        Snapshot(12, "then 1"),
        Delta(usd_m(30, 40, 20), "applied"),
        Delta(usd_m(30, 40, 20), "ignored"),
        Delta(usd_m(60, 70, 50), "gap 40 60"),
    ];
    check(BinanceUsdM, script, Gapped, 40);
}

#[test]
fn the_first_usd_m_change_holds_the_snapshot_or_names_it() {
    check(
        BinanceUsdM,
        vec![Snapshot(12, "then 0"), Delta(usd_m(15, 20, 12), "applied")],
        InSync,
        20,
    );
    check(
        BinanceUsdM,
        vec![
            Snapshot(12, "then 0"),
            Delta(usd_m(13, 20, 11), "gap 12 13"),
        ],
        Gapped,
        12,
    );
    check(
        BinanceUsdM,
        vec![Snapshot(12, "then 0"), Delta(delta(11, 20), "gap 12 11")],
        Gapped,
        12,
    );
    let late = vec![
        Snapshot(12, "then 0"),
        Delta(usd_m(10, 20, 9), "applied"),
        Delta(usd_m(19, 25, 18), "gap 20 19"),
    ];
    check(BinanceUsdM, late, Gapped, 20);
}

#[test]
fn two_changes_in_the_wrong_order_are_a_hole() {
    let script = vec![
        Snapshot(10, "then 0"),
        Delta(delta(13, 14), "gap 10 13"),
        Delta(delta(11, 12), "waiting"),
    ];
    check(BinanceSpot, script, Gapped, 10);
}

#[test]
fn a_lost_connection_makes_the_book_wait_for_a_snapshot() {
    let mut book = check(BinanceSpot, vec![Snapshot(10, "then 0")], InSync, 10);
    book.expect_snapshot();
    assert_eq!(book.apply_delta(delta(11, 12)), DeltaOutcome::Waiting);
    assert!(matches!(
        book.apply_snapshot(&snapshot(5)),
        SnapshotOutcome::TooOld
    ));
    assert!(matches!(
        book.apply_snapshot(&snapshot(10)),
        SnapshotOutcome::Applied { .. }
    ));
    assert_eq!(book.update_id(), 12);
}

#[test]
fn too_many_waiting_changes_drop_the_oldest_and_count_it() {
    let mut book = L2Book::new(id(), BinanceSpot);
    for i in 0..=PENDING_MAX as u64 {
        book.apply_delta(delta(i, i));
    }
    assert_eq!(book.counters().overflowed, 1);
    assert_eq!(
        book.apply_snapshot(&snapshot(0)),
        SnapshotOutcome::Applied {
            then: (1..=PENDING_MAX as u64).map(|i| delta(i, i)).collect()
        }
    );
    let mut late = L2Book::new(id(), BinanceSpot);
    for i in 0..=PENDING_MAX as u64 + 1 {
        late.apply_delta(delta(i, i));
    }
    assert_eq!(late.apply_snapshot(&snapshot(0)), SnapshotOutcome::TooOld);
}

#[test]
fn crossed_and_locked_states_are_counted_and_kept() {
    let mut book = check(BinanceSpot, vec![Snapshot(10, "then 0")], InSync, 10);
    let cross = |id, price| BookDelta {
        bids: levels(&[(price, 5)]),
        ..delta(id, id)
    };
    book.apply_delta(cross(11, 101));
    book.apply_delta(cross(12, 102));
    let counters = book.counters();
    assert_eq!((counters.locked, counters.crossed), (1, 1));
    assert_eq!(book.best_bid().unwrap().price, Price(102));
}

#[test]
fn the_hash_follows_content_and_order_but_no_time() {
    let run = |deltas: &[BookDelta]| {
        let mut book = L2Book::new(id(), BinanceSpot);
        book.apply_snapshot(&snapshot(10));
        for delta in deltas {
            book.apply_delta(delta.clone());
        }
        book.market_hash()
    };
    let later = BookDelta {
        ts_init: UnixNanos(99),
        ..delta(11, 12)
    };
    assert_eq!(run(&[delta(11, 12)]), run(&[later.clone(), later]));
    assert_ne!(run(&[delta(11, 12)]), run(&[delta(11, 13)]));
    assert_ne!(run(&[]), run(&[delta(11, 12)]));
}
