//! Orders, and what is wrong with them.

use crate::harness::{BTC, Harness, resting, soon};
use apex_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let request = details.bad_request().expect("a BadRequest");
    request
        .field_violations
        .iter()
        .map(|violation| violation.field.clone())
        .collect()
}

pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "apextrade");
    info.reason.clone()
}

#[tokio::test]
async fn an_order_is_submitted_found_amended_listed_and_canceled() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let order = orders
        .submit_order(resting("c-1"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (order.client_order_id.as_str(), order.quantity.as_str()),
        ("c-1", "0.01000")
    );
    assert_eq!(order.status(), v1::OrderStatus::Submitted);
    assert!(order.sequence > 0 && order.ts_created_ns > 0);

    let by_id = v1::GetOrderRequest {
        order_id: order.order_id.clone(),
        ..Default::default()
    };
    let found = orders.get_order(by_id).await.unwrap().into_inner();
    assert_eq!(found.status(), v1::OrderStatus::Accepted);
    assert!(found.venue_order_id.starts_with('V'));

    let amend = v1::AmendOrderRequest {
        order_id: order.order_id.clone(),
        request_id: "r-1".into(),
        limit_price: "49000.5".into(),
        ..Default::default()
    };
    orders.amend_order(amend.clone()).await.unwrap();
    let by_client = v1::GetOrderRequest {
        account_id: "paper".into(),
        client_order_id: "c-1".into(),
        ..Default::default()
    };
    let amended = orders.get_order(by_client).await.unwrap().into_inner();
    assert_eq!(amended.limit_price, "49000.50");

    let stale = v1::AmendOrderRequest {
        request_id: "r-2".into(),
        expected_sequence: 1,
        ..amend
    };
    let status = orders.amend_order(stale).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "STALE_SEQUENCE")
    );

    let cancel = v1::CancelOrderRequest {
        order_id: order.order_id.clone(),
        ..Default::default()
    };
    orders.cancel_order(cancel).await.unwrap();
    let list = v1::ListOrdersRequest::default();
    let listed = orders.list_orders(list).await.unwrap().into_inner().orders;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].status(), v1::OrderStatus::Canceled);
    assert_eq!(listed[0].reason_code, "CANCELED_BY_USER");
}

#[tokio::test]
async fn the_same_id_answers_the_same_order_and_other_content_is_refused() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let first = orders
        .submit_order(resting("c-1"))
        .await
        .unwrap()
        .into_inner();
    let again = orders
        .submit_order(resting("c-1"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.order_id, again.order_id);
    let other = v1::SubmitOrderRequest {
        quantity: "0.02".into(),
        ..resting("c-1")
    };
    let status = orders.submit_order(other).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(reason(&status), "CLIENT_ORDER_ID_REUSED");
}

#[tokio::test]
async fn bad_input_names_the_field_and_leaves_no_record() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let before = harness.records.len("paper");
    let decimals_29 = format!("1.{}", "1".repeat(29));
    let ten_to_38 = format!("1{}", "0".repeat(38));
    let long = "a".repeat(10_000);
    let bad: Vec<&str> = vec![
        "NaN",
        "Infinity",
        "-inf",
        "",
        "0",
        "-1",
        "1e3",
        "\u{0}",
        &decimals_29,
        &ten_to_38,
        &long,
    ];
    for text in &bad {
        let request = v1::SubmitOrderRequest {
            quantity: (*text).into(),
            ..resting("bad")
        };
        let status = orders.submit_order(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "quantity {text:.50}");
        assert_eq!(fields(&status), ["quantity"], "quantity {text:.50}");
        let request = v1::SubmitOrderRequest {
            limit_price: (*text).into(),
            ..resting("bad")
        };
        let status = orders.submit_order(request).await.unwrap_err();
        assert_eq!(fields(&status), ["limit_price"], "limit_price {text:.50}");
    }
    for text in ["\u{7}", "a b", &long] {
        let cases = [
            (
                "client_order_id",
                v1::SubmitOrderRequest { ..resting(text) },
            ),
            (
                "account_id",
                v1::SubmitOrderRequest {
                    account_id: text.into(),
                    ..resting("bad")
                },
            ),
            (
                "instrument_id",
                v1::SubmitOrderRequest {
                    instrument_id: text.into(),
                    ..resting("bad")
                },
            ),
            (
                "strategy_id",
                v1::SubmitOrderRequest {
                    strategy_id: text.into(),
                    ..resting("bad")
                },
            ),
        ];
        for (field, request) in cases {
            let status = orders.submit_order(request).await.unwrap_err();
            assert_eq!(
                (status.code(), fields(&status)),
                (Code::InvalidArgument, vec![field.into()])
            );
        }
    }
    let unknown = v1::SubmitOrderRequest {
        instrument_id: "NO.SIM".into(),
        ..resting("bad")
    };
    let status = orders.submit_order(unknown).await.unwrap_err();
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, vec!["instrument_id".into()])
    );
    let stop = v1::SubmitOrderRequest {
        order_type: v1::OrderType::StopLimit.into(),
        side: 44,
        ..resting("bad")
    };
    let status = orders.submit_order(stop).await.unwrap_err();
    assert_eq!(fields(&status), ["side", "stop_price"]);
    let nowhere = v1::SubmitOrderRequest {
        account_id: "nowhere".into(),
        ..resting("bad")
    };
    let status = orders.submit_order(nowhere).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(harness.records.len("paper"), before);
}

