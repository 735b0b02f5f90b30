//! Trading that is resumed before the kill switch has closed everything.

use super::*;
use crate::risk::TradingState;

/// Long 1,000, and an order of which the venue says nothing, so that flattening has to wait.
fn waiting() -> World {
    let mut world = World::small();
    world.working(limit("in", PERP, Side::Buy, 1_000, 10_000));
    world.fill("in", "x", 1_000, 10_000);
    world.submit(limit("lost", PERP, Side::Buy, 10, 9_000));
    world
}

fn halt(world: &mut World) {
    world.apply(AccountInput::Halt {
        request_id: Some(request_id("h")),
        cancel: true,
        flatten: true,
        by: "ops".to_owned(),
        reason: "test".to_owned(),
    });
}

fn resume(world: &mut World) {
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Active,
        by: "ops".to_owned(),
        reason: String::new(),
    });
}

#[test]
fn a_resumed_account_is_flattened_no_more() {
    let mut world = waiting();
    halt(&mut world);
    assert!(news(&world).is_empty(), "it waits");
    resume(&mut world);
    assert_eq!(world.events(), ["TradingStateChanged", "CloseEnded"]);
    let state = world.account.closing(&request_id("h")).unwrap();
    assert_eq!(state.ended.unwrap().0, CloseOutcome::Resumed);
    world.working(limit("new", SPOT, Side::Buy, 10, 10_000));
    assert_eq!(world.state("new"), OrderStatus::Accepted);
    world.fill("new", "y", 10, 10_000);
    assert!(news(&world).is_empty());
    world.apply(AccountInput::Tick);
    assert!(news(&world).is_empty());
    world.assert_recovers();
}

#[test]
fn what_a_person_closes_goes_on_when_trading_is_resumed() {
    let mut world = waiting();
    world.apply(close(CloseScope::default(), "c"));
    halt(&mut world);
    resume(&mut world);
    let state = |world: &World, id: &str| world.account.closing(&request_id(id)).unwrap().ended;
    assert!(state(&world, "h").is_some() && state(&world, "c").is_none());
    world.not_found("lost", true);
    assert_eq!(
        news(&world).len(),
        1,
        "once, whoever asked: {:?}",
        news(&world)
    );
    world.assert_recovers();
}
