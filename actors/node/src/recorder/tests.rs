//! What a recorder says of itself.

use super::slow::Slow;
use super::*;
use apex_domain::market::Trade;
use apex_domain::matching::SimInstrument;
use apex_domain::{InstrumentId, Price, Quantity, UnixNanos};
use apex_persistence::recorder::MAX_HELD;
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

/// A recorder of a market whose series takes its time.
struct Desk {
    hub: MarketHub,
    slow: Arc<Slow>,
    recorder: Recorder,
    instrument_id: InstrumentId,
    published: i64,
}

impl Desk {
    fn new() -> Desk {
        let (hub, slow) = (MarketHub::new(), Arc::new(Slow::default()));
        let defined = SimInstrument::defaults().remove(0).instrument;
        hub.define(defined.clone()).unwrap();
        let retention = Retention::default();
        let recorder = Recorder::start(&hub, slow.clone(), retention, Clock::Wall).unwrap();
        Desk {
            hub,
            slow,
            recorder,
            instrument_id: defined.instrument_id,
            published: 0,
        }
    }

    async fn until(&self, what: impl Fn(&Desk) -> bool) {
        let begun = Instant::now();
        while !what(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{:?}",
                self.recorder.watch().state()
            );
            tokio::task::yield_now().await;
        }
    }

    /// Publishes more trades, no faster than they can be taken.
    async fn publish(&mut self, count: i64) {
        let last = self.published + count;
        while self.published < last {
            let to = (self.published + 256).min(last);
            let part: Vec<Trade> = (self.published + 1..=to).map(|n| self.trade(n)).collect();
            self.hub.trades.publish_batch(&part).await.unwrap();
            self.published = to;
            // One thread runs both: the recorder has its turn.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn trade(&self, n: i64) -> Trade {
        Trade {
            instrument_id: self.instrument_id.clone(),
            price: Price(n),
            quantity: Quantity(1),
            aggressor: None,
            trade_id: n as u64,
            ts_event: UnixNanos(n),
            ts_init: UnixNanos(n),
        }
    }

    fn figures(&self) -> RecorderFigures {
        self.recorder.watch().state().figures
    }
}

#[tokio::test]
async fn what_comes_while_a_write_takes_long_is_held_and_recorded() {
    let mut desk = Desk::new();
    desk.publish(1).await;
    desk.until(|desk| desk.slow.begun() == 1).await;
    desk.publish(TRADES).await;
    desk.slow.open(false);
    let watch = desk.recorder.watch();
    desk.recorder.stop().await;
    let figures = watch.state().figures;
    assert_eq!((figures.missed, figures.held), (0, 0), "{figures:?}");
    assert_eq!(figures.stored, TRADES as u64 + 1);
}

#[tokio::test]
async fn what_is_held_over_attempts_that_fail_is_bounded() {
    let mut desk = Desk::new();
    desk.publish(1).await;
    let most = MAX_HELD as u64 + 1_024;
    for attempt in 1..=2 {
        desk.until(|desk| desk.slow.begun() == attempt).await;
        desk.publish(MAX_HELD as i64).await;
        desk.slow.open(true);
        desk.until(|desk| desk.figures().held > 1).await;
        let held = desk.figures().held;
        assert!(held <= most, "attempt {attempt}: {held}");
        desk.slow.close();
    }
    desk.slow.open(false);
}
