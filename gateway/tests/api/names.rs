//! Names that are not known, and ids that are used twice.

use crate::harness::{BTC, Harness, resting};
use crate::orders::{fields, reason};
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::risk_service_client::RiskServiceClient;
use std::collections::BTreeMap;
use tonic::{Code, Status};

fn check_not_found(status: &Status, wanted: (&str, &str), near: &str) {
    assert_eq!(status.code(), Code::NotFound);
    let (named, field) = (reason(status), fields(status));
    assert_eq!((named.as_str(), field[0].as_str()), wanted);
    let message = status.message();
    assert!(message.contains(near), "{message}");
}

#[tokio::test]
async fn a_cancel_of_all_refuses_names_that_are_not_known() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mine = v1::SubmitOrderRequest {
        strategy_id: "ema-cross".into(),
        ..resting("c-1")
    };
    orders.submit_order(mine).await.unwrap();
    let all = |instrument_id: &str, strategy_id: &str| v1::CancelAllOrdersRequest {
        account_id: "paper".into(),
        instrument_id: instrument_id.into(),
        strategy_id: strategy_id.into(),
        ..Default::default()
    };
    let refused = orders.cancel_all_orders(all("BTCUSD", "")).await;
    let wanted = ("INSTRUMENT_NOT_FOUND", "instrument_id");
    check_not_found(&refused.unwrap_err(), wanted, BTC);
    let refused = orders.cancel_all_orders(all(BTC, "ema-crss")).await;
    let wanted = ("STRATEGY_NOT_FOUND", "strategy_id");
    check_not_found(&refused.unwrap_err(), wanted, "\"ema-cross\"");
    let request = v1::CancelAllOrdersRequest {
        account_id: "papper".into(),
        ..Default::default()
    };
    let refused = orders.cancel_all_orders(request).await;
    let wanted = ("ACCOUNT_NOT_FOUND", "account_id");
    check_not_found(&refused.unwrap_err(), wanted, "\"paper\"");
    let canceled = orders.cancel_all_orders(all(BTC, "ema-cross")).await;
    assert_eq!(canceled.unwrap().into_inner().orders.len(), 1);
}

#[tokio::test]
async fn reads_closings_and_limits_refuse_unknown_instruments() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let mut risk = RiskServiceClient::new(harness.admin().await);
    let list = v1::ListOrdersRequest {
        instrument_id: "BTCUSDX.SIM".into(),
        ..Default::default()
    };
    let positions = v1::ListPositionsRequest {
        instrument_id: "BTCUSDX.SIM".into(),
        ..Default::default()
    };
    let close = v1::ClosePositionRequest {
        account_id: "paper".into(),
        instrument_id: "BTCUSDX.SIM".into(),
        request_id: "r".into(),
        ..Default::default()
    };
    let limits = v1::Limits {
        instrument_exposure: BTreeMap::from([("BTCUSDX.SIM".to_owned(), "5".to_owned())]),
        ..Default::default()
    };
    let set = v1::SetLimitsRequest {
        account_id: "paper".into(),
        request_id: "l".into(),
        limits: Some(limits),
        ..Default::default()
    };
    let refused = [
        (orders.list_orders(list).await.unwrap_err(), "instrument_id"),
        (
            accounts.list_positions(positions).await.unwrap_err(),
            "instrument_id",
        ),
        (
            risk.set_limits(set).await.unwrap_err(),
            "limits.instrument_exposure",
        ),
    ];
    for (status, field) in refused {
        check_not_found(&status, ("INSTRUMENT_NOT_FOUND", field), BTC);
    }
    // What is to be traded is a field that cannot be taken, with the same advice.
    let submit = v1::SubmitOrderRequest {
        instrument_id: "BTCUSDX.SIM".into(),
        ..resting("c-1")
    };
    for status in [
        orders.close_position(close).await.unwrap_err(),
        orders.preview_order(submit.clone()).await.unwrap_err(),
        orders.submit_order(submit).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(fields(&status), ["instrument_id"]);
        assert!(status.message().contains(BTC), "{}", status.message());
    }
}

#[tokio::test]
async fn lists_and_streams_refuse_strategies_that_nobody_has_heard_of() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mine = v1::SubmitOrderRequest {
        strategy_id: "ema-cross".into(),
        ..resting("c-1")
    };
    orders.submit_order(mine).await.unwrap();
    let list = |strategy_id: &str| v1::ListOrdersRequest {
        strategy_id: strategy_id.into(),
        ..Default::default()
    };
    let stream = |instrument_id: &str, strategy_id: &str| v1::StreamOrdersRequest {
        instrument_id: instrument_id.into(),
        strategy_id: strategy_id.into(),
        ..Default::default()
    };
    for refused in [
        orders.list_orders(list("ema-crss")).await.unwrap_err(),
        orders
            .stream_orders(stream("", "ema-crss"))
            .await
            .unwrap_err(),
    ] {
        let wanted = ("STRATEGY_NOT_FOUND", "strategy_id");
        check_not_found(&refused, wanted, "\"ema-cross\"");
    }
    let refused = orders.stream_orders(stream("BTCUSDX.SIM", "")).await;
    let wanted = ("INSTRUMENT_NOT_FOUND", "instrument_id");
    check_not_found(&refused.unwrap_err(), wanted, BTC);
    let listed = orders.list_orders(list("ema-cross")).await.unwrap();
    assert_eq!(listed.into_inner().orders.len(), 1);
    // A person may have no order yet.
    let listed = orders.list_orders(list("MANUAL")).await.unwrap();
    assert_eq!(listed.into_inner().orders.len(), 0);
    orders
        .stream_orders(stream(BTC, "ema-cross"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_id_with_another_content_already_exists() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let mut risk = RiskServiceClient::new(harness.admin().await);
    for client in ["a", "b"] {
        orders.submit_order(resting(client)).await.unwrap();
    }
    let amend = |client: &str, quantity: &str| v1::AmendOrderRequest {
        account_id: "paper".into(),
        client_order_id: client.into(),
        request_id: "r-amend".into(),
        quantity: quantity.into(),
        ..Default::default()
    };
    orders.amend_order(amend("a", "0.002")).await.unwrap();
    orders.amend_order(amend("a", "0.002")).await.unwrap();
    let adjust = |amount: &str| v1::AdjustCashRequest {
        account_id: "paper".into(),
        request_id: "r-cash".into(),
        currency: "USDT".into(),
        amount: amount.into(),
        reason: "gift".into(),
    };
    accounts.adjust_cash(adjust("5")).await.unwrap();
    let reduce = |reason: &str| v1::ReduceRequest {
        account_id: "paper".into(),
        reason: reason.into(),
        request_id: "r-reduce".into(),
    };
    risk.reduce(reduce("first")).await.unwrap();
    let cancel = |client: &str| v1::CancelOrderRequest {
        account_id: "paper".into(),
        client_order_id: client.into(),
        request_id: "r-cancel".into(),
        ..Default::default()
    };
    orders.cancel_order(cancel("b")).await.unwrap();
    let flatten = v1::FlattenAccountRequest {
        account_id: "paper".into(),
        request_id: "r-cash".into(),
    };
    for refused in [
        orders.amend_order(amend("a", "0.003")).await.unwrap_err(),
        accounts.adjust_cash(adjust("6")).await.unwrap_err(),
        risk.reduce(reduce("second")).await.unwrap_err(),
        orders.cancel_order(cancel("a")).await.unwrap_err(),
        orders.flatten_account(flatten).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    }
}
