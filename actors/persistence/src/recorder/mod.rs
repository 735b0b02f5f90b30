//! Market data on its way into the time series: numbered, held while they cannot be written, and
//! bounded.
//!
//! A [`Keeper`] is the writer of all streams of a process. It never waits for anybody: a shell hands
//! it what was published and lets it write now and then, on a thread that may block. What cannot be
//! written is held up to a bound; who sees [`Keeper::is_full`] takes nothing more from the topics,
//! which then conflate and leave gaps. Everything that was left out takes a number, so that it
//! shows as a gap of its stream.

pub mod check;
mod lane;
#[cfg(test)]
mod tests;
mod upkeep;

use apex_domain::market::{Bar, BarSpec, Quote, Trade};
use apex_domain::{Instrument, InstrumentId};
use apex_storage::port::series::{BarRow, Kind, QuoteRow, Stream, TradeRow};
use apex_storage::{Series, StorageError};
use lane::Lane;
use std::collections::BTreeMap;
use std::sync::Arc;
pub use upkeep::Upkeep;

/// Rows that are held at most, over all streams: some ten megabytes, and half a minute of a busy
/// market.
pub const MAX_HELD: usize = 1 << 18;

/// For how many days each kind is kept; 0 records none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub trades: u16,
    pub quotes: u16,
    pub bars: u16,
}

impl Default for Retention {
    /// A month of trades, with the bars that are made of them, and no quotes, which are most of what
    /// a market says.
    fn default() -> Retention {
        Retention {
            trades: 30,
            quotes: 0,
            bars: 365,
        }
    }
}

impl Retention {
    pub fn records_any(&self) -> bool {
        self.trades > 0 || self.quotes > 0 || self.bars > 0
    }
}

/// Figures of a keeper since its process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderFigures {
    /// Rows that wait to be written.
    pub held: u64,
    /// Rows that were written.
    pub stored: u64,
    /// What was published and never came here, as far as it is known.
    pub missed: u64,
    /// Rows that no series takes: of an instrument that it knows with other decimals.
    pub refused: u64,
}

/// See the module.
pub struct Keeper {
    series: Arc<dyn Series>,
    retention: Retention,
    trades: BTreeMap<InstrumentId, Lane<TradeRow>>,
    quotes: BTreeMap<InstrumentId, Lane<QuoteRow>>,
    bars: BTreeMap<(InstrumentId, BarSpec), Lane<BarRow>>,
    figures: RecorderFigures,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}

impl Keeper {
    pub fn new(series: Arc<dyn Series>, retention: Retention) -> Keeper {
        Keeper {
            series,
            retention,
            trades: BTreeMap::new(),
            quotes: BTreeMap::new(),
            bars: BTreeMap::new(),
            figures: RecorderFigures::default(),
        }
    }

    pub fn figures(&self) -> RecorderFigures {
        self.figures
    }

    /// Returns true when nothing more is to be handed in before something was written.
    pub fn is_full(&self) -> bool {
        self.figures.held >= MAX_HELD as u64
    }

    /// Takes a print.
    pub fn trade(&mut self, instrument: &Instrument, trade: &Trade) {
        if self.retention.trades == 0 {
            return;
        }
        let lane = self.trades.entry(instrument.instrument_id.clone());
        let lane = lane.or_insert_with(|| Lane::new(instrument, Stream::Trades));
        lane.push(|sequence| TradeRow::of(sequence, trade));
        self.figures.held += 1;
    }

    /// Takes a quote, with how many older ones of its instrument it stands for.
    pub fn quote(&mut self, instrument: &Instrument, quote: &Quote, overwritten: u64) {
        if self.retention.quotes == 0 {
            return;
        }
        let lane = self.quotes.entry(instrument.instrument_id.clone());
        let lane = lane.or_insert_with(|| Lane::new(instrument, Stream::Quotes));
        lane.skip(overwritten);
        lane.push(|sequence| QuoteRow::of(sequence, quote));
        self.figures.held += 1;
        self.figures.missed += overwritten;
    }

    /// Takes a finished bar. Bars of time are not recorded where trades are: the series makes them.
    pub fn bar(&mut self, instrument: &Instrument, bar: &Bar) {
        let is_rolled = matches!(bar.spec, BarSpec::Time { .. }) && self.retention.trades > 0;
        if self.retention.bars == 0 || is_rolled {
            return;
        }
        let key = (instrument.instrument_id.clone(), bar.spec);
        let lane = self.bars.entry(key);
        let lane = lane.or_insert_with(|| Lane::new(instrument, Stream::Bars(bar.spec)));
        lane.push(|sequence| BarRow::of(sequence, bar));
        self.figures.held += 1;
    }

    /// Something of a kind never came here, of whichever instrument: each of its streams may have a
    /// gap here.
    pub fn missed(&mut self, kind: Kind, count: u64) {
        self.figures.missed += count;
        match kind {
            Kind::Trades => self.trades.values_mut().for_each(|lane| lane.skip(1)),
            Kind::Quotes => self.quotes.values_mut().for_each(|lane| lane.skip(1)),
            Kind::Bars => self.bars.values_mut().for_each(|lane| lane.skip(1)),
        }
    }

    /// Writes everything that is held. Blocking.
    ///
    /// Errors: that of the first stream that could not be written. What was not written is held,
    /// with its numbers; write again later.
    pub fn write(&mut self) -> Result<(), StorageError> {
        let series = &*self.series;
        let trades = self.trades.values_mut().map(|lane| lane.write(series));
        let quotes = self.quotes.values_mut().map(|lane| lane.write(series));
        let bars = self.bars.values_mut().map(|lane| lane.write(series));
        let mut failed = None;
        for outcome in trades.chain(quotes).chain(bars) {
            self.figures.stored += outcome.stored;
            self.figures.refused += outcome.refused;
            failed = failed.or(outcome.failed);
        }
        let lanes = self.trades.values().map(Lane::held);
        let lanes = lanes.chain(self.quotes.values().map(Lane::held));
        self.figures.held = lanes.chain(self.bars.values().map(Lane::held)).sum();
        failed.map_or(Ok(()), Err)
    }
}
