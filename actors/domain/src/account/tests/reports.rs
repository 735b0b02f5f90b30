//! What venues say, in and out of order.

use super::support::*;
use crate::account::AccountInput;
use crate::event::{Event, QuarantineReason};
use crate::id::{StrategyId, VenueOrderId};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderStatus, OrderType};
use crate::risk::{ReasonCode, TradingState};
use crate::venue::{RejectReason, VenueCommand, VenueReport, VenueStatus};

fn world_with_order() -> World {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world
}

fn rejected(client: &str, reason: RejectReason) -> VenueReport {
    VenueReport::Rejected {
        client_order_id: cid(client),
        reason,
        text: "no".to_owned(),
        ts_event: crate::UnixNanos(2),
    }
}

fn quarantine(world: &World) -> Vec<QuarantineReason> {
    let events = world.effects.events.iter();
    let reasons = events.filter_map(|recorded| match recorded.event {
        Event::ReportQuarantined { reason, .. } => Some(reason),
        _ => None,
    });
    reasons.collect()
}

#[test]
fn tc_l07_a_repeated_execution_is_no_event() {
    let mut world = world_with_order();
    world.fill("a", "x1", 400, 10_000);
    let before = world.account.clone();
    world.fill("a", "x1", 400, 10_000);
    assert!(world.effects.is_empty());
    assert_eq!(world.account, before);
}

#[test]
fn the_same_execution_id_with_other_content_is_set_aside() {
    let mut world = world_with_order();
    world.fill("a", "x1", 400, 10_000);
    world.fill("a", "x1", 500, 10_000);
    assert_eq!(quarantine(&world), [QuarantineReason::ConflictingExecution]);
    assert_eq!(world.account.net_position(&id(SPOT)), 400);
}

#[test]
fn an_end_waits_for_the_fills_that_the_venue_counts() {
    let mut world = world_with_order();
    world.fill("a", "x1", 400, 10_000);
    world.cancel("a");
    world.ended("a", 700);
    assert_eq!(world.events(), ["OrderEndHeld"]);
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    assert_eq!(world.order("a").leaves_quantity, Quantity(600));
    world.ended("a", 700);
    assert!(world.effects.is_empty());
    world.fill("a", "x2", 300, 10_000);
    assert_eq!(world.events(), ["OrderFilled", "OrderCanceled"]);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.canceled_quantity, Quantity(300));
    assert_eq!(world.account.exposure(&id(SPOT)).buy.quantity, 0);
    world.assert_recovers();
}

#[test]
fn an_end_that_counts_less_than_we_have_waits_for_the_bust_that_explains_it() {
    let mut world = world_with_order();
    world.fill("a", "x1", 400, 10_000);
    world.fill("a", "x2", 100, 10_000);
    world.ended("a", 100);
    assert_eq!(world.events(), ["OrderEndHeld"]);
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled);
    world.report(VenueReport::Busted {
        client_order_id: cid("a"),
        exec_id: crate::ExecId::new("x1").unwrap(),
        instrument_id: id(SPOT),
        ts_event: world.now,
    });
    assert_eq!(world.events(), ["ExecutionBusted", "OrderCanceled"]);
    let order = world.order("a");
    assert_eq!(
        (order.filled_quantity, order.canceled_quantity),
        (Quantity(100), Quantity(900))
    );
    world.assert_recovers();
}

#[test]
fn a_late_fill_after_a_cancel_is_real() {
    let mut world = world_with_order();
    world.ended("a", 0);
    world.fill("a", "x1", 400, 10_000);
    assert!(matches!(
        &world.effects.events[0].event,
        Event::OrderFilled { late: true, .. }
    ));
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.canceled_quantity, Quantity(600));
    world.fill("a", "x2", 600, 10_000);
    assert_eq!(world.state("a"), OrderStatus::Filled);
    assert_eq!(world.account.net_position(&id(SPOT)), 1_000);
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.assert_recovers();
}

