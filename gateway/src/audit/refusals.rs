//! How many refused calls are recorded.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Refusals that are recorded within one [`WINDOW`]: a person who mistypes is far below, and one who
/// tries keys fills 2 GiB in a year.
const RECORDED: u32 = 100;

const WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    recorded: u32,
    unrecorded: u64,
}

impl Refusals {
    /// Returns how many refusals before this one were left out, when this one is to be recorded.
    pub fn take(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = window
            .begun
            .is_none_or(|begun| now.duration_since(begun) >= WINDOW);
        if is_over {
            window.begun = Some(now);
            window.recorded = 0;
        }
        if window.recorded == RECORDED {
            window.unrecorded += 1;
            return None;
        }
        window.recorded += 1;
        Some(std::mem::take(&mut window.unrecorded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_by_the_next_that_is_not() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        for _ in 0..RECORDED {
            assert_eq!(refusals.take(begun), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(refusals.take(begun + WINDOW / 2), None);
        }
        assert_eq!(refusals.take(begun + WINDOW), Some(7));
        assert_eq!(refusals.take(begun + WINDOW), Some(0));
    }
}
