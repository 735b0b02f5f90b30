//! Points in time, as nanoseconds.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00 UTC, without leap seconds. Range: years 1677 to 2262.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixNanos(pub i64);

pub const NANOS_PER_MICRO: i64 = 1_000;
pub const NANOS_PER_MILLI: i64 = 1_000_000;
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// A day of 24 hours, as UTC has them.
pub const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

impl UnixNanos {
    /// Before everything that a venue can report; used where "none yet" must order first.
    pub const MIN: UnixNanos = UnixNanos(i64::MIN);

    /// Returns the point `millis` milliseconds after the epoch, or `None` when it does not fit.
    pub fn from_millis(millis: i64) -> Option<UnixNanos> {
        millis.checked_mul(NANOS_PER_MILLI).map(UnixNanos)
    }

    /// Returns whole milliseconds since the epoch, rounded towards the past.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// Returns `self - earlier` in nanoseconds; negative when `earlier` is the later one, which
    /// happens with real venue clocks. Saturates at the range of `i64`.
    pub fn since(self, earlier: UnixNanos) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the point `nanos` later, saturating at the range of `i64`.
    #[must_use]
    pub fn plus(self, nanos: i64) -> UnixNanos {
        UnixNanos(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
