//! Rules, one kind after the other, at their very levels.

use super::*;

fn heard(instrument: &str, mark: i64) -> Reading {
    Reading::Heard {
        instrument_id: InstrumentId::new(instrument).unwrap(),
        mark: UnixNanos(mark),
        closed: false,
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
