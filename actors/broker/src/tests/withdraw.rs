//! What a caller is told of what was taken back, and what it touches.

use super::support::*;
use super::watch::{define_bare, stop, view};
use apex_bus::message::JournalHealth::{Away, Full, Ready};
use apex_bus::message::{
    AccountAnswer, AccountCommand, AccountMessage, AccountQuery, CommandError,
};
use apex_domain::account::{Outcome, Reply};
use apex_domain::order::{
    AmendOrder, Contingency, Order, OrderStatus, ReleaseRule, SubmitList, SubmitOrder,
};
use apex_domain::{Price, RequestId};

/// The journal's server was found to be away before what was decided was on it; the reserve has it.
fn found_away(desk: &mut Desk) {
    desk.health(Away);
    desk.durable_all();
}

fn order_now(desk: &mut Desk, client: &str) -> Order {
    match desk.query(AccountQuery::Order(key(client))).take() {
        AccountAnswer::Order(Some(order)) => *order,
        other => panic!("expected an order, got {other:?}"),
    }
}

fn above_start(ticks: i64) -> Price {
    Price(instrument().start_price.0 + ticks)
}

/// Each order for itself.
fn batch(orders: Vec<SubmitOrder>) -> AccountCommand {
    AccountCommand::SubmitList(Box::new(SubmitList {
        list_id: apex_domain::id::OrderListId::new("b").unwrap(),
        contingency: Contingency::None,
        release: ReleaseRule::Full,
        cascade: true,
        orders,
    }))
}

fn outcomes(answer: CommandAnswer) -> Vec<Outcome> {
    match answer.take() {
        Ok(Reply::Outcomes(outcomes)) => outcomes,
        other => panic!("expected outcomes, got {other:?}"),
    }
}

fn move_stop(client: &str, price: Price) -> AccountCommand {
    AccountCommand::Amend(AmendOrder {
        key: key(client),
        request_id: RequestId::new("m").unwrap(),
        quantity: None,
        limit_price: None,
        expected_sequence: None,
        stop_price: Some(price),
    })
}

#[test]
fn an_amend_of_what_waits_here_sends_nothing_and_holds() {
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    drop(desk.command(submit_command(stop("s"))));
    desk.durable_all();
    let moved = desk.command(move_stop("s", above_start(200)));
    found_away(&mut desk);
    assert_eq!(
        order_of(moved.take()).stop_price,
        Some(above_start(200)),
        "it is as durable as a cancel"
    );
    let order = order_now(&mut desk, "s");
    assert_eq!(order.stop_price, Some(above_start(200)));
    assert!(!order.status.is_terminal(), "{order:?}");
    assert_eq!(desk.venue.sent(), [""; 0]);
}

#[test]
fn an_amend_by_which_a_stop_leaves_keeps_it_back() {
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    let mut far = stop("s");
    far.terms.stop_price = Some(above_start(500));
    drop(desk.command(submit_command(far)));
    let touches = AccountMessage::Market {
        instrument_id: super::watch::bare().instrument_id,
        view: view(above_start(300).0),
    };
    desk.shell_take(touches);
    desk.durable_all();
    drop(desk.command(move_stop("s", above_start(301))));
    desk.shell_take(AccountMessage::Market {
        instrument_id: super::watch::bare().instrument_id,
        view: view(above_start(301).0),
    });
    found_away(&mut desk);
    assert_eq!(desk.venue.sent(), [""; 0]);
    assert_eq!(desk.status("s"), OrderStatus::Submitted);
}

#[test]
fn an_amend_that_changes_nothing_leaves_the_order_at_the_venue_alone() {
    let mut desk = Desk::connected();
    desk.working("a");
    let same = desk.command(amend_command("a", "r1", 1));
    found_away(&mut desk);
    assert_eq!(order_of(same.take()).status, OrderStatus::Accepted);
    assert_eq!(desk.venue.sent(), ["new a"]);
    assert_eq!(desk.status("a"), OrderStatus::Accepted);
}

#[test]
fn a_batch_says_of_each_order_where_it_stands() {
    let mut desk = Desk::connected();
    desk.working("a");
    let mut unknown = order("c", 1);
    unknown.instrument_id = apex_domain::InstrumentId::new("NONE.SIM").unwrap();
    let answer = desk.command(batch(vec![order("a", 1), order("b", 1), unknown]));
    found_away(&mut desk);
    let outcomes = outcomes(answer);
    let shown = |n: usize| outcomes[n].result.as_ref().map(|order| order.status);
    assert_eq!(shown(0), Ok(OrderStatus::Accepted));
    assert_eq!(shown(1), Ok(OrderStatus::Rejected));
    assert!(shown(2).is_err());
    let why = &outcomes[1].result.as_ref().unwrap().reason;
    assert!(why.contains("not sent"), "{why}");
    assert_eq!(
        desk.venue.sent(),
        ["new a"],
        "it works at the venue, and stays"
    );
    assert_eq!(desk.status("a"), OrderStatus::Accepted);
}

#[test]
fn a_batch_of_nothing_else_was_not_sent() {
    let mut desk = Desk::connected();
    let answer = desk.command(batch(vec![order("a", 1), order("b", 1)]));
    found_away(&mut desk);
    assert_eq!(answer.take(), Err(CommandError::NotSent));
    for client in ["a", "b"] {
        assert_eq!(desk.status(client), OrderStatus::Rejected);
    }
    assert_eq!(desk.venue.sent(), [""; 0]);
}

#[test]
fn nobody_is_told_that_nothing_was_sent_before_the_end_is_durable() {
    let mut desk = Desk::connected();
    let mut new = desk.submit("a");
    let intent = desk.journal.sequences().last().copied().unwrap();
    desk.health(Away);
    // A crash here would have the order asked for, and sent if the venue never had it.
    desk.durable(intent);
    assert!(!new.is_there());
    desk.durable_all();
    assert_eq!(new.take(), Err(CommandError::NotSent));
}

#[test]
fn a_server_that_is_away_again_at_once_leaves_no_caller_without_an_answer() {
    let mut desk = Desk::connected();
    desk.working("w");
    let (new, amend) = (desk.submit("a"), desk.command(amend_command("w", "r1", 2)));
    for health in [Away, Ready, Away, Full, Away] {
        desk.health(health);
    }
    desk.durable_all();
    for answer in [new, amend] {
        assert_eq!(answer.take(), Err(CommandError::NotSent));
    }
}

#[test]
fn a_cancel_of_what_waited_here_is_answered_as_it_came_about() {
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    let new = desk.command(submit_command(stop("s")));
    let cancel = desk.cancel("s");
    found_away(&mut desk);
    assert_eq!(new.take(), Err(CommandError::NotSent));
    assert_eq!(order_of(cancel.take()).status, OrderStatus::Canceled);
    desk.health(Ready);
    assert_eq!(desk.venue.sent(), [""; 0]);
}
