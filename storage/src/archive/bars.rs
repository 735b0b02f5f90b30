//! Bars of archived trades, made by the machine that makes those of a feed.

use super::key::Content;
use super::read::ParquetRows;
use super::{Archive, Head};
use crate::StorageError;
use crate::port::objects::ObjectKey;
use crate::port::series::{BarRow, Decimals, Rows, TimeRange, TradeRow};
use apex_domain::bar::{TimeBars, TradeColumns};
use apex_domain::id::InstrumentId;
use apex_domain::market::Bar;
use apex_domain::time::UnixNanos;
use std::vec;

/// Columns that make no bar.
const OF_NO_BAR: &[&str] = &["aggressor", "trade_id"];

impl ParquetRows<TradeRow> {
    /// Returns the next trades column by column, some thousands; `None` at the end. Not to be mixed
    /// with the rows one by one: what one of them gave the other does not.
    ///
    /// # Errors
    /// `Parquet` when the file is damaged.
    pub fn next_columns(&mut self) -> Result<Option<TradeColumns<'_>>, StorageError> {
        let Some(columns) = self.next_values()? else {
            return Ok(None);
        };
        let [ts_event, ts_init, price, quantity, ..] = columns else {
            return Ok(None);
        };
        // All were decoded to one length.
        Ok(TradeColumns::new(
            &ts_event.ints,
            &ts_init.ints,
            &price.ints,
            &quantity.ints,
        ))
    }
}

/// Bars of trades, some thousands of them at a time.
struct Made {
    archive: Archive,
    keys: vec::IntoIter<ObjectKey>,
    part: Option<ParquetRows<TradeRow>>,
    decimals: Decimals,
    machine: TimeBars,
    ready: Vec<Bar>,
    at: usize,
    /// When the last trade was seen.
    last_init: UnixNanos,
    is_over: bool,
}

impl Archive {
    /// Returns the bars of an interval in nanoseconds, 1 or more, that archived trades make, whose
    /// `ts_open` is in `range`: row for row those that a feed publishes of these trades. `ts_init`
    /// is when the trade was seen that ended the bar. At the decimals of the trades' head.
    ///
    /// # Errors
    /// `Io`, `Unavailable`, `Parquet`; here or as an item, which is then the last one.
    pub fn bars_of_trades(
        &self,
        id: &InstrumentId,
        interval_ns: i64,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        let Some(Head { decimals, .. }) = self.head(Content::Trades, id)? else {
            return Ok(Box::new(std::iter::empty()));
        };
        // A bar that begins in the range may go on behind it.
        let reaching = TimeRange {
            from: range.from,
            to: range.to.plus(interval_ns),
        };
        let mut keys = self.parts(Content::Trades, id)?;
        keys.retain(|key| Content::Trades.may_hold(key, reaching));
        let made = Made {
            archive: self.clone(),
            keys: keys.into_iter(),
            part: None,
            decimals,
            // Trades of the archive are in order of time: none is late.
            machine: TimeBars::new(id.clone(), interval_ns, 1),
            ready: Vec::new(),
            at: 0,
            last_init: UnixNanos(0),
            is_over: false,
        };
        let wanted = move |item: &Result<BarRow, StorageError>| match item {
            Ok(bar) => range.contains(bar.ts_open),
            Err(_) => true,
        };
        Ok(Box::new(made.filter(wanted)))
    }
}

impl Made {
    /// Makes the bars of the next trades; false when there are none.
    fn step(&mut self) -> Result<bool, StorageError> {
        self.ready.clear();
        self.at = 0;
        let Some(part) = &mut self.part else {
            return self.next_part();
        };
        match part.next_columns()? {
            Some(trades) => {
                self.machine.on_trades(&trades, &mut self.ready);
                self.last_init = trades.last_init().unwrap_or(self.last_init);
            }
            None => self.part = None,
        }
        Ok(true)
    }

    fn next_part(&mut self) -> Result<bool, StorageError> {
        let Some(key) = self.keys.next() else {
            self.machine.end_session(self.last_init, &mut self.ready);
            return Ok(false);
        };
        let part = self.archive.part::<TradeRow>(&key)?;
        self.part = part.map(|part| part.leaving_out(OF_NO_BAR).at_decimals(self.decimals));
        Ok(true)
    }
}

impl Iterator for Made {
    type Item = Result<BarRow, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(bar) = self.ready.get(self.at) {
                self.at += 1;
                return Some(Ok(BarRow::of(0, bar)));
            }
            if self.is_over {
                return None;
            }
            match self.step() {
                Ok(has_more) => self.is_over = !has_more,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
