//! A command over several orders of which a crash kept only the beginning.

use super::*;
use crate::venue::VenueReport;

/// Three working orders, and then the command.
fn world() -> World {
    let mut world = World::small();
    for client in ["a", "b", "c"] {
        world.working(limit(client, PERP, Side::Buy, 1, 10_000));
    }
    world
}

fn halt() -> AccountInput {
    AccountInput::Halt {
        request_id: Some(request_id("r")),
        cancel: true,
        flatten: false,
        by: "ops".to_owned(),
        reason: "test".to_owned(),
    }
}

fn commands() -> Vec<AccountInput> {
    let request_id = Some(request_id("r"));
    let reason_code = ReasonCode::CanceledByUser;
    vec![
        halt(),
        AccountInput::CancelAll {
            filter: CancelFilter::default(),
            request_id: request_id.clone(),
            reason_code,
        },
        AccountInput::CancelOrders {
            keys: ["a", "b", "c"].map(key).to_vec(),
            request_id,
            reason_code,
        },
    ]
}

/// Carries the command out, and forgets the last `lost` of its events.
fn crash_behind(mut world: World, command: &AccountInput, lost: usize) -> World {
    let before = world.journal.len();
    world.apply(command.clone());
    let kept = world.journal.len() - lost;
    assert!(kept >= before);
    world.journal.truncate(kept);
    world.account = Account::new();
    for recorded in &world.journal {
        world.account.fold(recorded).unwrap();
    }
    world
}

fn canceled(world: &World) -> Vec<&str> {
    let commands = world.commands().iter();
    let ids = commands.map(|command| match command {
        VenueCommand::Cancel {
            client_order_id, ..
        } => client_order_id.as_str(),
        other => panic!("{other:?}"),
    });
    ids.collect()
}

#[test]
fn the_same_request_does_what_a_crash_left_over() {
    for command in commands() {
        for (lost, left) in [
            (0, &[][..]),
            (1, &["c"]),
            (2, &["b", "c"]),
            (3, &["a", "b", "c"]),
        ] {
            let mut world = crash_behind(world(), &command, lost);
            let id = request_id("r");
            assert_eq!(world.account.has_carried_out(Some(&id)), lost == 0);
            world.apply(command.clone());
            assert_eq!(canceled(&world), left, "{command:?}");
            for client in ["a", "b", "c"] {
                assert_eq!(world.state(client), OrderStatus::PendingCancel);
            }
            world.assert_recovers();
            world.apply(command.clone());
            assert!(world.effects.events.is_empty(), "nothing is left");
        }
    }
}

#[test]
fn a_cancel_that_the_venue_refused_is_none_that_is_left_over() {
    for command in commands() {
        let mut world = world();
        world.apply(command.clone());
        world.report(VenueReport::CancelRejected {
            client_order_id: cid("a"),
            text: "too late".to_owned(),
            ts_event: world.now,
        });
        world.apply(command.clone());
        assert!(world.effects.events.is_empty(), "{command:?}");
    }
}

#[test]
fn nothing_of_a_halt_is_left_over_once_trading_is_resumed() {
    let mut world = crash_behind(world(), &halt(), 3);
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Active,
        by: "ops".to_owned(),
        reason: String::new(),
    });
    world.apply(halt());
    assert!(world.effects.events.is_empty());
    for client in ["a", "b", "c"] {
        assert_ne!(world.state(client), OrderStatus::PendingCancel);
    }
}
