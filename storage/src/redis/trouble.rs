//! Whether what is written arrives, without saying so at each value.

use std::time::{Duration, Instant};

/// How long nothing may have failed until all counts as well again. A full server takes some values
/// whenever others expire, and a frozen one what stood in its socket: without this it would be well
/// and ill several times a second. Longer than the longest pause between two attempts.
const CALM: Duration = Duration::from_secs(3);

/// What is wrong, and since when it last was.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<(String, Instant)>);

impl Trouble {
    /// Notes a failure. Returns true when it is the first.
    pub fn failed(&mut self, now: Instant, reason: &str) -> bool {
        let was_well = self.0.is_none();
        self.0 = Some((reason.to_owned(), now));
        was_well
    }

    /// Notes that something arrived. Returns true when that ends the trouble.
    pub fn succeeded(&mut self, now: Instant) -> bool {
        let is_over = self.0.as_ref().is_some_and(|(_, last)| now >= *last + CALM);
        if is_over {
            self.0 = None;
        }
        is_over
    }

    /// Returns the last reason; `None` when all is well.
    pub fn reason(&self) -> Option<&str> {
        self.0.as_ref().map(|(reason, _)| reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_and_over_when_nothing_has_failed_for_a_while() {
        let (start, mut trouble) = (Instant::now(), Trouble::default());
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert!(!trouble.succeeded(at(0)), "there was none");
        assert!(trouble.failed(at(1), "OOM"));
        for round in 0..10 {
            assert!(!trouble.succeeded(at(100 * round + 50)));
            assert!(!trouble.failed(at(100 * round + 100), "READONLY"));
            assert_eq!(trouble.reason(), Some("READONLY"), "the last");
        }
        assert!(!trouble.succeeded(at(3_999)));
        assert!(trouble.succeeded(at(4_000)));
        assert_eq!(trouble.reason(), None);
        assert!(!trouble.succeeded(at(9_000)), "told once");
        assert!(trouble.failed(at(9_001), "OOM"), "and again");
    }
}
