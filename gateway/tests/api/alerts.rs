//! Alerts, at a desk that does what the test says.

use crate::harness::{Authorized, Harness, soon};
use crate::orders::{fields, reason};
use apex_bus::alerts::{
    AlertAnswer, AlertCommand, AlertDesk, AlertError, AlertReply, AlertRequest, AlertsView,
    ChannelState, ChannelTest,
};
use apex_domain::access::ApiKey;
use apex_domain::alert::{Alert, AlertState, Rule, Severity, Watch};
use apex_domain::{AccountId, UnixNanos};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::stream_alerts_response::Item;
use apex_proto::v1::system_service_client::SystemServiceClient;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tonic::{Code, Streaming};

pub struct Desk {
    shown: watch::Sender<Arc<AlertsView>>,
    pub asked: Mutex<Vec<AlertRequest>>,
    pub error: Mutex<Option<AlertError>>,
}

impl Desk {
    fn new() -> Arc<Desk> {
        let view = AlertsView {
            origin: "ab".into(),
            channels: vec![ChannelState {
                name: "webhook".into(),
                ..ChannelState::default()
            }],
            ..AlertsView::default()
        };
        Arc::new(Desk {
            shown: watch::channel(Arc::new(view)).0,
            asked: Mutex::default(),
            error: Mutex::default(),
        })
    }

    /// Shows an alert of an account, or of none, as it is now.
    fn put(&self, number: u64, account: Option<&str>, state: AlertState) {
        self.shown.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.sequence += 1;
            let mut alert = alert(number, account);
            alert.sequence = view.sequence;
            alert.state = state;
            view.alerts.insert(number, Arc::new(alert));
        });
    }

    pub fn put_rule(&self, rule_id: &str, account: Option<&str>) {
        let rule = Rule {
            rule_id: rule_id.into(),
            version: 1,
            title: String::new(),
            enabled: true,
            severity: Severity::Info,
            watch: Watch::Rejects {
                account_id: account.map(|id| AccountId::new(id).unwrap()),
                count: 1,
                window_ns: 1,
            },
            hold_ns: 0,
            cooldown_ns: 0,
            channels: Vec::new(),
            notify_resolved: false,
            updated: UnixNanos(1),
            updated_by: "ann".into(),
        };
        self.shown.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.rules.insert(rule_id.into(), Arc::new(rule));
        });
    }
}

fn alert(number: u64, account: Option<&str>) -> Alert {
    Alert {
        number,
        sequence: 0,
        rule_id: "r".into(),
        rule_version: 1,
        subject: "it".into(),
        account_id: account.map(|id| AccountId::new(id).unwrap()),
        severity: Severity::Warning,
        state: AlertState::Firing,
        text: "it is so".into(),
        value: "1".into(),
        ts_fired: UnixNanos(number as i64),
        ts_acknowledged: None,
        acknowledged_by: String::new(),
        note: String::new(),
        ts_resolved: None,
        resolution: String::new(),
        deliveries: BTreeMap::new(),
    }
}

impl AlertDesk for Desk {
    fn view(&self) -> watch::Receiver<Arc<AlertsView>> {
        self.shown.subscribe()
    }

    fn change(&self, request: AlertRequest) -> AlertAnswer<'_, AlertReply> {
        let reply = match &request.command {
            AlertCommand::Acknowledge { number, .. } => {
                AlertReply::Alert(Box::new(alert(*number, None)))
            }
            AlertCommand::SetRule { rule, .. } => AlertReply::Rule(rule.clone()),
            AlertCommand::RemoveRule { .. } => AlertReply::Removed,
            AlertCommand::Mute(mute) => AlertReply::Muted(mute.clone()),
        };
        self.asked.lock().unwrap().push(request);
        let answer = match self.error.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(reply),
        };
        Box::pin(async { answer })
    }

    fn test(&self, _: String, _: String) -> AlertAnswer<'_, ChannelTest> {
        Box::pin(async {
            Ok(ChannelTest {
                error: Some("no".into()),
                took_ns: 7,
            })
        })
    }
}

pub async fn start() -> (Harness, Arc<Desk>) {
    let desk = Desk::new();
    let own = desk.clone();
    let harness = Harness::with(|options| options.alerts = Some(own)).await;
    (harness, desk)
}

pub type System = SystemServiceClient<Authorized>;

pub async fn system(
    harness: &Harness,
    seed: u8,
    role: Role,
    accounts: &[&str],
) -> (System, ApiKey) {
    let (token, key) = harness.user(seed, role, accounts);
    (System::new(harness.as_token(&token).await), key)
}

async fn stream(system: &mut System, token: &str) -> Streaming<v1::StreamAlertsResponse> {
    let request = v1::StreamAlertsRequest {
        resume_token: token.into(),
    };
    soon(system.stream_alerts(request))
        .await
        .unwrap()
        .into_inner()
}

