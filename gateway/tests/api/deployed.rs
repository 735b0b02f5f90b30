//! Deployed strategies, at a desk that does what the test says.

use crate::harness::{Authorized, BTC, Harness, resting, soon};
use crate::orders::{fields, reason};
use apex_bus::strategies::{
    Applied, Asked, BudgetUse, LogLine, NewStrategy, ParameterChange, ParameterInfo, ParameterKind,
    StrategyAnswer, StrategyDesk, StrategyDeskError, StrategyEvent, StrategyEventKind,
    StrategyEvents, StrategyInfo, StrategyKey, StrategyTypeInfo, VersionInfo, WindDown, WoundDown,
};
use apex_domain::deployment::{DeploymentState, RestartPolicy};
use apex_domain::{AccountId, RequestId, StrategyId, UnixNanos};
use apex_gateway::auth::{KeyRecord, Role};
use apex_proto::v1;
use apex_proto::v1::strategy_service_client::StrategyServiceClient;
use apex_proto::v1::stream_strategy_events_response::Item;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::{Code, Response, Status};

type Client = StrategyServiceClient<Authorized>;

#[derive(Debug)]
struct Desk {
    strategies: Vec<StrategyInfo>,
    events: StrategyEvents,
    refuses: Mutex<Option<StrategyDeskError>>,
    asked: Mutex<Vec<String>>,
}

pub fn key(account: &str, strategy: &str) -> StrategyKey {
    let account_id = AccountId::new(account).unwrap();
    (account_id, StrategyId::new(strategy).unwrap())
}

fn version(version: u32) -> VersionInfo {
    VersionInfo {
        version,
        content_hash: "ab".repeat(32),
        code_version: "1".into(),
        instruments: vec![BTC.into()],
        parameters: BTreeMap::from([("fast".into(), version.to_string())]),
        by: "ann".into(),
        created: UnixNanos(3),
    }
}

fn strategy(account: &str, id: &str, state: DeploymentState) -> StrategyInfo {
    StrategyInfo {
        key: key(account, id),
        strategy_type: "ema-cross".into(),
        state,
        reason: String::new(),
        restart: RestartPolicy::OnFailure,
        version: version(7),
        connected: true,
        restarts: 2,
        by: "ann".into(),
        created: UnixNanos(1),
        changed: UnixNanos(2),
    }
}

