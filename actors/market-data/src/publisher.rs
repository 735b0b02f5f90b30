//! From market events to the process's board and topics.

use apex_bus::market::{BOOK_DEPTH, MarketHub};
use apex_domain::InstrumentId;
use apex_domain::bar::TimeBars;
use apex_domain::book::Ladder;
use apex_domain::market::{
    Bar, BookDelta, BookSnapshot, FeedState, FeedStatus, MarketEvent, Quote, Side, Trade,
};
use apex_domain::time::{NANOS_PER_SECOND, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bars that every instrument gets: seconds for strategies and charts, minutes for people.
const BAR_INTERVALS: [i64; 2] = [NANOS_PER_SECOND, 60 * NANOS_PER_SECOND];

/// Cells that a late trade can still change: two minutes of seconds, two hours of minutes.
const CELLS_KEPT: usize = 120;

/// Keeps what is published of each instrument: its book's top and its bars. Bars and books are
/// made here, before the topics, so that a reader who is too slow misses whole bars at the most
/// and never trades out of one.
#[derive(Debug)]
pub struct Publisher {
    hub: MarketHub,
    /// Bars that are made of the trades; none where the feed makes its own.
    bar_intervals: &'static [i64],
    instruments: BTreeMap<InstrumentId, Series>,
}

#[derive(Debug)]
struct Series {
    bids: Ladder,
    asks: Ladder,
    update_id: u64,
    /// As last told by the feed, or seen by a quote.
    feed: FeedStatus,
    bars: Vec<TimeBars>,
}

impl Series {
    fn new(id: &InstrumentId, bar_intervals: &[i64]) -> Series {
        let bars = bar_intervals
            .iter()
            .map(|interval| TimeBars::new(id.clone(), *interval, CELLS_KEPT));
        Series {
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            update_id: 0,
            feed: FeedStatus::Closed,
            bars: bars.collect(),
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
    /// A publisher that makes bars of a second and of a minute from the trades.
    pub fn new(hub: MarketHub) -> Publisher {
        Publisher {
            hub,
            bar_intervals: &BAR_INTERVALS,
            instruments: BTreeMap::new(),
        }
    }

    /// A publisher for a feed that puts out its own bars, such as a replay: it makes none.
    pub fn without_bars(hub: MarketHub) -> Publisher {
        Publisher {
            bar_intervals: &[],
            ..Publisher::new(hub)
        }
    }

    /// Publishes one event, and puts the bars that it finished into `bars`. Those are published
    /// before the trade that closed them: the trade belongs to the next.
    pub fn publish(&mut self, event: &MarketEvent, bars: &mut Vec<Bar>) {
        let id = event.instrument_id();
        let series = self
            .instruments
            .entry(id.clone())
            .or_insert_with(|| Series::new(id, self.bar_intervals));
        match event {
            MarketEvent::Quote(quote) => {
                if let Some(state) = series.quoted(quote) {
                    publish_state(&self.hub, &state);
                    mark_book(&self.hub, id, series, state.ts_init);
                }
                publish_quote(&self.hub, quote);
            }
            MarketEvent::Trade(trade) => {
                let first_bar = bars.len();
                for builder in &mut series.bars {
                    builder.on_trade(trade, bars);
                }
                publish_bars(&self.hub, &bars[first_bar..]);
                publish_trade(&self.hub, trade);
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
                publish_state(&self.hub, state);
                mark_book(&self.hub, id, series, state.ts_init);
            }
        }
    }

    /// Closes the cells that have ended by `now`, which is the venue's time, seen at `ts_init`.
    pub fn on_time(&mut self, now: UnixNanos, ts_init: UnixNanos, bars: &mut Vec<Bar>) {
        let first_bar = bars.len();
        for series in self.instruments.values_mut() {
            for builder in &mut series.bars {
                builder.on_time(now, ts_init, bars);
            }
        }
        publish_bars(&self.hub, &bars[first_bar..]);
    }
}

fn publish_bars(hub: &MarketHub, bars: &[Bar]) {
    for bar in bars {
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
