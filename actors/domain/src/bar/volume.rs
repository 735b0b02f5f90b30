//! Bars of equal traded quantity.

use super::tape::{BARS_PER_TRADE_MAX, Tape};
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};
use crate::number::Quantity;

/// Builds the volume bars of one instrument: each holds exactly the same quantity.
#[derive(Clone, Debug)]
pub struct VolumeBars {
    pub(super) tape: Tape,
    quantity: i128,
}

impl VolumeBars {
    /// A builder of bars of `quantity` each (one unit of the last decimal at least).
    pub fn new(instrument_id: InstrumentId, quantity: Quantity) -> VolumeBars {
        let quantity = quantity.max(Quantity(1));
        let wide = i128::from(quantity.0);
        VolumeBars {
            tape: Tape::new(instrument_id, BarSpec::Volume { quantity }, wide),
            quantity: wide,
        }
    }

    /// Takes a trade; the bars that it filled are appended to `bars`. What exceeds a bar goes on
    /// in the next one.
    pub fn on_trade(&mut self, trade: &Trade, bars: &mut Vec<Bar>) {
        if !self.tape.admit(trade) {
            return;
        }
        let mut left = i128::from(trade.quantity.0);
        for made in 1..=BARS_PER_TRADE_MAX {
            let room = self.quantity - self.tape.volume();
            if left < room {
                break;
            }
            let mut part = room;
            if made == BARS_PER_TRADE_MAX && left - room >= self.quantity {
                part += (left - room) / self.quantity * self.quantity;
                self.tape.oversized();
            }
            self.tape.add(trade, part);
            self.tape.close(trade.ts_init, bars);
            left -= part;
            if left == 0 {
                return;
            }
            self.tape.split();
        }
        self.tape.add(trade, left);
    }
}
