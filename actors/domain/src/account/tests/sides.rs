//! Orders that close one side of a hedging account.

use super::support::*;
use crate::account::AccountInput;
use crate::market::Side;
use crate::number::Price;
use crate::order::{
    Contingency, OrderStatus, OrderType, PositionSide, ReleaseRule, SubmitList, SubmitOrder,
};
use crate::risk::{Limits, ReasonCode, TradingState};
use crate::venue::VenueCommand;
use crate::{OrderListId, StrategyId};

/// A perpetual of which 5 are held long and 3 short, each by two strategies together.
fn world() -> World {
    let mut world = World::small();
    world.hedging();
    world.limits(Limits::default());
    for (client, side, position, quantity) in [
        ("l1", Side::Buy, PositionSide::Long, 4),
        ("l2", Side::Buy, PositionSide::Long, 1),
        ("s1", Side::Sell, PositionSide::Short, 2),
        ("s2", Side::Sell, PositionSide::Short, 1),
    ] {
        let mut order = of_side(client, side, position, quantity);
        order.strategy_id = StrategyId::new(client).unwrap();
        world.working(order);
        world.fill(client, &format!("x-{client}"), quantity * 1_000, 10_000);
    }
    world
}

fn of_side(client: &str, side: Side, position: PositionSide, quantity: i64) -> SubmitOrder {
    let mut order = limit(client, PERP, side, quantity * 1_000, 10_000);
    order.terms.position_side = position;
    order
}

fn sell_long(client: &str, quantity: i64) -> SubmitOrder {
    of_side(client, Side::Sell, PositionSide::Long, quantity)
}

fn list(contingency: Contingency, orders: Vec<SubmitOrder>) -> AccountInput {
    AccountInput::SubmitList {
        list: Box::new(SubmitList {
            list_id: OrderListId::new("list").unwrap(),
            contingency,
            release: ReleaseRule::Partial,
            cascade: true,
            orders,
        }),
        markets: [(id(PERP), market(9_999, 10_001, crate::UnixNanos(0)))].into(),
    }
}

/// The venue fills more than was ordered, which halts the account, and somebody lets it go on.
fn overfill(world: &mut World, client: &str, quantity: i64) {
    world.fill(client, "over", quantity, 10_000);
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Active,
        by: "operator".to_owned(),
        reason: "looked at".to_owned(),
    });
}

fn held(world: &World, side: PositionSide) -> i64 {
    let net = world.account.portfolio().net_of_side(&id(PERP), side);
    net.unwrap().quantity
}

#[track_caller]
fn assert_denied(world: &World, client: &str, says: &str) {
    let order = world.order(client);
    assert_eq!(order.reason_code, Some(ReasonCode::PositionTooSmall));
    assert!(order.reason.contains(says), "{}", order.reason);
}

#[test]
fn no_order_closes_more_of_a_side_than_it_holds() {
    for (side, position, fits) in [
        (Side::Sell, PositionSide::Long, 5),
        (Side::Buy, PositionSide::Short, 3),
    ] {
        let mut world = world();
        world.submit(of_side("over", side, position, fits + 1));
        let says = format!("{}.000 closes more", fits + 1);
        assert_denied(&world, "over", &says);
        assert_denied(&world, "over", &format!("available, {fits}"));
        world.submit(of_side("fits", side, position, fits));
        assert_eq!(world.state("fits"), OrderStatus::Submitted);
        world.assert_recovers();
    }
}

#[test]
fn what_opens_a_side_is_not_measured_by_it() {
    let mut world = world();
    for order in [
        of_side("a", Side::Buy, PositionSide::Long, 90),
        of_side("b", Side::Sell, PositionSide::Short, 90),
    ] {
        let client = order.client_order_id.as_str().to_owned();
        world.submit(order);
        assert_eq!(world.state(&client), OrderStatus::Submitted, "{client}");
    }
}

/// One that waits here for its price takes of the side as one at the venue does.
#[test]
fn working_orders_take_of_what_is_left_to_close() {
    let mut world = world();
    let mut stop = sell_long("stop", 2);
    stop.order_type = OrderType::Stop;
    stop.limit_price = None;
    stop.terms.stop_price = Some(Price(9_000));
    world.submit(stop);
    world.working(sell_long("a", 2));
    world.submit(sell_long("b", 2));
    assert_denied(&world, "b", "available, 1");
    world.fill("a", "xa", 1_000, 10_000);
    world.submit(sell_long("c", 1));
    assert_eq!(world.state("c"), OrderStatus::Submitted);
    world.ended("a", 1_000);
    world.submit(sell_long("d", 1));
    assert_eq!(world.state("d"), OrderStatus::Submitted);
    world.submit(sell_long("e", 1));
    assert_denied(&world, "e", "available, 0");
}

