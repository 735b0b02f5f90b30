//! What an owner may ask of an order whose list says how much there is for it.

use super::*;
use crate::order::OrderStatus;

fn shared() -> World {
    let mut world = held_position();
    let orders = vec![exit("t", 11_000), exit("u", 12_000)];
    world.submit_list(list(Contingency::Ouo, orders));
    world.accept("t");
    world.accept("u");
    world
}

fn refused(world: &World) -> String {
    let Some(Reply::Refused(refusal)) = &world.effects.reply else {
        panic!("{:?}", world.effects.reply)
    };
    refusal.to_string()
}

#[test]
fn a_larger_quantity_than_orders_share_is_refused_and_not_undone_later() {
    let mut world = shared();
    world.amend("t", Some(20), None);
    assert!(
        refused(&world).contains("must be at most 0.010"),
        "{}",
        refused(&world)
    );
    assert_eq!(world.state("t"), OrderStatus::Accepted);
    assert!(world.commands().is_empty(), "{:?}", world.commands());
}

#[test]
fn what_another_order_of_the_list_traded_is_not_there_any_more() {
    let mut world = shared();
    world.fill("u", "xu", 4, 12_000);
    let ts_event = world.now;
    world.report(VenueReport::Amended {
        client_order_id: cid("t"),
        quantity: Quantity(6),
        limit_price: Some(Price(11_000)),
        stop_price: None,
        ts_event,
    });
    world.amend("t", Some(7), None);
    assert!(
        refused(&world).contains("must be at most 0.006"),
        "{}",
        refused(&world)
    );
    world.amend("t", Some(5), None);
    assert!(matches!(world.effects.reply, Some(Reply::Order(_))));
}

#[test]
fn a_child_that_waits_is_not_enlarged_only_to_shrink_when_it_leaves() {
    let mut world = World::small();
    world.submit_list(list(
        Contingency::Oto,
        vec![limit("e", PERP, Side::Buy, 10, 10_000), exit("t", 11_000)],
    ));
    world.amend("t", Some(11), None);
    assert!(
        refused(&world).contains("must be at most 0.010"),
        "{}",
        refused(&world)
    );
}

#[test]
fn orders_of_which_one_ends_the_others_may_be_enlarged() {
    let mut world = held_position();
    let orders = vec![exit("t", 11_000), exit("u", 12_000)];
    world.submit_list(list(Contingency::Oco, orders));
    world.accept("t");
    world.amend("t", Some(20), None);
    assert!(matches!(world.effects.reply, Some(Reply::Order(_))));
}
