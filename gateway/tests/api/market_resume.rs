//! Subscriptions that lag, stall, come again or want less: each tick is carried or counted, once.

use crate::harness::{Authorized, BTC, Harness, quote, soon};
use apex_domain::market::Trade;
use apex_domain::{InstrumentId, Price, Quantity, UnixNanos};
use apex_proto::v1::market_data_service_client::MarketDataServiceClient;
use apex_proto::v1::{self, MarketDataKind as Kind, ResumeOutcome};
use futures::FutureExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

type Market = MarketDataServiceClient<Authorized>;

fn trades(count: u64) -> Vec<Trade> {
    let trade = |trade_id| Trade {
        instrument_id: InstrumentId::new(BTC).unwrap(),
        price: Price(6_000_050),
        quantity: Quantity(3),
        aggressor: None,
        trade_id,
        ts_event: UnixNanos(5),
        ts_init: UnixNanos(4),
    };
    (1..=count).map(trade).collect()
}

fn wants(kinds: &[Kind]) -> v1::SubscribeRequest {
    v1::SubscribeRequest {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        ..Default::default()
    }
}

/// A client that holds every batch against what it has.
#[derive(Clone, Debug, Default)]
struct Client {
    epoch: u64,
    names: BTreeMap<u32, String>,
    /// The newest sequence by instrument and kind.
    known: BTreeMap<(u32, Kind), u64>,
    received: u64,
    missed: u64,
}

impl Client {
    fn take(&mut self, batch: &v1::MarketDataBatch) {
        self.epoch = batch.publisher_epoch;
        for scale in &batch.instruments {
            self.names
                .insert(scale.instrument, scale.instrument_id.clone());
        }
        if batch.snapshot {
            for tick in &batch.quotes {
                self.known
                    .insert((tick.instrument, Kind::Quotes), tick.sequence);
            }
            return;
        }
        for gap in &batch.gaps {
            self.missed += gap.missed;
            self.step(gap.instrument, gap.kind(), gap.missed, gap.sequence);
        }
        for tick in &batch.trades {
            self.received += 1;
            self.step(tick.instrument, Kind::Trades, 1, tick.sequence);
        }
        for tick in &batch.quotes {
            let by = tick.overwritten + 1;
            self.step(tick.instrument, Kind::Quotes, by, tick.sequence);
        }
    }

    fn step(&mut self, instrument: u32, kind: Kind, by: u64, sequence: u64) {
        let known = self.known.entry((instrument, kind)).or_default();
        *known += by;
        assert_eq!(*known, sequence, "{kind:?} of {:?}", self.names);
    }

    fn has(&self, kind: Kind) -> u64 {
        let of_kind = self.known.iter().filter(|((_, of), _)| *of == kind);
        of_kind.map(|(_, sequence)| sequence).sum()
    }

    fn resume(&self) -> v1::MarketDataResume {
        let points = self.known.iter().map(|((instrument, kind), sequence)| {
            let instrument_id = self.names[instrument].clone();
            v1::MarketDataPoint {
                instrument_id,
                kind: (*kind).into(),
                sequence: *sequence,
            }
        });
        v1::MarketDataResume {
            publisher_epoch: self.epoch,
            points: points.collect(),
        }
    }
}

async fn open(
    market: &mut Market,
    request: v1::SubscribeRequest,
) -> Result<Streaming<v1::MarketDataBatch>, Status> {
    let answer = soon(market.subscribe(request)).await?;
    Ok(answer.into_inner())
}

async fn batch(stream: &mut Streaming<v1::MarketDataBatch>) -> v1::MarketDataBatch {
    soon(stream.message())
        .await
        .unwrap()
        .expect("the stream goes on")
}

/// Takes batches until the client has so many of a kind.
async fn until(
    client: &mut Client,
    stream: &mut Streaming<v1::MarketDataBatch>,
    kind: Kind,
    count: u64,
) {
    while client.has(kind) < count {
        client.take(&batch(stream).await);
    }
}

