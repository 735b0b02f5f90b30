//! TC-M110 to TC-M114: orders outside of the regular session.

use super::auctions::{at, come_to, with_sessions};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

use SessionEdge::{Close, ExtendedClose, ExtendedOpen, Open};

fn extended(order: NewOrder) -> NewOrder {
    let mut order = order;
    order.terms.extended_hours = true;
    order
}

fn market(id: &str, side: Side, quantity: i64) -> NewOrder {
    order(id, side, OrderType::Market, quantity)
}

/// What a script says of sessions, and which orders ask for extended hours.
pub(super) struct Hours {
    asks: BTreeMap<(String, ClientOrderId), bool>,
    session: SessionEdge,
    is_regular: bool,
}

impl Hours {
    pub(super) fn new() -> Hours {
        Hours {
            asks: BTreeMap::new(),
            session: Open,
            is_regular: true,
        }
    }

    /// Takes the next step: an order or an edge, where it is one.
    pub(super) fn step(&mut self, order: Option<(&str, &NewOrder)>, edge: Option<SessionEdge>) {
        if let Some((name, order)) = order {
            let key = (name.to_owned(), order.client_order_id.clone());
            self.asks.entry(key).or_insert(order.terms.extended_hours);
        }
        let before = self.session;
        self.session = edge.unwrap_or(before);
        // A regular close trades before it closes.
        let closes = edge == Some(Close) && before == Open;
        self.is_regular = self.session == Open || closes;
    }

    /// Checks that a fill of this step may be.
    pub(super) fn check(&self, name: &str, report: &VenueReport) -> Result<(), TestCaseError> {
        let VenueReport::Filled(e) = report else {
            return Ok(());
        };
        let key = (name.to_owned(), e.client_order_id.clone());
        let trades = match self.session {
            Open => true,
            ExtendedOpen => self.asks[&key],
            Close | ExtendedClose => self.is_regular,
        };
        prop_assert!(trades, "{e:?} in {:?}", self.session);
        Ok(())
    }
}

pub(super) fn any_edge() -> impl Strategy<Value = SessionEdge> {
    prop::sample::select(vec![Open, Close, ExtendedOpen, ExtendedClose])
}

/// An order, which may ask for extended hours.
pub(super) fn any_order() -> impl Strategy<Value = NewOrder> {
    let order = (super::properties::orders(), prop::bool::ANY);
    order.prop_map(|(mut order, extended_hours)| {
        order.terms.extended_hours = extended_hours;
        order
    })
}

#[test]
fn tc_m110_before_and_after_the_session_those_who_ask_for_it_trade() {
    for model in MODELS {
        let mut desk = Desk::of(model, with_sessions());
        desk.quote(99, 101, 10);
        if model == "exchange" {
            other(&mut desk, extended(limit("o", Side::Sell, 101, 10)));
        }
        desk.session(Close);
        assert_eq!(
            desk.submit(extended(limit("w", Side::Buy, 101, 1))),
            "accepted"
        );
        let told = desk.session(ExtendedOpen);
        let told = match model {
            "exchange" => told,
            _ => told + &desk.quote(99, 101, 10),
        };
        assert_eq!(told, "1@101", "{model}");
        let check = |desk: &mut Desk, order: NewOrder, expected: &str| {
            assert_eq!(desk.submit(order), expected, "{model}");
        };
        check(&mut desk, limit("r", Side::Buy, 101, 3), "accepted");
        let ioc = |id| at(limit(id, Side::Buy, 101, 1), TimeInForce::Ioc);
        check(&mut desk, ioc("i"), "rejected Halted");
        check(&mut desk, extended(ioc("j")), "accepted, 1@101");
        check(
            &mut desk,
            extended(market("m", Side::Buy, 1)),
            "accepted, 1@101",
        );
        let told = desk.session(ExtendedClose);
        assert_eq!(told, "", "{model}");
        check(&mut desk, extended(ioc("k")), "rejected Halted");
        let told = [
            desk.session(Open),
            match model {
                "exchange" => String::new(),
                _ => desk.quote(99, 101, 10),
            },
        ];
        assert_eq!(told.concat(), "3@101", "{model}");
    }
}

