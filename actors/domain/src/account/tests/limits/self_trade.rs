//! Orders of one account that would trade with each other.

use super::*;
use crate::order::SelfTradePrevention;
use crate::venue::VenueCommand;

#[test]
fn an_order_that_would_meet_an_own_one_is_denied_where_that_is_wished() {
    let mut world = world(WideLimits {
        prevent_self_trade: true,
        ..WideLimits::default()
    });
    world.working(buy("bid", PERP, 10));
    world.submit(limit("meets", PERP, Side::Sell, 5, 10_000));
    world.submit(limit("above", PERP, Side::Sell, 5, 10_001));
    world.submit(market_order("market", PERP, Side::Sell, 5));
    world.submit(limit("elsewhere", SPOT, Side::Sell, 5, 10_000));
    assert_eq!(world.code("meets"), Some(ReasonCode::SelfTrade));
    assert_eq!(world.code("market"), Some(ReasonCode::SelfTrade));
    assert_eq!((world.code("above"), world.code("elsewhere")), (None, None));
}

#[test]
fn the_price_of_an_amend_under_way_counts_already() {
    let mut world = world(WideLimits {
        prevent_self_trade: true,
        ..WideLimits::default()
    });
    world.working(buy("bid", PERP, 10));
    world.amend("bid", None, Some(10_100));
    world.submit(limit("amended", PERP, Side::Sell, 5, 10_100));
    assert_eq!(world.code("amended"), Some(ReasonCode::SelfTrade));
}

#[test]
fn a_conditional_order_at_the_venue_meets_own_ones_only_once_it_has_triggered() {
    let mut world = world(WideLimits {
        prevent_self_trade: true,
        ..WideLimits::default()
    });
    let mut stop = buy("stop", PERP, 10);
    stop.order_type = OrderType::StopLimit;
    stop.limit_price = Some(Price(10_310));
    stop.terms.stop_price = Some(Price(10_300));
    world.submit(stop);
    // Nobody is asked when it triggers there: the venue sees to it.
    let [VenueCommand::New(new)] = world.commands() else {
        panic!("{:?}", world.commands())
    };
    let mode = new.terms.self_trade_prevention;
    assert_eq!(mode, Some(SelfTradePrevention::ExpireMaker));
    world.accept("stop");
    world.submit(limit("below", PERP, Side::Sell, 5, 10_100));
    assert_eq!(world.code("below"), None);
    world.report(VenueReport::Triggered {
        client_order_id: cid("stop"),
        ts_event: world.now,
    });
    world.submit(limit("now", PERP, Side::Sell, 5, 10_100));
    assert_eq!(world.code("now"), Some(ReasonCode::SelfTrade));
}
