//! Bars of equal traded value.

use super::tape::{BARS_PER_TRADE_MAX, Tape};
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};

/// Builds the value bars of one instrument: each holds the least quantity whose sum of price times
/// quantity reaches the amount.
///
/// Quantity cannot be cut below its last decimal, so a bar may pass the amount by less than the
/// value of one such unit; the excess stays in it, and the next bar begins at zero. Value counts
/// without its sign, since a price may be negative. A trade at a price of zero adds quantity and
/// no value.
#[derive(Clone, Debug)]
pub struct ValueBars {
    pub(super) tape: Tape,
    amount: i128,
    /// Value of the open bar, below `amount`.
    value: i128,
}

impl ValueBars {
    /// A builder of bars of `amount` each: a mantissa at the sum of the price's and the quantity's
    /// decimals, one unit at least.
    pub fn new(instrument_id: InstrumentId, amount: i128) -> ValueBars {
        let amount = amount.max(1);
        ValueBars {
            tape: Tape::new(instrument_id, BarSpec::Value { amount }, amount),
            amount,
            value: 0,
        }
    }

    /// Takes a trade; the bars that it filled are appended to `bars`. What exceeds a bar goes on
    /// in the next one.
    pub fn on_trade(&mut self, trade: &Trade, bars: &mut Vec<Bar>) {
        if !self.tape.admit(trade) {
            return;
        }
        let unit = i128::from(trade.price.0).abs();
        let mut left = i128::from(trade.quantity.0);
        for made in 1..=BARS_PER_TRADE_MAX {
            if unit == 0 {
                break;
            }
            let room = units(self.amount - self.value, unit);
            if left < room {
                break;
            }
            let mut part = room;
            let whole = units(self.amount, unit);
            if made == BARS_PER_TRADE_MAX && left - room >= whole {
                part += (left - room) / whole * whole;
                self.tape.oversized();
            }
            self.tape.add(trade, part);
            self.end(trade.ts_init, bars);
            left -= part;
            if left == 0 {
                return;
            }
            self.tape.split();
        }
        self.tape.add(trade, left);
        // Stays below `amount`: fewer units are left than reach it.
        self.value += left * unit;
    }

    /// Ends the open bar, whatever it holds.
    pub(super) fn end(&mut self, ts_init: crate::time::UnixNanos, bars: &mut Vec<Bar>) {
        self.value = 0;
        self.tape.close(ts_init, bars);
    }
}

/// Returns the least number of units of quantity whose value reaches `amount`; both are above
/// zero.
fn units(amount: i128, unit: i128) -> i128 {
    let floor = amount / unit;
    floor + i128::from(amount % unit != 0)
}
