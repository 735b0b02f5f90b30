//! Sessions that come and go, time that passes, and what queries bring to light.

use super::support::*;
use crate::account::AccountInput;
use crate::event::Event;
use crate::market::Side;
use crate::number::Quantity;
use crate::order::OrderStatus;
use crate::risk::{ReasonCode, TradingState};
use crate::time::NANOS_PER_SECOND;
use crate::venue::{VenueCommand, VenueReport, VenueStatus};

mod brought_back;
mod reducing;
mod refusals;
mod too_late;

fn lost(world: &mut World) {
    world.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::Restarted,
    });
}

fn buy(client: &str) -> crate::order::SubmitOrder {
    limit(client, SPOT, Side::Buy, 1_000, 10_000)
}

#[test]
fn a_lost_session_makes_unanswered_orders_unknown_and_keeps_their_reserve() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.submit(buy("b"));
    let reserved = world.account.exposure(&id(SPOT));
    lost(&mut world);
    assert_eq!(world.events(), ["OrderUnknown"]);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    assert_eq!(world.state("b"), OrderStatus::Unknown);
    assert_eq!(world.account.exposure(&id(SPOT)), reserved);
    lost(&mut world);
    assert!(world.effects.is_empty());
}

#[test]
fn a_ready_session_asks_for_every_open_order() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.submit(buy("b"));
    world.working(buy("c"));
    world.ended("c", 0);
    world.apply(AccountInput::SessionReady);
    let asked: Vec<_> = world
        .commands()
        .iter()
        .filter_map(|c| c.client_order_id().cloned())
        .collect();
    assert_eq!(asked, [cid("b"), cid("a")], "what is open first");
    assert!(
        world
            .commands()
            .iter()
            .all(|c| matches!(c, VenueCommand::Query { .. }))
    );
}

