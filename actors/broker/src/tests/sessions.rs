//! Commands of guarded sessions, and the guards themselves.

use super::support::*;
use apex_bus::message::JournalHealth::{Full, Ready, Reserve};
use apex_bus::message::{AccountCommand, AccountMessage, CommandError, VenueLink};
use apex_domain::account::{GuardSession, Refusal, Reply, SHORTEST_SILENCE_NS, SessionRef};
use apex_domain::event::GuardOutcome;
use apex_domain::order::OrderStatus;
use apex_domain::{OrderSessionId, UnixNanos};
use std::time::Instant;

impl Desk {
    fn guard(&mut self) -> SessionRef {
        let wish = GuardSession {
            session_id: OrderSessionId::new("s").unwrap(),
            resumes: false,
            by: "ann".to_owned(),
            timeout_ns: SHORTEST_SILENCE_NS,
        };
        let answer = self.command(AccountCommand::GuardSession(wish));
        self.durable_all();
        match answer.take() {
            Ok(Reply::Guarded(session)) => session,
            other => panic!("{other:?}"),
        }
    }

    fn of(&mut self, session: SessionRef, command: AccountCommand) -> CommandAnswer {
        let (port, waiting) = Waiting::new();
        let now = Instant::now();
        self.shell_take(AccountMessage::SessionCommand(session, command, now, port));
        waiting
    }

    /// Lets the account look at the time, so long behind now.
    fn tick_after(&mut self, ns: i64) {
        let now = self.clock.now();
        self.set_time(now.plus(ns));
        self.shell_take(AccountMessage::Tick);
        self.durable_all();
    }

    fn set_time(&mut self, now: UnixNanos) {
        self.clock.advance(now);
    }
}

#[test]
fn an_order_of_a_session_is_answered_once_it_is_durable_as_the_sessions_own() {
    let mut desk = Desk::connected();
    let session = desk.guard();
    let mut answer = desk.of(session, submit_command(order("a", 1)));
    let decided = desk.journal.sequences();
    let last = *decided.last().unwrap();
    assert_eq!(decided.len(), 4, "the guard, the order, and whose it is");
    desk.durable(last - 1);
    assert!(!answer.is_there(), "unguarded it must not leave");
    assert_eq!(desk.venue.sent(), [""; 0]);
    desk.durable(last);
    assert_eq!(order_of(answer.take()).status, OrderStatus::Submitted);
    desk.submit("b");
    desk.durable_all();
    desk.tick_after(2 * SHORTEST_SILENCE_NS);
    assert_eq!(desk.venue.sent(), ["new a", "new b", "cancel a"]);
}

#[test]
fn an_order_that_is_there_becomes_the_sessions_even_when_no_new_one_is_taken() {
    let mut desk = Desk::connected();
    desk.working("a");
    let session = desk.guard();
    let reason = "gone".to_owned();
    desk.shell_take(AccountMessage::Link(VenueLink::Lost { reason }));
    desk.health(Reserve);
    let again = desk.of(session, submit_command(order("a", 1)));
    desk.durable_all();
    assert_eq!(order_of(again.take()).request.client_order_id, cid("a"));
    let new = desk.of(session, submit_command(order("b", 1)));
    assert_eq!(new.take(), Err(CommandError::JournalFull));
    let ended = desk.command(AccountCommand::EndSession {
        session,
        outcome: GuardOutcome::Disconnected,
    });
    desk.durable_all();
    assert!(ended.take().is_ok(), "it takes exposure away");
    let over = desk.of(session, submit_command(order("a", 1)));
    desk.durable_all();
    assert_eq!(
        over.take(),
        Err(CommandError::Refused(Refusal::SessionOver))
    );
}

#[test]
fn a_full_journal_does_not_make_a_session_silent() {
    let mut desk = Desk::connected();
    let session = desk.guard();
    desk.health(Full);
    desk.set_time(desk.clock.now().plus(5 * SHORTEST_SILENCE_NS));
    let kept = desk.command(AccountCommand::KeepSession(session));
    assert!(kept.take().is_ok());
    desk.health(Ready);
    desk.shell_take(AccountMessage::Tick);
    desk.durable_all();
    let kept = desk.command(AccountCommand::KeepSession(session));
    assert!(kept.take().is_ok(), "it is still guarded");
}
