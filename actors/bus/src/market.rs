//! The market as one process sees it: a topic for each kind of data, and a board with the newest
//! of each instrument.

use crate::topic::{Capacity, Keyed, Topic};
use apex_domain::market::{Bar, BarSpec, BookSnapshot, FeedState, FeedStatus, Quote, Trade};
use apex_domain::risk::{MarketRef, MarketView as Watched};
use apex_domain::{Instrument, InstrumentId, Price, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Instruments that one process can carry on a conflated topic. Far above what one machine can
/// keep books of; a further instrument would be refused by the topic.
const INSTRUMENTS: Capacity = Capacity::new(1 << 12);

/// Prints that a slow reader may lie behind before it gets a gap: about 10 s of a busy market.
const TRADES: Capacity = Capacity::new(1 << 14);

/// Finished bars that a slow reader may lie behind: one second of bars of all instruments.
const BARS: Capacity = Capacity::new(1 << 12);

/// Bars that strategies can ask for beyond those that every instrument has. Each costs its feed a
/// look at every trade; a further one is refused.
pub const BARS_ASKED_MAX: usize = 64;

impl Keyed for Quote {
    type Key = InstrumentId;
    fn key(&self) -> InstrumentId {
        self.instrument_id.clone()
    }
}

impl Keyed for BookSnapshot {
    type Key = InstrumentId;
    fn key(&self) -> InstrumentId {
        self.instrument_id.clone()
    }
}

impl Keyed for FeedState {
    type Key = InstrumentId;
    fn key(&self) -> InstrumentId {
        self.instrument_id.clone()
    }
}

/// The newest of one instrument.
#[derive(Clone, Debug)]
pub struct MarketView {
    pub instrument: Instrument,
    pub quote: Option<Quote>,
    pub last_trade: Option<Trade>,
    /// The top of the book, at most [`BOOK_DEPTH`] levels a side.
    pub book: Option<Arc<BookSnapshot>>,
    pub last_bar: Option<Bar>,
    pub feed: FeedStatus,
    /// When the feed last said anything of it, in the feed's clock.
    pub ts_last: UnixNanos,
}

/// Levels a side that are published. Deeper levels stay in the feed.
pub const BOOK_DEPTH: usize = 20;

/// Topics and board of the market data of one process. Cheap to clone.
#[derive(Clone)]
pub struct MarketHub {
    pub quotes: Topic<Quote>,
    pub trades: Topic<Trade>,
    pub books: Topic<Arc<BookSnapshot>>,
    pub bars: Topic<Bar>,
    pub feed_states: Topic<FeedState>,
    board: Arc<RwLock<BTreeMap<InstrumentId, MarketView>>>,
    bars_asked: Arc<BarsAsked>,
}

/// Bars that feeds are asked to make.
#[derive(Debug, Default)]
struct BarsAsked {
    /// Grows with each change, so that a feed looks only when there is something new.
    version: AtomicU64,
    /// `None` is every instrument.
    specs: RwLock<BTreeSet<(Option<InstrumentId>, BarSpec)>>,
}

/// [`BARS_ASKED_MAX`] other bars were asked for already. The caller can do with another spec that
/// is made, or ask again after a restart of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{BARS_ASKED_MAX} kinds of bars were asked for already")]
pub struct TooManyBars;

impl std::fmt::Debug for MarketHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MarketHub").finish_non_exhaustive()
    }
}

impl Default for MarketHub {
    fn default() -> MarketHub {
        MarketHub::new()
    }
}

/// A definition that would change what numbers mean.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "instrument {instrument_id} has another {field} now, and what is booked is counted by the one before"
)]
pub struct ChangedUnit {
    pub instrument_id: InstrumentId,
    pub field: &'static str,
}

impl MarketHub {
    pub fn new() -> MarketHub {
        MarketHub {
            quotes: Topic::conflate("quotes", INSTRUMENTS),
            trades: Topic::gap("trades", TRADES),
            books: Topic::conflate("books", INSTRUMENTS),
            bars: Topic::gap("bars", BARS),
            feed_states: Topic::conflate("feed_states", INSTRUMENTS),
            board: Arc::default(),
            bars_asked: Arc::default(),
        }
    }

