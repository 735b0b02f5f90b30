//! The reference cases, by number, and the rules beside them.

use super::*;
use crate::account::{Account, Refusal, Reply};
use crate::event::Event;
use crate::id::{OrderListId, StrategyId};
use crate::order::{Contingency, OrderStatus, ReleaseRule, SubmitList};
use crate::portfolio::Holder;
use crate::risk::ReasonCode;
use crate::time::NANOS_PER_SECOND;
use crate::venue::{VenueCommand, VenueReport};
use std::collections::BTreeMap;

/// The executions that were made up, with signed quantities.
fn made_up(world: &World) -> Vec<i64> {
    let events = world.journal.iter();
    events
        .filter_map(|recorded| match &recorded.event {
            Event::PositionReconciled { execution } => {
                Some(execution.side.sign() * execution.last_quantity.0)
            }
            _ => None,
        })
        .collect()
}

/// Has two snapshots show a position and returns what was booked for it.
fn check(local: i64, venue: i64, expected: &[i64]) -> World {
    let mut world = holding(local);
    for _ in 0..2 {
        let snapshot = with_position(&world, venue);
        take(&mut world, &snapshot);
    }
    assert_eq!(made_up(&world), expected, "{local} here, {venue} there");
    assert_eq!(world.account.net_position(&id(PERP)), venue);
    world
}

#[test]
fn tc_n01_local_100_and_venue_150_is_one_buy_of_50() {
    let mut world = check(100, 150, &[50]);
    let external = StrategyId::external();
    assert_eq!(world.account.strategy_position(&external, &id(PERP)), 50);
    // The same report again: nothing, neither now nor after a restart.
    let again = with_position(&world, 150);
    take(&mut world, &again);
    world.account = Account::restore(&world.account.snapshot()).unwrap();
    take(&mut world, &again);
    assert_eq!(made_up(&world), [50]);
    world.assert_recovers();
}

#[test]
fn tc_n02_local_100_and_venue_short_50_closes_100_and_opens_50() {
    check(100, -50, &[-100, -50]).assert_recovers();
    check(-100, 50, &[100, 50]);
    check(100, 0, &[-100]);
    check(-100, -30, &[70]);
}

#[test]
fn tc_n03_partly_filled_and_missing_at_the_venue_is_canceled_with_its_fills_kept() {
    let mut world = World::ready();
    world.working(limit("a", PERP, Side::Buy, 1_000, 10_000));
    world.fill("a", "x-1", 400, 10_000);
    let snapshot = with_orders(&world, vec![]);
    assert!(take(&mut world, &snapshot).is_empty());
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    world.not_found("a", false);
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled, "no proof");
    world.not_found("a", true);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.filled_quantity, Quantity(400));
    assert_eq!(order.canceled_quantity, Quantity(600));
    assert_eq!(order.reason_code, Some(ReasonCode::NotAtVenue));
    assert_eq!(world.account.net_position(&id(PERP)), 400);
}

#[test]
fn tc_n04_a_pending_cancel_or_amend_is_never_resolved_by_time_or_a_list() {
    let mut world = World::ready();
    world.working(limit("c", PERP, Side::Buy, 1_000, 9_000));
    world.working(limit("m", PERP, Side::Buy, 1_000, 9_000));
    world.cancel("c");
    world.amend("m", Some(1_500), None);
    for _ in 0..5 {
        world.now = world.now.plus(3_600 * NANOS_PER_SECOND);
        let mut amended = row(&world, "m");
        amended.quantity = Quantity(1_200);
        let snapshot = with_orders(&world, vec![amended]);
        assert!(take(&mut world, &snapshot).is_empty());
        let asked = world.commands().iter();
        assert!(
            asked
                .clone()
                .all(|it| matches!(it, VenueCommand::Query { .. }))
        );
        assert_eq!(asked.count(), 2);
    }
    assert_eq!(world.state("c"), OrderStatus::PendingCancel);
    assert_eq!(world.state("m"), OrderStatus::PendingAmend);
}

