//! What waits here while the journal's server is away.

use super::*;
use crate::account::session::NO_ANSWER_NS;

fn a_stop() -> World {
    let mut world = bare();
    world.last(10_000);
    world.submit(conditional("s", OrderType::Stop, Side::Buy, 10_100));
    world
}

/// An entry that the venue has accepted, and its leg, which waits for it.
fn accepted_with(world: &mut World, leg: SubmitOrder) {
    let list = SubmitList {
        list_id: crate::id::OrderListId::new("l").unwrap(),
        contingency: Contingency::Oto,
        release: ReleaseRule::Full,
        cascade: true,
        orders: vec![limit("entry", PERP, Side::Buy, 10, 10_000), leg],
    };
    world.apply(AccountInput::SubmitList {
        list: Box::new(list),
        markets: [(id(PERP), market(9_999, 10_001, world.now))].into(),
    });
    world.accept("entry");
}

#[test]
fn a_stop_waits_for_the_server_and_looks_at_the_market_of_then() {
    let mut world = a_stop();
    world.account.set_away(true);
    world.last(10_200);
    assert_eq!((world.events().len(), world.left_as()), (0, None));
    // What the venue's session does is another matter.
    world.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::NoAnswer,
    });
    world.apply(AccountInput::SessionReady);
    world.last(10_200);
    assert_eq!(world.left_as(), None);
    world.account.set_away(false);
    world.last(10_050);
    assert_eq!(world.left_as(), None, "its price has gone again");
    world.last(10_100);
    assert_eq!(world.left_as(), Some(OrderType::Market));
    world.assert_recovers();
}

#[test]
fn one_that_left_in_vain_is_sent_again_once_the_server_is_back() {
    let mut world = a_stop();
    world.last(10_100);
    assert_eq!(world.left_as(), Some(OrderType::Market));
    // The shell has kept it back, since the server is found to be away.
    world.account.set_away(true);
    for _ in 0..3 {
        let later = UnixNanos(world.now.0 + 2 * NO_ANSWER_NS);
        world.tick_at(later);
        assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
        world.not_found("s", true);
        assert_eq!(world.left_as(), None);
        assert!(!world.state("s").is_terminal());
    }
    world.account.set_away(false);
    world.not_found("s", true);
    assert_eq!(world.left_as(), Some(OrderType::Market));
    world.assert_recovers();
}

#[test]
fn a_leg_that_waits_for_its_entry_leaves_with_the_first_tick_behind_it() {
    let mut world = World::small();
    accepted_with(&mut world, limit("leg", PERP, Side::Sell, 10, 11_000));
    world.account.set_away(true);
    world.fill("entry", "x", 10, 10_000);
    assert_eq!(world.left_as(), None);
    let now = world.now;
    world.tick_at(now);
    assert_eq!(world.left_as(), None);
    world.account.set_away(false);
    world.tick_at(now);
    assert_eq!(world.left_as(), Some(OrderType::Limit));
    world.assert_recovers();
}

/// An entry that is filled, and its market leg, which has left just before the server was found to be
/// away.
fn a_market_leg_in_vain() -> World {
    let mut world = World::small();
    world.last(10_000);
    accepted_with(&mut world, market_order("leg", PERP, Side::Sell, 10));
    world.fill("entry", "x", 10, 10_000);
    assert_eq!(world.left_as(), Some(OrderType::Market));
    world.account.set_away(true);
    world
}

#[test]
fn a_leg_that_was_kept_back_leaves_however_long_the_server_was_away() {
    for is_kept_back in [true, false] {
        let mut world = a_market_leg_in_vain();
        if is_kept_back {
            world.account.kept_back(&cid("leg"));
        }
        // The network that parts it from the server may part it from the venue as well.
        world.apply(AccountInput::SessionLost {
            reason_code: ReasonCode::NoAnswer,
        });
        world.tick_at(UnixNanos(world.now.0 + 600 * NANOS_PER_SECOND));
        world.apply(AccountInput::SessionReady);
        world.not_found("leg", true);
        assert_eq!(world.left_as(), None);
        // One that got lost on its way was meant for the market of then.
        assert_eq!(world.state("leg").is_terminal(), !is_kept_back);
        world.account.set_away(false);
        world.not_found("leg", true);
        let left = is_kept_back.then_some(OrderType::Market);
        assert_eq!(world.left_as(), left);
        world.assert_recovers();
    }
}
