//! Stored roll-ups beside the bars that the engine makes of the stored trades.
//!
//! A day is gone through in parts: the trades of a part pass through the engine's own time bars, and
//! what comes out is laid beside the roll-ups of that part, row for row. Some thousand trades and the
//! bars of a part are in memory, and between two parts nothing is held at a server.
//!
//! Trades may be written meanwhile, so a bar that seems to differ is looked at again by itself: its
//! trades, a roll-up, the stored bar, its trades once more. It differs when its trades were the same
//! both times; a bar whose trades do not come to rest is counted as unsettled.

mod engine;
#[cfg(test)]
mod tests;

use crate::StorageError;
use crate::port::series::{BarRow, DAY_NS, Decimals, RollUp, Series, TimeRange, day_of};
use apex_domain::id::InstrumentId;
use apex_domain::number::format_mantissa;
use apex_domain::time::UnixNanos;
use engine::Engine;
use std::fmt;
use std::ops::Range;

/// A day with more trades than this is gone through hour by hour: a reader is in the way of who
/// drops a day, and it is to be there for seconds at most.
const LARGE_DAY: u64 = 100_000;

/// How often a bar whose trades change meanwhile is looked at.
const LOOKS: usize = 5;

/// How fast a comparison goes, and whether it goes on.
pub trait Pace {
    /// Returns false when it is to end early. Asked every few thousand trades.
    fn goes_on(&self) -> bool {
        true
    }

    /// Called between two parts, with how many trades the last one had; it may wait.
    fn rest(&self, trades: u64) {
        let _ = trades;
    }
}

/// As fast as it goes, to its end.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce;

impl Pace for AtOnce {}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Bars that are equal or differ, of all intervals.
    pub compared: u64,
    pub differ: u64,
    /// Bars whose trades were written all the while; not compared.
    pub unsettled: u64,
    /// The first that differs, in the order in which it was looked.
    pub first: Option<BarDifference>,
}

impl Comparison {
    /// Adds what was found elsewhere behind this.
    pub fn add(&mut self, other: Comparison) {
        self.compared += other.compared;
        self.differ += other.differ;
        self.unsettled += other.unsettled;
        self.first = self.first.take().or(other.first);
    }
}

/// A stored roll-up that is not what the engine makes of its trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarDifference {
    pub instrument_id: InstrumentId,
    pub roll_up: RollUp,
    /// Where its cell begins.
    pub ts_open: UnixNanos,
    /// `open`, `high`, `low`, `close`, `volume`, `trade_count`; `bar` where one side has none.
    pub field: &'static str,
    /// In the instrument's own units; `none` or `one` of a bar.
    pub stored: String,
    /// The same of what the engine makes.
    pub made: String,
}

impl fmt::Display for BarDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BarDifference {
            instrument_id,
            roll_up,
            ts_open,
            field,
            stored,
            made,
        } = self;
        let (interval, opens) = (roll_up.name(), ts_open.0);
        write!(
            f,
            "{instrument_id} {interval} bar that opens at {opens} ns: {field} is {stored} as stored, \
             {made} by its trades"
        )
    }
}

/// Compares the roll-ups of an instrument's days, from the one that `range` begins in to the one
/// that it ends in. What was written and not rolled up yet is rolled up first. `None` when the pace
/// said not to go on.
///
/// # Errors
/// Those of the series; nothing is known then.
pub fn compare_bars(
    series: &dyn Series,
    id: &InstrumentId,
    range: TimeRange,
    pace: &dyn Pace,
) -> Result<Option<Comparison>, StorageError> {
    let mut found = Comparison::default();
    let Some(decimals) = series.decimals(id)? else {
        return Ok(Some(found));
    };
    series.roll_up()?;
    let job = Job {
        series,
        id,
        decimals,
        pace,
    };
    let mut day = day_of(range.from.0);
    while day.saturating_mul(DAY_NS) < range.to.0 {
        if !job.day(day, &mut found)? {
            return Ok(None);
        }
        day += 1;
    }
    Ok(Some(found))
}

struct Job<'a> {
    series: &'a dyn Series,
    id: &'a InstrumentId,
    decimals: Decimals,
    pace: &'a dyn Pace,
}

/// What the parts of bars are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    ts_open: i64,
    /// Open, high, low, close.
    prices: [i64; 4],
    volume: i128,
    trade_count: u64,
}

impl Shown {
    fn of(row: &BarRow) -> Shown {
        Shown {
            ts_open: row.ts_open.0,
            prices: [row.open.0, row.high.0, row.low.0, row.close.0],
            volume: row.volume,
            trade_count: row.trade_count,
        }
    }
}

fn span(times: &Range<i64>) -> TimeRange {
    TimeRange {
        from: UnixNanos(times.start),
        to: UnixNanos(times.end),
    }
}

