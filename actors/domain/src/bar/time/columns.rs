//! Trades of a stored day, column by column. What [`TimeBars::on_trade`] does with one trade after
//! the other is done here with as many at once as one cell takes in order.

use super::{AHEAD_NS, Cell, TimeBars};
use crate::market::{Bar, Trade};
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;

/// Rows looked at before any of them is added.
const BLOCK: usize = 64;

/// The sum of a block's quantities below this stays within 64 bits.
const QUANTITY_END: i64 = i64::MAX / BLOCK as i64;

/// Trades of one instrument in the order of their arrival; row for row of the same length.
#[derive(Clone, Copy, Debug)]
pub struct TradeColumns<'a> {
    ts_event: &'a [i64],
    ts_init: &'a [i64],
    price: &'a [i64],
    quantity: &'a [i64],
}

impl<'a> TradeColumns<'a> {
    /// Times are nanoseconds since 1970, UTC; prices and quantities mantissas at the instrument's
    /// decimals. `None` when the columns are not of one length.
    pub fn new(
        ts_event: &'a [i64],
        ts_init: &'a [i64],
        price: &'a [i64],
        quantity: &'a [i64],
    ) -> Option<TradeColumns<'a>> {
        let count = ts_event.len();
        let is_even = [ts_init, price, quantity]
            .iter()
            .all(|column| column.len() == count);
        is_even.then_some(TradeColumns {
            ts_event,
            ts_init,
            price,
            quantity,
        })
    }

    pub fn len(&self) -> usize {
        self.ts_event.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ts_event.is_empty()
    }

    /// Returns when the last one was seen.
    pub fn last_init(&self) -> Option<UnixNanos> {
        self.ts_init.last().map(|ts| UnixNanos(*ts))
    }

    fn part(&self, from: usize, to: usize) -> TradeColumns<'a> {
        TradeColumns {
            ts_event: &self.ts_event[from..to],
            ts_init: &self.ts_init[from..to],
            price: &self.price[from..to],
            quantity: &self.quantity[from..to],
        }
    }

    /// Returns how many of the first trades a cell takes that ends before `end` and whose newest
    /// trade is of `last`: those in order, of a time that can be theirs, with a quantity.
    fn in_order(&self, last: i64, end: i64) -> usize {
        let previous = std::iter::once(&last).chain(self.ts_event);
        let rows = self
            .ts_event
            .iter()
            .zip(self.ts_init)
            .zip(self.quantity)
            .zip(previous);
        let is_plain = |(((event, init), quantity), previous): (((&i64, &i64), &i64), &i64)| {
            (*event >= *previous)
                & (*event < end)
                & (*event <= init.saturating_add(AHEAD_NS))
                & (*quantity > 0)
                & (*quantity < QUANTITY_END)
        };
        // All of them nearly always, which is found without a branch a row.
        if rows.clone().fold(true, |all, row| all & is_plain(row)) {
            return self.len();
        }
        rows.take_while(|row| is_plain(*row)).count()
    }
}

impl Cell {
    /// Adds trades of which none is older than its newest.
    fn add_in_order(&mut self, trades: &TradeColumns<'_>) {
        let (Some(close), Some(last)) = (trades.price.last(), trades.ts_event.last()) else {
            return;
        };
        let (mut high, mut low) = (self.high.0, self.low.0);
        for price in trades.price {
            high = high.max(*price);
            low = low.min(*price);
        }
        let quantity: i64 = trades.quantity.iter().sum();
        (self.high, self.low, self.close) = (Price(high), Price(low), Price(*close));
        self.volume = self.volume.saturating_add(i128::from(quantity));
        self.trade_count += trades.len() as u64;
        self.last_ts = UnixNanos(*last);
    }
}

impl TimeBars {
    /// Takes trades as [`TimeBars::on_trade`] takes each of them.
    pub fn on_trades(&mut self, trades: &TradeColumns<'_>, bars: &mut Vec<Bar>) {
        let mut trade = Trade {
            instrument_id: self.instrument_id.clone(),
            price: Price(0),
            quantity: Quantity(0),
            aggressor: None,
            trade_id: 0,
            ts_event: UnixNanos(0),
            ts_init: UnixNanos(0),
        };
        let mut at = 0;
        while at < trades.len() {
            at += self.take_in_order(&trades.part(at, trades.len()));
            if at == trades.len() {
                return;
            }
            trade.price = Price(trades.price[at]);
            trade.quantity = Quantity(trades.quantity[at]);
            trade.ts_event = UnixNanos(trades.ts_event[at]);
            trade.ts_init = UnixNanos(trades.ts_init[at]);
            self.on_trade(&trade, bars);
            at += 1;
        }
    }

