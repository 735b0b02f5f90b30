//! Fees that are taken in what was bought: the exits sell what is left.

use super::*;
use crate::account::Account;
use crate::account::tests::busts::bust;
use crate::order::OrderStatus;

/// Spot whose fee is taken in base.
fn spot() -> World {
    let mut world = World::small();
    let mut definition = Instrument {
        min_notional: money("0"),
        ..instrument(SPOT)
    };
    definition.fees.in_base = true;
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

fn exits(first: i64, second: i64) -> Vec<SubmitOrder> {
    let of = |quantity: i64, mut order: SubmitOrder| {
        order.instrument_id = id(SPOT);
        order.quantity = Quantity(quantity);
        order
    };
    vec![
        limit("e", SPOT, Side::Buy, 1_000, 10_000),
        of(first, exit("t", 11_000)),
        of(second, stop("s", 9_500)),
    ]
}

fn buy(world: &mut World, exec_id: &str, quantity: i64, fee: &str) {
    let mut execution = execution("e", exec_id, SPOT, Side::Buy, quantity, 10_000);
    execution.fee = money(fee);
    execution.fee_currency = currency("BTC");
    world.report(VenueReport::Filled(execution));
}

fn sizes(world: &World) -> [(OrderStatus, i64); 2] {
    ["t", "s"].map(|client| (world.state(client), world.order(client).quantity.0))
}

#[test]
fn a_bracket_protects_a_spot_position_whose_fee_was_taken_in_base() {
    let mut world = spot();
    world.submit_list(list(Contingency::Bracket, exits(1_000, 1_000)));
    world.accept("e");
    buy(&mut world, "x", 1_000, "0.001");
    assert_eq!(world.account.net_position(&id(SPOT)), 999);
    assert_eq!(sizes(&world), [(OrderStatus::Submitted, 999); 2]);
}

#[test]
fn a_fee_finer_than_a_unit_costs_the_exits_a_whole_one() {
    let mut world = spot();
    world.submit_list(list(Contingency::Bracket, exits(1_000, 1_000)));
    world.accept("e");
    buy(&mut world, "x1", 500, "0.0004");
    buy(&mut world, "x2", 500, "0.0003");
    assert_eq!(world.account.net_position(&id(SPOT)), 1_000);
    assert_eq!(sizes(&world), [(OrderStatus::Submitted, 999); 2]);
}

#[test]
fn exits_follow_each_fill_less_its_fee() {
    let mut world = spot();
    let mut bracket = list(Contingency::Bracket, exits(1_000, 1_000));
    bracket.release = ReleaseRule::Partial;
    world.submit_list(bracket);
    world.accept("e");
    buy(&mut world, "x1", 400, "0.001");
    assert_eq!(sizes(&world), [(OrderStatus::Submitted, 399); 2]);
}

#[test]
fn an_exit_of_less_than_was_bought_stays_as_it_was_meant() {
    let mut world = spot();
    world.submit_list(list(Contingency::Oto, exits(400, 500)));
    world.accept("e");
    buy(&mut world, "x", 1_000, "0.001");
    assert_eq!(
        sizes(&world),
        [(OrderStatus::Submitted, 400), (OrderStatus::Submitted, 500)]
    );
}

#[test]
fn the_child_of_a_whole_buy_sells_what_the_fee_left() {
    let mut world = spot();
    let mut orders = exits(1_000, 1_000);
    orders.pop();
    world.submit_list(list(Contingency::Oto, orders));
    world.accept("e");
    buy(&mut world, "x", 1_000, "0.001");
    let child = world.order("t");
    assert_eq!(
        (child.status, child.quantity),
        (OrderStatus::Submitted, Quantity(999))
    );
}

#[test]
fn what_fees_cost_is_known_after_a_restart_and_given_back_by_a_bust() {
    let mut world = spot();
    let mut bracket = list(Contingency::Bracket, exits(1_000, 1_000));
    bracket.release = ReleaseRule::Partial;
    world.submit_list(bracket);
    world.accept("e");
    buy(&mut world, "x1", 400, "0.001");
    buy(&mut world, "x2", 400, "0.001");
    bust(&mut world, "e", "x1");
    let costs = world.account.base_fees.values().copied();
    assert_eq!(costs.collect::<Vec<_>>(), [money("0.001").0]);
    let restored = Account::restore(&world.account.snapshot()).unwrap();
    assert_eq!(restored, world.account);
    let mut folded = Account::new();
    for recorded in &world.journal {
        folded.fold(recorded).unwrap();
    }
    assert_eq!(folded, world.account);
}