#[tokio::test]
async fn an_order_off_the_tick_is_denied_and_kept() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    for (id, request, code) in [
        (
            "c-1",
            v1::SubmitOrderRequest {
                limit_price: "50000.001".into(),
                ..resting("c-1")
            },
            "PRICE_INCREMENT",
        ),
        (
            "c-2",
            v1::SubmitOrderRequest {
                quantity: "0.0000001".into(),
                ..resting("c-2")
            },
            "QUANTITY_INCREMENT",
        ),
        (
            "c-3",
            v1::SubmitOrderRequest {
                quantity: "0.00001".into(),
                ..resting("c-3")
            },
            "MIN_NOTIONAL",
        ),
    ] {
        let status = orders.submit_order(request.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, code)
        );
        let again = orders.submit_order(request.clone()).await.unwrap_err();
        assert_eq!(
            (again.code(), again.message()),
            (status.code(), status.message())
        );
        let info = |status: &Status| {
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            (info.reason.clone(), info.metadata.clone())
        };
        assert_eq!(info(&again), info(&status));
        let get = v1::GetOrderRequest {
            account_id: "paper".into(),
            client_order_id: id.into(),
            ..Default::default()
        };
        let kept = orders.get_order(get).await.unwrap().into_inner();
        assert_eq!(kept.status(), v1::OrderStatus::Denied);
        assert_eq!(kept.reason_code, code);
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().unwrap().metadata["order_id"],
            kept.order_id
        );
        if code == "PRICE_INCREMENT" {
            assert_eq!(kept.limit_price, "50000.001");
            assert!(kept.reason.contains("50000.001"), "{}", kept.reason);
        }
    }
    let other = v1::SubmitOrderRequest {
        limit_price: "50000.002".into(),
        ..resting("c-1")
    };
    assert_eq!(
        orders.submit_order(other).await.unwrap_err().code(),
        Code::AlreadyExists
    );
}

