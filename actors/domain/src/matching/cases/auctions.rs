//! TC-M30 to TC-M34: sessions and halts.

use super::*;

fn with_sessions() -> Instrument {
    let mut instrument = instrument();
    instrument.rules.calendar = "XNYS".to_owned();
    instrument
}

fn at(order: NewOrder, time_in_force: TimeInForce) -> NewOrder {
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
