//! TC-M105 to TC-M109: auctions at the exchange, with orders that rest and orders that wait.

use super::auctions::{at, with_sessions};
use super::extended::{Hours, any_edge, any_order};
use super::properties::{Orders, take};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

use SessionEdge::{Close, Open};

fn market(id: &str, side: Side, quantity: i64, time_in_force: TimeInForce) -> NewOrder {
    at(order(id, side, OrderType::Market, quantity), time_in_force)
}

fn desk() -> Desk {
    Desk::of("exchange", with_sessions())
}

/// Lets a session open or close. Returns the prints, and the reports of account `a`.
fn edge(desk: &mut Desk, edge: SessionEdge) -> (Vec<(i64, i64)>, String) {
    desk.now += 1;
    let control = VenueControl::Session {
        instrument_id: id(),
        edge,
    };
    let events = desk.exchange("", ExchangeInput::Control(control));
    let print = |event: &ExchangeEvent| match event {
        ExchangeEvent::Market(MarketEvent::Trade(trade)) => Some((trade.price.0, trade.quantity.0)),
        _ => None,
    };
    let prints = events.iter().filter_map(print).collect();
    (prints, show(&reports_of(&events, "a")))
}

#[test]
fn tc_m105_the_close_has_one_price_for_those_who_rest_and_those_who_wait() {
    let mut desk = desk();
    desk.quote(99, 101, 10);
    desk.submit(limit("rests", Side::Sell, 102, 4));
    desk.submit(market("m", Side::Buy, 12, TimeInForce::AtClose));
    let limited = at(limit("l", Side::Buy, 102, 3), TimeInForce::AtClose);
    desk.submit(limited);
    // Fifteen are wanted up to 102, and fourteen are there: without a limit first.
    let (prints, told) = edge(&mut desk, Close);
    assert_eq!(prints, [(102, 14)]);
    assert_eq!(
        told,
        "m 12@102, l 2@102, rests 4@102 maker, l expired TimeOver 2"
    );
}

#[test]
fn tc_m106_what_an_opening_leaves_rests_unless_it_was_for_the_opening() {
    let mut desk = desk();
    desk.session(Close);
    desk.submit(limit("b", Side::Buy, 105, 6));
    desk.submit(limit("s", Side::Sell, 100, 4));
    let passive = NewOrder {
        post_only: true,
        ..limit("p", Side::Sell, 101, 5)
    };
    desk.submit(passive);
    desk.submit(at(limit("o", Side::Buy, 104, 2), TimeInForce::AtOpen));
    let (prints, told) = edge(&mut desk, Open);
    // At 105 fewest buyers are left over.
    assert_eq!(prints, [(105, 4)]);
    let expected = "b 4@105, s 4@105, p rejected PostOnlyWouldTrade, o expired TimeOver 0";
    assert_eq!(told, expected);
    assert_eq!(desk.submit(market("t", Side::Sell, 9, TimeInForce::Gtc)), {
        "t accepted, b 2@105 maker, t 2@105, t canceled NoLiquidity 2"
    });
}

#[test]
fn tc_m107_age_decides_at_one_price_and_an_amend_for_more_is_as_new() {
    let mut desk = desk();
    desk.session(Close);
    for id in ["first", "second", "third"] {
        desk.submit(limit(id, Side::Buy, 100, 5));
    }
    let mut ice = limit("ice", Side::Sell, 100, 8);
    ice.terms.display_quantity = Some(Quantity(1));
    desk.submit(ice);
    desk.amend("first", 6, None, None);
    desk.amend("second", 4, None, None);
    // All of an iceberg takes part.
    let (prints, told) = edge(&mut desk, Open);
    assert_eq!(prints, [(100, 8)]);
    assert_eq!(told, "second 4@100, third 4@100, ice 8@100");
    let sold = desk.submit(market("t", Side::Sell, 2, TimeInForce::Ioc));
    let expected = "t accepted, third 1@100 maker, t 1@100, first 1@100 maker, t 1@100";
    assert_eq!(sold, expected);
}

#[test]
fn tc_m117_what_waits_for_an_auction_is_amended_within_the_price_bands() {
    let mut instrument = with_sessions();
    instrument.rules.price_collar = Some(crate::Rate::parse("0.1").unwrap());
    let mut desk = Desk::of("exchange", instrument);
    desk.quote(99, 101, 10);
    desk.session(Close);
    desk.submit(limit("l", Side::Buy, 105, 5));
    let beyond = "amend rejected: limit_price is beyond the venue's price bands";
    assert_eq!(desk.amend("l", 5, Some(111), None), beyond);
    assert_eq!(
        desk.amend("l", 5, Some(110), None),
        "amended 5 limit 110 stop -"
    );
}

