//! Who follows the single orders of the market, by instrument.

use super::SimMarketMessage;
use apex_bus::order_feed::{OrderFeed, OrdersAsk, ToldOrders};
use apex_domain::book::L3Update;
use apex_domain::matching::SimExchange;
use apex_domain::{InstrumentId, UnixNanos};
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Updates that a reader may lie behind before it has to take a new snapshot: about 20 s of a busy
/// instrument, some hundred kilobytes. They are there only while somebody reads.
const UPDATES: usize = 1_024;

/// Returns the way to the single orders of a market.
pub fn order_feed(market: ActorRef<SimMarketMessage>) -> OrderFeed {
    OrderFeed::new(move |ask| {
        // A market that has stopped drops the question, which tells the one who asked.
        let _ = market.cast(SimMarketMessage::Orders(ask));
    })
}

/// The readers of each instrument that has any.
#[derive(Debug, Default)]
pub(super) struct Told {
    readers: BTreeMap<InstrumentId, broadcast::Sender<Arc<L3Update>>>,
}

impl Told {
    /// Tells the book as it stands, and lets a reader hear what follows.
    pub(super) fn answer(&mut self, exchange: &mut SimExchange, now: UnixNanos, ask: OrdersAsk) {
        let id = ask.instrument_id;
        // Nobody waits for it any more: nothing is copied for it.
        if ask.reply.is_closed() {
            return;
        }
        let told = exchange.order_snapshot(&id, now).map(|snapshot| {
            let updates = ask.follows.then(|| self.subscribe(exchange, id));
            ToldOrders { snapshot, updates }
        });
        let _ = ask.reply.send(told);
    }

    fn subscribe(
        &mut self,
        exchange: &mut SimExchange,
        id: InstrumentId,
    ) -> broadcast::Receiver<Arc<L3Update>> {
        exchange.tell_orders(&id, true);
        let readers = self.readers.entry(id);
        readers
            .or_insert_with(|| broadcast::Sender::new(UPDATES))
            .subscribe()
    }

    /// Passes an update on. When the last reader has gone, the exchange keeps no more of them.
    pub(super) fn tell(&mut self, exchange: &mut SimExchange, update: L3Update) {
        let id = update.instrument_id.clone();
        let readers = self.readers.get(&id);
        let is_heard = readers.is_some_and(|readers| readers.send(Arc::new(update)).is_ok());
        if !is_heard {
            self.readers.remove(&id);
            exchange.tell_orders(&id, false);
        }
    }
}

#[cfg(test)]
mod tests;
