//! The kinds of rows and their columns.

use super::key::Content;
use super::schema::{Column, DIGITS, Form};
use crate::port::series::{BarRow, Decimals, QuoteRow, TradeRow};
use apex_domain::market::{Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;

/// The values of one column for some rows. An absent one is a zero that is not present.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub ints: Vec<i64>,
    /// Only of a column of volumes.
    pub wide: Vec<i128>,
    /// Only of an optional column.
    pub present: Vec<bool>,
}

impl Values {
    fn optional(&mut self, value: Option<i64>) {
        self.ints.push(value.unwrap_or(0));
        self.present.push(value.is_some());
    }

    fn get(&self, at: usize) -> Option<i64> {
        self.present[at].then(|| self.ints[at])
    }

    /// Stands for so many values that were not looked at.
    pub(super) fn leave_out(&mut self, column: &Column, count: usize) {
        match column.form {
            Form::Volume => self.wide.resize(count, 0),
            _ => self.ints.resize(count, 0),
        }
        if column.is_optional {
            self.present.resize(count, false);
        }
    }

    /// Gives prices and quantities of 64 bits so many decimals more; `None` when one has no room.
    pub(super) fn widen(&mut self, column: &Column, by: Decimals) -> Option<()> {
        let by = match column.form {
            Form::Price => by.price,
            Form::Quantity => by.quantity,
            _ => return Some(()),
        };
        let factor = 10_i64.checked_pow(u32::from(by))?;
        for value in &mut self.ints {
            *value = value.checked_mul(factor).filter(|wide| in_digits(*wide))?;
        }
        Some(())
    }

    pub(super) fn clear(&mut self) {
        self.ints.clear();
        self.wide.clear();
        self.present.clear();
    }
}

/// A row of the archive: a [`TradeRow`], [`QuoteRow`] or [`BarRow`], whose `sequence` is not kept.
pub trait ArchiveRow: Copy + Send + 'static {
    /// Its columns behind the instrument, the time first.
    const COLUMNS: &'static [Column];

    /// What tells rows apart, in one order.
    type Key: Ord;

    /// Returns the time that it is kept by.
    fn ts(&self) -> UnixNanos;

    fn key(&self) -> Self::Key;

    /// Returns whether rows of this type are of that kind.
    fn is_of(content: Content) -> bool;

    /// Adds the row to the values of its columns.
    fn put(&self, columns: &mut [Values]);

    /// Returns a row of the values; `None` for a word that is no side.
    fn take(columns: &[Values], at: usize) -> Option<Self>;

    /// Returns the row with mantissas of so many decimals more; `None` when they would not fit.
    fn widened(self, by: Decimals) -> Option<Self>;

    /// Returns whether all mantissas have at most as many digits as a column.
    fn fits(&self) -> bool;
}

fn in_digits(mantissa: i64) -> bool {
    mantissa.unsigned_abs() < 10_u64.pow(u32::from(DIGITS))
}

fn price(price: Price, by: u8) -> Option<Price> {
    let factor = 10_i64.checked_pow(u32::from(by))?;
    price.0.checked_mul(factor).map(Price)
}

fn quantity(quantity: Quantity, by: u8) -> Option<Quantity> {
    let factor = 10_i64.checked_pow(u32::from(by))?;
    quantity.0.checked_mul(factor).map(Quantity)
}

fn side(code: i64) -> Option<Side> {
    match code {
        1 => Some(Side::Buy),
        2 => Some(Side::Sell),
        _ => None,
    }
}

fn side_code(side: Side) -> i64 {
    match side {
        Side::Buy => 1,
        Side::Sell => 2,
    }
}

impl ArchiveRow for TradeRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("ts_event", Form::Time),
        Column::new("ts_init", Form::Time),
        Column::new("price", Form::Price),
        Column::new("quantity", Form::Quantity),
        Column::optional("aggressor", Form::Side),
        Column::new("trade_id", Form::Count),
    ];

    type Key = (i64, i64, i64, i64, Option<Side>, u64);

    fn ts(&self) -> UnixNanos {
        self.ts_event
    }

    fn key(&self) -> Self::Key {
        let (ts_event, ts_init) = (self.ts_event.0, self.ts_init.0);
        let (price, quantity) = (self.price.0, self.quantity.0);
        (
            ts_event,
            ts_init,
            price,
            quantity,
            self.aggressor,
            self.trade_id,
        )
    }

    fn is_of(content: Content) -> bool {
        content == Content::Trades
    }

    fn put(&self, columns: &mut [Values]) {
        columns[0].ints.push(self.ts_event.0);
        columns[1].ints.push(self.ts_init.0);
        columns[2].ints.push(self.price.0);
        columns[3].ints.push(self.quantity.0);
        columns[4].optional(self.aggressor.map(side_code));
        // Unsigned by the column's type: the same bits.
        columns[5].ints.push(self.trade_id as i64);
    }

    fn take(columns: &[Values], at: usize) -> Option<TradeRow> {
        let aggressor = match columns[4].get(at) {
            Some(code) => Some(side(code)?),
            None => None,
        };
        Some(TradeRow {
            sequence: 0,
            ts_event: UnixNanos(columns[0].ints[at]),
            ts_init: UnixNanos(columns[1].ints[at]),
            price: Price(columns[2].ints[at]),
            quantity: Quantity(columns[3].ints[at]),
            aggressor,
            trade_id: columns[5].ints[at] as u64,
        })
    }

    fn widened(mut self, by: Decimals) -> Option<TradeRow> {
        self.price = price(self.price, by.price)?;
        self.quantity = quantity(self.quantity, by.quantity)?;
        Some(self)
    }

    fn fits(&self) -> bool {
        in_digits(self.price.0) && in_digits(self.quantity.0)
    }
}

