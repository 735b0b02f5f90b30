//! Lists, batches, closing and previews.

use crate::harness::{Authorized, BTC, Harness, resting};
use crate::orders::{fields, reason};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::order_service_client::OrderServiceClient;
use tonic::Code;

type Orders = OrderServiceClient<Authorized>;

fn market(client_order_id: &str) -> v1::SubmitOrderRequest {
    v1::SubmitOrderRequest {
        order_type: v1::OrderType::Market.into(),
        limit_price: String::new(),
        ..resting(client_order_id)
    }
}

fn list(contingency: v1::Contingency, ids: &[&str]) -> v1::SubmitOrderListRequest {
    let is_batch = contingency == v1::Contingency::None;
    v1::SubmitOrderListRequest {
        order_list_id: if is_batch { "" } else { "list-1" }.into(),
        account_id: "paper".into(),
        contingency: contingency.into(),
        orders: ids
            .iter()
            .map(|id| v1::SubmitOrderRequest {
                account_id: String::new(),
                ..resting(id)
            })
            .collect(),
        ..Default::default()
    }
}

async fn get(orders: &mut Orders, client_order_id: &str) -> v1::Order {
    let get = v1::GetOrderRequest {
        account_id: "paper".into(),
        client_order_id: client_order_id.into(),
        ..Default::default()
    };
    orders.get_order(get).await.unwrap().into_inner()
}

async fn positions(harness: &Harness) -> Vec<v1::Position> {
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let list = v1::ListPositionsRequest {
        account_id: "paper".into(),
        ..Default::default()
    };
    let positions = accounts.list_positions(list).await.unwrap();
    let positions = positions.into_inner().positions.into_iter();
    positions
        .filter(|position| !position.quantity.trim_matches(['0', '.']).is_empty())
        .collect()
}

#[tokio::test]
async fn one_order_of_a_pair_cancels_the_other() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let request = list(v1::Contingency::Oco, &["c-1", "c-2"]);
    let answer = orders.submit_order_list(request.clone()).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.order_list_id, "list-1");
    let ids: Vec<&str> = answer
        .outcomes
        .iter()
        .map(|outcome| outcome.client_order_id.as_str())
        .collect();
    assert_eq!(ids, ["c-1", "c-2"]);
    for outcome in &answer.outcomes {
        assert_eq!(outcome.error, None);
        let order = outcome.order.as_ref().unwrap();
        assert_eq!(order.order_list_id, "list-1");
        assert_eq!(order.order_id, outcome.order_id);
    }
    let cancel = v1::CancelOrderRequest {
        account_id: "paper".into(),
        client_order_id: "c-1".into(),
        ..Default::default()
    };
    orders.cancel_order(cancel).await.unwrap();
    let other = get(&mut orders, "c-2").await;
    assert_eq!(other.status(), v1::OrderStatus::Canceled);
    assert_eq!(other.reason_code, "CONTINGENCY");

    // The same list again is the same list, and another one under its id is refused.
    let before = harness.records.len("paper");
    let again = orders.submit_order_list(request).await.unwrap();
    assert_eq!(again.into_inner().outcomes.len(), 2);
    assert_eq!(harness.records.len("paper"), before);
    let other = list(v1::Contingency::Oco, &["c-1", "c-3"]);
    let status = orders.submit_order_list(other).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::AlreadyExists, "ORDER_LIST_ID_REUSED")
    );
}

#[tokio::test]
async fn a_bracket_protects_what_its_entry_bought() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut bracket = list(v1::Contingency::Bracket, &["entry", "target", "stop"]);
    bracket.orders[0] = market("entry");
    for exit in &mut bracket.orders[1..] {
        exit.side = v1::Side::Sell.into();
        exit.limit_price = "70000".into();
    }
    bracket.orders[2].order_type = v1::OrderType::Stop.into();
    bracket.orders[2].limit_price.clear();
    bracket.orders[2].stop_price = "55000".into();
    let answer = orders.submit_order_list(bracket).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    assert!(outcomes.iter().all(|outcome| outcome.error.is_none()));
    assert_eq!(
        get(&mut orders, "entry").await.status(),
        v1::OrderStatus::Filled
    );
    for id in ["target", "stop"] {
        let exit = get(&mut orders, id).await;
        assert_eq!(exit.status(), v1::OrderStatus::Accepted, "{id}");
    }
    assert_eq!(get(&mut orders, "stop").await.stop_price, "55000.00");
}

