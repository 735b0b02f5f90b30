//! How often and how fast a shell is restarted. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

/// How a restarted shell is treated: the pause doubles with each failure within the window, and
/// one failure too many within it is quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure within the window.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Restarts within the window; the failure after that many is quarantine.
    pub restarts: u32,
    /// How long a failure counts.
    pub window: Duration,
}

impl Default for Backoff {
    /// Five restarts within a minute, after 100 ms, 200 ms, 400 ms, 800 ms and 1.6 s: a feed
    /// survives a venue's hiccup, and a shell that fails on every start is out in three seconds.
    fn default() -> Self {
        Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            restarts: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    RestartAfter(Duration),
    Quarantine,
}

/// The failures of one shell that still count, oldest first; at most `restarts + 1` of them.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<Duration>);

impl Failures {
    /// Notes a failure at `now`, a time since any fixed moment, and judges it.
    pub(super) fn note(&mut self, now: Duration, backoff: &Backoff) -> Verdict {
        while self
            .0
            .front()
            .is_some_and(|past| now.saturating_sub(*past) >= backoff.window)
        {
            self.0.pop_front();
        }
        self.0.push_back(now);
        let earlier = self.0.len() as u32 - 1;
        if earlier >= backoff.restarts {
            return Verdict::Quarantine;
        }
        let pause = backoff.first.saturating_mul(2_u32.saturating_pow(earlier));
        Verdict::RestartAfter(pause.min(backoff.longest))
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_millis(350),
        restarts: 4,
        window: Duration::from_secs(10),
    };

    /// Failures at the given seconds, judged to the given pauses in ms (`None`: quarantine).
    fn check(at: &[u64], expected: &[Option<u64>]) {
        let mut failures = Failures::default();
        let judged: Vec<_> = at
            .iter()
            .map(
                |at| match failures.note(Duration::from_secs(*at), &BACKOFF) {
                    Verdict::RestartAfter(pause) => Some(pause.as_millis() as u64),
                    Verdict::Quarantine => None,
                },
            )
            .collect();
        assert_eq!(judged, expected);
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_then_comes_quarantine() {
        check(
            &[0, 1, 2, 3, 4],
            &[Some(100), Some(200), Some(350), Some(350), None],
        );
    }

    #[test]
    fn a_failure_outside_the_window_does_not_count() {
        check(
            &[0, 1, 9, 10, 11],
            &[Some(100), Some(200), Some(350), Some(350), Some(350)],
        );
        check(&[0, 10, 20, 30, 40, 50], &[Some(100); 6]);
    }

    #[test]
    fn no_restarts_means_quarantine_at_once() {
        let never = Backoff {
            restarts: 0,
            ..BACKOFF
        };
        assert_eq!(
            Failures::default().note(Duration::ZERO, &never),
            Verdict::Quarantine
        );
    }
}
