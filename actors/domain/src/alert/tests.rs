//! From firing to its end, whatever happens in between.

mod levels;
mod outbox;

use super::*;
use crate::id::InstrumentId;
use crate::money::{Money, Rate};
use crate::time::{NANOS_PER_DAY, NANOS_PER_SECOND};

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

fn at(seconds: i64) -> UnixNanos {
    UnixNanos(100 * NANOS_PER_DAY + seconds * NANOS_PER_SECOND)
}

fn btc() -> InstrumentId {
    InstrumentId::new("BTCUSDT.SIM").unwrap()
}

fn paper() -> AccountId {
    AccountId::new("paper").unwrap()
}

fn rule(watch: Watch) -> Rule {
    Rule {
        rule_id: "r".into(),
        version: 1,
        title: String::new(),
        enabled: true,
        severity: Severity::Warning,
        watch,
        hold_ns: 0,
        cooldown_ns: 0,
        channels: Vec::new(),
        notify_resolved: false,
        updated: at(0),
        updated_by: "ann".into(),
    }
}

fn price(when: PriceWhen, level: &str, rearm: &str) -> Rule {
    rule(Watch::Price {
        instrument_id: btc(),
        side: PriceSide::Last,
        when,
        level: rate(level),
        rearm: rate(rearm),
    })
}

fn trade(price: &str) -> Reading {
    Reading::Trade {
        instrument_id: btc(),
        price: rate(price),
    }
}

fn machine(rule: Rule) -> AlertMachine {
    AlertMachine::restore([rule], [], 0)
}

/// Returns a mark for each effect: `+` fires, `-` is over.
fn marks(effects: &[Effect]) -> String {
    let mark = |effect: &Effect| match effect {
        Effect::Fired(_) => '+',
        Effect::Resolved { .. } => '-',
    };
    effects.iter().map(mark).collect()
}

/// Gives the readings a second apart, each behind a tick, and returns what came of each.
fn run(machine: &mut AlertMachine, readings: &[Reading]) -> Vec<String> {
    let step = |(second, reading): (usize, &Reading)| {
        let (now, mut effects) = (at(second as i64), Vec::new());
        machine.tick(now, &mut effects);
        machine.apply(now, reading, &mut effects);
        marks(&effects)
    };
    readings.iter().enumerate().map(step).collect()
}

#[track_caller]
fn check(rule: Rule, script: &[(Reading, &str)]) {
    let readings: Vec<Reading> = script.iter().map(|(reading, _)| reading.clone()).collect();
    let expected: Vec<&str> = script.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(run(&mut machine(rule), &readings), expected);
}

#[test]
fn it_has_to_hold_and_to_rest() {
    let of = Rule {
        hold_ns: 2 * NANOS_PER_SECOND,
        cooldown_ns: 6 * NANOS_PER_SECOND,
        ..price(PriceWhen::Above, "100", "0")
    };
    let mut machine = machine(of);
    let (high, low) = (trade("100"), trade("99"));
    let readings = [
        high.clone(), // 0
        low.clone(),
        high.clone(), // 2
        high.clone(),
        high.clone(), // 4: it has held for two seconds
        low.clone(),
        high.clone(), // 6
        high.clone(),
        high.clone(), // 8: held, and in its cooldown
        high.clone(),
        high, // 10
    ];
    let expected = ["", "", "", "", "+", "-", "", "", "", "", "+"];
    assert_eq!(run(&mut machine, &readings), expected);
}

#[test]
fn it_fires_by_the_clock_alone_once_it_has_held() {
    let of = Rule {
        hold_ns: 5 * NANOS_PER_SECOND,
        ..price(PriceWhen::Above, "100", "0")
    };
    let mut machine = machine(of);
    assert_eq!(run(&mut machine, &[trade("100")]), [""]);
    let mut effects = Vec::new();
    machine.tick(UnixNanos(at(5).0 - 1), &mut effects);
    assert_eq!(marks(&effects), "");
    machine.tick(at(5), &mut effects);
    assert_eq!(marks(&effects), "+");
}