#[tokio::test]
async fn a_client_that_comes_again_is_told_what_it_missed() {
    let harness = Harness::start().await;
    let mut market = Market::new(harness.admin().await);
    let request = wants(&[Kind::Trades, Kind::Quotes]);
    let mut client = Client::default();
    let mut first = open(&mut market, request.clone()).await.unwrap();
    client.take(&batch(&mut first).await);
    harness
        .market
        .trades
        .publish_batch(&trades(5))
        .await
        .unwrap();
    until(&mut client, &mut first, Kind::Trades, 5).await;
    drop(first);
    harness
        .market
        .trades
        .publish_batch(&trades(3))
        .await
        .unwrap();
    for bid in 1..=4 {
        harness.market.quotes.publish(quote(bid, 10)).await.unwrap();
    }
    // Another client sees one more, so what was before it is numbered when the first comes again.
    let mut other = open(&mut market, request.clone()).await.unwrap();
    harness
        .market
        .trades
        .publish_batch(&trades(1))
        .await
        .unwrap();
    while batch(&mut other).await.trades.is_empty() {}
    let resumed = v1::SubscribeRequest {
        resume: Some(client.resume()),
        ..request
    };
    let mut again = open(&mut market, resumed).await.unwrap();
    let begin = batch(&mut again).await;
    assert_eq!(begin.resume_outcome(), ResumeOutcome::Resumed);
    until(&mut client, &mut again, Kind::Trades, 9).await;
    assert_eq!((client.received, client.missed), (9, 0));
    harness
        .market
        .trades
        .publish_batch(&trades(2))
        .await
        .unwrap();
    until(&mut client, &mut again, Kind::Trades, 11).await;
}

