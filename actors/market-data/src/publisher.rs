//! From market events to the process's board and topics.

use apex_bus::market::{BOOK_DEPTH, MarketHub};
use apex_domain::InstrumentId;
use apex_domain::bar::BarBuilder;
use apex_domain::book::Ladder;
use apex_domain::market::{
    Bar, BarSpec, BookDelta, BookSnapshot, FeedState, FeedStatus, MarketEvent, Quote, Side, Trade,
};
use apex_domain::time::{NANOS_PER_SECOND, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bars that every instrument gets: seconds for strategies and charts, minutes for people.
const BARS: [BarSpec; 2] = [
    BarSpec::Time {
        interval_ns: NANOS_PER_SECOND,
    },
    BarSpec::Time {
        interval_ns: 60 * NANOS_PER_SECOND,
    },
];

/// Cells that stay open to late trades: two minutes of seconds, two hours of minutes.
const CELLS_KEPT: usize = 120;

/// Keeps what is published of each instrument: its book's top and its bars. Bars and books are
/// made here, before the topics, so that a reader who is too slow misses whole bars at the most
/// and never trades out of one.
#[derive(Debug)]
pub struct Publisher {
    hub: MarketHub,
    /// The feed puts out its own bars, so none are made of the trades.
    has_bars: bool,
    instruments: BTreeMap<InstrumentId, Series>,
}

#[derive(Debug)]
struct Series {
    bids: Ladder,
    asks: Ladder,
    update_id: u64,
    /// As last told by the feed, or seen by a quote.
    feed: FeedStatus,
    bars: BTreeMap<BarSpec, BarBuilder>,
    /// Of the hub's asked bars, as far as they are in `bars`.
    bars_version: u64,
}

impl Series {
    fn new() -> Series {
        Series {
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            update_id: 0,
            feed: FeedStatus::Closed,
            bars: BTreeMap::new(),
            bars_version: 0,
        }
    }

    /// Makes the builders that are missing. Those that are there keep their open bars.
    fn update_bars(&mut self, id: &InstrumentId, hub: &MarketHub) {
        let version = hub.bars_asked_version();
        if !self.bars.is_empty() && version == self.bars_version {
            return;
        }
        self.bars_version = version;
        for spec in hub.bars_asked(id).into_iter().chain(BARS) {
            if self.bars.contains_key(&spec) {
                continue;
            }
            // What cannot be built was refused where it was asked for.
            if let Ok(builder) = BarBuilder::new(id.clone(), spec, CELLS_KEPT) {
                self.bars.insert(spec, builder);
            }
        }
    }

    /// Gives a trade to the bars that end with their last trade, or to those that end before the
    /// next one.
    fn trade(&mut self, trade: &Trade, ends_with_its_trade: bool, bars: &mut Vec<Bar>) {
        for builder in self.bars.values_mut() {
            if builder.ends_with_its_trade() == ends_with_its_trade {
                builder.on_trade(trade, bars);
            }
        }
    }

    /// A quote shows that a feed lives whose state nobody told, or that was silent. A gap only
    /// the feed itself can close.
    fn quoted(&mut self, quote: &Quote) -> Option<FeedState> {
        if !matches!(self.feed, FeedStatus::Closed | FeedStatus::Stale) {
            return None;
        }
        self.feed = FeedStatus::Live;
        Some(FeedState {
            instrument_id: quote.instrument_id.clone(),
            status: FeedStatus::Live,
            ts_init: quote.ts_init,
        })
    }

    /// Takes a change that the feed has checked against the venue's numbering.
    fn change(&mut self, delta: &BookDelta) {
        delta.bids.iter().for_each(|level| self.bids.set(*level));
        delta.asks.iter().for_each(|level| self.asks.set(*level));
        self.update_id = delta.last_update_id;
    }

    fn replace(&mut self, snapshot: &BookSnapshot) {
        self.bids.replace(&snapshot.bids);
        self.asks.replace(&snapshot.asks);
        self.update_id = snapshot.update_id;
    }

    fn top(&self, id: &InstrumentId, ts_event: UnixNanos, ts_init: UnixNanos) -> BookSnapshot {
        BookSnapshot {
            instrument_id: id.clone(),
            update_id: self.update_id,
            bids: self.bids.iter().take(BOOK_DEPTH).collect(),
            asks: self.asks.iter().take(BOOK_DEPTH).collect(),
            // The old book is served while the feed finds back to it.
            stale: matches!(
                self.feed,
                FeedStatus::Stale | FeedStatus::Gapped | FeedStatus::Recovering
            ),
            ts_event,
            ts_init,
        }
    }
}

impl Publisher {
    /// A publisher that makes bars of a second and of a minute from the trades, and those that
    /// the hub is asked for.
    pub fn new(hub: MarketHub) -> Publisher {
        Publisher {
            hub,
            has_bars: false,
            instruments: BTreeMap::new(),
        }
    }

    /// A publisher for a feed that puts out its own bars, such as a replay: it makes none.
    pub fn without_bars(hub: MarketHub) -> Publisher {
        Publisher {
            has_bars: true,
            ..Publisher::new(hub)
        }
    }

    /// Publishes one event, and puts the bars that it finished into `bars`. A time bar is published
    /// before the trade that closed it, which belongs to the next; a bar of another kind behind
    /// the trade, which is a part of it.
    pub fn publish(&mut self, event: &MarketEvent, bars: &mut Vec<Bar>) {
        let id = event.instrument_id();
        let series = self
            .instruments
            .entry(id.clone())
            .or_insert_with(Series::new);
        match event {
            MarketEvent::Quote(quote) => {
                if let Some(state) = series.quoted(quote) {
                    publish_state(&self.hub, &state);
                    mark_book(&self.hub, id, series, state.ts_init);
                }
                publish_quote(&self.hub, quote);
            }
            MarketEvent::Trade(trade) => {
                if !self.has_bars {
                    series.update_bars(id, &self.hub);
                }
                let first_bar = bars.len();
                series.trade(trade, false, bars);
                publish_bars(&self.hub, &bars[first_bar..]);
                publish_trade(&self.hub, trade);
                let first_bar = bars.len();
                series.trade(trade, true, bars);
                publish_bars(&self.hub, &bars[first_bar..]);
            }
            MarketEvent::Book(delta) => {
                series.change(delta);
                publish_book(&self.hub, series.top(id, delta.ts_event, delta.ts_init));
            }
            MarketEvent::Snapshot(snapshot) => {
                series.replace(snapshot);
                let mut top = series.top(id, snapshot.ts_event, snapshot.ts_init);
                top.stale |= snapshot.stale;
                publish_book(&self.hub, top);
            }
            MarketEvent::Bar(bar) => {
                bars.push(bar.clone());
                publish_bars(&self.hub, std::slice::from_ref(bar));
            }
            MarketEvent::FeedState(state) => {
                series.feed = state.status;
                if state.status == FeedStatus::Closed {
                    let first_bar = bars.len();
                    for builder in series.bars.values_mut() {
                        builder.end_session(state.ts_init, bars);
                    }
                    publish_bars(&self.hub, &bars[first_bar..]);
                }
                publish_state(&self.hub, state);
                mark_book(&self.hub, id, series, state.ts_init);
            }
        }
    }

    /// Closes the cells that have ended by `now`, which is the venue's time, seen at `ts_init`.
    pub fn on_time(&mut self, now: UnixNanos, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        let first_bar = bars.len();
        for series in self.instruments.values_mut() {
            for builder in series.bars.values_mut() {
                builder.on_time(now, ts_init, bars);
            }
        }
        publish_bars(&self.hub, &bars[first_bar..]);
    }
}

fn publish_bars(hub: &MarketHub, bars: &[Bar]) {
    // People look at bars of time; those that a strategy asked for do not replace them.
    let of_time = |bar: &&Bar| matches!(bar.spec, BarSpec::Time { .. } | BarSpec::External);
    for bar in bars.iter().filter(of_time) {
        hub.update(&bar.instrument_id, |view| view.last_bar = Some(bar.clone()));
    }
    if !bars.is_empty() {
        // Gap and conflated topics take everything; they tell their slow readers.
        let _ = hub.bars.try_publish_batch(bars);
    }
}

fn publish_state(hub: &MarketHub, state: &FeedState) {
    hub.update(&state.instrument_id, |view| view.feed = state.status);
    let _ = hub.feed_states.try_publish(state.clone());
}

/// Publishes the last book again when it became stale, or is no longer.
fn mark_book(hub: &MarketHub, id: &InstrumentId, series: &Series, ts_init: UnixNanos) {
    let last = hub.view(id).and_then(|view| view.book);
    let Some(last) = last else { return };
    let top = series.top(id, last.ts_event, ts_init);
    if top.stale != last.stale {
        publish_book(hub, top);
    }
}

fn publish_quote(hub: &MarketHub, quote: &Quote) {
    hub.update(&quote.instrument_id, |view| {
        view.ts_last = quote.ts_init;
        view.quote = Some(quote.clone());
    });
    let _ = hub.quotes.try_publish(quote.clone());
}

fn publish_trade(hub: &MarketHub, trade: &Trade) {
    hub.update(&trade.instrument_id, |view| {
        view.ts_last = trade.ts_init;
        view.last_trade = Some(trade.clone());
    });
    let _ = hub.trades.try_publish(trade.clone());
}

fn publish_book(hub: &MarketHub, top: BookSnapshot) {
    let top = Arc::new(top);
    hub.update(&top.instrument_id, |view| view.book = Some(top.clone()));
    let _ = hub.books.try_publish(top.clone());
}

#[cfg(test)]
mod tests;
