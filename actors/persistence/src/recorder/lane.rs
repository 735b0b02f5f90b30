//! One stream's rows on their way.

use apex_domain::InstrumentId;
use apex_domain::market::BarSpec;
use apex_storage::port::series::{
    BarRow, Decimals, MAX_BATCH_ROWS, QuoteRow, Stream, TradeRow, Written,
};
use apex_storage::{Series, StorageError};

/// The rows of a stream, and where its numbers go on.
#[derive(Debug)]
pub(super) struct Lane {
    decimals: Decimals,
    /// The last number of the stream when this process began; `None` until it was looked up.
    base: Option<u64>,
    /// Numbers that were given out since.
    given: u64,
    pub rows: Rows,
}

/// Rows with numbers from the process's beginning on.
#[derive(Debug)]
pub(super) enum Rows {
    Trades(Vec<TradeRow>),
    Quotes(Vec<QuoteRow>),
    Bars(BarSpec, Vec<BarRow>),
}

impl Rows {
    pub fn of(stream: Stream) -> Rows {
        match stream {
            Stream::Trades => Rows::Trades(Vec::new()),
            Stream::Quotes => Rows::Quotes(Vec::new()),
            Stream::Bars(spec) => Rows::Bars(spec, Vec::new()),
        }
    }

    pub fn push_trade(&mut self, row: TradeRow) {
        if let Rows::Trades(rows) = self {
            rows.push(row);
        }
    }

    pub fn push_quote(&mut self, row: QuoteRow) {
        if let Rows::Quotes(rows) = self {
            rows.push(row);
        }
    }

    pub fn push_bar(&mut self, row: BarRow) {
        if let Rows::Bars(_, rows) = self {
            rows.push(row);
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Rows::Trades(rows) => rows.len(),
            Rows::Quotes(rows) => rows.len(),
            Rows::Bars(_, rows) => rows.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&mut self) {
        match self {
            Rows::Trades(rows) => rows.clear(),
            Rows::Quotes(rows) => rows.clear(),
            Rows::Bars(_, rows) => rows.clear(),
        }
    }
}

impl Lane {
    pub fn new(decimals: Decimals, rows: Rows) -> Lane {
        Lane {
            decimals,
            base: None,
            given: 0,
            rows,
        }
    }

    /// Gives out the next number.
    pub fn next(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// Leaves numbers to what never came.
    pub fn skip(&mut self, count: u64) {
        self.given += count;
    }

    /// Writes all rows, and returns how many were new. What was written is not held any more, also
    /// where the rest fails.
    pub fn write(
        &mut self,
        series: &dyn Series,
        id: &InstrumentId,
        stream: Stream,
    ) -> Result<u64, StorageError> {
        let base = match self.base {
            Some(base) => base,
            None => {
                series.declare(id, self.decimals)?;
                *self.base.insert(series.last_sequence(id, stream)?)
            }
        };
        match &mut self.rows {
            Rows::Trades(rows) => in_batches(
                rows,
                |row| row.sequence += base,
                |rows| series.write_trades(id, rows),
            ),
            Rows::Quotes(rows) => in_batches(
                rows,
                |row| row.sequence += base,
                |rows| series.write_quotes(id, rows),
            ),
            Rows::Bars(spec, rows) => in_batches(
                rows,
                |row| row.sequence += base,
                |rows| series.write_bars(id, *spec, rows),
            ),
        }
    }
}

/// Writes all rows or none that a failure would leave held twice: a batch that failed may have been
/// written all the same, and is a repeat then.
fn in_batches<T: Copy>(
    rows: &mut Vec<T>,
    number: impl Fn(&mut T),
    write: impl Fn(&[T]) -> Result<Written, StorageError>,
) -> Result<u64, StorageError> {
    let mut stored = 0;
    for batch in rows.chunks(MAX_BATCH_ROWS) {
        let mut numbered = batch.to_vec();
        numbered.iter_mut().for_each(&number);
        stored += write(&numbered)?.stored as u64;
    }
    rows.clear();
    Ok(stored)
}
