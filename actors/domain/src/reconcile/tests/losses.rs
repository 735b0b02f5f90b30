//! What reconciliation moves a balance by is neither profit nor loss to the limits.

use super::*;
use crate::event::Event;
use crate::risk::{Limits, MarketView, TradingState, WideLimits};

/// 10,000 USDT, ten contracts bought at 100, and a day's loss of at most 50.
fn limited() -> World {
    let mut world = World::small();
    world.limits(Limits {
        wide: WideLimits {
            max_daily_loss: Some(money("50")),
            max_drawdown: Some(crate::Rate::parse("0.02").unwrap()),
            ..WideLimits::default()
        },
        ..Limits::default()
    });
    price(&mut world, 10_000);
    world.working(limit("own", PERP, Side::Buy, 10_000, 10_000));
    world.fill("own", "own-1", 10_000, 10_000);
    world.apply(AccountInput::Tick);
    world
}

fn price(world: &mut World, price: i64) {
    let view = MarketView {
        bid: Some(Price(price)),
        ask: Some(Price(price)),
        last: Some(Price(price)),
        last_ts: world.now,
        mark: None,
        ts: world.now,
    };
    let instrument_id = id(PERP);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
    world.apply(AccountInput::Tick);
}

/// The venue shows a balance that is other than ours by `amount`, twice, so that it is taken over.
fn moved_at_the_venue(world: &mut World, amount: &str) {
    let here = world.cash_of("USDT");
    let there = here.checked_add(money(amount)).unwrap().to_string();
    for _ in 0..2 {
        let snapshot = VenueSnapshot {
            positions: with_position(world, 10_000).positions,
            ..with_balance(world, &there)
        };
        take(world, &snapshot);
    }
    let taken = world.journal.iter().any(|recorded| {
        matches!(&recorded.event, Event::BalanceReconciled { amount: by, .. } if *by == money(amount))
    });
    assert!(taken, "{amount} is booked");
    world.apply(AccountInput::Tick);
}

#[test]
fn what_reconciliation_takes_out_of_a_balance_is_no_loss() {
    let mut world = limited();
    moved_at_the_venue(&mut world, "-400");
    assert_eq!(world.account.trading_state(), TradingState::Active);
    // With the fee of 1 it is a loss of 49, then of 50: only what is traded counts.
    price(&mut world, 9_520);
    assert_eq!(world.account.trading_state(), TradingState::Active);
    price(&mut world, 9_510);
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    world.assert_recovers();
}

#[test]
fn what_reconciliation_adds_to_a_balance_hides_no_loss() {
    let mut world = limited();
    moved_at_the_venue(&mut world, "400");
    price(&mut world, 9_520);
    assert_eq!(world.account.trading_state(), TradingState::Active);
    price(&mut world, 9_510);
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    world.assert_recovers();
}
