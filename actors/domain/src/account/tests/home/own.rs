//! What was held here leaves although an own order rests in its way: the venue lets that give way.

use super::*;
use crate::order::SelfTradePrevention;
use crate::risk::{Limits, WideLimits};

fn no_self_trades() -> World {
    let mut world = bare();
    world.limits(Limits {
        wide: WideLimits {
            prevent_self_trade: true,
            ..WideLimits::default()
        },
        ..Limits::default()
    });
    world.working(limit("p", PERP, Side::Buy, 10, 10_000));
    world.fill("p", "x", 10, 10_000);
    world
}

fn protective(order_type: OrderType, limit_price: Option<Price>) -> SubmitOrder {
    SubmitOrder {
        order_type,
        limit_price,
        reduce_only: true,
        terms: OrderTerms {
            stop_price: Some(Price(9_900)),
            ..OrderTerms::default()
        },
        ..limit("s", PERP, Side::Sell, 10, 0)
    }
}

fn show(world: &mut World, price: i64) {
    let ts = world.now;
    let view = MarketView {
        bid: Some(Price(price - 1)),
        ask: Some(Price(price + 1)),
        last: Some(Price(price)),
        mark: None,
        ts,
        last_ts: ts,
    };
    let instrument_id = id(PERP);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
}

fn mode_sent(world: &World) -> Option<SelfTradePrevention> {
    let [VenueCommand::New(new)] = world.commands() else {
        panic!("{:?}", world.commands())
    };
    new.terms.self_trade_prevention
}

#[test]
fn a_stop_held_here_is_not_lost_to_an_own_order_in_its_way() {
    for (order_type, price) in [
        (OrderType::Stop, None),
        (OrderType::StopLimit, Some(Price(8_000))),
    ] {
        let mut world = no_self_trades();
        world.submit(protective(order_type, price));
        // A bid far below, for more of the same.
        world.working(limit("bid", PERP, Side::Buy, 10, 9_000));
        show(&mut world, 9_890);
        assert_eq!(
            world.state("s"),
            OrderStatus::Submitted,
            "{}",
            world.order("s").reason
        );
        assert_eq!(mode_sent(&world), Some(SelfTradePrevention::ExpireMaker));
        assert_eq!(world.state("bid"), OrderStatus::Accepted);
        world.assert_recovers();
    }
}

#[test]
fn the_way_that_an_owner_chose_stays_that_of_a_stop_held_here() {
    let mut world = no_self_trades();
    let mut stop = protective(OrderType::Stop, None);
    stop.terms.self_trade_prevention = Some(SelfTradePrevention::ExpireBoth);
    world.submit(stop);
    world.working(limit("bid", PERP, Side::Buy, 10, 9_000));
    show(&mut world, 9_890);
    assert_eq!(mode_sent(&world), Some(SelfTradePrevention::ExpireBoth));
}
