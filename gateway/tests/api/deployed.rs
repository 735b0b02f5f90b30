//! Deployed strategies, at a desk that does what the test says.

mod desk;
mod events;
mod lists;

use self::desk::{Desk, key};
use crate::harness::{Authorized, BTC, Harness, soon};
use crate::orders::{fields, reason};
use apex_bus::strategies::StrategyDeskError;
use apex_domain::RequestId;
use apex_domain::access::ApiKey;
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::strategy_service_client::StrategyServiceClient;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Response, Status};

type Client = StrategyServiceClient<Authorized>;

async fn harness(desk: &Arc<Desk>) -> Harness {
    let desk = desk.clone();
    Harness::with(|options| {
        options.strategy_desk = Some(desk);
        options.limits.heartbeat = Duration::from_millis(50);
    })
    .await
}

async fn client(harness: &Harness) -> Client {
    StrategyServiceClient::new(harness.admin().await)
}

async fn as_role(harness: &Harness, role: Role) -> (Client, ApiKey) {
    let (token, key) = harness.user(role as u8 + 2, role, &["paper"]);
    (
        StrategyServiceClient::new(harness.as_token(&token).await),
        key,
    )
}

fn deploy() -> v1::DeployRequest {
    v1::DeployRequest {
        account_id: "paper".into(),
        strategy_id: "new".into(),
        strategy_type: "ema-cross".into(),
        instrument_ids: vec![BTC.into()],
        parameters: BTreeMap::from([("fast".into(), "3".into())]),
        mode: v1::StrategyMode::Paper.into(),
        restart_policy: v1::RestartPolicy::Never.into(),
        request_id: "r-1".into(),
    }
}

fn start(account: &str) -> v1::StartRequest {
    v1::StartRequest {
        account_id: account.into(),
        strategy_id: "ema-1".into(),
        request_id: "r-2".into(),
    }
}

fn pause(account: &str) -> v1::PauseRequest {
    v1::PauseRequest {
        account_id: account.into(),
        strategy_id: "ema-1".into(),
        working_orders: v1::WorkingOrders::Cancel.into(),
        request_id: "r-3".into(),
    }
}

fn stop(account: &str) -> v1::StopRequest {
    v1::StopRequest {
        account_id: account.into(),
        strategy_id: "ema-1".into(),
        working_orders: v1::WorkingOrders::Cancel.into(),
        close_positions: true,
        request_id: "r-4".into(),
    }
}

fn update(account: &str) -> v1::UpdateParametersRequest {
    v1::UpdateParametersRequest {
        account_id: account.into(),
        strategy_id: "ema-1".into(),
        expected_version: 7,
        parameters: BTreeMap::from([("quantity".into(), "2".into())]),
        reset: vec!["fast".into()],
        allow_restart: true,
        request_id: "r-5".into(),
    }
}

