//! The one place where a shell gets the time from.

use apex_domain::UnixNanos;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock may move against the steady one between two readings: what is set right
/// by more than this is not believed at once. Time services step by less, or slew.
const LARGEST_STEP_NS: i64 = 60_000_000_000;

/// How long a wall clock has to stand by its new time until it is believed.
const BELIEVED_AFTER_NS: i64 = 60_000_000_000;

const WORTH_A_WRITE_NS: u64 = 1_000_000;

/// The clock of this process, so that all of it agrees on what is believed.
static STEADY: LazyLock<(Instant, Steady)> =
    LazyLock::new(|| (Instant::now(), Steady::starting_at(wall_now())));

/// Returns the time of day; zero before 1970 and after 2262, which shows that at once.
fn wall_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

/// The wall clock, without a jump that lasts no longer than a moment. One wrong reading would stand
/// in the journal of every account, whose time never goes back: years ahead, each price is too old
/// and each date over until the years have passed.
#[derive(Debug)]
struct Steady {
    /// Wall time at the start of the steady clock, as believed.
    offset: AtomicI64,
    /// Steady time since which the wall clock has been elsewhere; `NONE` while it is not.
    elsewhere: AtomicI64,
}

const NONE: i64 = -1;

impl Steady {
    fn starting_at(wall: i64) -> Steady {
        Steady {
            offset: AtomicI64::new(wall),
            elsewhere: AtomicI64::new(NONE),
        }
    }

    /// Takes both clocks, nanoseconds each, and returns the time that is believed. Threads may read
    /// at once: whichever is last is as good as any.
    fn read(&self, wall: i64, steady: i64) -> i64 {
        let expected = steady.saturating_add(self.offset.load(Ordering::Relaxed));
        let step = wall.saturating_sub(expected);
        let elsewhere = self.elsewhere.load(Ordering::Relaxed);
        let is_near = step.unsigned_abs() <= LARGEST_STEP_NS.unsigned_abs();
        if is_near || (elsewhere != NONE && steady - elsewhere > BELIEVED_AFTER_NS) {
            if elsewhere != NONE {
                self.elsewhere.store(NONE, Ordering::Relaxed);
                let step_seconds = step / 1_000_000_000;
                tracing::error!(step_seconds, "the wall clock is believed again");
            }
            // Most readings differ by less than is worth a write that other threads see.
            if step.unsigned_abs() > WORTH_A_WRITE_NS {
                self.offset
                    .store(wall.saturating_sub(steady), Ordering::Relaxed);
            }
            return wall;
        }
        if elsewhere == NONE {
            self.elsewhere.store(steady, Ordering::Relaxed);
            let step_seconds = step / 1_000_000_000;
            tracing::error!(
                step_seconds,
                "the wall clock has jumped: it is not followed for a minute; look at the time \
                 service of this machine"
            );
        }
        expected
    }
}

/// Tells the time that decisions are made at: the wall clock live, the recording's in a replay.
#[derive(Clone, Debug)]
pub enum Clock {
    Wall,
    /// Set by whoever drives the replay; never goes back.
    Replay(Arc<AtomicI64>),
}

impl Clock {
    pub fn replay() -> Clock {
        Clock::Replay(Arc::new(AtomicI64::new(0)))
    }

    pub fn now(&self) -> UnixNanos {
        match self {
            Clock::Wall => {
                let (begun, steady) = &*STEADY;
                let since = i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
                UnixNanos(steady.read(wall_now(), since))
            }
            Clock::Replay(now) => UnixNanos(now.load(Ordering::Acquire)),
        }
    }

    /// Moves a replay's time on to `now`; a wall clock is left alone.
    pub fn advance(&self, now: UnixNanos) {
        if let Clock::Replay(at) = self {
            at.fetch_max(now.0, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Seconds of both clocks and of what is believed.
    fn check(readings: &[(i64, i64, i64)]) {
        let steady = Steady::starting_at(1_000 * SECOND);
        for (wall, since, believed) in readings {
            let read = steady.read(wall * SECOND, since * SECOND);
            assert_eq!(read, believed * SECOND, "wall {wall} at {since}");
        }
    }

    #[test]
    fn small_steps_of_the_wall_clock_are_followed() {
        check(&[(1_001, 1, 1_001), (1_050, 2, 1_050), (1_000, 3, 1_000)]);
        // Each is measured from the reading before it.
        check(&[(1_059, 1, 1_059), (1_118, 2, 1_118)]);
    }

    #[test]
    fn a_jump_that_does_not_last_is_not_seen() {
        for far in [400_000_000, 1] {
            check(&[
                (1_001, 1, 1_001),
                (far, 2, 1_002),
                (far + 1, 3, 1_003),
                (1_004, 4, 1_004),
                (far + 70, 70, 1_070),
                (1_071, 71, 1_071),
            ]);
        }
    }

    #[test]
    fn a_clock_that_stays_where_it_jumped_is_believed_after_a_minute() {
        check(&[
            (9_001, 1, 1_001),
            (9_060, 60, 1_060),
            (9_061, 61, 1_061),
            (9_062, 62, 9_062),
            (9_063, 63, 9_063),
        ]);
    }

    #[test]
    fn the_wall_clock_is_the_time_of_day() {
        let (before, now, after) = (wall_now(), Clock::Wall.now().0, wall_now());
        assert!(now >= before - SECOND && now <= after + SECOND);
    }
}