impl Desk {
    fn new() -> Arc<Desk> {
        use DeploymentState::{Paused, Quarantined, Running};
        Arc::new(Desk {
            strategies: vec![
                strategy("other", "ema-1", Running),
                strategy("paper", "ema-1", Running),
                strategy("paper", "ema-2", Paused),
                strategy("paper", "ema-3", Quarantined),
            ],
            events: StrategyEvents::new(UnixNanos(5)),
            refuses: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answer<T: Send + 'static>(&self, what: String, answer: T) -> StrategyAnswer<'_, T> {
        self.asked.lock().unwrap().push(what);
        let refuses = self.refuses.lock().unwrap().clone();
        Box::pin(async move { refuses.map_or(Ok(answer), Err) })
    }

    fn happens(&self, account: &str, id: &str, kind: StrategyEventKind) {
        let (account_id, strategy_id) = key(account, id);
        self.events.push(StrategyEvent {
            sequence: 0,
            ts: UnixNanos(9),
            account_id,
            strategy_id,
            kind,
            by: String::new(),
            text: format!("of {account}"),
        });
    }
}

fn who(asked: &Asked) -> String {
    format!("{} {} {}", asked.method, asked.user_id, asked.request_id)
}

impl StrategyDesk for Desk {
    fn types(&self) -> Vec<StrategyTypeInfo> {
        let parameter = |name: &str, kind| ParameterInfo {
            name: name.into(),
            kind,
            default: Some("10".into()),
            min: Some("1".into()),
            max: None,
            unit: Some("ms".into()),
            live: true,
            help: "A help.".into(),
        };
        ["a-type", "b-type"]
            .map(|name| StrategyTypeInfo {
                name: name.into(),
                help: "What it does.".into(),
                code_version: "1".into(),
                parameters: vec![
                    parameter("fast", ParameterKind::Integer),
                    parameter("mode", ParameterKind::Choice(vec!["x".into(), "y".into()])),
                ],
            })
            .into()
    }

    fn list(&self) -> Vec<StrategyInfo> {
        self.strategies.clone()
    }

    fn get(&self, key: &StrategyKey) -> Option<StrategyInfo> {
        self.strategies.iter().find(|it| it.key == *key).cloned()
    }

    fn versions(
        &self,
        _: &StrategyKey,
        before: u32,
        limit: usize,
    ) -> StrategyAnswer<'_, Vec<VersionInfo>> {
        let before = if before == 0 { 8 } else { before };
        let all = (1..before).rev().take(limit).map(version);
        self.answer("versions".into(), all.collect())
    }

    fn usage(&self, _: &StrategyKey) -> StrategyAnswer<'_, Option<BudgetUse>> {
        let used = BudgetUse {
            orders_in_last_second: 3,
            orders_per_second: 500,
            messages_in_last_second: 4,
            messages_per_second: 1_000,
            unanswered_batches: 1,
            window: 2,
            oldest_unanswered_ns: 5,
            answer_timeout_ns: 2_000,
        };
        self.answer("usage".into(), Some(used))
    }

    fn events(&self) -> StrategyEvents {
        self.events.clone()
    }

    fn deploy(&self, asked: Asked, new: NewStrategy) -> StrategyAnswer<'_, StrategyInfo> {
        let what = format!(
            "{}: {} {:?} {:?} {:?}",
            who(&asked),
            new.strategy_type,
            new.instruments,
            new.parameters,
            new.restart
        );
        let (account, id) = (new.key.0.as_str(), new.key.1.as_str());
        self.answer(what, strategy(account, id, DeploymentState::Deployed))
    }

    fn start(&self, asked: Asked, key: StrategyKey) -> StrategyAnswer<'_, StrategyInfo> {
        let started = strategy(key.0.as_str(), key.1.as_str(), DeploymentState::Starting);
        self.answer(who(&asked), started)
    }

    fn pause(&self, asked: Asked, key: StrategyKey, cancel: bool) -> StrategyAnswer<'_, WoundDown> {
        let paused = strategy(key.0.as_str(), key.1.as_str(), DeploymentState::Paused);
        let wound = WoundDown {
            strategy: paused,
            canceled: Vec::new(),
            closing: false,
        };
        self.answer(format!("{}: cancel {cancel}", who(&asked)), wound)
    }

    fn stop(
        &self,
        asked: Asked,
        key: StrategyKey,
        wind: WindDown,
    ) -> StrategyAnswer<'_, WoundDown> {
        let stopped = strategy(key.0.as_str(), key.1.as_str(), DeploymentState::Stopped);
        let wound = WoundDown {
            strategy: stopped,
            canceled: Vec::new(),
            closing: wind.close,
        };
        self.answer(format!("{}: {wind:?}", who(&asked)), wound)
    }

    fn update(
        &self,
        asked: Asked,
        change: ParameterChange,
    ) -> StrategyAnswer<'_, (StrategyInfo, Applied)> {
        let what = format!(
            "{}: {} {:?} {:?} {}",
            who(&asked),
            change.expected_version,
            change.set,
            change.reset,
            change.allow_restart
        );
        let info = strategy(
            change.key.0.as_str(),
            change.key.1.as_str(),
            DeploymentState::Running,
        );
        self.answer(what, (info, Applied::Live))
    }
}

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

