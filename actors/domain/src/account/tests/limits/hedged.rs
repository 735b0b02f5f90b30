//! Limits over an account that holds both sides of an instrument: they do not offset each other.

use crate::account::AccountInput;
use crate::account::tests::support::*;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderStatus, PositionSide, SubmitOrder};
use crate::risk::{Limits, MarketView, WideLimits};

fn world(wide: WideLimits) -> World {
    let mut world = World::small();
    world.hedging();
    world.limits(Limits {
        wide,
        ..Limits::default()
    });
    let view = MarketView {
        bid: Some(Price(9_999)),
        ask: Some(Price(10_001)),
        last: Some(Price(10_000)),
        last_ts: world.now,
        mark: None,
        ts: world.now,
    };
    world.apply(AccountInput::Market {
        instrument_id: id(PERP),
        view,
    });
    world
}

fn on_side(client: &str, of: PositionSide) -> SubmitOrder {
    let side = match of {
        PositionSide::Short => Side::Sell,
        _ => Side::Buy,
    };
    let mut order = limit(client, PERP, side, 900, 10_000);
    order.terms.position_side = of;
    order
}

#[test]
fn both_sides_of_a_hedging_account_count_with_all_they_are() {
    let limit = Some(money("100"));
    let account = WideLimits {
        max_account_exposure: limit,
        ..WideLimits::default()
    };
    let strategy = WideLimits {
        max_strategy_exposure: limit,
        ..WideLimits::default()
    };
    for wide in [account, strategy] {
        for filled in [true, false] {
            let mut world = world(wide.clone());
            world.working(on_side("long", PositionSide::Long));
            if filled {
                world.fill("long", "x", 900, 10_000);
            }
            // 90 of 100 are used; 90 on the other side are as much again.
            world.submit(on_side("short", PositionSide::Short));
            assert_eq!(world.state("short"), OrderStatus::Denied, "{wide:?}");
            let mut small = on_side("small", PositionSide::Short);
            small.quantity = Quantity(100);
            world.submit(small);
            assert_eq!(world.state("small"), OrderStatus::Submitted, "{wide:?}");
            world.assert_recovers();
        }
    }
}
