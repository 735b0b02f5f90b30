//! What a strategy holds, followed from the account's events.

use super::support::*;
use crate::strategy_session::events::Happening;
use crate::strategy_session::holdings::Holdings;
use crate::strategy_session::machine::Input;
use apex_bus::message::AccountEvent;
use apex_domain::event::{Event, Recorded};
use apex_domain::market::Side;
use apex_domain::{ClientOrderId, Currency, Money, UnixNanos};
use std::sync::Arc;

fn split(numerator: u32, denominator: u32, sequence: u64) -> AccountEvent {
    let event = Event::InstrumentSplit {
        request_id: None,
        instrument_id: instrument_id(),
        numerator,
        denominator,
    };
    told(event, sequence)
}

fn told(event: Event, sequence: u64) -> AccountEvent {
    AccountEvent {
        account_id: owner().account_id,
        recorded: Arc::new(Recorded {
            sequence,
            ts: UnixNanos(0),
            venue_sequence: 0,
            event,
        }),
        order: None,
    }
}

#[test]
fn a_split_changes_the_units_of_the_position() {
    for (held, parts, expected) in [(200, (3, 1), 600), (-5, (1, 2), -2), (1, (1, 2), 0)] {
        let mut holdings = Holdings::new(owner().strategy_id, &summary(held), []);
        holdings.fold(&split(parts.0, parts.1, 11), |_| None);
        assert_eq!(
            holdings.position(&instrument_id()),
            expected,
            "{held} by {parts:?}"
        );
        // Told again, as after a gap.
        holdings.fold(&split(parts.0, parts.1, 11), |_| None);
        assert_eq!(holdings.position(&instrument_id()), expected);
        assert_eq!(holdings.positions().count(), usize::from(expected != 0));
    }
}

#[test]
fn a_target_after_a_split_counts_in_the_new_units() {
    let mut run = Run::new(200, Vec::new(), false);
    run.apply(Input::Happened(vec![Happening::Account(split(2, 1, 11))]));
    let order = submitted(&run.target("0.5"));
    assert_eq!((order.side, order.quantity.0), (Side::Buy, 100));
}

#[test]
fn both_sides_of_a_hedging_account_are_held_together() {
    let mut summary = summary(200);
    summary.positions.push(position(&owner().strategy_id, -50));
    let holdings = Holdings::new(owner().strategy_id, &summary, []);
    assert_eq!(holdings.position(&instrument_id()), 150);
}

#[test]
fn a_fee_in_the_asset_leaves_so_much_less_to_sell() {
    let mut run = Run::new(0, Vec::new(), false);
    let order = submitted(&run.target("1"));
    let mut fill = filled(&order, 1_000, 11);
    let Happening::Account(event) = &mut fill else {
        panic!("a fill is an event of the account");
    };
    let mut recorded = event.recorded.as_ref().clone();
    let Event::OrderFilled { execution, .. } = &mut recorded.event else {
        panic!("it is a fill");
    };
    execution.fee = Money::parse("0.001").unwrap();
    execution.fee_currency = Currency::new("BTC").unwrap();
    event.recorded = Arc::new(recorded);
    run.apply(Input::Happened(vec![fill]));
    let order = submitted(&run.target("0"));
    assert_eq!((order.side, order.quantity.0), (Side::Sell, 999));
}

#[test]
fn ids_are_counted_from_behind_those_of_orders_that_the_account_does_not_know() {
    let name = |number: &str| {
        let id = format!("{}-{number}", owner().strategy_id);
        ClientOrderId::new(&id).unwrap()
    };
    // One that nobody comes to by counting, and one of another strategy, are in nobody's way.
    let other = ClientOrderId::new("another-77").unwrap();
    let strangers = vec![name("7"), name("5"), name("18446744073709551615"), other];
    let mut run = Run::behind(strangers);
    assert_eq!(run.last_order_number, 7);
    let order = submitted(&run.target("1"));
    assert_eq!(order.client_order_id, name("8"));

    // The venue tells of one more while the session is on.
    let Happening::Account(fill) = filled(&order, 1_000, 11) else {
        panic!("a fill is an event of the account");
    };
    let Event::OrderFilled { mut execution, .. } = fill.recorded.event.clone() else {
        panic!("it is a fill");
    };
    execution.client_order_id = name("11");
    let event = Event::ExternalFilled { execution };
    let mut run = Run::behind(vec![name("7")]);
    run.apply(Input::Happened(vec![Happening::Account(told(event, 11))]));
    assert_eq!(submitted(&run.target("1")).client_order_id, name("12"));
}
