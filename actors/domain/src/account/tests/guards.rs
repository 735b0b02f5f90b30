//! Guarded sessions: cancel on disconnect and the dead-man timer.

use super::support::*;
use crate::account::{Account, AccountInput, GuardSession, MAX_GUARDS, Refusal, Reply, SessionRef};
use crate::event::{Event, GuardOutcome};
use crate::id::{OrderListId, OrderSessionId};
use crate::market::Side;
use crate::number::Price;
use crate::order::{
    Contingency, OrderStatus, OrderTerms, OrderType, ReleaseRule, SubmitList, SubmitOrder,
};
use crate::risk::ReasonCode;
use crate::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use crate::venue::{VenueCommand, VenueReport};

const TIMEOUT_NS: i64 = 3 * NANOS_PER_SECOND;

fn wish(id: &str, by: &str, resumes: bool) -> GuardSession {
    GuardSession {
        session_id: OrderSessionId::new(id).unwrap(),
        resumes,
        by: by.to_owned(),
        timeout_ns: TIMEOUT_NS,
    }
}

impl World {
    fn guard(&mut self, wish: GuardSession) -> Option<SessionRef> {
        match self.apply(AccountInput::GuardSession(wish)).reply {
            Some(Reply::Guarded(session)) => Some(session),
            _ => None,
        }
    }

    fn guarded(&mut self, id: &str) -> SessionRef {
        self.guard(wish(id, "ann", false)).unwrap()
    }

    fn of(&mut self, session: SessionRef, input: AccountInput) {
        let input = Box::new(input);
        self.apply(AccountInput::OfSession { session, input });
    }

    fn submit_of(&mut self, session: SessionRef, request: SubmitOrder) {
        let market = market(9_999, 10_001, self.now);
        let request = Box::new(request);
        self.of(session, AccountInput::Submit { request, market });
    }

    fn end(&mut self, session: SessionRef, outcome: GuardOutcome) {
        self.apply(AccountInput::EndSession { session, outcome });
    }

    /// Lets time pass in ticks of a second.
    fn pass(&mut self, ns: i64) {
        let end = self.now.plus(ns);
        while self.now < end {
            let step = NANOS_PER_SECOND.min(end.0 - self.now.0);
            self.now = self.now.plus(step - NANOS_PER_MILLI);
            self.apply(AccountInput::Tick);
        }
    }

    /// The process ended and started again: what was not written is forgotten.
    fn recover(&mut self) {
        let mut recovered = Account::new();
        for recorded in &self.journal {
            recovered.fold(recorded).unwrap();
        }
        self.account = recovered;
        self.apply(AccountInput::SessionReady);
    }

    fn canceled(&self) -> Vec<String> {
        let of = |command: &VenueCommand| match command {
            VenueCommand::Cancel {
                client_order_id, ..
            } => Some(client_order_id.to_string()),
            _ => None,
        };
        self.commands().iter().filter_map(of).collect()
    }
}

fn buy(client: &str) -> SubmitOrder {
    limit(client, PERP, Side::Buy, 100, 9_000)
}

#[test]
fn a_session_that_is_cut_loses_its_own_orders_only() {
    let mut world = World::small();
    let (mine, other) = (world.guarded("mine"), world.guarded("other"));
    world.submit_of(mine, buy("mine"));
    world.accept("mine");
    world.submit_of(other, buy("other"));
    world.accept("other");
    world.working(buy("unary"));
    world.end(mine, GuardOutcome::Disconnected);
    assert_eq!(world.events(), ["GuardEnded", "OrderPendingCancel"]);
    assert_eq!(world.canceled(), ["mine"]);
    world.ended("mine", 0);
    let order = world.order("mine");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.reason_code, Some(ReasonCode::CanceledOnDisconnect));
    for client in ["other", "unary"] {
        assert_eq!(world.state(client), OrderStatus::Accepted, "{client}");
    }
    world.assert_recovers();
}

#[test]
fn a_goodbye_leaves_the_orders_and_the_account_unguarded() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.submit_of(session, buy("a"));
    world.accept("a");
    world.end(session, GuardOutcome::LetGo);
    world.pass(10 * TIMEOUT_NS);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    assert_eq!(world.account.guarded_sessions().count(), 0);
    world.assert_recovers();
}

#[test]
fn silence_for_the_timeout_cancels_and_not_before() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.submit_of(session, buy("a"));
    world.accept("a");
    world.pass(TIMEOUT_NS - 2 * NANOS_PER_MILLI);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.apply(AccountInput::KeepSession(session));
    assert_eq!(world.events(), [""; 0], "a word leaves no event");
    world.pass(TIMEOUT_NS - NANOS_PER_MILLI);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.pass(NANOS_PER_SECOND);
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
    world.assert_recovers();
}

