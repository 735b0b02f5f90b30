use super::super::tests::{Market, buy, id, start};
use super::*;
use apex_bus::order_feed::OrderFeedError;
use apex_domain::book::{L3Book, L3Snapshot};
use apex_domain::market::Side;
use apex_domain::matching::{ExchangeEvent, ExchangeInput, SimOptions};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

fn place(market: &Market, name: &str) {
    let account_id = market.session.account_id.clone();
    let command = buy(name);
    market
        .session
        .waiting
        .fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    let command = SimMarketMessage::Command {
        account_id,
        command,
    };
    market.actor.cast(command).unwrap();
}

fn book(snapshot: &L3Snapshot) -> L3Book {
    let mut book = L3Book::new(10_000);
    let orders: Vec<_> = snapshot.orders().collect();
    book.replace(&orders).unwrap();
    book
}

#[tokio::test(start_paused = true)]
async fn the_changes_behind_a_snapshot_make_the_book_that_is_published() {
    let market = start(0).await;
    let feed = order_feed(market.actor.clone());
    let (snapshot, mut updates) = feed.follow(&id()).await.unwrap();
    let mut copy = book(&snapshot);
    let mut update_id = snapshot.update_id;
    for name in ["a", "b", "c"] {
        place(&market, name);
        let update = updates.recv().await.unwrap();
        assert_eq!(update.update_id, update_id + 1);
        update_id = update.update_id;
        for change in &update.changes {
            copy.apply(*change).unwrap();
        }
        let levels = market.hub.view(&id()).unwrap().book.unwrap();
        assert_eq!(levels.update_id, update_id);
        for (side, levels) in [(Side::Buy, &levels.bids), (Side::Sell, &levels.asks)] {
            let top: Vec<_> = copy.levels(side).take(levels.len()).collect();
            assert_eq!(&top, levels);
        }
    }
    // One that begins now has the same book, and nothing is behind it yet.
    let (later, mut nothing) = feed.follow(&id()).await.unwrap();
    assert_eq!(later.update_id, update_id);
    for side in [Side::Buy, Side::Sell] {
        let orders: Vec<_> = copy.orders(side).collect();
        assert_eq!(book(&later).orders(side).collect::<Vec<_>>(), orders);
    }
    assert_eq!(nothing.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_lags_is_told_so_and_begins_anew() {
    let market = start(0).await;
    let feed = order_feed(market.actor.clone());
    let (snapshot, mut updates) = feed.follow(&id()).await.unwrap();
    // Each brings an update, and nobody reads.
    for n in 0..=UPDATES {
        place(&market, &format!("o{n}"));
    }
    // The market answers behind the orders.
    let (anew, mut next) = feed.follow(&id()).await.unwrap();
    assert!(anew.update_id > snapshot.update_id + UPDATES as u64);
    let lagged = updates.recv().await.unwrap_err();
    assert!(
        matches!(lagged, RecvError::Lagged(missed) if missed >= 1),
        "{lagged:?}"
    );
    place(&market, "last");
    let update = next.recv().await.unwrap();
    assert_eq!(update.update_id, anew.update_id + 1);
}

#[test]
fn nothing_is_kept_once_the_last_reader_has_gone() {
    let mut exchange = SimExchange::new(SimOptions::new(1)).unwrap();
    let now = |second: i64| UnixNanos(1_700_000_000_000_000_000 + second * 1_000_000_000);
    let mut told = Told::default();
    let step = |told: &mut Told, exchange: &mut SimExchange, second| {
        let mut events = Vec::new();
        exchange.apply(now(second), ExchangeInput::Step, &mut events);
        let mut updates = 0;
        for event in events {
            if let ExchangeEvent::Orders(update) = event {
                updates += 1;
                told.tell(exchange, update);
            }
        }
        updates
    };
    assert_eq!(step(&mut told, &mut exchange, 0), 0);
    let reader = told.subscribe(&mut exchange, id());
    assert!(step(&mut told, &mut exchange, 1) > 0);
    drop(reader);
    assert!(step(&mut told, &mut exchange, 2) > 0);
    assert!(told.readers.is_empty());
    assert_eq!(step(&mut told, &mut exchange, 3), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instrument_that_is_not_listed_is_told_so_and_so_is_a_market_that_has_stopped() {
    let market = start(0).await;
    let feed = order_feed(market.actor.clone());
    let unknown = InstrumentId::new("NO.SIM").unwrap();
    let refused = feed.follow(&unknown).await.unwrap_err();
    assert_eq!(refused, OrderFeedError::NotListed);
    let (_, mut updates) = feed.follow(&id()).await.unwrap();
    market.actor.drain_and_wait(None).await.unwrap();
    assert_eq!(
        feed.snapshot(&id()).await.unwrap_err(),
        OrderFeedError::Stopped
    );
    loop {
        match updates.recv().await {
            Ok(_) => {}
            Err(error) => break assert_eq!(error, RecvError::Closed),
        }
    }
}
