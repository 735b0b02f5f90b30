//! Rows that read well and that no market can have meant, or seldom: they load, and are told.

use super::header::{CsvKind, Layout};
use super::infer::Shape;
use super::row::Row;
use thiserror::Error;

/// What is odd about a row that loads all the same. The text names the column by its number, counted
/// from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowDoubt {
    #[error("has a high below its open, low or close")]
    High,
    #[error("has a low above its open or close")]
    Low,
    /// Futures on energy and spreads have had such prices; shares, coins and currencies never.
    #[error("has a price of zero or less in field {column}")]
    NotPositive { column: usize },
    #[error("has the time of the bar before")]
    Repeated,
    #[error("is older than the row before")]
    OutOfOrder,
}

impl RowDoubt {
    /// Returns true for a row that no market can have meant. What else is doubtful is legal: exports
    /// with the newest row first, prices of zero and less, the hour that clocks go back.
    pub fn contradicts(&self) -> bool {
        matches!(self, RowDoubt::High | RowDoubt::Low)
    }
}

/// Open, high, low and close stand so behind each other.
const BAR: usize = 4;

/// Looks at a row, `shape` being as the row before has left it. `prices` are at the decimals of the
/// instrument. Returns the first doubt.
pub(super) fn of(
    layout: &Layout,
    row: &Row,
    prices: &[Option<i64>; 8],
    shape: &Shape,
) -> Option<RowDoubt> {
    let has_bars = matches!(layout.kind, CsvKind::Bars | CsvKind::QuoteBars);
    if has_bars {
        let contradiction = prices.chunks(BAR).find_map(|bar| match bar {
            &[Some(open), Some(high), Some(low), Some(close)] => {
                contradicts(open, high, low, close)
            }
            // A bar of a side that nobody quoted.
            _ => None,
        });
        if contradiction.is_some() {
            return contradiction;
        }
    }
    // Zero in the quote of a tick file is "as before".
    let is_tick_quote = layout.kind == CsvKind::Ticks && !row.is_trade;
    let lowest = prices
        .iter()
        .position(|price| price.is_some_and(|price| price <= 0));
    if let Some(slot) = lowest.filter(|_| !is_tick_quote) {
        let column = layout.prices[slot] + 1;
        return Some(RowDoubt::NotPositive { column });
    }
    if row.ts < shape.last_ts {
        return Some(RowDoubt::OutOfOrder);
    }
    (has_bars && row.ts == shape.last_ts).then_some(RowDoubt::Repeated)
}

fn contradicts(open: i64, high: i64, low: i64, close: i64) -> Option<RowDoubt> {
    if high < open.max(close).max(low) {
        return Some(RowDoubt::High);
    }
    (low > open.min(close)).then_some(RowDoubt::Low)
}
