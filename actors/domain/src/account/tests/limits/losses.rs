//! Loss limits of an account that somebody had made as strict before.

use super::*;
use crate::order::PositionSide;

fn losing(action: LossAction, state: TradingState) -> World {
    let mut world = world(WideLimits {
        max_daily_loss: Some(money("50")),
        loss_action: action,
        ..WideLimits::default()
    });
    world.hold("a", PERP, 10_000);
    world.working(limit("more", PERP, Side::Buy, 10_000, 9_000));
    world.working(limit("out", PERP, Side::Sell, 10_000, 12_000));
    world.tick();
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state,
        by: "ops".to_owned(),
        reason: String::new(),
    });
    world.tick();
    assert_eq!(world.state("more"), OrderStatus::Accepted);
    world.price(PERP, 9_400);
    world.tick();
    world
}

#[test]
fn a_loss_limit_cancels_what_adds_while_a_person_has_set_reducing() {
    for state in [TradingState::Reducing, TradingState::Halted] {
        let mut world = losing(LossAction::Reduce, state);
        assert_eq!(world.state("more"), OrderStatus::PendingCancel);
        assert_eq!(world.state("out"), OrderStatus::Accepted);
        assert_eq!(world.account.trading_state(), state);
        world.tick();
        assert!(world.events().is_empty(), "once");
        world.assert_recovers();
    }
}

#[test]
fn a_loss_limit_cancels_what_works_while_the_account_is_halted() {
    let world = losing(LossAction::Halt, TradingState::Halted);
    for client in ["more", "out"] {
        assert_eq!(world.state(client), OrderStatus::PendingCancel);
    }
    world.assert_recovers();
}

/// A hedging account that is long 10,000 and short 4,000, with an order that adds to each side and
/// one that reduces it.
fn hedged() -> World {
    let mut world = World::small();
    world.hedging();
    world.limits(Limits {
        wide: WideLimits {
            max_daily_loss: Some(money("50")),
            loss_action: LossAction::Reduce,
            ..WideLimits::default()
        },
        ..Limits::default()
    });
    world.price(PERP, 10_000);
    let on = |client: &str, side: Side, of: PositionSide, quantity: i64, price: i64| {
        let mut order = limit(client, PERP, side, quantity, price);
        order.terms.position_side = of;
        order
    };
    for (client, side, of, quantity) in [
        ("long", Side::Buy, PositionSide::Long, 10_000),
        ("short", Side::Sell, PositionSide::Short, 4_000),
    ] {
        world.working(on(client, side, of, quantity, 10_000));
        world.fill(client, &format!("x-{client}"), quantity, 10_000);
    }
    for (client, side, of, price) in [
        ("more long", Side::Buy, PositionSide::Long, 9_000),
        ("less long", Side::Sell, PositionSide::Long, 12_000),
        ("more short", Side::Sell, PositionSide::Short, 12_000),
        ("less short", Side::Buy, PositionSide::Short, 9_000),
    ] {
        let client = client.replace(' ', "-");
        world.working(on(&client, side, of, 4_000, price));
    }
    world.tick();
    world
}

#[test]
fn of_a_hedging_account_what_reduces_its_own_side_stays() {
    let mut world = hedged();
    world.price(PERP, 9_000);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Reducing);
    for (client, state) in [
        ("more-long", OrderStatus::PendingCancel),
        ("less-long", OrderStatus::Accepted),
        ("more-short", OrderStatus::PendingCancel),
        ("less-short", OrderStatus::Accepted),
    ] {
        assert_eq!(world.state(client), state, "{client}");
    }
    world.assert_recovers();
}