async fn code<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Code {
    soon(call)
        .await
        .map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Calls every method about one strategy of an account, and returns what became of each.
async fn all(client: &mut Client, account: &str) -> Vec<(&'static str, Code)> {
    let get = v1::GetStrategyRequest {
        account_id: account.into(),
        strategy_id: "ema-1".into(),
    };
    let list = v1::ListStrategiesRequest {
        account_id: account.into(),
        ..Default::default()
    };
    let versions = v1::ListStrategyVersionsRequest {
        account_id: account.into(),
        strategy_id: "ema-1".into(),
        ..Default::default()
    };
    let watch = v1::StreamStrategyEventsRequest {
        account_id: account.into(),
        ..Default::default()
    };
    let new = v1::DeployRequest {
        account_id: account.into(),
        ..deploy()
    };
    vec![
        ("Deploy", code(client.deploy(new)).await),
        ("Start", code(client.start(start(account))).await),
        (
            "UpdateParameters",
            code(client.update_parameters(update(account))).await,
        ),
        ("Pause", code(client.pause(pause(account))).await),
        ("Stop", code(client.stop(stop(account))).await),
        ("GetStrategy", code(client.get_strategy(get)).await),
        ("ListStrategies", code(client.list_strategies(list)).await),
        (
            "ListStrategyVersions",
            code(client.list_strategy_versions(versions)).await,
        ),
        (
            "StreamStrategyEvents",
            code(client.stream_strategy_events(watch)).await,
        ),
    ]
}

#[tokio::test]
async fn a_run_without_strategies_of_its_own_says_so() {
    let harness = Harness::start().await;
    let mut client = client(&harness).await;
    for (method, code) in all(&mut client, "paper").await {
        assert_eq!(code, Code::FailedPrecondition, "{method}");
    }
}

#[tokio::test]
async fn each_role_does_what_it_is_for_on_its_accounts_and_learns_nothing_of_others() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let trade = ["Deploy", "Start", "UpdateParameters"];
    let calm = ["Pause", "Stop"];
    for role in [
        Role::Viewer,
        Role::Trader,
        Role::Risk,
        Role::Ops,
        Role::Admin,
    ] {
        let (mut client, _) = as_role(&harness, role).await;
        for (method, code) in all(&mut client, "paper").await {
            let may = if trade.contains(&method) {
                matches!(role, Role::Trader | Role::Admin)
            } else if calm.contains(&method) {
                matches!(role, Role::Trader | Role::Risk | Role::Admin)
            } else {
                true
            };
            let expected = if may {
                Code::Ok
            } else {
                Code::PermissionDenied
            };
            assert_eq!(code, expected, "{method} as {role:?}");
        }
        // One that there is and one that there is not are the same to who has neither.
        desk.asked();
        for account in ["other", "nowhere"] {
            for (method, code) in all(&mut client, account).await {
                assert_eq!(
                    code,
                    Code::PermissionDenied,
                    "{method} of {account} as {role:?}"
                );
            }
        }
        assert!(
            desk.asked().is_empty(),
            "the desk was asked about a foreign account"
        );
    }
}

#[tokio::test]
async fn what_is_asked_reaches_the_desk_as_it_was_meant() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
    let deployed = client.deploy(deploy()).await.unwrap().into_inner();
    assert_eq!(deployed.state(), v1::StrategyState::Deployed);
    assert_eq!(deployed.version.unwrap().version, 7);
    client.start(start("paper")).await.unwrap();
    let keep = v1::PauseRequest {
        working_orders: v1::WorkingOrders::Keep.into(),
        ..pause("paper")
    };
    client.pause(keep).await.unwrap();
    let paused = client.pause(pause("paper")).await.unwrap().into_inner();
    assert_eq!(paused.strategy.unwrap().state(), v1::StrategyState::Paused);
    let stopped = client.stop(stop("paper")).await.unwrap().into_inner();
    assert!(stopped.closing);
    let updated = client.update_parameters(update("paper")).await.unwrap();
    assert_eq!(updated.into_inner().applied(), v1::ParametersApplied::Live);
    assert_eq!(
        desk.asked(),
        [
            "StrategyService/Deploy admin r-1: ema-cross [\"BTCUSDT.SIM\"] {\"fast\": \"3\"} Never",
            "StrategyService/Start admin r-2",
            "StrategyService/Pause admin r-3: cancel false",
            "StrategyService/Pause admin r-3: cancel true",
            "StrategyService/Stop admin r-4: WindDown { cancel: true, close: true }",
            "StrategyService/UpdateParameters admin r-5: 7 {\"quantity\": \"2\"} [\"fast\"] true",
        ]
    );
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once_and_nothing_is_asked() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
    let bad = v1::DeployRequest {
        account_id: "a b".into(),
        strategy_id: String::new(),
        strategy_type: String::new(),
        instrument_ids: vec!["NONE.SIM".into(), BTC.into(), BTC.into(), "a b".into()],
        parameters: BTreeMap::from([("fast".into(), "9".repeat(10_000))]),
        mode: 0,
        restart_policy: 99,
        request_id: String::new(),
    };
    let refused = client.deploy(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&refused),
        [
            "account_id",
            "strategy_id",
            "request_id",
            "strategy_type",
            "parameters",
            "instrument_ids[0]",
            "instrument_ids[2]",
            "instrument_ids[3]",
            "mode",
            "restart_policy",
        ]
    );
    assert!(refused.message().len() < 2_000, "foreign text is cut");
    let refused = client.start(v1::StartRequest::default()).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        ["account_id", "strategy_id", "request_id"]
    );
    for orders in [0, 99] {
        let silent = v1::PauseRequest {
            working_orders: orders,
            ..pause("paper")
        };
        let refused = client.pause(silent).await.unwrap_err();
        assert_eq!(fields(&refused), ["working_orders"], "{orders}");
        let silent = v1::StopRequest {
            working_orders: orders,
            ..stop("paper")
        };
        let refused = client.stop(silent).await.unwrap_err();
        assert_eq!(fields(&refused), ["working_orders"], "{orders}");
    }
    let keeps_and_closes = v1::StopRequest {
        working_orders: v1::WorkingOrders::Keep.into(),
        ..stop("paper")
    };
    let refused = client.stop(keeps_and_closes).await.unwrap_err();
    assert_eq!(fields(&refused), ["working_orders"]);
    let both_ways = v1::UpdateParametersRequest {
        expected_version: 0,
        reset: vec!["quantity".into()],
        ..update("paper")
    };
    let refused = client.update_parameters(both_ways).await.unwrap_err();
    assert_eq!(fields(&refused), ["expected_version", "reset[0]"]);
    let nothing = v1::UpdateParametersRequest {
        parameters: BTreeMap::new(),
        reset: Vec::new(),
        ..update("paper")
    };
    let refused = client.update_parameters(nothing).await.unwrap_err();
    assert_eq!(fields(&refused), ["parameters"]);
    for mode in [v1::StrategyMode::Live, v1::StrategyMode::Shadow] {
        let mode = mode.into();
        let refused = client
            .deploy(v1::DeployRequest { mode, ..deploy() })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(reason(&refused), "MODE_NOT_AVAILABLE");
    }
    assert!(desk.asked().is_empty());
}

