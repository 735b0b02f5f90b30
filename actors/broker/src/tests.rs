//! The shell by hand: the test says when something is durable.

mod away;
mod exposure;
mod feeder;
mod handle;
mod health;
mod kill_switch;
mod sessions;
mod shares;
pub(crate) mod support;
mod venue;
mod watch;
mod withdraw;

use self::support::*;
use apex_bus::message::{AccountAnswer, AccountMessage, AccountQuery, CommandError};
use apex_domain::account::{AccountInput, Refusal, Reply};
use apex_domain::order::OrderStatus;
use apex_domain::venue::VenueCommand;

#[test]
fn nothing_leaves_before_it_is_durable() {
    let mut desk = Desk::connected();
    let mut events = desk.subscribe();
    let mut answer = desk.submit("a");
    assert_eq!(desk.journal.sequences(), [3, 4]);
    for sequence in [0, 2, 3] {
        desk.durable(sequence);
        assert!(!answer.is_there(), "half a decision is none");
        assert_eq!(desk.venue.sent(), [""; 0]);
        assert_eq!(events.sequences(), []);
    }
    desk.durable(4);
    assert_eq!(order_of(answer.take()).status, OrderStatus::Submitted);
    assert_eq!(desk.venue.sent(), ["new a"]);
    assert_eq!(events.sequences(), [3, 4]);
}

#[test]
fn an_older_durable_figure_lets_nothing_more_out() {
    let mut desk = Desk::connected();
    desk.durable(4);
    let mut first = desk.submit("a");
    assert!(first.is_there(), "told before it was asked");
    let mut second = desk.submit("b");
    desk.durable(3);
    assert!(!second.is_there());
}

#[test]
fn decisions_leave_in_their_order_and_each_to_the_venue_before_its_caller() {
    let mut desk = Desk::connected();
    let mut answers: Vec<_> = ["a", "b", "c"].map(|id| desk.submit(id)).into();
    desk.durable(6);
    assert_eq!(desk.venue.sent(), ["new a", "new b"]);
    let there: Vec<bool> = answers.iter_mut().map(Waiting::is_there).collect();
    assert_eq!(there, [true, true, false]);
    desk.durable(8);
    assert_eq!(desk.venue.sent(), ["new a", "new b", "new c"]);
}

#[test]
fn each_event_is_published_with_its_order_as_it_stood_after_it() {
    let mut desk = Desk::connected();
    let mut events = desk.subscribe();
    desk.submit("a");
    desk.durable_all();
    assert_eq!(
        events.statuses(),
        [Some(OrderStatus::PendingNew), Some(OrderStatus::Submitted)]
    );
}

#[test]
fn a_repeated_submit_is_answered_only_once_the_first_is_durable() {
    let mut desk = Desk::connected();
    let first = desk.submit("a");
    let mut again = desk.submit("a");
    assert_eq!(desk.journal.sequences(), [3, 4], "no second order");
    assert!(!again.is_there());
    desk.durable(4);
    assert_eq!(order_of(first.take()), order_of(again.take()));
    assert_eq!(desk.venue.sent(), ["new a"]);
}

#[test]
fn another_order_under_a_used_id_is_refused_once_the_first_is_durable() {
    let mut desk = Desk::connected();
    desk.submit("a");
    let mut other = desk.command(submit_command(order("a", 7)));
    assert!(
        !other.is_there(),
        "the refusal tells of an order that may not be kept"
    );
    desk.durable_all();
    let refused = CommandError::Refused(Refusal::AlreadyExists(cid("a")));
    assert_eq!(other.take(), Err(refused));
}

#[test]
fn a_refusal_leaves_no_event_and_names_what_to_mend() {
    let mut desk = Desk::connected();
    let answer = desk.cancel("nothing");
    assert_eq!(desk.journal.sequences(), []);
    assert_eq!(
        answer.take(),
        Err(CommandError::Refused(Refusal::OrderNotFound))
    );
}

#[test]
fn a_question_is_answered_once_what_it_would_show_is_durable() {
    let mut desk = Desk::connected();
    let mut before = desk.query(AccountQuery::Summary);
    assert!(before.is_there());
    desk.submit("a");
    let mut one = desk.query(AccountQuery::Order(key("a")));
    let mut all = desk.query(AccountQuery::Summary);
    assert!(!one.is_there() && !all.is_there());
    desk.durable(4);
    let AccountAnswer::Order(Some(order)) = one.take() else {
        panic!("the order is there");
    };
    assert_eq!(order.status, OrderStatus::Submitted);
    let AccountAnswer::Summary(summary) = all.take() else {
        panic!("the answer has the question's name");
    };
    assert_eq!((summary.orders, summary.sequence), (1, 4));
    assert!(summary.venue_connected);
}

#[test]
fn a_step_is_answered_with_its_commands_which_the_shell_does_not_send() {
    let mut desk = Desk::connected();
    let mut events = desk.subscribe();
    let now = apex_domain::UnixNanos(5_000);
    let mut step = desk.step(
        now,
        AccountInput::Submit {
            request: Box::new(order("a", 1)),
            market: Default::default(),
        },
    );
    assert!(!step.is_there());
    desk.durable_all();
    let effects = step.take().unwrap();
    assert_eq!(effects.events.len(), 2);
    assert!(effects.events.iter().all(|recorded| recorded.ts == now));
    assert!(matches!(effects.commands[..], [VenueCommand::New(_)]));
    assert!(matches!(effects.reply, Some(Reply::Order(_))));
    assert_eq!(desk.venue.sent(), [""; 0]);
    assert_eq!(events.sequences(), [3, 4]);
}

#[test]
fn a_caller_that_went_away_holds_nobody_up() {
    let mut desk = Desk::connected();
    drop(desk.submit("a"));
    let mut second = desk.submit("b");
    desk.durable_all();
    assert!(second.is_there());
    assert_eq!(desk.venue.sent(), ["new a", "new b"]);
}

#[test]
fn a_broken_invariant_aborts_with_the_account_and_the_reason() {
    let mut desk = Desk::connected();
    desk.journal.breaks();
    let mut answer = desk.submit("a");
    assert_eq!(
        desk.aborts(),
        ["account paper failed: a journal that breaks"]
    );
    assert!(!answer.is_there());
    assert_eq!(desk.venue.sent(), [""; 0]);
}

#[test]
fn a_snapshot_is_handed_over_after_very_many_events_and_holds_the_account() {
    let mut desk = Desk::connected();
    let mut sequence = 2;
    while desk.journal.snapshots().is_empty() {
        desk.shell_take(AccountMessage::Tick);
        drop(desk.command(halt(sequence % 2 == 0)));
        sequence += 1;
        desk.durable(sequence);
        assert!(sequence < 200_000, "there is never a snapshot");
    }
    let (at, bytes) = desk.journal.snapshots().remove(0);
    assert_eq!(at, 100_002);
    let restored = apex_domain::account::Account::restore(&bytes).unwrap();
    assert_eq!(restored.sequence(), at);
}

#[test]
fn events_of_the_runs_before_count_towards_the_next_snapshot() {
    let mut desk = Desk::recovered(2);
    let mut sequence = 2;
    while sequence < 100_000 {
        assert!(desk.journal.snapshots().is_empty(), "not yet at {sequence}");
        desk.shell_take(AccountMessage::Tick);
        drop(desk.command(halt(sequence % 2 == 0)));
        sequence += 1;
        desk.durable(sequence);
    }
    let snapshots = desk.journal.snapshots();
    assert_eq!(snapshots.first().map(|snapshot| snapshot.0), Some(100_000));
}
