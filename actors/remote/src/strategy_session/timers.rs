//! Timers of one session.

use super::commands::NotTaken;
use super::events::Happening;
use apex_domain::UnixNanos;
use apex_domain::time::NANOS_PER_MILLI;
use apex_proto::v1;
use std::collections::BTreeMap;

/// Timers that may wait, as in a backtest.
const WAITING: usize = 10_000;
const NAME_BYTES: usize = 256;
/// The shortest interval: a faster clock would be a flood.
const MIN_INTERVAL_NS: i64 = NANOS_PER_MILLI;

#[derive(Clone, Copy, Debug)]
struct Timer {
    due: UnixNanos,
    interval_ns: i64,
}

/// Timers by name; the same name replaces.
#[derive(Debug, Default)]
pub struct Timers {
    waiting: BTreeMap<String, Timer>,
}

impl Timers {
    pub fn set(&mut self, now: UnixNanos, wire: v1::SetTimer) -> Result<(), NotTaken> {
        let invalid = |field: &str, reason: String| NotTaken {
            code: "INVALID_FIELD",
            field: field.into(),
            reason,
        };
        if wire.name.len() > NAME_BYTES {
            let reason = format!("has more than {NAME_BYTES} bytes");
            return Err(invalid("name", reason));
        }
        if wire.interval_ns != 0 && wire.interval_ns < MIN_INTERVAL_NS {
            let reason = format!("is below {MIN_INTERVAL_NS}");
            return Err(invalid("interval_ns", reason));
        }
        if self.waiting.len() >= WAITING && !self.waiting.contains_key(&wire.name) {
            return Err(NotTaken::new("BUDGET", format!("{WAITING} timers wait")));
        }
        // An hour of a missed clock must not fire at once, interval by interval.
        let due = match wire.interval_ns {
            0 => UnixNanos(wire.ts_due_ns),
            _ => UnixNanos(wire.ts_due_ns).max(now),
        };
        let interval_ns = wire.interval_ns;
        self.waiting.insert(wire.name, Timer { due, interval_ns });
        Ok(())
    }

    pub fn cancel(&mut self, name: &str) {
        self.waiting.remove(name);
    }

    /// Returns when the next one is due.
    pub fn next(&self) -> Option<UnixNanos> {
        self.waiting.values().map(|timer| timer.due).min()
    }

    /// Takes out what is due, earliest first. A repeating one fires once however much was missed.
    pub fn due(&mut self, now: UnixNanos) -> Vec<Happening> {
        if self.next().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut fired = Vec::new();
        self.waiting.retain(|name, timer| {
            if timer.due > now {
                return true;
            }
            fired.push((timer.due, name.clone()));
            if timer.interval_ns == 0 {
                return false;
            }
            let missed = now.since(timer.due) / timer.interval_ns;
            timer.due = timer.due.plus(timer.interval_ns.saturating_mul(missed + 1));
            true
        });
        fired.sort();
        let happening = |(due, name)| Happening::Timer { name, due };
        fired.into_iter().map(happening).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(timers: &mut Timers, name: &str, due: i64, interval_ns: i64) {
        let wire = v1::SetTimer {
            name: name.into(),
            ts_due_ns: due,
            interval_ns,
        };
        timers.set(UnixNanos(0), wire).unwrap();
    }

    fn due(timers: &mut Timers, now: i64) -> Vec<(String, i64)> {
        let fired = timers.due(UnixNanos(now)).into_iter();
        let pair = |happening| match happening {
            Happening::Timer { name, due } => (name, due.0),
            other => panic!("{other:?}"),
        };
        fired.map(pair).collect()
    }

    #[test]
    fn timers_fire_in_order_of_time_and_once() {
        let mut timers = Timers::default();
        set(&mut timers, "b", 20, 0);
        set(&mut timers, "a", 30, 0);
        set(&mut timers, "c", 40, 0);
        assert_eq!(due(&mut timers, 19), []);
        assert_eq!(due(&mut timers, 30), [("b".into(), 20), ("a".into(), 30)]);
        assert_eq!(timers.next(), Some(UnixNanos(40)));
        timers.cancel("c");
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_repeating_timer_fires_once_for_all_that_was_missed() {
        let mut timers = Timers::default();
        set(&mut timers, "t", 1_000_000, 1_000_000);
        assert_eq!(due(&mut timers, 3_500_000), [("t".into(), 1_000_000)]);
        assert_eq!(timers.next(), Some(UnixNanos(4_000_000)));
    }

    #[test]
    fn a_flood_of_timers_is_refused() {
        let mut timers = Timers::default();
        let wire = v1::SetTimer {
            interval_ns: 1,
            ..Default::default()
        };
        let refused = timers.set(UnixNanos(0), wire).unwrap_err();
        assert_eq!(
            (refused.code, refused.field.as_str()),
            ("INVALID_FIELD", "interval_ns")
        );
        for n in 0..WAITING {
            set(&mut timers, &n.to_string(), 5, 0);
        }
        let one_more = v1::SetTimer::default();
        assert_eq!(
            timers.set(UnixNanos(0), one_more).unwrap_err().code,
            "BUDGET"
        );
        set(&mut timers, "7", 6, 0);
    }
}
