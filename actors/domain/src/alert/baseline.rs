//! What an account's day and its fall are measured from.

use crate::money::Money;
use crate::time::{NANOS_PER_DAY, UnixNanos};
use serde::{Deserialize, Serialize};

/// The equity at the start of the day, and the highest one. Days end at 00:00 UTC. What is paid in or
/// out moves both by as much: it is no profit and no loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub day: UnixNanos,
    pub day_start: Money,
    pub highest: Money,
    /// The equity that was seen last.
    pub last: Money,
}

impl Baseline {
    /// Returns the first one of an account.
    pub fn begin(now: UnixNanos, equity: Money) -> Baseline {
        Baseline {
            day: day_of(now),
            day_start: equity,
            highest: equity,
            last: equity,
        }
    }

    /// Takes an equity over, all of which is known. With `paid`, money was paid in or out since the
    /// one before: the whole difference to that counts as paid, for the marks move little meanwhile
    /// and a rate of what was paid may not be known.
    #[must_use]
    pub fn next(self, now: UnixNanos, equity: Money, paid: bool) -> Baseline {
        let mut next = self;
        if paid && let Ok(amount) = equity.checked_sub(self.last) {
            let moved = |sum: Money| sum.checked_add(amount).unwrap_or(sum);
            next.day_start = moved(next.day_start);
            next.highest = moved(next.highest);
        }
        let day = day_of(now);
        // A clock that was set back opens no day a second time.
        if day > next.day {
            (next.day, next.day_start) = (day, equity);
        }
        next.highest = next.highest.max(equity);
        next.last = equity;
        next
    }
}

fn day_of(now: UnixNanos) -> UnixNanos {
    UnixNanos(now.0.div_euclid(NANOS_PER_DAY) * NANOS_PER_DAY)
}
