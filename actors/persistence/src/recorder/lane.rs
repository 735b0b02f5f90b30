//! One stream's rows on their way.

use apex_domain::{Instrument, InstrumentId};
use apex_storage::port::series::{
    BarRow, Decimals, MAX_BATCH_ROWS, QuoteRow, Stream, TradeRow, Written,
};
use apex_storage::{Series, StorageError};

/// A kind of rows that are recorded.
pub(super) trait Recorded {
    /// Counts the row from another number on.
    fn shift(&mut self, by: u64);

    fn write(
        series: &dyn Series,
        id: &InstrumentId,
        stream: Stream,
        rows: &[Self],
    ) -> Result<Written, StorageError>
    where
        Self: Sized;
}

impl Recorded for TradeRow {
    fn shift(&mut self, by: u64) {
        self.sequence += by;
    }

    fn write(
        series: &dyn Series,
        id: &InstrumentId,
        _: Stream,
        rows: &[TradeRow],
    ) -> Result<Written, StorageError> {
        series.write_trades(id, rows)
    }
}

impl Recorded for QuoteRow {
    fn shift(&mut self, by: u64) {
        self.sequence += by;
    }

    fn write(
        series: &dyn Series,
        id: &InstrumentId,
        _: Stream,
        rows: &[QuoteRow],
    ) -> Result<Written, StorageError> {
        series.write_quotes(id, rows)
    }
}

impl Recorded for BarRow {
    fn shift(&mut self, by: u64) {
        self.sequence += by;
    }

    fn write(
        series: &dyn Series,
        id: &InstrumentId,
        stream: Stream,
        rows: &[BarRow],
    ) -> Result<Written, StorageError> {
        match stream {
            Stream::Bars(spec) => series.write_bars(id, spec, rows),
            // Bars have lanes of their own.
            Stream::Trades | Stream::Quotes => Ok(Written::default()),
        }
    }
}

/// The rows of a stream, and where its numbers go on.
#[derive(Debug)]
pub(super) struct Lane<T> {
    id: InstrumentId,
    stream: Stream,
    decimals: Decimals,
    /// The last number that was given out: from 1 on until the stream's last one was looked up, and
    /// behind that from then on.
    last: u64,
    is_numbered: bool,
    /// No series takes its rows.
    is_refused: bool,
    rows: Vec<T>,
}

/// What became of a lane's rows.
#[derive(Default)]
pub(super) struct Outcome {
    pub stored: u64,
    pub refused: u64,
    /// They are held still.
    pub failed: Option<StorageError>,
}

impl<T: Recorded> Lane<T> {
    pub fn new(instrument: &Instrument, stream: Stream) -> Lane<T> {
        Lane {
            id: instrument.instrument_id.clone(),
            stream,
            decimals: Decimals {
                price: instrument.price_decimals,
                quantity: instrument.quantity_decimals,
            },
            last: 0,
            is_numbered: false,
            is_refused: false,
            rows: Vec::new(),
        }
    }

    /// Takes a row, made with the next number.
    pub fn push(&mut self, row: impl FnOnce(u64) -> T) {
        self.last += 1;
        self.rows.push(row(self.last));
    }

    /// Rows that wait to be written.
    pub fn held(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Leaves numbers to what never came.
    pub fn skip(&mut self, count: u64) {
        self.last += count;
    }

    /// Writes what is held. What a series will never take is dropped, and said once.
    pub fn write(&mut self, series: &dyn Series) -> Outcome {
        let mut outcome = Outcome::default();
        let held = self.held();
        if held == 0 {
            return outcome;
        }
        if !self.is_refused {
            match self.try_write(series) {
                Ok(stored) => outcome.stored = stored,
                Err(error) if is_refusal(&error) => {
                    let (id, stream) = (&self.id, self.stream.name());
                    tracing::error!(instrument_id = %id, stream, %error, "not recorded");
                    self.is_refused = true;
                }
                Err(error) => {
                    outcome.failed = Some(error);
                    return outcome;
                }
            }
        }
        if self.is_refused {
            outcome.refused = held;
        }
        self.rows.clear();
        outcome
    }

    /// A batch whose answer is lost may have been written: written again with the same numbers its
    /// rows are repeats.
    fn try_write(&mut self, series: &dyn Series) -> Result<u64, StorageError> {
        if !self.is_numbered {
            series.declare(&self.id, self.decimals)?;
            let base = series.last_sequence(&self.id, self.stream)?;
            self.rows.iter_mut().for_each(|row| row.shift(base));
            self.last += base;
            self.is_numbered = true;
        }
        let mut stored = 0;
        for batch in self.rows.chunks(MAX_BATCH_ROWS) {
            stored += T::write(series, &self.id, self.stream, batch)?.stored as u64;
        }
        Ok(stored)
    }
}

/// Returns true where trying again would not help.
fn is_refusal(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::OtherDecimals { .. } | StorageError::BadName { .. }
    )
}
