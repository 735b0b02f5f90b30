//! What is told of deployed strategies.

use super::desk::Desk;
use super::{as_role, client, harness};
use crate::harness::resting;
use crate::orders::{fields, reason};
use apex_gateway::auth::Role;
use apex_proto::v1;

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
}

#[tokio::test]
async fn versions_and_types_are_paged() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
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
