//! Each kind of difference, at start and while the account trades.

use super::*;
use crate::time::NANOS_PER_SECOND;
use crate::venue::VenueCommand;

/// One kind of difference: how it comes about, and what is done about it.
struct Case {
    kind: DifferenceKind,
    world: World,
    snapshot: fn(&World) -> VenueSnapshot,
    /// After the first snapshot.
    first: Resolution,
    /// Once it is confirmed; `None` when the first snapshot settled it.
    confirmed: Option<Resolution>,
    events: &'static [&'static str],
}

fn listed_elsewhere(world: &World) -> VenueSnapshot {
    let mut order = row(world, "a");
    order.client_order_id = None;
    let own = row(world, "a");
    order.venue_order_id = VenueOrderId::new("manual-1").unwrap();
    with_orders(world, vec![own, order])
}

fn still_there(world: &World) -> VenueSnapshot {
    with_orders(world, vec![row(world, "a")])
}

fn other_price(world: &World) -> VenueSnapshot {
    let mut order = row(world, "a");
    order.limit_price = Some(Price(9_100));
    with_orders(world, vec![order])
}

fn further_fill(world: &World) -> VenueSnapshot {
    let execution = execution("a", "x-1", PERP, Side::Buy, 100, 9_000);
    let mut order = row(world, "a");
    order.filled_quantity = Quantity(100);
    VenueSnapshot {
        executions: Some(ExecutionPart {
            ts: world.now,
            rows: vec![execution],
            ..ExecutionPart::default()
        }),
        ..with_orders(world, vec![order])
    }
}

fn no_executions(world: &World) -> VenueSnapshot {
    VenueSnapshot {
        executions: Some(ExecutionPart {
            ts: world.now,
            ..ExecutionPart::default()
        }),
        ..with_orders(world, vec![])
    }
}

fn cases() -> Vec<Case> {
    use DifferenceKind as Kind;
    use Resolution::{Adjusted, Alarmed, Asked, Booked, CancelSent, Listed, TakenOver, Waiting};
    let working = || {
        let mut world = World::ready();
        world.working(limit("a", PERP, Side::Buy, 1_000, 9_000));
        world
    };
    let ended = || {
        let mut world = working();
        world.ended("a", 0);
        world
    };
    let case = |kind, world, snapshot, first, confirmed, events| Case {
        kind,
        world,
        snapshot,
        first,
        confirmed,
        events,
    };
    #[rustfmt::skip]
    let cases = vec![
        case(Kind::OrderUnknownHere, working(), listed_elsewhere, Listed, Some(Listed), &[]),
        case(Kind::OrderUnknownHere, ended(), still_there, Waiting, Some(CancelSent), &[]),
        case(Kind::OrderUnknownAtVenue, working(), |world| with_orders(world, vec![]), Asked, Some(Asked), &[]),
        case(Kind::OrderTerms, working(), other_price, Asked, Some(TakenOver), &["OrderAmended"]),
        case(Kind::ExecutionMissingHere, working(), further_fill, Booked, None, &["OrderFilled"]),
        case(Kind::ExecutionMissingAtVenue, holding(100), no_executions, Waiting, Some(Alarmed), &[]),
        case(Kind::Position, holding(100), |world| with_position(world, 150), Waiting, Some(Booked), &["PositionReconciled"]),
        case(Kind::Balance, World::ready(), |world| with_balance(world, "9999.5"), Waiting, Some(Adjusted), &["BalanceReconciled"]),
    ];
    cases
}

/// A snapshot that agrees with the account in all that it states.
fn agreeing(world: &World) -> VenueSnapshot {
    let orders = world.account.working_orders();
    let rows = orders.map(|order| row(world, order.request.client_order_id.as_str()));
    with_orders(world, rows.collect())
}

fn check(mut case: Case, mode: ReconcileMode) {
    let (kind, world) = (case.kind, &mut case.world);
    require(world);
    if mode == ReconcileMode::Continuous {
        let snapshot = agreeing(world);
        take(world, &snapshot);
        assert!(world.account.is_reconciled(), "{kind:?}");
    }
    let mut events = Vec::new();
    let mut next = |world: &mut World, later_ns: i64| {
        world.now = world.now.plus(later_ns);
        let snapshot = (case.snapshot)(world);
        events.extend(take(world, &snapshot));
        // Twice the same snapshot is once.
        assert!(take(world, &snapshot).is_empty(), "{kind:?}");
        assert!(world.commands().is_empty());
    };
    next(world, 0);
    let report = world.account.reconciler().report().unwrap();
    assert_eq!(report.mode, mode, "{kind:?}");
    let state = match case.confirmed {
        Some(_) => DifferenceState::Pending,
        None => DifferenceState::Resolved,
    };
    assert_eq!(found(world), (kind, state, case.first));
    let Some(confirmed) = case.confirmed else {
        assert_eq!(events, case.events, "{kind:?}");
        return;
    };
    if mode == ReconcileMode::Continuous {
        // Sooner than the grace window it is as before.
        next(world, NANOS_PER_SECOND);
        assert_eq!(found(world), (kind, state, case.first));
    }
    let later_ns = ReconcileSettings::default().grace_ns;
    next(world, later_ns);
    let state = match confirmed {
        Resolution::Booked | Resolution::Adjusted | Resolution::TakenOver => {
            DifferenceState::Resolved
        }
        _ => DifferenceState::Confirmed,
    };
    assert_eq!(found(world), (kind, state, confirmed));
    assert_eq!(events, case.events, "{kind:?}");
    let total = world.account.reconciler().totals()[&kind];
    assert_eq!(total, 1, "{kind:?} counts once for as long as it stands");
    world.assert_recovers();
}

#[test]
fn each_kind_of_difference_is_settled_as_its_row_says() {
    let seen: std::collections::BTreeSet<_> = cases().iter().map(|case| case.kind).collect();
    assert_eq!(seen.len(), DifferenceKind::ALL.len());
    for mode in [ReconcileMode::Start, ReconcileMode::Continuous] {
        for case in cases() {
            check(case, mode);
        }
    }
}

#[test]
fn an_order_that_has_ended_here_is_canceled_there_until_it_is_gone() {
    let mut world = World::ready();
    world.working(limit("a", PERP, Side::Buy, 1_000, 9_000));
    world.ended("a", 0);
    for (number, cancels) in [0, 1, 1].into_iter().enumerate() {
        let snapshot = still_there(&world);
        take(&mut world, &snapshot);
        let sent = world.commands().iter();
        let sent = sent.filter(|it| matches!(it, VenueCommand::Cancel { .. }));
        assert_eq!(sent.count(), cancels, "snapshot {number}");
    }
    let snapshot = with_orders(&world, vec![]);
    take(&mut world, &snapshot);
    assert!(world.commands().is_empty());
    assert!(world.account.is_reconciled());
}
