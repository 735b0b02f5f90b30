//! How often a login may fail.

use super::SECOND;
use serde::{Deserialize, Serialize};

/// Failures are forgotten after an hour without one.
const MEMORY_NS: i64 = 3_600 * SECOND;

/// How many failures are free, and how long the longest wait behind them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub failures: u32,
    pub longest_ns: i64,
}

impl Allowed {
    /// One name from one network: a person mistypes a few times; who guesses gets four tries an hour.
    pub const HERE: Allowed = Allowed {
        failures: 5,
        longest_ns: 900 * SECOND,
    };

    /// One name from everywhere: many networks that guess together. The wait is short, since it keeps
    /// the user itself out too.
    pub const EVERYWHERE: Allowed = Allowed {
        failures: 50,
        longest_ns: 30 * SECOND,
    };
}

/// Failed logins of one name. A name that nobody has is counted as one that somebody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tries {
    pub failures: u32,
    pub last_ns: i64,
    /// No try is looked at before.
    pub until_ns: i64,
}

impl Tries {
    /// Returns for how long a try is not looked at, in nanoseconds.
    pub fn wait_ns(&self, now_ns: i64) -> Option<i64> {
        let wait = self.until_ns.saturating_sub(now_ns);
        // A clock that was set back by days must not lock a user out for as long.
        (wait > 0 && wait <= MEMORY_NS).then_some(wait)
    }

    /// Returns the tries after one more failure. Behind the free ones each failure doubles the wait,
    /// from one second on.
    #[must_use]
    pub fn failed(&self, allowed: Allowed, now_ns: i64) -> Tries {
        let failures = if self.is_over(now_ns) {
            0
        } else {
            self.failures
        };
        let failures = failures.saturating_add(1);
        let beyond = failures.saturating_sub(allowed.failures);
        let wait_ns = match beyond {
            0 => 0,
            // 2^31 s is longer than any longest wait.
            beyond => (SECOND << (beyond - 1).min(31)).min(allowed.longest_ns),
        };
        Tries {
            failures,
            last_ns: now_ns,
            until_ns: now_ns.saturating_add(wait_ns),
        }
    }

    /// Returns true when nothing of it counts any more.
    pub fn is_over(&self, now_ns: i64) -> bool {
        now_ns.saturating_sub(self.last_ns) >= MEMORY_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_free_tries_each_failure_doubles_the_wait() {
        let mut tries = Tries::default();
        let mut waits = Vec::new();
        for _ in 0..18 {
            tries = tries.failed(Allowed::HERE, MEMORY_NS);
            waits.push(tries.wait_ns(MEMORY_NS).unwrap_or(0) / SECOND);
        }
        assert_eq!(waits[..5], [0; 5]);
        assert_eq!(waits[5..11], [1, 2, 4, 8, 16, 32]);
        assert_eq!(waits[15..], [900; 3]);
        assert_eq!(tries.wait_ns(MEMORY_NS + 900 * SECOND), None);
        let mut many = Tries {
            failures: u32::MAX,
            ..tries
        };
        many = many.failed(Allowed::EVERYWHERE, MEMORY_NS);
        assert_eq!(many.wait_ns(MEMORY_NS), Some(30 * SECOND));
    }

    #[test]
    fn failures_are_forgotten_after_an_hour() {
        let tries = Tries {
            failures: 10,
            last_ns: 0,
            until_ns: 0,
        };
        assert_eq!(tries.failed(Allowed::HERE, MEMORY_NS - 1).failures, 11);
        assert_eq!(tries.failed(Allowed::HERE, MEMORY_NS).failures, 1);
        let ahead = Tries {
            until_ns: 100 * MEMORY_NS,
            ..tries
        };
        assert_eq!(ahead.wait_ns(0), None, "a clock was set back");
    }
}
