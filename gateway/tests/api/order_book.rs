//! Single orders of a book.

use crate::harness::{Authorized, BTC, Harness, soon};
use apex_bus::order_feed::{OrderFeed, OrdersAsk, ToldOrders};
use apex_domain::book::{L3Book, L3Change, L3Order, L3Snapshot, L3Update};
use apex_domain::market::Side;
use apex_domain::{InstrumentId, Price, Quantity, UnixNanos};
use apex_proto::v1;
use apex_proto::v1::market_data_service_client::MarketDataServiceClient;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

/// Updates that a reader of the scripted feed may lie behind.
const UPDATES: usize = 4;

/// A feed of one instrument that does what a test says.
#[derive(Clone)]
struct Script(Arc<Mutex<Scripted>>);

struct Scripted {
    book: L3Book,
    update_id: u64,
    readers: broadcast::Sender<Arc<L3Update>>,
}

fn order(order_id: u64, side: Side, price: i64, quantity: i64) -> L3Order {
    L3Order {
        order_id,
        side,
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

impl Script {
    fn new() -> Script {
        let mut book = L3Book::new(100_000);
        let orders = [
            order(1, Side::Buy, 6_000_000, 300),
            order(2, Side::Buy, 6_000_000, 200),
            order(3, Side::Buy, 5_999_900, 100),
            order(4, Side::Sell, 6_000_100, 100),
        ];
        book.replace(&orders).unwrap();
        let readers = broadcast::Sender::new(UPDATES);
        Script(Arc::new(Mutex::new(Scripted {
            book,
            update_id: 7,
            readers,
        })))
    }

    fn feed(&self) -> OrderFeed {
        let script = self.clone();
        OrderFeed::new(move |ask| script.answer(ask))
    }

    fn answer(&self, ask: OrdersAsk) {
        let scripted = self.0.lock().unwrap();
        let told = (ask.instrument_id.as_str() == BTC).then(|| ToldOrders {
            snapshot: L3Snapshot {
                instrument_id: ask.instrument_id.clone(),
                update_id: scripted.update_id,
                bids: scripted.book.orders(Side::Buy).collect(),
                asks: scripted.book.orders(Side::Sell).collect(),
                ts_event: UnixNanos(1),
                ts_init: UnixNanos(2),
            },
            updates: ask.follows.then(|| scripted.readers.subscribe()),
        });
        let _ = ask.reply.send(told);
    }

    fn tell(&self, changes: &[L3Change]) {
        let mut scripted = self.0.lock().unwrap();
        for change in changes {
            scripted.book.apply(*change).unwrap();
        }
        scripted.update_id += 1;
        let update = L3Update {
            instrument_id: InstrumentId::new(BTC).unwrap(),
            update_id: scripted.update_id,
            changes: changes.to_vec(),
            ts_event: UnixNanos(3),
            ts_init: UnixNanos(4),
        };
        let _ = scripted.readers.send(Arc::new(update));
    }
}

type Client = MarketDataServiceClient<Authorized>;

async fn client(harness: &Harness) -> Client {
    MarketDataServiceClient::new(harness.admin().await)
}

async fn open(client: &mut Client, id: &str) -> Result<Streaming<v1::OrderBookBatch>, Status> {
    let request = v1::StreamOrderBookRequest {
        instrument_id: id.into(),
    };
    let answer = soon(client.stream_order_book(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn batch(stream: &mut Streaming<v1::OrderBookBatch>) -> v1::OrderBookBatch {
    soon(stream.message())
        .await
        .unwrap()
        .expect("the stream goes on")
}

fn bids(snapshot: &v1::OrderBookSnapshot) -> Vec<(u64, i64)> {
    let orders = snapshot.bids.iter();
    orders.map(|one| (one.order_id, one.quantity)).collect()
}

#[tokio::test]
async fn a_stream_begins_with_the_book_and_goes_on_with_its_changes() {
    let script = Script::new();
    let harness = Harness::with_orders(script.feed()).await;
    let mut stream = open(&mut client(&harness).await, BTC).await.unwrap();
    let first = batch(&mut stream).await.snapshot.unwrap();
    assert_eq!((first.price_exponent, first.quantity_exponent), (-2, -5));
    assert_eq!((first.update_id, first.asks.len()), (7, 1));
    assert_eq!(bids(&first), [(1, 300), (2, 200), (3, 100)]);

    script.tell(&[
        L3Change::Execute {
            order_id: 1,
            quantity: Quantity(50),
        },
        L3Change::Cancel { order_id: 3 },
    ]);
    script.tell(&[L3Change::Add(order(5, Side::Sell, 6_000_200, 9))]);
    let mut told = Vec::new();
    while told.len() < 2 {
        let more = batch(&mut stream).await;
        assert_eq!(more.snapshot, None);
        told.extend(more.updates);
    }
    assert_eq!((told[0].update_id, told[1].update_id), (8, 9));
    let said: Vec<_> = told.iter().flat_map(|update| &update.changes).collect();
    let said: Vec<_> = said
        .iter()
        .map(|one| {
            (
                one.kind(),
                one.order_id,
                one.side(),
                one.price,
                one.quantity,
            )
        })
        .collect();
    use v1::OrderBookChangeKind as Kind;
    assert_eq!(
        said,
        [
            (Kind::Execute, 1, v1::Side::Buy, 6_000_000, 50),
            (Kind::Cancel, 3, v1::Side::Buy, 5_999_900, 100),
            (Kind::Add, 5, v1::Side::Sell, 6_000_200, 9),
        ]
    );
}

#[tokio::test]
async fn a_stream_that_lags_gets_the_book_again_and_no_hole() {
    let script = Script::new();
    let harness = Harness::with_orders(script.feed()).await;
    let mut stream = open(&mut client(&harness).await, BTC).await.unwrap();
    assert_eq!(batch(&mut stream).await.snapshot.unwrap().update_id, 7);
    // More at once than the feed keeps: without a yield nobody can read in between.
    let more = 3 * UPDATES as u64;
    for n in 0..more {
        script.tell(&[L3Change::Add(order(10 + n, Side::Buy, 5_999_000, 1))]);
    }
    let next = batch(&mut stream).await;
    assert_eq!(next.updates, [], "behind a hole");
    let anew = next.snapshot.unwrap();
    assert_eq!(anew.update_id, 7 + more);
    assert_eq!(anew.bids.len() as u64, 3 + more);
    script.tell(&[L3Change::Cancel { order_id: 1 }]);
    let next = batch(&mut stream).await;
    assert_eq!(next.updates[0].update_id, anew.update_id + 1);
}

#[tokio::test]
async fn the_orders_of_the_best_levels_are_read_as_decimals() {
    let script = Script::new();
    let harness = Harness::with_orders(script.feed()).await;
    let request = v1::GetOrderBookRequest {
        instrument_id: BTC.into(),
        depth: 1,
    };
    let mut market = client(&harness).await;
    let book = market.get_order_book(request.clone()).await.unwrap();
    let book = book.into_inner();
    let ids: Vec<_> = book.bids.iter().map(|one| one.order_id).collect();
    assert_eq!((ids, book.update_id), (vec![1, 2], 7));
    assert_eq!(
        (&*book.bids[0].price, &*book.bids[0].quantity),
        ("60000.00", "0.00300")
    );
    let negative = v1::GetOrderBookRequest {
        depth: -1,
        ..request
    };
    let refused = market.get_order_book(negative).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map_or_else(String::new, |info| info.reason.clone())
}

#[tokio::test]
async fn a_feed_of_levels_only_and_a_book_that_is_too_large_are_refused() {
    let harness = Harness::start().await;
    let mut market = client(&harness).await;
    let status = open(&mut market, BTC).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "NO_SINGLE_ORDERS");
    let request = v1::GetOrderBookRequest {
        instrument_id: BTC.into(),
        depth: 0,
    };
    let status = market.get_order_book(request).await.unwrap_err();
    assert_eq!(reason(&status), "NO_SINGLE_ORDERS");
    let status = open(&mut market, "NO.SIM").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    let script = Script::new();
    let harness = Harness::with_orders(script.feed()).await;
    let many = (10..65_536 + 10).map(|id| L3Change::Add(order(id, Side::Buy, 5_000_000, 1)));
    script.tell(&many.collect::<Vec<_>>());
    let status = open(&mut client(&harness).await, BTC).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "BOOK_TOO_LARGE");
}