#[tokio::test]
async fn lists_page_without_loss_over_all_accounts() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    for number in 0..7 {
        let account_id = if number % 2 == 0 { "paper" } else { "other" };
        let request = v1::SubmitOrderRequest {
            account_id: account_id.into(),
            ..resting(&format!("c-{number}"))
        };
        orders.submit_order(request).await.unwrap();
    }
    for page_size in [1, 2, 3, 4, 7, 1_000] {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListOrdersRequest {
                page_size,
                page_token,
                ..Default::default()
            };
            let page = orders.list_orders(request).await.unwrap().into_inner();
            assert!(page.orders.len() <= page_size as usize);
            found.extend(page.orders.into_iter().map(|order| order.client_order_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let newest_first = ["c-5", "c-3", "c-1", "c-6", "c-4", "c-2", "c-0"];
        assert_eq!(found, newest_first, "pages of {page_size}");
    }
    let bad = v1::ListOrdersRequest {
        page_token: "nonsense".into(),
        ..Default::default()
    };
    let status = orders.list_orders(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
}

#[tokio::test]
async fn a_market_order_fills_and_shows_as_execution_and_position() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let request = v1::SubmitOrderRequest {
        order_type: v1::OrderType::Market.into(),
        limit_price: String::new(),
        ..resting("m-1")
    };
    let order = orders.submit_order(request).await.unwrap().into_inner();
    let get = v1::GetOrderRequest {
        order_id: order.order_id.clone(),
        ..Default::default()
    };
    let filled = orders.get_order(get).await.unwrap().into_inner();
    assert_eq!(filled.status(), v1::OrderStatus::Filled);
    assert_eq!(filled.average_price, "60001");
    let list = v1::ListExecutionsRequest {
        account_id: "paper".into(),
        ..Default::default()
    };
    let executions = orders
        .list_executions(list)
        .await
        .unwrap()
        .into_inner()
        .executions;
    assert_eq!(executions.len(), 1);
    assert_eq!(executions[0].order_id, order.order_id);
    assert_eq!(
        (
            executions[0].last_price.as_str(),
            executions[0].fee.as_str()
        ),
        ("60001.00", "0.5")
    );

    let mut accounts = v1::account_service_client::AccountServiceClient::new(harness.admin().await);
    let positions = accounts
        .list_positions(v1::ListPositionsRequest::default())
        .await
        .unwrap();
    let positions = positions.into_inner().positions;
    assert_eq!(positions.len(), 1);
    assert_eq!(positions[0].instrument_id, BTC);
    assert_eq!(
        (
            positions[0].quantity.as_str(),
            positions[0].average_price.as_str()
        ),
        ("0.01000", "60001")
    );
    // Marked at the mid, 60000.50.
    assert_eq!(positions[0].unrealized_pnl, "-0.005");
    let get = v1::GetAccountRequest {
        account_id: "paper".into(),
        ..Default::default()
    };
    let account = accounts.get_account(get).await.unwrap().into_inner();
    assert_eq!(account.cash["USDT"], "999399.49");
    assert_eq!(account.fees["USDT"], "0.5");
    assert_eq!(account.state_hash.len(), 16);
}

#[tokio::test]
async fn the_kill_switch_refuses_new_orders_and_cancels_working_ones() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("c-1")).await.unwrap();
    let mut risk = v1::risk_service_client::RiskServiceClient::new(harness.admin().await);
    let halt = v1::HaltRequest {
        cancel: true,
        reason: "test".into(),
        ..Default::default()
    };
    let halted = risk.halt(halt).await.unwrap().into_inner().accounts;
    assert_eq!(halted.len(), 2);
    assert!(
        halted
            .iter()
            .all(|account| account.trading_state() == v1::TradingState::Halted)
    );
    assert_eq!(
        halted
            .iter()
            .map(|account| account.cancels_requested)
            .sum::<u64>(),
        1
    );
    let status = orders.submit_order(resting("c-2")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "TRADING_HALTED")
    );
    risk.resume(v1::ResumeRequest::default()).await.unwrap();
    soon(orders.submit_order(resting("c-3"))).await.unwrap();
}

#[tokio::test]
async fn limits_are_set_against_the_sequence_that_was_read() {
    let harness = Harness::start().await;
    let mut risk = v1::risk_service_client::RiskServiceClient::new(harness.admin().await);
    let get = v1::GetLimitsRequest {
        account_id: "paper".into(),
    };
    let before = risk.get_limits(get.clone()).await.unwrap().into_inner();
    let limits = v1::Limits {
        max_open_orders: Some(1),
        ..before.clone()
    };
    let set = |request_id: &str, expected_sequence| v1::SetLimitsRequest {
        account_id: "paper".into(),
        request_id: request_id.into(),
        limits: Some(limits.clone()),
        expected_sequence,
    };
    let after = risk
        .set_limits(set("r-1", before.sequence))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(after.max_open_orders, Some(1));
    assert!(after.sequence > before.sequence);
    let repeated = risk
        .set_limits(set("r-1", before.sequence))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(repeated.sequence, after.sequence);
    // An expected sequence of 0 does not check; any other has to be the one of the limits.
    let status = risk
        .set_limits(set("r-2", after.sequence + 1))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
}