async fn as_role(harness: &Harness, role: Role) -> (Client, KeyRecord) {
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

#[tokio::test]
async fn lists_are_narrowed_and_paged() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
    let ids = |answer: &v1::ListStrategiesResponse| -> Vec<String> {
        let ids = answer.strategies.iter();
        ids.map(|it| format!("{}/{}", it.account_id, it.strategy_id))
            .collect()
    };
    let all = ["other/ema-1", "paper/ema-1", "paper/ema-2", "paper/ema-3"];
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListStrategiesRequest {
            page_size: 3,
            page_token,
            ..Default::default()
        };
        let answer = client.list_strategies(request).await.unwrap().into_inner();
        found.extend(ids(&answer));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, all);
    let states = [
        v1::StrategyState::Paused.into(),
        v1::StrategyState::Quarantined.into(),
    ];
    let narrowed = v1::ListStrategiesRequest {
        states: states.into(),
        ..Default::default()
    };
    let answer = client.list_strategies(narrowed).await.unwrap().into_inner();
    assert_eq!(ids(&answer), ["paper/ema-2", "paper/ema-3"]);
    let other_type = v1::ListStrategiesRequest {
        strategy_type: "other".into(),
        ..Default::default()
    };
    assert!(
        client
            .list_strategies(other_type)
            .await
            .unwrap()
            .into_inner()
            .strategies
            .is_empty()
    );
    let (mut trader, _) = as_role(&harness, Role::Trader).await;
    let answer = trader
        .list_strategies(v1::ListStrategiesRequest::default())
        .await;
    assert_eq!(ids(&answer.unwrap().into_inner()), all[1..]);
    for (bad, field) in [
        (
            v1::ListStrategiesRequest {
                page_size: -1,
                ..Default::default()
            },
            "page_size",
        ),
        (
            v1::ListStrategiesRequest {
                page_token: "x".into(),
                ..Default::default()
            },
            "page_token",
        ),
        (
            v1::ListStrategiesRequest {
                states: vec![2, 0],
                ..Default::default()
            },
            "states[1]",
        ),
    ] {
        assert_eq!(
            fields(&client.list_strategies(bad).await.unwrap_err()),
            [field]
        );
    }
    let (mut versions, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListStrategyVersionsRequest {
            account_id: "paper".into(),
            strategy_id: "ema-1".into(),
            page_size: 3,
            page_token,
        };
        let answer = client
            .list_strategy_versions(request)
            .await
            .unwrap()
            .into_inner();
        versions.extend(answer.versions.iter().map(|it| it.version));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(versions, [7, 6, 5, 4, 3, 2, 1]);
    let request = v1::ListStrategyTypesRequest {
        page_size: 1,
        ..Default::default()
    };
    let first = client
        .list_strategy_types(request)
        .await
        .unwrap()
        .into_inner();
    let parameter = &first.strategy_types[0].parameters[1];
    assert_eq!(
        (parameter.kind(), parameter.choices.len()),
        (v1::ParameterKind::Choice, 2)
    );
    let request = v1::ListStrategyTypesRequest {
        page_size: 1,
        page_token: first.next_page_token,
    };
    let last = client
        .list_strategy_types(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            last.strategy_types[0].strategy_type.as_str(),
            &*last.next_page_token
        ),
        ("b-type", "")
    );
}

#[tokio::test]
async fn a_strategy_is_shown_with_its_orders_and_its_budget() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut orders = harness.orders().await;
    for (name, owner) in [("a", "ema-1"), ("b", "ema-1"), ("c", "ema-2")] {
        let request = v1::SubmitOrderRequest {
            strategy_id: owner.into(),
            ..resting(name)
        };
        orders.submit_order(request).await.unwrap();
    }
    let mut client = client(&harness).await;
    let get = |strategy_id: &str| v1::GetStrategyRequest {
        account_id: "paper".into(),
        strategy_id: strategy_id.into(),
    };
    let found = client
        .get_strategy(get("ema-1"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.working_orders, 2);
    assert_eq!(found.trading_state(), v1::TradingState::Active);
    let budget = found.budget.unwrap();
    assert_eq!(
        (budget.orders_in_last_second, budget.orders_per_second),
        (3, 500)
    );
    let shown = found.strategy.unwrap();
    assert_eq!((shown.restarts, shown.connected), (2, true));
    let missing = client.get_strategy(get("ema-l")).await.unwrap_err();
    assert_eq!(reason(&missing), "STRATEGY_NOT_FOUND");
    assert!(missing.message().contains("ema-1"), "{}", missing.message());
}

