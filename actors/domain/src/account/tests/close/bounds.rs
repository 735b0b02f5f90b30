//! What a closing must not do: open a position, give up early, be stopped or be used.

use super::*;
use crate::order::PositionSide;
use crate::risk::{Limits, WideLimits};
use crate::venue::{RejectReason, VenueReport};

fn all() -> AccountInput {
    close(CloseScope::default(), "c")
}

/// The sequence that the closing's own ids are made of.
fn taken(world: &World) -> u64 {
    let journal = world.journal.iter().rev();
    let mut commands = journal.filter(|r| matches!(r.event, Event::CommandTaken { .. }));
    commands.next().unwrap().sequence
}

/// Fills every order that the last input sent.
fn fill_news(world: &mut World) {
    for (number, order) in news(world).into_iter().enumerate() {
        let words: Vec<&str> = order.split(' ').collect();
        let exec = format!("f{number}-{}", world.now.0);
        world.fill(words[0], &exec, words[2].parse().unwrap(), 10_000);
    }
}

#[test]
fn each_side_of_a_hedging_account_is_closed_on_its_own_side() {
    let mut world = World::hedged(10, 4);
    world.apply(all());
    let sides = world.commands().iter().map(|command| match command {
        VenueCommand::New(new) => (new.side, new.quantity.0, new.terms.position_side),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        sides.collect::<Vec<_>>(),
        [
            (Side::Sell, 10, PositionSide::Long),
            (Side::Buy, 4, PositionSide::Short)
        ]
    );
    fill_news(&mut world);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    assert!(world.account.positions().all(|position| position.is_flat()));
    world.assert_recovers();
}

#[test]
fn an_id_of_a_closing_carries_nobody_past_the_kill_switch() {
    let mut world = two_strategies();
    world.apply(AccountInput::Halt {
        request_id: None,
        cancel: true,
        flatten: true,
        by: "ops".to_owned(),
        reason: "drill".to_owned(),
    });
    let own = format!("C{}-7", taken(&world));
    world.submit(limit(&own, PERP, Side::Buy, 1, 10_000));
    assert_eq!(*world.refusal(), Refusal::AlreadyExists(cid(&own)));
    assert!(world.commands().is_empty());
}

#[test]
fn the_id_that_a_closing_was_given_is_taken_before_its_order_leaves() {
    let mut world = two_strategies();
    let scope = CloseScope {
        client_order_id: Some(cid("mine")),
        ..CloseScope::default()
    };
    world.apply(close(scope.clone(), "c"));
    world.submit(limit("mine", PERP, Side::Buy, 1, 10_000));
    assert_eq!(*world.refusal(), Refusal::AlreadyExists(cid("mine")));
    assert!(world.commands().is_empty());
    world.apply(close(scope, "again"));
    assert_eq!(*world.refusal(), Refusal::AlreadyExists(cid("mine")));
}

#[test]
fn an_order_that_had_the_id_before_does_not_stop_a_closing() {
    let mut world = two_strategies();
    // The order makes three events, the command is the fourth.
    let taken = world.account.sequence() + 4;
    let early = format!("C{taken}-0");
    world.working(of_strategy("a", limit(&early, PERP, Side::Buy, 1, 9_000)));
    world.apply(all());
    for client in ["rest-a", "rest-b", &early] {
        assert_eq!(world.state(client), OrderStatus::PendingCancel);
        world.ended(client, 0);
    }
    let orders = news(&world);
    assert_eq!(orders[0], format!("C{taken}-1 Sell 10"));
    assert_eq!(orders[1], format!("C{taken}-2 Buy 4"));
    fill_news(&mut world);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    world.assert_recovers();
}

#[test]
fn attempts_are_counted_by_round_and_not_by_position() {
    let mut world = World::small();
    for number in 0..6 {
        let client = format!("in{number}");
        let order = limit(&client, PERP, Side::Buy, 1, 10_000);
        world.working(of_strategy(&format!("s{number}"), order));
        world.fill(&client, &format!("x{number}"), 1, 10_000);
    }
    world.apply(all());
    let orders = news(&world);
    assert_eq!(orders.len(), 6);
    for order in orders {
        world.report(VenueReport::Rejected {
            client_order_id: cid(order.split(' ').next().unwrap()),
            reason: RejectReason::Halted,
            text: String::new(),
            ts_event: world.now,
        });
    }
    assert_eq!(outcome(&world), None);
    world.now = world.now.plus(2 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert_eq!(news(&world).len(), 6);
    fill_news(&mut world);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    world.assert_recovers();
}

/// Closing the positions of two strategies one after the other may add to the net position for a
/// moment; not closing them never brings it down.
#[test]
fn no_limit_of_size_keeps_a_position_open() {
    let small = Some(money("0.01"));
    let narrow = [
        Limits {
            max_position_notional: small,
            ..Limits::default()
        },
        Limits {
            wide: WideLimits {
                max_account_exposure: small,
                ..WideLimits::default()
            },
            ..Limits::default()
        },
    ];
    for limits in narrow {
        let mut world = two_strategies();
        world.limits(limits);
        world.apply(all());
        world.ended("rest-a", 0);
        world.ended("rest-b", 0);
        assert_eq!(news(&world).len(), 2, "{:?}", world.events());
        fill_news(&mut world);
        assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    }
}

#[test]
fn an_unknown_order_of_one_instrument_keeps_no_other_from_being_closed() {
    let mut world = two_strategies();
    world.submit(limit("stuck", SPOT, Side::Buy, 1, 9_000));
    let reason_code = ReasonCode::NoAnswer;
    world.apply(AccountInput::SessionLost { reason_code });
    world.apply(all());
    world.ended("rest-a", 0);
    world.ended("rest-b", 0);
    assert_eq!(news(&world).len(), 2);
    fill_news(&mut world);
    // What the unknown order does is still waited for.
    assert_eq!(outcome(&world), None);
    world.fill("stuck", "xs", 1, 9_000);
    assert_eq!(news(&world).len(), 1);
    fill_news(&mut world);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    world.assert_recovers();
}

#[test]
fn a_second_closing_leaves_the_orders_of_the_first_alone() {
    let mut world = two_strategies();
    world.apply(all());
    world.ended("rest-a", 0);
    world.apply(close(CloseScope::default(), "again"));
    world.ended("rest-b", 0);
    assert_eq!(news(&world).len(), 2);
    let canceled = world.commands().iter();
    let mut canceled = canceled.filter(|command| matches!(command, VenueCommand::Cancel { .. }));
    assert_eq!(canceled.next(), None);
    fill_news(&mut world);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    assert!(world.account.positions().all(|position| position.is_flat()));
    world.assert_recovers();
}

/// A cancel may overtake its order, and a venue may refuse all of them for a while.
#[test]
fn a_refused_cancel_is_asked_for_again_a_moment_later_while_it_is_wanted() {
    let halt = |flatten| AccountInput::Halt {
        request_id: None,
        cancel: true,
        flatten,
        by: "ops".to_owned(),
        reason: "drill".to_owned(),
    };
    let cancels = |world: &World| {
        let cancels = world.commands().iter();
        let of_a = |command: &&VenueCommand| matches!(command, VenueCommand::Cancel { client_order_id, .. } if client_order_id.as_str() == "rest-a");
        cancels.filter(of_a).count()
    };
    for (command, resumes, again) in [
        (halt(false), false, 1),
        (halt(false), true, 0),
        (halt(true), false, 1),
        (all(), false, 1),
    ] {
        let mut world = two_strategies();
        world.apply(command.clone());
        assert_eq!(cancels(&world), 1);
        world.report(VenueReport::CancelRejected {
            client_order_id: cid("rest-a"),
            text: "no such order".to_owned(),
            ts_event: world.now,
        });
        assert_eq!(world.state("rest-a"), OrderStatus::Accepted);
        assert_eq!(cancels(&world), 0, "not as fast as the venue answers");
        if resumes {
            world.apply(AccountInput::SetTradingState {
                request_id: None,
                state: TradingState::Active,
                by: "ops".to_owned(),
                reason: String::new(),
            });
        }
        world.apply(AccountInput::Tick);
        assert_eq!(cancels(&world), 0);
        world.now = world.now.plus(2 * NANOS_PER_SECOND);
        world.apply(AccountInput::Tick);
        assert_eq!(cancels(&world), again, "{command:?}");
        world.assert_recovers();
    }
}

#[test]
fn closings_under_way_are_bounded_and_the_kill_switch_never_waits_for_a_place() {
    let mut world = two_strategies();
    // The order in the way stays open, so that none of them ends.
    let scope = |number: usize| CloseScope {
        strategy_id: Some(StrategyId::new("a").unwrap()),
        client_order_id: Some(cid(&format!("mine-{number}"))),
        ..CloseScope::default()
    };
    for number in 0..64 {
        world.apply(close(scope(number), &format!("c{number}")));
        assert!(matches!(world.effects.reply, Some(Reply::Done { .. })));
    }
    world.apply(close(scope(64), "c64"));
    assert_eq!(*world.refusal(), Refusal::TooManyClosings(64));
    assert!(world.events().is_empty());
    for number in 0..3 {
        world.apply(AccountInput::Halt {
            request_id: Some(request_id(&format!("kill{number}"))),
            cancel: true,
            flatten: true,
            by: "ops".to_owned(),
            reason: "drill".to_owned(),
        });
        assert!(world.events().contains(&"CommandTaken".to_owned()));
        assert_eq!(world.account.closings.len(), 65);
    }
    world.assert_recovers();
    for client in ["rest-a", "rest-b"] {
        world.ended(client, 0);
        fill_news(&mut world);
    }
    assert!(world.account.positions().all(|position| position.is_flat()));
    assert_eq!(world.account.closings.len(), 0);
    world.apply(close(scope(64), "c64"));
    assert!(matches!(world.effects.reply, Some(Reply::Done { .. })));
}

/// Strategy `b` buys where `a` has to sell, and the account must not trade with itself.
fn meeting() -> World {
    let mut world = two_strategies();
    world.limits(Limits {
        wide: WideLimits {
            prevent_self_trade: true,
            ..WideLimits::default()
        },
        ..Limits::default()
    });
    let order = limit("meets", PERP, Side::Buy, 5, 9_999);
    world.working(of_strategy("b", order));
    world
}

#[test]
fn a_closing_cancels_what_it_would_trade_with_and_then_closes() {
    let mut world = meeting();
    let scope = CloseScope {
        strategy_id: Some(StrategyId::new("a").unwrap()),
        ..CloseScope::default()
    };
    world.apply(close(scope, "c"));
    assert_eq!(world.state("rest-a"), OrderStatus::PendingCancel);
    assert_eq!(world.state("meets"), OrderStatus::PendingCancel);
    // It is on the side of the closing order and stays.
    assert_eq!(world.state("rest-b"), OrderStatus::Accepted);
    world.ended("rest-a", 0);
    assert!(news(&world).is_empty());
    world.ended("meets", 0);
    assert_eq!(
        world.order("meets").reason_code,
        Some(ReasonCode::SelfTrade)
    );
    assert_eq!(news(&world).len(), 1);
    fill_news(&mut world);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    world.assert_recovers();
}

#[test]
fn the_kill_switch_closes_against_resting_orders_of_its_own() {
    let mut world = meeting();
    world.apply(AccountInput::Halt {
        request_id: None,
        cancel: true,
        flatten: true,
        by: "ops".to_owned(),
        reason: "drill".to_owned(),
    });
    for client in ["rest-a", "rest-b", "meets"] {
        world.ended(client, 0);
    }
    assert_eq!(news(&world).len(), 2);
    fill_news(&mut world);
    assert!(world.account.positions().all(|position| position.is_flat()));
    world.assert_recovers();
}
