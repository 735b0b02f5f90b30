//! The journal without space.

use super::support::*;
use apex_bus::message::JournalHealth::{Away, Full, Ready, Reserve};
use apex_bus::message::{
    AccountAnswer, AccountCommand, AccountMessage, AccountQuery, CommandError, Urgency,
};
use apex_domain::order::OrderStatus;
use apex_domain::risk::Limits;

fn is_refused(answer: CommandAnswer) -> bool {
    answer.take() == Err(CommandError::JournalFull)
}

#[test]
fn on_the_reserve_only_what_takes_exposure_away_is_decided() {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.working("b");
    let decided = desk.journal.sequences();
    desk.health(Reserve);
    assert!(is_refused(desk.submit("c")));
    assert!(is_refused(desk.command(amend_command("a", "r1", 2))));
    assert!(is_refused(desk.command(AccountCommand::SetLimits {
        request_id: None,
        limits: Limits::default(),
        expected_sequence: None,
    })));
    assert_eq!(desk.journal.sequences(), decided, "nothing was decided");
    let mut cancel = desk.cancel("a");
    let mut kill = desk.command(halt(true));
    let mut all = desk.command(AccountCommand::CancelAll {
        filter: Default::default(),
        request_id: None,
        reason_code: apex_domain::risk::ReasonCode::CanceledByRisk,
    });
    desk.durable_all();
    assert!(cancel.is_there() && kill.is_there() && all.is_there());
    assert_eq!(desk.venue.sent()[2..], ["cancel a", "cancel b"]);
    desk.health(Ready);
    assert!(!is_refused_now(desk.command(halt(false))));
}

#[test]
fn while_the_journals_server_is_away_a_refusal_says_so_and_cancels_leave() {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.health(Away);
    for refused in [desk.submit("b"), desk.command(amend_command("a", "r1", 2))] {
        let error = refused.take().expect_err("nothing is decided");
        assert_eq!(error, CommandError::JournalAway);
        let text = error.to_string();
        assert!(text.contains("database server does not answer"), "{text}");
    }
    let mut cancel = desk.cancel("a");
    desk.durable_all();
    assert!(cancel.is_there());
    assert_eq!(desk.venue.sent()[1..], ["cancel a"]);
    desk.health(Ready);
    let again = desk.submit("b");
    desk.durable_all();
    assert!(again.take().is_ok());
}

/// The journal's server was found to be away before what was decided was on it; the reserve has it.
fn found_away(desk: &mut Desk) {
    desk.health(Away);
    desk.durable_all();
}

#[test]
fn an_order_that_was_not_on_the_server_in_time_ends_unsent() {
    let mut desk = Desk::connected();
    desk.working("a");
    desk.working("c");
    let (new, again) = (desk.submit("b"), desk.submit("b"));
    let amend = desk.command(amend_command("a", "r1", 2));
    let mut cancel = desk.cancel("c");
    found_away(&mut desk);
    for answer in [new, again, amend] {
        assert_eq!(answer.take(), Err(CommandError::NotSent));
    }
    assert!(cancel.is_there());
    // Where an order stands after a refused amend is asked for.
    assert_eq!(desk.venue.sent()[2..], ["cancel c", "query a"]);
    assert_eq!(desk.status("a"), OrderStatus::Accepted);
    assert_eq!(desk.status("b"), OrderStatus::Rejected);
    // The same again is the same order, and sends nothing either.
    let AccountAnswer::Order(Some(order)) = desk.query(AccountQuery::Order(key("b"))).take() else {
        panic!("it is kept");
    };
    assert!(order.reason.contains("not sent"), "{}", order.reason);
    desk.health(Ready);
    assert!(desk.submit("b").take().is_ok());
    assert_eq!(desk.venue.sent().len(), 4);
}

#[test]
fn an_order_that_was_canceled_before_it_was_taken_back_is_canceled() {
    let mut desk = Desk::connected();
    let new = desk.submit("a");
    let cancel = desk.cancel("a");
    let mut kill = desk.command(halt(true));
    found_away(&mut desk);
    assert_eq!(new.take(), Err(CommandError::NotSent));
    assert!(cancel.take().is_ok() && kill.is_there());
    assert_eq!(desk.status("a"), OrderStatus::Canceled);
    assert!(desk.venue.sent().is_empty());
}