fn fired(effects: &[Effect]) -> Vec<Alert> {
    let alert = |effect: &Effect| match effect {
        Effect::Fired(alert) => Some((**alert).clone()),
        Effect::Resolved { .. } => None,
    };
    effects.iter().filter_map(alert).collect()
}

#[test]
fn what_fired_before_a_restart_is_open_after_it_and_rests() {
    let of = Rule {
        cooldown_ns: 100 * NANOS_PER_SECOND,
        ..price(PriceWhen::Above, "100", "0")
    };
    let mut before = machine(of.clone());
    let mut effects = Vec::new();
    before.apply(at(0), &trade("100"), &mut effects);
    let mut alerts = fired(&effects);
    assert_eq!(alerts[0].number, 1);
    let mut after = AlertMachine::restore([of.clone()], &alerts, 1);
    assert_eq!(after.open(), 1);
    assert_eq!(
        run(&mut after, &[trade("101"), trade("99"), trade("100")]),
        ["", "-", ""]
    );
    alerts[0].resolve(at(1), "");
    let mut later = AlertMachine::restore([of], &alerts, 1);
    assert_eq!(run(&mut later, &[trade("100")]), [""]);
    effects.clear();
    later.tick(at(100), &mut effects);
    assert_eq!(fired(&effects)[0].number, 2);
}

#[test]
fn what_a_changed_disabled_or_removed_rule_left_open_is_over() {
    type Edit = fn(&mut AlertMachine, Rule);
    let edits: [Edit; 3] = [
        |machine, rule| machine.set_rule(Rule { version: 2, ..rule }),
        |machine, rule| {
            machine.set_rule(Rule {
                version: 2,
                enabled: false,
                ..rule
            });
        },
        |machine, rule| machine.remove_rule(&rule.rule_id),
    ];
    for (edit, again) in edits.into_iter().zip(["+", "", ""]) {
        let of = price(PriceWhen::Above, "100", "0");
        let mut machine = machine(of.clone());
        assert_eq!(run(&mut machine, &[trade("100")]), ["+"]);
        edit(&mut machine, of);
        let mut effects = Vec::new();
        machine.apply(at(1), &trade("100"), &mut effects);
        assert_eq!(marks(&effects), "", "the tick comes first");
        machine.tick(at(1), &mut effects);
        assert_eq!((marks(&effects).as_str(), machine.open()), ("-", 0));
        effects.clear();
        machine.apply(at(1), &trade("100"), &mut effects);
        assert_eq!(marks(&effects), again);
    }
}

#[test]
fn what_is_not_there_any_more_is_over() {
    let mut machine = machine(rule(Watch::Certificate { days: 14 }));
    let ends = Reading::Certificate {
        file: "c.pem".into(),
        ends: at(0),
    };
    let mut effects = Vec::new();
    machine.apply(at(0), &ends, &mut effects);
    let is_meant = |watch: &Watch| matches!(watch, Watch::Certificate { .. });
    machine.gone(is_meant, &["c.pem".to_owned()].into(), &mut effects);
    assert_eq!(marks(&effects), "+");
    machine.gone(is_meant, &["d.pem".to_owned()].into(), &mut effects);
    assert_eq!(marks(&effects), "+-");
}

#[test]
fn too_many_open_alerts_are_counted_and_fire_once_there_is_room() {
    let all = rule(Watch::Component {
        name: String::new(),
    });
    let mut machine = machine(all);
    let part = |number: usize, ok| Reading::Component {
        name: format!("part {number}"),
        ok,
        detail: String::new(),
    };
    let mut effects = Vec::new();
    for number in 0..=MAX_OPEN {
        machine.apply(at(0), &part(number, false), &mut effects);
    }
    assert_eq!(
        (effects.len(), machine.open(), machine.left_out()),
        (MAX_OPEN, MAX_OPEN, 1)
    );
    effects.clear();
    machine.apply(at(1), &part(0, true), &mut effects);
    machine.tick(at(1), &mut effects);
    assert_eq!(marks(&effects), "-+");
}
