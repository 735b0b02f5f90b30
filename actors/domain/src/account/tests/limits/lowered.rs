//! Limits that are lowered while exits of a position wait here.

use super::*;
use crate::instrument::InstrumentRules;
use crate::order::OrderStatus;

fn stop(client: &str, quantity: i64, price: i64) -> SubmitOrder {
    SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        terms: OrderTerms {
            stop_price: Some(Price(price)),
            ..OrderTerms::default()
        },
        ..limit(client, PERP, Side::Sell, quantity, 0)
    }
}

/// Stops are held here: the venue has none.
fn without_stops() -> World {
    let mut world = World::small();
    let types = OrderType::ALL.into_iter();
    let mut rules = InstrumentRules::default();
    rules.lacks.order_types = types.filter(|it| it.is_conditional()).collect();
    let definition = Instrument {
        min_notional: money("0"),
        rules,
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

#[test]
fn exits_that_wait_for_their_entry_count_among_the_open_orders_already() {
    let mut world = World::small();
    let entry = limit("e", PERP, Side::Buy, 10, 10_000);
    let exit = limit("t", PERP, Side::Sell, 10, 11_000);
    world.list(
        Contingency::Bracket,
        vec![entry, exit, stop("s", 10, 9_500)],
    );
    world.accept("e");
    world.limits(Limits {
        max_open_orders: Some(1),
        ..Limits::default()
    });
    world.fill("e", "x", 10, 10_000);
    for leg in ["t", "s"] {
        assert_eq!(world.state(leg), OrderStatus::Submitted, "{leg}");
    }
    // A new order is one more.
    world.submit(limit("new", PERP, Side::Buy, 10, 9_000));
    let code = world.order("new").reason_code;
    assert_eq!(code, Some(ReasonCode::OpenOrderLimit));
}

#[test]
fn a_lower_limit_of_size_or_price_drops_no_stop_that_only_reduces() {
    for (held, expected) in [
        (1_000, OrderStatus::Submitted),
        // The rest of it would open a position.
        (400, OrderStatus::Denied),
    ] {
        let mut world = without_stops();
        world.working(limit("in", PERP, Side::Buy, held, 10_000));
        world.fill("in", "x", held, 10_000);
        world.submit(stop("s", 1_000, 9_900));
        world.limits(Limits {
            max_order_notional: Some(money("50")),
            ..Limits::default()
        });
        world.price(PERP, 9_890);
        assert_eq!(world.state("s"), expected, "{held} held");
        world.assert_recovers();
    }
}
