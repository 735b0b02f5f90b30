//! Rules, one by one, at their very levels.

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
fn a_price_fires_at_exactly_its_level_and_once() {
    check(
        price(PriceWhen::Above, "100", "0"),
        &[
            (trade("99.99999999"), ""),
            (trade("100"), "+"),
            (trade("101"), ""),
            (trade("100.00"), ""),
            (trade("99.99999999"), "-"),
            (trade("100"), "+"),
        ],
    );
    check(
        price(PriceWhen::Below, "100", "0"),
        &[
            (trade("100.00000001"), ""),
            (trade("100"), "+"),
            (trade("100.00000001"), "-"),
        ],
    );
    check(
        price(PriceWhen::Below, "-5", "0"),
        &[(trade("-4.9"), ""), (trade("-5"), "+")],
    );
}

#[test]
fn an_alert_ends_only_beyond_its_rearm_distance() {
    check(
        price(PriceWhen::Above, "100", "2"),
        &[
            (trade("100"), "+"),
            (trade("99"), ""),
            (trade("98"), ""),
            (trade("100"), ""),
            (trade("97.99"), "-"),
            (trade("99"), ""),
            (trade("100"), "+"),
        ],
    );
}

#[test]
fn a_cross_needs_a_side_that_it_came_from() {
    check(
        price(PriceWhen::Crosses, "100", "0"),
        &[
            (trade("100"), ""),
            (trade("101"), ""),
            (trade("100"), ""),
            (trade("101"), ""),
            (trade("99"), "+"),
            (trade("99"), "-"),
            (trade("98"), ""),
            (trade("100.01"), "+"),
        ],
    );
    check(
        price(PriceWhen::Crosses, "100", "1"),
        &[
            (trade("101"), ""),
            (trade("99.5"), "+"),
            (trade("100.5"), ""),
            (trade("99.5"), ""),
            (trade("101"), "-"),
            (trade("99.5"), "+"),
        ],
    );
}

#[test]
fn each_side_of_the_quote_is_its_own_and_a_missing_one_says_nothing() {
    let quote = |bid: Option<&str>, ask: Option<&str>| Reading::Quote {
        instrument_id: btc(),
        bid: bid.map(rate),
        ask: ask.map(rate),
    };
    for (side, level) in [
        (PriceSide::Bid, "100"),
        (PriceSide::Ask, "103"),
        (PriceSide::Mid, "101.5"),
    ] {
        let rule = rule(Watch::Price {
            instrument_id: btc(),
            side,
            when: PriceWhen::Above,
            level: rate(level),
            rearm: Rate::ZERO,
        });
        let mut machine = machine(rule);
        let missing = match side {
            PriceSide::Bid => quote(None, Some("999")),
            _ => quote(Some("999"), None),
        };
        let readings = [
            missing.clone(),
            quote(Some("99"), Some("102")),
            quote(Some("100"), Some("103")),
            missing,
            quote(Some("99"), Some("102")),
        ];
        assert_eq!(
            run(&mut machine, &readings),
            ["", "", "+", "", "-"],
            "{side:?}"
        );
    }
}

fn account(equity: &str, day_start: &str, highest: &str) -> Reading {
    Reading::Account {
        account_id: paper(),
        equity: money(equity),
        realized: None,
        unrealized: money("-7"),
        baseline: Baseline {
            day: at(0),
            day_start: money(day_start),
            highest: money(highest),
            last: money(equity),
        },
    }
}

#[test]
fn a_profit_is_measured_as_its_rule_says() {
    let of = |measure, level: &str| {
        rule(Watch::Pnl {
            account_id: None,
            measure,
            direction: Direction::Below,
            level: rate(level),
            rearm: Rate::ZERO,
        })
    };
    let day = of(PnlMeasure::Day, "-50");
    check(
        day,
        &[
            (account("950.01", "1000", "2000"), ""),
            (account("950", "1000", "2000"), "+"),
            (account("950.01", "1000", "2000"), "-"),
        ],
    );
    check(
        of(PnlMeasure::Unrealized, "-7"),
        &[(account("1", "1", "1"), "+")],
    );
    // Not known is no loss, and no gain either.
    check(
        of(PnlMeasure::Realized, "0"),
        &[(account("1", "1", "1"), "")],
    );
}

