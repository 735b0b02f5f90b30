//! The cases of alerts and preferences.

use super::RecordsBackend;
use super::records::{Case, open};
use crate::StorageError;
use crate::port::records::Records;
use crate::records::{
    self, AlertBaseline, AlertHead, AlertMute, Found, Preference, every, storing,
};
use apex_domain::alert::{Alert, AlertState, Baseline, Delivery, Notice, Rule, Severity, Watch};
use apex_domain::money::Money;
use apex_domain::{AccountId, Rate, UnixNanos};
use std::collections::BTreeMap;

pub(super) const CASES: &[Case] = &[
    (
        "TC-R33 rules, alerts, mutes and baselines are found as they were stored",
        kept,
    ),
    (
        "TC-R34 of two who change alerts from one head one does, and whole",
        one_head,
    ),
    (
        "TC-R35 alerts are in order of their numbers, and forgotten one by one",
        ordered,
    ),
    (
        "TC-R36 a user's preferences are its own, and change only from what was read",
        own,
    ),
];

fn head(last_number: u64) -> AlertHead {
    AlertHead {
        origin: "0a1b2c3d".to_owned(),
        last_number,
        sequence: last_number,
    }
}

fn rule() -> Rule {
    Rule {
        rule_id: "fall".to_owned(),
        version: 3,
        title: "\u{201c}fall\u{201d}".to_owned(),
        enabled: true,
        severity: Severity::Critical,
        watch: Watch::Drawdown {
            account_id: AccountId::new("paper").ok(),
            share: Rate::parse("0.1").expect("a rate"),
            rearm: Rate::ZERO,
        },
        hold_ns: 5,
        cooldown_ns: 6,
        channels: vec!["desk".to_owned()],
        notify_resolved: true,
        updated: UnixNanos(7),
        updated_by: "ann".to_owned(),
    }
}

fn alert(number: u64) -> Alert {
    let mut alert = Alert {
        number,
        sequence: number,
        rule_id: "fall".to_owned(),
        rule_version: 3,
        subject: "paper".to_owned(),
        account_id: AccountId::new("paper").ok(),
        severity: Severity::Critical,
        state: AlertState::Firing,
        text: "fell".to_owned(),
        value: "0.1".to_owned(),
        ts_fired: UnixNanos(8),
        ts_acknowledged: None,
        acknowledged_by: String::new(),
        note: String::new(),
        ts_resolved: None,
        resolution: String::new(),
        deliveries: BTreeMap::new(),
    };
    alert.set_delivery(Notice::Fired, "desk", Delivery::Pending);
    alert
}

fn one<T: records::Kept>(records: &dyn Records) -> Found<T> {
    let mut found = every(records).expect("it can be read");
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn kept(backend: &dyn RecordsBackend) {
    let money = |text| Money::parse(text).expect("money");
    let mute = |rule_id: Option<&str>| AlertMute {
        rule_id: rule_id.map(str::to_owned),
        until_ns: 9,
        by: "ann".to_owned(),
        reason: "known".to_owned(),
        set_ns: 1,
    };
    let baseline = AlertBaseline {
        account_id: "paper".to_owned(),
        baseline: Baseline {
            day: UnixNanos(0),
            day_start: money("10.5"),
            highest: money("12"),
            last: money("11"),
        },
    };
    let records = open(backend);
    let changes = [
        storing(None, &head(1)).expect("a record"),
        storing(None, &rule()).expect("a record"),
        storing(None, &alert(1)).expect("a record"),
        storing(None, &mute(None)).expect("a record"),
        storing(None, &mute(Some("all"))).expect("a record"),
        storing(None, &baseline).expect("a record"),
    ];
    records.change(&changes).expect("they are new");
    drop(records);
    let records = open(backend);
    assert_eq!(one::<AlertHead>(&*records).value, head(1));
    assert_eq!(one::<Rule>(&*records).value, rule());
    assert_eq!(one::<AlertBaseline>(&*records).value, baseline);
    let found = one::<Alert>(&*records);
    assert_eq!(found.value, alert(1));
    // A rule may be called as all of them are.
    let mutes = every::<AlertMute>(&*records).expect("it can be read");
    let mutes: Vec<AlertMute> = mutes.into_iter().map(|found| found.value).collect();
    assert_eq!(mutes, [mute(None), mute(Some("all"))]);
    let mut acknowledged = found.value.clone();
    assert!(acknowledged.acknowledge(UnixNanos(10), "ann", "mine"));
    records::replace(&*records, &found, &acknowledged).expect("nobody changed it");
    assert_eq!(one::<Alert>(&*records).value, acknowledged);
}

fn one_head(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let first = records::insert(&*records, &head(0)).expect("it is new");
    let change = |number| {
        let changes = vec![records::putting(&alert(number)).expect("a record")];
        records::change_alerts(&*records, &first, &head(number), changes)
    };
    change(1).expect("nobody changed it");
    let outcome = change(2);
    assert!(
        matches!(outcome, Err(StorageError::Conflict { .. })),
        "{outcome:?}"
    );
    assert_eq!(
        one::<Alert>(&*records).value.number,
        1,
        "nothing was written"
    );
}

fn ordered(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for number in [2, 10, 9, 1_000_000_007] {
        records::insert(&*records, &alert(number)).expect("it is new");
    }
    let gone = [9, 11].map(records::forgetting_alert);
    records
        .change(&gone)
        .expect("what is not there is no error");
    let found = every::<Alert>(&*records).expect("it can be read");
    let numbers: Vec<u64> = found.iter().map(|found| found.value.number).collect();
    assert_eq!(numbers, [2, 10, 1_000_000_007]);
}

fn own(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let of = |user_id: &str, name: &str, version, value: &[u8]| Preference {
        user_id: user_id.to_owned(),
        name: name.to_owned(),
        version,
        value: Preference::encoded(value),
        updated_ns: 5,
    };
    for preference in [
        of("ann", "layout", 1, b"\0\xff"),
        of("ann", "hotkeys", 1, b"{}"),
        of("ann-b", "layout", 1, b"b"),
        of("an", "layout", 1, b"a"),
    ] {
        records::insert(&*records, &preference).expect("it is new");
    }
    let names = |limit| -> Vec<String> {
        let found = records::preferences(&*records, "ann", limit).expect("it can be read");
        found.into_iter().map(|found| found.value.name).collect()
    };
    assert_eq!(names(9), ["hotkeys", "layout"]);
    assert_eq!(names(1), ["hotkeys"]);
    let key = records::preference_key("ann", "layout");
    let found = records::find::<Preference>(&*records, &key).expect("it can be read");
    let found = found.expect("it is there");
    assert_eq!(found.value.bytes(), b"\0\xff");
    records::replace(&*records, &found, &of("ann", "layout", 2, b"new")).expect("unchanged");
    let stale = records::replace(&*records, &found, &of("ann", "layout", 2, b"old"));
    assert!(
        matches!(stale, Err(StorageError::Conflict { .. })),
        "{stale:?}"
    );
    let outcome = records::insert(&*records, &of("ann/b", "layout", 1, b""));
    assert!(
        matches!(outcome, Err(StorageError::BadName { .. })),
        "{outcome:?}"
    );
}