#[test]
fn an_order_without_an_answer_becomes_unknown_and_is_asked_for() {
    let mut world = World::ready();
    world.submit(buy("a"));
    world.now = world.now.plus(4 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert!(world.effects.is_empty());
    world.now = world.now.plus(NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert_eq!(world.events(), ["OrderUnknown"]);
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    // Not again at once, but again after the same time.
    world.apply(AccountInput::Tick);
    assert!(world.effects.is_empty());
    world.now = world.now.plus(5 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert!(world.events().is_empty());
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    world.assert_recovers();
}

#[test]
fn a_pending_cancel_is_asked_for_and_never_decided_by_time() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.cancel("a");
    world.now = world.now.plus(6 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
    // The venue still works it: the cancel got lost, and goes out again.
    world.status("a", VenueStatus::Working, vec![]);
    assert!(world.events().is_empty());
    assert!(matches!(world.commands(), [VenueCommand::Cancel { .. }]));
    world.status("a", VenueStatus::Canceled, vec![]);
    assert_eq!(world.events(), ["OrderCanceled"]);
}

#[test]
fn an_answer_books_the_missing_fills_and_then_the_state() {
    let mut world = World::ready();
    world.submit(buy("a"));
    lost(&mut world);
    let fills = vec![
        execution("a", "x1", SPOT, Side::Buy, 400, 10_000),
        execution("a", "x2", SPOT, Side::Buy, 100, 10_000),
    ];
    world.status("a", VenueStatus::Canceled, fills.clone());
    assert_eq!(
        world.events(),
        [
            "OrderAccepted",
            "OrderFilled",
            "OrderFilled",
            "OrderCanceled"
        ]
    );
    let order = world.order("a");
    assert_eq!(order.reason_code, Some(ReasonCode::Reconciled));
    assert_eq!(order.canceled_quantity, Quantity(500));
    world.status("a", VenueStatus::Canceled, fills);
    assert!(world.effects.is_empty());
    world.assert_recovers();
}

#[test]
fn an_answer_settles_an_unknown_order() {
    for (status, fills, expected) in [
        (VenueStatus::Working, vec![], OrderStatus::Accepted),
        (VenueStatus::Rejected, vec![], OrderStatus::Rejected),
        (VenueStatus::Expired, vec![], OrderStatus::Expired),
        (
            VenueStatus::Filled,
            vec![execution("a", "x1", SPOT, Side::Buy, 1_000, 10_000)],
            OrderStatus::Filled,
        ),
    ] {
        let mut world = World::ready();
        world.submit(buy("a"));
        lost(&mut world);
        world.status("a", status, fills);
        assert_eq!(world.state("a"), expected);
    }
}

#[test]
fn an_answer_brings_the_terms_of_an_amend_whose_report_got_lost() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.amend("a", Some(2_000), None);
    // It may still be on its way, and must not arrive again behind a later one.
    world.status("a", VenueStatus::Working, vec![]);
    assert!(world.effects.is_empty());
    world.now = world.now.plus(6 * NANOS_PER_SECOND);
    world.status("a", VenueStatus::Working, vec![]);
    assert!(matches!(world.commands(), [VenueCommand::Amend { .. }]));
    let report = VenueReport::Status {
        client_order_id: cid("a"),
        venue_order_id: world.order("a").venue_order_id.unwrap(),
        status: VenueStatus::Working,
        quantity: Quantity(2_000),
        limit_price: None,
        executions: vec![],
        ts_event: world.now,
        stop_price: None,
    };
    world.report(report);
    assert_eq!(world.events(), ["OrderAmended"]);
    assert_eq!(world.order("a").leaves_quantity, Quantity(2_000));
}

#[test]
fn only_proof_makes_an_order_go_out_again() {
    let mut world = World::ready();
    world.submit(buy("a"));
    lost(&mut world);
    world.not_found("a", false);
    assert!(world.effects.is_empty());
    world.not_found("a", true);
    // Durable before the wire, as the first time.
    assert_eq!(world.events(), ["OrderSubmitted"]);
    assert!(
        matches!(world.commands(), [VenueCommand::New(order)] if order.client_order_id == cid("a"))
    );
    assert_eq!(world.state("a"), OrderStatus::Submitted);
    world.assert_recovers();
}

#[test]
fn proof_from_before_the_last_send_proves_nothing() {
    let mut world = World::ready();
    world.submit(buy("a"));
    let old = world.now;
    world.report(VenueReport::NotFound {
        client_order_id: cid("a"),
        proof: true,
        ts_event: old,
    });
    assert!(world.effects.is_empty());
    world.not_found("a", true);
    let sent = world.now;
    world.report(VenueReport::NotFound {
        client_order_id: cid("a"),
        proof: true,
        ts_event: sent,
    });
    assert!(
        world.effects.is_empty(),
        "the second send is younger than this"
    );
}

#[test]
fn a_known_order_that_the_venue_no_longer_has_is_canceled_with_its_fills_kept() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.fill("a", "x1", 400, 10_000);
    world.not_found("a", true);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.reason_code, Some(ReasonCode::NotAtVenue));
    assert_eq!(order.filled_quantity, Quantity(400));
    assert_eq!(world.account.net_position(&id(SPOT)), 400);
}

#[test]
fn a_halt_keeps_what_has_not_reached_the_venue_from_going_out_again() {
    let mut world = World::ready();
    world.submit(buy("a"));
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Halted,
        by: "ops".to_owned(),
        reason: String::new(),
    });
    world.not_found("a", true);
    assert!(world.commands().is_empty());
    assert_eq!(
        world.order("a").reason_code,
        Some(ReasonCode::CanceledByRisk)
    );
}

#[test]
fn an_order_that_was_amended_before_it_arrived_goes_out_as_it_was() {
    let mut world = World::ready();
    world.submit(buy("a"));
    world.amend("a", Some(2_000), None);
    assert_eq!(world.state("a"), OrderStatus::PendingAmend);
    world.not_found("a", true);
    assert_eq!(world.events(), ["OrderSubmitted"]);
    // The amend may still arrive, behind the order.
    assert_eq!(world.state("a"), OrderStatus::PendingAmend);
    assert!(
        matches!(world.commands(), [VenueCommand::New(order)] if order.quantity == Quantity(1_000))
    );
    world.assert_recovers();
}

