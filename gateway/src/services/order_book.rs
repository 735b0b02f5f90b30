//! `MarketDataService.GetOrderBook` and `StreamOrderBook`: the single orders of a book.
//!
//! Each stream keeps the book that its client has, and writes from it what a change leaves out:
//! the side and the price of an order that is there already. A client that lags gets the book
//! anew; while a batch waits for it nothing piles up here.

use crate::auth::Caller;
use crate::shared::{Shared, stopped, wall_clock};
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::order_feed::OrderFeed;
use apex_domain::book::{L3Book, L3Change, L3Error, L3Order, L3Snapshot, L3Update};
use apex_domain::{Instrument, InstrumentId};
use apex_proto::convert::order_book as wire;
use apex_proto::v1;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

/// Orders that a book may hold to be streamed: a snapshot of this many is 2 MB, under the four
/// that clients take by default. A larger book is refused, and a stream of it ends.
pub(super) const ORDERS_MAX: usize = 65_536;

/// Changes after which a batch is closed; one update more may go beyond it.
const CHANGES: usize = 8_192;

/// Returns the orders of the best levels.
///
/// Errors: an unknown instrument, a feed without single orders.
pub(super) async fn get(
    shared: &Shared,
    id: &InstrumentId,
    depth: usize,
) -> Result<v1::OrderBook, Status> {
    let (feed, instrument) = feed(shared, id)?;
    let snapshot = feed.snapshot(id).await;
    let snapshot = snapshot.map_err(|error| status::order_feed(error, id))?;
    Ok(wire::decimal(&snapshot, &instrument, depth))
}

fn feed(shared: &Shared, id: &InstrumentId) -> Result<(OrderFeed, Instrument), Status> {
    let instrument = shared.platform.market.instrument(id);
    let instrument = instrument.ok_or_else(|| shared.instrument_not_found("instrument_id", id))?;
    let feed = shared.platform.order_feed.clone();
    let feed = feed.ok_or_else(|| status::no_single_orders(id))?;
    Ok((feed, instrument))
}

/// Opens the stream.
///
/// Errors: as [`get`]; no place for a stream, a book that is too large.
pub(super) async fn begin(
    shared: &Shared,
    caller: Caller,
    id: InstrumentId,
) -> Result<Receiver<v1::OrderBookBatch>, Status> {
    let (feed, instrument) = feed(shared, &id)?;
    let (sender, receiver) = shared.open(&caller, &shared.streams.market_data)?;
    let (snapshot, updates) = follow(&feed, &id).await?;
    let stream = OrderStream {
        shared: shared.clone(),
        caller,
        feed,
        instrument,
        told: Told::new(),
        updates,
        sender,
    };
    tokio::spawn(stream.run(snapshot));
    Ok(receiver)
}

type Updates = broadcast::Receiver<Arc<L3Update>>;

async fn follow(feed: &OrderFeed, id: &InstrumentId) -> Result<(L3Snapshot, Updates), Status> {
    let told = feed.follow(id).await;
    let (snapshot, updates) = told.map_err(|error| status::order_feed(error, id))?;
    if snapshot.len() > ORDERS_MAX {
        return Err(status::book_too_large(id, ORDERS_MAX));
    }
    Ok((snapshot, updates))
}

/// Why a batch cannot go on.
#[derive(Debug, PartialEq, Eq)]
enum Break {
    /// Updates are missing: the client needs the whole book.
    Hole,
    TooLarge,
}

/// The book that the client has.
#[derive(Debug)]
struct Told {
    book: L3Book,
    update_id: u64,
}

impl Told {
    fn new() -> Told {
        Told {
            book: L3Book::new(ORDERS_MAX),
            update_id: 0,
        }
    }

    fn replace(&mut self, snapshot: &L3Snapshot) -> Result<(), Break> {
        let orders: Vec<L3Order> = snapshot.orders().collect();
        self.update_id = snapshot.update_id;
        self.book.replace(&orders).map_err(Told::why)
    }

    fn why(error: L3Error) -> Break {
        match error {
            L3Error::Full { .. } => Break::TooLarge,
            _ => Break::Hole,
        }
    }

