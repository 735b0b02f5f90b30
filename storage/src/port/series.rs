//! The time-series port: trades, quotes and bars by instrument.
//!
//! **Writing is at least once.** Each row has a sequence of its stream: an instrument's trades, its
//! quotes, or its bars of one spec. The one writer of a stream gives them, rising; what it was told
//! to be lost takes numbers too, and shows as a [`Gap`]. A row at or below [`Series::last_sequence`]
//! is a repeat and is dropped, so a batch whose answer was lost is simply written again, cut as it
//! may be. An id for each batch would hold only as long as a restarted writer cuts the same batches,
//! and every id would have to be kept; of sequences the last one is enough.
//!
//! **Reading** is by `ts_event` (bars: `ts_open`), and by sequence where that is equal: the order
//! in which a bar takes its open and close (`docs/guide/bars.md`, TC-B01).
//!
//! **Roll-ups** are bars of 1 minute, 5 minutes, 1 hour and 1 day made from the stored trades: those
//! of the cells that `apex_domain::bar::TimeBars` keeps for charts, late trades included. They end
//! with their trades; who wants bars for longer writes bars.

use crate::StorageError;
use apex_domain::id::InstrumentId;
use apex_domain::market::{BarSpec, Level, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;

/// The most rows of one batch: some megabytes, written well within the time of a statement.
pub const MAX_BATCH_ROWS: usize = 65_536;

/// The most decimals of a price or quantity.
pub const MAX_DECIMALS: u8 = 18;

/// Nanoseconds of a day, by which streams are kept and forgotten.
pub const DAY_NS: i64 = 86_400_000_000_000;

/// How long after its end, in nanoseconds, a day has settled: most of what is late has come by then.
pub const SETTLED_AFTER_NS: i64 = 3_600_000_000_000;

/// What mantissas of an instrument mean; stated once, and the same for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimals {
    pub price: u8,
    pub quantity: u8,
}

/// One print, without its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// 1 or more, rising within the stream.
    pub sequence: u64,
    pub price: Price,
    pub quantity: Quantity,
    pub aggressor: Option<Side>,
    /// The venue's number; 0 where it has none.
    pub trade_id: u64,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}

/// The best bid and ask, without their instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteRow {
    /// 1 or more, rising within the stream.
    pub sequence: u64,
    pub bid: Option<Level>,
    pub ask: Option<Level>,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}

/// One bar, without its instrument and spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarRow {
    /// 1 or more, rising within the stream; of a roll-up 0.
    pub sequence: u64,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// A mantissa at the instrument's quantity decimals.
    pub volume: i128,
    pub trade_count: u64,
    pub ts_open: UnixNanos,
    /// When the bar was known; of a roll-up the latest `ts_init` of its trades.
    pub ts_init: UnixNanos,
}

/// What a sequence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    Trades,
    Quotes,
    Bars(BarSpec),
}

/// What is forgotten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With their roll-ups.
    Trades,
    Quotes,
    /// Of every spec.
    Bars,
}

impl Stream {
    /// Returns the name of a stream, for files, tables and people: `trades`, `quotes`,
    /// `bars-time-60000000000`. It is part of what is stored and never changes.
    pub fn name(&self) -> String {
        match self {
            Stream::Trades => "trades".to_owned(),
            Stream::Quotes => "quotes".to_owned(),
            Stream::Bars(BarSpec::Time { interval_ns }) => format!("bars-time-{interval_ns}"),
            Stream::Bars(BarSpec::External) => "bars-external".to_owned(),
            Stream::Bars(BarSpec::Tick { count }) => format!("bars-tick-{count}"),
            Stream::Bars(BarSpec::Volume { quantity }) => format!("bars-volume-{}", quantity.0),
            Stream::Bars(BarSpec::Value { amount }) => format!("bars-value-{amount}"),
            Stream::Bars(BarSpec::Renko { brick }) => format!("bars-renko-{}", brick.0),
        }
    }
}

/// The intervals of roll-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RollUp {
    Minute,
    FiveMinutes,
    Hour,
    Day,
}

impl RollUp {
    /// The finer before those that are made of it.
    pub const ALL: [RollUp; 4] = [
        RollUp::Minute,
        RollUp::FiveMinutes,
        RollUp::Hour,
        RollUp::Day,
    ];

    pub const fn interval_ns(self) -> i64 {
        match self {
            RollUp::Minute => 60_000_000_000,
            RollUp::FiveMinutes => 300_000_000_000,
            RollUp::Hour => 3_600_000_000_000,
            RollUp::Day => DAY_NS,
        }
    }

