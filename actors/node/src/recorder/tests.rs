//! What a recorder says of itself.

use super::slow::Slow;
use super::*;
use apex_domain::market::Trade;
use apex_domain::matching::SimInstrument;
use apex_domain::{Price, Quantity, UnixNanos};
use std::time::Instant;

fn away() -> StorageError {
    StorageError::Unavailable {
        server: "PostgreSQL at db:5432/apex".to_owned(),
        detail: "connection refused".to_owned(),
        variable: "APEX_TIMESCALE_URL",
    }
}

fn one(watch: &RecorderWatch) -> Dependency {
    let mut all = watch.dependencies();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_recorder_that_cannot_write_degrades_a_node_and_says_what_to_do() {
    let watch = RecorderWatch::default();
    let well = one(&watch);
    assert_eq!((well.ok, well.degraded), (true, false));
    let figures = RecorderFigures {
        held: 77,
        ..RecorderFigures::default()
    };
    let full = StorageError::Full {
        what: "time series".to_owned(),
    };
    for (error, what_to_do) in [
        (away(), "(set by APEX_TIMESCALE_URL): start that server"),
        (full, "free space there"),
    ] {
        watch.tell(figures, Some(&error));
        let failing = one(&watch);
        assert_eq!(failing.name, "recorder");
        // An order is answered without it.
        assert_eq!((failing.ok, failing.degraded), (true, true));
        let detail = failing.detail;
        assert!(detail.contains("not recorded, 77 rows wait"), "{detail}");
        assert!(detail.contains(what_to_do), "{detail}");
    }
    watch.tell(RecorderFigures::default(), None);
    assert_eq!(one(&watch), well);
}

#[test]
fn roll_ups_that_fall_behind_degrade_a_node_that_records() {
    let watch = RecorderWatch::default();
    let well = one(&watch);
    watch.tell_upkeep(Some(&away()));
    let failing = one(&watch);
    assert_eq!((failing.ok, failing.degraded), (true, true));
    let detail = failing.detail;
    assert!(detail.contains("its roll-ups fall behind"), "{detail}");
    assert!(detail.contains("APEX_TIMESCALE_URL"), "{detail}");
    watch.tell_upkeep(None);
    assert_eq!(one(&watch), well);
}

/// More than the topic keeps for who does not read it.
const TRADES: i64 = 40_000;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_comes_while_a_write_takes_long_is_held_and_recorded() {
    let (hub, slow) = (MarketHub::new(), Arc::new(Slow::default()));
    let defined = SimInstrument::defaults().remove(0).instrument;
    hub.define(defined.clone()).unwrap();
    let trade = |n: i64| Trade {
        instrument_id: defined.instrument_id.clone(),
        price: Price(n),
        quantity: Quantity(1),
        aggressor: None,
        trade_id: n as u64,
        ts_event: UnixNanos(n),
        ts_init: UnixNanos(n),
    };
    let retention = Retention::default();
    let recorder = Recorder::start(&hub, slow.clone(), retention, Clock::Wall).unwrap();
    hub.trades.publish(trade(1)).await.unwrap();
    let begun = Instant::now();
    while !slow.has_begun() {
        assert!(begun.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    for first in (2..=TRADES).step_by(256) {
        let part: Vec<Trade> = (first..(first + 256).min(TRADES + 1)).map(trade).collect();
        hub.trades.publish_batch(&part).await.unwrap();
        // One thread runs both: the recorder has its turn.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    slow.open();
    let watch = recorder.watch();
    recorder.stop().await;
    let figures = watch.state().figures;
    assert_eq!((figures.missed, figures.held), (0, 0), "{figures:?}");
    assert_eq!(figures.stored, TRADES as u64);
}
