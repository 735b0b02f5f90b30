//! Rows of time series as the market's values, and the way back.

use super::series::{BarRow, QuoteRow, TradeRow};
use apex_domain::id::InstrumentId;
use apex_domain::market::{Bar, BarSpec, Quote, Trade};

impl TradeRow {
    /// Returns a print's row.
    pub fn of(sequence: u64, trade: &Trade) -> TradeRow {
        TradeRow {
            sequence,
            price: trade.price,
            quantity: trade.quantity,
            aggressor: trade.aggressor,
            trade_id: trade.trade_id,
            ts_event: trade.ts_event,
            ts_init: trade.ts_init,
        }
    }

    /// Returns the print of an instrument.
    pub fn trade(&self, id: &InstrumentId) -> Trade {
        Trade {
            instrument_id: id.clone(),
            price: self.price,
            quantity: self.quantity,
            aggressor: self.aggressor,
            trade_id: self.trade_id,
            ts_event: self.ts_event,
            ts_init: self.ts_init,
        }
    }
}

impl QuoteRow {
    /// Returns a quote's row.
    pub fn of(sequence: u64, quote: &Quote) -> QuoteRow {
        QuoteRow {
            sequence,
            bid: quote.bid,
            ask: quote.ask,
            ts_event: quote.ts_event,
            ts_init: quote.ts_init,
        }
    }

    /// Returns the quote of an instrument.
    pub fn quote(&self, id: &InstrumentId) -> Quote {
        Quote {
            instrument_id: id.clone(),
            bid: self.bid,
            ask: self.ask,
            ts_event: self.ts_event,
            ts_init: self.ts_init,
        }
    }
}

impl BarRow {
    /// Returns a bar's row.
    pub fn of(sequence: u64, bar: &Bar) -> BarRow {
        BarRow {
            sequence,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            trade_count: bar.trade_count,
            ts_open: bar.ts_open,
            ts_init: bar.ts_init,
        }
    }

    /// Returns the bar of an instrument.
    pub fn bar(&self, id: &InstrumentId, spec: BarSpec) -> Bar {
        Bar {
            instrument_id: id.clone(),
            spec,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            trade_count: self.trade_count,
            ts_open: self.ts_open,
            ts_init: self.ts_init,
        }
    }
}