#[test]
fn a_command_of_the_session_is_a_word_too() {
    let mut world = World::small();
    let session = world.guarded("s");
    for n in 0..5 {
        world.submit_of(session, buy(&format!("o{n}")));
        world.pass(TIMEOUT_NS - NANOS_PER_SECOND);
    }
    assert_eq!(world.account.guarded_sessions().count(), 1);
}

#[test]
fn a_guard_whose_session_is_gone_after_a_restart_fires_after_its_timeout() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.submit_of(session, buy("a"));
    world.accept("a");
    world.working(buy("b"));
    world.recover();
    // However long the process was away: the session has its timeout to come back.
    world.now = world.now.plus(100 * TIMEOUT_NS);
    world.apply(AccountInput::Tick);
    world.pass(TIMEOUT_NS - NANOS_PER_SECOND);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.pass(NANOS_PER_SECOND);
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
    assert_eq!(world.state("b"), OrderStatus::Accepted);
    world.assert_recovers();
}

#[test]
fn a_session_that_comes_back_in_time_keeps_its_orders_and_shuts_its_old_stream_out() {
    let mut world = World::small();
    let old = world.guarded("s");
    world.submit_of(old, buy("a"));
    world.accept("a");
    world.recover();
    let new = world.guard(wish("s", "ann", true)).unwrap();
    assert_eq!(new.guard, old.guard);
    assert!(new.epoch > old.epoch);
    for _ in 0..5 {
        world.pass(TIMEOUT_NS / 2);
        world.apply(AccountInput::KeepSession(new));
    }
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.submit_of(old, buy("late"));
    assert_eq!(*world.refusal(), Refusal::SessionOver);
    world.apply(AccountInput::KeepSession(old));
    assert_eq!(*world.refusal(), Refusal::SessionOver);
    world.end(old, GuardOutcome::Disconnected);
    assert_eq!(*world.refusal(), Refusal::SessionOver);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.end(new, GuardOutcome::Disconnected);
    assert_eq!(
        world.canceled(),
        ["a"],
        "they are the session's, whichever stream"
    );
}

#[test]
fn nobody_else_takes_a_session_up_and_none_that_is_over() {
    let mut world = World::small();
    let session = world.guarded("s");
    assert_eq!(world.guard(wish("s", "eve", true)), None);
    assert_eq!(*world.refusal(), Refusal::SessionOver);
    assert_eq!(world.guard(wish("s", "ann", false)), None);
    assert_eq!(*world.refusal(), Refusal::SessionOver);
    assert_eq!(world.guard(wish("nothing", "ann", true)), None);
    world.end(session, GuardOutcome::LetGo);
    assert_eq!(world.guard(wish("s", "ann", true)), None);
    assert_eq!(*world.refusal(), Refusal::SessionOver);
}

#[test]
fn timeouts_and_sessions_are_bounded() {
    let mut world = World::small();
    for timeout_ns in [0, NANOS_PER_SECOND - 1, 3_600 * NANOS_PER_SECOND + 1, -1] {
        let wish = GuardSession {
            timeout_ns,
            ..wish("s", "ann", false)
        };
        assert_eq!(world.guard(wish), None);
        let Refusal::Invalid { field, .. } = world.refusal() else {
            panic!("{timeout_ns}: {:?}", world.refusal());
        };
        assert_eq!(*field, "dead_man_timeout_ns");
    }
    for n in 0..MAX_GUARDS {
        world.guarded(&format!("s{n}"));
    }
    assert_eq!(world.guard(wish("more", "ann", false)), None);
    assert_eq!(*world.refusal(), Refusal::TooManySessions(MAX_GUARDS));
    assert!(world.guard(wish("s0", "ann", true)).is_some());
}

#[test]
fn an_order_is_of_the_session_that_submitted_or_amended_it_last() {
    let mut world = World::small();
    let (first, second) = (world.guarded("first"), world.guarded("second"));
    for client in ["amended", "again", "stays"] {
        world.submit_of(first, buy(client));
        world.accept(client);
    }
    world.submit_of(second, buy("again"));
    assert_eq!(world.events(), ["OrderGuarded"]);
    world.submit_of(second, buy("again"));
    assert_eq!(world.events(), [""; 0], "it is already");
    let market = market(9_999, 10_001, world.now);
    let request = crate::order::AmendOrder {
        key: key("amended"),
        request_id: request_id("r"),
        quantity: Some(crate::Quantity(200)),
        limit_price: None,
        expected_sequence: None,
        stop_price: None,
    };
    world.of(second, AccountInput::Amend { request, market });
    assert_eq!(world.events(), ["OrderPendingAmend", "OrderGuarded"]);
    world.end(first, GuardOutcome::Disconnected);
    assert_eq!(world.canceled(), ["stays"]);
    world.assert_recovers();
}

