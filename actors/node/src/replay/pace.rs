//! The speed of a replay: when the next frame is due, and whether it is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How fast a recording runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as the machine can.
    Max,
    /// 1 is as recorded; above zero.
    Factor(f64),
}

/// Pauses and resumes a replay from elsewhere. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pause {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    paused: AtomicBool,
    changed: Notify,
}

impl Pause {
    /// Pauses, or goes on where it was paused. Returns true when it is paused now.
    pub fn toggle(&self) -> bool {
        let was_paused = self.shared.paused.fetch_xor(true, Ordering::AcqRel);
        self.shared.changed.notify_waiters();
        !was_paused
    }

    pub fn is_paused(&self) -> bool {
        self.shared.paused.load(Ordering::Acquire)
    }

    /// Returns once the replay is not paused.
    pub async fn resumed(&self) {
        loop {
            // Listen first, so that a change between the look and the wait is not missed.
            let changed = self.shared.changed.notified();
            if !self.is_paused() {
                return;
            }
            changed.await;
        }
    }
}

/// Tells when frames are due. Time in a pause does not count.
#[derive(Debug)]
pub struct Pace {
    speed: Speed,
    /// The wall clock and the recording's at the last frame that was let through.
    last: Option<(Instant, i64)>,
}

impl Pace {
    pub fn new(speed: Speed) -> Pace {
        Pace { speed, last: None }
    }

    /// Returns when a frame of the recording's time `ts` (nanoseconds) is due, or `None` when it
    /// is due at once.
    pub fn due(&self, ts: i64) -> Option<Instant> {
        let Speed::Factor(factor) = self.speed else {
            return None;
        };
        let (at, last_ts) = self.last?;
        let recorded = ts.saturating_sub(last_ts).max(0) as f64;
        // A gap of years in a recording is no reason to wait longer than a day.
        let wait = (recorded / factor).min(86_400e9);
        Some(at + Duration::from_nanos(wait as u64))
    }

    /// Notes that the frame of `ts` was let through, `due` being what [`Pace::due`] said: a late
    /// frame does not delay the next one, so that the speed holds over time.
    pub fn passed(&mut self, ts: i64, due: Option<Instant>) {
        let at = due.unwrap_or_else(Instant::now);
        let last_ts = self.last.map_or(ts, |(_, last)| last.max(ts));
        self.last = Some((at, last_ts));
    }

    /// Forgets the wall clock: the next frame is due at once.
    pub fn restart(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_as_far_apart_as_recorded_divided_by_the_factor() {
        let mut pace = Pace::new(Speed::Factor(10.0));
        assert_eq!(pace.due(1_000), None, "the first frame is due at once");
        let start = Instant::now();
        pace.passed(1_000, Some(start));
        assert_eq!(
            pace.due(1_000_001_000),
            Some(start + Duration::from_millis(100))
        );
    }

    #[test]
    fn at_full_speed_nothing_waits() {
        let mut pace = Pace::new(Speed::Max);
        pace.passed(0, None);
        assert_eq!(pace.due(i64::MAX), None);
    }

    #[test]
    fn a_clock_that_goes_back_waits_for_nothing() {
        let mut pace = Pace::new(Speed::Factor(1.0));
        let start = Instant::now();
        pace.passed(5_000, Some(start));
        assert_eq!(pace.due(4_000), Some(start));
    }

    #[tokio::test]
    async fn a_pause_ends_when_it_is_toggled_again() {
        let pause = Pause::default();
        assert!(pause.toggle());
        let other = pause.clone();
        let waiting = tokio::spawn(async move { other.resumed().await });
        assert!(!pause.toggle());
        waiting.await.unwrap();
    }
}
