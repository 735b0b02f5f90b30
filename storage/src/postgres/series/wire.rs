//! Rows in PostgreSQL's binary COPY format.
//!
//! Written and read here by hand: the layout of a row is fixed, and a general writer asks each value
//! of each row for its type.

use crate::port::series::{BarRow, QuoteRow, Row, TradeRow};
use apex_domain::market::{Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;

/// Signature, flags and length of the extension.
pub(in crate::postgres) const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub(in crate::postgres) const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// A row that has a table.
pub(super) trait Wire: Row {
    const TABLE: &'static str;
    /// The column that it is kept by.
    const TIME: &'static str;
    /// As they are written and read; when written, `stream_no` follows.
    const COLUMNS: &'static str;
    const FIELDS: i16;

    fn put(&self, out: &mut Vec<u8>);
    /// `None` when a field is not what it was written as.
    fn take(fields: &mut Fields<'_>) -> Option<Self>;
}

pub(super) fn put_row<T: Wire>(row: &T, stream_no: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(T::FIELDS + 1).to_be_bytes());
    row.put(out);
    out.extend_from_slice(&4_i32.to_be_bytes());
    out.extend_from_slice(&stream_no.to_be_bytes());
}

fn put(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&8_i32.to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_none(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// The fields of one row, the next in front.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// Returns the bytes of a field; `Some(None)` of one without a value.
    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            self.0 = rest;
            return Some(None);
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(value))
    }

    fn whole(&mut self) -> Option<i64> {
        let bytes = self.next()??;
        Some(i64::from_be_bytes(bytes.try_into().ok()?))
    }

    fn maybe(&mut self) -> Option<Option<i64>> {
        match self.next()? {
            None => Some(None),
            Some(bytes) => Some(Some(i64::from_be_bytes(bytes.try_into().ok()?))),
        }
    }

    fn numeric(&mut self) -> Option<i128> {
        take_numeric(self.next()??)
    }
}

/// Cuts the next row from bytes that may hold a part of one. `Ok(None)` asks for more bytes.
pub(super) fn next_row<'a>(bytes: &mut &'a [u8], fields: i16) -> Result<Option<&'a [u8]>, ()> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        *bytes = &[];
        return Ok(None);
    }
    if count != fields {
        return Err(());
    }
    let row = rest;
    for _ in 0..count {
        let mut field = Fields(rest);
        if field.next().is_none() {
            return Ok(None);
        }
        rest = field.0;
    }
    *bytes = rest;
    Ok(Some(&row[..row.len() - rest.len()]))
}

impl Wire for TradeRow {
    const TABLE: &'static str = "series_trade";
    const TIME: &'static str = "ts_event_ns";
    const COLUMNS: &'static str =
        "sequence, price, quantity, trade_id, ts_event_ns, ts_init_ns, aggressor";
    const FIELDS: i16 = 7;

    fn put(&self, out: &mut Vec<u8>) {
        put(self.sequence as i64, out);
        put(self.price.0, out);
        put(self.quantity.0, out);
        put(self.trade_id as i64, out);
        put(self.ts_event.0, out);
        put(self.ts_init.0, out);
        let side = self.aggressor.map_or(0, |side| side.sign() as i16);
        out.extend_from_slice(&2_i32.to_be_bytes());
        out.extend_from_slice(&side.to_be_bytes());
    }

    fn take(fields: &mut Fields<'_>) -> Option<TradeRow> {
        Some(TradeRow {
            sequence: fields.whole()? as u64,
            price: Price(fields.whole()?),
            quantity: Quantity(fields.whole()?),
            trade_id: fields.whole()? as u64,
            ts_event: UnixNanos(fields.whole()?),
            ts_init: UnixNanos(fields.whole()?),
            aggressor: match fields.next()?? {
                [0, 0] => None,
                [0, 1] => Some(Side::Buy),
                [0xff, 0xff] => Some(Side::Sell),
                _ => return None,
            },
        })
    }
}

