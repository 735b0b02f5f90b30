//! Rules both ways.

use super::write::watch;
use super::*;

fn read(watch: Wire) -> Result<Rule, FieldErrors> {
    let rule = v1::AlertRule {
        rule_id: "r".into(),
        enabled: true,
        watch: Some(watch),
        ..Default::default()
    };
    read_rule(&rule, UnixNanos(1), "ann")
}

#[test]
fn every_watch_survives_the_way_out_and_in() {
    let account_id = AccountId::new("paper").ok();
    let rate = |text| Rate::parse(text).unwrap();
    let btc = InstrumentId::new("BTCUSDT.SIM").unwrap();
    for watched in [
        Watch::Price {
            instrument_id: btc.clone(),
            side: PriceSide::Mid,
            when: PriceWhen::Crosses,
            level: rate("1.5"),
            rearm: rate("0.1"),
        },
        Watch::Pnl {
            account_id: account_id.clone(),
            measure: PnlMeasure::Day,
            direction: Direction::Below,
            level: rate("-100"),
            rearm: rate("5"),
        },
        Watch::Drawdown {
            account_id: None,
            share: rate("0.2"),
            rearm: rate("0.05"),
        },
        Watch::Stale {
            scope: FeedScope::Instrument(btc),
            after_ns: 5,
        },
        Watch::Stale {
            scope: FeedScope::Venue("SIM".into()),
            after_ns: 5,
        },
        Watch::Stale {
            scope: FeedScope::All,
            after_ns: 5,
        },
        Watch::Rejects {
            account_id,
            count: 3,
            window_ns: 9,
        },
        Watch::Component {
            name: "recorder".into(),
        },
        Watch::Disk {
            path: "/d".into(),
            free_bytes: Some(7),
            free_share: Some(rate("0.1")),
        },
        Watch::Certificate { days: 14 },
    ] {
        let back = read(watch(&watched)).unwrap();
        assert_eq!(back.watch, watched);
        assert_eq!(back.severity, Severity::Warning);
    }
}

#[test]
fn every_field_that_is_wrong_is_named_at_once() {
    let rule = v1::AlertRule {
        severity: 9,
        watch: Some(Wire::Price(v1::AlertOnPrice {
            level: "NaN".into(),
            rearm: "1e5".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let refused = read_rule(&rule, UnixNanos(1), "ann").unwrap_err();
    let names: Vec<&str> = refused
        .errors()
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    let expected = [
        "rule.severity",
        "rule.price.instrument_id",
        "rule.price.side",
        "rule.price.condition",
        "rule.price.level",
        "rule.price.rearm",
    ];
    assert_eq!(names, expected);
    let named = |watch| read(watch).unwrap_err().errors()[0].field.clone();
    let both = v1::AlertOnStale {
        instrument_id: "A.X".into(),
        venue: "X".into(),
        after_ns: 1,
    };
    assert_eq!(named(Wire::Stale(both)), "rule.stale.venue");
    let never = v1::AlertOnCertificate { days: 0 };
    assert_eq!(named(Wire::Certificate(never)), "rule.certificate.days");
}

#[test]
fn an_alert_is_named_by_origin_and_number() {
    assert_eq!(read_alert_id("ab", &alert_id("ab", 17)), Some(17));
    for other in ["", "ab-", "ab-x", "ab-017", "ab-+17", "cd-17", "ab17"] {
        assert_eq!(read_alert_id("ab", other), None, "{other}");
    }
}