impl ArchiveRow for QuoteRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("ts_event", Form::Time),
        Column::new("ts_init", Form::Time),
        Column::optional("bid_price", Form::Price),
        Column::optional("bid_quantity", Form::Quantity),
        Column::optional("ask_price", Form::Price),
        Column::optional("ask_quantity", Form::Quantity),
    ];

    type Key = (i64, i64, Option<(i64, i64)>, Option<(i64, i64)>);

    fn ts(&self) -> UnixNanos {
        self.ts_event
    }

    fn key(&self) -> Self::Key {
        let level = |level: Level| (level.price.0, level.quantity.0);
        let (bid, ask) = (self.bid.map(level), self.ask.map(level));
        (self.ts_event.0, self.ts_init.0, bid, ask)
    }

    fn is_of(content: Content) -> bool {
        content == Content::Quotes
    }

    fn put(&self, columns: &mut [Values]) {
        columns[0].ints.push(self.ts_event.0);
        columns[1].ints.push(self.ts_init.0);
        for (at, level) in [(2, self.bid), (4, self.ask)] {
            columns[at].optional(level.map(|level| level.price.0));
            columns[at + 1].optional(level.map(|level| level.quantity.0));
        }
    }

    fn take(columns: &[Values], at: usize) -> Option<QuoteRow> {
        let level = |first: usize| {
            let price = columns[first].get(at)?;
            let quantity = columns[first + 1].get(at).unwrap_or(0);
            Some(Level {
                price: Price(price),
                quantity: Quantity(quantity),
            })
        };
        Some(QuoteRow {
            sequence: 0,
            ts_event: UnixNanos(columns[0].ints[at]),
            ts_init: UnixNanos(columns[1].ints[at]),
            bid: level(2),
            ask: level(4),
        })
    }

    fn widened(mut self, by: Decimals) -> Option<QuoteRow> {
        for level in [&mut self.bid, &mut self.ask].into_iter().flatten() {
            level.price = price(level.price, by.price)?;
            level.quantity = quantity(level.quantity, by.quantity)?;
        }
        Some(self)
    }

    fn fits(&self) -> bool {
        let levels = [self.bid, self.ask];
        let mut levels = levels.iter().flatten();
        levels.all(|level| in_digits(level.price.0) && in_digits(level.quantity.0))
    }
}

impl ArchiveRow for BarRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("ts_open", Form::Time),
        Column::new("ts_init", Form::Time),
        Column::new("open", Form::Price),
        Column::new("high", Form::Price),
        Column::new("low", Form::Price),
        Column::new("close", Form::Price),
        Column::new("volume", Form::Volume),
        Column::new("trade_count", Form::Count),
    ];

    type Key = (i64, i64, [i64; 4], i128, u64);

    fn ts(&self) -> UnixNanos {
        self.ts_open
    }

    fn key(&self) -> Self::Key {
        let prices = [self.open.0, self.high.0, self.low.0, self.close.0];
        let (ts_open, ts_init) = (self.ts_open.0, self.ts_init.0);
        (ts_open, ts_init, prices, self.volume, self.trade_count)
    }

    fn is_of(content: Content) -> bool {
        matches!(content, Content::Bars { .. })
    }

    fn put(&self, columns: &mut [Values]) {
        columns[0].ints.push(self.ts_open.0);
        columns[1].ints.push(self.ts_init.0);
        let prices = [self.open, self.high, self.low, self.close];
        for (column, price) in columns[2..].iter_mut().zip(prices) {
            column.ints.push(price.0);
        }
        columns[6].wide.push(self.volume);
        columns[7].ints.push(self.trade_count as i64);
    }

    fn take(columns: &[Values], at: usize) -> Option<BarRow> {
        let price = |column: usize| Price(columns[column].ints[at]);
        Some(BarRow {
            sequence: 0,
            ts_open: UnixNanos(columns[0].ints[at]),
            ts_init: UnixNanos(columns[1].ints[at]),
            open: price(2),
            high: price(3),
            low: price(4),
            close: price(5),
            volume: columns[6].wide[at],
            trade_count: columns[7].ints[at] as u64,
        })
    }

    fn widened(mut self, by: Decimals) -> Option<BarRow> {
        let prices = [
            &mut self.open,
            &mut self.high,
            &mut self.low,
            &mut self.close,
        ];
        for value in prices {
            *value = price(*value, by.price)?;
        }
        let factor = 10_i128.checked_pow(u32::from(by.quantity))?;
        self.volume = self.volume.checked_mul(factor)?;
        Some(self)
    }

    fn fits(&self) -> bool {
        let prices = [self.open, self.high, self.low, self.close];
        let volume_fits = self.volume.unsigned_abs() < 10_u128.pow(38);
        volume_fits && prices.iter().all(|price| in_digits(price.0))
    }
}
