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
    has_begun: bool,
}

impl Slow {
    /// Returns true once a write waits.
    pub fn has_begun(&self) -> bool {
        self.state.lock().unwrap().has_begun
    }

    pub fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.changed.notify_all();
    }
}

type Outcome<T> = Result<T, StorageError>;

impl Series for Slow {
    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Outcome<Written> {
        let mut state = self.state.lock().unwrap();
        state.has_begun = true;
        drop(
            self.changed
                .wait_while(state, |state| !state.is_open)
                .unwrap(),
        );
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
