//! Reduce-only orders, and a position that goes away under them.

use super::support::*;
use crate::account::AccountInput;
use crate::instrument::{Instrument, InstrumentRules, Lacks};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, OrderType, SubmitOrder};
use crate::venue::{VenueCommand, VenueReport};

/// A world that is long 10 of the contract, at a venue that knows `reduce_only` or not.
fn long(lacks: bool) -> World {
    let mut world = World::small();
    let mut rules = InstrumentRules {
        lacks: Lacks {
            reduce_only: lacks,
            order_types: vec![OrderType::Stop],
            ..Lacks::default()
        },
        ..InstrumentRules::default()
    };
    rules.lacks.linked_orders = false;
    world.apply(AccountInput::DefineInstrument(Box::new(Instrument {
        rules,
        min_notional: money("0"),
        ..instrument(PERP)
    })));
    world.working(limit("p", PERP, Side::Buy, 10, 10_000));
    world.fill("p", "xp", 10, 10_000);
    world
}

fn sell(client: &str, quantity: i64, reduce_only: bool) -> SubmitOrder {
    SubmitOrder {
        reduce_only,
        ..limit(client, PERP, Side::Sell, quantity, 11_000)
    }
}

fn held_stop(client: &str, quantity: i64) -> SubmitOrder {
    SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        terms: OrderTerms {
            stop_price: Some(Price(9_000)),
            ..OrderTerms::default()
        },
        ..sell(client, quantity, true)
    }
}

fn sent(world: &World) -> String {
    let sent = world.commands().iter().filter_map(|command| match command {
        VenueCommand::Cancel {
            client_order_id, ..
        } => Some(format!("cancel {}", client_order_id.as_str())),
        VenueCommand::Amend {
            client_order_id,
            quantity,
            ..
        } => Some(format!("amend {} {}", client_order_id.as_str(), quantity.0)),
        _ => None,
    });
    sent.collect::<Vec<_>>().join(", ")
}

/// Does one step: `reduce r 4` and `plain m 4` submit a sell that the venue accepts, `new r 4`
/// one that it has not answered, `stop s 4` one that is held here; `fill m 4`, `ended r 0`,
/// `amended r 6`, `refused r`, `accept r`, `second`.
fn step(world: &mut World, text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |at: usize| words[at].parse::<i64>().unwrap();
    match words[0] {
        "reduce" => world.working(sell(words[1], number(2), true)),
        "plain" => world.working(sell(words[1], number(2), false)),
        "new" => drop(world.submit(sell(words[1], number(2), true))),
        "stop" => drop(world.submit(held_stop(words[1], number(2)))),
        "accept" => drop(world.accept(words[1])),
        "fill" => {
            let exec = format!("x{}", world.now.0);
            world.fill(words[1], &exec, number(2), 10_000);
        }
        "ended" => drop(world.ended(words[1], number(2))),
        "amended" => {
            let limit_price = world.order(words[1]).limit_price;
            world.report(VenueReport::Amended {
                client_order_id: cid(words[1]),
                quantity: Quantity(number(2)),
                limit_price,
                stop_price: None,
                ts_event: world.now,
            });
        }
        "refused" => drop(world.report(VenueReport::AmendRejected {
            client_order_id: cid(words[1]),
            text: "no".to_owned(),
            ts_event: world.now,
        })),
        "second" => {
            world.now = world.now.plus(2 * crate::time::NANOS_PER_SECOND);
            world.apply(AccountInput::Tick);
        }
        other => panic!("unknown step {other}"),
    }
}

/// Runs a script at a venue that lacks `reduce_only` or not, and compares what each step sent
/// besides new orders, and how the orders stand at the end.
fn check(lacks: bool, script: &[(&str, &str)], end: &str) {
    let mut world = long(lacks);
    for (text, expected) in script {
        step(&mut world, text);
        assert_eq!(sent(&world), *expected, "after \"{text}\"");
    }
    let states: Vec<String> = end
        .split(", ")
        .map(|part| {
            let name = part.split(' ').next().unwrap();
            let order = world.order(name);
            let (status, leaves) = (order.status.as_str(), order.leaves_quantity.0);
            format!("{name} {status} {leaves}")
        })
        .collect();
    assert_eq!(states.join(", "), end);
    world.assert_recovers();
}

#[test]
fn a_reduce_only_order_shrinks_and_ends_with_its_position() {
    check(
        false,
        &[
            ("reduce r 10", ""),
            ("plain m 10", ""),
            ("fill m 4", "amend r 6"),
            ("amended r 6", ""),
            ("fill m 6", "cancel r"),
            ("ended r 0", ""),
        ],
        "r CANCELED 0",
    );
    check(
        false,
        &[
            ("reduce r 10", ""),
            ("fill r 4", ""),
            ("plain m 10", ""),
            ("fill m 2", "amend r 8"),
            // The amend under way is waited for.
            ("fill m 1", ""),
            ("amended r 8", "amend r 7"),
            ("amended r 7", ""),
        ],
        "r PARTIALLY_FILLED 3",
    );
}

#[test]
fn one_that_the_venue_has_not_answered_is_shrunk_when_it_has() {
    check(
        false,
        &[
            ("plain m 4", ""),
            ("new r 6", ""),
            ("plain n 6", ""),
            ("fill n 6", ""),
            ("accept r", "amend r 4"),
        ],
        "r PENDING_AMEND 6",
    );
}

#[test]
fn one_that_is_held_here_shrinks_here() {
    check(
        false,
        &[
            ("stop s 10", ""),
            ("plain m 10", ""),
            ("fill m 4", ""),
            ("fill m 3", ""),
        ],
        "s PENDING_NEW 3",
    );
    check(
        false,
        &[("stop s 10", ""), ("plain m 10", ""), ("fill m 10", "")],
        "s CANCELED 0",
    );
}

#[test]
fn the_oldest_order_is_served_first() {
    check(
        false,
        &[
            ("reduce a 6", ""),
            ("reduce b 4", ""),
            ("plain m 10", ""),
            ("fill m 3", "amend b 1"),
            ("amended b 1", ""),
            ("fill m 2", "amend a 5, cancel b"),
        ],
        "a PENDING_AMEND 6, b PENDING_CANCEL 1",
    );
}

#[test]
fn what_a_venue_without_reduce_only_does_not_shrink_is_canceled() {
    for (lacks, sent) in [(true, "cancel r"), (false, "")] {
        check(
            lacks,
            &[
                ("reduce r 10", ""),
                ("plain m 10", ""),
                ("fill m 4", "amend r 6"),
                ("refused r", sent),
            ],
            if lacks {
                "r PENDING_CANCEL 10"
            } else {
                "r ACCEPTED 10"
            },
        );
    }
}

#[test]
fn a_cancel_that_the_venue_refused_is_asked_for_again() {
    let mut world = long(false);
    for text in ["reduce r 10", "plain m 10", "fill m 10"] {
        step(&mut world, text);
    }
    assert_eq!(sent(&world), "cancel r");
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("r"),
        text: "not now".to_owned(),
        ts_event: world.now,
    });
    assert_eq!(sent(&world), "");
    step(&mut world, "second");
    assert_eq!(sent(&world), "cancel r");
    world.assert_recovers();
}
