//! Orders that the venue does not know when their moment is over.

use crate::account::tests::support::*;
use crate::market::Side;
use crate::number::Price;
use crate::order::{OrderStatus, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use crate::risk::ReasonCode;
use crate::time::NANOS_PER_SECOND;
use crate::venue::VenueCommand;

#[test]
fn an_order_for_the_market_of_its_moment_is_not_sent_again_when_that_is_over() {
    let ioc = |client: &str| SubmitOrder {
        time_in_force: TimeInForce::Ioc,
        ..limit(client, PERP, Side::Buy, 10, 10_000)
    };
    let closing = |client: &str| SubmitOrder {
        reduce_only: true,
        ..market_order(client, PERP, Side::Sell, 10)
    };
    let stop = |client: &str| SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        terms: OrderTerms {
            stop_price: Some(Price(11_000)),
            ..OrderTerms::default()
        },
        ..limit(client, PERP, Side::Buy, 10, 0)
    };
    type Made = (SubmitOrder, bool);
    let orders: [Made; 5] = [
        (market_order("m", PERP, Side::Buy, 10), false),
        (ioc("i"), false),
        (closing("c"), true),
        (stop("s"), true),
        (limit("l", PERP, Side::Buy, 10, 10_000), true),
    ];
    for (request, later) in orders {
        for (seconds, again) in [(10, true), (31, later), (86_400, later)] {
            let mut world = World::small();
            world.working(limit("p", PERP, Side::Buy, 10, 10_000));
            world.fill("p", "x", 10, 10_000);
            let client = request.client_order_id.as_str().to_owned();
            world.submit(request.clone());
            world.now = world.now.plus(seconds * NANOS_PER_SECOND);
            world.not_found(&client, true);
            let sent = |command: &VenueCommand| matches!(command, VenueCommand::New(_));
            let is_sent = world.commands().iter().any(sent);
            assert_eq!(is_sent, again, "{client} after {seconds} s");
            if !again {
                assert_eq!(world.state(&client), OrderStatus::Expired);
                let code = world.order(&client).reason_code;
                assert_eq!(code, Some(ReasonCode::TimeOver));
            }
            world.assert_recovers();
        }
    }
}

#[test]
fn an_order_that_is_sent_again_and_again_is_too_late_all_the_same() {
    let mut world = World::small();
    world.submit(market_order("m", PERP, Side::Buy, 10));
    let sent = |world: &World| {
        let mut commands = world.commands().iter();
        commands.any(|command| matches!(command, VenueCommand::New(_)))
    };
    for (seconds, again) in [(20, true), (40, false)] {
        world.now = world.now.plus(20 * NANOS_PER_SECOND);
        world.not_found("m", true);
        assert_eq!(sent(&world), again, "after {seconds} s");
        world.assert_recovers();
    }
    assert_eq!(world.state("m"), OrderStatus::Expired);
}
