//! What strategies log, for who watches them: bounded, with what is left out counted.

use super::sessions::Key;
use apex_bus::clock::Clock;
use apex_bus::strategies::{LogLine, StrategyEvent, StrategyEventKind, StrategyEvents};
use apex_domain::UnixNanos;
use apex_domain::time::NANOS_PER_SECOND;
use std::sync::{Mutex, PoisonError};

/// Lines of one strategy in one second that are told. A person reads fewer; one that floods would
/// push what happens to others out of what is kept. The log of the process has them all.
const LINES_PER_SECOND: u64 = 20;

#[derive(Debug, Default)]
struct Second {
    began: UnixNanos,
    told: u64,
    left_out: u64,
}

impl Second {
    /// Returns whether a line is told, and how many before it were not.
    fn take(&mut self, now: UnixNanos) -> (bool, u64) {
        let mut left_out = 0;
        if now.since(self.began) >= NANOS_PER_SECOND || now < self.began {
            left_out = std::mem::take(&mut self.left_out);
            self.began = now;
            self.told = 0;
        }
        let is_told = self.told < LINES_PER_SECOND;
        if is_told {
            self.told += 1;
        } else {
            self.left_out += 1;
        }
        (is_told, left_out)
    }
}

/// The lines of one strategy.
pub struct Chatter {
    events: StrategyEvents,
    clock: Clock,
    second: Mutex<Second>,
}

impl Chatter {
    pub fn new(events: StrategyEvents, clock: Clock) -> Chatter {
        Chatter {
            events,
            clock,
            second: Mutex::default(),
        }
    }

    pub fn says(&self, key: &Key, line: LogLine, text: &str) {
        let ts = self.clock.now();
        let (is_told, lines) = {
            let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
            second.take(ts)
        };
        let event = |kind, text: &str| StrategyEvent {
            sequence: 0,
            ts,
            account_id: key.0.clone(),
            strategy_id: key.1.clone(),
            kind,
            by: String::new(),
            text: text.to_owned(),
        };
        if lines > 0 {
            let text = format!("{lines} lines were left out: the log of the platform has them");
            self.events
                .push(event(StrategyEventKind::LogCut { lines }, &text));
        }
        if is_told {
            self.events.push(event(StrategyEventKind::Log(line), text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_what_is_missing_is_told() {
        let mut second = Second::default();
        let at = |ms: i64| UnixNanos(5 * NANOS_PER_SECOND + ms * 1_000_000);
        for n in 0..LINES_PER_SECOND {
            assert_eq!(second.take(at(n as i64)), (true, 0));
        }
        assert_eq!(second.take(at(500)), (false, 0));
        assert_eq!(second.take(at(999)), (false, 0));
        assert_eq!(second.take(at(1_000)), (true, 2));
        assert_eq!(second.take(at(1_001)), (true, 0));
        // A clock that was set back begins a new second.
        assert_eq!(second.take(at(-9_000)), (true, 0));
    }
}