#[test]
fn tc_l06_a_fill_of_a_rejected_or_denied_order_is_booked_and_halts() {
    let mut world = World::ready();
    world.submit(limit("r", SPOT, Side::Buy, 1_000, 10_000));
    world.report(rejected("r", RejectReason::PostOnlyWouldTrade));
    let reason = world.order("r").reason_code;
    assert_eq!(reason, Some(ReasonCode::PostOnlyWouldTrade));
    world.submit(limit("d", SPOT, Side::Buy, 2_000_000, 10_000));
    for (client, expected, halts) in [
        ("r", OrderStatus::Rejected, true),
        ("d", OrderStatus::Denied, false),
    ] {
        world.fill(client, &format!("x-{client}"), 100, 10_000);
        assert_eq!(world.state(client), expected);
        assert_eq!(world.order(client).filled_quantity, Quantity(100));
        // The second one finds the account halted already.
        let changed = world.events().contains(&"TradingStateChanged".to_owned());
        assert_eq!(changed, halts);
    }
    assert_eq!(world.account.net_position(&id(SPOT)), 200);
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    world.assert_recovers();
}

#[test]
fn tc_l08_an_overfill_is_booked_alarmed_and_halts() {
    let mut world = world_with_order();
    world.fill("a", "x1", 1_200, 10_000);
    assert_eq!(
        world.events(),
        ["ReportQuarantined", "OrderFilled", "TradingStateChanged"]
    );
    assert_eq!(quarantine(&world), [QuarantineReason::Overfill]);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Filled);
    assert_eq!(order.filled_quantity, Quantity(1_200));
    assert_eq!(world.account.net_position(&id(SPOT)), 1_200);
    world.fill("a", "x2", 1, 10_000);
    assert_eq!(world.account.net_position(&id(SPOT)), 1_201);
    world.assert_recovers();
}

#[test]
fn an_execution_of_no_order_of_ours_is_booked_to_external_and_halts() {
    let mut world = world_with_order();
    let execution = execution("stranger", "x1", PERP, Side::Sell, 5, 10_000);
    world.report(VenueReport::Filled(execution.clone()));
    assert_eq!(world.events(), ["ExternalFilled", "TradingStateChanged"]);
    let external = StrategyId::external();
    assert_eq!(world.account.strategy_position(&external, &id(PERP)), -5);
    world.report(VenueReport::Filled(execution));
    assert!(world.effects.is_empty());
    world.assert_recovers();
}

#[test]
fn an_execution_of_another_side_than_the_orders_is_external() {
    let mut world = world_with_order();
    let execution = execution("a", "x1", SPOT, Side::Sell, 5, 10_000);
    world.report(VenueReport::Filled(execution));
    assert_eq!(quarantine(&world), [QuarantineReason::ConflictingExecution]);
    assert_eq!(world.account.net_position(&id(SPOT)), -5);
    assert_eq!(world.order("a").filled_quantity, Quantity(0));
    assert_eq!(world.account.trading_state(), TradingState::Halted);
}

#[test]
fn an_execution_that_cannot_be_booked_halts_and_does_not_panic() {
    let good = execution("a", "x", SPOT, Side::Buy, 1, 1);
    let unknown = execution("a", "x", SPOT, Side::Buy, 1, 1);
    for (name, bad) in [
        (
            "zero",
            crate::venue::Execution {
                last_quantity: Quantity(0),
                ..good.clone()
            },
        ),
        (
            "negative",
            crate::venue::Execution {
                last_quantity: Quantity(-1),
                ..good.clone()
            },
        ),
        (
            "huge",
            crate::venue::Execution {
                last_quantity: Quantity(i64::MAX),
                last_price: Price(i64::MAX),
                ..good
            },
        ),
        (
            "unknown",
            crate::venue::Execution {
                instrument_id: id("X.SIM"),
                ..unknown
            },
        ),
    ] {
        let mut world = world_with_order();
        world.report(VenueReport::Filled(bad));
        assert_eq!(quarantine(&world), [QuarantineReason::Unbookable], "{name}");
        assert_eq!(world.account.trading_state(), TradingState::Halted);
        assert!(world.account.executions().is_empty());
        world.assert_recovers();
    }
}

#[test]
fn a_report_about_an_unknown_order_is_set_aside() {
    let mut world = world_with_order();
    world.accept("stranger");
    assert_eq!(quarantine(&world), [QuarantineReason::UnknownOrder]);
}

#[test]
fn a_fill_may_come_before_the_accept() {
    let mut world = World::ready();
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.fill("a", "x1", 400, 10_000);
    world.accept("a");
    assert_eq!(world.events(), ["OrderAccepted"]);
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled);
    assert!(world.order("a").venue_order_id.is_some());
    world.accept("a");
    assert!(world.effects.is_empty());
}

