//! What the platform says of a strategy before and while its session stands.

use super::support::*;
use crate::strategy_session::machine::{Input, Told};
use apex_proto::v1::strategy_event::Event;
use std::collections::BTreeMap;

fn parameters(fast: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("fast".to_owned(), fast.to_owned())])
}

/// The parameters that each event of the batch tells, in order; `None` for other events.
fn told(run: &mut Run, quotes: &[i64]) -> Vec<Option<BTreeMap<String, String>>> {
    let effects = run.quotes(quotes);
    let events = batch(&effects).events.iter();
    events
        .map(|event| match &event.event {
            Some(Event::Parameters(changed)) => Some(changed.parameters.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_session_of_a_paused_strategy_begins_paused() {
    let mut run = Run::told(Told {
        paused: true,
        parameters: None,
    });
    assert_eq!(outcome(&run.target("0.1")).reason_code, "PAUSED");
    // What happens is shown all the same.
    assert_eq!(told(&mut run, &[1]), [None]);
    run.apply(Input::Resume);
    submitted(&run.target("0.1"));
}

#[test]
fn parameters_that_came_while_it_started_are_told_first_and_once() {
    let mut run = Run::told(Told {
        paused: false,
        parameters: Some(parameters("3")),
    });
    assert_eq!(told(&mut run, &[1]), [Some(parameters("3")), None]);
    run.commands(1, Vec::new());
    assert_eq!(told(&mut run, &[2]), [None]);
    // Those that it has are no news.
    run.apply(Input::Parameters(parameters("3")));
    run.commands(2, Vec::new());
    assert_eq!(told(&mut run, &[3]), [None]);
    run.apply(Input::Parameters(parameters("4")));
    run.commands(3, Vec::new());
    assert_eq!(told(&mut run, &[4]), [Some(parameters("4")), None]);
}

#[test]
fn what_is_used_of_the_budget_is_told() {
    let mut run = Run::new(0, Vec::new(), false);
    submitted(&run.target("0.1"));
    run.quotes(&[1]);
    run.now = run.now.plus(7);
    let usage = run.session.usage(run.now);
    assert_eq!(usage.orders_in_last_second, 1);
    assert_eq!(
        (usage.unanswered_batches, usage.oldest_unanswered_ns),
        (1, 7)
    );
    assert_eq!(usage.budget.orders_per_second, 3);
}
