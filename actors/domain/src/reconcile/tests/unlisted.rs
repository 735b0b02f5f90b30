//! A venue's lists already lack what it took back, while its bust is on the way.

use super::*;
use crate::event::Event;
use crate::time::NANOS_PER_SECOND;
use crate::venue::{VenueCommand, VenueReport};

/// Long 10 by two executions, of which the venue lists the first alone, and the position of that.
fn taken_back() -> World {
    let mut world = World::ready();
    world.working(limit("own", PERP, Side::Buy, 10, 10_000));
    world.fill("own", "kept", 4, 10_000);
    world.fill("own", "gone", 6, 9_000);
    world
}

fn show(world: &mut World) {
    world.now = world.now.plus(NANOS_PER_SECOND);
    let mut snapshot = with_position(world, 4);
    let ts = world.now.plus(1);
    let executions = world.account.executions().iter();
    let kept = executions.map(|record| &record.execution);
    snapshot.executions = Some(ExecutionPart {
        rows: kept
            .filter(|execution| execution.exec_id.as_str() == "kept")
            .cloned()
            .collect(),
        ts,
        ..ExecutionPart::default()
    });
    take(world, &snapshot);
}

fn made_up(world: &World) -> usize {
    let events = world.journal.iter().map(|recorded| &recorded.event);
    events
        .filter(|event| matches!(event, Event::PositionReconciled { .. }))
        .count()
}

#[test]
fn a_position_waits_for_the_busts_of_what_is_not_listed() {
    let mut world = taken_back();
    for _ in 0..30 {
        show(&mut world);
    }
    assert_eq!(made_up(&world), 0);
    let mut executions = world.account.executions().iter();
    let gone = executions
        .find(|record| record.execution.exec_id.as_str() == "gone")
        .map(|record| record.execution.clone())
        .unwrap();
    world.report(VenueReport::Busted {
        client_order_id: cid("own"),
        exec_id: gone.exec_id,
        instrument_id: gone.instrument_id,
        ts_event: world.now,
    });
    show(&mut world);
    assert_eq!(made_up(&world), 0);
    assert_eq!(world.account.net_position(&id(PERP)), 4);
    world.assert_recovers();
}

#[test]
fn a_bust_that_never_comes_keeps_the_position_apart_for_a_minute_at_most() {
    let mut world = taken_back();
    for _ in 0..70 {
        show(&mut world);
    }
    assert_eq!(made_up(&world), 1);
    assert_eq!(world.account.net_position(&id(PERP)), 4);
}

#[test]
fn what_a_part_of_an_iceberg_traded_again_is_no_overfill() {
    let mut world = World::ready();
    let mut definition = instrument(PERP);
    definition.rules.lacks.iceberg = true;
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    let mut order = limit("own", PERP, Side::Buy, 400, 10_000);
    order.terms.display_quantity = Some(Quantity(200));
    world.submit(order);
    let [VenueCommand::New(new)] = world.commands() else {
        panic!("{:?}", world.commands())
    };
    let wire = new.client_order_id.as_str().to_owned();
    for (exec_id, quantity) in [("kept", 190), ("gone", 7)] {
        let fill = execution(&wire, exec_id, PERP, Side::Buy, quantity, 10_000);
        world.report(VenueReport::Filled(fill));
    }
    let again = execution(&wire, "again", PERP, Side::Buy, 9, 10_000);
    let kept = world.account.executions()[0].execution.clone();
    let rows = vec![kept, again];
    let mut show = |seconds: i64| {
        world.now = world.now.plus(seconds * NANOS_PER_SECOND);
        let mut snapshot = bare(&world);
        snapshot.executions = Some(ExecutionPart {
            rows: rows.clone(),
            ts: world.now.plus(1),
            ..ExecutionPart::default()
        });
        take(&mut world, &snapshot)
    };
    assert!(show(1).is_empty(), "its bust may come");
    assert!(show(59).is_empty());
    assert_eq!(show(1), ["ExecutionBusted", "OrderFilled"]);
    assert_eq!(world.order("own").filled_quantity, Quantity(199));
    world.assert_recovers();
}

#[test]
fn a_position_waits_for_an_order_that_is_not_listed_and_was_heard_of_since() {
    let mut world = World::ready();
    world.working(limit("own", PERP, Side::Buy, 10, 10_000));
    let early = [1, 2].map(|after| {
        world.now = world.now.plus(after);
        with_position(&world, 6)
    });
    // What filled it is lost; the venue refuses to cancel what does not work any more.
    world.cancel("own");
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("own"),
        text: "not working".to_owned(),
        ts_event: world.now.plus(2),
    });
    for snapshot in &early {
        take(&mut world, snapshot);
    }
    assert_eq!(made_up(&world), 0);
    world.fill("own", "lost", 6, 10_000);
    assert_eq!(world.account.net_position(&id(PERP)), 6);
}
