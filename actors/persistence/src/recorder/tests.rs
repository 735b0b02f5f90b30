use super::*;
use apex_domain::market::Level;
use apex_domain::matching::SimInstrument;
use apex_domain::{Price, Quantity, UnixNanos};
use apex_storage::MemorySeries;
use apex_storage::port::series::{DAY_NS, Decimals, Gap, RollUp, Rows, TimeRange, Written};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// As one of the simulated market, under another name.
pub(super) fn instrument(symbol: &str) -> Instrument {
    let mut all = SimInstrument::defaults().into_iter();
    Instrument {
        instrument_id: InstrumentId::new(&format!("{symbol}.SIM")).unwrap(),
        ..all.next().unwrap().instrument
    }
}

pub(super) fn trade(instrument: &Instrument, price: i64, ts: i64) -> Trade {
    Trade {
        instrument_id: instrument.instrument_id.clone(),
        price: Price(price),
        quantity: Quantity(1),
        aggressor: None,
        trade_id: 0,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    }
}

fn quote(instrument: &Instrument, bid: i64, ts: i64) -> Quote {
    Quote {
        instrument_id: instrument.instrument_id.clone(),
        bid: Some(Level {
            price: Price(bid),
            quantity: Quantity(1),
        }),
        ask: None,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    }
}

fn bar(instrument: &Instrument, spec: BarSpec, ts: i64) -> Bar {
    Bar {
        instrument_id: instrument.instrument_id.clone(),
        spec,
        open: Price(1),
        high: Price(1),
        low: Price(1),
        close: Price(1),
        volume: 1,
        trade_count: 1,
        ts_open: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    }
}

const ALL: Retention = Retention {
    trades: 1,
    quotes: 1,
    bars: 1,
};

fn prices(series: &MemorySeries, instrument: &Instrument) -> Vec<(u64, i64)> {
    let rows = series.trades(&instrument.instrument_id, TimeRange::ALL);
    let rows = rows.unwrap().map(|row| row.unwrap());
    rows.map(|row| (row.sequence, row.price.0)).collect()
}

#[test]
fn a_restarted_keeper_goes_on_numbering_where_the_stream_ends() {
    let series = Arc::new(MemorySeries::default());
    let a = instrument("A");
    for (run, price) in [(1, 10), (2, 20)] {
        let mut keeper = Keeper::new(series.clone(), ALL);
        keeper.trade(&a, &trade(&a, price, run));
        keeper.trade(&a, &trade(&a, price + 1, run));
        assert_eq!(keeper.figures().held, 2);
        keeper.write().unwrap();
        keeper.write().unwrap();
        assert_eq!((keeper.figures().held, keeper.figures().stored), (0, 2));
    }
    assert_eq!(prices(&series, &a), [(1, 10), (2, 11), (3, 20), (4, 21)]);
}

#[test]
fn what_never_came_shows_as_a_gap_of_its_stream() {
    let series = Arc::new(MemorySeries::default());
    let (a, b) = (instrument("A"), instrument("B"));
    let mut keeper = Keeper::new(series.clone(), ALL);
    keeper.trade(&a, &trade(&a, 1, 1));
    keeper.quote(&b, &quote(&b, 5, 1), 0);
    keeper.missed(Kind::Trades, 7);
    keeper.trade(&a, &trade(&a, 2, 2));
    keeper.quote(&b, &quote(&b, 6, 2), 3);
    keeper.write().unwrap();
    assert_eq!(keeper.figures().missed, 10);
    let gaps = |id: &Instrument, stream| series.gaps(&id.instrument_id, stream).unwrap();
    assert_eq!(gaps(&a, Stream::Trades), [Gap { first: 2, last: 2 }]);
    assert_eq!(gaps(&b, Stream::Quotes), [Gap { first: 2, last: 4 }]);
}

#[test]
fn bars_of_time_are_left_to_the_trades_that_they_are_made_of() {
    let series = Arc::new(MemorySeries::default());
    let a = instrument("A");
    let minute = BarSpec::Time {
        interval_ns: 60_000_000_000,
    };
    let ticks = BarSpec::Tick { count: 5 };
    let count = |spec| {
        let rows = series.bars(&a.instrument_id, spec, TimeRange::ALL);
        rows.unwrap().count()
    };
    let mut keeper = Keeper::new(series.clone(), ALL);
    keeper.bar(&a, &bar(&a, minute, 1));
    keeper.bar(&a, &bar(&a, ticks, 1));
    keeper.write().unwrap();
    assert_eq!((count(minute), count(ticks)), (0, 1));
    let no_trades = Retention { trades: 0, ..ALL };
    let mut keeper = Keeper::new(series.clone(), no_trades);
    keeper.bar(&a, &bar(&a, minute, 1));
    keeper.trade(&a, &trade(&a, 1, 1));
    keeper.write().unwrap();
    assert_eq!(count(minute), 1);
    assert_eq!(prices(&series, &a), []);
}

#[test]
fn a_stream_that_no_series_takes_keeps_no_other_back() {
    let series = Arc::new(MemorySeries::default());
    let (mut a, b) = (instrument("A"), instrument("B"));
    let mut keeper = Keeper::new(series.clone(), ALL);
    keeper.trade(&a, &trade(&a, 1, 1));
    keeper.write().unwrap();
    a.price_decimals += 1;
    let mut keeper = Keeper::new(series.clone(), ALL);
    keeper.trade(&a, &trade(&a, 2, 2));
    keeper.trade(&b, &trade(&b, 3, 3));
    keeper.write().unwrap();
    let figures = keeper.figures();
    assert_eq!((figures.refused, figures.stored, figures.held), (1, 1, 0));
    keeper.trade(&a, &trade(&a, 4, 4));
    keeper.write().unwrap();
    assert_eq!((keeper.figures().refused, keeper.figures().held), (2, 0));
    assert_eq!(prices(&series, &b), [(1, 3)]);
}

