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
        let all = RollUp::ALL.into_iter();
        let fitting = all.filter(|_| self.retention.trades > 0);
        fitting
            .into_iter()
            .find(|one| one.interval_ns() == interval_ns)
    }
}

impl MarketHistory for SeriesHistory {
    fn trades(&self, id: &InstrumentId, span: Span) -> Result<Part<Trade>, MarketHistoryError> {
        recorded("trades", "APEX_RECORD_TRADES_DAYS", self.retention.trades)?;
        let rows = self.series()?.trades(id, range(span)).map_err(unreadable)?;
        part(rows, span, |row: &TradeRow| Place {
            ts: row.ts_event,
            sequence: row.sequence,
        })
        .map(|part| {
            mapped(part, |row| Trade {
                instrument_id: id.clone(),
                price: row.price,
                quantity: row.quantity,
                aggressor: row.aggressor,
                trade_id: row.trade_id,
                ts_event: row.ts_event,
                ts_init: row.ts_init,
            })
        })
    }

    fn quotes(&self, id: &InstrumentId, span: Span) -> Result<Part<Quote>, MarketHistoryError> {
        recorded("quotes", "APEX_RECORD_QUOTES_DAYS", self.retention.quotes)?;
        let rows = self.series()?.quotes(id, range(span)).map_err(unreadable)?;
        part(rows, span, |row: &QuoteRow| Place {
            ts: row.ts_event,
            sequence: row.sequence,
        })
        .map(|part| {
            mapped(part, |row| Quote {
                instrument_id: id.clone(),
                bid: row.bid,
                ask: row.ask,
                ts_event: row.ts_event,
                ts_init: row.ts_init,
            })
        })
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
        part(rows.map_err(unreadable)?, span, |row: &BarRow| Place {
            ts: row.ts_open,
            sequence: row.sequence,
        })
        .map(|part| {
            mapped(part, |row| Bar {
                instrument_id: id.clone(),
                spec,
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close,
                volume: row.volume,
                trade_count: row.trade_count,
                ts_open: row.ts_open,
                ts_init: row.ts_init,
            })
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
fn part<T>(
    rows: Rows<T>,
    span: Span,
    place: impl Fn(&T) -> Place,
) -> Result<Part<T>, MarketHistoryError> {
    let mut found = Vec::new();
    let mut next = None;
    for row in rows {
        let row = row.map_err(unreadable)?;
        if span.after.is_some_and(|after| place(&row) <= after) {
            continue;
        }
        if found.len() >= span.limit {
            next = found.last().map(&place);
            break;
        }
        found.push(row);
    }
    Ok(Part { rows: found, next })
}

fn mapped<T, U>(part: Part<T>, row: impl Fn(T) -> U) -> Part<U> {
    Part {
        rows: part.rows.into_iter().map(row).collect(),
        next: part.next,
    }
}
