//! Refusals of an amend that come again.

use super::*;

#[test]
fn a_refusal_that_comes_twice_ends_no_later_amend() {
    let mut world = World::ready();
    world.working(limit("a", PERP, Side::Buy, 475, 9_810));
    world.amend("a", Some(20), None);
    let refused = VenueReport::AmendRejected {
        client_order_id: cid("a"),
        text: "not possible".to_owned(),
        ts_event: world.now,
    };
    world.report(refused.clone());
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.amend("a", Some(1_140), None);
    world.report(refused);
    assert_eq!(
        world.state("a"),
        OrderStatus::PendingAmend,
        "the same again"
    );
    let refused = VenueReport::AmendRejected {
        client_order_id: cid("a"),
        text: "not possible".to_owned(),
        ts_event: world.now.plus(1),
    };
    world.report(refused);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.assert_recovers();
}