    /// Returns its name for people: `1m`, `5m`, `1h`, `1d`.
    pub const fn name(self) -> &'static str {
        match self {
            RollUp::Minute => "1m",
            RollUp::FiveMinutes => "5m",
            RollUp::Hour => "1h",
            RollUp::Day => "1d",
        }
    }
}

/// A span of `ts_event`, of bars `ts_open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Inclusive.
    pub from: UnixNanos,
    /// Exclusive; at or before `from` nothing is in the range.
    pub to: UnixNanos,
}

impl TimeRange {
    /// Everything but the last nanosecond that there is.
    pub const ALL: TimeRange = TimeRange {
        from: UnixNanos(i64::MIN),
        to: UnixNanos(i64::MAX),
    };

    pub fn contains(&self, ts: UnixNanos) -> bool {
        (self.from..self.to).contains(&ts)
    }
}

/// Sequences that no row came with: told to be lost, or never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub first: u64,
    pub last: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub stored: usize,
    /// Were stored before, and were dropped.
    pub repeated: usize,
}

/// Rows in order, with some thousand of them in memory. An item that is an error is the last one.
pub type Rows<T> = Box<dyn Iterator<Item = Result<T, StorageError>> + Send>;

/// The time series of a platform. Blocking; shared between threads, with one writer a stream.
///
/// Errors that every call may give: `Io`, `Unavailable`, `Damaged`, and of what writes `Full`. The
/// outcome of a write that failed is unknown: write the same rows again. Nothing here decides about
/// money, so the process goes on, whatever `must_abort` says; a recorder keeps what it holds and
/// tries later.
pub trait Series: Send + Sync {
    /// Makes an instrument known. Doing it again changes nothing.
    ///
    /// # Errors
    /// `OtherDecimals` when it is known with others; `BadName` above [`MAX_DECIMALS`].
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Result<(), StorageError>;

    /// Returns what an instrument was declared with; `None` of an unknown one.
    ///
    /// # Errors
    /// As said above.
    fn decimals(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError>;

    /// Returns every instrument that was declared, in order of id.
    ///
    /// # Errors
    /// As said above.
    fn instruments(&self) -> Result<Vec<InstrumentId>, StorageError>;

    /// Stores trades; they are durable when this returns.
    ///
    /// # Errors
    /// - `NotDeclared`: declare the instrument.
    /// - `TooLarge` above [`MAX_BATCH_ROWS`], `Sequence` when sequences do not rise from 1 on:
    ///   the caller's bug; nothing was written. `BadName` for a `ts_event` that is no time.
    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Result<Written, StorageError>;

    /// Stores quotes, as [`Series::write_trades`].
    ///
    /// # Errors
    /// As there.
    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Result<Written, StorageError>;

    /// Stores bars of a spec, as [`Series::write_trades`].
    ///
    /// # Errors
    /// As there.
    fn write_bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        rows: &[BarRow],
    ) -> Result<Written, StorageError>;

    /// Returns the last sequence of a stream, where its writer goes on; 0 of an empty one.
    ///
    /// # Errors
    /// As said above.
    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Result<u64, StorageError>;

    /// Returns the trades of a range; none of an unknown instrument. What is written meanwhile may
    /// be missing.
    ///
    /// # Errors
    /// As said above, here or as an item.
    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<TradeRow>, StorageError>;

    /// Returns the quotes of a range, as [`Series::trades`].
    ///
    /// # Errors
    /// As there.
    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<QuoteRow>, StorageError>;

    /// Returns the bars that were written, as [`Series::trades`].
    ///
    /// # Errors
    /// As there.
    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError>;

    /// Returns the roll-ups whose cells begin in a range, at least as new as the last
    /// [`Series::roll_up`].
    ///
    /// # Errors
    /// As [`Series::trades`].
    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError>;

    /// Brings the roll-ups of what was written since the last time up to date, late trades too.
    ///
    /// # Errors
    /// As said above; trying again goes on.
    fn roll_up(&self) -> Result<(), StorageError>;

    /// Returns the gaps of a stream in order. One before the oldest row that is kept may be gone.
    ///
    /// # Errors
    /// As said above.
    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Result<Vec<Gap>, StorageError>;

    /// Prepares the days ahead and settles those that are over. Call it some times a day with the
    /// time of day; nothing is wrong when it is left out, only slower.
    ///
    /// # Errors
    /// As said above.
    fn maintain(&self, now: UnixNanos) -> Result<(), StorageError>;

