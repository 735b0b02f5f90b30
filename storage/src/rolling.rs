//! Roll-ups made from stored trades while they are read.

use crate::StorageError;
use crate::port::series::{BarRow, RollUp, TimeRange, TradeRow};
use apex_domain::bar::AHEAD_NS;
use apex_domain::time::UnixNanos;

/// Returns the range of the trades of all cells that begin in a range.
pub(crate) fn trades_of(roll_up: RollUp, range: TimeRange) -> TimeRange {
    let interval = roll_up.interval_ns();
    let up = |ts: UnixNanos| {
        let over = ts.0.rem_euclid(interval);
        UnixNanos(match over {
            0 => ts.0,
            // The first cells of the range may begin before it.
            _ => ts.0.saturating_add(interval - over),
        })
    };
    TimeRange {
        from: match range.from.0 {
            i64::MIN => range.from,
            _ => up(range.from),
        },
        to: up(range.to),
    }
}

/// Makes the cells of trades that come in order of `ts_event` and sequence.
pub(crate) struct Rolling<I> {
    trades: I,
    interval_ns: i64,
    open: Option<BarRow>,
}

impl<I> Rolling<I> {
    pub fn new(roll_up: RollUp, trades: I) -> Rolling<I> {
        Rolling {
            trades,
            interval_ns: roll_up.interval_ns(),
            open: None,
        }
    }
}

impl<I: Iterator<Item = Result<TradeRow, StorageError>>> Iterator for Rolling<I> {
    type Item = Result<BarRow, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let trade = match self.trades.next() {
                None => return self.open.take().map(Ok),
                Some(Err(error)) => return Some(Err(error)),
                // A trade without quantity (TC-B10), or of a time that cannot be its own (TC-B20),
                // changes no bar.
                Some(Ok(trade)) if trade.quantity.0 <= 0 || is_ahead(&trade) => continue,
                Some(Ok(trade)) => trade,
            };
            let ts = trade.ts_event.0;
            let start = UnixNanos(ts.saturating_sub(ts.rem_euclid(self.interval_ns)));
            match &mut self.open {
                Some(bar) if bar.ts_open == start => add(bar, &trade),
                open => {
                    if let Some(bar) = open.replace(first(&trade, start)) {
                        return Some(Ok(bar));
                    }
                }
            }
        }
    }
}

fn is_ahead(trade: &TradeRow) -> bool {
    trade.ts_event.since(trade.ts_init) > AHEAD_NS
}

fn first(trade: &TradeRow, start: UnixNanos) -> BarRow {
    BarRow {
        sequence: 0,
        open: trade.price,
        high: trade.price,
        low: trade.price,
        close: trade.price,
        volume: i128::from(trade.quantity.0),
        trade_count: 1,
        ts_open: start,
        ts_init: trade.ts_init,
    }
}

fn add(bar: &mut BarRow, trade: &TradeRow) {
    bar.high = bar.high.max(trade.price);
    bar.low = bar.low.min(trade.price);
    bar.close = trade.price;
    // No overflow: that takes more trades than can be counted.
    bar.volume += i128::from(trade.quantity.0);
    bar.trade_count += 1;
    bar.ts_init = bar.ts_init.max(trade.ts_init);
}