#[test]
fn days_are_forgotten_by_their_kind_and_looked_for_each_hour() {
    let series = Arc::new(MemorySeries::default());
    let a = instrument("A");
    let retention = Retention { trades: 2, ..ALL };
    let mut keeper = Keeper::new(series.clone(), retention);
    for day in 0..5 {
        keeper.trade(&a, &trade(&a, day, day * DAY_NS));
    }
    keeper.write().unwrap();
    let mut upkeep = Upkeep::new(series.clone(), retention);
    let left = || -> Vec<i64> {
        let all = prices(&series, &a).into_iter();
        all.map(|(_, day)| day).collect()
    };
    let begin = 4 * DAY_NS;
    upkeep.run(UnixNanos(begin + 1)).unwrap();
    assert_eq!(left(), [2, 3, 4]);
    // What could not go then goes an hour later.
    keeper.trade(&a, &trade(&a, 9, DAY_NS));
    keeper.write().unwrap();
    upkeep.run(UnixNanos(begin + DAY_NS / 24 - 1)).unwrap();
    assert_eq!(left(), [9, 2, 3, 4]);
    upkeep.run(UnixNanos(begin + DAY_NS / 24)).unwrap();
    assert_eq!(left(), [2, 3, 4]);
}

/// A series whose next writes of trades, and listings, are carried out and answered with a failure.
pub(super) struct Loses {
    series: MemorySeries,
    answers: AtomicUsize,
    /// It tells of more trades in a minute than there were.
    pub exaggerates: AtomicBool,
}

impl Loses {
    pub fn new(answers: usize) -> Loses {
        Loses {
            series: MemorySeries::default(),
            answers: AtomicUsize::new(answers),
            exaggerates: AtomicBool::new(false),
        }
    }

    /// Loses so many answers from now on.
    pub fn lose(&self, answers: usize) {
        self.answers.store(answers, Relaxed);
    }

    fn answer<T>(&self, done: Result<T, StorageError>) -> Result<T, StorageError> {
        let lost = |left: usize| left.checked_sub(1);
        match self.answers.fetch_update(Relaxed, Relaxed, lost) {
            Ok(_) => Err(StorageError::Unavailable {
                server: "series".to_owned(),
                detail: "the answer was lost".to_owned(),
                variable: "APEX_TIMESCALE_URL",
            }),
            Err(_) => done,
        }
    }
}

impl Series for Loses {
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Result<(), StorageError> {
        self.series.declare(id, decimals)
    }
    fn decimals(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError> {
        self.series.decimals(id)
    }
    fn instruments(&self) -> Result<Vec<InstrumentId>, StorageError> {
        self.answer(self.series.instruments())
    }
    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Result<Written, StorageError> {
        self.answer(self.series.write_trades(id, rows))
    }
    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Result<Written, StorageError> {
        self.series.write_quotes(id, rows)
    }
    fn write_bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        rows: &[BarRow],
    ) -> Result<Written, StorageError> {
        self.series.write_bars(id, spec, rows)
    }
    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Result<u64, StorageError> {
        self.series.last_sequence(id, stream)
    }
    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<TradeRow>, StorageError> {
        self.series.trades(id, range)
    }
    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<QuoteRow>, StorageError> {
        self.series.quotes(id, range)
    }
    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        self.series.bars(id, spec, range)
    }
    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        let rows = self.series.rolled(id, roll_up, range)?;
        let more = u64::from(roll_up == RollUp::Minute && self.exaggerates.load(Relaxed));
        Ok(Box::new(rows.map(move |row| {
            let row = row?;
            Ok(BarRow {
                trade_count: row.trade_count + more,
                ..row
            })
        })))
    }
    fn roll_up(&self) -> Result<(), StorageError> {
        self.series.roll_up()
    }
    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Result<Vec<Gap>, StorageError> {
        self.series.gaps(id, stream)
    }
    fn maintain(&self, now: UnixNanos) -> Result<(), StorageError> {
        self.series.maintain(now)
    }
    fn forget(&self, kind: Kind, before: UnixNanos) -> Result<usize, StorageError> {
        self.series.forget(kind, before)
    }
}

#[test]
fn rows_whose_answer_was_lost_are_written_again_and_stored_once() {
    let loses = Arc::new(Loses::new(2));
    let a = instrument("A");
    let mut keeper = Keeper::new(loses.clone(), ALL);
    keeper.trade(&a, &trade(&a, 1, 1));
    assert!(keeper.write().is_err());
    // What came meanwhile goes along.
    keeper.trade(&a, &trade(&a, 2, 2));
    assert!(keeper.write().is_err());
    assert_eq!(keeper.figures().held, 2);
    keeper.write().unwrap();
    let figures = keeper.figures();
    assert_eq!((figures.held, figures.refused), (0, 0));
    assert_eq!(prices(&loses.series, &a), [(1, 1), (2, 2)]);
}

#[test]
fn a_keeper_that_holds_as_much_as_it_may_says_so() {
    let loses = Arc::new(Loses::new(1));
    let a = instrument("A");
    let mut keeper = Keeper::new(loses, ALL);
    for n in 0..MAX_HELD as i64 {
        assert!(!keeper.is_full());
        keeper.trade(&a, &trade(&a, 1, n));
    }
    assert!(keeper.is_full());
    assert!(keeper.write().is_err() && keeper.is_full());
    keeper.write().unwrap();
    assert!(!keeper.is_full());
}