#[test]
fn what_the_server_had_in_time_has_left_and_stays() {
    let mut desk = Desk::connected();
    let first = desk.submit("a");
    desk.durable_all();
    let second = desk.submit("b");
    found_away(&mut desk);
    assert!(first.take().is_ok());
    assert_eq!(second.take(), Err(CommandError::NotSent));
    assert_eq!(desk.venue.sent(), ["new a"]);
    assert_eq!(desk.status("a"), OrderStatus::Submitted);
}

fn is_refused_now(mut answer: CommandAnswer) -> bool {
    answer.is_there() && is_refused(answer)
}

#[test]
fn reports_are_taken_on_the_reserve_and_without_any_space() {
    let mut desk = Desk::connected();
    desk.submit("a");
    desk.durable_all();
    desk.health(Full);
    desk.report(1, accepted("a"));
    assert_eq!(desk.journal.sequences(), [3, 4, 5]);
    desk.durable_all();
    assert_eq!(desk.status("a"), OrderStatus::Accepted);
}

#[test]
fn without_any_space_nothing_is_acknowledged() {
    let mut desk = Desk::connected();
    desk.working("a");
    let decided = desk.journal.sequences();
    desk.health(Full);
    assert!(is_refused(desk.submit("b")));
    assert!(is_refused(desk.cancel("a")));
    assert!(is_refused(desk.command(halt(true))));
    desk.clock.advance(apex_domain::UnixNanos(i64::MAX / 2));
    desk.shell_take(AccountMessage::Tick);
    assert_eq!(desk.journal.sequences(), decided);
    desk.health(Ready);
    let mut cancel = desk.cancel("a");
    desk.durable_all();
    assert!(cancel.is_there());
}

#[test]
fn what_was_answered_before_is_answered_again_without_space() {
    let mut desk = Desk::connected();
    desk.working("a");
    let amended = desk.command(amend_command("a", "r1", 2));
    desk.durable_all();
    let decided = desk.journal.sequences();
    desk.health(Full);
    let again = desk.command(amend_command("a", "r1", 2));
    assert_eq!(again.take(), amended.take());
    assert_eq!(
        order_of(desk.submit("a").take()).order_id.as_str(),
        "paper-3"
    );
    assert_eq!(desk.journal.sequences(), decided);
}

#[test]
fn with_a_disk_that_stands_still_commands_and_questions_are_bounded() {
    let mut desk = Desk::connected();
    desk.submit("a");
    let mut overloaded = None;
    let mut held = Vec::new();
    for n in 0..30_000 {
        let mut answer = desk.cancel("nothing");
        if answer.is_there() {
            overloaded = Some((n, answer.take()));
            break;
        }
        held.push(answer);
    }
    let (count, error) = overloaded.expect("a bound");
    assert_eq!(error, Err(CommandError::Overloaded { limit: count + 1 }));
    // The kill switch has room behind all others, and a bound as well.
    let mut stops = Vec::new();
    let refused = loop {
        let mut stop = desk.command(halt(true));
        if stop.is_there() {
            break stop.take();
        }
        stops.push(stop);
        assert!(stops.len() < 100_000, "a bound");
    };
    let limit = 4 * (count + 1 - Urgency::Protective.under_way());
    assert_eq!(refused, Err(CommandError::Overloaded { limit }));
    assert!(stops.len() > 2 * count, "{}", stops.len());
    let mut question = desk.query(AccountQuery::Summary);
    let mut again = desk.submit("a");
    desk.durable_all();
    assert!(!question.is_there(), "nobody may wait for it for ever");
    assert!(again.is_there());
    assert!(held.iter_mut().all(Waiting::is_there));
    assert!(stops.into_iter().all(|stop| stop.take().is_ok()));
    assert!(desk.query(AccountQuery::Summary).is_there());
}
