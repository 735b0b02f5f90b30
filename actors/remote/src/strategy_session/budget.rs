//! What a live strategy may use up before it is stopped.

use apex_domain::UnixNanos;
use apex_domain::time::NANOS_PER_SECOND;
use std::collections::VecDeque;

/// Limits of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBudget {
    /// Batches under way. Two keep a strategy busy while its last answer travels; more would only
    /// let it decide on older data.
    pub window: u32,
    /// Longest time from a batch to its answer. A strategy that decides on every quote has
    /// microseconds; two seconds are a debugger, a swap storm or a loop without end.
    pub answer_timeout_ns: i64,
    /// Commands in one batch. A grid over many instruments needs hundreds.
    pub commands_per_batch: usize,
    /// Orders and amends within any second. Below what an account takes, so that one strategy
    /// cannot use up the account's own limit.
    pub orders_per_second: usize,
    /// Messages within any second, answers to batches apart.
    pub messages_per_second: usize,
    /// Without any message for this long the client is gone. It says something each 5 s.
    pub silence_ns: i64,
}

impl Default for SessionBudget {
    fn default() -> SessionBudget {
        SessionBudget {
            window: 2,
            answer_timeout_ns: 2 * NANOS_PER_SECOND,
            commands_per_batch: 1_000,
            orders_per_second: 500,
            messages_per_second: 1_000,
            silence_ns: 20 * NANOS_PER_SECOND,
        }
    }
}

/// What a session uses of its budget at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionUsage {
    pub orders_in_last_second: usize,
    pub messages_in_last_second: usize,
    pub unanswered_batches: usize,
    /// For how long the oldest of them is not answered; zero where there is none.
    pub oldest_unanswered_ns: i64,
    pub budget: SessionBudget,
}

/// Counts what happened within the last second, at most `limit` of it.
#[derive(Debug)]
pub struct PerSecond {
    limit: usize,
    times: VecDeque<UnixNanos>,
}

impl PerSecond {
    pub fn new(limit: usize) -> PerSecond {
        PerSecond {
            limit,
            times: VecDeque::new(),
        }
    }

    /// Returns what happened within the last second.
    pub fn count(&self, now: UnixNanos) -> usize {
        let is_old = |past: &&UnixNanos| now.since(**past) >= NANOS_PER_SECOND;
        self.times.len() - self.times.iter().take_while(is_old).count()
    }

    /// Counts one more; false when it is one too many.
    pub fn take(&mut self, now: UnixNanos) -> bool {
        while self
            .times
            .front()
            .is_some_and(|past| now.since(*past) >= NANOS_PER_SECOND)
        {
            self.times.pop_front();
        }
        if self.times.len() >= self.limit {
            return false;
        }
        self.times.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_second_counts() {
        let mut rate = PerSecond::new(2);
        let at = |ms: i64| UnixNanos(ms * 1_000_000);
        assert!(rate.take(at(0)));
        assert!(rate.take(at(999)));
        assert!(!rate.take(at(999)));
        assert!(rate.take(at(1_000)), "the first is a second old");
        assert!(!rate.take(at(1_001)));
        assert!(rate.take(at(2_500)));
        assert_eq!(rate.count(at(2_500)), 1);
        assert_eq!(rate.count(at(3_499)), 1);
        assert_eq!(rate.count(at(3_500)), 0);
    }
}
