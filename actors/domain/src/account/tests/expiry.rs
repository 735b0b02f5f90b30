//! A future at its end: its orders, its positions, and what is still sent to it.

use super::support::*;
use crate::account::AccountInput;
use crate::instrument::Instrument;
use crate::market::Side;
use crate::order::{OrderStatus, SubmitOrder, TimeInForce};
use crate::risk::ReasonCode;
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
