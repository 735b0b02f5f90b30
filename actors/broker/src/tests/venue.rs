//! The venue's side: reports, links, time that passes, and a session that takes nothing.

use super::support::*;
use apex_bus::message::{AccountAnswer, AccountMessage, AccountQuery, CommandError, VenueLink};
use apex_domain::UnixNanos;
use apex_domain::account::Refusal;
use apex_domain::order::OrderStatus;
use apex_domain::reconcile::{Part, VenueSnapshot};
use apex_domain::venue::{VenueReport, VenueStatus};

const SECOND: i64 = 1_000_000_000;

fn working_status(client: &str, desk: &Desk) -> VenueReport {
    let request = order(client, 1);
    VenueReport::Status {
        client_order_id: cid(client),
        venue_order_id: apex_domain::VenueOrderId::new(&format!("v-{client}")).unwrap(),
        status: VenueStatus::Working,
        quantity: request.quantity,
        limit_price: request.limit_price,
        executions: Vec::new(),
        ts_event: desk.clock.now(),
        stop_price: None,
    }
}

fn tick_at(desk: &mut Desk, seconds: i64) {
    desk.clock.advance(UnixNanos(2_000 + seconds * SECOND));
    desk.shell_take(AccountMessage::Tick);
    desk.durable_all();
}

fn lose(desk: &mut Desk) {
    desk.shell_take(AccountMessage::Link(VenueLink::Lost {
        reason: "test".to_owned(),
    }));
}

#[test]
fn without_a_session_new_orders_and_amends_are_refused_and_cancels_taken() {
    let mut desk = Desk::new();
    assert_eq!(desk.submit("a").take(), Err(CommandError::VenueDown));
    desk.shell_take(AccountMessage::Link(VenueLink::Ready));
    desk.working("a");
    lose(&mut desk);
    let refused = Err(CommandError::VenueDown);
    assert_eq!(desk.submit("b").take(), refused);
    assert_eq!(desk.command(amend_command("a", "r1", 2)).take(), refused);
    let cancel = desk.cancel("a");
    desk.durable_all();
    assert_eq!(order_of(cancel.take()).status, OrderStatus::PendingCancel);
}

/// What a venue without a single order says at this venue time.
fn empty_snapshot(ts: i64) -> AccountMessage {
    let part = Part {
        ts: UnixNanos(ts),
        rows: Vec::new(),
    };
    AccountMessage::Link(VenueLink::Snapshot(Box::new(VenueSnapshot {
        requested_at: UnixNanos::MIN,
        open_orders: Some(part),
        ..VenueSnapshot::default()
    })))
}

#[test]
fn where_the_venue_gives_snapshots_orders_wait_for_the_first_that_agrees() {
    let mut desk = Desk::new();
    desk.shell_take(AccountMessage::Link(VenueLink::GivesSnapshots));
    desk.shell_take(AccountMessage::Link(VenueLink::Ready));
    let refused = Err(CommandError::Refused(Refusal::NotOpen));
    assert_eq!(desk.submit("a").take(), refused);
    let connected = |desk: &mut Desk| match desk.query(AccountQuery::Summary).take() {
        AccountAnswer::Summary(summary) => summary.venue_connected,
        other => panic!("{other:?}"),
    };
    assert!(!connected(&mut desk));
    desk.shell_take(empty_snapshot(1));
    assert!(connected(&mut desk));
    desk.working("a");
    assert_eq!(desk.status("a"), OrderStatus::Accepted);
}

#[test]
fn a_repeated_amend_is_answered_without_a_session() {
    let mut desk = Desk::connected();
    desk.working("a");
    let first = desk.command(amend_command("a", "r1", 2));
    desk.durable_all();
    lose(&mut desk);
    let again = desk.command(amend_command("a", "r1", 2));
    assert_eq!(again.take(), first.take());
}

#[test]
fn a_report_is_published_once_it_is_durable_and_a_repeat_changes_nothing() {
    let mut desk = Desk::connected();
    desk.submit("a");
    desk.durable_all();
    let mut events = desk.subscribe();
    desk.report(1, accepted("a"));
    assert_eq!(events.sequences(), []);
    desk.durable(5);
    assert_eq!(events.sequences(), [5]);
    desk.report(1, accepted("a"));
    assert_eq!(desk.journal.sequences(), [3, 4, 5]);
}

#[test]
fn a_lost_session_leaves_unanswered_orders_unknown_and_the_next_asks_for_them() {
    let mut desk = Desk::connected();
    desk.submit("a");
    desk.durable_all();
    lose(&mut desk);
    desk.durable_all();
    assert_eq!(desk.status("a"), OrderStatus::Unknown);
    desk.shell_take(AccountMessage::Link(VenueLink::Ready));
    assert_eq!(desk.venue.sent(), ["new a", "query a"]);
}

#[test]
fn time_makes_the_account_ask_once_its_event_is_durable() {
    let mut desk = Desk::connected();
    desk.submit("a");
    desk.durable_all();
    desk.clock.advance(UnixNanos(2_000 + 6 * SECOND));
    desk.shell_take(AccountMessage::Tick);
    assert_eq!(
        desk.venue.sent(),
        ["new a"],
        "the order is not durably unknown yet"
    );
    desk.durable_all();
    assert_eq!(desk.venue.sent(), ["new a", "query a"]);
    assert_eq!(desk.status("a"), OrderStatus::Unknown);
}

#[test]
fn a_cancel_that_found_no_room_in_the_session_is_sent_later() {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.venue.is_full(true);
    drop(desk.cancel("a"));
    desk.durable_all();
    assert_eq!(desk.venue.sent(), ["new a"]);
    desk.venue.is_full(false);
    tick_at(&mut desk, 1);
    assert_eq!(desk.venue.sent(), ["new a", "cancel a"]);
    // As any cancel that has no answer.
    tick_at(&mut desk, 7);
    assert_eq!(desk.venue.sent(), ["new a", "cancel a", "query a"]);
    let report = working_status("a", &desk);
    desk.report(0, report);
    desk.durable_all();
    let sent = desk.venue.sent();
    assert_eq!(sent, ["new a", "cancel a", "query a", "cancel a"]);
}

#[test]
fn queries_that_found_no_room_when_the_session_became_ready_are_asked_by_ticks() {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.working("b");
    lose(&mut desk);
    desk.venue.is_full(true);
    desk.shell_take(AccountMessage::Link(VenueLink::Ready));
    desk.venue.is_full(false);
    tick_at(&mut desk, 6);
    assert_eq!(desk.venue.sent()[2..], ["query a", "query b"]);
    for client in ["a", "b"] {
        let report = working_status(client, &desk);
        desk.report(0, report);
    }
    tick_at(&mut desk, 20);
    assert_eq!(desk.venue.sent().len(), 4, "answered, so not asked again");
}

#[test]
fn a_new_order_that_found_no_room_is_asked_for_and_sent_after_proof() {
    let mut desk = Desk::connected();
    desk.venue.is_full(true);
    drop(desk.submit("a"));
    desk.durable_all();
    desk.venue.is_full(false);
    tick_at(&mut desk, 6);
    assert_eq!(desk.venue.sent(), ["query a"]);
    let ts_event = desk.clock.now();
    let report = VenueReport::NotFound {
        client_order_id: cid("a"),
        proof: true,
        ts_event,
    };
    desk.report(0, report);
    assert_eq!(desk.venue.sent(), ["query a"]);
    desk.durable_all();
    assert_eq!(desk.venue.sent(), ["query a", "new a"]);
    assert_eq!(desk.status("a"), OrderStatus::Submitted);
}
