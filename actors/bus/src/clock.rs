//! The one place where a shell gets the time from.

use apex_domain::UnixNanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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
            // Before 1970 or after 2262 no machine of ours runs: zero shows that at once.
            Clock::Wall => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| i64::try_from(since.as_nanos()).ok())
                .map_or(UnixNanos(0), UnixNanos),
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
