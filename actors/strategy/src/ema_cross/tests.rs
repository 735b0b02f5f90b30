use super::*;
use crate::command::StrategyCommand;
use crate::parameter::split_pair;
use crate::runner::{Runner, RunnerStatus};
use crate::testing::{account_id, bar, instrument, instrument_id, quote, strategy_id, trade};
use apex_domain::market::MarketEvent;
use apex_domain::{Money, UnixNanos};
use std::sync::Arc;

fn runner(source: DataSource, parameters: &[&str], instrument: Instrument) -> Runner {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|pair| split_pair(pair).unwrap())
        .collect();
    let strategy = EmaCross::build(source, &pairs).unwrap();
    let instruments = [Arc::new(instrument)];
    let mut runner = Runner::new(account_id(), strategy_id("e"), strategy, &instruments);
    runner.start(UnixNanos(0));
    runner
}

/// Returns the orders as "index side quantity" of the event that they were made on.
fn orders(runner: &mut Runner, events: &[MarketEvent]) -> Vec<String> {
    let mut out = Vec::new();
    for (index, event) in events.iter().enumerate() {
        runner.market(event.ts_init(), event).unwrap();
        for command in runner.take_commands() {
            if let StrategyCommand::Submit(order) = command {
                out.push(format!("{index} {:?} {}", order.side, order.quantity.0));
            }
        }
    }
    out
}

fn bars(closes: &[i64]) -> Vec<MarketEvent> {
    closes
        .iter()
        .enumerate()
        .map(|(ts, close)| bar(ts as i64, *close))
        .collect()
}

fn rows(parameters: &[&str], closes: &[i64]) -> Vec<String> {
    let mut runner = runner(DataSource::Rows, parameters, instrument());
    orders(&mut runner, &bars(closes))
}

/// Periods 1 and 2: the fast average is the close, the slow one lies between it and the past, so
/// the sign is that of the last change.
const SHORT: [&str; 4] = ["fast=1", "slow=2", "quantity=5", "warmup=0"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut parameters = SHORT.to_vec();
    for pair in more {
        let name = pair.split('=').next().unwrap();
        parameters.retain(|other| !other.starts_with(name));
        parameters.push(pair);
    }
    parameters
}

#[test]
fn the_first_sign_only_sets_the_state() {
    // Equal at 0, below at 1, above at 2, below at 4.
    let made = rows(&with(&[]), &[100, 90, 110, 120, 80]);
    assert_eq!(made, ["2 Buy 5", "4 Sell 5"]);
    // Above at 1 sets it; the fall at 2 sells nothing, since nothing is held.
    let made = rows(&with(&[]), &[100, 110, 90, 120]);
    assert_eq!(made, ["3 Buy 5"]);
}

#[test]
fn nothing_acts_before_the_warmup_and_its_first_value_sets_the_state() {
    let closes = [100, 90, 110, 80, 120, 70];
    assert_eq!(rows(&with(&["warmup=3"]), &closes), ["4 Buy 5", "5 Sell 5"]);
    assert_eq!(rows(&with(&["warmup=4"]), &closes), [""; 0]);
    let by_default = EmaCrossParameters::parse(&[("slow".into(), "7".into())]).unwrap();
    assert_eq!(by_default.warmup, 7);
}

#[test]
fn equal_averages_change_nothing() {
    // 1.00 six times in a row: both averages are equal until the rise at 6.
    let flat = [100, 100, 100, 100, 100, 100, 110, 90];
    assert_eq!(
        rows(&with(&[]), &flat),
        [""; 0],
        "the rise is the first sign"
    );
    assert_eq!(
        rows(&with(&["act_on=state"]), &flat),
        ["6 Buy 5", "7 Sell 5"]
    );
}

#[test]
fn state_follows_the_sign_from_the_warmup_on() {
    let closes = [100, 110, 120, 90, 80];
    let parameters = with(&["act_on=state", "warmup=2"]);
    assert_eq!(rows(&parameters, &closes), ["2 Buy 5", "3 Sell 5"]);
}

#[test]
fn from_long_to_short_is_one_order_of_twice_the_quantity() {
    let parameters = with(&["mode=long_short"]);
    let made = rows(&parameters, &[100, 90, 110, 80, 120]);
    assert_eq!(made, ["2 Buy 5", "3 Sell 10", "4 Buy 10"]);
}