#[tokio::test]
async fn a_list_is_denied_as_one_and_says_which_order_broke_what() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut request = list(v1::Contingency::Oco, &["c-1", "c-2"]);
    request.orders[1].limit_price = "50000.001".into();
    let answer = orders.submit_order_list(request).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    let told: Vec<(i32, &str)> = outcomes
        .iter()
        .map(|outcome| {
            let error = outcome.error.as_ref().unwrap();
            (error.code, error.reason.as_str())
        })
        .collect();
    let code = Code::FailedPrecondition as i32;
    assert_eq!(told, [(code, "LIST_DENIED"), (code, "PRICE_INCREMENT")]);
    for id in ["c-1", "c-2"] {
        let order = get(&mut orders, id).await;
        assert_eq!(order.status(), v1::OrderStatus::Denied);
    }
}

#[tokio::test]
async fn each_order_of_a_batch_has_its_own_outcome() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("used")).await.unwrap();
    let mut request = list(v1::Contingency::None, &["c-1", "used", "c-2"]);
    request.orders[1].quantity = "0.02".into();
    request.orders[2].quantity = "0.00001".into();
    let answer = orders.submit_order_list(request).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    let told = |place: usize| {
        let error = outcomes[place].error.as_ref();
        error.map(|error| (error.code, error.reason.as_str()))
    };
    assert_eq!(told(0), None);
    let reused = (Code::AlreadyExists as i32, "CLIENT_ORDER_ID_REUSED");
    assert_eq!(told(1), Some(reused));
    assert_eq!(outcomes[1].client_order_id, "used");
    assert_eq!(outcomes[1].order, None);
    let small = (Code::FailedPrecondition as i32, "MIN_NOTIONAL");
    assert_eq!(told(2), Some(small));
    let denied = outcomes[2].order.as_ref().unwrap();
    assert_eq!(denied.status(), v1::OrderStatus::Denied);
    assert_eq!(denied.order_list_id, "");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_leaves_no_record() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let before = harness.records.len("paper");
    let mut request = list(v1::Contingency::Oto, &["c-1", "c-2"]);
    request.orders[1].quantity = "NaN".into();
    request.orders[1].stop_price = "1".into();
    let status = orders.submit_order_list(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&status),
        ["orders[1].quantity", "orders[1].stop_price"]
    );
    // What only the account can tell has a field too.
    let bracket = list(v1::Contingency::Bracket, &["c-1", "c-2"]);
    let status = orders.submit_order_list(bracket).await.unwrap_err();
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, vec!["orders[1].side".into()])
    );
    assert_eq!(harness.records.len("paper"), before);
}

#[tokio::test]
async fn several_cancels_have_an_outcome_each() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let first = orders.submit_order(resting("c-1")).await.unwrap();
    orders.submit_order(market("c-2")).await.unwrap();
    let key = |order: &str, client: &str| v1::OrderKey {
        order_id: order.into(),
        client_order_id: client.into(),
    };
    let request = v1::CancelOrdersRequest {
        account_id: "paper".into(),
        orders: vec![
            key(&first.into_inner().order_id, ""),
            key("", "c-2"),
            key("", "nobody"),
        ],
        request_id: "r-1".into(),
    };
    let answer = orders.cancel_orders(request.clone()).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    assert!(outcomes[0].client_order_id == "c-1" && outcomes[0].error.is_none());
    let told = |place: usize| {
        let error = outcomes[place].error.as_ref().unwrap();
        (error.code, error.reason.as_str())
    };
    assert_eq!(told(1), (Code::FailedPrecondition as i32, "ORDER_CLOSED"));
    assert_eq!(told(2), (Code::NotFound as i32, "ORDER_NOT_FOUND"));
    assert_eq!(
        get(&mut orders, "c-1").await.status(),
        v1::OrderStatus::Canceled
    );
    let before = harness.records.len("paper");
    let again = orders.cancel_orders(request.clone()).await;
    let again = again.unwrap().into_inner().outcomes;
    assert!((0..3).all(|n| again[n].error == outcomes[n].error));
    assert_eq!(harness.records.len("paper"), before);
    let other = v1::CancelOrdersRequest {
        orders: vec![key("", "c-1")],
        ..request
    };
    let status = orders.cancel_orders(other).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_repeated_cancel_all_spares_what_came_behind_it() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("c-1")).await.unwrap();
    let all = v1::CancelAllOrdersRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
        ..Default::default()
    };
    let first = orders.cancel_all_orders(all.clone()).await;
    assert_eq!(first.unwrap().into_inner().orders.len(), 1);
    orders.submit_order(resting("c-2")).await.unwrap();
    let again = orders.cancel_all_orders(all.clone()).await;
    let again = again.unwrap().into_inner().orders;
    assert!(again.len() == 1 && again[0].client_order_id == "c-1");
    assert_eq!(
        get(&mut orders, "c-2").await.status(),
        v1::OrderStatus::Accepted
    );
    let without = v1::CancelAllOrdersRequest {
        request_id: String::new(),
        ..all
    };
    let third = orders.cancel_all_orders(without).await.unwrap();
    assert_eq!(third.into_inner().orders.len(), 1);
}

