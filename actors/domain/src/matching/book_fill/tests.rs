//! Cases of the trade against a small recorded market.

use super::*;
use crate::market::{BookDelta, BookSnapshot, FeedState, FeedStatus, Level, Quote, Side, Trade};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::{NewOrder, VenueEnd, VenueReport as Report};

const ID: &str = "BTCUSDT.SIM";

fn instrument() -> Instrument {
    let mut instrument = crate::matching::tests::instrument(ID);
    instrument.fees.taker = crate::Rate::parse("0.001").unwrap();
    instrument
}

/// A venue and a clock.
struct Script {
    venue: BookFill,
    now: i64,
    update_id: u64,
}

fn level(price: i64, quantity: i64) -> Level {
    Level {
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

fn levels(of: &[(i64, i64)]) -> Vec<Level> {
    of.iter().map(|(p, q)| level(*p, *q)).collect()
}

fn new(id: &str, side: Side, price: Option<i64>, quantity: i64) -> NewOrder {
    NewOrder {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(ID).unwrap(),
        side,
        order_type: price.map_or(OrderType::Market, |_| OrderType::Limit),
        quantity: Quantity(quantity),
        limit_price: price.map(Price),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        terms: OrderTerms::default(),
    }
}

/// Writes reports shortly, so that a case reads as a line.
fn short(report: &Report) -> String {
    let id = report.client_order_id().unwrap();
    match report {
        Report::Accepted { .. } => format!("{id} accepted"),
        Report::Rejected { reason, .. } => format!("{id} rejected {reason:?}"),
        Report::Filled(e) => format!(
            "{id} filled {}@{}{}",
            e.last_quantity.0,
            e.last_price.0,
            if e.maker { " maker" } else { "" }
        ),
        Report::Ended {
            end: VenueEnd::Canceled,
            reason,
            cumulative_quantity,
            ..
        } => format!("{id} canceled {reason:?} {}", cumulative_quantity.0),
        Report::Amended { quantity, .. } => format!("{id} amended {}", quantity.0),
        Report::AmendRejected { .. } => format!("{id} amend rejected"),
        Report::CancelRejected { .. } => format!("{id} cancel rejected"),
        Report::Status {
            status, executions, ..
        } => format!("{id} {status:?} {}", executions.len()),
        Report::NotFound { proof, .. } => format!("{id} not found, proof {proof}"),
        other => format!("{other:?}"),
    }
}

impl Script {
    fn new() -> Script {
        let mut venue = BookFill::new("SIM", 1).unwrap();
        venue.define(instrument());
        Script {
            venue,
            now: 1_000,
            update_id: 0,
        }
    }

    fn command(&mut self, command: VenueCommand) -> Vec<Report> {
        let mut out = Vec::new();
        self.venue
            .on_command(UnixNanos(self.now), &command, &mut out);
        out
    }

    fn submit(&mut self, order: NewOrder) -> Vec<String> {
        self.command(VenueCommand::New(order))
            .iter()
            .map(short)
            .collect()
    }

    fn market(&mut self, event: MarketEvent) -> Vec<String> {
        let mut out = Vec::new();
        self.venue.on_market(&event, &mut out);
        out.iter().map(short).collect()
    }

    fn tick(&mut self) -> UnixNanos {
        self.now += 1;
        UnixNanos(self.now)
    }

    fn book(&mut self, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Vec<String> {
        let ts = self.tick();
        self.update_id += 1;
        self.market(MarketEvent::Book(BookDelta {
            instrument_id: InstrumentId::new(ID).unwrap(),
            first_update_id: self.update_id,
            last_update_id: self.update_id,
            previous_update_id: None,
            bids: levels(bids),
            asks: levels(asks),
            ts_event: ts,
            ts_init: ts,
        }))
    }

    fn quote(&mut self, bid: (i64, i64), ask: (i64, i64)) -> Vec<String> {
        let ts = self.tick();
        self.market(MarketEvent::Quote(Quote {
            instrument_id: InstrumentId::new(ID).unwrap(),
            bid: Some(level(bid.0, bid.1)),
            ask: Some(level(ask.0, ask.1)),
            ts_event: ts,
            ts_init: ts,
        }))
    }

    fn trade_at(&mut self, ts: i64, side: Side, price: i64, quantity: i64) -> Vec<String> {
        self.market(MarketEvent::Trade(Trade {
            instrument_id: InstrumentId::new(ID).unwrap(),
            price: Price(price),
            quantity: Quantity(quantity),
            aggressor: Some(side),
            trade_id: 0,
            ts_event: UnixNanos(ts),
            ts_init: UnixNanos(ts),
        }))
    }

    fn trade(&mut self, side: Side, price: i64, quantity: i64) -> Vec<String> {
        let ts = self.tick();
        self.trade_at(ts.0, side, price, quantity)
    }
}

#[test]
fn liquidity_is_consumed_until_the_venue_states_the_level_anew() {
    let mut s = Script::new();
    s.book(&[], &[(10, 100), (11, 1)]);
    let buy = |id, quantity| new(id, Side::Buy, Some(10), quantity);
    assert_eq!(s.submit(buy("a", 30)), ["a accepted", "a filled 30@10"]);
    assert_eq!(s.submit(buy("b", 50)), ["b accepted", "b filled 50@10"]);
    // 20 are left, the rest waits; another level's update brings nothing back.
    assert_eq!(s.submit(buy("c", 30)), ["c accepted", "c filled 20@10"]);
    assert!(s.book(&[], &[(11, 5)]).is_empty());
    assert_eq!(s.book(&[], &[(10, 120)]), ["c filled 10@10 maker"]);
    let rest = new("d", Side::Buy, None, 200);
    assert_eq!(
        s.submit(rest),
        [
            "d accepted",
            "d filled 110@10",
            "d filled 5@11",
            "d canceled NoLiquidity 115"
        ]
    );
}

#[test]
fn what_is_ahead_in_the_queue_trades_first() {
    let mut s = Script::new();
    s.book(&[(10, 100)], &[(11, 100)]);
    s.submit(new("a", Side::Buy, Some(10), 50));
    assert!(s.trade(Side::Sell, 10, 80).is_empty());
    assert_eq!(s.trade(Side::Sell, 10, 30), ["a filled 10@10 maker"]);
    assert_eq!(s.trade(Side::Sell, 10, 50), ["a filled 40@10 maker"]);
}

#[test]
fn a_smaller_level_moves_us_forward_and_a_larger_one_does_not_move_us_back() {
    let mut s = Script::new();
    s.book(&[(10, 100)], &[(11, 100)]);
    s.submit(new("a", Side::Buy, Some(10), 50));
    s.book(&[(10, 20)], &[]);
    s.book(&[(10, 500)], &[]);
    assert_eq!(s.trade(Side::Sell, 10, 25), ["a filled 5@10 maker"]);
}

#[test]
fn a_print_is_shared_by_our_orders_and_never_given_twice() {
    let mut s = Script::new();
    s.book(&[(10, 5)], &[(12, 100)]);
    s.submit(new("low", Side::Buy, Some(10), 10));
    s.submit(new("high", Side::Buy, Some(11), 10));
    s.submit(new("low2", Side::Buy, Some(10), 10));
    assert_eq!(
        s.trade(Side::Sell, 10, 18),
        ["high filled 10@11 maker", "low filled 3@10 maker"]
    );
    assert!(s.trade(Side::Buy, 10, 100).is_empty(), "it hit the asks");
    assert_eq!(
        s.trade(Side::Sell, 9, 9),
        ["low filled 7@10 maker", "low2 filled 2@10 maker"]
    );
}

#[test]
fn a_resting_order_fills_at_its_limit_when_the_other_side_crosses_it() {
    let mut s = Script::new();
    s.book(&[(10, 5)], &[(12, 100)]);
    s.submit(new("a", Side::Buy, Some(11), 30));
    assert_eq!(s.book(&[], &[(9, 20)]), ["a filled 20@11 maker"]);
    assert!(s.book(&[(8, 1)], &[]).is_empty(), "20 at 9 are used up");
    assert_eq!(s.book(&[], &[(11, 20)]), ["a filled 10@11 maker"]);
}

#[test]
fn nothing_older_than_a_resting_order_fills_it() {
    let mut s = Script::new();
    s.book(&[(10, 0)], &[(12, 100)]);
    s.submit(new("a", Side::Buy, Some(10), 30));
    assert!(s.trade_at(s.now - 1, Side::Sell, 9, 30).is_empty());
    assert_eq!(
        s.trade_at(s.now, Side::Sell, 9, 30),
        ["a filled 30@10 maker"]
    );
}

#[test]
fn immediate_orders_end_with_what_they_found() {
    let mut s = Script::new();
    s.book(&[(9, 5)], &[(10, 5), (11, 5)]);
    let with = |id, price, quantity, time_in_force| NewOrder {
        time_in_force,
        ..new(id, Side::Buy, Some(price), quantity)
    };
    assert_eq!(
        s.submit(with("fok", 10, 6, TimeInForce::Fok)),
        ["fok accepted", "fok canceled NoLiquidity 0"]
    );
    assert_eq!(
        s.submit(with("ioc", 10, 6, TimeInForce::Ioc)),
        [
            "ioc accepted",
            "ioc filled 5@10",
            "ioc canceled NoLiquidity 5"
        ]
    );
    assert_eq!(
        s.submit(with("fok2", 11, 5, TimeInForce::Fok)),
        ["fok2 accepted", "fok2 filled 5@11"]
    );
    assert_eq!(
        s.submit(new("m", Side::Buy, None, 1)),
        ["m rejected NoLiquidity"]
    );
    let post_only = NewOrder {
        post_only: true,
        ..new("p", Side::Sell, Some(9), 1)
    };
    assert_eq!(s.submit(post_only), ["p rejected PostOnlyWouldTrade"]);
}

#[test]
fn a_quote_is_the_top_until_there_is_a_book() {
    let mut s = Script::new();
    s.quote((9, 5), (10, 5));
    assert_eq!(
        s.submit(new("a", Side::Buy, None, 3)),
        ["a accepted", "a filled 3@10"]
    );
    // The same ask again is not stated anew: 2 are left.
    s.quote((8, 5), (10, 5));
    s.submit(new("b", Side::Buy, Some(10), 3));
    assert_eq!(s.quote((8, 5), (10, 6)), ["b filled 1@10 maker"]);
    s.book(&[(5, 1)], &[(20, 7)]);
    s.quote((8, 5), (10, 9));
    assert_eq!(
        s.submit(new("c", Side::Buy, None, 1)),
        ["c accepted", "c filled 1@20"]
    );
}

#[test]
fn a_queue_behind_the_quote_is_counted_once_it_shows() {
    let mut s = Script::new();
    s.quote((10, 5), (12, 5));
    s.submit(new("a", Side::Buy, Some(9), 10));
    assert!(s.trade(Side::Sell, 9, 100).is_empty(), "not shown yet");
    s.quote((9, 50), (12, 5));
    assert!(s.trade(Side::Sell, 9, 50).is_empty());
    assert_eq!(s.trade(Side::Sell, 9, 4), ["a filled 4@9 maker"]);
}

#[test]
fn a_feed_that_is_not_live_has_no_liquidity() {
    let mut s = Script::new();
    s.book(&[(9, 5)], &[(10, 5)]);
    let state = |status| {
        MarketEvent::FeedState(FeedState {
            instrument_id: InstrumentId::new(ID).unwrap(),
            status,
            ts_init: UnixNanos(2_000),
        })
    };
    s.market(state(FeedStatus::Gapped));
    assert_eq!(
        s.submit(new("a", Side::Buy, None, 1)),
        ["a rejected NoLiquidity"]
    );
    assert_eq!(s.submit(new("b", Side::Buy, Some(10), 1)), ["b accepted"]);
    // Said just before the new book: the old levels do not come back by it.
    assert!(s.market(state(FeedStatus::Live)).is_empty());
    assert!(s.book(&[(8, 1)], &[]).is_empty());
    let snapshot = MarketEvent::Snapshot(BookSnapshot {
        instrument_id: InstrumentId::new(ID).unwrap(),
        update_id: 9,
        bids: levels(&[(9, 1)]),
        asks: levels(&[(10, 3)]),
        stale: false,
        ts_event: UnixNanos(2_001),
        ts_init: UnixNanos(2_001),
    });
    assert_eq!(s.market(snapshot), ["b filled 1@10 maker"]);
    s.market(state(FeedStatus::Stale));
    assert_eq!(
        s.submit(new("c", Side::Buy, None, 1)),
        ["c rejected NoLiquidity"]
    );
    s.market(state(FeedStatus::Live));
    assert_eq!(
        s.submit(new("d", Side::Buy, None, 1)),
        ["d accepted", "d filled 1@10"]
    );
}

fn amend(id: &str, quantity: i64, price: Option<i64>) -> VenueCommand {
    VenueCommand::Amend {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(ID).unwrap(),
        quantity: Quantity(quantity),
        limit_price: price.map(Price),
        stop_price: None,
    }
}

fn cancel(id: &str) -> VenueCommand {
    VenueCommand::Cancel {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(ID).unwrap(),
    }
}

fn query(id: &str) -> VenueCommand {
    VenueCommand::Query {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(ID).unwrap(),
    }
}

fn run(s: &mut Script, command: VenueCommand) -> Vec<String> {
    s.command(command).iter().map(short).collect()
}

#[test]
fn an_amend_keeps_its_place_only_with_less_quantity() {
    let mut s = Script::new();
    s.book(&[(10, 20)], &[(12, 100)]);
    s.submit(new("a", Side::Buy, Some(10), 50));
    s.book(&[(10, 100)], &[]);
    assert_eq!(run(&mut s, amend("a", 40, None)), ["a amended 40"]);
    assert_eq!(s.trade(Side::Sell, 10, 25), ["a filled 5@10 maker"]);
    assert_eq!(run(&mut s, amend("a", 60, None)), ["a amended 60"]);
    assert!(s.trade(Side::Sell, 10, 100).is_empty(), "at the back now");
    assert_eq!(run(&mut s, amend("a", 5, None)), ["a amend rejected"]);
    assert_eq!(s.trade(Side::Sell, 10, 1), ["a filled 1@10 maker"]);
    assert_eq!(
        run(&mut s, amend("a", 60, Some(12))),
        ["a amended 60", "a filled 54@12"]
    );
    assert_eq!(run(&mut s, amend("a", 70, None)), ["a amend rejected"]);
}

#[test]
fn cancels_and_queries_are_answered_for_every_state() {
    let mut s = Script::new();
    s.book(&[(9, 5)], &[(10, 5)]);
    s.submit(new("open", Side::Buy, Some(9), 5));
    s.submit(new("full", Side::Buy, Some(10), 5));
    assert_eq!(run(&mut s, query("open")), ["open Working 0"]);
    assert_eq!(run(&mut s, query("full")), ["full Filled 1"]);
    assert_eq!(run(&mut s, query("none")), ["none not found, proof true"]);
    assert_eq!(run(&mut s, cancel("open")), ["open canceled Requested 0"]);
    assert_eq!(run(&mut s, cancel("open")), ["open cancel rejected"]);
    assert_eq!(run(&mut s, cancel("none")), ["none cancel rejected"]);
    assert_eq!(run(&mut s, query("open")), ["open Canceled 0"]);
    assert!(s.trade(Side::Sell, 1, 1_000).is_empty());
    for id in ["open", "full"] {
        assert_eq!(
            s.submit(new(id, Side::Buy, Some(9), 5)),
            [format!("{id} rejected DuplicateClientOrderId")]
        );
    }
    assert_eq!(run(&mut s, query("full")), ["full Filled 1"]);
}

#[test]
fn executions_carry_the_fee_and_ids_that_count_up() {
    let mut s = Script::new();
    s.book(&[], &[(10, 5), (11, 5)]);
    let reports = s.command(VenueCommand::New(new("a", Side::Buy, None, 10)));
    let executions: Vec<_> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Filled(e) => Some((e.exec_id.to_string(), e.fee.to_string())),
            _ => None,
        })
        .collect();
    let expected = [("SIM-1", "0.05"), ("SIM-2", "0.055")];
    assert_eq!(
        executions,
        expected.map(|(id, fee)| (id.to_owned(), fee.to_owned()))
    );
}

#[test]
fn an_order_off_the_rules_is_rejected_and_its_id_is_used() {
    let mut s = Script::new();
    s.book(&[], &[(10, 5)]);
    for (id, quantity) in [("zero", 0), ("less", -1), ("more", 2_000_000)] {
        assert_eq!(
            s.submit(new(id, Side::Buy, Some(10), quantity)),
            [format!("{id} rejected Other")]
        );
    }
    assert_eq!(
        s.submit(new("zero", Side::Buy, Some(10), 1)),
        ["zero rejected DuplicateClientOrderId"]
    );
    let unknown = NewOrder {
        instrument_id: InstrumentId::new("ETHUSDT.SIM").unwrap(),
        ..new("e", Side::Buy, Some(10), 1)
    };
    assert_eq!(s.submit(unknown), ["e rejected UnknownInstrument"]);
    assert_eq!(run(&mut s, query("e")), ["e Rejected 0"]);
}

#[test]
fn restored_orders_work_on_and_keep_their_ids_used() {
    let mut s = Script::new();
    let restored = |id: &str, status, filled| RestoredOrder {
        order: new(id, Side::Buy, Some(10), 5),
        venue_order_id: crate::VenueOrderId::new("SIM-o1").unwrap(),
        status,
        filled_quantity: Quantity(filled),
        executions: Vec::new(),
        watch: None,
    };
    let orders = [
        restored("open", VenueStatus::Working, 2),
        restored("done", VenueStatus::Filled, 5),
    ];
    s.venue.restore(UnixNanos(1), &orders);
    assert_eq!(
        s.submit(new("done", Side::Buy, Some(10), 5)),
        ["done rejected DuplicateClientOrderId"]
    );
    assert_eq!(s.book(&[], &[(10, 9)]), ["open filled 3@10 maker"]);
}