#[test]
fn the_quantity_is_by_default_the_smallest_that_can_be_ordered() {
    let mut costly = instrument();
    costly.min_notional = Money::parse("10").unwrap();
    let parameters = [
        "fast=1",
        "slow=2",
        "warmup=0",
        "act_on=state",
        "mode=long_short",
    ];
    let mut runner = runner(DataSource::Rows, &parameters, costly);
    // At 1.10 ten units are 11.00 and nine 9.90; the size stays while the side does.
    let made = orders(&mut runner, &bars(&[100, 110, 200, 90]));
    assert_eq!(made, ["1 Buy 10", "3 Sell 22"], "12 at 0.90 are 10.80");
}

#[test]
fn quotes_count_by_their_middle_and_one_sided_ones_not_at_all() {
    let mut runner = runner(DataSource::Rows, &with(&[]), instrument());
    let events = [
        quote(0, Some(99), Some(101)),
        quote(1, Some(80), None),
        quote(2, Some(89), Some(91)),
        quote(3, None, Some(500)),
        quote(4, Some(100), Some(103)),
    ];
    assert_eq!(orders(&mut runner, &events), ["4 Buy 5"]);
}

#[test]
fn prints_give_way_to_quotes_and_quotes_to_bars() {
    let mut runner = runner(DataSource::Rows, &with(&[]), instrument());
    let events = [
        trade(0, 100),
        trade(1, 90),
        quote(2, Some(100), Some(100)),
        trade(3, 900),
        quote(4, Some(90), Some(90)),
        bar(5, 100),
        quote(6, Some(900), Some(900)),
        bar(7, 90),
        bar(8, 110),
    ];
    assert_eq!(orders(&mut runner, &events), ["8 Buy 5"]);
}

#[test]
fn on_a_feed_it_takes_bars_of_one_second_only() {
    let mut runner = runner(DataSource::Feed, &with(&[]), instrument());
    let second = BarSpec::Time {
        interval_ns: 1_000_000_000,
    };
    let mut events = bars(&[100, 90, 110]);
    assert_eq!(orders(&mut runner, &events), [""; 0]);
    for event in &mut events {
        if let MarketEvent::Bar(bar) = event {
            bar.spec = second;
        }
    }
    events.insert(1, quote(0, Some(900), Some(900)));
    assert_eq!(orders(&mut runner, &events), ["3 Buy 5"]);
}

#[test]
fn a_quantity_that_does_not_fit_is_said_and_not_ordered() {
    let mut runner = runner(DataSource::Rows, &with(&["quantity=0.5"]), instrument());
    for event in bars(&[100, 90, 110]) {
        runner.market(event.ts_init(), &event).unwrap();
    }
    let said = runner.take_commands();
    assert!(
        matches!(&said[..], [StrategyCommand::Log(text)] if text.contains("DATA.SIM")),
        "{said:?}"
    );
}

#[test]
fn averages_are_shown() {
    let parameters = EmaCrossParameters::parse(&[]).unwrap();
    let mut strategy = EmaCross::new(DataSource::Rows, parameters);
    assert_eq!(strategy.averages(&instrument_id()), None);
    let instruments = [Arc::new(instrument())];
    let mut ledger = crate::ledger::Ledger::new(account_id(), strategy_id("e"), &instruments);
    let mut ctx = Context {
        now: UnixNanos(0),
        ledger: &mut ledger,
        commands: &mut Vec::new(),
    };
    if let MarketEvent::Bar(bar) = bar(0, 11_175) {
        strategy.on_bar(&mut ctx, &bar);
    }
    assert_eq!(strategy.averages(&instrument_id()), Some((111.75, 111.75)));
}

#[test]
fn a_live_parameter_counts_from_the_next_value_and_another_one_is_quarantine() {
    let pairs = |texts: &[&str]| -> Vec<(String, String)> {
        texts.iter().map(|text| split_pair(text).unwrap()).collect()
    };
    let mut runner = runner(DataSource::Rows, &with(&["act_on=state"]), instrument());
    assert_eq!(orders(&mut runner, &bars(&[10, 11])), ["1 Buy 5"]);
    let after = with(&["act_on=state", "quantity=7"]);
    runner.parameters(UnixNanos(2), &pairs(&after));
    assert!(
        !runner.has_commands(),
        "nothing happens before the next value"
    );
    let next = bar(3, 12);
    // Two more: the five are on their way.
    assert_eq!(orders(&mut runner, &[next]), ["0 Buy 2"]);
    runner.parameters(UnixNanos(4), &pairs(&with(&["act_on=state", "fast=3"])));
    let RunnerStatus::Quarantined { reason } = runner.status() else {
        panic!("it goes on with parameters that nobody knows");
    };
    assert!(
        reason.contains("\"fast\" does not change while"),
        "{reason}"
    );
}
