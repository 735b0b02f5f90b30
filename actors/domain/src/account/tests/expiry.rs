//! A future at its end: its orders, its positions, and what is still sent to it.

use super::support::*;
use crate::account::{Account, AccountInput};
use crate::id::StrategyId;
use crate::instrument::{Instrument, InstrumentKind};
use crate::market::Side;
use crate::number::Price;
use crate::order::{OrderStatus, SubmitOrder, TimeInForce};
use crate::risk::{MarketView, ReasonCode};
use crate::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, UnixNanos};
use crate::venue::VenueCommand;

/// Seconds from the opening of the world to the end of its contract.
const LIFE_S: i64 = 3_600;

fn ending() -> (World, UnixNanos) {
    let mut world = World::small();
    let end = world.now.plus(LIFE_S * NANOS_PER_SECOND);
    let mut future = Instrument {
        min_notional: money("0"),
        ..instrument(PERP)
    };
    future.rules.expires_at = Some(end);
    world.apply(AccountInput::DefineInstrument(Box::new(future)));
    (world, end)
}

fn tick_at(world: &mut World, now: UnixNanos) {
    world.now = now.plus(-NANOS_PER_MILLI);
    world.apply(AccountInput::Tick);
}

fn sent(world: &World) -> Option<&crate::venue::NewOrder> {
    world.commands().iter().find_map(|command| match command {
        VenueCommand::New(order) => Some(order),
        _ => None,
    })
}

#[test]
fn an_order_ends_with_its_contract_at_the_latest() {
    let (mut world, end) = ending();
    let last = end.plus(-1);
    let day = |client: &str, time_in_force| SubmitOrder {
        time_in_force,
        ..limit(client, PERP, Side::Buy, 10, 9_000)
    };
    let mut gtd = day("gtd", TimeInForce::Gtd);
    gtd.terms.expire_at = Some(end.plus(NANOS_PER_SECOND));
    world.submit(gtd);
    assert_eq!(world.order("gtd").expires_at, Some(last));
    assert_eq!(sent(&world).unwrap().terms.expire_at, Some(last));
    world.submit(day("gtc", TimeInForce::Gtc));
    assert_eq!(world.order("gtc").expires_at, Some(last));
    // A venue is told of no end that the order itself does not have.
    assert_eq!(sent(&world).unwrap().terms.expire_at, None);
    let mut early = day("early", TimeInForce::Gtd);
    let own = end.plus(-NANOS_PER_SECOND);
    early.terms.expire_at = Some(own);
    world.submit(early);
    assert_eq!(world.order("early").expires_at, Some(own));
    world.submit(day("ioc", TimeInForce::Ioc));
    assert_eq!(world.order("ioc").expires_at, None);
    world.assert_recovers();
}

#[test]
fn a_venue_that_does_not_tell_the_end_of_its_contract_is_asked() {
    let (mut world, end) = ending();
    world.working(limit("a", PERP, Side::Buy, 10, 9_000));
    tick_at(&mut world, end.plus(NANOS_PER_SECOND));
    assert!(world.commands().is_empty());
    tick_at(&mut world, end.plus(6 * NANOS_PER_SECOND));
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    assert_eq!(world.state("a"), OrderStatus::Accepted);
}

#[test]
fn nothing_new_is_taken_from_the_end_on() {
    let (mut world, end) = ending();
    world.now = end.plus(-2 * NANOS_PER_MILLI);
    world.submit(limit("before", PERP, Side::Buy, 10, 9_000));
    assert_eq!(world.state("before"), OrderStatus::Submitted);
    world.submit(limit("at", PERP, Side::Buy, 10, 9_000));
    let order = world.order("at");
    assert_eq!(order.status, OrderStatus::Denied);
    assert_eq!(order.reason_code, Some(ReasonCode::MarketClosed));
}

fn price(world: &mut World, price: i64) {
    let view = MarketView {
        bid: Some(Price(price - 10)),
        ask: Some(Price(price + 10)),
        last: None,
        last_ts: world.now,
        mark: None,
        ts: world.now,
    };
    world.apply(AccountInput::Market {
        instrument_id: id(PERP),
        view,
    });
}

