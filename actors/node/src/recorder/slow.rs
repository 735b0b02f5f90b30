//! A series whose writes of trades take as long as a test says.

use apex_domain::InstrumentId;
use apex_domain::UnixNanos;
use apex_domain::market::BarSpec;
use apex_storage::port::series::{
    BarRow, Decimals, Gap, Kind, QuoteRow, RollUp, Rows, Stream, TimeRange, TradeRow, Written,
};
use apex_storage::{MemorySeries, Series, StorageError};
use std::sync::{Condvar, Mutex};

#[derive(Default)]
pub(super) struct Slow {
    pub series: MemorySeries,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_open: bool,
    begun: usize,
    /// Each write ends without an answer.
    fails: bool,
}

impl Slow {
    /// Writes that have begun.
    pub fn begun(&self) -> usize {
        self.state.lock().unwrap().begun
    }

    /// Lets the write that waits go on, and all behind it, which fail as long as it is said.
    pub fn open(&self, fails: bool) {
        let mut state = self.state.lock().unwrap();
        (state.is_open, state.fails) = (true, fails);
        self.changed.notify_all();
    }

    /// Lets the next write wait.
    pub fn close(&self) {
        self.state.lock().unwrap().is_open = false;
    }
}

type Outcome<T> = Result<T, StorageError>;

impl Series for Slow {
    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Outcome<Written> {
        let mut state = self.state.lock().unwrap();
        state.begun += 1;
        let state = self.changed.wait_while(state, |state| !state.is_open);
        if state.unwrap().fails {
            return Err(StorageError::Unavailable {
                server: "series".to_owned(),
                detail: "the answer was lost".to_owned(),
                variable: "APEX_TIMESCALE_URL",
            });
        }
        self.series.write_trades(id, rows)
    }
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Outcome<()> {
        self.series.declare(id, decimals)
    }
    fn decimals(&self, id: &InstrumentId) -> Outcome<Option<Decimals>> {
        self.series.decimals(id)
    }
    fn instruments(&self) -> Outcome<Vec<InstrumentId>> {
        self.series.instruments()
    }
    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Outcome<Written> {
        self.series.write_quotes(id, rows)
    }
    fn write_bars(&self, id: &InstrumentId, spec: BarSpec, rows: &[BarRow]) -> Outcome<Written> {
        self.series.write_bars(id, spec, rows)
    }
    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Outcome<u64> {
        self.series.last_sequence(id, stream)
    }
    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Outcome<Rows<TradeRow>> {
        self.series.trades(id, range)
    }
    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Outcome<Rows<QuoteRow>> {
        self.series.quotes(id, range)
    }
    fn bars(&self, id: &InstrumentId, spec: BarSpec, range: TimeRange) -> Outcome<Rows<BarRow>> {
        self.series.bars(id, spec, range)
    }
    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Outcome<Rows<BarRow>> {
        self.series.rolled(id, roll_up, range)
    }
    fn roll_up(&self) -> Outcome<()> {
        self.series.roll_up()
    }
    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Outcome<Vec<Gap>> {
        self.series.gaps(id, stream)
    }
    fn maintain(&self, now: UnixNanos) -> Outcome<()> {
        self.series.maintain(now)
    }
    fn forget(&self, kind: Kind, before: UnixNanos) -> Outcome<usize> {
        self.series.forget(kind, before)
    }
}
