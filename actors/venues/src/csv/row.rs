//! One line of a file, taken apart without allocating.

use super::header::{CsvKind, Layout, MAX_COLUMNS};
use super::time;
use crate::decimal::WireDecimal;
use apex_domain::UnixNanos;
use apex_domain::market::Side;
use apex_domain::number::{MAX_DECIMALS, NumberError};
use thiserror::Error;

/// The longest line that is read: far above a row of ours, and what is in memory of a text.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Why a row was left out. The text names the column by its number, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowError {
    #[error("has {found} fields, the header has {expected}")]
    Fields { found: usize, expected: usize },
    #[error("field {column} is no time")]
    Time { column: usize },
    #[error("field {column} {reason}")]
    Number { column: usize, reason: NumberError },
    #[error("field {column} is empty")]
    Empty { column: usize },
    #[error("field {column} is no symbol")]
    Symbol { column: usize },
    #[error("field {column} is neither T nor Q")]
    TickKind { column: usize },
    #[error("field {column} is neither buy nor sell")]
    Side { column: usize },
    #[error("field {column} is no trade id")]
    TradeId { column: usize },
    #[error("the compressed file ends in the middle of this line")]
    CutOff,
    #[error("has more than {MAX_LINE_BYTES} bytes")]
    TooLong,
}

/// The values of a row, not yet at the decimals of an instrument.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub ts: UnixNanos,
    /// As [`Layout::prices`]; `None` for an empty field where a side may be absent.
    pub prices: [Option<WireDecimal>; 8],
    /// As [`Layout::quantities`].
    pub quantities: [Option<WireDecimal>; 2],
    /// In a tick file: a trade, not a quote.
    pub is_trade: bool,
    pub suspicious: bool,
    /// A size had the noise of a binary float, which was taken off.
    pub denoised: bool,
    pub aggressor: Option<Side>,
    pub trade_id: u64,
}

/// The fields of a line, cut at commas.
#[derive(Debug)]
pub struct Fields<'a> {
    fields: [&'a [u8]; MAX_COLUMNS],
}

impl<'a> Fields<'a> {
    /// Cuts a line without its line end.
    ///
    /// Errors: `Fields` when their number is not the header's.
    pub fn cut(line: &'a [u8], layout: &Layout) -> Result<Fields<'a>, RowError> {
        let mut fields: [&[u8]; MAX_COLUMNS] = [&[]; MAX_COLUMNS];
        let (mut found, mut start) = (0, 0);
        for (at, &byte) in line.iter().enumerate() {
            if byte == b',' {
                if found < MAX_COLUMNS {
                    fields[found] = &line[start..at];
                }
                found += 1;
                start = at + 1;
            }
        }
        if found < MAX_COLUMNS {
            fields[found] = &line[start..];
        }
        found += 1;
        if found != layout.columns {
            let expected = layout.columns;
            return Err(RowError::Fields { found, expected });
        }
        Ok(Fields { fields })
    }

    /// Returns a field without surrounding blanks and quotation marks.
    pub fn get(&self, column: usize) -> &'a [u8] {
        let field = self.fields[column];
        match (field.first(), field.last()) {
            (Some(b' ' | b'"' | b'\t'), _) | (_, Some(b' ' | b'"' | b'\t')) => trimmed(field),
            _ => field,
        }
    }

    /// Reads the values of a row.
    ///
    /// Errors: [`RowError`], naming the first field that is wrong.
    pub fn row(&self, layout: &Layout) -> Result<Row, RowError> {
        let (time_column, time_kind) = layout.time;
        let mut row = Row {
            ts: time::parse(time_kind, self.get(time_column)).ok_or(RowError::Time {
                column: time_column + 1,
            })?,
            prices: [None; 8],
            quantities: [None; 2],
            is_trade: false,
            suspicious: false,
            denoised: false,
            aggressor: None,
            trade_id: 0,
        };
        // A quote may have no bid or no ask, and a trade among ticks has neither; everything else
        // states all its values.
        let may_be_empty = !matches!(layout.kind, CsvKind::Bars | CsvKind::Trades);
        for (slot, &column) in row.prices.iter_mut().zip(&layout.prices) {
            *slot = self.price(column, may_be_empty)?;
            if slot.is_some_and(|price| price.significant_decimals() > MAX_DECIMALS) {
                return Err(too_precise(column));
            }
        }
        for (slot, &column) in row.quantities.iter_mut().zip(&layout.quantities) {
            let text = self.get(column);
            if text.is_empty() && may_be_empty {
                continue;
            }
            let (quantity, changed) = WireDecimal::parse_noisy(text).map_err(|reason| {
                let column = column + 1;
                match reason {
                    _ if text.is_empty() => RowError::Empty { column },
                    reason => RowError::Number { column, reason },
                }
            })?;
            row.denoised |= changed;
            if quantity.mantissa < 0 {
                let (column, reason) = (column + 1, NumberError::Negative);
                return Err(RowError::Number { column, reason });
            }
            if quantity.significant_decimals() > MAX_DECIMALS {
                return Err(too_precise(column));
            }
            *slot = Some(quantity);
        }
        if let Some(column) = layout.tick_kind {
            row.is_trade = match self.get(column) {
                b"T" => true,
                b"Q" => false,
                _ => return Err(RowError::TickKind { column: column + 1 }),
            };
        }
        if let Some(column) = layout.suspicious {
            row.suspicious = !matches!(self.get(column), b"" | b"0");
        }
        if layout.kind == CsvKind::Trades {
            row.aggressor = match layout.aggressor {
                Some(column) => {
                    side(self.get(column)).ok_or(RowError::Side { column: column + 1 })?
                }
                None => None,
            };
            row.trade_id = match layout.trade_id {
                Some(column) => {
                    trade_id(self.get(column)).ok_or(RowError::TradeId { column: column + 1 })?
                }
                None => 0,
            };
        }
        Ok(row)
    }

    fn price(&self, column: usize, may_be_empty: bool) -> Result<Option<WireDecimal>, RowError> {
        let text = self.get(column);
        let column = column + 1;
        if text.is_empty() {
            return if may_be_empty {
                Ok(None)
            } else {
                Err(RowError::Empty { column })
            };
        }
        let number =
            WireDecimal::parse(text).map_err(|reason| RowError::Number { column, reason })?;
        Ok(Some(number))
    }
}

fn too_precise(column: usize) -> RowError {
    RowError::Number {
        column: column + 1,
        reason: NumberError::TooPrecise {
            decimals: MAX_DECIMALS,
        },
    }
}

fn trimmed(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    match field {
        [b'"', inner @ .., b'"'] => inner,
        _ => field,
    }
}

/// Reads a side; the outer `None` is an unknown word, the inner one an empty field.
fn side(text: &[u8]) -> Option<Option<Side>> {
    if text.is_empty() {
        return Some(None);
    }
    for (words, side) in [
        (["buy", "b", "side_buy"], Side::Buy),
        (["sell", "s", "side_sell"], Side::Sell),
    ] {
        if words
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
        {
            return Some(Some(side));
        }
    }
    None
}

fn trade_id(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