#[test]
fn no_order_is_taken_before_a_snapshot_agrees() {
    let mut world = World::ready();
    world.working(limit("old", PERP, Side::Buy, 100, 9_000));
    require(&mut world);
    let new = limit("new", PERP, Side::Buy, 100, 9_000);
    world.submit(new.clone());
    assert_eq!(world.refusal(), &Refusal::NotOpen);
    // What is here already is answered, and cancels pass.
    world.submit(limit("old", PERP, Side::Buy, 100, 9_000));
    assert!(matches!(world.effects.reply, Some(Reply::Order(_))));
    world.amend("old", Some(50), None);
    assert_eq!(world.refusal(), &Refusal::NotOpen);
    // Without the list of orders nothing is known.
    let ts = world.now;
    let mut snapshot = bare(&world);
    snapshot.executions = Some(ExecutionPart {
        ts,
        ..ExecutionPart::default()
    });
    take(&mut world, &snapshot);
    assert!(!world.account.is_reconciled());
    let snapshot = with_orders(&world, vec![]);
    take(&mut world, &snapshot);
    assert!(!world.account.is_reconciled(), "the order is asked for");
    world.not_found("old", true);
    let snapshot = with_orders(&world, vec![]);
    take(&mut world, &snapshot);
    assert!(world.account.is_reconciled());
    world.submit(new);
    assert_eq!(world.state("new"), OrderStatus::Submitted);
}

#[test]
fn a_list_shows_what_was_taken_back_before_its_bust_is_heard() {
    // A list that does not reach back to the first fill proves nothing about it.
    for (reaches_back, expected) in [
        (true, ["ExecutionBusted", "OrderFilled"].as_slice()),
        (
            false,
            &["ReportQuarantined", "OrderFilled", "TradingStateChanged"],
        ),
    ] {
        let mut world = World::ready();
        world.working(limit("a", PERP, Side::Sell, 300, 10_000));
        world.fill("a", "x1", 100, 10_000);
        world.ended("a", 100);
        let first = world.account.executions()[0].execution.clone();
        let ts = world.now.plus(10);
        let mut again = execution("a", "x2", PERP, Side::Sell, 300, 10_000);
        again.ts_event = ts;
        let mut snapshot = with_orders(&world, vec![]);
        snapshot.executions = Some(ExecutionPart {
            since: first.ts_event.plus(i64::from(!reaches_back)),
            ts,
            rows: vec![again],
        });
        if reaches_back {
            let at_first = take(&mut world, &snapshot);
            assert!(at_first.is_empty(), "its bust may come: {at_first:?}");
            world.now = world.now.plus(60 * NANOS_PER_SECOND);
            let later = ExecutionPart {
                ts: world.now,
                ..snapshot.executions.unwrap()
            };
            snapshot = VenueSnapshot {
                executions: Some(later),
                ..with_orders(&world, vec![])
            };
        }
        assert_eq!(take(&mut world, &snapshot), expected);
        if reaches_back {
            assert_eq!(world.account.net_position(&id(PERP)), -300);
            world.report(VenueReport::Busted {
                client_order_id: cid("a"),
                exec_id: first.exec_id,
                instrument_id: id(PERP),
                ts_event: ts,
            });
            assert!(world.events().is_empty(), "it was taken back already");
        }
        world.assert_recovers();
    }
}

#[test]
fn a_position_from_before_a_bust_is_no_difference() {
    let mut world = holding(100);
    require(&mut world);
    let early = [0, 1].map(|_| {
        world.now = world.now.plus(10);
        with_position(&world, 100)
    });
    let exec_id = world.account.executions()[0].execution.exec_id.clone();
    world.now = world.now.plus(10);
    world.report(VenueReport::Busted {
        client_order_id: cid("own"),
        exec_id,
        instrument_id: id(PERP),
        ts_event: world.now.plus(1),
    });
    for snapshot in &early {
        assert!(take(&mut world, snapshot).is_empty(), "it was before that");
    }
    assert_eq!(world.account.net_position(&id(PERP)), 0);
    // From a later moment it is one: the venue has taken it back and has it all the same.
    for _ in 0..2 {
        world.now = world.now.plus(10);
        let snapshot = with_position(&world, 100);
        take(&mut world, &snapshot);
    }
    assert_eq!(made_up(&world), [100]);
}