#[tokio::test]
async fn events_are_streamed_to_who_may_see_them_and_resumed_without_a_gap_or_a_repeat() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let (mut client, _) = as_role(&harness, Role::Viewer).await;
    let open = |resume_token: &str| v1::StreamStrategyEventsRequest {
        resume_token: resume_token.into(),
        ..Default::default()
    };
    desk.happens("paper", "ema-1", StrategyEventKind::Deployed { version: 1 });
    let mut stream = soon(client.stream_strategy_events(open("")))
        .await
        .unwrap()
        .into_inner();
    let running = StrategyEventKind::StateChanged {
        state: DeploymentState::Running,
    };
    for (account, kind) in [
        ("other", running.clone()),
        ("paper", running),
        ("paper", StrategyEventKind::Log(LogLine::Warn)),
    ] {
        desk.happens(account, "ema-1", kind);
    }
    let (mut seen, mut token, mut beats) = (Vec::new(), String::new(), 0);
    while seen.len() < 2 || beats < 2 {
        let message = soon(stream.message())
            .await
            .unwrap()
            .expect("the stream goes on");
        match message.item {
            Some(Item::Event(event)) => {
                if seen.is_empty() {
                    token = message.resume_token;
                }
                seen.push(event);
            }
            Some(Item::Heartbeat(_)) => beats += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen[0].state(), v1::StrategyState::Running);
    assert_eq!((seen[0].sequence, seen[0].text.as_str()), (3, "of paper"));
    assert_eq!((seen[1].sequence, seen[1].level()), (4, v1::LogLevel::Warn));
    drop(stream);
    let mut again = soon(client.stream_strategy_events(open(&token)))
        .await
        .unwrap()
        .into_inner();
    let next = soon(async {
        loop {
            let message = again.message().await.unwrap().expect("the stream goes on");
            if let Some(Item::Event(event)) = message.item {
                return event;
            }
        }
    });
    assert_eq!(next.await.sequence, 4);
    // Of another start of the platform.
    let mut other = soon(client.stream_strategy_events(open("1:99")))
        .await
        .unwrap()
        .into_inner();
    let first = soon(other.message()).await.unwrap().unwrap();
    assert!(
        matches!(first.item, Some(Item::Gap(gap)) if gap.events == 0 && !gap.reason.is_empty())
    );
    let bad = client.stream_strategy_events(open("x")).await.unwrap_err();
    assert_eq!(fields(&bad), ["resume_token"]);
}

#[tokio::test]
async fn more_events_than_one_read_takes_are_all_sent() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
    let all = v1::StreamStrategyEventsRequest {
        resume_token: "5:0".into(),
        ..Default::default()
    };
    for _ in 0..1_000 {
        desk.happens("paper", "ema-1", StrategyEventKind::Log(LogLine::Info));
    }
    let mut stream = soon(client.stream_strategy_events(all))
        .await
        .unwrap()
        .into_inner();
    let mut last = 0;
    while last < 1_000 {
        let message = soon(stream.message())
            .await
            .unwrap()
            .expect("the stream goes on");
        if let Some(Item::Event(event)) = message.item {
            assert_eq!(event.sequence, last + 1);
            last = event.sequence;
        }
    }
}

#[tokio::test]
async fn a_revoked_key_ends_its_stream() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let (mut client, key) = as_role(&harness, Role::Viewer).await;
    let all = v1::StreamStrategyEventsRequest::default();
    let mut stream = soon(client.stream_strategy_events(all))
        .await
        .unwrap()
        .into_inner();
    harness.keys.put(KeyRecord {
        revoked: true,
        ..key
    });
    let end = soon(async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    });
    assert_eq!(end.await.code(), Code::Unauthenticated);
}
