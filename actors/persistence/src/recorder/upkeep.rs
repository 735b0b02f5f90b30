//! What stored market data needs beside being written.

use super::Retention;
use apex_domain::UnixNanos;
use apex_storage::port::series::{DAY_NS, Kind};
use apex_storage::{Series, StorageError};
use std::sync::Arc;

/// Hours are counted since 1970. What is in use is left as it is, and tried again the next one.
const HOUR_NS: i64 = DAY_NS / 24;

/// Brings roll-ups up to date, makes room for the days to come and forgets old ones. It needs nothing
/// of a [`super::Keeper`] and goes on beside it, so that no row waits for a roll-up.
pub struct Upkeep {
    series: Arc<dyn Series>,
    retention: Retention,
    /// The hour that days were last settled in.
    maintained: Option<i64>,
}

impl std::fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upkeep")
            .field("retention", &self.retention)
            .field("maintained", &self.maintained)
            .finish_non_exhaustive()
    }
}

impl Upkeep {
    pub fn new(series: Arc<dyn Series>, retention: Retention) -> Upkeep {
        Upkeep {
            series,
            retention,
            maintained: None,
        }
    }

    /// Brings roll-ups up to date and, once an hour, makes room for the next and forgets what is older
    /// than it is kept for. Blocking.
    ///
    /// Errors: those of the series; the next call goes on.
    pub fn run(&mut self, now: UnixNanos) -> Result<(), StorageError> {
        self.series.roll_up()?;
        let (day, hour) = (now.0.div_euclid(DAY_NS), now.0.div_euclid(HOUR_NS));
        if self.maintained == Some(hour) {
            return Ok(());
        }
        self.series.maintain(now)?;
        for (kind, days) in [
            (Kind::Trades, self.retention.trades),
            (Kind::Quotes, self.retention.quotes),
            (Kind::Bars, self.retention.bars),
        ] {
            if days > 0 {
                let before = UnixNanos((day - i64::from(days)) * DAY_NS);
                let forgotten = self.series.forget(kind, before)?;
                if forgotten > 0 {
                    tracing::info!(
                        ?kind,
                        forgotten,
                        "days of recorded market data were forgotten"
                    );
                }
            }
        }
        self.maintained = Some(hour);
        Ok(())
    }
}