#[test]
fn lists_and_batches_wait_for_a_snapshot_too() {
    for contingency in [Contingency::None, Contingency::Oco] {
        let mut world = World::ready();
        let orders = |ids: [&str; 2]| ids.map(|id| limit(id, PERP, Side::Buy, 100, 9_000));
        let submit = |world: &mut World, ids| {
            let list = Box::new(SubmitList {
                list_id: OrderListId::new("L").unwrap(),
                contingency,
                release: ReleaseRule::Full,
                cascade: true,
                orders: orders(ids).to_vec(),
            });
            let markets = BTreeMap::from([(id(PERP), market(9_999, 10_001, world.now))]);
            world.apply(AccountInput::SubmitList { list, markets });
        };
        submit(&mut world, ["a", "b"]);
        require(&mut world);
        submit(&mut world, ["a", "b"]);
        assert!(matches!(world.effects.reply, Some(Reply::Outcomes(_))));
        assert!(world.events().is_empty());
        submit(&mut world, ["b", "c"]);
        assert_eq!(world.refusal(), &Refusal::NotOpen, "{contingency:?}");
        assert!(world.events().is_empty() && world.commands().is_empty());
    }
}

#[test]
fn a_difference_that_moves_or_goes_is_under_way_and_nothing_is_booked() {
    let mut world = holding(100);
    for quantity in [150, 160, 170, 100, 150] {
        let snapshot = with_position(&world, quantity);
        assert!(take(&mut world, &snapshot).is_empty(), "{quantity}");
    }
}

#[test]
fn a_position_waits_for_an_order_whose_outcome_is_open_and_for_no_later_one() {
    let mut world = holding(100);
    world.submit(limit("open", PERP, Side::Buy, 50, 10_000));
    for _ in 0..3 {
        let mut snapshot = with_position(&world, 150);
        snapshot.requested_at = world.order("open").ts_created;
        assert!(take(&mut world, &snapshot).is_empty());
    }
    world.accept("open");
    world.submit(limit("later", PERP, Side::Buy, 50, 10_000));
    let open = row(&world, "open");
    let mut snapshot = with_position(&world, 150);
    snapshot.open_orders.as_mut().unwrap().rows.push(open);
    snapshot.requested_at = world.order("later").ts_created;
    assert_eq!(take(&mut world, &snapshot), ["PositionReconciled"]);
}

#[test]
fn a_position_that_cannot_be_booked_is_told_to_a_person() {
    let mut world = World::ready();
    for _ in 0..2 {
        // No price at the venue, and none here.
        let mut snapshot = with_position(&world, 50);
        snapshot.positions.as_mut().unwrap().rows[0].average_price = None;
        assert!(take(&mut world, &snapshot).is_empty());
    }
    let expected = (
        DifferenceKind::Position,
        DifferenceState::Confirmed,
        Resolution::Alarmed,
    );
    assert_eq!(found(&world), expected);
}

#[test]
fn a_missing_execution_that_cannot_be_booked_is_quarantined_once() {
    let mut world = World::ready();
    let mut alien = execution("z", "x-1", PERP, Side::Buy, 10, 10_000);
    alien.instrument_id = id("OTHER.SIM");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut snapshot = with_orders(&world, vec![]);
        snapshot.executions = Some(ExecutionPart {
            ts: world.now,
            rows: vec![alien.clone()],
            ..ExecutionPart::default()
        });
        seen.extend(take(&mut world, &snapshot));
    }
    assert_eq!(seen, ["ReportQuarantined", "TradingStateChanged"]);
}

#[test]
fn dust_within_the_tolerance_of_its_currency_is_no_difference() {
    let mut world = World::ready();
    let mut settings = ReconcileSettings::default();
    let dust = money("0.01");
    settings.balance_tolerance.insert(currency("USDT"), dust);
    let settings = Box::new(settings);
    world.apply(AccountInput::RequireReconciliation { settings });
    for amount in ["10000.01", "9999.99"] {
        let snapshot = with_balance(&world, amount);
        take(&mut world, &snapshot);
        let report = world.account.reconciler().report().unwrap();
        assert!(report.found.is_empty(), "{amount}");
    }
    let snapshot = with_balance(&world, "10000.02");
    take(&mut world, &snapshot);
    assert_eq!(found(&world).0, DifferenceKind::Balance);
}

#[test]
fn an_asset_held_as_a_spot_position_is_compared_as_the_venues_balance() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 2_000, 10_000));
    world.fill("a", "x-1", 2_000, 10_000);
    let usdt = world.cash_of("USDT");
    let mut snapshot = with_balance(&world, &usdt.to_string());
    let rows = &mut snapshot.balances.as_mut().unwrap().rows;
    rows.push(VenueBalance {
        currency: currency("BTC"),
        amount: money("2"),
    });
    take(&mut world, &snapshot);
    let report = world.account.reconciler().report().unwrap();
    assert!(report.found.is_empty(), "{report:?}");
}