#[test]
fn tc_m108_a_halt_delays_the_opening_and_takes_the_close() {
    let mut desk = desk();
    desk.quote(99, 101, 10);
    desk.session(Close);
    desk.submit(market("o", Side::Buy, 3, TimeInForce::AtOpen));
    desk.submit(limit("l", Side::Buy, 101, 2));
    let halt = |desk: &mut Desk, halts: bool| {
        let instrument_id = id();
        desk.control(if halts {
            VenueControl::Halt { instrument_id }
        } else {
            VenueControl::Resume { instrument_id }
        })
    };
    halt(&mut desk, true);
    assert_eq!(edge(&mut desk, Open), (vec![], String::new()));
    assert_eq!(halt(&mut desk, false), "o 3@101, l 2@101");
    // A day that is halted from before its opening to behind its close has neither.
    desk.session(Close);
    desk.submit(market("p", Side::Buy, 3, TimeInForce::AtOpen));
    desk.submit(market("c", Side::Buy, 3, TimeInForce::AtClose));
    desk.submit(limit("w", Side::Buy, 101, 2));
    halt(&mut desk, true);
    assert_eq!(edge(&mut desk, Open).1, "");
    let over = "c expired TimeOver 0, p expired TimeOver 0";
    assert_eq!(edge(&mut desk, Close).1, over);
    halt(&mut desk, false);
    assert_eq!(edge(&mut desk, Open).1, "2@101");
}

#[derive(Clone, Debug)]
enum Op {
    New(usize, Box<NewOrder>),
    Cancel(usize, u8),
    Edge(SessionEdge),
    Halt(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        10 => (0_usize..3, any_order()).prop_map(|(who, order)| Op::New(who, Box::new(order))),
        1 => (0_usize..3, 0_u8..25).prop_map(|(who, n)| Op::Cancel(who, n)),
        2 => any_edge().prop_map(Op::Edge),
        1 => prop::bool::weighted(0.3).prop_map(Op::Halt),
    ];
    prop::collection::vec(op, 1..100)
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn input(op: &Op) -> (ExchangeInput, Option<&NewOrder>) {
    let instrument_id = id();
    let (who, command) = match op {
        Op::New(who, order) => (who, VenueCommand::New((**order).clone())),
        Op::Cancel(who, n) => {
            let client_order_id = client_id(&format!("o{n}"));
            let command = VenueCommand::Cancel {
                client_order_id,
                instrument_id,
            };
            (who, command)
        }
        Op::Edge(edge) => {
            let edge = *edge;
            let control = VenueControl::Session {
                instrument_id,
                edge,
            };
            return (ExchangeInput::Control(control), None);
        }
        Op::Halt(true) => {
            let control = VenueControl::Halt { instrument_id };
            return (ExchangeInput::Control(control), None);
        }
        Op::Halt(false) => {
            let control = VenueControl::Resume { instrument_id };
            return (ExchangeInput::Control(control), None);
        }
    };
    let account_id = account(NAMES[*who]);
    let new = match op {
        Op::New(_, order) => Some(&**order),
        _ => None,
    };
    let input = ExchangeInput::Command {
        account_id,
        command,
    };
    (input, new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// TC-M109: whatever comes before an auction, all in it get its one price, as much is bought
    /// as is sold and as its print says, no promise of an order is broken, and the book that it
    /// leaves is not crossed. Outside of the regular session nobody trades who did not ask for it.
    #[test]
    fn tc_m109_an_auction_conserves_and_leaves_no_cross(ops in ops()) {
        let mut desk = desk();
        let mut known = Orders::new();
        let mut hours = Hours::new();
        let mut sum = (0_i64, 0_i64);
        for op in &ops {
            match op {
                Op::New(who, order) => hours.step(Some((NAMES[*who], order)), None),
                Op::Edge(edge) => hours.step(None, Some(*edge)),
                _ => hours.step(None, None),
            }
            desk.now += 1;
            let (input, new) = input(op);
            let events = desk.exchange("", input);
            // What was bought and sold by the last print, which is an auction's without an
            // aggressor.
            let mut auction: Option<(i64, i64)> = None;
            let mut traded: BTreeMap<Side, i64> = BTreeMap::new();
            for event in &events {
                let is_print = matches!(event, ExchangeEvent::Market(_));
                if let Some((_, volume)) = auction.take_if(|_| is_print) {
                    let sides: Vec<i64> = std::mem::take(&mut traded).into_values().collect();
                    prop_assert_eq!(sides, [volume, volume]);
                }
                match event {
                    ExchangeEvent::Market(MarketEvent::Trade(t)) if t.aggressor.is_none() => {
                        auction = Some((t.price.0, t.quantity.0));
                    }
                    ExchangeEvent::Report { account_id, report } => {
                        take(&mut known, new, account_id.as_str(), report, desk.now)?;
                        hours.check(account_id.as_str(), report)?;
                        if let VenueReport::Filled(e) = report {
                            let signed = e.side.sign() * e.last_quantity.0;
                            sum = (sum.0 + signed, sum.1 - signed * e.last_price.0);
                            if let Some((price, _)) = auction {
                                prop_assert_eq!(e.last_price.0, price);
                                *traded.entry(e.side).or_insert(0) += e.last_quantity.0;
                            }
                        }
                    }
                    _ => {}
                }
            }
            if let Some((_, volume)) = auction {
                let sides: Vec<i64> = traded.into_values().collect();
                prop_assert_eq!(sides, [volume, volume]);
            }
            prop_assert_eq!(sum, (0, 0));
            let Model::Exchange(exchange) = &desk.model else {
                return Err(TestCaseError::fail("the exchange is one"));
            };
            let snapshots = exchange.snapshots(UnixNanos(desk.now));
            if let Some(MarketEvent::Snapshot(book)) = snapshots.first()
                && let (Some(bid), Some(ask)) = (book.bids.first(), book.asks.first())
            {
                prop_assert!(bid.price < ask.price);
            }
        }
    }
}
