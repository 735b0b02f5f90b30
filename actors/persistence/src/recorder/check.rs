//! Stored bars beside those that the engine makes of their trades, a settled day at a time.

use apex_domain::UnixNanos;
use apex_storage::compare::{Comparison, Pace, compare_bars};
use apex_storage::port::series::{DAY_NS, SETTLED_AFTER_NS, TimeRange};
use apex_storage::{Series, StorageError};
use std::sync::Arc;

/// Days that are gone through at most when some were not: behind a clock that was wrong by years,
/// or a process that stood still.
const MOST_DAYS: i64 = 30;

/// Compares each day once it has settled, and knows which was the last. A process begins with the
/// day before.
pub struct BarCheck {
    series: Arc<dyn Series>,
    /// Since 1970.
    last_day: Option<i64>,
}

impl std::fmt::Debug for BarCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BarCheck")
            .field("last_day", &self.last_day)
            .finish_non_exhaustive()
    }
}

impl BarCheck {
    pub fn new(series: Arc<dyn Series>) -> BarCheck {
        BarCheck {
            series,
            last_day: None,
        }
    }

    /// Returns the day to compare now, counted from 1970 on; `None` while there is none.
    pub fn due(&self, now: UnixNanos) -> Option<i64> {
        let settled = now.0.saturating_sub(SETTLED_AFTER_NS).div_euclid(DAY_NS) - 1;
        match self.last_day {
            None => Some(settled),
            Some(last) if last < settled => Some((last + 1).max(settled - MOST_DAYS + 1)),
            Some(_) => None,
        }
    }

    /// Compares a day of all instruments, and says what differs. Blocking. `None` when the pace said
    /// not to go on.
    ///
    /// Errors: those of the series; the day is due still.
    pub fn compare(
        &mut self,
        day: i64,
        pace: &dyn Pace,
    ) -> Result<Option<Comparison>, StorageError> {
        let range = TimeRange {
            from: UnixNanos(day.saturating_mul(DAY_NS)),
            to: UnixNanos((day + 1).saturating_mul(DAY_NS)),
        };
        let mut found = Comparison::default();
        for id in self.series.instruments()? {
            match compare_bars(&*self.series, &id, range, pace)? {
                Some(of_one) => found.add(of_one),
                None => return Ok(None),
            }
        }
        self.last_day = Some(day);
        match &found.first {
            Some(first) => tracing::error!(
                day,
                compared = found.compared,
                differ = found.differ,
                %first,
                "stored bars differ from those that the engine makes of their trades: see \
                 `apextrade bars check`"
            ),
            None => tracing::info!(
                day,
                compared = found.compared,
                "stored bars equal those that the engine makes of their trades"
            ),
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::tests::{Loses, instrument, trade};
    use apex_storage::compare::AtOnce;
    use apex_storage::port::series::{Decimals, TradeRow};

    use std::sync::atomic::Ordering::Relaxed;

    const HOUR: i64 = 3_600_000_000_000;

    fn filled() -> (Arc<Loses>, BarCheck) {
        let series = Arc::new(Loses::new(0));
        for symbol in ["A", "B"] {
            let one = instrument(symbol);
            let id = &one.instrument_id;
            let (price, quantity) = (1, 0);
            series.declare(id, Decimals { price, quantity }).unwrap();
            let rows: Vec<TradeRow> = (1..=50)
                .map(|n| TradeRow::of(n, &trade(&one, n as i64, 5 * DAY_NS + n as i64 * HOUR)))
                .collect();
            series.write_trades(id, &rows).unwrap();
        }
        let check = BarCheck::new(series.clone());
        (series, check)
    }

    #[test]
    fn a_day_is_due_once_an_hour_after_its_end_and_none_is_left_out() {
        let (_, mut check) = filled();
        let at = |day: i64, hour: i64| UnixNanos(day * DAY_NS + hour * HOUR);
        assert_eq!(check.due(at(6, 0)), Some(4), "day 5 has not settled");
        assert_eq!(check.due(at(6, 1)), Some(5));
        let found = check.compare(5, &AtOnce).unwrap().unwrap();
        // 23 hours of two instruments with a print each: 23 bars of 1m, 5m and 1h, and the day's.
        assert_eq!((found.compared, found.differ), (2 * (3 * 23 + 1), 0));
        assert_eq!(check.due(at(6, 23)), None);
        assert_eq!(check.due(at(7, 0)), None);
        assert_eq!(check.due(at(9, 1)), Some(6));
        assert_eq!(check.due(at(600, 1)), Some(570), "a month at most");
    }

    #[test]
    fn bars_that_differ_are_counted_over_all_instruments() {
        let (series, mut check) = filled();
        series.exaggerates.store(true, Relaxed);
        let found = check.compare(5, &AtOnce).unwrap().unwrap();
        assert_eq!((found.compared, found.differ), (2 * (3 * 23 + 1), 2 * 23));
        let first = found.first.unwrap();
        let expected = format!(
            "A.SIM 1m bar that opens at {} ns: trade_count is 2 as stored, 1 by its trades",
            5 * DAY_NS + HOUR
        );
        assert_eq!(first.to_string(), expected);
        // It was gone through: who mends it checks it with the command.
        assert_eq!(check.due(UnixNanos(6 * DAY_NS + HOUR)), None);
    }

    struct Stopped;

    impl Pace for Stopped {
        fn goes_on(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_day_that_could_not_be_compared_is_due_still() {
        let (series, mut check) = filled();
        let now = UnixNanos(6 * DAY_NS + HOUR);
        series.lose(1);
        assert!(check.compare(5, &AtOnce).is_err());
        assert_eq!(check.due(now), Some(5));
        assert_eq!(check.compare(5, &Stopped).unwrap(), None);
        assert_eq!(check.due(now), Some(5));
        assert!(check.compare(5, &AtOnce).unwrap().is_some());
        assert_eq!(check.due(now), None);
    }
}
