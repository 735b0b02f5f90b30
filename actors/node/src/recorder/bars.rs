//! Compares each settled day's stored bars with those of the engine, in the background.
//!
//! It has a thread that may block while it works, rests between parts so that it reads at a bounded
//! rate, and nobody waits for it but the end of the process, which it notices within a moment.

use super::{BarFigures, RecorderWatch};
use apex_bus::clock::Clock;
use apex_persistence::recorder::check::BarCheck;
use apex_storage::Series;
use apex_storage::compare::Pace;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How often it is looked whether a day has settled; the first time when a start is over.
const LOOK: Duration = Duration::from_secs(60);

/// Trades that are gone through a second, on the average: a tenth of what a thread can, so that a
/// busy day of ten million takes some minutes of the night.
const TRADES_A_SECOND: u64 = 100_000;

/// The shortest rest, for parts with few trades and many bars.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// How long a rest goes on without a look whether the process ends.
const NAP: Duration = Duration::from_millis(100);

pub(super) struct Checking {
    pub check: BarCheck,
    pub clock: Clock,
    pub watch: RecorderWatch,
    pub stopped: watch::Receiver<bool>,
}

struct Slowly(watch::Receiver<bool>);

impl Pace for Slowly {
    fn goes_on(&self) -> bool {
        // A recorder that is gone has stopped, too.
        !*self.0.borrow() && self.0.has_changed().is_ok()
    }

    fn rest(&self, trades: u64) {
        let due = Duration::from_micros(trades.saturating_mul(1_000_000) / TRADES_A_SECOND);
        let mut left = due.max(SHORTEST_REST);
        while !left.is_zero() && self.goes_on() {
            let nap = left.min(NAP);
            std::thread::sleep(nap);
            left -= nap;
        }
    }
}

impl Checking {
    pub fn new(
        series: Arc<dyn Series>,
        clock: Clock,
        watch: RecorderWatch,
        stopped: watch::Receiver<bool>,
    ) -> Checking {
        Checking {
            check: BarCheck::new(series),
            clock,
            watch,
            stopped,
        }
    }

    pub async fn run(mut self) {
        let mut at = Instant::now() + LOOK;
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.changed() => return,
                () = sleep_until(at) => {}
            }
            let Some(checking) = self.look().await else {
                return;
            };
            self = checking;
            at = Instant::now() + LOOK;
        }
    }

    /// Compares a day where one is due. `None` when it panicked: it is not tried again.
    async fn look(self) -> Option<Checking> {
        let Checking {
            mut check,
            clock,
            watch,
            stopped,
        } = self;
        let Some(day) = check.due(clock.now()) else {
            return Some(Checking {
                check,
                clock,
                watch,
                stopped,
            });
        };
        let pace = Slowly(stopped.clone());
        let work = move || {
            let found = check.compare(day, &pace);
            (check, found)
        };
        let Ok((check, found)) = tokio::task::spawn_blocking(work).await else {
            tracing::error!("stored bars are compared no more: restart the process to do so again");
            return None;
        };
        match found {
            Ok(Some(found)) => watch.add_bars(BarFigures {
                compared: found.compared,
                differ: found.differ,
            }),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(day, %error, "stored bars could not be compared, trying again");
            }
        }
        Some(Checking {
            check,
            clock,
            watch,
            stopped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::{InstrumentId, Price, Quantity, UnixNanos};
    use apex_storage::MemorySeries;
    use apex_storage::port::series::{DAY_NS, Decimals, TradeRow};

    fn series() -> Arc<dyn Series> {
        let series = MemorySeries::new();
        let id = InstrumentId::new("A.SIM").unwrap();
        let (price, quantity) = (0, 0);
        series.declare(&id, Decimals { price, quantity }).unwrap();
        let ts = UnixNanos(5 * DAY_NS);
        let trade = TradeRow {
            sequence: 1,
            price: Price(5),
            quantity: Quantity(1),
            aggressor: None,
            trade_id: 0,
            ts_event: ts,
            ts_init: ts,
        };
        series.write_trades(&id, &[trade]).unwrap();
        Arc::new(series)
    }

    fn checking(now: i64) -> (watch::Sender<bool>, RecorderWatch, Checking) {
        let (stop, stopped) = watch::channel(false);
        let (watch, clock) = (RecorderWatch::default(), Clock::replay());
        clock.advance(UnixNanos(now));
        let checking = Checking::new(series(), clock, watch.clone(), stopped);
        (stop, watch, checking)
    }

    #[tokio::test(start_paused = true)]
    async fn a_settled_day_is_compared_once_and_the_recorder_ends_it() {
        let (stop, watch, checking) = checking(6 * DAY_NS + DAY_NS / 2);
        let begun = Instant::now();
        let running = tokio::spawn(checking.run());
        // Time moves by itself while everybody waits.
        let until = |bars: u64| {
            let watch = watch.clone();
            async move {
                while watch.state().bars.compared < bars {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        until(4).await;
        assert!(begun.elapsed() >= LOOK);
        tokio::time::sleep(LOOK * 10).await;
        let bars = watch.state().bars;
        assert_eq!((bars.compared, bars.differ), (4, 0));
        stop.send(true).unwrap();
        running.await.unwrap();
    }

    #[test]
    fn a_rest_ends_with_the_process() {
        let (stop, stopped) = watch::channel(false);
        let pace = Slowly(stopped);
        assert!(pace.goes_on());
        stop.send(true).unwrap();
        assert!(!pace.goes_on());
        let begun = std::time::Instant::now();
        pace.rest(u64::MAX);
        drop(stop);
        assert!(!pace.goes_on());
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
