//! Cancels of orders at the venue that are not ours.

use super::support::*;
use crate::account::{Account, AccountInput, ForeignCancel, Refusal, Reply};
use crate::event::{Event, ForeignOutcome};
use crate::id::VenueOrderId;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::reconcile::{Part, ReconcileSettings, VenueOpenOrder, VenueSnapshot};
use crate::time::NANOS_PER_SECOND;
use crate::venue::{VenueCommand, VenueReport};

fn venue_id(text: &str) -> VenueOrderId {
    VenueOrderId::new(text).unwrap()
}

/// The venue's list: `v-x` is the order with the client order id `x`, `v-` one without.
pub(super) fn list(world: &mut World, clients: &[&str]) {
    let rows = clients.iter().map(|client| VenueOpenOrder {
        client_order_id: (!client.is_empty()).then(|| cid(client)),
        venue_order_id: venue_id(&format!("v-{client}")),
        instrument_id: id(PERP),
        side: Side::Buy,
        quantity: Quantity(5),
        limit_price: Some(Price(9_000)),
        stop_price: None,
        filled_quantity: Quantity(0),
    });
    let part = Part {
        ts: world.now.plus(1),
        rows: rows.collect(),
    };
    let snapshot = Box::new(VenueSnapshot {
        requested_at: world.now.plus(1),
        open_orders: Some(part),
        ..VenueSnapshot::default()
    });
    world.apply(AccountInput::Reconcile { snapshot });
}

/// A world whose venue works two orders that are not ours.
fn two_strangers() -> World {
    let mut world = World::ready();
    let settings = Box::new(ReconcileSettings::default());
    world.apply(AccountInput::RequireReconciliation { settings });
    list(&mut world, &["x", ""]);
    world
}

fn cancel(world: &mut World, request: &str, ids: &[&str], reason: &str) {
    world.apply(AccountInput::CancelForeign(ForeignCancel {
        request_id: Some(request_id(request)),
        venue_order_ids: ids.iter().map(|id| venue_id(id)).collect(),
        by: "ops".to_owned(),
        reason: reason.to_owned(),
    }));
}

fn sent(world: &World) -> Vec<String> {
    let sent = world.commands().iter().filter_map(|command| match command {
        VenueCommand::CancelForeign { venue_order_id, .. } => Some(venue_order_id.to_string()),
        _ => None,
    });
    sent.collect()
}

fn outcomes(world: &World) -> Vec<(String, ForeignOutcome)> {
    let ended = world
        .effects
        .events
        .iter()
        .filter_map(|it| match &it.event {
            Event::ForeignCancelEnded {
                venue_order_id,
                outcome,
                ..
            } => Some((venue_order_id.to_string(), *outcome)),
            _ => None,
        });
    ended.collect()
}

#[test]
fn a_strangers_order_is_canceled_when_asked_and_its_end_is_kept() {
    let mut world = two_strangers();
    cancel(&mut world, "r", &["v-x"], "left over");
    assert_eq!(world.events(), ["CommandTaken"]);
    assert_eq!(sent(&world), ["v-x"]);
    assert!(world.account.is_foreign_cancel(&venue_id("v-x")));
    let now = world.now;
    world.report(ended("x", 0, now));
    assert_eq!(
        outcomes(&world),
        [("v-x".to_owned(), ForeignOutcome::Ended)]
    );
    assert!(!world.account.is_foreign_cancel(&venue_id("v-x")));
    // A second report of it is one of no order of ours again.
    world.report(ended("x", 0, now));
    assert_eq!(world.events(), ["ReportQuarantined"]);
    world.assert_recovers();
}

#[test]
fn all_that_the_venue_lists_may_be_meant_and_a_list_without_them_ends_it() {
    let mut world = two_strangers();
    cancel(&mut world, "r", &[], "");
    assert_eq!(sent(&world), ["v-x", "v-"]);
    list(&mut world, &["x"]);
    assert_eq!(outcomes(&world), [("v-".to_owned(), ForeignOutcome::Gone)]);
    let now = world.now;
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("x"),
        text: "auction".to_owned(),
        ts_event: now,
    });
    assert_eq!(
        outcomes(&world),
        [("v-x".to_owned(), ForeignOutcome::Refused)]
    );
    world.assert_recovers();
}

#[test]
fn the_same_request_does_it_once_and_another_content_is_refused() {
    let mut world = two_strangers();
    cancel(&mut world, "r", &["v-x"], "why");
    let first = world.effects.reply.clone();
    assert!(matches!(&first, Some(Reply::ForeignOrders(orders)) if orders.len() == 1));
    cancel(&mut world, "r", &["v-x"], "why");
    assert_eq!((&world.effects.reply, world.commands().len()), (&first, 0));
    for (ids, reason) in [(&["v-"][..], "why"), (&["v-x"], "other"), (&[], "why")] {
        cancel(&mut world, "r", ids, reason);
        assert_eq!(world.refusal(), &Refusal::RequestExists(request_id("r")));
    }
}

#[test]
fn only_what_the_venue_lists_and_is_not_ours_can_be_named() {
    let mut world = two_strangers();
    world.working(limit("own", PERP, Side::Buy, 1_000, 10_000));
    list(&mut world, &["x"]);
    for name in ["v-", "v-own", "v-none"] {
        cancel(&mut world, name, &["v-x", name], "");
        let refused = Refusal::ForeignOrderNotFound(venue_id(name));
        assert_eq!(world.refusal(), &refused);
        assert!(world.events().is_empty() && world.commands().is_empty());
    }
    cancel(&mut world, "many", &["v-x"; 101], "");
    let field = "venue_order_ids";
    assert!(matches!(world.refusal(), Refusal::Invalid { field: named, .. } if *named == field));
}

#[test]
fn a_cancel_without_an_answer_is_sent_again_also_after_a_restart() {
    let mut world = two_strangers();
    cancel(&mut world, "r", &["v-x"], "");
    world.apply(AccountInput::Tick);
    assert_eq!(sent(&world), [""; 0]);
    world.now = world.now.plus(6 * NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert_eq!(sent(&world), ["v-x"]);
    let mut again = Account::new();
    for recorded in &world.journal {
        again.fold(recorded).unwrap();
    }
    world.account = again;
    world.apply(AccountInput::SessionReady);
    assert_eq!(sent(&world), ["v-x"]);
}
