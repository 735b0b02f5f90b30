//! Market data and instruments.

use crate::harness::{BTC, Harness, book, btc, quote, soon};
use apex_domain::market::Trade;
use apex_domain::{InstrumentId, Price, Quantity, UnixNanos};
use apex_proto::v1;
use apex_proto::v1::market_data_service_client::MarketDataServiceClient;
use tonic::{Code, Streaming};

fn trade(trade_id: u64) -> Trade {
    Trade {
        instrument_id: InstrumentId::new(BTC).unwrap(),
        price: Price(6_000_050),
        quantity: Quantity(3),
        aggressor: None,
        trade_id,
        ts_event: UnixNanos(5),
        ts_init: UnixNanos(4),
    }
}

async fn batch(stream: &mut Streaming<v1::MarketDataBatch>) -> v1::MarketDataBatch {
    soon(stream.message())
        .await
        .unwrap()
        .expect("the stream goes on")
}

#[tokio::test]
async fn a_subscription_begins_with_the_board_and_goes_on_with_changes() {
    let harness = Harness::start().await;
    let mut market = MarketDataServiceClient::new(harness.admin().await);
    let subscribe = v1::SubscribeRequest {
        instrument_ids: vec!["BTCUSDT".into()],
        ..Default::default()
    };
    let mut stream = soon(market.subscribe(subscribe))
        .await
        .unwrap()
        .into_inner();
    let first = batch(&mut stream).await;
    assert!(first.snapshot);
    assert_eq!(first.batch_sequence, 1);
    let scale = &first.instruments[0];
    assert_eq!((scale.price_exponent, scale.quantity_exponent), (-2, -5));
    assert_eq!(first.quotes[0].bid.as_ref().unwrap().price, 6_000_000);
    assert_eq!(first.books[0].bids.len(), 2);
    assert_eq!(first.feed_states[0].status(), v1::FeedStatus::Live);

    for trade_id in 1..=3 {
        harness
            .market
            .trades
            .publish(trade(trade_id))
            .await
            .unwrap();
    }
    harness
        .market
        .quotes
        .publish(quote(6_000_010, 6_000_020))
        .await
        .unwrap();
    let (mut trades, mut quotes, mut sequence) = (Vec::new(), Vec::new(), 1);
    while trades.len() < 3 || quotes.is_empty() {
        let more = batch(&mut stream).await;
        assert!(more.instruments.is_empty(), "the scale is stated once");
        assert_eq!(more.batch_sequence, sequence + 1);
        sequence = more.batch_sequence;
        trades.extend(more.trades.iter().map(|trade| trade.trade_id));
        quotes.extend(
            more.quotes
                .iter()
                .map(|quote| quote.bid.as_ref().unwrap().price),
        );
    }
    assert_eq!((trades, quotes), (vec![1, 2, 3], vec![6_000_010]));
}

#[tokio::test]
async fn ticks_that_come_too_fast_are_counted() {
    let harness = Harness::start().await;
    let mut market = MarketDataServiceClient::new(harness.admin().await);
    let kinds = vec![
        v1::MarketDataKind::Trades.into(),
        v1::MarketDataKind::Quotes.into(),
    ];
    let subscribe = v1::SubscribeRequest {
        kinds,
        ..Default::default()
    };
    let mut stream = soon(market.subscribe(subscribe))
        .await
        .unwrap()
        .into_inner();
    let first = batch(&mut stream).await;
    assert!(first.books.is_empty() && first.feed_states.is_empty());
    // One batch of publishing, twice what the ring of prints holds: nobody can read that fast.
    let count = 2 * 16_384_u64;
    let trades: Vec<Trade> = (1..=count).map(trade).collect();
    harness.market.trades.publish_batch(&trades).await.unwrap();
    let quotes: Vec<_> = (0..100)
        .map(|at| quote(6_000_000 + at, 6_000_500))
        .collect();
    harness.market.quotes.publish_batch(&quotes).await.unwrap();
    let (mut received, mut missed, mut newest, mut overwritten) = (0, 0, 0, 0);
    while received + missed < count || newest < 6_000_099 {
        let more = batch(&mut stream).await;
        received += more.trades.len() as u64;
        missed += more.gaps.iter().map(|gap| gap.missed).sum::<u64>();
        for quote in &more.quotes {
            newest = quote.bid.as_ref().unwrap().price;
            overwritten += quote.overwritten + 1;
        }
    }
    assert_eq!(received + missed, count);
    assert!(missed > 0);
    assert_eq!(overwritten, 100);
}

#[tokio::test]
async fn a_subscription_to_what_is_not_there_is_refused() {
    let harness = Harness::start().await;
    let mut market = MarketDataServiceClient::new(harness.admin().await);
    let request = v1::SubscribeRequest {
        instrument_ids: vec!["NO.SIM".into()],
        kinds: vec![77],
        interval_ms: 60_001,
        ..Default::default()
    };
    let status = market.subscribe(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("NO.SIM") && status.message().contains("kinds"));
    assert!(status.message().contains("interval_ms"));
}

#[tokio::test]
async fn there_are_only_so_many_streams_of_a_kind() {
    let harness = Harness::with(|options| options.limits.streams_per_kind = 1).await;
    let mut market = MarketDataServiceClient::new(harness.admin().await);
    let first = soon(market.subscribe(v1::SubscribeRequest::default()))
        .await
        .unwrap();
    let status = market
        .subscribe(v1::SubscribeRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop(first);
}

#[tokio::test]
async fn instruments_and_books_are_read_as_decimals() {
    let harness = Harness::start().await;
    let mut second = btc();
    second.instrument_id = InstrumentId::new("ETHUSDT.SIM").unwrap();
    harness.market.define(second).unwrap();
    let mut instruments =
        v1::instrument_service_client::InstrumentServiceClient::new(harness.admin().await);
    let list = v1::ListInstrumentsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = instruments
        .list_instruments(list.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.instruments[0].instrument_id, BTC);
    assert_eq!(page.instruments[0].price_increment, "0.01");
    assert_eq!(page.instruments[0].min_notional, "5");
    let list = v1::ListInstrumentsRequest {
        page_token: page.next_page_token,
        ..list
    };
    let page = instruments
        .list_instruments(list)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.instruments[0].instrument_id, "ETHUSDT.SIM");
    assert_eq!(page.next_page_token, "");

    let mut market = MarketDataServiceClient::new(harness.admin().await);
    let get = |id: &str| v1::GetBookRequest {
        instrument_id: id.into(),
        depth: 1,
    };
    let found = market.get_book(get(BTC)).await.unwrap().into_inner();
    assert_eq!(found.update_id, book().update_id);
    assert_eq!(
        (found.bids.len(), found.bids[0].price.as_str()),
        (1, "60000.00")
    );
    assert_eq!(
        market
            .get_book(get("ETHUSDT.SIM"))
            .await
            .unwrap_err()
            .code(),
        Code::Unavailable
    );
    assert_eq!(
        market.get_book(get("NO.SIM")).await.unwrap_err().code(),
        Code::NotFound
    );
}