#[tokio::test]
async fn every_refusal_of_the_desk_has_its_status() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
    let (account_id, strategy_id) = key("paper", "ema-9");
    let named = (account_id.clone(), strategy_id.clone());
    for (error, code, expected) in [
        (
            StrategyDeskError::NotFound {
                account_id: named.0.clone(),
                strategy_id: named.1.clone(),
            },
            Code::NotFound,
            "STRATEGY_NOT_FOUND",
        ),
        (
            StrategyDeskError::Exists {
                account_id,
                strategy_id: strategy_id.clone(),
            },
            Code::AlreadyExists,
            "STRATEGY_EXISTS",
        ),
        (
            StrategyDeskError::RequestTaken(RequestId::new("r").unwrap()),
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
        ),
        (
            StrategyDeskError::StaleVersion {
                strategy_id,
                expected: 1,
                actual: 2,
            },
            Code::Aborted,
            "STALE_VERSION",
        ),
        (
            StrategyDeskError::Rule {
                code: "ACCOUNT_HALTED",
                detail: "halted".into(),
            },
            Code::FailedPrecondition,
            "ACCOUNT_HALTED",
        ),
        (
            StrategyDeskError::NotKept("the disk is full".into()),
            Code::Unavailable,
            "NOT_WRITTEN",
        ),
        (
            StrategyDeskError::Stopping,
            Code::Unavailable,
            "SHUTTING_DOWN",
        ),
    ] {
        *desk.refuses.lock().unwrap() = Some(error);
        let refused = client.start(start("paper")).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (code, expected)
        );
    }
    let wrong = [
        ("parameters[fast]", "is low"),
        ("parameters[mode]", "is odd"),
    ];
    let wrong = wrong.map(|(field, detail)| (field.to_owned(), detail.to_owned()));
    *desk.refuses.lock().unwrap() = Some(StrategyDeskError::Invalid(wrong.into()));
    let refused = client.deploy(deploy()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["parameters[fast]", "parameters[mode]"]);
}