#[tokio::test]
async fn a_close_cancels_what_is_in_the_way_and_leaves_nothing() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(market("m-1")).await.unwrap();
    orders.submit_order(resting("c-1")).await.unwrap();
    assert_eq!(positions(&harness).await.len(), 1);
    let close = v1::ClosePositionRequest {
        account_id: "paper".into(),
        instrument_id: BTC.into(),
        request_id: "r-1".into(),
        client_order_id: "close-1".into(),
        ..Default::default()
    };
    let answer = orders.close_position(close.clone()).await.unwrap();
    assert!(answer.into_inner().sequence > 0);
    assert_eq!(
        get(&mut orders, "c-1").await.status(),
        v1::OrderStatus::Canceled
    );
    let closing = get(&mut orders, "close-1").await;
    assert_eq!(closing.status(), v1::OrderStatus::Filled);
    assert_eq!(closing.side(), v1::Side::Sell);
    assert_eq!(positions(&harness).await, []);

    let before = harness.records.len("paper");
    orders.close_position(close.clone()).await.unwrap();
    assert_eq!(harness.records.len("paper"), before);
    let reused = v1::ClosePositionRequest {
        request_id: "r-2".into(),
        ..close.clone()
    };
    let status = orders.close_position(reused).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let unknown = v1::ClosePositionRequest {
        instrument_id: "NO.SIM".into(),
        request_id: "r-3".into(),
        ..close
    };
    let status = orders.close_position(unknown).await.unwrap_err();
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, vec!["instrument_id".into()])
    );
}

#[tokio::test]
async fn a_flatten_works_while_trading_is_halted() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(market("m-1")).await.unwrap();
    let mut risk = v1::risk_service_client::RiskServiceClient::new(harness.admin().await);
    risk.halt(v1::HaltRequest::default()).await.unwrap();
    let flatten = v1::FlattenAccountRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
    };
    orders.flatten_account(flatten.clone()).await.unwrap();
    assert_eq!(positions(&harness).await, []);
    let nowhere = v1::FlattenAccountRequest {
        account_id: "nowhere".into(),
        ..flatten
    };
    let status = orders.flatten_account(nowhere).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_preview_tells_cost_and_checks_and_leaves_no_record() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("c-1")).await.unwrap();
    let before = harness.records.len("paper");
    let preview = orders.preview_order(resting("c-2")).await.unwrap();
    let preview = preview.into_inner();
    let expected = v1::PreviewOrderResponse {
        account_id: "paper".into(),
        client_order_id: "c-2".into(),
        instrument_id: BTC.into(),
        quantity: "0.01000".into(),
        estimated_price: "50000.00".into(),
        notional: "500".into(),
        fee: "0".into(),
        initial_margin: "500".into(),
        // With the order that works already.
        worst_position: "0.02000".into(),
        worst_exposure: "1000".into(),
        failed_checks: Vec::new(),
        currency: "USDT".into(),
        fee_currency: "USDT".into(),
    };
    assert_eq!(preview, expected);

    let tiny = v1::SubmitOrderRequest {
        quantity: "0.00001".into(),
        ..resting("c-2")
    };
    let preview = orders.preview_order(tiny).await.unwrap().into_inner();
    let checks: Vec<(&str, &str)> = preview
        .failed_checks
        .iter()
        .map(|failed| (failed.check.as_str(), failed.reason_code.as_str()))
        .collect();
    assert_eq!(checks, [("notional", "MIN_NOTIONAL")]);
    let by_money = v1::SubmitOrderRequest {
        quantity: String::new(),
        notional: "600.015".into(),
        order_type: v1::OrderType::Market.into(),
        limit_price: String::new(),
        ..resting("c-2")
    };
    let preview = orders.preview_order(by_money).await.unwrap().into_inner();
    // At the ask, 60001.
    assert_eq!(preview.quantity, "0.01000");
    let bad = v1::SubmitOrderRequest {
        side: 0,
        ..resting("c-2")
    };
    let status = orders.preview_order(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["side"]);
    assert_eq!(harness.records.len("paper"), before);
}

