//! The whole account, told to strategies that asked for it.

use super::*;
use apex_bus::message::AccountSummary;
use apex_domain::Money;

const QUARTER: i64 = SECOND / 4;

fn asks(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::AskAccount))
}

fn worth(equity: i64) -> Box<AccountSummary> {
    Box::new(AccountSummary {
        equity: Money(equity.into()),
        ..summary(0)
    })
}

/// The equities that a strategy is told.
fn told(effects: &[Effect]) -> Vec<String> {
    let mut told = Vec::new();
    for effect in effects {
        if let Effect::Send(Response::Events(batch)) = effect {
            for event in &batch.events {
                if let Some(v1::strategy_event::Event::Account(account)) = &event.event {
                    told.push(account.equity.clone());
                }
            }
        }
    }
    told
}

#[test]
fn an_account_is_asked_once_a_second_and_sooner_when_it_decided_something() {
    let mut run = Run::seeing_the_account();
    let begun = run.now;
    assert_eq!(run.session.deadline(), Some(begun.plus(SECOND)));
    run.now = begun.plus(SECOND - 1);
    assert!(!asks(&run.apply(Input::Wake)));
    run.now = begun.plus(SECOND);
    assert!(asks(&run.apply(Input::Wake)));
    // One question at a time, whatever comes.
    run.now = begun.plus(3 * SECOND);
    assert!(!asks(&run.apply(Input::Wake)));
    assert_eq!(
        told(&run.apply(Input::Account(Some(worth(7))))),
        ["7".to_owned()]
    );
    run.now = run.now.plus(SECOND);
    assert!(asks(&run.apply(Input::Wake)));
    run.apply(Input::Account(None));
    let asked = run.now;
    // An event of another strategy's order moves the account too.
    let mut other = submitted(&run.target("0.1"));
    other.strategy_id = StrategyId::new("other").unwrap();
    run.apply(Input::Happened(vec![initialized(&other, 11)]));
    assert_eq!(run.session.deadline(), Some(asked.plus(QUARTER)));
    run.now = asked.plus(QUARTER);
    assert!(asks(&run.apply(Input::Wake)));
}

#[test]
fn an_account_that_stays_as_it_was_is_not_told_again() {
    let mut run = Run::seeing_the_account();
    assert!(run.apply(Input::Account(Some(worth(0)))).is_empty());
    assert_eq!(told(&run.apply(Input::Account(Some(worth(5))))), ["5"]);
    assert!(run.apply(Input::Account(Some(worth(5)))).is_empty());
}

#[test]
fn while_the_window_is_full_the_newest_account_waits() {
    let mut run = Run::seeing_the_account();
    let mut sequence = 0;
    while run.session.has_room() {
        run.quotes(&[sequence]);
        sequence += 1;
    }
    assert!(run.apply(Input::Account(Some(worth(5)))).is_empty());
    assert!(run.apply(Input::Account(Some(worth(6)))).is_empty());
    run.commands(1, Vec::new());
    assert_eq!(told(&run.apply(Input::Happened(Vec::new()))), ["6"]);
}

#[test]
fn nobody_who_did_not_ask_is_told() {
    let mut run = Run::new(0, Vec::new(), false);
    for _ in 0..5 {
        run.now = run.now.plus(SECOND);
        assert!(!asks(&run.apply(Input::Wake)));
    }
    assert!(run.apply(Input::Account(Some(worth(5)))).is_empty());
}
