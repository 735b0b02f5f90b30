//! Loss limits of an account that somebody had made as strict before.

use super::*;

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
