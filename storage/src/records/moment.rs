//! What time it is for who holds a lease.

use std::time::{Duration, Instant, SystemTime};

/// A moment of this machine by two clocks: one that nobody sets and that stands still while the machine
/// sleeps, and one that goes on then and that may be set. Time is up when either says so.
///
/// Neither knows of a machine that its hypervisor has stopped before its clock is set right behind it:
/// the store still refuses all writes of an owner that was replaced meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the clock that nobody sets.
    pub steady: Instant,
    /// By the clock that goes on while the machine sleeps.
    pub clock: SystemTime,
}

impl Moment {
    /// Returns this moment.
    pub fn now() -> Moment {
        Moment {
            steady: Instant::now(),
            clock: SystemTime::now(),
        }
    }

    /// Returns the moment so much later; `None` where no clock goes that far.
    pub fn after(self, time: Duration) -> Option<Moment> {
        Some(Moment {
            steady: self.steady.checked_add(time)?,
            clock: self.clock.checked_add(time)?,
        })
    }

    /// Returns whether both clocks stand before another moment.
    pub fn is_before(self, other: Moment) -> bool {
        self.steady < other.steady && self.clock < other.clock
    }
}
