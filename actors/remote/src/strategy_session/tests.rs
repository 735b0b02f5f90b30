//! The session as a machine: what goes in, what comes out, at given times.

mod account;
mod holdings;
mod lists;
mod platform;
mod support;

use self::support::*;
use super::machine::{Effect, Input};
use apex_bus::message::CommandError;
use apex_domain::account::Reply;
use apex_domain::market::Side;
use apex_domain::order::OrderStatus;
use apex_domain::{Quantity, StrategyId};
use apex_proto::v1::strategy_command::Command;
use apex_proto::v1::strategy_request::Message as Request;
use apex_proto::v1::strategy_response::Message as Response;
use apex_proto::v1::{self, SessionEndKind as End};

#[test]
fn a_target_trades_the_difference_from_position_and_working_orders() {
    let mut run = Run::new(200, Vec::new(), false);
    let first = submitted(&run.target("0.5"));
    assert_eq!((first.side, first.quantity), (Side::Buy, Quantity(300)));
    assert_eq!(first.client_order_id.as_str(), "ema-1-1");
    // Under way, working, in part filled, filled: it counts the same.
    let nothing = |effects: &[Effect]| assert_eq!(outcome(effects).reason_code, "");
    nothing(&run.target("0.5"));
    run.apply(Input::Happened(vec![initialized(&first, 11)]));
    nothing(&run.target("0.5"));
    run.apply(Input::Happened(vec![filled(&first, 100, 12)]));
    nothing(&run.target("0.5"));
    // Told again, as after a gap: counted once.
    run.apply(Input::Happened(vec![filled(&first, 100, 12)]));
    nothing(&run.target("0.500"));
    run.now = run.now.plus(SECOND);
    let second = submitted(&run.target("-0.1"));
    assert_eq!((second.side, second.quantity), (Side::Sell, Quantity(600)));
}

#[test]
fn an_order_that_never_came_to_be_does_not_count() {
    let mut run = Run::new(0, Vec::new(), false);
    submitted(&run.target("0.1"));
    let refused = run.apply(Input::Answered {
        command_id: 1,
        answer: Err(CommandError::JournalFull),
    });
    assert_eq!(outcome(&refused).reason_code, "JOURNAL_FULL");
    assert_eq!(submitted(&run.target("0.1")).quantity, Quantity(100));
    // Not known: it stays counted.
    let open = Err(CommandError::Timeout { timeout_ms: 1 });
    let unknown = run.apply(Input::Answered {
        command_id: 2,
        answer: open,
    });
    assert_eq!(outcome(&unknown).reason_code, "OUTCOME_UNKNOWN");
    assert_eq!(outcome(&run.target("0.1")).reason_code, "");
}

#[test]
fn events_leave_in_order_of_time_which_never_goes_back() {
    let mut run = Run::new(0, Vec::new(), false);
    let effects = run.quotes(&[30, 10, 20]);
    let first = batch(&effects);
    let times: Vec<i64> = first
        .events
        .iter()
        .map(|event| event.ts_ns % SECOND)
        .collect();
    assert_eq!((first.sequence, times), (1, vec![10, 20, 30]));
    let effects = run.quotes(&[15]);
    let second = batch(&effects);
    assert_eq!((second.sequence, second.events[0].ts_ns % SECOND), (2, 30));
}

#[test]
fn nothing_more_is_taken_while_the_window_is_full() {
    let mut run = Run::new(0, Vec::new(), false);
    assert!(run.session.has_room());
    run.quotes(&[1]);
    run.quotes(&[2]);
    assert!(!run.session.has_room(), "two batches wait for an answer");
    run.commands(1, Vec::new());
    assert!(run.session.has_room());
    assert_eq!(end(&run.commands(1, Vec::new())), (End::Protocol, true));
}

