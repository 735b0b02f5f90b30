//! Orders of unknown outcome that a person settles.

use super::support::*;
use crate::account::{AccountInput, Refusal, ResolveOrder};
use crate::event::{CloseScope, Command, Event};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderStatus, PositionSide};
use crate::reconcile::{Part, VenuePosition, VenueSnapshot};
use crate::risk::{Limits, ReasonCode, TradingState};
use crate::time::NANOS_PER_SECOND;
use crate::venue::VenueCommand;

fn resolve(world: &mut World, client: &str, request: &str, reason: &str) {
    world.apply(AccountInput::ResolveOrder(ResolveOrder {
        request_id: Some(request_id(request)),
        key: key(client),
        by: "olga".to_owned(),
        reason: reason.to_owned(),
    }));
}

fn wait(world: &mut World, seconds: i64) {
    world.now = world.now.plus(seconds * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
}

/// An order that the venue says nothing of.
fn lost() -> World {
    let mut world = World::small();
    world.submit(limit("lost", PERP, Side::Buy, 10, 9_000));
    wait(&mut world, 6);
    assert_eq!(world.state("lost"), OrderStatus::Unknown);
    world
}

#[test]
fn an_order_of_unknown_outcome_ends_by_a_persons_word() {
    let mut world = lost();
    resolve(&mut world, "lost", "r", "not in the list");
    assert_eq!(world.events(), ["CommandTaken", "OrderCanceled"]);
    let Event::CommandTaken { command, .. } = &world.effects.events[0].event else {
        panic!("{:?}", world.effects.events);
    };
    let Command::Resolve(said) = &**command else {
        panic!("{command:?}");
    };
    assert_eq!((&*said.by, &*said.reason), ("olga", "not in the list"));
    let order = world.replied_order();
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.reason_code, Some(ReasonCode::Resolved));
    assert!(world.commands().is_empty());
    world.assert_recovers();
}

#[test]
fn a_repeated_word_is_answered_and_another_one_refused() {
    let mut world = lost();
    resolve(&mut world, "lost", "r", "not in the list");
    resolve(&mut world, "lost", "r", "not in the list");
    assert!(world.events().is_empty());
    assert_eq!(world.replied_order().status, OrderStatus::Canceled);
    resolve(&mut world, "lost", "r", "something else");
    assert_eq!(*world.refusal(), Refusal::RequestExists(request_id("r")));
    resolve(&mut world, "lost", "r2", "not in the list");
    assert_eq!(*world.refusal(), Refusal::OrderClosed("CANCELED"));
    resolve(&mut world, "nobody", "r3", "not in the list");
    assert_eq!(*world.refusal(), Refusal::OrderNotFound);
}

#[test]
fn what_the_venue_may_still_tell_is_not_a_persons_to_tell() {
    let mut world = World::small();
    world.submit(limit("new", PERP, Side::Buy, 10, 9_000));
    resolve(&mut world, "new", "r1", "guess");
    assert_eq!(*world.refusal(), Refusal::OrderNotUnknown("SUBMITTED"));
    world.accept("new");
    resolve(&mut world, "new", "r2", "guess");
    assert_eq!(*world.refusal(), Refusal::OrderNotUnknown("ACCEPTED"));
    // A cancel that is never answered leaves the outcome open as well, once it is late.
    world.cancel("new");
    resolve(&mut world, "new", "r3", "guess");
    assert_eq!(*world.refusal(), Refusal::OrderNotUnknown("PENDING_CANCEL"));
    wait(&mut world, 6);
    resolve(&mut world, "new", "r4", "not in the list");
    assert_eq!(world.state("new"), OrderStatus::Canceled);
    world.assert_recovers();
}

#[test]
fn what_a_resolved_order_reserved_is_free() {
    let mut world = World::opened();
    world.cash("USDT", "100");
    world.limits(Limits {
        check_buying_power: true,
        ..Limits::default()
    });
    world.apply(AccountInput::DefineInstrument(Box::new(instrument(SPOT))));
    world.submit(limit("lost", SPOT, Side::Buy, 900, 10_000));
    wait(&mut world, 6);
    world.submit(limit("more", SPOT, Side::Buy, 900, 10_000));
    assert_eq!(world.state("more"), OrderStatus::Denied);
    resolve(&mut world, "lost", "r", "not in the list");
    world.submit(limit("again", SPOT, Side::Buy, 900, 10_000));
    assert_eq!(world.state("again"), OrderStatus::Submitted);
}

#[test]
fn a_closing_that_waited_for_it_goes_on() {
    let mut world = World::small();
    world.working(limit("in", PERP, Side::Buy, 1_000, 10_000));
    world.fill("in", "x", 1_000, 10_000);
    world.submit(limit("lost", PERP, Side::Buy, 10, 9_000));
    wait(&mut world, 6);
    world.apply(AccountInput::Close {
        scope: CloseScope::default(),
        request_id: None,
    });
    wait(&mut world, 60);
    let sells = |command: &VenueCommand| matches!(command, VenueCommand::New(new) if new.side == Side::Sell);
    assert!(!world.commands().iter().any(sells));
    resolve(&mut world, "lost", "r", "not in the list");
    assert!(world.commands().iter().any(sells), "{:?}", world.commands());
}

#[test]
fn a_fill_that_comes_all_the_same_is_booked_and_halts() {
    let mut world = lost();
    resolve(&mut world, "lost", "r", "not in the list");
    world.fill("lost", "x", 10, 9_000);
    assert_eq!(world.account.net_position(&id(PERP)), 10);
    assert_eq!(world.state("lost"), OrderStatus::Filled);
    let late = |event: &Event| matches!(event, Event::OrderFilled { late: true, .. });
    let events = &world.effects.events;
    assert!(events.iter().any(|recorded| late(&recorded.event)));
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    world.assert_recovers();
}

/// Somebody traded 7 by hand; a lost order keeps the account from taking them over.
#[test]
fn reconciliation_goes_on_once_an_order_is_resolved() {
    let mut world = World::small();
    world.apply(AccountInput::RequireReconciliation {
        settings: Box::default(),
    });
    let snapshot = |world: &mut World, held: i64| {
        let ts = world.now;
        let row = VenuePosition {
            instrument_id: id(PERP),
            position_side: PositionSide::Net,
            side: Side::Buy,
            quantity: Quantity(held),
            average_price: Some(Price(10_000)),
        };
        let rows = (held != 0).then_some(row).into_iter().collect();
        let snapshot = Box::new(VenueSnapshot {
            requested_at: ts,
            open_orders: Some(Part { ts, rows: vec![] }),
            positions: Some(Part { ts, rows }),
            ..VenueSnapshot::default()
        });
        world.apply(AccountInput::Reconcile { snapshot });
    };
    snapshot(&mut world, 0);
    world.submit(limit("lost", PERP, Side::Buy, 10, 9_000));
    for _ in 0..10 {
        wait(&mut world, 60);
        world.not_found("lost", false);
        snapshot(&mut world, 7);
    }
    assert_eq!(world.account.net_position(&id(PERP)), 0);
    resolve(&mut world, "lost", "r", "not in the list");
    for _ in 0..2 {
        wait(&mut world, 60);
        snapshot(&mut world, 7);
    }
    assert_eq!(world.account.net_position(&id(PERP)), 7);
}