#[test]
fn an_amend_upward_is_refused_and_one_that_closes_no_more_passes() {
    let mut world = world();
    world.working(sell_long("a", 4));
    world.amend("a", Some(6_000), None);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.amend("a", Some(5_000), None);
    assert_eq!(world.state("a"), OrderStatus::PendingAmend);
    // Prices of one whose side has gone elsewhere.
    let mut world = self::world();
    world.working(sell_long("a", 4));
    world.working(sell_long("b", 1));
    overfill(&mut world, "b", 3_000);
    assert_eq!(held(&world, PositionSide::Long), 2_000);
    world.amend("a", None, Some(10_100));
    assert_eq!(world.state("a"), OrderStatus::PendingAmend);
}

#[test]
fn each_leg_of_a_position_may_close_the_whole_of_it() {
    let mut world = world();
    let legs = vec![sell_long("a", 4), sell_long("b", 4)];
    world.apply(list(Contingency::Oco, legs));
    assert_eq!(world.state("a"), OrderStatus::Submitted);
    assert_eq!(world.state("b"), OrderStatus::Submitted);
    // Of the two only one trades.
    world.submit(sell_long("c", 1));
    assert_eq!(world.state("c"), OrderStatus::Submitted);
    world.submit(sell_long("d", 1));
    assert_denied(&world, "d", "available, 0");
}

#[test]
fn the_legs_of_a_bracket_close_what_its_entry_opened() {
    let mut world = world();
    world.working(sell_long("rest", 5));
    let entry = of_side("entry", Side::Buy, PositionSide::Long, 2);
    let legs = [sell_long("take", 2), sell_long("stop", 2)];
    let orders = [entry].into_iter().chain(legs).collect();
    world.apply(list(Contingency::Bracket, orders));
    world.accept("entry");
    world.fill("entry", "xe", 2_000, 10_000);
    for leg in ["take", "stop"] {
        assert_eq!(world.state(leg), OrderStatus::Submitted, "{leg}");
    }
}

/// What a venue did is booked, whatever it should have refused.
#[test]
fn a_fill_beyond_the_side_is_booked_and_the_side_can_be_brought_back() {
    let mut world = world();
    world.working(sell_long("a", 5));
    overfill(&mut world, "a", 6_000);
    assert_eq!(held(&world, PositionSide::Long), -1_000);
    world.submit(sell_long("b", 1));
    assert_denied(&world, "b", "available, 0");
    world.submit(of_side("c", Side::Buy, PositionSide::Long, 1));
    assert_eq!(world.state("c"), OrderStatus::Submitted);
    world.assert_recovers();
}

#[test]
fn a_preview_tells_of_it() {
    let world = world();
    let market = market(9_999, 10_001, world.now);
    let seen = |order: &SubmitOrder| {
        let preview = world.account.preview(world.now, order, market, None);
        let failures = preview.unwrap().failures;
        failures.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    };
    assert_eq!(seen(&sell_long("a", 6)), ["side_quantity"]);
    assert_eq!(seen(&sell_long("a", 5)), [""; 0]);
}

#[test]
fn the_kill_switch_closes_each_side_by_itself() {
    let mut world = world();
    world.working(sell_long("rest", 1));
    let view = crate::risk::MarketView {
        bid: Some(Price(9_999)),
        ask: Some(Price(10_001)),
        ts: world.now,
        ..Default::default()
    };
    let instrument_id = id(PERP);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
    world.apply(AccountInput::Halt {
        request_id: Some(request_id("k")),
        cancel: true,
        flatten: true,
        by: "ops".to_owned(),
        reason: "drill".to_owned(),
    });
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    // What closes a side waits until what takes of it has ended.
    world.ended("rest", 0);
    let mut sent: Vec<_> = world
        .commands()
        .iter()
        .filter_map(|command| match command {
            VenueCommand::New(order) => Some(order),
            _ => None,
        })
        .map(|order| (order.side, order.terms.position_side, order.quantity.0))
        .collect();
    sent.sort_by_key(|(_, side, quantity)| (*side == PositionSide::Short, -quantity));
    assert_eq!(
        sent,
        [
            (Side::Sell, PositionSide::Long, 4_000),
            (Side::Sell, PositionSide::Long, 1_000),
            (Side::Buy, PositionSide::Short, 2_000),
            (Side::Buy, PositionSide::Short, 1_000),
        ]
    );
    world.assert_recovers();
}
