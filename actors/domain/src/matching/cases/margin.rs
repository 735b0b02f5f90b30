//! TC-M50 to TC-M54 and TC-M122: an exchange that lends.

use super::*;
use crate::instrument::InstrumentKind;
use crate::matching::MarginOptions;
use crate::{Currency, Money, Rate};

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// A linear contract at 10 % initial and 5 % maintenance margin, and 100 of cash.
fn lending(grace_ns: i64) -> Desk {
    lending_on(grace_ns, None)
}

/// As [`lending`], on a contract that ends at this time.
fn lending_on(grace_ns: i64, end: Option<i64>) -> Desk {
    let mut instrument = instrument();
    instrument.rules.expires_at = end.map(UnixNanos);
    instrument.kind = InstrumentKind::Linear;
    instrument.initial_margin = Rate::parse("0.1").unwrap();
    instrument.rules.maintenance_margin = Some(Rate::parse("0.05").unwrap());
    let options = SimOptions {
        instruments: vec![definition(instrument)],
        margin: Some(MarginOptions {
            currency: Currency::new("USDT").unwrap(),
            cash: money("100"),
            grace_ns,
        }),
        ..SimOptions::new(1)
    };
    let exchange = SimExchange::without_traders(options);
    Desk::with(Model::Exchange(Box::new(exchange)))
}

fn state(desk: &Desk, name: &str) -> (Money, Money, Money) {
    let Model::Exchange(exchange) = &desk.model else {
        panic!("only the exchange lends");
    };
    let state = exchange.margin_state(&account(name)).unwrap();
    (state.equity, state.initial, state.maintenance)
}

#[test]
fn tc_m122_a_contract_that_ends_needs_no_margin_any_more() {
    let mut desk = lending_on(0, Some(1_000));
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    desk.quote(109, 111, 9);
    desk.now = 1_000;
    desk.cancel("none");
    let expected = (money("145"), Money::ZERO, Money::ZERO);
    assert_eq!(state(&desk, "a"), expected);
}

#[test]
fn tc_m122_a_bust_behind_the_end_opens_nothing_again() {
    let mut desk = lending_on(0, Some(1_000));
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    desk.submit(order("y", Side::Buy, OrderType::Market, 1));
    desk.quote(109, 111, 9);
    desk.now = 1_000;
    desk.cancel("none");
    let exec_id = ExecId::new("SIM-2").unwrap();
    desk.control(VenueControl::Bust { exec_id });
    let expected = (money("109"), Money::ZERO, Money::ZERO);
    assert_eq!(state(&desk, "a"), expected);
}

#[test]
fn tc_m50_equity_is_cash_and_open_profit() {
    let mut desk = lending(0);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    // Bought 5 at 101; the middle is 100.
    let expected = (money("95"), money("50"), money("25"));
    assert_eq!(state(&desk, "a"), expected);
    desk.quote(109, 111, 9);
    let expected = (money("145"), money("55"), money("27.5"));
    assert_eq!(state(&desk, "a"), expected);
}

#[test]
fn tc_m51_an_order_without_initial_margin_is_refused() {
    let mut desk = lending(0);
    desk.quote(99, 101, 20);
    let all = desk.submit(order("all", Side::Buy, OrderType::Market, 11));
    assert_eq!(all, "rejected InsufficientFunds");
    let most = desk.submit(order("most", Side::Buy, OrderType::Market, 9));
    assert_eq!(most, "accepted, 9@101");
    let more = desk.submit(order("more", Side::Buy, OrderType::Market, 1));
    assert_eq!(more, "rejected InsufficientFunds");
    let less = desk.submit(order("less", Side::Sell, OrderType::Market, 9));
    assert_eq!(less, "accepted, 9@99");
    let own = desk.submit(order("LIQ-1", Side::Buy, OrderType::Market, 1));
    assert_eq!(own, "rejected Other");
}

/// Lets the middle fall, and tells what account `a` and the venue hear of it.
fn fall(desk: &mut Desk, bid: i64, ask: i64) -> (String, usize) {
    let mut calls = 0;
    let mut reports = Vec::new();
    for n in [desk.others - 1, desk.others] {
        let command = VenueCommand::Cancel {
            client_order_id: client_id(&format!("m{n}")),
            instrument_id: id(),
        };
        reports.extend(step(desk, &format!("m{n}"), command, &mut calls));
    }
    for (side, price) in [(Side::Buy, bid), (Side::Sell, ask)] {
        desk.others += 1;
        let name = format!("m{}", desk.others);
        let command = VenueCommand::New(limit(&name, side, price, 1));
        reports.extend(step(desk, &name, command, &mut calls));
    }
    (show(&reports), calls)
}

fn step(desk: &mut Desk, name: &str, command: VenueCommand, calls: &mut usize) -> Vec<VenueReport> {
    desk.now += 1;
    let input = ExchangeInput::Command {
        account_id: account(name),
        command,
    };
    let events = desk.exchange(name, input);
    let is_call = |event: &&ExchangeEvent| matches!(event, ExchangeEvent::MarginCall { account_id, .. } if account_id.as_str() == "a");
    *calls += events.iter().filter(is_call).count();
    reports_of(&events, "a")
}

#[test]
fn tc_m52_below_maintenance_orders_are_canceled_and_the_position_is_closed() {
    let mut desk = lending(0);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 9));
    desk.submit(limit("rests", Side::Sell, 110, 9));
    desk.submit(stop("s", Side::Sell, OrderType::Stop, 10, 9));
    desk.send("n", VenueCommand::New(limit("n", Side::Buy, 90, 9)));
    // 9 bought at 101: with the middle at 95 the equity of 46 covers the 42.75. When that bid
    // goes, the middle is 93, and 28 do not cover 41.85.
    assert_eq!(fall(&mut desk, 94, 96), (String::new(), 0));
    let (told, calls) = fall(&mut desk, 93, 95);
    assert_eq!(calls, 1);
    assert_eq!(
        told,
        "rests canceled Liquidation 0, s canceled Liquidation 0, LIQ-9 9@90"
    );
    assert_eq!(state(&desk, "a"), (money("1"), Money::ZERO, Money::ZERO));
    // The venue knows its own order.
    let query = VenueCommand::Query {
        client_order_id: client_id("LIQ-9"),
        instrument_id: id(),
    };
    assert_eq!(show(&desk.send("a", query)), "Filled 1");
}

#[test]
fn tc_m53_a_margin_call_leaves_time_when_the_venue_grants_it() {
    let mut desk = lending(10);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 9));
    desk.send("n", VenueCommand::New(limit("n", Side::Buy, 90, 9)));
    let called = fall(&mut desk, 93, 95);
    assert_eq!(called, (String::new(), 1));
    assert_eq!(fall(&mut desk, 93, 95), (String::new(), 0), "told once");
    // It recovers, and falls again: a call of its own.
    assert_eq!(fall(&mut desk, 99, 101), (String::new(), 0));
    desk.now += 100;
    assert_eq!(fall(&mut desk, 93, 95), (String::new(), 1));
    desk.now += 10;
    let (told, _) = fall(&mut desk, 93, 95);
    assert_eq!(told, "9@90");
}

#[test]
fn tc_m54_a_bust_gives_cash_and_position_back() {
    let mut desk = lending(0);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    let own = desk.control(VenueControl::Bust {
        exec_id: ExecId::new("SIM-2").unwrap(),
    });
    assert_eq!(own, "busted SIM-2");
    let expected = (money("100"), Money::ZERO, Money::ZERO);
    assert_eq!(state(&desk, "a"), expected);
}
