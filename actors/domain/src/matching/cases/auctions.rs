//! TC-M30 to TC-M34, TC-M95 and TC-M96: sessions and halts.

use super::*;
use crate::calendar::parse_instant;

pub(super) fn with_sessions() -> Instrument {
    let mut instrument = instrument();
    instrument.rules.calendar = "XNYS".to_owned();
    instrument
}

pub(super) fn at(order: NewOrder, time_in_force: TimeInForce) -> NewOrder {
    NewOrder {
        time_in_force,
        ..order
    }
}

#[test]
fn tc_m30_an_order_for_the_opening_trades_at_the_first_price_only() {
    for model in MODELS {
        let mut desk = Desk::of(model, with_sessions());
        desk.quote(99, 101, 10);
        desk.session(SessionEdge::Close);
        let market = order("m", Side::Buy, OrderType::Market, 5);
        let far = limit("l", Side::Buy, 90, 5);
        assert_eq!(desk.submit(at(market, TimeInForce::AtOpen)), "accepted");
        assert_eq!(desk.submit(at(far, TimeInForce::AtOpen)), "accepted");
        let told = [
            desk.session(SessionEdge::Open),
            match model {
                "exchange" => String::new(),
                _ => desk.quote(99, 101, 10),
            },
        ];
        let expected = "m 5@101, l expired TimeOver 0";
        assert_eq!(told.concat(), expected, "{model}");
        // Too late for this one: it waits for the next.
        let late = order("n", Side::Buy, OrderType::Market, 1);
        assert_eq!(desk.submit(at(late, TimeInForce::AtOpen)), "accepted");
        assert_eq!(desk.quote(99, 102, 10), "", "{model}");
    }
}

#[test]
fn tc_m31_an_order_for_the_close_trades_at_the_last_price_only() {
    for model in MODELS {
        let mut desk = Desk::of(model, with_sessions());
        desk.quote(99, 101, 10);
        let market = order("m", Side::Sell, OrderType::Market, 5);
        let far = limit("l", Side::Sell, 110, 5);
        assert_eq!(desk.submit(at(market, TimeInForce::AtClose)), "accepted");
        assert_eq!(desk.submit(at(far, TimeInForce::AtClose)), "accepted");
        assert_eq!(desk.quote(95, 97, 10), "", "{model}");
        let told = desk.session(SessionEdge::Close);
        assert_eq!(told, "m 5@95, l expired TimeOver 0", "{model}");
    }
}

#[test]
fn tc_m32_outside_of_a_session_what_can_wait_waits() {
    for model in MODELS {
        let mut desk = Desk::of(model, with_sessions());
        desk.quote(99, 101, 10);
        desk.session(SessionEdge::Close);
        let ioc = at(limit("i", Side::Buy, 101, 5), TimeInForce::Ioc);
        assert_eq!(desk.submit(ioc), "rejected Halted", "{model}");
        assert_eq!(
            desk.submit(limit("l", Side::Buy, 101, 5)),
            "accepted",
            "{model}"
        );
        let told = [
            desk.session(SessionEdge::Open),
            match model {
                "exchange" => String::new(),
                _ => desk.quote(99, 101, 10),
            },
        ];
        assert_eq!(told.concat(), "5@101", "{model}");
    }
}

#[test]
fn tc_m33_a_halt_refuses_new_orders_and_lets_cancels_pass() {
    for model in MODELS {
        let mut desk = Desk::new(model);
        desk.quote(90, 110, 10);
        desk.submit(limit("rests", Side::Buy, 100, 5));
        desk.submit(limit("goes", Side::Buy, 100, 5));
        desk.submit(stop("s", Side::Buy, OrderType::Stop, 120, 5));
        let instrument_id = id();
        assert_eq!(desk.control(VenueControl::Halt { instrument_id }), "");
        let refused = desk.submit(limit("new", Side::Buy, 100, 5));
        assert_eq!(refused, "rejected Halted", "{model}");
        let amend = desk.amend("rests", 4, Some(100), None);
        assert_eq!(amend, "amend rejected: trading is halted", "{model}");
        assert_eq!(desk.cancel("goes"), "canceled Requested 0", "{model}");
        if model != "exchange" {
            assert_eq!(desk.quote(95, 99, 10), "", "{model}");
        }
        let instrument_id = id();
        assert_eq!(desk.control(VenueControl::Resume { instrument_id }), "");
        let filled = desk.quote(95, 100, 10);
        assert_eq!(filled, "5@100 maker", "{model}");
    }
}

#[test]
fn tc_m34_a_post_only_order_that_waited_does_not_take_at_the_opening() {
    for model in ["exchange", "book"] {
        let mut desk = Desk::of(model, with_sessions());
        desk.quote(99, 101, 10);
        desk.session(SessionEdge::Close);
        let mut order = limit("p", Side::Buy, 101, 5);
        order.post_only = true;
        assert_eq!(desk.submit(order), "accepted", "{model}");
        let told = [
            desk.session(SessionEdge::Open),
            match model {
                "exchange" => String::new(),
                _ => desk.quote(99, 101, 10),
            },
        ];
        assert_eq!(told.concat(), "rejected PostOnlyWouldTrade", "{model}");
    }
}

/// Lets the exchange come to a local time in New York. What it is told changes nothing.
pub(super) fn come_to(desk: &mut Desk, at: &str) -> String {
    desk.now = parse_instant(at).unwrap().0 - 1;
    desk.control(VenueControl::Resume {
        instrument_id: id(),
    })
}

#[test]
fn tc_m95_the_exchange_opens_and_closes_with_its_calendar() {
    let mut desk = Desk::of("exchange", with_sessions());
    assert_eq!(come_to(&mut desk, "2024-07-03T12:59:59-04:00"), "");
    desk.quote(99, 101, 10);
    let market = |id| order(id, Side::Buy, OrderType::Market, 5);
    let close = at(market("c"), TimeInForce::AtClose);
    assert_eq!(desk.submit(close), "accepted");
    // A half day.
    let told = come_to(&mut desk, "2024-07-03T13:00:00-04:00");
    assert_eq!(told, "5@101");
    assert_eq!(desk.submit(market("m")), "rejected Halted");
    assert_eq!(desk.submit(limit("l", Side::Buy, 101, 2)), "accepted");
    let open = at(
        order("o", Side::Buy, OrderType::Market, 3),
        TimeInForce::AtOpen,
    );
    assert_eq!(desk.submit(open), "accepted");
    let told = come_to(&mut desk, "2024-07-05T09:29:59-04:00");
    assert_eq!(told, "", "a holiday has no session");
    // The close left five. Who has no limit comes first.
    let told = come_to(&mut desk, "2024-07-05T09:30:00-04:00");
    assert_eq!(told, "o 3@101, l 2@101");
}

#[test]
fn tc_m96_an_exchange_that_begins_outside_of_a_session_is_closed() {
    let mut desk = Desk::of("exchange", with_sessions());
    assert_eq!(come_to(&mut desk, "2024-07-04T12:00:00-04:00"), "");
    let ioc = at(limit("i", Side::Buy, 101, 5), TimeInForce::Ioc);
    assert_eq!(desk.submit(ioc), "rejected Halted");
    assert_eq!(come_to(&mut desk, "2024-07-05T09:30:00-04:00"), "");
    desk.quote(99, 101, 10);
    let ioc = at(limit("j", Side::Buy, 101, 5), TimeInForce::Ioc);
    assert_eq!(desk.submit(ioc), "accepted, 5@101");
}
