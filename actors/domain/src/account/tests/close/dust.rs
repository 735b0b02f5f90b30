//! What a closing leaves, since nothing that small can be ordered or delivered.

use super::*;
use crate::instrument::Instrument;
use crate::venue::{NewOrder, VenueReport};

/// Bought `quantity` for 100.00 each, with a fee in what was bought.
fn bought(world: &mut World, client: &str, strategy: &str, quantity: i64, fee: &str) {
    let mut order = limit(client, SPOT, Side::Buy, quantity, 10_000);
    order.strategy_id = StrategyId::new(strategy).unwrap();
    world.working(order);
    let mut execution = execution(client, client, SPOT, Side::Buy, quantity, 10_000);
    execution.fee = money(fee);
    execution.fee_currency = currency("BTC");
    world.report(VenueReport::Filled(execution));
}

fn closing_orders(world: &World) -> Vec<NewOrder> {
    let news = world.commands().iter().filter_map(|command| match command {
        VenueCommand::New(new) => Some(new.clone()),
        _ => None,
    });
    news.collect()
}

fn sold(world: &World) -> Vec<Quantity> {
    let orders = closing_orders(world).into_iter();
    orders.map(|order| order.quantity).collect()
}

/// As a venue: each closing order trades whole, without a fee.
fn trade_all(world: &mut World, instrument: &str) {
    for order in closing_orders(world) {
        let id = order.client_order_id.as_str();
        world.accept(id);
        let mut execution = execution(id, id, instrument, order.side, order.quantity.0, 10_000);
        execution.fee = money("0");
        world.report(VenueReport::Filled(execution));
    }
}

fn outcome(world: &World, request: &str) -> Option<CloseOutcome> {
    let closing = world.account.closing(&request_id(request)).unwrap();
    closing.ended.map(|(outcome, ..)| outcome)
}

/// A fee finer than a unit of quantity is owed in coins: there are fewer than the position says.
#[test]
fn closing_sells_no_more_coins_than_there_are_and_leaves_dust() {
    let mut world = World::small();
    bought(&mut world, "in", "MANUAL", 1_000, "0.0005");
    assert_eq!(world.cash_of("BTC"), money("-0.0005"));
    world.apply(close(CloseScope::default(), "c"));
    assert_eq!(sold(&world), [Quantity(999)]);
    trade_all(&mut world, SPOT);
    assert_eq!(world.account.net_position(&id(SPOT)), 1);
    assert_eq!(outcome(&world, "c"), Some(CloseOutcome::Dust));
    world.assert_recovers();
}

#[test]
fn strategies_that_are_closed_together_share_the_coins() {
    let mut world = World::small();
    bought(&mut world, "a", "a", 1_000, "0.0005");
    bought(&mut world, "b", "b", 1_000, "0.0007");
    world.apply(close(CloseScope::default(), "c"));
    let total: i64 = sold(&world).iter().map(|quantity| quantity.0).sum();
    assert_eq!(total, 1_998);
}

#[test]
fn what_is_worth_less_than_an_order_may_be_is_dust() {
    let mut world = World::small();
    let definition = Instrument {
        min_notional: money("1"),
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world.working(limit("in", PERP, Side::Buy, 100, 10_000));
    world.fill("in", "x", 100, 10_000);
    world.working(limit("out", PERP, Side::Sell, 91, 10_000));
    world.fill("out", "y", 91, 10_000);
    // 0.009 is left, worth 0.90; an order has to be worth 1.
    world.apply(close(CloseScope::default(), "c"));
    assert!(news(&world).is_empty());
    assert_eq!(outcome(&world, "c"), Some(CloseOutcome::Dust));
    // One unit more is an order.
    world.working(limit("more", PERP, Side::Buy, 10, 10_000));
    world.fill("more", "z", 10, 10_000);
    world.apply(close(CloseScope::default(), "d"));
    assert_eq!(sold(&world), [Quantity(19)]);
}