#[tokio::test]
async fn another_publisher_says_that_it_is_another() {
    let here = Harness::start().await;
    let there = Harness::start().await;
    let mut market = Market::new(here.admin().await);
    let mut stream = open(&mut market, wants(&[Kind::Quotes])).await.unwrap();
    let mut client = Client::default();
    client.take(&batch(&mut stream).await);
    let mut market = Market::new(there.admin().await);
    let request = v1::SubscribeRequest {
        resume: Some(client.resume()),
        ..wants(&[Kind::Quotes])
    };
    let mut stream = open(&mut market, request).await.unwrap();
    let begin = batch(&mut stream).await;
    assert_eq!(begin.resume_outcome(), ResumeOutcome::EpochUnknown);
    assert_ne!(begin.publisher_epoch, client.epoch);
    assert!(begin.snapshot);
    assert_eq!(begin.quotes.len(), 1, "it begins with the newest");
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let harness = Harness::start().await;
    let mut market = Market::new(harness.admin().await);
    let mut stream = open(&mut market, wants(&[])).await.unwrap();
    let epoch = batch(&mut stream).await.publisher_epoch;
    for (instrument_id, kind, sequence, text) in [
        (BTC, Kind::Trades, 1, "is ahead of the stream"),
        ("NO VENUE", Kind::Trades, 0, "resume.points"),
        ("ETHUSDT.SIM", Kind::Trades, 0, "not wanted"),
        (BTC, Kind::Unspecified, 0, "no known value"),
        (BTC, Kind::Bars, 0, "not wanted"),
    ] {
        let request = v1::SubscribeRequest {
            instrument_ids: vec![BTC.into()],
            resume: Some(v1::MarketDataResume {
                publisher_epoch: epoch,
                points: vec![v1::MarketDataPoint {
                    instrument_id: instrument_id.into(),
                    kind: kind.into(),
                    sequence,
                }],
            }),
            ..wants(&[Kind::Trades])
        };
        let status = open(&mut market, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{text}");
        assert!(status.message().contains(text), "{}", status.message());
    }
}

#[tokio::test]
async fn a_client_that_wants_few_batches_gets_the_newest_of_each_interval() {
    let harness = Harness::start().await;
    let mut market = Market::new(harness.admin().await);
    let request = wants(&[Kind::Quotes]);
    let slow = v1::SubscribeRequest {
        interval_ms: 60_000,
        ..request.clone()
    };
    let mut slow = open(&mut market, slow).await.unwrap();
    let mut fast = open(&mut market, request).await.unwrap();
    let mut client = Client::default();
    batch(&mut slow).await;
    client.take(&batch(&mut fast).await);
    harness.market.quotes.publish(quote(1, 9)).await.unwrap();
    // The first of an interval comes at once.
    let first = batch(&mut slow).await;
    assert_eq!(first.quotes[0].sequence, 1);
    until(&mut client, &mut fast, Kind::Quotes, 1).await;
    for bid in 2..=5 {
        harness.market.quotes.publish(quote(bid, 9)).await.unwrap();
        until(&mut client, &mut fast, Kind::Quotes, bid as u64).await;
        assert!(slow.message().now_or_never().is_none(), "its interval runs");
    }
}

/// Publishes prints in portions that a reading client keeps up with.
async fn publish_beside(
    harness: &Harness,
    portions: u64,
    client: &mut Client,
    stream: &mut Streaming<v1::MarketDataBatch>,
) -> u64 {
    const PORTION: u64 = 1_000;
    let portion = trades(PORTION);
    for number in 1..=portions {
        harness.market.trades.publish_batch(&portion).await.unwrap();
        harness.market.quotes.publish(quote(1, 9)).await.unwrap();
        until(client, stream, Kind::Trades, number * PORTION).await;
    }
    portions * PORTION
}

#[tokio::test]
async fn a_client_that_reads_late_is_told_how_much_it_missed_and_the_other_notices_nothing() {
    let harness = Harness::start().await;
    let request = wants(&[Kind::Trades, Kind::Quotes]);
    let mut late = Market::new(harness.narrow().await);
    let mut late = open(&mut late, request.clone()).await.unwrap();
    let mut prompt = Market::new(harness.admin().await);
    let mut prompt = open(&mut prompt, request).await.unwrap();
    let (mut reads, mut waits) = (Client::default(), Client::default());
    reads.take(&batch(&mut prompt).await);
    waits.take(&batch(&mut late).await);
    let count = publish_beside(&harness, 90, &mut reads, &mut prompt).await;
    assert_eq!((reads.received, reads.missed), (count, 0));
    until(&mut waits, &mut late, Kind::Trades, count).await;
    assert_eq!(waits.received + waits.missed, count);
    assert!(waits.missed > 0, "it lay behind by more than is kept");
    until(&mut waits, &mut late, Kind::Quotes, 90).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_its_place_is_free() {
    let harness = Harness::with(|options| {
        options.limits.stalled_client = Duration::from_millis(200);
        options.limits.streams_per_kind = 2;
    })
    .await;
    let request = wants(&[Kind::Trades]);
    let mut stalls = Market::new(harness.narrow().await);
    let mut stalls = open(&mut stalls, request.clone()).await.unwrap();
    let mut market = Market::new(harness.admin().await);
    let mut prompt = open(&mut market, request.clone()).await.unwrap();
    let mut client = Client::default();
    client.take(&batch(&mut prompt).await);
    let count = publish_beside(&harness, 40, &mut client, &mut prompt).await;
    assert_eq!((client.received, client.missed), (count, 0));
    let third = soon(async {
        loop {
            match market.subscribe(request.clone()).await {
                Ok(stream) => break stream,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
        }
    })
    .await;
    drop(third);
    let end = loop {
        match soon(stalls.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::ResourceExhausted);
    assert!(end.message().contains("did not read"), "{end}");
    // The one that reads goes on.
    harness
        .market
        .trades
        .publish_batch(&trades(1))
        .await
        .unwrap();
    until(&mut client, &mut prompt, Kind::Trades, count + 1).await;
}