    /// Forgets the days that end at or before a time, of all instruments, and returns how many.
    /// Sequences go on, and a repeat of what was forgotten is still one. What somebody reads for long,
    /// as a backup does, may stay until a later call: call it some times a day.
    ///
    /// # Errors
    /// As said above; trying again goes on.
    fn forget(&self, kind: Kind, before: UnixNanos) -> Result<usize, StorageError>;
}

/// What the kinds of rows share.
pub(crate) trait Row: Copy + Send + Sync + 'static {
    fn sequence(&self) -> u64;
    /// The time that it is kept by.
    fn ts(&self) -> i64;
}

impl Row for TradeRow {
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn ts(&self) -> i64 {
        self.ts_event.0
    }
}

impl Row for QuoteRow {
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn ts(&self) -> i64 {
        self.ts_event.0
    }
}

impl Row for BarRow {
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn ts(&self) -> i64 {
        self.ts_open.0
    }
}

/// Checks what a caller writes; every backend accepts and refuses the same.
pub(crate) fn check_batch<T: Row>(rows: &[T]) -> Result<(), StorageError> {
    if rows.len() > MAX_BATCH_ROWS {
        return Err(StorageError::TooLarge {
            bytes: std::mem::size_of_val(rows),
            limit_bytes: MAX_BATCH_ROWS * size_of::<T>(),
        });
    }
    let mut before = 0;
    for row in rows {
        let found = row.sequence();
        // A database has signed numbers only.
        if found <= before || found > i64::MAX as u64 {
            let expected = before + 1;
            return Err(StorageError::Sequence { expected, found });
        }
        before = found;
        // A day before and behind it can still be told in nanoseconds.
        if row.ts().unsigned_abs() > (i64::MAX - DAY_NS) as u64 {
            return Err(StorageError::BadName {
                what: "time of a row",
                name: row.ts().to_string(),
                form: "nanoseconds since 1970, a day within the range of 64 bits",
            });
        }
    }
    Ok(())
}

/// Checks what an instrument is declared with.
pub(crate) fn check_decimals(decimals: Decimals) -> Result<(), StorageError> {
    let largest = decimals.price.max(decimals.quantity);
    if largest <= MAX_DECIMALS {
        return Ok(());
    }
    Err(StorageError::BadName {
        what: "number of decimals",
        name: largest.to_string(),
        form: "0 to 18",
    })
}

/// Checks that an instrument is declared as it was before.
pub(crate) fn same_decimals(
    id: &InstrumentId,
    stored: Decimals,
    given: Decimals,
) -> Result<(), StorageError> {
    if stored == given {
        return Ok(());
    }
    let text = |decimals: Decimals| format!("{}/{}", decimals.price, decimals.quantity);
    Err(StorageError::OtherDecimals {
        instrument_id: id.to_string(),
        stored: text(stored),
        given: text(given),
    })
}

/// Returns the day that a time lies in, counted from 1970 on.
pub(crate) fn day_of(ts: i64) -> i64 {
    ts.div_euclid(DAY_NS)
}

/// A shared store is a store.
impl<T: Series + ?Sized> Series for std::sync::Arc<T> {
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Result<(), StorageError> {
        (**self).declare(id, decimals)
    }

    fn decimals(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError> {
        (**self).decimals(id)
    }

    fn instruments(&self) -> Result<Vec<InstrumentId>, StorageError> {
        (**self).instruments()
    }

    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Result<Written, StorageError> {
        (**self).write_trades(id, rows)
    }

    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Result<Written, StorageError> {
        (**self).write_quotes(id, rows)
    }

    fn write_bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        rows: &[BarRow],
    ) -> Result<Written, StorageError> {
        (**self).write_bars(id, spec, rows)
    }

    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Result<u64, StorageError> {
        (**self).last_sequence(id, stream)
    }

    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<TradeRow>, StorageError> {
        (**self).trades(id, range)
    }

    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<QuoteRow>, StorageError> {
        (**self).quotes(id, range)
    }

    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        (**self).bars(id, spec, range)
    }

    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        (**self).rolled(id, roll_up, range)
    }

    fn roll_up(&self) -> Result<(), StorageError> {
        (**self).roll_up()
    }

    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Result<Vec<Gap>, StorageError> {
        (**self).gaps(id, stream)
    }

    fn maintain(&self, now: UnixNanos) -> Result<(), StorageError> {
        (**self).maintain(now)
    }

    fn forget(&self, kind: Kind, before: UnixNanos) -> Result<usize, StorageError> {
        (**self).forget(kind, before)
    }
}