    /// Takes an update and writes it.
    fn take(&mut self, update: &L3Update) -> Result<v1::OrderBookUpdate, Break> {
        if update.update_id != self.update_id + 1 {
            return Err(Break::Hole);
        }
        self.update_id = update.update_id;
        let mut changes = Vec::with_capacity(update.changes.len());
        for change in &update.changes {
            let order = match *change {
                L3Change::Add(order) => Some(order),
                L3Change::Modify { order_id, .. }
                | L3Change::Execute { order_id, .. }
                | L3Change::Cancel { order_id } => self.book.order(order_id),
            };
            changes.push(wire::change(change, order.ok_or(Break::Hole)?));
            self.book.apply(*change).map_err(Told::why)?;
        }
        Ok(v1::OrderBookUpdate {
            update_id: update.update_id,
            changes,
            ts_event_ns: update.ts_event.0,
            ts_init_ns: update.ts_init.0,
        })
    }
}

struct OrderStream {
    shared: Shared,
    caller: Caller,
    feed: OrderFeed,
    instrument: Instrument,
    told: Told,
    updates: Updates,
    sender: Sender<v1::OrderBookBatch>,
}

impl OrderStream {
    async fn run(mut self, snapshot: L3Snapshot) {
        // The client has been told whatever there is to say of the end.
        let Err(Over) = self.follow(snapshot).await;
    }

    async fn follow(&mut self, snapshot: L3Snapshot) -> Result<Infallible, Over> {
        self.send_snapshot(&snapshot).await?;
        drop(snapshot);
        let mut stopping = self.shared.stopping.clone();
        let mut beat = Instant::now() + self.shared.limits.heartbeat;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(self.sender.end(status::shutting_down()));
                }
                () = self.sender.closed() => return Err(Over),
                () = sleep_until(beat) => {
                    self.heartbeat().await?;
                    beat = Instant::now() + self.shared.limits.heartbeat;
                }
                first = self.updates.recv() => match first {
                    Ok(first) => {
                        sleep(self.shared.limits.coalesce).await;
                        self.changes(&first).await?;
                    }
                    Err(RecvError::Lagged(_)) => self.begin_anew().await?,
                    Err(RecvError::Closed) => {
                        return Err(self.sender.end(status::shutting_down()));
                    }
                },
            }
        }
    }

    /// Sends an update with those that came since, or the whole book where one is missing.
    async fn changes(&mut self, first: &L3Update) -> Result<(), Over> {
        let mut batch = v1::OrderBookBatch::default();
        let mut next = self.told.take(first);
        let mut count = 0;
        loop {
            match next {
                Ok(update) => {
                    count += update.changes.len();
                    batch.updates.push(update);
                }
                Err(Break::Hole) => return self.begin_anew().await,
                Err(Break::TooLarge) => return Err(self.too_large()),
            }
            if count >= CHANGES {
                break;
            }
            next = match self.updates.try_recv() {
                Ok(update) => self.told.take(&update),
                Err(TryRecvError::Lagged(_)) => Err(Break::Hole),
                // A closed one is told with the next that is waited for.
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
        }
        self.sender.send(batch).await
    }

    async fn begin_anew(&mut self) -> Result<(), Over> {
        let told = follow(&self.feed, &self.instrument.instrument_id).await;
        let (snapshot, updates) = told.map_err(|status| self.sender.end(status))?;
        self.updates = updates;
        self.send_snapshot(&snapshot).await
    }

    async fn send_snapshot(&mut self, snapshot: &L3Snapshot) -> Result<(), Over> {
        if self.told.replace(snapshot).is_err() {
            return Err(self.too_large());
        }
        let snapshot = Some(wire::snapshot(snapshot, &self.instrument));
        self.sender
            .send(v1::OrderBookBatch {
                snapshot,
                ..Default::default()
            })
            .await
    }

    async fn heartbeat(&mut self) -> Result<(), Over> {
        self.caller = self
            .shared
            .renew(&self.caller)
            .map_err(|status| self.sender.end(status))?;
        let heartbeat = Some(v1::Heartbeat {
            ts_ns: wall_clock().0,
        });
        self.sender
            .send(v1::OrderBookBatch {
                heartbeat,
                ..Default::default()
            })
            .await
    }

    fn too_large(&self) -> Over {
        let id = &self.instrument.instrument_id;
        self.sender.end(status::book_too_large(id, ORDERS_MAX))
    }
}