#[test]
fn an_answer_with_fills_of_an_order_that_is_not_ours_books_them() {
    let mut world = World::ready();
    world.report(VenueReport::Status {
        client_order_id: cid("stranger"),
        venue_order_id: crate::VenueOrderId::new("v").unwrap(),
        status: VenueStatus::Filled,
        quantity: Quantity(5),
        limit_price: None,
        executions: vec![execution("stranger", "x", PERP, Side::Buy, 5, 10_000)],
        ts_event: world.now,
        stop_price: None,
    });
    assert!(matches!(
        world.effects.events[0].event,
        Event::ExternalFilled { .. }
    ));
    assert_eq!(world.account.net_position(&id(PERP)), 5);
}

fn after(world: &mut World, seconds: i64) -> Vec<String> {
    world.now = world.now.plus(seconds * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    asked(world)
}

fn asked(world: &World) -> Vec<String> {
    let queries = world.commands().iter();
    let queries = queries.filter(|command| matches!(command, VenueCommand::Query { .. }));
    queries
        .filter_map(|c| Some(c.client_order_id()?.as_str().to_owned()))
        .collect()
}

/// The session may have had no room for the query.
#[test]
fn a_working_order_that_a_ready_session_said_nothing_about_is_asked_for_again() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.working(buy("b"));
    world.apply(AccountInput::SessionReady);
    assert_eq!(asked(&world), ["a", "b"]);
    world.status("a", VenueStatus::Working, Vec::new());
    assert_eq!(after(&mut world, 4), [""; 0]);
    assert_eq!(after(&mut world, 2), ["b"]);
    assert_eq!(after(&mut world, 6), ["b"], "and again");
    world.not_found("b", false);
    assert_eq!(after(&mut world, 6), ["b"], "without proof it is no answer");
    world.status("b", VenueStatus::Working, Vec::new());
    assert_eq!(after(&mut world, 6), [""; 0]);
    assert_eq!(world.state("b"), OrderStatus::Accepted);
    world.assert_recovers();
}

#[test]
fn of_very_many_unanswered_orders_each_has_its_turn() {
    let mut world = World::opened();
    world.apply(AccountInput::DefineInstrument(Box::new(instrument(SPOT))));
    let count = 1_500;
    for n in 0..count {
        world.submit(limit(&format!("o{n:04}"), SPOT, Side::Buy, 1_000, 10_000));
    }
    let mut seen = std::collections::BTreeSet::new();
    // Nothing is ever answered: a hundred a second, so fifteen seconds for all.
    for _ in 0..22 {
        seen.extend(after(&mut world, 1));
    }
    assert_eq!(seen.len(), count);
}

#[test]
fn a_cancel_that_was_never_sent_is_sent_once_the_venue_shows_the_order() {
    let mut world = World::ready();
    world.working(buy("a"));
    // The command is lost: the session took none.
    world.cancel("a");
    assert_eq!(after(&mut world, 6), ["a"]);
    world.status("a", VenueStatus::Working, Vec::new());
    assert!(matches!(world.commands(), [VenueCommand::Cancel { .. }]));
    // Lost again, and asked for again, for as long as it takes.
    assert_eq!(after(&mut world, 6), ["a"]);
    world.status("a", VenueStatus::Working, Vec::new());
    assert!(matches!(world.commands(), [VenueCommand::Cancel { .. }]));
    world.ended("a", 0);
    assert_eq!(world.state("a"), OrderStatus::Canceled);
    assert_eq!(after(&mut world, 6), [""; 0]);
    world.assert_recovers();
}

#[test]
fn a_cancel_that_a_reconnect_dropped_is_sent_again() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.cancel("a");
    lost(&mut world);
    world.apply(AccountInput::SessionReady);
    assert_eq!(asked(&world), ["a"]);
    world.status("a", VenueStatus::Working, Vec::new());
    assert!(matches!(world.commands(), [VenueCommand::Cancel { .. }]));
}

