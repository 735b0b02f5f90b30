//! Requests that changed nothing, and come again after a later one.

use super::support::*;
use crate::account::{AccountInput, Reply};
use crate::event::CloseScope;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{AmendOrder, OrderStatus};
use crate::venue::VenueReport;

#[test]
fn limits_that_are_as_they_were_leave_an_event_only_for_a_request_that_may_come_again() {
    let mut world = World::ready();
    let set = |request: Option<&str>, limits: &crate::risk::Limits| AccountInput::SetLimits {
        request_id: request.map(request_id),
        limits: Box::new(limits.clone()),
        expected_sequence: None,
    };
    let wide = world.account.limits().clone();
    let tight = crate::risk::Limits {
        max_order_notional: Some(money("10")),
        ..wide.clone()
    };
    world.apply(set(None, &wide));
    let sequence = world.account.limits_sequence();
    assert_eq!(world.effects.reply, Some(Reply::Done { sequence }));
    assert!(world.events().is_empty());
    world.apply(set(Some("same"), &wide));
    let first = world.effects.reply.clone();
    assert_eq!(world.events(), ["LimitsSet"]);
    world.apply(set(Some("tighter"), &tight));
    // Its caller saw no answer: the same one again, and no new decision.
    world.apply(set(Some("same"), &wide));
    assert_eq!(world.effects.reply, first);
    assert!(world.events().is_empty());
    assert_eq!(*world.account.limits(), tight);
    world.assert_recovers();
}

#[test]
fn an_amend_that_changed_nothing_does_not_undo_a_later_one_when_it_is_repeated() {
    let mut world = World::small();
    world.working(limit("a", PERP, Side::Buy, 10, 9_000));
    let amend = |world: &mut World, request: &str, quantity: i64| {
        let market = market(9_999, 10_001, world.now);
        let request = AmendOrder {
            key: key("a"),
            request_id: request_id(request),
            quantity: Some(Quantity(quantity)),
            limit_price: None,
            stop_price: None,
            expected_sequence: None,
        };
        world.apply(AccountInput::Amend { request, market });
    };
    amend(&mut world, "same", 10);
    assert_eq!(world.events(), ["OrderPendingAmend", "OrderAmended"]);
    assert!(world.commands().is_empty(), "the venue has nothing to do");
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    amend(&mut world, "smaller", 5);
    world.report(VenueReport::Amended {
        client_order_id: cid("a"),
        quantity: Quantity(5),
        limit_price: Some(Price(9_000)),
        stop_price: None,
        ts_event: world.now,
    });
    amend(&mut world, "same", 10);
    assert!(world.events().is_empty() && world.commands().is_empty());
    assert_eq!(world.order("a").quantity, Quantity(5));
    world.assert_recovers();
}

#[test]
fn a_repeated_close_is_answered_as_the_first_time() {
    let mut world = World::small();
    let close = |world: &mut World| {
        world.apply(AccountInput::Close {
            scope: CloseScope::default(),
            request_id: Some(request_id("c")),
        });
    };
    world.working(limit("in", PERP, Side::Buy, 10, 10_000));
    world.fill("in", "x", 10, 10_000);
    world.working(limit("rests", PERP, Side::Buy, 10, 9_000));
    close(&mut world);
    let first = world.effects.reply.clone();
    let taken = world.account.closing(&request_id("c")).unwrap().taken;
    assert_eq!(first, Some(Reply::Done { sequence: taken }));
    world.cash("USDT", "1");
    close(&mut world);
    assert_eq!(world.effects.reply, first);
}