impl Wire for QuoteRow {
    const TABLE: &'static str = "series_quote";
    const TIME: &'static str = "ts_event_ns";
    const COLUMNS: &'static str =
        "sequence, bid_price, bid_quantity, ask_price, ask_quantity, ts_event_ns, ts_init_ns";
    const FIELDS: i16 = 7;

    fn put(&self, out: &mut Vec<u8>) {
        put(self.sequence as i64, out);
        for side in [self.bid, self.ask] {
            match side {
                Some(level) => {
                    put(level.price.0, out);
                    put(level.quantity.0, out);
                }
                None => {
                    put_none(out);
                    put_none(out);
                }
            }
        }
        put(self.ts_event.0, out);
        put(self.ts_init.0, out);
    }

    fn take(fields: &mut Fields<'_>) -> Option<QuoteRow> {
        let sequence = fields.whole()? as u64;
        let mut side = || match (fields.maybe()?, fields.maybe()?) {
            (Some(price), Some(quantity)) => Some(Some(Level {
                price: Price(price),
                quantity: Quantity(quantity),
            })),
            (None, None) => Some(None),
            _ => None,
        };
        Some(QuoteRow {
            sequence,
            bid: side()?,
            ask: side()?,
            ts_event: UnixNanos(fields.whole()?),
            ts_init: UnixNanos(fields.whole()?),
        })
    }
}

impl Wire for BarRow {
    const TABLE: &'static str = "series_bar";
    const TIME: &'static str = "ts_open_ns";
    const COLUMNS: &'static str =
        "sequence, open, high, low, close, trade_count, ts_open_ns, ts_init_ns, volume";
    const FIELDS: i16 = 9;

    fn put(&self, out: &mut Vec<u8>) {
        put(self.sequence as i64, out);
        for price in [self.open, self.high, self.low, self.close] {
            put(price.0, out);
        }
        put(self.trade_count as i64, out);
        put(self.ts_open.0, out);
        put(self.ts_init.0, out);
        put_numeric(self.volume, out);
    }

    fn take(fields: &mut Fields<'_>) -> Option<BarRow> {
        Some(BarRow {
            sequence: fields.whole()? as u64,
            open: Price(fields.whole()?),
            high: Price(fields.whole()?),
            low: Price(fields.whole()?),
            close: Price(fields.whole()?),
            trade_count: fields.whole()? as u64,
            ts_open: UnixNanos(fields.whole()?),
            ts_init: UnixNanos(fields.whole()?),
            volume: fields.numeric()?,
        })
    }
}

const MINUS: u16 = 0x4000;

/// Writes a whole number as `numeric`: digits at base 10,000, the first one's power, the sign, and
/// no decimals.
fn put_numeric(value: i128, out: &mut Vec<u8>) {
    let mut digits = Vec::with_capacity(10);
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let sign = if value < 0 { MINUS } else { 0 };
    let weight = (digits.len() as u16).saturating_sub(1);
    out.extend_from_slice(&(8 + 2 * digits.len() as i32).to_be_bytes());
    for word in [digits.len() as u16, weight, sign, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// Reads a whole number; `None` of any other.
fn take_numeric(bytes: &[u8]) -> Option<i128> {
    let (words, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() || words.len() < 4 {
        return None;
    }
    let word = |at: usize| u16::from_be_bytes(words[at]);
    let (count, weight, sign) = (usize::from(word(0)), word(1) as i16, word(2));
    if words.len() != 4 + count || (sign != 0 && sign != MINUS) {
        return None;
    }
    if count == 0 {
        return Some(0);
    }
    // Zeros at the end are not sent.
    let zeros = (i32::from(weight) + 1).checked_sub(count as i32)?;
    let mut value = 0_u128;
    for index in 0..count {
        value = value.checked_mul(10_000)?;
        value = value.checked_add(u128::from(word(4 + index)))?;
    }
    for _ in 0..u32::try_from(zeros).ok()? {
        value = value.checked_mul(10_000)?;
    }
    match sign {
        MINUS => 0_i128.checked_sub_unsigned(value),
        _ => i128::try_from(value).ok(),
    }
}
