//! What is to be said of something that fails again and again: once that it does, then a line a
//! minute, then that it works again.

use std::time::{Duration, Instant};

/// How often it is said that it still fails: an outage of a night is some hundred lines.
const SUMMARY: Duration = Duration::from_secs(60);

/// Counts failures in a row. Time is an argument.
#[derive(Debug, Default)]
pub struct Outage(Option<Failing>);

#[derive(Debug)]
struct Failing {
    since: Instant,
    told: Instant,
    failures: u64,
}

/// What a line of a log says of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// Attempts that failed since it began, at least 1.
    pub failures: u64,
    /// Since the first of them.
    pub seconds: u64,
}

impl Outage {
    /// Notes a failure, and returns what is to be said where a line is due: of the first one, and
    /// once a minute.
    pub fn failed(&mut self, now: Instant) -> Option<Lasting> {
        let failing = self.0.get_or_insert(Failing {
            since: now,
            told: now,
            failures: 0,
        });
        failing.failures += 1;
        if failing.failures > 1 && now < failing.told + SUMMARY {
            return None;
        }
        failing.told = now;
        Some(failing.lasting(now))
    }

    /// Notes that it works, and returns what was; `None` where nothing had failed.
    pub fn over(&mut self, now: Instant) -> Option<Lasting> {
        self.0.take().map(|failing| failing.lasting(now))
    }
}

impl Failing {
    fn lasting(&self, now: Instant) -> Lasting {
        Lasting {
            failures: self.failures,
            seconds: now.saturating_duration_since(self.since).as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_then_each_minute_then_that_it_is_over() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let lasting = |failures, seconds| Some(Lasting { failures, seconds });
        assert_eq!(outage.over(at(0)), None);
        assert_eq!(outage.failed(at(0)), lasting(1, 0));
        let told: Vec<_> = (1..=150)
            .filter_map(|second| outage.failed(at(second)))
            .collect();
        assert_eq!(
            told,
            [lasting(61, 60), lasting(121, 120)].map(Option::unwrap)
        );
        assert_eq!(outage.over(at(151)), lasting(151, 151));
        assert_eq!(outage.over(at(152)), None);
        assert_eq!(outage.failed(at(153)), lasting(1, 0), "and again");
    }
}