#[test]
fn an_amend_that_was_never_sent_is_sent_once_the_venue_shows_the_order() {
    let mut world = World::ready();
    world.working(buy("a"));
    world.amend("a", Some(2_000), None);
    assert_eq!(after(&mut world, 6), ["a"]);
    world.status("a", VenueStatus::Working, Vec::new());
    let [VenueCommand::Amend { quantity, .. }] = world.commands() else {
        panic!("{:?}", world.commands());
    };
    assert_eq!(*quantity, Quantity(2_000));
    assert_eq!(after(&mut world, 6), ["a"], "until the venue answers it");
}

#[test]
fn an_order_that_was_never_sent_is_sent_once_the_venue_proves_that_it_is_not_there() {
    let mut world = World::ready();
    world.submit(buy("a"));
    assert_eq!(after(&mut world, 6), ["a"]);
    world.not_found("a", false);
    assert!(world.commands().is_empty(), "no proof, no second order");
    assert_eq!(after(&mut world, 6), ["a"]);
    world.not_found("a", true);
    assert!(matches!(world.commands(), [VenueCommand::New(_)]));
    assert_eq!(world.state("a"), OrderStatus::Submitted);
    world.assert_recovers();
}

#[test]
fn effects_that_keep_orders_hold_each_as_it_stood_after_its_event() {
    use crate::account::Effects;
    let mut world = World::ready();
    world.submit(buy("before"));
    assert!(world.effects.orders.is_empty());
    world.effects = Effects::with_orders();
    world.submit(buy("a"));
    let statuses: Vec<_> = world
        .effects
        .orders
        .iter()
        .flatten()
        .map(|o| o.status)
        .collect();
    assert_eq!(world.events(), ["OrderInitialized", "OrderSubmitted"]);
    assert_eq!(statuses, [OrderStatus::PendingNew, OrderStatus::Submitted]);
    world.cash("USDT", "1");
    assert_eq!(world.effects.orders, [None]);
}

#[test]
fn a_halted_account_sends_no_amend_again() {
    for (halted, sent, state) in [
        (false, 1, OrderStatus::PendingAmend),
        (true, 0, OrderStatus::Accepted),
    ] {
        let mut world = World::ready();
        world.working(limit("a", PERP, Side::Buy, 100, 10_000));
        world.amend("a", Some(200), None);
        lost(&mut world);
        if halted {
            world.apply(AccountInput::SetTradingState {
                request_id: None,
                state: TradingState::Halted,
                by: "ops".to_owned(),
                reason: String::new(),
            });
        }
        world.now = world.now.plus(6 * NANOS_PER_SECOND);
        world.status("a", VenueStatus::Working, Vec::new());
        let amends = world.commands().iter();
        let amends = amends.filter(|command| matches!(command, VenueCommand::Amend { .. }));
        assert_eq!(amends.count(), sent);
        assert_eq!(world.state("a"), state);
        // Should the first one have been taken after all, its report is the truth.
        world.report(VenueReport::Amended {
            client_order_id: cid("a"),
            quantity: Quantity(200),
            limit_price: None,
            stop_price: None,
            ts_event: world.now.plus(1),
        });
        assert_eq!(world.order("a").leaves_quantity, Quantity(200));
        world.assert_recovers();
    }
}

#[test]
fn an_order_that_was_to_be_canceled_or_is_over_is_not_sent_again() {
    let mut world = World::ready();
    world.submit(limit("refused", SPOT, Side::Buy, 1_000, 10_000));
    world.cancel("refused");
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("refused"),
        text: "no such order".to_owned(),
        ts_event: world.now,
    });
    world.not_found("refused", true);
    assert_eq!(world.state("refused"), OrderStatus::Canceled);
    assert!(world.commands().is_empty());
    let mut dated = limit("over", SPOT, Side::Buy, 1_000, 10_000);
    dated.time_in_force = crate::order::TimeInForce::Gtd;
    dated.terms.expire_at = Some(world.now.plus(crate::time::NANOS_PER_SECOND));
    world.submit(dated);
    world.now = world.now.plus(2 * crate::time::NANOS_PER_SECOND);
    world.not_found("over", true);
    assert_eq!(world.state("over"), OrderStatus::Expired);
    assert!(world.commands().is_empty());
    world.assert_recovers();
}