#[test]
fn only_own_orders_are_told() {
    let mut run = Run::new(0, Vec::new(), false);
    let mut request = submitted(&run.target("0.1"));
    let effects = run.apply(Input::Happened(vec![initialized(&request, 11)]));
    assert_eq!(batch(&effects).events.len(), 1);
    request.strategy_id = StrategyId::new("other").unwrap();
    let effects = run.apply(Input::Happened(vec![initialized(&request, 12)]));
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn a_batch_without_an_answer_in_time_ends_the_session_and_cancels() {
    let mut run = Run::new(0, Vec::new(), false);
    run.quotes(&[1]);
    let deadline = run.session.deadline().unwrap();
    assert_eq!(deadline.since(run.now), 2 * SECOND);
    run.now = deadline.plus(-1);
    assert!(run.apply(Input::Wake).is_empty());
    run.now = deadline;
    assert_eq!(end(&run.apply(Input::Wake)), (End::Budget, true));
    assert!(run.target("1").is_empty(), "it is over");
    assert_eq!(run.session.deadline(), None);
}

#[test]
fn too_many_orders_commands_or_messages_end_the_session() {
    let mut run = Run::new(0, Vec::new(), false);
    for quantity in ["0.1", "0.2", "0.3"] {
        submitted(&run.target(quantity));
    }
    assert_eq!(end(&run.target("0.4")), (End::Budget, true));

    let mut run = Run::new(0, Vec::new(), false);
    let many = vec![target("0"); 6];
    assert_eq!(end(&run.commands(0, many)), (End::Budget, true));

    let mut run = Run::new(0, Vec::new(), false);
    let beat = || Request::Heartbeat(v1::Heartbeat { ts_ns: 0 });
    for _ in 0..20 {
        assert!(run.request(beat()).is_empty());
    }
    assert_eq!(end(&run.request(beat())), (End::Budget, true));
}

#[test]
fn a_client_that_is_gone_leaves_its_orders_unless_it_said_otherwise() {
    for cancels in [false, true] {
        let mut run = Run::new(0, Vec::new(), cancels);
        let effects = run.apply(Input::ClientGone);
        assert_eq!(end(&effects), (End::Stopped, cancels));
    }
    let mut run = Run::new(0, Vec::new(), false);
    run.now = run.now.plus(20 * SECOND);
    assert_eq!(end(&run.apply(Input::Wake)).0, End::Stopped, "silent");
}

#[test]
fn a_paused_strategy_may_only_cancel() {
    let request = {
        let mut run = Run::new(0, Vec::new(), false);
        submitted(&run.target("0.1"))
    };
    let working = order(&request, OrderStatus::Accepted, 0, 9);
    let mut run = Run::new(0, vec![working], false);
    run.apply(Input::Pause {
        reason: "test".into(),
    });
    assert_eq!(outcome(&run.target("1")).reason_code, "PAUSED");
    let cancel = |id: &str| {
        vec![Command::Cancel(v1::StrategyCancel {
            client_order_id: id.into(),
            instrument_id: String::new(),
        })]
    };
    let effects = run.commands(0, cancel("ema-1-1"));
    assert!(
        matches!(effects[..], [Effect::Command { .. }]),
        "{effects:?}"
    );
    let effects = run.commands(0, cancel("somebody-elses"));
    assert_eq!(outcome(&effects).reason_code, "ORDER_NOT_FOUND");
    run.apply(Input::Resume);
    // The order that works counts, and ids go on behind it.
    let next = submitted(&run.target("0.3"));
    assert_eq!(next.quantity, Quantity(200));
    assert_eq!(next.client_order_id.as_str(), "ema-1-2");
}

#[test]
fn a_timer_fires_before_the_data_of_its_time() {
    let mut run = Run::new(0, Vec::new(), false);
    let due = run.now.plus(5);
    let timer = Command::SetTimer(v1::SetTimer {
        name: "t".into(),
        ts_due_ns: due.0,
        interval_ns: 0,
    });
    run.commands(0, vec![timer]);
    assert_eq!(run.session.deadline(), Some(due));
    run.now = due;
    let effects = run.quotes(&[4, 5]);
    let kinds: Vec<bool> = batch(&effects)
        .events
        .iter()
        .map(|event| matches!(event.event, Some(v1::strategy_event::Event::Timer(_))))
        .collect();
    assert_eq!(kinds, [false, true, false]);
}

#[test]
fn a_command_out_of_order_or_a_second_hello_breaks_the_protocol() {
    let mut run = Run::new(0, Vec::new(), false);
    run.command_id = 1;
    assert_eq!(end(&run.target("1")), (End::Protocol, true));
    let mut run = Run::new(0, Vec::new(), false);
    let hello = Request::Hello(v1::Hello::default());
    assert_eq!(end(&run.request(hello)), (End::Protocol, true));
}

#[test]
fn a_strategy_that_is_asked_to_stop_has_a_deadline() {
    let mut run = Run::new(0, Vec::new(), false);
    let stop = || Input::Stop {
        reason: "test".into(),
    };
    assert!(matches!(
        run.apply(stop())[..],
        [Effect::Send(Response::Control(_))]
    ));
    run.now = run.session.deadline().unwrap();
    assert_eq!(end(&run.apply(Input::Wake)), (End::Stopped, false));
    let mut run = Run::new(0, Vec::new(), false);
    run.apply(stop());
    let goodbye = Request::Goodbye(v1::Goodbye::default());
    assert_eq!(end(&run.request(goodbye)), (End::Done, false));
}

#[test]
fn an_answered_order_is_told_with_its_ids() {
    let mut run = Run::new(0, Vec::new(), false);
    let request = submitted(&run.target("0.1"));
    let order = order(&request, OrderStatus::Submitted, 0, 11);
    let effects = run.apply(Input::Answered {
        command_id: 1,
        answer: Ok(Reply::Order(Box::new(order))),
    });
    let outcome = outcome(&effects);
    assert_eq!(outcome.order_id, "paper:ema-1-1");
    assert_eq!(outcome.client_order_id, "ema-1-1");
}