impl Job<'_> {
    /// Compares a day. Returns false when it is not to go on.
    fn day(&self, day: i64, found: &mut Comparison) -> Result<bool, StorageError> {
        let start = day.saturating_mul(DAY_NS);
        let whole = start..start.saturating_add(DAY_NS);
        let of_day = self.stored(RollUp::Day, &whole)?;
        let is_large = of_day.iter().any(|bar| bar.trade_count > LARGE_DAY);
        let step = match is_large {
            true => RollUp::Hour.interval_ns(),
            false => DAY_NS,
        };
        let mut engine = Engine::new(self.id);
        let mut from = start;
        while from < whole.end {
            let part = from..from.saturating_add(step).min(whole.end);
            let Some(trades) = engine.take(self.series, &part, self.pace)? else {
                return Ok(false);
            };
            for roll_up in RollUp::ALL {
                // The day's own bar is made with its last part.
                let cells = match roll_up {
                    RollUp::Day if part.end < whole.end => continue,
                    RollUp::Day => &whole,
                    _ => &part,
                };
                let made = engine.made(roll_up);
                let stored = self.stored(roll_up, cells)?;
                self.lay_beside(roll_up, &stored, &made, found)?;
            }
            self.pace.rest(trades);
            if !self.pace.goes_on() {
                return Ok(false);
            }
            from = part.end;
        }
        Ok(true)
    }

    fn stored(&self, roll_up: RollUp, cells: &Range<i64>) -> Result<Vec<Shown>, StorageError> {
        let rows = self.series.rolled(self.id, roll_up, span(cells))?;
        rows.map(|row| row.map(|row| Shown::of(&row))).collect()
    }

    /// Compares bars of one interval, both in order of their cells.
    fn lay_beside(
        &self,
        roll_up: RollUp,
        stored: &[Shown],
        made: &[Shown],
        found: &mut Comparison,
    ) -> Result<(), StorageError> {
        let (mut at_stored, mut at_made) = (0, 0);
        loop {
            let (left, right) = (stored.get(at_stored), made.get(at_made));
            let cell = match (left, right) {
                (None, None) => return Ok(()),
                (Some(left), Some(right)) => left.ts_open.min(right.ts_open),
                (Some(one), None) | (None, Some(one)) => one.ts_open,
            };
            let left = left.filter(|bar| bar.ts_open == cell);
            let right = right.filter(|bar| bar.ts_open == cell);
            at_stored += usize::from(left.is_some());
            at_made += usize::from(right.is_some());
            if left == right {
                found.compared += 1;
            } else {
                self.look_again(roll_up, cell, found)?;
            }
        }
    }

    /// Finds out whether a bar differs, or whether its trades were being written.
    fn look_again(
        &self,
        roll_up: RollUp,
        cell: i64,
        found: &mut Comparison,
    ) -> Result<(), StorageError> {
        let times = cell..cell.saturating_add(roll_up.interval_ns());
        let mut before = self.made_of(roll_up, &times)?;
        for _ in 0..LOOKS {
            self.series.roll_up()?;
            let stored = self.stored(roll_up, &times)?.first().copied();
            let after = self.made_of(roll_up, &times)?;
            if stored == after {
                found.compared += 1;
                return Ok(());
            }
            if before == after {
                found.compared += 1;
                found.differ += 1;
                if found.first.is_none() {
                    found.first = Some(self.difference(roll_up, cell, stored, after));
                }
                return Ok(());
            }
            before = after;
        }
        found.unsettled += 1;
        Ok(())
    }

    fn made_of(&self, roll_up: RollUp, times: &Range<i64>) -> Result<Option<Shown>, StorageError> {
        let mut engine = Engine::new(self.id);
        engine.take(self.series, times, &AtOnce)?;
        Ok(engine.made(roll_up).first().copied())
    }

    fn difference(
        &self,
        roll_up: RollUp,
        cell: i64,
        stored: Option<Shown>,
        made: Option<Shown>,
    ) -> BarDifference {
        let (field, stored, made) = match (stored, made) {
            (Some(stored), Some(made)) => self.field(&stored, &made),
            (stored, made) => {
                let text = |bar: Option<Shown>| if bar.is_some() { "one" } else { "none" };
                ("bar", text(stored).to_owned(), text(made).to_owned())
            }
        };
        BarDifference {
            instrument_id: self.id.clone(),
            roll_up,
            ts_open: UnixNanos(cell),
            field,
            stored,
            made,
        }
    }

    /// Returns the first field in which two bars differ, with both values.
    fn field(&self, stored: &Shown, made: &Shown) -> (&'static str, String, String) {
        let names = ["open", "high", "low", "close"];
        for (name, (left, right)) in names.iter().zip(stored.prices.iter().zip(&made.prices)) {
            if left != right {
                let text = |price: i64| format_mantissa(price.into(), self.decimals.price);
                return (name, text(*left), text(*right));
            }
        }
        if stored.volume != made.volume {
            let text = |volume: i128| format_mantissa(volume, self.decimals.quantity);
            return ("volume", text(stored.volume), text(made.volume));
        }
        let text = |bar: &Shown| bar.trade_count.to_string();
        ("trade_count", text(stored), text(made))
    }
}
