//! One instrument of the exchange, and how its book is told to the outside.

use super::ExchangeEvent;
use crate::InstrumentId;
use crate::market::{BookDelta, BookSnapshot, Level, MarketEvent, Quote, Side, Trade};
use crate::matching::agents::Agents;
use crate::matching::floor::Floor;
use crate::matching::order_book::{BookChanges, OrderBook};
use crate::matching::sessions::SessionClock;
use crate::matching::sim_instrument::SimInstrument;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;
use std::collections::BTreeSet;

/// When something happened and when it was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) event: UnixNanos,
    pub(super) init: UnixNanos,
}

impl Stamp {
    pub(super) fn at(now: UnixNanos) -> Stamp {
        Stamp {
            event: now,
            init: now,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimMarket {
    pub(super) definition: SimInstrument,
    pub(super) agents: Agents,
    pub(super) book: OrderBook,
    /// What happened in the book and was not told yet.
    pub(super) changes: BookChanges,
    pub(super) update_id: u64,
    trade_id: u64,
    /// Best bid and ask as they were told last.
    told: (Option<Level>, Option<Level>),
    pub(super) floor: Floor,
    /// What opens and closes it; `None` where it always trades.
    pub(super) sessions: Option<SessionClock>,
    /// Orders that wait for a price, by number, which is their order of arrival.
    pub(super) watching: BTreeSet<u64>,
    /// Orders that wait for the session to open.
    pub(super) at_open: BTreeSet<u64>,
    /// Orders that wait for the session's last price.
    pub(super) at_close: BTreeSet<u64>,
    /// Orders in the book or an auction that may only reduce a position.
    pub(super) reducing: BTreeSet<u64>,
}

impl SimMarket {
    pub(super) fn new(definition: SimInstrument, agents: Agents) -> SimMarket {
        SimMarket {
            sessions: SessionClock::of(&definition.instrument),
            definition,
            agents,
            book: OrderBook::new(),
            changes: BookChanges::default(),
            update_id: 0,
            trade_id: 0,
            told: (None, None),
            floor: Floor::default(),
            watching: BTreeSet::new(),
            at_open: BTreeSet::new(),
            at_close: BTreeSet::new(),
            reducing: BTreeSet::new(),
        }
    }

    /// Takes the best prices of the book for those who watch them.
    pub(super) fn see_top(&mut self, ts: UnixNanos) {
        let (bid, ask) = self.top();
        let price = |level: Option<Level>| level.map(|level| level.price);
        self.floor.see_top(price(bid), price(ask), ts);
    }

    /// Forgets an order that has ended.
    pub(super) fn forget(&mut self, number: u64) {
        self.watching.remove(&number);
        self.at_open.remove(&number);
        self.at_close.remove(&number);
        self.reducing.remove(&number);
    }

    pub(super) fn id(&self) -> InstrumentId {
        self.definition.instrument.instrument_id.clone()
    }

    fn top(&self) -> (Option<Level>, Option<Level>) {
        (self.book.best(Side::Buy), self.book.best(Side::Sell))
    }

    /// Tells the whole book for the first time.
    pub(super) fn open(&mut self, stamp: Stamp, out: &mut Vec<ExchangeEvent>) {
        self.update_id += 1;
        self.told = self.top();
        out.push(ExchangeEvent::Market(self.snapshot(stamp)));
        out.push(ExchangeEvent::Market(self.quote(stamp)));
    }

    pub(super) fn snapshot(&self, stamp: Stamp) -> MarketEvent {
        MarketEvent::Snapshot(BookSnapshot {
            instrument_id: self.id(),
            update_id: self.update_id,
            bids: self.book.depth(Side::Buy, usize::MAX),
            asks: self.book.depth(Side::Sell, usize::MAX),
            stale: false,
            ts_event: stamp.event,
            ts_init: stamp.init,
        })
    }

    pub(super) fn quote(&self, stamp: Stamp) -> MarketEvent {
        let (bid, ask) = self.top();
        MarketEvent::Quote(Quote {
            instrument_id: self.id(),
            bid,
            ask,
            ts_event: stamp.event,
            ts_init: stamp.init,
        })
    }

    /// Returns a trade as it is told; of an auction nobody is the aggressor.
    pub(super) fn print(
        &mut self,
        price: Price,
        quantity: Quantity,
        aggressor: Option<Side>,
        stamp: Stamp,
    ) -> MarketEvent {
        self.trade_id += 1;
        MarketEvent::Trade(Trade {
            instrument_id: self.id(),
            price,
            quantity,
            aggressor,
            trade_id: self.trade_id,
            ts_event: stamp.event,
            ts_init: stamp.init,
        })
    }

    /// Tells the levels that changed, at least one, as one delta, and the quote where it is another one.
    pub(super) fn tell_levels(
        &mut self,
        touched: &mut Vec<(Side, Price)>,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        touched.sort_unstable();
        touched.dedup();
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for &(side, price) in touched.iter() {
            let level = Level {
                price,
                quantity: self.book.quantity_at(side, price),
            };
            match side {
                Side::Buy => bids.push(level),
                Side::Sell => asks.push(level),
            }
        }
        // Best first, as in a snapshot.
        bids.reverse();
        self.update_id += 1;
        out.push(ExchangeEvent::Market(MarketEvent::Book(BookDelta {
            instrument_id: self.id(),
            first_update_id: self.update_id,
            last_update_id: self.update_id,
            previous_update_id: None,
            bids,
            asks,
            ts_event: stamp.event,
            ts_init: stamp.init,
        })));
        let top = self.top();
        if top != self.told {
            self.told = top;
            out.push(ExchangeEvent::Market(self.quote(stamp)));
        }
    }
}
