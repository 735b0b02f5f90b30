//! Closing while the journal's server is away, and another owner may close as well.

use super::*;
use crate::order::PositionSide;

/// What the last input sent: the instrument's side, quantity, and whether the venue holds it to the
/// position.
fn sent(world: &World) -> Vec<(Side, i64, bool)> {
    let news = world.commands().iter().filter_map(|command| match command {
        VenueCommand::New(new) => Some((new.side, new.quantity.0, new.reduce_only)),
        _ => None,
    });
    news.collect()
}

fn all() -> AccountInput {
    close(CloseScope::default(), "c")
}

/// Ends what still works in the way of a closing.
fn end_resting(world: &mut World) {
    for client in ["rest-a", "rest-b"] {
        world.ended(client, 0);
    }
}

#[test]
fn what_is_closed_meanwhile_is_what_its_venue_holds_to_the_position() {
    let mut world = two_strategies();
    world.account.set_away(true);
    world.apply(all());
    world.ended("rest-a", 0);
    world.ended("rest-b", 0);
    // Long 10 and short 4 are 6 at the venue: two owners who each sell 6 have sold 6.
    assert_eq!(sent(&world), [(Side::Sell, 6, true)]);
    let id = news(&world)[0].split(' ').next().unwrap().to_owned();
    world.fill(&id, "x", 6, 9_999);
    assert_eq!(sent(&world), [], "the rest would open a position there");
    assert_eq!(outcome(&world), None, "it goes on");
    world.account.set_away(false);
    world.now = UnixNanos(world.now.0 + 2 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert_eq!(
        sent(&world),
        [(Side::Sell, 4, false), (Side::Buy, 4, false)]
    );
    world.assert_recovers();
}

#[test]
fn each_side_of_a_hedging_account_is_held_to_its_own_position() {
    let mut world = World::hedged(10, 4);
    world.account.set_away(true);
    world.apply(all());
    assert_eq!(sent(&world), [(Side::Sell, 10, true), (Side::Buy, 4, true)]);
    let sides = world.commands().iter().filter_map(|command| match command {
        VenueCommand::New(new) => Some(new.terms.position_side),
        _ => None,
    });
    assert_eq!(
        sides.collect::<Vec<_>>(),
        [PositionSide::Long, PositionSide::Short]
    );
}

#[test]
fn at_a_venue_that_does_not_hold_orders_to_positions_a_closing_waits() {
    let mut world = two_strategies();
    let mut definition = instrument(PERP);
    definition.rules.lacks.reduce_only = true;
    definition.min_notional = money("0");
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world.account.set_away(true);
    world.apply(all());
    end_resting(&mut world);
    assert_eq!((sent(&world), outcome(&world)), (vec![], None));
    world.account.set_away(false);
    world.apply(AccountInput::Tick);
    assert_eq!(
        sent(&world),
        [(Side::Sell, 10, false), (Side::Buy, 4, false)]
    );
}

#[test]
fn only_what_closes_and_is_held_to_its_position_may_leave_meanwhile() {
    let mut world = two_strategies();
    world.account.set_away(true);
    world.apply(all());
    end_resting(&mut world);
    let VenueCommand::New(closing) = &world.commands()[0] else {
        panic!("it closes");
    };
    assert!(world.account.may_leave_away(closing));
    let beyond = crate::venue::NewOrder {
        reduce_only: false,
        ..closing.clone()
    };
    assert!(!world.account.may_leave_away(&beyond));
    let of_others = crate::venue::NewOrder {
        client_order_id: cid("rest-a"),
        ..closing.clone()
    };
    assert!(!world.account.may_leave_away(&of_others));
}

#[test]
fn what_closes_meanwhile_and_never_reached_the_venue_is_sent_again() {
    let mut world = two_strategies();
    world.account.set_away(true);
    world.apply(all());
    end_resting(&mut world);
    let id = news(&world)[0].split(' ').next().unwrap().to_owned();
    // Longer than an order of its moment is good for.
    world.now = UnixNanos(world.now.0 + 60 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    world.not_found(&id, true);
    assert_eq!(sent(&world), [(Side::Sell, 6, true)]);
    world.assert_recovers();
}