#[test]
fn a_drawdown_counts_from_the_highest_and_ends_within_its_rearm() {
    let of = |rearm| {
        rule(Watch::Drawdown {
            account_id: Some(paper()),
            share: rate("0.1"),
            rearm: rate(rearm),
        })
    };
    check(
        of("0.05"),
        &[
            (account("900.01", "1", "1000"), ""),
            (account("900", "1", "1000"), "+"),
            (account("940", "1", "1000"), ""),
            (account("950", "1", "1000"), ""),
            (account("950.01", "1", "1000"), "-"),
        ],
    );
    check(
        of("0"),
        &[(account("0", "0", "0"), ""), (account("-1", "0", "0"), "")],
    );
}

#[test]
fn paying_in_or_out_is_no_profit_and_no_loss() {
    let first = Baseline::begin(at(0), money("1000"));
    let risen = first.next(at(1), money("1100"), false);
    assert_eq!(
        (risen.day_start, risen.highest),
        (money("1000"), money("1100"))
    );
    let paid_out = risen.next(at(2), money("600"), true);
    assert_eq!(
        (paid_out.day_start, paid_out.highest),
        (money("500"), money("600"))
    );
    let next_day = paid_out.next(UnixNanos(at(0).0 + NANOS_PER_DAY), money("550"), false);
    assert_eq!(
        (next_day.day_start, next_day.highest),
        (money("550"), money("600"))
    );
    assert_eq!(next_day.day, UnixNanos(101 * NANOS_PER_DAY));
    // A clock that was set back.
    let back = next_day.next(at(5), money("560"), false);
    assert_eq!((back.day, back.day_start), (next_day.day, money("550")));
}

#[test]
fn rejections_count_within_their_window_its_end_included() {
    let of = rule(Watch::Rejects {
        account_id: None,
        count: 3,
        window_ns: 2 * NANOS_PER_SECOND,
    });
    let one = Reading::Rejected {
        account_id: paper(),
    };
    let mut machine = machine(of);
    assert_eq!(run(&mut machine, &vec![one; 4]), ["", "", "+", ""]);
    let mut effects = Vec::new();
    machine.tick(at(5), &mut effects);
    assert_eq!(marks(&effects), "");
    machine.tick(UnixNanos(at(5).0 + 1), &mut effects);
    assert_eq!(marks(&effects), "-");
}

fn heard(instrument: &str, mark: i64) -> Reading {
    Reading::Heard {
        instrument_id: InstrumentId::new(instrument).unwrap(),
        mark: UnixNanos(mark),
        closed: false,
    }
}

#[test]
fn a_feed_is_silent_by_our_clock_from_when_it_was_first_looked_at() {
    let of = |scope| {
        rule(Watch::Stale {
            scope,
            after_ns: 2 * NANOS_PER_SECOND,
        })
    };
    let readings = [
        (heard("A.X", 5), ""),
        (heard("A.X", 5), ""),
        (heard("A.X", 5), "+"),
        (heard("A.X", 6), "-"),
    ];
    check(of(FeedScope::All), &readings);
    let one = FeedScope::Instrument(InstrumentId::new("A.X").unwrap());
    check(of(one), &readings);
    // Of a venue one instrument that speaks is enough.
    check(
        of(FeedScope::Venue("X".into())),
        &[
            (heard("A.X", 5), ""),
            (heard("B.Y", 5), ""),
            (heard("B.X", 7), ""),
            (heard("A.X", 5), ""),
            (heard("A.X", 5), "+"),
            (heard("B.X", 8), "-"),
        ],
    );
    let closed = Reading::Heard {
        instrument_id: btc(),
        mark: at(0),
        closed: true,
    };
    check(
        of(FeedScope::All),
        &[(closed.clone(), ""), (closed.clone(), ""), (closed, "")],
    );
}