    /// Asks the feeds to make bars of an instrument, or of every one (`None`). They are made from
    /// the next trade on until the process ends; asking again changes nothing.
    ///
    /// Errors: [`TooManyBars`].
    pub fn ask_for_bars(
        &self,
        instrument_id: Option<InstrumentId>,
        spec: BarSpec,
    ) -> Result<(), TooManyBars> {
        let asked = &self.bars_asked;
        // A panic while the set was held leaves it whole: each change is one insertion.
        let mut specs = asked
            .specs
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let one = (instrument_id, spec);
        if specs.contains(&one) {
            return Ok(());
        }
        if specs.len() >= BARS_ASKED_MAX {
            return Err(TooManyBars);
        }
        specs.insert(one);
        asked.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Returns a number that grows with each new bar that is asked for.
    pub fn bars_asked_version(&self) -> u64 {
        self.bars_asked.version.load(Ordering::Acquire)
    }

    /// Returns the bars that were asked for of an instrument, in order.
    pub fn bars_asked(&self, instrument_id: &InstrumentId) -> BTreeSet<BarSpec> {
        self.bars_asked
            .specs
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .iter()
            .filter(|(id, _)| id.as_ref().is_none_or(|id| id == instrument_id))
            .map(|(_, spec)| *spec)
            .collect()
    }

    /// Makes an instrument known, or changes its rules and costs. A definition that counts its
    /// prices or quantities otherwise is refused, and the one before stands: accounts count by
    /// that, and what clients send would be read as ten times as much, or a tenth.
    ///
    /// # Errors
    /// [`ChangedUnit`] says what differs.
    pub fn define(&self, instrument: Instrument) -> Result<(), ChangedUnit> {
        let mut board = self.write();
        match board.get_mut(&instrument.instrument_id) {
            Some(view) => {
                if let Some(field) = view.instrument.changed_unit(&instrument) {
                    let instrument_id = instrument.instrument_id;
                    return Err(ChangedUnit {
                        instrument_id,
                        field,
                    });
                }
                view.instrument = instrument;
            }
            None => {
                let view = MarketView {
                    instrument: instrument.clone(),
                    quote: None,
                    last_trade: None,
                    book: None,
                    last_bar: None,
                    feed: FeedStatus::Closed,
                    ts_last: UnixNanos::default(),
                };
                board.insert(instrument.instrument_id, view);
            }
        }
        Ok(())
    }

    /// Changes the newest of an instrument; nothing happens when it was never defined.
    pub fn update(&self, instrument_id: &InstrumentId, change: impl FnOnce(&mut MarketView)) {
        if let Some(view) = self.write().get_mut(instrument_id) {
            change(view);
        }
    }

    pub fn view(&self, instrument_id: &InstrumentId) -> Option<MarketView> {
        self.read().get(instrument_id).cloned()
    }

    pub fn instrument(&self, instrument_id: &InstrumentId) -> Option<Instrument> {
        self.read()
            .get(instrument_id)
            .map(|view| view.instrument.clone())
    }

    /// Returns all instruments in order of id.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.read()
            .values()
            .map(|view| view.instrument.clone())
            .collect()
    }

    /// Returns the views of all instruments in order of id.
    pub fn views(&self) -> Vec<MarketView> {
        self.read().values().cloned().collect()
    }

    /// Returns the price to which a decision refers: the newest quote, or the last trade where
    /// there is no quote; empty when nothing is known.
    pub fn reference(&self, instrument_id: &InstrumentId) -> MarketRef {
        self.read()
            .get(instrument_id)
            .map_or_else(MarketRef::default, MarketView::reference)
    }

    /// Returns the market of an instrument as an account watches it; `None` while nothing is
    /// known of it.
    pub fn watched(&self, instrument_id: &InstrumentId) -> Option<Watched> {
        let board = self.read();
        let watched = board.get(instrument_id)?.watched();
        (watched != Watched::default()).then_some(watched)
    }

    /// Returns the price at which positions are valued: the mid of bid and ask (cut to the
    /// instrument's decimals), or the side that there is.
    pub fn mark(&self, instrument_id: &InstrumentId) -> Option<Price> {
        let reference = self.reference(instrument_id);
        match (reference.bid, reference.ask) {
            (Some(bid), Some(ask)) => {
                // The mid of two `i64` is one.
                Some(Price(((i128::from(bid.0) + i128::from(ask.0)) / 2) as i64))
            }
            (one, other) => one.or(other),
        }
    }

    // A panic while the board was held leaves it whole: each change is one assignment.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<InstrumentId, MarketView>> {
        self.board
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<InstrumentId, MarketView>> {
        self.board
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl MarketView {
    /// See [`MarketHub::watched`].
    pub fn watched(&self) -> Watched {
        let quote = self.quote.as_ref();
        let trade = self.last_trade.as_ref();
        let quoted = quote.map_or(UnixNanos::default(), |quote| quote.ts_init);
        let traded = trade.map_or(UnixNanos::default(), |trade| trade.ts_init);
        Watched {
            bid: quote.and_then(|quote| quote.bid).map(|level| level.price),
            ask: quote.and_then(|quote| quote.ask).map(|level| level.price),
            last: trade.map(|trade| trade.price),
            last_ts: traded,
            // No feed of ours carries a venue's mark price yet.
            mark: None,
            ts: quoted.max(traded),
        }
    }

    /// See [`MarketHub::reference`].
    pub fn reference(&self) -> MarketRef {
        if let Some(quote) = &self.quote {
            let (bid, ask) = (quote.bid.map(|l| l.price), quote.ask.map(|l| l.price));
            return MarketRef {
                bid,
                ask,
                ts: quote.ts_init,
            };
        }
        match &self.last_trade {
            Some(trade) => MarketRef {
                bid: Some(trade.price),
                ask: Some(trade.price),
                ts: trade.ts_init,
            },
            None => MarketRef::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::matching::SimInstrument;
    use apex_domain::money::Money;

    #[test]
    fn rules_of_an_instrument_may_change_and_what_its_numbers_mean_may_not() {
        let hub = MarketHub::new();
        let first = SimInstrument::defaults().remove(0).instrument;
        hub.define(first.clone()).unwrap();
        let dearer = Instrument {
            min_notional: Money::parse("50").unwrap(),
            ..first.clone()
        };
        hub.define(dearer.clone()).unwrap();
        let finer = Instrument {
            price_decimals: first.price_decimals + 1,
            ..dearer.clone()
        };
        let refused = hub.define(finer).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "instrument BTCUSDT.SIM has another price_decimals now, and what is booked is counted \
             by the one before"
        );
        assert_eq!(hub.instrument(&first.instrument_id), Some(dearer));
    }
}
