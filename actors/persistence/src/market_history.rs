//! Recorded market data, read in parts.

use crate::recorder::Retention;
use apex_bus::market_history::{MarketHistory, MarketHistoryError, Part, Place, Span};
use apex_domain::market::{Bar, BarSpec, Quote, Trade};
use apex_domain::{InstrumentId, UnixNanos};
use apex_storage::port::series::{BarRow, QuoteRow, RollUp, Rows, TimeRange, TradeRow};
use apex_storage::{Series, StorageError};
use std::sync::{Arc, Weak};

/// Reads what a [`Keeper`](crate::recorder::Keeper) writes.
pub struct SeriesHistory {
    /// Who watches a node outlives it, and must not keep its data folder locked.
    series: Weak<dyn Series>,
    retention: Retention,
}

impl std::fmt::Debug for SeriesHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesHistory").finish_non_exhaustive()
    }
}

impl SeriesHistory {
    /// Reads a series for as long as its owner has it.
    pub fn new(series: &Arc<dyn Series>, retention: Retention) -> SeriesHistory {
        SeriesHistory {
            series: Arc::downgrade(series),
            retention,
        }
    }

    fn series(&self) -> Result<Arc<dyn Series>, MarketHistoryError> {
        let ending = || MarketHistoryError::Unreadable("the process is ending".to_owned());
        self.series.upgrade().ok_or_else(ending)
    }

    fn roll_up(&self, spec: BarSpec) -> Option<RollUp> {
        let BarSpec::Time { interval_ns } = spec else {
            return None;
        };
        if self.retention.trades == 0 {
            return None;
        }
        let mut all = RollUp::ALL.into_iter();
        all.find(|one| one.interval_ns() == interval_ns)
    }
}

impl MarketHistory for SeriesHistory {
    fn trades(&self, id: &InstrumentId, span: Span) -> Result<Part<Trade>, MarketHistoryError> {
        recorded("trades", "APEX_RECORD_TRADES_DAYS", self.retention.trades)?;
        let rows = self.series()?.trades(id, range(span)).map_err(unreadable)?;
        let place = |row: &TradeRow| Place {
            ts: row.ts_event,
            sequence: row.sequence,
        };
        part(rows, span, place, |row| row.trade(id))
    }

    fn quotes(&self, id: &InstrumentId, span: Span) -> Result<Part<Quote>, MarketHistoryError> {
        recorded("quotes", "APEX_RECORD_QUOTES_DAYS", self.retention.quotes)?;
        let rows = self.series()?.quotes(id, range(span)).map_err(unreadable)?;
        let place = |row: &QuoteRow| Place {
            ts: row.ts_event,
            sequence: row.sequence,
        };
        part(rows, span, place, |row| row.quote(id))
    }

    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        span: Span,
    ) -> Result<Part<Bar>, MarketHistoryError> {
        let rows = match (self.roll_up(spec), spec) {
            (Some(roll_up), _) => self.series()?.rolled(id, roll_up, range(span)),
            (None, BarSpec::Time { interval_ns }) if self.retention.trades > 0 => {
                return Err(MarketHistoryError::NoSuchBars { interval_ns });
            }
            (None, _) => {
                recorded("bars", "APEX_RECORD_BARS_DAYS", self.retention.bars)?;
                self.series()?.bars(id, spec, range(span))
            }
        };
        let place = |row: &BarRow| Place {
            ts: row.ts_open,
            sequence: row.sequence,
        };
        part(rows.map_err(unreadable)?, span, place, |row| {
            row.bar(id, spec)
        })
    }
}

fn recorded(
    what: &'static str,
    setting: &'static str,
    days: u16,
) -> Result<(), MarketHistoryError> {
    match days {
        0 => Err(MarketHistoryError::NotRecorded { what, setting }),
        _ => Ok(()),
    }
}

fn range(span: Span) -> TimeRange {
    let after = span.after.map_or(UnixNanos::MIN, |place| place.ts);
    TimeRange {
        from: span.from.max(after),
        to: span.to,
    }
}

fn unreadable(error: StorageError) -> MarketHistoryError {
    MarketHistoryError::Unreadable(error.to_string())
}

/// Takes up to the limit of what lies behind the span's place.
fn part<T, U>(
    rows: Rows<T>,
    span: Span,
    place: impl Fn(&T) -> Place,
    value: impl Fn(&T) -> U,
) -> Result<Part<U>, MarketHistoryError> {
    let (mut found, mut last) = (Vec::new(), None);
    for row in rows {
        let row = row.map_err(unreadable)?;
        if span.after.is_some_and(|after| place(&row) <= after) {
            continue;
        }
        if found.len() >= span.limit {
            return Ok(Part {
                rows: found,
                next: last,
            });
        }
        found.push(value(&row));
        last = Some(place(&row));
    }
    Ok(Part {
        rows: found,
        next: None,
    })
}
