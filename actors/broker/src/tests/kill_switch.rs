//! How long the kill switch took, as the account's summary says.

use super::support::*;
use apex_bus::message::{AccountAnswer, AccountCommand, AccountQuery};
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