/// Long 700 of one strategy, short 200 of another; both bought and sold at 100.
fn held() -> (World, UnixNanos) {
    let (mut world, end) = ending();
    world.working(limit("m", PERP, Side::Buy, 700, 10_000));
    world.fill("m", "x1", 700, 10_000);
    let mut other = limit("o", PERP, Side::Sell, 200, 10_000);
    other.strategy_id = StrategyId::new("other").unwrap();
    world.working(other);
    world.fill("o", "x2", 200, 10_000);
    (world, end)
}

#[test]
fn what_is_held_at_the_end_is_settled_in_cash_at_the_last_mark() {
    let (mut world, end) = held();
    price(&mut world, 11_000);
    tick_at(&mut world, end.plus(-1));
    assert!(world.events().is_empty());
    let before = world.cash_of("USDT");
    tick_at(&mut world, end);
    assert_eq!(world.events(), ["PositionSettled", "PositionSettled"]);
    assert_eq!(world.account.net_position(&id(PERP)), 0);
    assert!(world.account.positions().all(|position| position.is_flat()));
    // 0.7 and -0.2 units, 10 up, without a fee.
    assert_eq!(
        world.cash_of("USDT"),
        before.checked_add(money("5")).unwrap()
    );
    let realized: Vec<String> = world
        .account
        .positions()
        .map(|position| position.realized_pnl.to_string())
        .collect();
    assert_eq!(realized, ["7", "-2"]);
    // Once.
    price(&mut world, 12_000);
    tick_at(&mut world, end.plus(NANOS_PER_SECOND));
    assert!(world.events().is_empty());
    world.assert_recovers();
    crate::invariant::check_account(&world.account).unwrap();
}

#[test]
fn a_fill_that_comes_late_is_settled_at_the_same_price() {
    let (mut world, end) = held();
    world.working(limit("late", PERP, Side::Buy, 100, 10_000));
    price(&mut world, 11_000);
    tick_at(&mut world, end);
    price(&mut world, 20_000);
    world.fill("late", "x3", 100, 10_500);
    assert_eq!(world.account.net_position(&id(PERP)), 100);
    let before = world.cash_of("USDT");
    tick_at(&mut world, end.plus(NANOS_PER_SECOND));
    assert_eq!(world.events(), ["PositionSettled"]);
    // 0.1 units from 105 to 110.
    let profit = money("0.5");
    assert_eq!(world.cash_of("USDT"), before.checked_add(profit).unwrap());
    world.assert_recovers();
}

#[test]
fn without_a_mark_a_position_waits_for_one() {
    let (mut world, end) = held();
    world.account = Account::restore(&world.account.snapshot()).unwrap();
    tick_at(&mut world, end);
    assert!(world.events().is_empty());
    price(&mut world, 10_100);
    tick_at(&mut world, end.plus(NANOS_PER_SECOND));
    assert_eq!(world.events(), ["PositionSettled", "PositionSettled"]);
    assert_eq!(world.account.net_position(&id(PERP)), 0);
}

#[test]
fn a_bust_behind_the_end_is_settled_again() {
    let (mut world, end) = held();
    price(&mut world, 11_000);
    tick_at(&mut world, end);
    super::busts::bust(&mut world, "o", "x2");
    assert_eq!(world.account.net_position(&id(PERP)), 200);
    tick_at(&mut world, end.plus(NANOS_PER_SECOND));
    assert_eq!(world.account.net_position(&id(PERP)), 0);
    crate::invariant::check_account(&world.account).unwrap();
    world.assert_recovers();
}

#[test]
fn an_inverse_contract_is_settled_in_its_base_currency() {
    let mut world = World::opened();
    let end = world.now.plus(LIFE_S * NANOS_PER_SECOND);
    let mut inverse = Instrument {
        kind: InstrumentKind::Inverse,
        min_notional: money("0"),
        ..instrument(PERP)
    };
    inverse.quantity_decimals = 0;
    inverse.rules.expires_at = Some(end);
    world.apply(AccountInput::DefineInstrument(Box::new(inverse)));
    world.working(limit("i", PERP, Side::Sell, 100_000, 1_000_000));
    world.fill("i", "x1", 100_000, 1_000_000);
    let before = world.cash_of("BTC");
    price(&mut world, 1_100_000);
    tick_at(&mut world, end);
    // 100,000 contracts of one dollar, short from 10,000 to 11,000.
    let loss = money("-0.90909091");
    assert_eq!(world.cash_of("BTC"), before.checked_add(loss).unwrap());
    assert_eq!(world.account.net_position(&id(PERP)), 0);
    world.assert_recovers();
}
