//! Rows as lines of CSV, in the form that `import` and `backtest` recognise.

use apex_domain::market::Side;
use apex_domain::number::format_mantissa;
use apex_storage::archive::{ArchiveRow, Head};
use apex_storage::port::series::{BarRow, Decimals, QuoteRow, TradeRow};
use std::fmt::Write;

/// A row that has a line.
pub trait TextRow: ArchiveRow {
    const HEADER: &'static str;

    /// Writes what stands behind the symbol, without a line end.
    fn write(&self, line: &mut String, decimals: Decimals);
}

/// Writes a whole line in place of what `line` held.
pub fn write_line<R: TextRow>(line: &mut String, head: &Head, row: &R) {
    line.clear();
    // Writing to memory cannot fail.
    let _ = write!(line, "{},{}", head.instrument_id, row.ts().0);
    row.write(line, head.decimals);
}

/// Writes a comma and a number without zeros at its end.
fn number(line: &mut String, mantissa: i128, decimals: u8) {
    let text = format_mantissa(mantissa, decimals);
    let short = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    line.push(',');
    line.push_str(short);
}

impl TextRow for TradeRow {
    const HEADER: &'static str = "symbol,ts_ns,price,size,side,trade_id";

    fn write(&self, line: &mut String, decimals: Decimals) {
        number(line, self.price.0.into(), decimals.price);
        number(line, self.quantity.0.into(), decimals.quantity);
        let side = match self.aggressor {
            Some(Side::Buy) => "buy",
            Some(Side::Sell) => "sell",
            None => "",
        };
        let _ = write!(line, ",{side},");
        if self.trade_id != 0 {
            let _ = write!(line, "{}", self.trade_id);
        }
    }
}

impl TextRow for QuoteRow {
    const HEADER: &'static str = "symbol,ts_ns,bid,bid_size,ask,ask_size";

    fn write(&self, line: &mut String, decimals: Decimals) {
        for level in [self.bid, self.ask] {
            match level {
                Some(level) => {
                    number(line, level.price.0.into(), decimals.price);
                    number(line, level.quantity.0.into(), decimals.quantity);
                }
                None => line.push_str(",,"),
            }
        }
    }
}

impl TextRow for BarRow {
    const HEADER: &'static str = "symbol,ts_ns,open,high,low,close,volume,trade_count";

    fn write(&self, line: &mut String, decimals: Decimals) {
        for price in [self.open, self.high, self.low, self.close] {
            number(line, price.0.into(), decimals.price);
        }
        number(line, self.volume, decimals.quantity);
        let _ = write!(line, ",{}", self.trade_count);
    }
}
