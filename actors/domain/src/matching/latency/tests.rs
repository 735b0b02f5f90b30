//! TC-M60 to TC-M63 and TC-M142: the way there and back.

use super::*;
use crate::market::{BookSnapshot, Level, Side};
use crate::matching::BookFill;
use crate::matching::tests::instrument;
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::NewOrder;
use crate::{ClientOrderId, InstrumentId, Price, Quantity};

const ID: &str = "BTCUSDT.SIM";

fn ask(ts: i64, price: i64) -> MarketEvent {
    MarketEvent::Snapshot(BookSnapshot {
        instrument_id: InstrumentId::new(ID).unwrap(),
        update_id: 1,
        bids: Vec::new(),
        asks: vec![Level {
            price: Price(price),
            quantity: Quantity(10),
        }],
        stale: false,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}

fn buy(id: &str) -> VenueCommand {
    VenueCommand::New(NewOrder {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(ID).unwrap(),
        side: Side::Buy,
        order_type: OrderType::Market,
        quantity: Quantity(1),
        limit_price: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        terms: OrderTerms::default(),
    })
}

fn delayed(to_venue: i64, to_account: i64) -> Delayed<BookFill> {
    delayed_by(LatencyModel::Fixed(to_venue), to_account)
}

fn delayed_by(to_venue: LatencyModel, to_account: i64) -> Delayed<BookFill> {
    let mut venue = BookFill::new("SIM", 1).unwrap();
    venue.define(instrument(ID));
    let latencies = Latencies {
        to_venue,
        to_account: LatencyModel::Fixed(to_account),
        seed: 1,
    };
    Delayed::new(venue, latencies)
}

/// The prices of the fills among the reports, and how many reports there are.
fn told(out: &mut Vec<VenueReport>) -> (Vec<i64>, usize) {
    let prices = out.iter().filter_map(|report| match report {
        VenueReport::Filled(execution) => Some(execution.last_price.0),
        _ => None,
    });
    let told = (prices.collect(), out.len());
    out.clear();
    told
}

#[test]
fn tc_m60_an_order_meets_the_market_of_its_arrival() {
    let mut venue = delayed(10, 5);
    let mut out = Vec::new();
    venue.on_market(&ask(100, 50), &mut out);
    venue.on_command(UnixNanos(101), &buy("a"), &mut out);
    assert_eq!(venue.next_due(), Some(UnixNanos(111)));
    // Of the same time, the market comes first.
    venue.on_market(&ask(111, 60), &mut out);
    assert_eq!(told(&mut out), (vec![], 0));
    venue.on_market(&ask(115, 70), &mut out);
    assert_eq!(told(&mut out), (vec![], 0), "on its way back");
    assert_eq!(venue.next_due(), Some(UnixNanos(116)));
    assert_eq!(venue.next_arrival(), Some(UnixNanos(116)));
    venue.on_time(UnixNanos(116), &mut out);
    assert_eq!(told(&mut out), (vec![60], 2));
    assert_eq!(venue.next_arrival(), None);
}

#[test]
fn tc_m61_no_latency_is_no_change() {
    let mut venue = delayed(0, 0);
    let mut out = Vec::new();
    venue.on_market(&ask(100, 50), &mut out);
    venue.on_command(UnixNanos(101), &buy("a"), &mut out);
    assert_eq!(told(&mut out), (vec![50], 2));
    assert_eq!(venue.next_due(), None);
}

#[test]
fn tc_m62_nothing_overtakes() {
    let mut venue = delayed_by(LatencyModel::Samples(vec![1, 500]), 0);
    let mut out = Vec::new();
    venue.on_market(&ask(100, 50), &mut out);
    for n in 0..20 {
        venue.on_command(UnixNanos(101 + n), &buy(&format!("o{n}")), &mut out);
    }
    venue.on_time(UnixNanos(1_000), &mut out);
    let accepted: Vec<&str> = out
        .iter()
        .filter(|report| !matches!(report, VenueReport::Filled(_)))
        .map(|report| report.client_order_id().unwrap().as_str())
        .collect();
    let expected: Vec<String> = (0..20).map(|n| format!("o{n}")).collect();
    assert_eq!(accepted, expected);
}

#[test]
fn tc_m63_times_follow_their_model() {
    let mut random = Random::new(7);
    let mut draw = |model: &LatencyModel| -> Vec<i64> {
        (0..20_000).map(|_| model.draw(&mut random)).collect()
    };
    assert!(draw(&LatencyModel::Fixed(-5)).iter().all(|time| *time == 0));
    let tail = draw(&LatencyModel::Tail {
        base_ns: 1_000,
        mean_ns: 500,
    });
    let mean = tail.iter().sum::<i64>() / 20_000;
    assert!((1_480..1_520).contains(&mean), "{mean}");
    assert!(tail.iter().all(|time| *time >= 1_000));
    // One in e has more than the mean on top, one in e^2 more than twice of it.
    let over = |bound| tail.iter().filter(|time| **time > bound).count();
    assert!((7_000..7_700).contains(&over(1_500)), "{}", over(1_500));
    assert!((2_350..2_750).contains(&over(2_000)), "{}", over(2_000));
    let samples = draw(&LatencyModel::Samples(vec![3, 9]));
    let threes = samples.iter().filter(|time| **time == 3).count();
    assert!((9_700..10_300).contains(&threes), "{threes}");
    assert!(samples.iter().all(|time| [3, 9].contains(time)));
    assert_eq!(draw(&LatencyModel::Samples(Vec::new()))[0], 0);
}

/// An ask of `ts`, first seen so much later.
fn seen_later(ts: i64, lag: i64, price: i64) -> MarketEvent {
    let mut event = ask(ts, price);
    event.set_ts_init(UnixNanos(ts + lag));
    event
}

#[test]
fn tc_m142_a_recording_says_how_far_off_its_venue_was() {
    let mut venue = delayed_by(LatencyModel::Recorded, 0);
    let mut out = Vec::new();
    let mut sent = |market: MarketEvent, name: &str| {
        venue.on_market(&market, &mut out);
        let now = market.ts_init().plus(1);
        venue.on_command(now, &buy(name), &mut out);
        let due = venue.next_arrival().map_or(now, |due| due);
        venue.on_time(UnixNanos(now.0 + 90), &mut out);
        due.since(now)
    };
    assert_eq!(sent(seen_later(100, 30, 50), "a"), 30);
    assert_eq!(sent(seen_later(300, 7, 50), "b"), 7);
    // The clock of the source was ahead.
    assert_eq!(sent(seen_later(500, -20, 50), "c"), 0);
    // What was seen far too late had waited for something else.
    let late = seen_later(1_000, 2 * MOST_RECORDED_NS, 50);
    assert_eq!(sent(late, "d"), MOST_RECORDED_NS);
    assert_eq!(told(&mut out), (vec![50, 50, 50], 6));
}

#[test]
fn tc_m142_each_instrument_has_a_way_of_its_own() {
    let mut venue = delayed_by(LatencyModel::Recorded, 0);
    let mut out = Vec::new();
    venue.on_market(&seen_later(100, 30, 50), &mut out);
    let mut other = seen_later(100, 500, 50);
    let MarketEvent::Snapshot(snapshot) = &mut other else {
        unreachable!("it was made so");
    };
    snapshot.instrument_id = InstrumentId::new("OTHER.SIM").unwrap();
    venue.on_market(&other, &mut out);
    venue.on_command(UnixNanos(601), &buy("a"), &mut out);
    assert_eq!(venue.next_arrival(), Some(UnixNanos(631)));
}