#[test]
fn parts_disks_and_certificates_are_watched() {
    let part = |name: &str, ok| Reading::Component {
        name: name.into(),
        ok,
        detail: "why".into(),
    };
    check(
        rule(Watch::Component {
            name: "account".into(),
        }),
        &[
            (part("accounts", false), ""),
            (part("account paper", true), ""),
            (part("account paper", false), "+"),
            (part("account paper", true), "-"),
        ],
    );
    let disk = |free_bytes| Reading::Disk {
        path: "/d".into(),
        free_bytes,
        total_bytes: 1_000,
    };
    let of = |free_bytes, free_share: Option<&str>| {
        rule(Watch::Disk {
            path: String::new(),
            free_bytes,
            free_share: free_share.map(rate),
        })
    };
    let readings = [
        (disk(101), ""),
        (disk(100), "+"),
        (disk(105), ""),
        (disk(106), "-"),
    ];
    check(of(Some(100), None), &readings);
    check(of(Some(50), Some("0.1")), &readings);
    let ends = |days: i64| Reading::Certificate {
        file: "c.pem".into(),
        ends: UnixNanos(at(0).0 + days * NANOS_PER_DAY),
    };
    let mut machine = machine(rule(Watch::Certificate { days: 14 }));
    let mut effects = Vec::new();
    machine.apply(UnixNanos(at(0).0 - 1), &ends(14), &mut effects);
    assert_eq!(marks(&effects), "");
    machine.apply(at(0), &ends(14), &mut effects);
    assert_eq!(marks(&effects), "+");
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

#[test]
fn every_wrong_field_of_a_rule_is_named() {
    let names =
        |rule: &Rule| -> Vec<&str> { rule.wrong_fields().iter().map(|it| it.field).collect() };
    assert!(names(&price(PriceWhen::Above, "1", "0")).is_empty());
    let bad = Rule {
        rule_id: "a/b".into(),
        title: "x\n".into(),
        hold_ns: -1,
        cooldown_ns: MAX_HOLD_NS + 1,
        channels: vec![String::new()],
        ..price(PriceWhen::Above, "0", "-1")
    };
    let expected = [
        "rule_id",
        "title",
        "hold_ns",
        "cooldown_ns",
        "channels",
        "price.level",
        "price.rearm",
    ];
    assert_eq!(names(&bad), expected);
    for (watch, field) in [
        (
            Watch::Drawdown {
                account_id: None,
                share: Rate::ZERO,
                rearm: Rate::ZERO,
            },
            "drawdown.share",
        ),
        (
            Watch::Drawdown {
                account_id: None,
                share: rate("1.01"),
                rearm: Rate::ZERO,
            },
            "drawdown.share",
        ),
        (
            Watch::Drawdown {
                account_id: None,
                share: rate("0.1"),
                rearm: rate("0.1"),
            },
            "drawdown.rearm",
        ),
        (
            Watch::Stale {
                scope: FeedScope::All,
                after_ns: 0,
            },
            "stale.after_ns",
        ),
        (
            Watch::Stale {
                scope: FeedScope::Venue("a b".into()),
                after_ns: 1,
            },
            "stale.venue",
        ),
        (
            Watch::Rejects {
                account_id: None,
                count: 0,
                window_ns: 1,
            },
            "rejects.count",
        ),
        (
            Watch::Rejects {
                account_id: None,
                count: 1,
                window_ns: 0,
            },
            "rejects.window_ns",
        ),
        (
            Watch::Disk {
                path: String::new(),
                free_bytes: None,
                free_share: None,
            },
            "disk",
        ),
        (
            Watch::Disk {
                path: String::new(),
                free_bytes: None,
                free_share: Some(rate("1")),
            },
            "disk.free_share",
        ),
        (Watch::Certificate { days: 0 }, "certificate.days"),
    ] {
        assert_eq!(names(&rule(watch.clone())), [field], "{watch:?}");
    }
}

mod outbox {
    use super::*;

    fn parcel(number: u64) -> Parcel {
        Parcel {
            number,
            notice: Notice::Fired,
        }
    }

    fn outbox(per_minute: u32) -> Outbox {
        Outbox::new(ChannelLimits {
            per_minute,
            waiting: 3,
        })
    }

    #[test]
    fn one_message_is_under_way_at_a_time() {
        let (mut outbox, mut outcomes) = (outbox(10), Vec::new());
        for number in 1..=3 {
            assert_eq!(outbox.offer(parcel(number), at(0)), Delivery::Pending);
        }
        assert_eq!(outbox.offer(parcel(4), at(0)), Delivery::Dropped);
        assert_eq!(outbox.next(at(0), &mut outcomes), Some(Job::One(parcel(1))));
        assert_eq!(outbox.next(at(0), &mut outcomes), None);
        assert_eq!(
            outbox.done(at(0), Tried::Taken, 0),
            [(parcel(1), Delivery::Sent)]
        );
        assert_eq!(outbox.next(at(0), &mut outcomes), Some(Job::One(parcel(2))));
        assert_eq!(
            outbox.done(at(0), Tried::Refused, 0),
            [(parcel(2), Delivery::Failed)]
        );
        assert_eq!((outbox.waiting(), outcomes.len()), (1, 0));
    }

    #[test]
    fn what_fails_is_tried_again_after_growing_pauses_and_given_up_after_a_day() {
        let (mut outbox, mut outcomes) = (outbox(1), Vec::new());
        outbox.offer(parcel(1), at(0));
        let (mut now, mut pauses) = (at(0), Vec::new());
        for attempt in 0..9 {
            assert_eq!(
                outbox.next(now, &mut outcomes),
                Some(Job::One(parcel(1))),
                "{attempt}"
            );
            assert_eq!(outbox.done(now, Tried::Failed, 500), []);
            let before = now;
            while outbox.clone().next(now, &mut outcomes).is_none() {
                now = now.plus(NANOS_PER_SECOND);
            }
            pauses.push(now.since(before) / NANOS_PER_SECOND);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let late = at(86_400);
        assert_eq!(outbox.next(late, &mut outcomes), Some(Job::One(parcel(1))));
        assert_eq!(
            outbox.done(late, Tried::Failed, 500),
            [(parcel(1), Delivery::Failed)]
        );
        assert_eq!(outcomes, []);
    }

    #[test]
    fn jitter_is_a_fifth_each_way() {
        for (jitter, expected) in [(0, 800), (500, 1_000), (1_000, 1_200), (u16::MAX, 1_200)] {
            let mut outbox = outbox(1);
            outbox.offer(parcel(1), at(0));
            outbox.next(at(0), &mut Vec::new());
            outbox.done(at(0), Tried::Failed, jitter);
            let due = |millis: i64| {
                let now = UnixNanos(at(0).0 + millis * 1_000_000);
                outbox.clone().next(now, &mut Vec::new()).is_some()
            };
            assert!(!due(expected - 1) && due(expected), "{jitter}");
        }
    }

    #[test]
    fn what_is_above_the_rate_is_told_in_one_summary() {
        let (mut outbox, mut outcomes) = (outbox(1), Vec::new());
        for number in 1..=3 {
            outbox.offer(parcel(number), at(0));
        }
        outbox.next(at(0), &mut outcomes);
        outbox.done(at(0), Tried::Taken, 0);
        assert_eq!(outbox.next(at(1), &mut outcomes), None);
        let held = [
            (parcel(2), Delivery::HeldBack),
            (parcel(3), Delivery::HeldBack),
        ];
        assert_eq!((outcomes.as_slice(), outbox.held()), (held.as_slice(), 2));
        assert_eq!(outbox.next(at(59), &mut outcomes), None);
        assert_eq!(outbox.next(at(60), &mut outcomes), Some(Job::Summary(2)));
        // One that comes up meanwhile is not in it.
        outbox.offer(parcel(4), at(60));
        let told = [
            (parcel(2), Delivery::Summarized),
            (parcel(3), Delivery::Summarized),
        ];
        assert_eq!(outbox.done(at(60), Tried::Taken, 0), told);
        assert_eq!((outbox.held(), outbox.waiting()), (0, 1));
    }
}
