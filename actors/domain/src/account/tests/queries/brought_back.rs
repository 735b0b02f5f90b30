//! Orders that a venue works again after it told their end.

use crate::account::tests::support::*;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::OrderStatus;
use crate::time::NANOS_PER_SECOND;
use crate::venue::{EndReason, VenueEnd, VenueReport, VenueStatus};

fn working(world: &mut World, executions: &[(&str, i64)]) {
    let executions = executions
        .iter()
        .map(|(exec, quantity)| execution("a", exec, PERP, Side::Buy, *quantity, 10_000))
        .collect();
    let ts_event = world.now;
    world.report(VenueReport::Status {
        client_order_id: cid("a"),
        venue_order_id: crate::VenueOrderId::new("v").unwrap(),
        status: VenueStatus::Working,
        quantity: Quantity(40),
        limit_price: Some(Price(10_000)),
        stop_price: None,
        executions,
        ts_event,
    });
}

#[test]
fn an_end_that_waits_for_its_fills_is_taken_when_more_is_filled_than_it_counts() {
    let mut world = World::small();
    world.working(limit("a", PERP, Side::Buy, 40, 10_000));
    let ts_event = world.now;
    world.report(VenueReport::Ended {
        client_order_id: cid("a"),
        end: VenueEnd::Canceled,
        reason: EndReason::Requested,
        cumulative_quantity: Quantity(23),
        ts_event,
    });
    assert_eq!(world.state("a"), OrderStatus::Accepted, "23 are to come");
    world.now = world.now.plus(NANOS_PER_SECOND);
    // Fills of less may still come to what the end counted.
    working(&mut world, &[("x", 12)]);
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled);
    world.now = world.now.plus(NANOS_PER_SECOND);
    working(&mut world, &[("x", 12), ("y", 23)]);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    let parts = (order.filled_quantity.0, order.canceled_quantity.0);
    assert_eq!(parts, (35, 5));
    world.assert_recovers();
}