#[test]
fn a_refusal_as_duplicate_proves_that_the_venue_has_the_order() {
    let mut world = World::ready();
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.report(rejected("a", RejectReason::DuplicateClientOrderId));
    assert_eq!(world.state("a"), OrderStatus::Unknown);
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
}

#[test]
fn a_fill_beyond_the_old_quantity_proves_the_amend() {
    let mut world = world_with_order();
    world.amend("a", Some(2_000), None);
    world.fill("a", "x1", 1_500, 10_000);
    assert_eq!(world.events(), ["OrderAmended", "OrderFilled"]);
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled);
    assert_eq!(world.order("a").leaves_quantity, Quantity(500));
}

#[test]
fn an_order_filled_to_its_old_quantity_waits_for_the_amend() {
    for taken in [true, false] {
        let mut world = world_with_order();
        world.amend("a", Some(2_000), None);
        world.fill("a", "x1", 1_000, 10_000);
        assert_eq!(world.state("a"), OrderStatus::PendingAmend);
        let (client_order_id, ts_event) = (cid("a"), world.now);
        world.report(if taken {
            VenueReport::Amended {
                client_order_id,
                quantity: Quantity(2_000),
                limit_price: None,
                ts_event,
                stop_price: None,
            }
        } else {
            VenueReport::AmendRejected {
                client_order_id,
                text: String::new(),
                ts_event,
            }
        });
        let (status, leaves) = match taken {
            true => (OrderStatus::PartiallyFilled, 1_000),
            false => (OrderStatus::Filled, 0),
        };
        assert_eq!(world.state("a"), status);
        assert_eq!(world.order("a").leaves_quantity, Quantity(leaves));
        world.assert_recovers();
    }
}

#[test]
fn an_order_that_is_refused_at_its_trigger_ends() {
    let mut world = World::ready();
    let mut stop = limit("a", PERP, Side::Buy, 1_000, 10_100);
    stop.order_type = OrderType::StopLimit;
    stop.terms.stop_price = Some(Price(10_050));
    world.working(stop);
    let (client_order_id, ts_event) = (cid("a"), world.now);
    world.report(VenueReport::Triggered {
        client_order_id,
        ts_event,
    });
    assert_eq!(world.state("a"), OrderStatus::Triggered);
    world.status("a", VenueStatus::Rejected, vec![]);
    assert_eq!(world.events(), ["OrderRejected"]);
    assert_eq!(world.account.exposure(&id(PERP)).buy.quantity, 0);
    world.assert_recovers();
}

#[test]
fn an_overfill_that_an_amend_made_room_for_is_found_by_the_answer() {
    let mut world = world_with_order();
    world.amend("a", Some(2_000), None);
    world.fill("a", "x1", 1_100, 10_000);
    assert_eq!(world.events(), ["OrderAmended", "OrderFilled"]);
    // The amend came too late, and the venue had filled more than there was.
    world.now = world.now.plus(10);
    let booked = world.account.executions()[0].execution.clone();
    let answer = |world: &World| VenueReport::Status {
        client_order_id: cid("a"),
        venue_order_id: VenueOrderId::new("v-a").unwrap(),
        status: VenueStatus::Filled,
        quantity: Quantity(1_000),
        limit_price: None,
        stop_price: None,
        executions: vec![booked.clone()],
        ts_event: world.now,
    };
    let told = answer(&world);
    world.report(told);
    assert_eq!(
        world.events(),
        ["ReportQuarantined", "TradingStateChanged", "OrderAmended"]
    );
    assert_eq!(world.state("a"), OrderStatus::Filled);
    assert_eq!(world.order("a").quantity, Quantity(1_100));
    world.now = world.now.plus(10);
    let told = answer(&world);
    world.report(told);
    assert!(world.events().is_empty(), "it is alarmed once");
    world.assert_recovers();
}

#[test]
fn an_amend_down_to_what_was_filled_meanwhile_fills_the_order() {
    let mut world = world_with_order();
    world.amend("a", Some(500), None);
    world.fill("a", "x1", 500, 10_000);
    let ts_event = world.now;
    world.report(VenueReport::Amended {
        client_order_id: cid("a"),
        quantity: Quantity(500),
        limit_price: Some(Price(10_000)),
        ts_event,
        stop_price: None,
    });
    assert_eq!(world.state("a"), OrderStatus::Filled);
}