#[test]
fn a_session_that_is_over_places_nothing() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.end(session, GuardOutcome::Silent);
    world.submit_of(session, buy("a"));
    assert_eq!(*world.refusal(), Refusal::SessionOver);
    assert_eq!(world.events(), [""; 0]);
    assert!(world.account.order(&key("a")).is_none());
}

#[test]
fn what_ended_or_was_denied_is_nobodys() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.submit_of(session, limit("denied", PERP, Side::Buy, 2_000_000, 9_000));
    assert_eq!(world.events(), ["OrderInitialized", "OrderDenied"]);
    world.submit_of(session, buy("filled"));
    world.accept("filled");
    world.fill("filled", "x", 100, 9_000);
    world.end(session, GuardOutcome::Disconnected);
    assert_eq!(world.events(), ["GuardEnded"]);
    world.assert_recovers();
}

#[test]
fn a_refused_cancel_is_asked_for_again_until_the_order_has_ended() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.submit_of(session, buy("a"));
    world.accept("a");
    // A cancel of somebody's own is under way, and the venue refuses it behind the end.
    world.cancel("a");
    world.end(session, GuardOutcome::Disconnected);
    assert_eq!(world.canceled(), [""; 0], "one is under way");
    let refused = VenueReport::CancelRejected {
        client_order_id: cid("a"),
        text: "busy".to_owned(),
        ts_event: world.now,
    };
    world.report(refused);
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.recover();
    world.pass(2 * NANOS_PER_SECOND);
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
    world.ended("a", 0);
    world.pass(2 * NANOS_PER_SECOND);
    assert_eq!(world.events(), [""; 0]);
    world.assert_recovers();
}

#[test]
fn cancels_that_a_crash_kept_out_of_the_journal_follow() {
    let mut world = World::small();
    let session = world.guarded("s");
    for client in ["a", "b"] {
        world.submit_of(session, buy(client));
        world.accept(client);
    }
    let whole = world.journal.len();
    world.end(session, GuardOutcome::Disconnected);
    assert_eq!(world.journal.len(), whole + 3);
    world.journal.truncate(whole + 1);
    world.recover();
    world.apply(AccountInput::Tick);
    assert_eq!(world.canceled(), ["a", "b"]);
}

#[test]
fn what_is_held_here_ends_here_and_a_list_with_its_parent() {
    let mut world = World::small();
    let mut bare = instrument(PERP);
    bare.min_notional = money("0");
    bare.rules.lacks.order_types = vec![OrderType::Stop];
    world.apply(AccountInput::DefineInstrument(Box::new(bare)));
    let session = world.guarded("s");
    let stop = |client| SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        terms: OrderTerms {
            stop_price: Some(Price(9_500)),
            ..OrderTerms::default()
        },
        ..limit(client, PERP, Side::Sell, 100, 0)
    };
    world.submit_of(session, stop("held"));
    let list = SubmitList {
        list_id: OrderListId::new("l").unwrap(),
        contingency: Contingency::Bracket,
        release: ReleaseRule::Partial,
        cascade: true,
        orders: vec![
            buy("entry"),
            limit("target", PERP, Side::Sell, 100, 11_000),
            stop("stop"),
        ],
    };
    let markets = [(id(PERP), market(9_999, 10_001, world.now))].into();
    let list = Box::new(list);
    world.of(session, AccountInput::SubmitList { list, markets });
    world.accept("entry");
    world.end(session, GuardOutcome::Silent);
    assert_eq!(world.canceled(), ["entry"]);
    for client in ["held", "target", "stop"] {
        assert_eq!(world.state(client), OrderStatus::Canceled, "{client}");
    }
    world.ended("entry", 0);
    assert_eq!(world.account.working_orders().count(), 0);
    world.assert_recovers();
}

#[test]
fn a_snapshot_keeps_the_guards() {
    let mut world = World::small();
    let session = world.guarded("s");
    world.submit_of(session, buy("a"));
    world.accept("a");
    let restored = Account::restore(&world.account.snapshot()).unwrap();
    assert_eq!(restored, world.account);
    world.account = restored;
    world.pass(TIMEOUT_NS + NANOS_PER_SECOND);
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
    let guarded = |event: &Event| matches!(event, Event::GuardEnded { .. });
    let ends = world.journal.iter().filter(|it| guarded(&it.event)).count();
    assert_eq!(ends, 1);
}
