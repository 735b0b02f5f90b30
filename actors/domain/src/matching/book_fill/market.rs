//! One instrument as its data shows it, and our orders there.

use super::QueueModel;
use crate::id::ClientOrderId;
use crate::instrument::Instrument;
use crate::market::{MarketEvent, Side};
use crate::matching::floor::Floor;
use crate::matching::resting::RestingSide;
use crate::matching::visible_book::VisibleBook;
use crate::time::UnixNanos;
use std::collections::BTreeSet;

/// Orders in the order of their arrival.
pub(super) type Waiting = BTreeSet<(u64, ClientOrderId)>;

#[derive(Clone, Debug)]
pub(super) struct Market {
    pub(super) instrument: Instrument,
    pub(super) book: VisibleBook,
    pub(super) buys: RestingSide,
    pub(super) sells: RestingSide,
    pub(super) floor: Floor,
    /// Orders that wait for a price.
    pub(super) watching: Waiting,
    /// Orders that wait for the first price of a session.
    pub(super) at_open: Waiting,
    /// Orders that wait for the last price of a session.
    pub(super) at_close: Waiting,
}

impl Market {
    pub(super) fn new(instrument: Instrument, queue: QueueModel) -> Market {
        Market {
            instrument,
            book: VisibleBook::default(),
            buys: RestingSide::new(Side::Buy, queue),
            sells: RestingSide::new(Side::Sell, queue),
            floor: Floor::default(),
            watching: Waiting::new(),
            at_open: Waiting::new(),
            at_close: Waiting::new(),
        }
    }

    /// Corrects every place in the queue by a book that was replaced as a whole.
    fn see_all(&mut self) {
        let book = &self.book;
        self.buys.see_all(|price| book.shown_at(Side::Buy, price));
        self.sells.see_all(|price| book.shown_at(Side::Sell, price));
    }

    pub(super) fn resting(&mut self, side: Side) -> &mut RestingSide {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }

    /// Forgets an order that waits or rests.
    pub(super) fn forget(&mut self, number: u64, id: &ClientOrderId) {
        let key = (number, id.clone());
        self.watching.remove(&key);
        self.at_open.remove(&key);
        self.at_close.remove(&key);
        self.buys.remove(id);
        self.sells.remove(id);
    }

    /// Takes what an event states into the book, the places in the queues and the prices that
    /// are watched. Returns false when it states nothing that an order could trade by.
    pub(super) fn take(&mut self, event: &MarketEvent) -> bool {
        match event {
            MarketEvent::Trade(trade) => {
                self.floor.see_trade(trade.price, trade.ts_init);
                return true;
            }
            MarketEvent::Quote(_) if self.book.has_depth() => return false,
            MarketEvent::Bar(_) => return false,
            MarketEvent::Quote(quote) => {
                self.book.apply_quote(quote);
                self.see_all();
            }
            MarketEvent::Book(delta) => {
                self.book.apply_delta(delta);
                for level in &delta.bids {
                    self.buys.see_level(level.price, level.quantity.0);
                }
                for level in &delta.asks {
                    self.sells.see_level(level.price, level.quantity.0);
                }
            }
            MarketEvent::Snapshot(snapshot) => {
                self.book.apply_snapshot(snapshot);
                self.see_all();
            }
            // No news of the market itself: nothing fills by it.
            MarketEvent::FeedState(state) => {
                self.book.set_status(state.status);
                return false;
            }
        }
        self.see_top(event.ts_init());
        true
    }

    fn see_top(&mut self, ts: UnixNanos) {
        let (bid, ask) = (
            self.book.best_shown(Side::Buy),
            self.book.best_shown(Side::Sell),
        );
        self.floor.see_top(bid, ask, ts);
    }
}
