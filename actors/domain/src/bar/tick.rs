//! Bars of equally many trades.

use super::tape::Tape;
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};

/// Builds the tick bars of one instrument: each holds the same number of trades.
#[derive(Clone, Debug)]
pub struct TickBars {
    pub(super) tape: Tape,
    count: u64,
}

impl TickBars {
    /// A builder of bars of `count` trades each (1 at least).
    pub fn new(instrument_id: InstrumentId, count: u64) -> TickBars {
        let count = count.max(1);
        let tape = Tape::new(instrument_id, BarSpec::Tick { count }, i128::from(count));
        TickBars { tape, count }
    }

    /// Takes a trade; the bar that it completed is appended to `bars` and holds it.
    pub fn on_trade(&mut self, trade: &Trade, bars: &mut Vec<Bar>) {
        if !self.tape.admit(trade) {
            return;
        }
        self.tape.add(trade, i128::from(trade.quantity.0));
        if self.tape.trade_count() >= self.count {
            self.tape.close(trade.ts_init, bars);
        }
    }
}
