//! Executions that the venue takes back: what is left of an order, and of the others of its list.

use super::support::*;
use crate::id::ExecId;
use crate::market::Side;
use crate::order::OrderStatus;
use crate::venue::VenueReport;

/// Takes an execution of `client` back.
pub fn bust(world: &mut World, client: &str, exec: &str) {
    let order = world.order(client);
    world.report(VenueReport::Busted {
        client_order_id: cid(client),
        exec_id: ExecId::new(exec).unwrap(),
        instrument_id: order.request.instrument_id,
        ts_event: world.now,
    });
    crate::invariant::check_account(&world.account).unwrap();
    world.assert_recovers();
}

/// An order of 10; what each step leaves: `filled+leaves+canceled=quantity STATUS`.
fn check(script: &[(&str, &str)]) {
    let mut world = World::small();
    world.working(limit("o", PERP, Side::Buy, 10, 10_000));
    for (step, expected) in script {
        let words: Vec<&str> = step.split(' ').collect();
        match words[0] {
            "fill" => drop(world.fill("o", words[1], words[2].parse().unwrap(), 10_000)),
            "bust" => bust(&mut world, "o", words[1]),
            "ended" => drop(world.ended("o", words[1].parse().unwrap())),
            other => panic!("unknown step {other}"),
        }
        let order = world.order("o");
        crate::invariant::check_order(&order).unwrap();
        let found = format!(
            "{}+{}+{}={} {}",
            order.filled_quantity.0,
            order.leaves_quantity.0,
            order.canceled_quantity.0,
            order.quantity.0,
            order.status.as_str()
        );
        assert_eq!(found, *expected, "after \"{step}\"");
    }
    world.assert_recovers();
}

#[test]
fn a_bust_takes_back_what_an_overfill_had_made_of_the_order() {
    check(&[
        ("fill a 10", "10+0+0=10 FILLED"),
        ("fill b 2", "12+0+0=12 FILLED"),
        ("bust b", "10+0+0=10 FILLED"),
        ("bust a", "0+0+10=10 CANCELED"),
    ]);
    check(&[
        ("fill a 7", "7+3+0=10 PARTIALLY_FILLED"),
        ("fill b 5", "12+0+0=12 FILLED"),
        ("bust a", "5+0+5=10 CANCELED"),
        ("bust b", "0+0+10=10 CANCELED"),
    ]);
    check(&[
        ("fill a 6", "6+4+0=10 PARTIALLY_FILLED"),
        ("fill b 6", "12+0+0=12 FILLED"),
        ("fill c 3", "15+0+0=15 FILLED"),
        ("bust c", "12+0+0=12 FILLED"),
        ("bust b", "6+0+4=10 CANCELED"),
    ]);
}

#[test]
fn a_late_overfill_that_is_taken_back_leaves_the_order_as_it_had_ended() {
    check(&[
        ("fill a 4", "4+6+0=10 PARTIALLY_FILLED"),
        ("ended 4", "4+0+6=10 CANCELED"),
        ("fill b 8", "12+0+0=12 FILLED"),
        ("bust b", "4+0+6=10 CANCELED"),
        ("bust a", "0+0+10=10 CANCELED"),
    ]);
}

#[test]
fn an_overfill_of_an_amended_order_is_measured_by_its_new_quantity() {
    let mut world = World::small();
    world.working(limit("o", PERP, Side::Buy, 10, 10_000));
    world.amend("o", Some(5), None);
    world.report(VenueReport::Amended {
        client_order_id: cid("o"),
        quantity: crate::Quantity(5),
        limit_price: None,
        stop_price: None,
        ts_event: world.now,
    });
    world.fill("o", "a", 5, 10_000);
    world.fill("o", "b", 1, 10_000);
    bust(&mut world, "o", "b");
    let order = world.order("o");
    assert_eq!((order.quantity.0, order.status), (5, OrderStatus::Filled));
}
