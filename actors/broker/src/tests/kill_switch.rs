//! How long the kill switch took, as the account's summary says.

use super::support::*;
use apex_bus::message::{AccountAnswer, AccountCommand, AccountMessage, AccountQuery, VenueLink};
use apex_domain::RequestId;

fn kill(request: &str, cancel: bool, flatten: bool) -> AccountCommand {
    AccountCommand::Halt {
        request_id: Some(RequestId::new(request).unwrap()),
        cancel,
        flatten,
        by: "operator".to_owned(),
        reason: "test".to_owned(),
    }
}

fn counted(desk: &mut Desk) -> u64 {
    let answer = desk.query(AccountQuery::Summary);
    desk.durable_all();
    match answer.take() {
        AccountAnswer::Summary(summary) => {
            assert_eq!(
                summary.kill_switch.newest.len() as u64,
                summary.kill_switch.total
            );
            summary.kill_switch.total
        }
        other => panic!("expected a summary, got {other:?}"),
    }
}

#[test]
fn a_halt_counts_once_its_last_cancel_has_left() {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.working("b");
    let answer = desk.command(kill("k1", true, false));
    let sent = desk.venue.sent().len();
    desk.durable_all();
    assert!(answer.take().is_ok());
    assert_eq!(desk.venue.sent()[sent..], ["cancel a", "cancel b"]);
    assert_eq!(counted(&mut desk), 1);
    // The same request again decides nothing.
    desk.command(kill("k1", true, false));
    desk.durable_all();
    assert_eq!(counted(&mut desk), 1);
}

#[test]
fn a_halt_that_cancels_nothing_is_not_counted_and_one_that_flattens_is() {
    let mut desk = Desk::connected();
    for (request, flatten, total) in [("k1", false, 0), ("k2", true, 1)] {
        desk.command(kill(request, false, flatten));
        desk.durable_all();
        assert_eq!(counted(&mut desk), total, "{request}");
    }
}

/// A halt of two working orders in a session that takes nothing.
fn halted_in_a_full_session() -> (Desk, usize) {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.working("b");
    let sent = desk.venue.sent().len();
    desk.venue.is_full(true);
    desk.command(kill("k1", true, false));
    desk.durable_all();
    assert_eq!(desk.venue.sent().len(), sent);
    (desk, sent)
}

#[test]
fn cancels_that_a_full_session_has_no_room_for_leave_once_it_has() {
    let (mut desk, sent) = halted_in_a_full_session();
    assert_eq!(counted(&mut desk), 0, "its cancels have not left");
    desk.venue.is_full(false);
    desk.shell_take(AccountMessage::Tick);
    assert_eq!(desk.venue.sent()[sent..], ["cancel a", "cancel b"]);
    assert_eq!(counted(&mut desk), 1);
    desk.shell_take(AccountMessage::Tick);
    assert_eq!(desk.venue.sent().len(), sent + 2, "none leaves twice");
}

#[test]
fn a_cancel_does_not_overtake_those_that_wait() {
    let mut desk = Desk::connected();
    for client in ["a", "b", "c"] {
        desk.working(client);
    }
    let sent = desk.venue.sent().len();
    desk.venue.is_full(true);
    desk.cancel("a");
    desk.cancel("b");
    desk.durable_all();
    desk.venue.is_full(false);
    desk.cancel("c");
    desk.durable_all();
    let left = desk.venue.sent()[sent..].to_vec();
    assert_eq!(left, ["cancel a", "cancel b", "cancel c"]);
}

#[test]
fn a_session_that_is_lost_takes_what_waited_with_it() {
    let (mut desk, sent) = halted_in_a_full_session();
    desk.shell_take(AccountMessage::Link(VenueLink::Lost {
        reason: "test".to_owned(),
    }));
    desk.venue.is_full(false);
    desk.shell_take(AccountMessage::Link(VenueLink::Ready));
    desk.durable_all();
    // The account asks first what the venue has.
    assert_eq!(desk.venue.sent()[sent..], ["query a", "query b"]);
}
