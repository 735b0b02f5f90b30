//! One face for the bars of every kind.

use super::spec::{BarSpecError, check_spec};
use super::{BarCounters, RenkoBars, TickBars, TimeBars, ValueBars, VolumeBars};
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};
use crate::time::UnixNanos;

/// Builds the bars of one spec of one instrument.
#[derive(Clone, Debug)]
pub enum BarBuilder {
    Time(TimeBars),
    Tick(TickBars),
    Volume(VolumeBars),
    Value(ValueBars),
    Renko(RenkoBars),
}

impl BarBuilder {
    /// A builder for a spec. Time bars hold their last `cells_max` cells; others hold one bar.
    ///
    /// Errors: [`BarSpecError`], for bars that cannot be built: a threshold that is not above
    /// zero, or bars that come finished from a file.
    pub fn new(
        instrument_id: InstrumentId,
        spec: BarSpec,
        cells_max: usize,
    ) -> Result<BarBuilder, BarSpecError> {
        check_spec(spec)?;
        Ok(match spec {
            BarSpec::Time { interval_ns } => {
                BarBuilder::Time(TimeBars::new(instrument_id, interval_ns, cells_max))
            }
            BarSpec::External => return Err(BarSpecError::NotBuilt),
            BarSpec::Tick { count } => BarBuilder::Tick(TickBars::new(instrument_id, count)),
            BarSpec::Volume { quantity } => {
                BarBuilder::Volume(VolumeBars::new(instrument_id, quantity))
            }
            BarSpec::Value { amount } => BarBuilder::Value(ValueBars::new(instrument_id, amount)),
            BarSpec::Renko { brick } => BarBuilder::Renko(RenkoBars::new(instrument_id, brick)),
        })
    }

    /// Takes a trade; finished bars are appended to `bars`, the older first.
    pub fn on_trade(&mut self, trade: &Trade, bars: &mut Vec<Bar>) {
        match self {
            BarBuilder::Time(builder) => builder.on_trade(trade, bars),
            BarBuilder::Tick(builder) => builder.on_trade(trade, bars),
            BarBuilder::Volume(builder) => builder.on_trade(trade, bars),
            BarBuilder::Value(builder) => builder.on_trade(trade, bars),
            BarBuilder::Renko(builder) => builder.on_trade(trade, bars),
        }
    }

    /// Returns true when the trade that ends a bar is a part of it, so that the bar is published
    /// behind the trade. A time bar ends before the trade that shows its end.
    pub fn ends_with_its_trade(&self) -> bool {
        !matches!(self, BarBuilder::Time(_))
    }

    /// Takes the exchange's time, seen at `ts_init`. Only time bars end by it.
    pub fn on_time(&mut self, now: UnixNanos, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        if let BarBuilder::Time(builder) = self {
            builder.on_time(now, ts_init, bars);
        }
    }

    /// Ends the open bar at the end of a session, however little it holds. Bricks go on: a gap
    /// over night is a gap, and what was traded since the last brick goes into the next.
    pub fn end_session(&mut self, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        match self {
            BarBuilder::Time(builder) => builder.end_session(ts_init, bars),
            BarBuilder::Tick(builder) => builder.tape.close(ts_init, bars),
            BarBuilder::Volume(builder) => builder.tape.close(ts_init, bars),
            BarBuilder::Value(builder) => builder.end(ts_init, bars),
            BarBuilder::Renko(_) => {}
        }
    }

    /// Returns the quantity that was taken and is in no bar yet.
    pub fn pending_volume(&self) -> i128 {
        match self {
            BarBuilder::Time(builder) => builder.pending_volume(),
            BarBuilder::Tick(builder) => builder.tape.volume(),
            BarBuilder::Volume(builder) => builder.tape.volume(),
            BarBuilder::Value(builder) => builder.tape.volume(),
            BarBuilder::Renko(builder) => builder.tape.volume(),
        }
    }

    pub fn counters(&self) -> BarCounters {
        match self {
            BarBuilder::Time(builder) => builder.counters(),
            BarBuilder::Tick(builder) => builder.tape.counters(),
            BarBuilder::Volume(builder) => builder.tape.counters(),
            BarBuilder::Value(builder) => builder.tape.counters(),
            BarBuilder::Renko(builder) => builder.tape.counters(),
        }
    }

    /// Returns a hash over the instrument, the threshold and all emitted bars in order. When a bar
    /// was known is not in it.
    pub fn market_hash(&self) -> u64 {
        match self {
            BarBuilder::Time(builder) => builder.market_hash(),
            BarBuilder::Tick(builder) => builder.tape.hash(),
            BarBuilder::Volume(builder) => builder.tape.hash(),
            BarBuilder::Value(builder) => builder.tape.hash(),
            BarBuilder::Renko(builder) => builder.tape.hash(),
        }
    }
}