#[test]
fn a_report_whose_sequence_was_seen_is_dropped() {
    let mut world = World::ready();
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    let accept = AccountInput::Report {
        venue_sequence: 7,
        report: accepted("a", world.now),
    };
    world.apply(accept);
    assert_eq!(world.account.venue_sequence(), 7);
    let execution = execution("a", "x1", SPOT, Side::Buy, 1, 10_000);
    let fill = |venue_sequence| AccountInput::Report {
        venue_sequence,
        report: VenueReport::Filled(execution.clone()),
    };
    world.apply(fill(6));
    assert!(world.effects.is_empty());
    world.apply(fill(8));
    assert_eq!(world.events(), ["OrderFilled"]);
    assert_eq!(world.account.venue_sequence(), 8);
    world.assert_recovers();
}

#[test]
fn all_orders_of_crossing_reports_give_the_same_totals() {
    let fill = |exec: &str, quantity, price| {
        VenueReport::Filled(execution("a", exec, SPOT, Side::Buy, quantity, price))
    };
    let ts_event = crate::UnixNanos(5);
    let reports = [
        accepted("a", ts_event),
        fill("x1", 400, 10_000),
        fill("x2", 300, 9_990),
        fill("x1", 400, 10_000),
        ended("a", 700, ts_event),
        VenueReport::CancelRejected {
            client_order_id: cid("a"),
            text: "crossed".to_owned(),
            ts_event,
        },
    ];
    let mut seen = 0;
    permutations(&mut (0..reports.len()).collect(), 0, &mut |order| {
        seen += 1;
        let mut world = World::ready();
        world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
        world.cancel("a");
        for index in order {
            world.report(reports[*index].clone());
        }
        let order_now = world.order("a");
        assert_eq!(order_now.status, OrderStatus::Canceled, "{order:?}");
        assert_eq!(order_now.filled_quantity, Quantity(700), "{order:?}");
        assert_eq!(order_now.canceled_quantity, Quantity(300), "{order:?}");
        assert_eq!(world.account.net_position(&id(SPOT)), 700);
        // 40 + 29.97, and 0.1 % of it.
        assert_eq!(world.cash_of("USDT"), money("9929.96003"), "{order:?}");
        assert_eq!(world.account.exposure(&id(SPOT)), Default::default());
        assert_eq!(world.account.trading_state(), TradingState::Active);
    });
    assert_eq!(seen, 720);
}

/// Visits every order of the items.
fn permutations(items: &mut Vec<usize>, start: usize, each: &mut impl FnMut(&[usize])) {
    if start == items.len() {
        return each(items);
    }
    for index in start..items.len() {
        items.swap(start, index);
        permutations(items, start + 1, each);
        items.swap(start, index);
    }
}

/// Whatever a venue says, the account lives on and folds to the same.
#[test]
fn an_early_bust_of_a_strangers_execution_leaves_the_named_order_alone() {
    for (instrument_id, side, quantity) in [
        ("GONE.SIM", Side::Buy, 4),
        (PERP, Side::Sell, 4),
        (SPOT, Side::Buy, 4),
    ] {
        let mut world = World::small();
        world.working(limit("a", PERP, Side::Buy, 10, 10_000));
        let mut fill = execution("a", "x", PERP, side, quantity, 10_000);
        fill.instrument_id = id(instrument_id);
        world.report(VenueReport::Busted {
            client_order_id: cid("a"),
            exec_id: fill.exec_id.clone(),
            instrument_id: fill.instrument_id.clone(),
            ts_event: world.now,
        });
        world.report(VenueReport::Filled(fill));
        // The quantity that was taken back is none of this order's: its end is not proven.
        world.ended("a", 4);
        assert_eq!(world.events(), ["OrderEndHeld"], "{instrument_id} {side:?}");
        world.assert_recovers();
    }
}

#[test]
fn early_busts_of_any_size_are_noted() {
    let mut world = World::small();
    world.working(limit("a", PERP, Side::Buy, 10, 10_000));
    for exec in ["x", "y"] {
        let fill = execution("a", exec, PERP, Side::Buy, 1, 10_000);
        world.report(VenueReport::Busted {
            client_order_id: cid("a"),
            exec_id: fill.exec_id.clone(),
            instrument_id: id(PERP),
            ts_event: world.now,
        });
        world.report(VenueReport::Filled(crate::venue::Execution {
            last_quantity: Quantity(i64::MAX),
            ..fill
        }));
        assert_eq!(world.events(), ["ExecutionBusted"]);
    }
    assert_eq!(world.order("a").filled_quantity, Quantity::ZERO);
    world.assert_recovers();
}
