//! Rules of alerts and mutes, at the desk of [`crate::alerts`].

use crate::alerts::{System, start, system};
use crate::harness::{BTC, Harness};
use crate::orders::{fields, reason};
use apex_bus::alerts::AlertError;
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::preferences_service_client::PreferencesServiceClient;
use tonic::Code;

fn rejects(rule_id: &str, account_id: &str) -> v1::SetAlertRuleRequest {
    let watch = v1::AlertOnRejects {
        account_id: account_id.into(),
        count: 3,
        window_ns: 1_000,
    };
    v1::SetAlertRuleRequest {
        rule: Some(v1::AlertRule {
            rule_id: rule_id.into(),
            watch: Some(v1::alert_rule::Watch::Rejects(watch)),
            ..Default::default()
        }),
        request_id: "q".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn rules_are_set_by_risk_and_ops_for_what_is_granted_to_them() {
    let (harness, desk) = start().await;
    desk.put_rule("theirs", Some("other"));
    desk.put_rule("each", None);
    let (mut trader, _) = system(&harness, 2, Role::Trader, &["paper"]).await;
    let refused = trader
        .set_alert_rule(rejects("r", "paper"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let listed = trader
        .list_alert_rules(v1::ListAlertRulesRequest::default())
        .await;
    let listed = listed.unwrap().into_inner();
    let ids: Vec<&str> = listed
        .rules
        .iter()
        .map(|rule| rule.rule_id.as_str())
        .collect();
    assert_eq!((ids, listed.channels.len()), (vec!["each"], 1));
    let (mut risk, _) = system(&harness, 3, Role::Risk, &["paper"]).await;
    risk.set_alert_rule(rejects("r", "paper")).await.unwrap();
    let delete = |rule_id: &str| v1::SetAlertRuleRequest {
        delete: true,
        ..rejects(rule_id, "")
    };
    for foreign in [
        rejects("r", "other"),
        rejects("r", ""),
        rejects("theirs", "paper"),
        delete("theirs"),
        delete("each"),
    ] {
        let refused = risk.set_alert_rule(foreign).await.unwrap_err();
        assert_eq!(reason(&refused), "ACCOUNT_NOT_GRANTED");
    }
    let mute = |rule_id: &str| v1::MuteAlertsRequest {
        rule_id: rule_id.into(),
        until_ns: 0,
        request_id: "q".into(),
        ..Default::default()
    };
    for (rule_id, expected) in [
        ("", "ACCOUNT_NOT_GRANTED"),
        ("theirs", "ACCOUNT_NOT_GRANTED"),
        ("none", "ALERT_RULE_NOT_FOUND"),
    ] {
        let refused = risk.mute_alerts(mute(rule_id)).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{rule_id}");
    }
    let mut admin = System::new(harness.admin().await);
    admin.set_alert_rule(rejects("r", "")).await.unwrap();
    assert!(
        admin
            .set_alert_rule(delete("each"))
            .await
            .unwrap()
            .into_inner()
            .rule
            .is_none()
    );
    admin.mute_alerts(mute("")).await.unwrap();
    assert_eq!(desk.asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_wrong_with_a_rule_is_named_field_by_field() {
    let (harness, desk) = start().await;
    let mut admin = System::new(harness.admin().await);
    let price = |instrument_id: &str, level: &str| {
        v1::alert_rule::Watch::Price(v1::AlertOnPrice {
            instrument_id: instrument_id.into(),
            side: v1::AlertPriceSide::Last.into(),
            condition: v1::AlertCondition::Above.into(),
            level: level.into(),
            rearm: String::new(),
        })
    };
    let of = |rule: v1::AlertRule| v1::SetAlertRuleRequest {
        rule: Some(rule),
        ..Default::default()
    };
    let wrong = of(v1::AlertRule {
        rule_id: "a b".into(),
        watch: Some(price(BTC, "0")),
        hold_ns: -1,
        ..Default::default()
    });
    let refused = admin.set_alert_rule(wrong).await.unwrap_err();
    let expected = [
        "request_id",
        "rule.rule_id",
        "rule.hold_ns",
        "rule.price.level",
    ];
    assert_eq!(fields(&refused), expected);
    let refused = admin
        .set_alert_rule(of(v1::AlertRule::default()))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["request_id", "rule.watch"]);
    let good = |watch| v1::AlertRule {
        rule_id: "r".into(),
        watch: Some(watch),
        ..Default::default()
    };
    let unknown = v1::SetAlertRuleRequest {
        request_id: "q".into(),
        ..of(good(price("NONE.SIM", "1")))
    };
    let refused = admin.set_alert_rule(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let elsewhere = v1::SetAlertRuleRequest {
        request_id: "q".into(),
        ..of(v1::AlertRule {
            channels: vec!["pager".into()],
            ..good(price(BTC, "1"))
        })
    };
    let refused = admin.set_alert_rule(elsewhere).await.unwrap_err();
    assert_eq!(fields(&refused), ["rule.channels"]);
    let long = v1::MuteAlertsRequest {
        until_ns: i64::MAX,
        request_id: "q".into(),
        ..Default::default()
    };
    assert_eq!(
        fields(&admin.mute_alerts(long).await.unwrap_err()),
        ["until_ns"]
    );
    assert!(desk.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_refusal_of_the_desk_has_its_status() {
    let (harness, desk) = start().await;
    let mut admin = System::new(harness.admin().await);
    let stale = AlertError::StaleVersion {
        expected: 1,
        actual: 2,
    };
    for (error, code, expected) in [
        (
            AlertError::AlertOver,
            Code::FailedPrecondition,
            "ALERT_RESOLVED",
        ),
        (stale, Code::Aborted, "STALE_VERSION"),
        (
            AlertError::TooManyRules { limit: 1 },
            Code::FailedPrecondition,
            "TOO_MANY_ALERT_RULES",
        ),
        (
            AlertError::Unavailable("x".into()),
            Code::Unavailable,
            "ALERTS",
        ),
        (AlertError::Busy, Code::ResourceExhausted, "ALERTS_BUSY"),
    ] {
        *desk.error.lock().unwrap() = Some(error);
        let refused = admin.set_alert_rule(rejects("r", "")).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (code, expected)
        );
    }
    let test = v1::TestAlertChannelRequest {
        channel: "webhook".into(),
        request_id: "q".into(),
    };
    let tested = admin.test_alert_channel(test).await.unwrap().into_inner();
    assert_eq!(
        (tested.delivered, tested.error.as_str(), tested.took_ns),
        (false, "no", 7)
    );
}

#[tokio::test]
async fn a_run_without_alerts_and_preferences_says_so() {
    let harness = Harness::start().await;
    let mut admin = System::new(harness.admin().await);
    let refused = admin
        .list_alerts(v1::ListAlertsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let mut own = PreferencesServiceClient::new(harness.admin().await);
    let refused = own
        .get(v1::GetPreferencesRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}
