//! The single orders of a book, told to those who ask for them.

use super::market::{SimMarket, Stamp};
use super::{ExchangeEvent, SimExchange};
use crate::InstrumentId;
use crate::book::{L3Order, L3Snapshot, L3Update};
use crate::market::Side;
use crate::matching::order_book::BookChanges;
use crate::time::UnixNanos;

impl SimExchange {
    /// Begins or ends to tell the changes of an instrument's single orders as
    /// [`ExchangeEvent::Orders`]. Nothing is kept of them while nobody asks, which is how it
    /// begins. An instrument that is not listed changes nothing.
    pub fn tell_orders(&mut self, id: &InstrumentId, is_told: bool) {
        if let Some(market) = self.markets.get_mut(id) {
            market.changes.keep_orders(is_told);
        }
    }

    /// Returns the orders that an instrument's book shows, hidden parts left out; `None` where it
    /// is not listed. Updates that come later continue at its update id.
    pub fn order_snapshot(&self, id: &InstrumentId, now: UnixNanos) -> Option<L3Snapshot> {
        let market = self.markets.get(id)?;
        // Else the next update would hold changes that are in the snapshot already.
        debug_assert!(market.changes.orders().is_empty());
        Some(L3Snapshot {
            instrument_id: id.clone(),
            update_id: market.update_id,
            bids: market.shown_orders(Side::Buy),
            asks: market.shown_orders(Side::Sell),
            ts_event: now,
            ts_init: now,
        })
    }
}

impl SimMarket {
    fn shown_orders(&self, side: Side) -> Vec<L3Order> {
        let resting = self.book.resting(side).into_iter();
        let shown = resting.map(|order| L3Order {
            order_id: order.id,
            side,
            price: order.price,
            quantity: order.shown,
        });
        shown.collect()
    }

    /// Tells the single orders behind the delta that was told just now, where they are asked for.
    /// What came into the book while the trades were told is in that delta's levels already.
    pub(super) fn tell_single_orders(
        &mut self,
        told: &mut BookChanges,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        if !told.keeps_orders() {
            return;
        }
        let mut changes = told.take_orders();
        changes.append(&mut self.changes.take_orders());
        out.push(ExchangeEvent::Orders(L3Update {
            instrument_id: self.id(),
            update_id: self.update_id,
            changes,
            ts_event: stamp.event,
            ts_init: stamp.init,
        }));
    }
}