#[test]
fn long_and_short_that_are_held_apart_count_by_their_difference() {
    let mut world = holding(100);
    let mut snapshot = with_position(&world, 130);
    let part = snapshot.positions.as_mut().unwrap();
    let mut short = part.rows[0].clone();
    (short.side, short.quantity) = (Side::Sell, Quantity(30));
    part.rows.push(short);
    take(&mut world, &snapshot);
    let report = world.account.reconciler().report().unwrap();
    assert!(report.found.is_empty() && report.is_reconciled);
}

/// What the venue has of both sides, told apart or by their difference only.
fn with_sides(world: &World, long: i64, short: i64, by_side: bool) -> VenueSnapshot {
    let mut snapshot = with_position(world, 1);
    let row = snapshot.positions.as_ref().unwrap().rows[0].clone();
    let of = |position_side: PositionSide, quantity: i64| VenuePosition {
        position_side,
        side: if quantity < 0 { Side::Sell } else { Side::Buy },
        quantity: Quantity(quantity.abs()),
        ..row.clone()
    };
    let rows = match by_side {
        true => vec![of(PositionSide::Long, long), of(PositionSide::Short, short)],
        false => vec![of(PositionSide::Net, long + short)],
    };
    snapshot.positions_by_side = by_side;
    let part = snapshot.positions.as_mut().unwrap();
    part.rows = rows.into_iter().filter(|row| row.quantity.0 != 0).collect();
    snapshot
}

#[test]
fn each_side_of_a_hedging_account_is_compared_by_itself_where_the_venue_tells_it() {
    for (long, short, by_side, booked) in [
        (10, -4, true, (0, 0)),
        (10, -4, false, (0, 0)),
        // Both sides are wrong by as much: their difference hides it.
        (13, -7, true, (3, -3)),
        (13, -7, false, (0, 0)),
        (0, 0, true, (-10, 4)),
        (12, -4, true, (2, 0)),
        (10, -1, true, (0, 3)),
    ] {
        let mut world = World::hedged(10, 4);
        for _ in 0..2 {
            let snapshot = with_sides(&world, long, short, by_side);
            take(&mut world, &snapshot);
        }
        let external = |side| {
            let holder = Holder {
                side,
                ..Holder::external()
            };
            let position = world.account.portfolio().position_of(&holder, &id(PERP));
            position.map_or(0, |position| position.quantity)
        };
        let sides = (external(PositionSide::Long), external(PositionSide::Short));
        assert_eq!(sides, booked, "{long} {short} {by_side}");
        if by_side {
            let held = |side| world.account.side_position(&id(PERP), side);
            let held = (held(PositionSide::Long), held(PositionSide::Short));
            assert_eq!(held, (long, short));
        }
        world.assert_recovers();
        // The same again is none, neither now nor after a restart.
        world.account = Account::restore(&world.account.snapshot()).unwrap();
        let snapshot = with_sides(&world, long, short, by_side);
        take(&mut world, &snapshot);
        let report = world.account.reconciler().report().unwrap();
        assert!(report.found.is_empty(), "{report:?}");
    }
}

#[test]
fn what_differs_is_told_with_its_side() {
    let mut world = World::hedged(10, 4);
    let snapshot = with_sides(&world, 13, -7, true);
    take(&mut world, &snapshot);
    let report = world.account.reconciler().report().unwrap();
    let found = report.found.iter().map(|one| one.difference.subject());
    let expected = [format!("{PERP} long"), format!("{PERP} short")];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_remembered_and_listed_is_bounded() {
    let mut world = World::ready();
    require(&mut world);
    let mut rows = Vec::new();
    for number in 0..=MAX_STANDING {
        rows.push(VenueOpenOrder {
            client_order_id: None,
            venue_order_id: VenueOrderId::new(&format!("m-{number}")).unwrap(),
            instrument_id: id(PERP),
            side: Side::Buy,
            quantity: Quantity(1),
            limit_price: None,
            stop_price: None,
            filled_quantity: Quantity::ZERO,
        });
    }
    let snapshot = with_orders(&world, rows);
    take(&mut world, &snapshot);
    let machine = world.account.reconciler();
    assert_eq!(machine.standing(), MAX_STANDING);
    assert_eq!(machine.external_orders().len(), MAX_STANDING);
    assert_eq!(machine.report().unwrap().omitted, 1);
    assert!(!world.account.is_reconciled());
}
