//! Market data on its way into the time series: numbered, held while they cannot be written, and
//! bounded.
//!
//! A [`Keeper`] is the writer of all streams of a process. It never waits for anybody: a shell hands
//! it what was published and lets it write now and then, on a thread that may block. What cannot be
//! written is held up to a bound; who sees [`Keeper::is_full`] takes nothing more from the topics,
//! which then conflate and leave gaps. Everything that was left out takes a number, so that it
//! shows as a gap of its stream.

mod lane;
#[cfg(test)]
mod tests;

use apex_domain::market::{Bar, BarSpec, Quote, Trade};
use apex_domain::{Instrument, InstrumentId, UnixNanos};
use apex_storage::port::series::{BarRow, DAY_NS, Decimals, Kind, QuoteRow, Stream, TradeRow};
use apex_storage::{Series, StorageError};
use lane::{Lane, Rows};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    lanes: BTreeMap<(InstrumentId, Stream), Lane>,
    figures: RecorderFigures,
    /// The day that was last settled.
    maintained: Option<i64>,
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
            lanes: BTreeMap::new(),
            figures: RecorderFigures::default(),
            maintained: None,
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
        let lane = lane(&mut self.lanes, instrument, Stream::Trades);
        let row = TradeRow {
            sequence: lane.next(),
            price: trade.price,
            quantity: trade.quantity,
            aggressor: trade.aggressor,
            trade_id: trade.trade_id,
            ts_event: trade.ts_event,
            ts_init: trade.ts_init,
        };
        lane.rows.push_trade(row);
        self.figures.held += 1;
    }

    /// Takes a quote, with how many older ones of its instrument it stands for.
    pub fn quote(&mut self, instrument: &Instrument, quote: &Quote, overwritten: u64) {
        if self.retention.quotes == 0 {
            return;
        }
        let lane = lane(&mut self.lanes, instrument, Stream::Quotes);
        lane.skip(overwritten);
        let row = QuoteRow {
            sequence: lane.next(),
            bid: quote.bid,
            ask: quote.ask,
            ts_event: quote.ts_event,
            ts_init: quote.ts_init,
        };
        lane.rows.push_quote(row);
        self.figures.held += 1;
        self.figures.missed += overwritten;
    }

    /// Takes a finished bar. Bars of time are not recorded where trades are: the series makes them.
    pub fn bar(&mut self, instrument: &Instrument, bar: &Bar) {
        let is_rolled = matches!(bar.spec, BarSpec::Time { .. }) && self.retention.trades > 0;
        if self.retention.bars == 0 || is_rolled {
            return;
        }
        let lane = lane(&mut self.lanes, instrument, Stream::Bars(bar.spec));
        let row = BarRow {
            sequence: lane.next(),
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            trade_count: bar.trade_count,
            ts_open: bar.ts_open,
            ts_init: bar.ts_init,
        };
        lane.rows.push_bar(row);
        self.figures.held += 1;
    }

    /// Something of a kind never came here, of whichever instrument: each of its streams may have a
    /// gap here.
    pub fn missed(&mut self, kind: Kind, count: u64) {
        self.figures.missed += count;
        for ((_, stream), lane) in &mut self.lanes {
            if kind_of(*stream) == kind {
                lane.skip(1);
            }
        }
    }

    /// Writes everything that is held. Blocking.
    ///
    /// Errors: that of the first stream that could not be written. What was not written is held,
    /// with its numbers; write again later.
    pub fn write(&mut self) -> Result<(), StorageError> {
        let mut failed = None;
        for ((id, stream), lane) in &mut self.lanes {
            if lane.rows.is_empty() {
                continue;
            }
            let held = lane.rows.len() as u64;
            match lane.write(&*self.series, id, *stream) {
                Ok(stored) => {
                    self.figures.stored += stored;
                    self.figures.held -= held;
                }
                // Trying again would not help.
                Err(
                    error @ (StorageError::OtherDecimals { .. } | StorageError::BadName { .. }),
                ) => {
                    tracing::error!(instrument_id = %id, stream = stream.name(), rows = held, %error, "not recorded");
                    lane.rows.clear();
                    self.figures.refused += held;
                    self.figures.held -= held;
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Brings roll-ups up to date and, once a day, makes room for the next and forgets what is older
    /// than it is kept for. Blocking.
    ///
    /// Errors: those of the series; the next call goes on.
    pub fn maintain(&mut self, now: UnixNanos) -> Result<(), StorageError> {
        self.series.roll_up()?;
        let day = now.0.div_euclid(DAY_NS);
        if self.maintained == Some(day) {
            return Ok(());
        }
        self.series.maintain(now)?;
        for (kind, days) in [
            (Kind::Trades, self.retention.trades),
            (Kind::Quotes, self.retention.quotes),
            (Kind::Bars, self.retention.bars),
        ] {
            if days > 0 {
                let before = UnixNanos((day - i64::from(days)) * DAY_NS);
                let forgotten = self.series.forget(kind, before)?;
                if forgotten > 0 {
                    tracing::info!(
                        ?kind,
                        forgotten,
                        "days of recorded market data were forgotten"
                    );
                }
            }
        }
        self.maintained = Some(day);
        Ok(())
    }
}

fn lane<'a>(
    lanes: &'a mut BTreeMap<(InstrumentId, Stream), Lane>,
    instrument: &Instrument,
    stream: Stream,
) -> &'a mut Lane {
    let key = (instrument.instrument_id.clone(), stream);
    lanes.entry(key).or_insert_with(|| {
        let decimals = Decimals {
            price: instrument.price_decimals,
            quantity: instrument.quantity_decimals,
        };
        Lane::new(decimals, Rows::of(stream))
    })
}

fn kind_of(stream: Stream) -> Kind {
    match stream {
        Stream::Trades => Kind::Trades,
        Stream::Quotes => Kind::Quotes,
        Stream::Bars(_) => Kind::Bars,
    }
}