#[tokio::test]
async fn who_may_only_take_exposure_away_may_flatten_and_no_more() {
    let harness = Harness::start().await;
    let (token, _) = harness.user(5, Role::Risk, &["paper"]);
    let mut orders = OrderServiceClient::new(harness.as_token(&token).await);
    let request = list(v1::Contingency::Oco, &["c-1", "c-2"]);
    let status = orders.submit_order_list(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let flatten = |account: &str| v1::FlattenAccountRequest {
        account_id: account.into(),
        request_id: "r-1".into(),
    };
    assert!(orders.flatten_account(flatten("paper")).await.is_ok());
    let status = orders.flatten_account(flatten("other")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let close = v1::ClosePositionRequest {
        account_id: "other".into(),
        instrument_id: BTC.into(),
        request_id: "r-1".into(),
        ..Default::default()
    };
    let status = orders.close_position(close).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let preview = v1::SubmitOrderRequest {
        account_id: "other".into(),
        ..resting("c-1")
    };
    let status = orders.preview_order(preview).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn without_a_venue_lists_wait_and_closing_is_taken() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    for actor in harness.actors.values() {
        let lost = apex_bus::message::VenueLink::Lost {
            reason: "test".into(),
        };
        actor
            .cast(apex_bus::message::AccountMessage::Link(lost))
            .unwrap();
    }
    let request = list(v1::Contingency::Oco, &["c-1", "c-2"]);
    let status = orders.submit_order_list(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "VENUE_DOWN")
    );
    let flatten = v1::FlattenAccountRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
    };
    orders.flatten_account(flatten).await.unwrap();
}

#[tokio::test]
async fn each_kind_of_order_comes_through_and_is_shown_again() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let trailing = v1::SubmitOrderRequest {
        order_type: v1::OrderType::TrailingStop.into(),
        limit_price: String::new(),
        side: v1::Side::Buy.into(),
        trailing_offset: "25".into(),
        trailing_offset_type: v1::TrailingOffsetType::Bps.into(),
        trigger_type: v1::TriggerType::BidAsk.into(),
        ..resting("trailing")
    };
    let shown = orders.submit_order(trailing).await.unwrap().into_inner();
    assert_eq!(shown.order_type(), v1::OrderType::TrailingStop);
    assert_eq!(shown.trailing_offset, "25");
    assert_eq!(shown.trigger_type(), v1::TriggerType::BidAsk);
    let iceberg = v1::SubmitOrderRequest {
        display_quantity: "0.001".into(),
        time_in_force: v1::TimeInForce::Gtd.into(),
        expire_at_ns: i64::MAX,
        self_trade_prevention: v1::SelfTradePrevention::CancelOldest.into(),
        ..resting("iceberg")
    };
    let shown = orders.submit_order(iceberg).await.unwrap().into_inner();
    assert_eq!(shown.display_quantity, "0.00100");
    assert_eq!(
        (shown.expire_at_ns, shown.ts_expires_ns),
        (i64::MAX, i64::MAX)
    );
    let past = v1::SubmitOrderRequest {
        time_in_force: v1::TimeInForce::Gtd.into(),
        expire_at_ns: 1,
        ..resting("past")
    };
    let status = orders.submit_order(past).await.unwrap_err();
    assert_eq!(fields(&status), ["expire_at_ns"]);
    let off = v1::SubmitOrderRequest {
        order_type: v1::OrderType::StopLimit.into(),
        stop_price: "61000.005".into(),
        ..resting("off")
    };
    let status = orders.submit_order(off).await.unwrap_err();
    assert_eq!(reason(&status), "PRICE_INCREMENT");
    assert_eq!(get(&mut orders, "off").await.stop_price, "61000.005");
}
