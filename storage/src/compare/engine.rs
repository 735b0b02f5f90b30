//! The engine's time bars over stored trades.

use super::{Pace, Shown, span};
use crate::StorageError;
use crate::port::series::{RollUp, Series, TradeRow};
use apex_domain::bar::{TimeBars, TradeColumns};
use apex_domain::id::InstrumentId;
use apex_domain::market::Bar;
use apex_domain::time::UnixNanos;
use std::ops::Range;

/// Trades that are in memory at a time.
const TRADES: usize = 4_096;

/// One builder an interval, and the bars that came out of it.
pub(super) struct Engine {
    id: InstrumentId,
    builders: [(RollUp, TimeBars, Vec<Bar>); 4],
}

#[derive(Default)]
struct Columns {
    ts_event: Vec<i64>,
    ts_init: Vec<i64>,
    price: Vec<i64>,
    quantity: Vec<i64>,
}

impl Columns {
    fn push(&mut self, row: &TradeRow) {
        self.ts_event.push(row.ts_event.0);
        self.ts_init.push(row.ts_init.0);
        self.price.push(row.price.0);
        self.quantity.push(row.quantity.0);
    }

    fn clear(&mut self) {
        for column in [
            &mut self.ts_event,
            &mut self.ts_init,
            &mut self.price,
            &mut self.quantity,
        ] {
            column.clear();
        }
    }
}

impl Engine {
    pub fn new(id: &InstrumentId) -> Engine {
        Engine {
            id: id.clone(),
            // Stored trades come in order, so that only the open cell is ever asked for.
            builders: RollUp::ALL.map(|roll_up| {
                let builder = TimeBars::new(id.clone(), roll_up.interval_ns(), 1);
                (roll_up, builder, Vec::new())
            }),
        }
    }

    /// Takes the stored trades of a span, which lies behind the one before, and finishes the bars
    /// that end with it. Returns how many trades these were; `None` when it is not to go on.
    ///
    /// Errors: those of the series.
    pub fn take(
        &mut self,
        series: &dyn Series,
        times: &Range<i64>,
        pace: &dyn Pace,
    ) -> Result<Option<u64>, StorageError> {
        let (mut columns, mut count) = (Columns::default(), 0);
        for row in series.trades(&self.id, span(times))? {
            columns.push(&row?);
            count += 1;
            if columns.price.len() == TRADES {
                self.feed(&mut columns);
                if !pace.goes_on() {
                    return Ok(None);
                }
            }
        }
        self.feed(&mut columns);
        let end = UnixNanos(times.end);
        for (_, builder, bars) in &mut self.builders {
            builder.on_time(end, end, bars);
        }
        Ok(Some(count))
    }

    fn feed(&mut self, columns: &mut Columns) {
        let Columns {
            ts_event,
            ts_init,
            price,
            quantity,
        } = &*columns;
        // Rows give every column as many.
        if let Some(trades) = TradeColumns::new(ts_event, ts_init, price, quantity) {
            for (_, builder, bars) in &mut self.builders {
                builder.on_trades(&trades, bars);
            }
        }
        columns.clear();
    }

    /// Returns the bars that were made since this was last asked, in order.
    pub fn made(&mut self, of: RollUp) -> Vec<Shown> {
        let found = self
            .builders
            .iter_mut()
            .find(|(roll_up, ..)| *roll_up == of);
        let bars = found.map(|(_, _, bars)| std::mem::take(bars));
        let shown = |bar: Bar| Shown {
            ts_open: bar.ts_open.0,
            prices: [bar.open.0, bar.high.0, bar.low.0, bar.close.0],
            volume: bar.volume,
            trade_count: bar.trade_count,
        };
        bars.unwrap_or_default().into_iter().map(shown).collect()
    }
}