/// Returns the number and state of the next alert, and the token behind it.
async fn next(
    stream: &mut Streaming<v1::StreamAlertsResponse>,
) -> (String, v1::AlertState, String) {
    soon(async {
        loop {
            let message = stream.message().await.unwrap().expect("the stream goes on");
            if let Some(Item::Alert(alert)) = message.item {
                return (alert.alert_id.clone(), alert.state(), message.resume_token);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stream_tells_what_is_open_then_each_change_and_goes_on_where_it_was_cut() {
    let (harness, desk) = start().await;
    desk.put(1, None, AlertState::Resolved);
    desk.put(2, None, AlertState::Firing);
    desk.put(3, Some("other"), AlertState::Firing);
    let (mut client, _) = system(&harness, 2, Role::Viewer, &["paper"]).await;
    let mut first = stream(&mut client, "").await;
    let firing = v1::AlertState::Firing;
    assert_eq!(
        next(&mut first).await,
        ("ab-2".into(), firing, "ab:2".into())
    );
    desk.put(4, Some("paper"), AlertState::Firing);
    let (id, _, token) = next(&mut first).await;
    assert_eq!((id.as_str(), token.as_str()), ("ab-4", "ab:4"));
    drop(first);
    desk.put(2, None, AlertState::Acknowledged);
    desk.put(2, None, AlertState::Resolved);
    desk.put(5, None, AlertState::Firing);
    let mut resumed = stream(&mut client, &token).await;
    let resolved = v1::AlertState::Resolved;
    assert_eq!(
        next(&mut resumed).await,
        ("ab-2".into(), resolved, "ab:6".into())
    );
    assert_eq!(next(&mut resumed).await.0, "ab-5");
    // Of other alerts, as of a folder that was made anew: what is open.
    let mut other = stream(&mut client, "cd:99").await;
    assert_eq!(next(&mut other).await.0, "ab-4");
    let bad = v1::StreamAlertsRequest {
        resume_token: "x".into(),
    };
    let refused = client.stream_alerts(bad).await.unwrap_err();
    assert_eq!(fields(&refused), ["resume_token"]);
}

#[tokio::test]
async fn a_stream_of_a_revoked_key_is_cut_with_its_reason() {
    let desk = Desk::new();
    let own = desk.clone();
    let harness = Harness::with(|options| {
        options.alerts = Some(own);
        options.limits.heartbeat = std::time::Duration::from_millis(20);
    })
    .await;
    let (mut client, key) = system(&harness, 2, Role::Viewer, &[]).await;
    let mut cut = stream(&mut client, "").await;
    let message = soon(cut.message()).await.unwrap().unwrap();
    assert!(matches!(message.item, Some(Item::Heartbeat(_))));
    harness.revoke(key);
    let end = soon(async {
        loop {
            if let Err(end) = cut.message().await {
                return end;
            }
        }
    });
    assert_eq!(end.await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_list_shows_what_may_be_seen_in_pages() {
    let (harness, desk) = start().await;
    for number in 1..=5 {
        desk.put(number, None, AlertState::Firing);
    }
    desk.put(6, Some("other"), AlertState::Firing);
    desk.put(4, None, AlertState::Resolved);
    let (mut client, _) = system(&harness, 2, Role::Viewer, &["paper"]).await;
    let mut found = Vec::new();
    let mut request = v1::ListAlertsRequest {
        page_size: 2,
        ..Default::default()
    };
    loop {
        let page = client
            .list_alerts(request.clone())
            .await
            .unwrap()
            .into_inner();
        found.extend(page.alerts.into_iter().map(|alert| alert.alert_id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["ab-5", "ab-4", "ab-3", "ab-2", "ab-1"]);
    let filtered = v1::ListAlertsRequest {
        open_only: true,
        from_ns: 3,
        to_ns: 5,
        ..Default::default()
    };
    let page = client.list_alerts(filtered).await.unwrap().into_inner();
    let ids: Vec<&str> = page
        .alerts
        .iter()
        .map(|alert| alert.alert_id.as_str())
        .collect();
    assert_eq!(ids, ["ab-3"]);
    let foreign = v1::ListAlertsRequest {
        account_id: "other".into(),
        ..Default::default()
    };
    let refused = client.list_alerts(foreign).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCOUNT_NOT_GRANTED");
    let wrong = v1::ListAlertsRequest {
        state: 77,
        min_severity: -1,
        account_id: "a b".into(),
        from_ns: 5,
        to_ns: 5,
        ..Default::default()
    };
    let refused = client.list_alerts(wrong).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        ["state", "min_severity", "account_id", "to_ns"]
    );
}

fn ack(alert_id: &str) -> v1::AckAlertRequest {
    v1::AckAlertRequest {
        alert_id: alert_id.into(),
        request_id: "q".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_alert_is_acknowledged_by_whom_it_is_granted_to() {
    let (harness, desk) = start().await;
    desk.put(1, Some("paper"), AlertState::Firing);
    desk.put(2, Some("other"), AlertState::Firing);
    let (mut viewer, _) = system(&harness, 2, Role::Viewer, &["paper"]).await;
    let refused = viewer.ack_alert(ack("ab-1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    for (seed, role) in [(3, Role::Trader), (4, Role::Risk), (5, Role::Ops)] {
        let (mut client, _) = system(&harness, seed, role, &["paper"]).await;
        client.ack_alert(ack("ab-1")).await.unwrap();
        // Whether there is one is not told.
        for id in ["ab-2", "ab-9", "cd-1", ""] {
            let refused = client.ack_alert(ack(id)).await.unwrap_err();
            assert_eq!(reason(&refused), "ALERT_NOT_FOUND", "{id}");
        }
    }
    assert_eq!(desk.asked.lock().unwrap().len(), 3);
    let (mut risk, _) = system(&harness, 6, Role::Risk, &["paper"]).await;
    let wrong = v1::AckAlertRequest {
        request_id: String::new(),
        note: "x".repeat(300),
        ..ack("ab-1")
    };
    let refused = risk.ack_alert(wrong).await.unwrap_err();
    assert_eq!(fields(&refused), ["request_id", "note"]);
}