#[test]
fn tc_m111_what_rests_for_the_session_is_not_met_outside_of_it() {
    for model in ["book", "bars"] {
        let mut desk = Desk::of(model, with_sessions());
        desk.quote(95, 105, 10);
        desk.submit(limit("r", Side::Buy, 100, 5));
        desk.submit(extended(limit("e", Side::Buy, 100, 5)));
        desk.session(Close);
        desk.session(ExtendedOpen);
        if model == "book" {
            assert_eq!(desk.trade(Side::Sell, 99, 2), "2@100 maker");
        }
        let left = if model == "book" { 3 } else { 5 };
        let told = desk.quote(95, 100, 10);
        assert_eq!(told, format!("{left}@100 maker"), "{model}");
        desk.session(ExtendedClose);
        desk.session(Open);
        let told = desk.quote(95, 100, 10);
        assert_eq!(told, "5@100 maker", "{model}");
    }
}

/// Sends an order of another account and returns the reports of account `a`.
fn other(desk: &mut Desk, order: NewOrder) -> String {
    show(&desk.send("other", VenueCommand::New(order)))
}

#[test]
fn tc_m112_orders_of_the_session_leave_the_book_and_come_back_to_its_auction() {
    let mut desk = Desk::of("exchange", with_sessions());
    desk.submit(limit("r", Side::Buy, 100, 5));
    desk.submit(extended(limit("e", Side::Buy, 100, 5)));
    let mut far = stop("s", Side::Buy, OrderType::Stop, 99, 1);
    far.terms.trigger = crate::order::TriggerType::Last;
    desk.session(Close);
    desk.session(ExtendedOpen);
    assert_eq!(desk.submit(far), "accepted");
    let sell = |id, quantity| limit(id, Side::Sell, 100, quantity);
    assert_eq!(other(&mut desk, extended(sell("x", 3))), "3@100 maker");
    assert_eq!(desk.amend("r", 4, None, None), "amended 4 limit 100 stop -");
    // Waits for the opening, where the older of the two buyers comes first.
    assert_eq!(other(&mut desk, sell("y", 5)), "");
    let told = desk.session(Open);
    assert_eq!(
        told,
        "r 4@100, e 1@100 maker, s triggered, s canceled NoLiquidity 0"
    );
}

#[test]
fn tc_m113_extended_hours_follow_the_calendar() {
    let mut desk = Desk::of("exchange", with_sessions());
    come_to(&mut desk, "2024-07-03T12:59:59-04:00");
    desk.submit(limit("r", Side::Buy, 100, 5));
    desk.submit(extended(limit("e", Side::Buy, 100, 2)));
    // A half day.
    come_to(&mut desk, "2024-07-03T13:00:00-04:00");
    let sell = |id| limit(id, Side::Sell, 100, 1);
    assert_eq!(other(&mut desk, extended(sell("x1"))), "1@100 maker");
    come_to(&mut desk, "2024-07-03T17:00:00-04:00");
    assert_eq!(other(&mut desk, extended(sell("x2"))), "");
    come_to(&mut desk, "2024-07-05T03:59:59-04:00");
    assert_eq!(
        come_to(&mut desk, "2024-07-05T04:00:00-04:00"),
        "1@100 maker"
    );
    assert_eq!(other(&mut desk, sell("x3")), "");
    assert_eq!(come_to(&mut desk, "2024-07-05T09:30:00-04:00"), "1@100");
    // One that begins within extended hours knows where it stands.
    let mut desk = Desk::of("exchange", with_sessions());
    come_to(&mut desk, "2024-07-05T04:00:01-04:00");
    let ioc = at(limit("i", Side::Buy, 100, 5), TimeInForce::Ioc);
    assert_eq!(desk.submit(ioc), "rejected Halted");
    assert_eq!(
        desk.submit(extended(limit("e", Side::Buy, 100, 2))),
        "accepted"
    );
    assert_eq!(other(&mut desk, extended(sell("x1"))), "1@100 maker");
}

#[test]
fn tc_m114_an_amend_while_closed_trades_with_nothing() {
    let mut desk = Desk::of("book", with_sessions());
    desk.quote(95, 105, 10);
    desk.submit(limit("r", Side::Buy, 100, 5));
    desk.session(Close);
    desk.quote(95, 100, 10);
    let amended = desk.amend("r", 8, Some(100), None);
    assert_eq!(amended, "amended 8 limit 100 stop -");
    desk.session(Open);
    assert_eq!(desk.quote(95, 100, 10), "8@100 maker");
}