    /// Adds the first trades to the open cell, up to one that needs a closer look; returns how many.
    fn take_in_order(&mut self, trades: &TradeColumns<'_>) -> usize {
        let interval_ns = self.interval_ns;
        let Some(mut newest) = self
            .cells
            .last_entry()
            .filter(|cell| !cell.get().is_finished)
        else {
            return 0;
        };
        // A cell that would end behind the range takes all that is left of it but the last.
        let end = newest.key().saturating_add(interval_ns);
        let cell = newest.get_mut();
        let mut taken = 0;
        while taken < trades.len() {
            let block = trades.part(taken, trades.len().min(taken + BLOCK));
            let count = block.in_order(cell.last_ts.0, end);
            cell.add_in_order(&block.part(0, count));
            taken += count;
            if count < block.len() {
                break;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::InstrumentId;
    use proptest::prelude::*;

    /// A trade: time, how long before it was seen, price, quantity.
    type Row = (i64, i64, i64, i64);

    fn check(rows: &[Row], interval_ns: i64, cells_max: usize, cut: usize) {
        let id = InstrumentId::new("X.SIM").unwrap();
        let builder = || TimeBars::new(id.clone(), interval_ns, cells_max);
        let (mut one, mut many) = (builder(), builder());
        let (mut bars_one, mut bars_many) = (Vec::new(), Vec::new());
        for (ts, ahead, price, quantity) in rows {
            let trade = Trade {
                instrument_id: id.clone(),
                price: Price(*price),
                quantity: Quantity(*quantity),
                aggressor: None,
                trade_id: 0,
                ts_event: UnixNanos(*ts),
                ts_init: UnixNanos(ts.saturating_sub(*ahead)),
            };
            one.on_trade(&trade, &mut bars_one);
        }
        for part in rows.chunks(cut) {
            let column = |of: fn(&Row) -> i64| part.iter().map(of).collect::<Vec<i64>>();
            let (ts, seen) = (
                column(|row| row.0),
                column(|row| row.0.saturating_sub(row.1)),
            );
            let (price, quantity) = (column(|row| row.2), column(|row| row.3));
            let columns = TradeColumns::new(&ts, &seen, &price, &quantity).unwrap();
            many.on_trades(&columns, &mut bars_many);
        }
        assert_eq!(bars_many, bars_one);
        assert_eq!(many.counters(), one.counters());
        assert!(many.cells().eq(one.cells()));
        assert_eq!(many.market_hash(), one.market_hash());
    }

    fn row() -> impl Strategy<Value = (i64, i64, i64, i64)> {
        let ahead = prop_oneof![9 => 0..3_i64, 1 => AHEAD_NS - 1..AHEAD_NS + 2];
        let quantity = prop_oneof![
            20 => 1..50_i64,
            1 => Just(0_i64),
            1 => Just(-3_i64),
            1 => QUANTITY_END - 1..i64::MAX,
        ];
        let step = prop_oneof![15 => 0..3_i64, 2 => -15..15_i64, 1 => 0..200_i64];
        (step, ahead, -20..20_i64, quantity)
    }

    proptest! {
        #[test]
        fn many_at_once_are_taken_as_one_after_the_other(
            mut rows in proptest::collection::vec(row(), 1..400),
            interval_ns in 1..150_i64,
            cells_max in 1..5_usize,
            cut in 1..300_usize,
        ) {
            let mut ts = 0;
            for row in &mut rows {
                ts += row.0;
                row.0 = ts;
            }
            check(&rows, interval_ns, cells_max, cut);
        }
    }

    #[test]
    fn the_ends_of_time_are_no_special_case() {
        let rows: Vec<Row> = [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX, i64::MAX]
            .map(|ts| (ts, 0, 5, 7))
            .to_vec();
        check(&rows, 60, 4, 5);
    }

    #[test]
    fn columns_of_several_lengths_are_none() {
        assert!(TradeColumns::new(&[1], &[1], &[1], &[]).is_none());
        assert!(TradeColumns::new(&[], &[], &[], &[]).unwrap().is_empty());
    }
}
