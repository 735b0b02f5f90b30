//! The kill switch, and who used it.

use crate::harness::{Authorized, Harness, resting};
use crate::orders::{fields, reason};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::risk_service_client::RiskServiceClient;
use tonic::Code;

async fn changes(
    risk: &mut RiskServiceClient<Authorized>,
    account_id: &str,
    page_size: i32,
) -> Vec<v1::TradingStateChange> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTradingStateChangesRequest {
            account_id: account_id.into(),
            page_size,
            page_token,
        };
        let page = risk.list_trading_state_changes(request).await.unwrap();
        let page = page.into_inner();
        assert!(page_size == 0 || page.changes.len() <= page_size as usize);
        found.extend(page.changes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_halt_that_flattens_leaves_neither_orders_nor_positions() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let market = v1::SubmitOrderRequest {
        order_type: v1::OrderType::Market.into(),
        limit_price: String::new(),
        ..resting("m-1")
    };
    orders.submit_order(market).await.unwrap();
    orders.submit_order(resting("c-1")).await.unwrap();
    let mut risk = RiskServiceClient::new(harness.admin().await);
    let halt = v1::HaltRequest {
        account_id: "paper".into(),
        flatten: true,
        reason: "test".into(),
        request_id: "r-1".into(),
        ..Default::default()
    };
    let answer = risk.halt(halt.clone()).await.unwrap().into_inner();
    assert_eq!(answer.accounts.len(), 1);
    assert_eq!(answer.accounts[0].cancels_requested, 1);
    assert_eq!(answer.accounts[0].trading_state(), v1::TradingState::Halted);
    let get = v1::GetAccountRequest {
        account_id: "paper".into(),
        ..Default::default()
    };
    let mut accounts = v1::account_service_client::AccountServiceClient::new(harness.admin().await);
    let account = accounts.get_account(get).await.unwrap().into_inner();
    assert_eq!((account.working_orders, account.executions), (0, 2));

    // Repeated, it does nothing more, even after somebody resumed, and has the first answer.
    risk.resume(v1::ResumeRequest::default()).await.unwrap();
    let again = risk.halt(halt).await.unwrap().into_inner();
    assert_eq!(
        (
            again.accounts[0].cancels_requested,
            again.accounts[0].trading_state()
        ),
        (1, v1::TradingState::Active)
    );
    orders.submit_order(resting("c-2")).await.unwrap();
}

#[tokio::test]
async fn a_request_id_of_another_halt_is_refused() {
    let harness = Harness::start().await;
    let mut risk = RiskServiceClient::new(harness.admin().await);
    let halt = |cancel| v1::HaltRequest {
        account_id: "paper".into(),
        cancel,
        request_id: "r-1".into(),
        ..Default::default()
    };
    risk.halt(halt(true)).await.unwrap();
    let status = risk.halt(halt(false)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned())
    );
}

#[tokio::test]
async fn a_change_of_all_accounts_is_made_in_each_even_where_one_refuses() {
    let harness = Harness::start().await;
    let mut risk = RiskServiceClient::new(harness.admin().await);
    // `other` is behind `paper`, and `paper` knows the id with another content.
    let taken = v1::HaltRequest {
        account_id: "paper".into(),
        cancel: true,
        request_id: "r-1".into(),
        ..Default::default()
    };
    risk.halt(taken).await.unwrap();
    let reduce = v1::ReduceRequest {
        request_id: "r-1".into(),
        ..Default::default()
    };
    let resume = v1::ResumeRequest {
        request_id: "r-1".into(),
        ..Default::default()
    };
    let halt = v1::HaltRequest {
        request_id: "r-1".into(),
        ..Default::default()
    };
    // `other` takes the first of them, and knows the id from then on.
    let refused = [
        risk.reduce(reduce).await,
        risk.resume(resume).await,
        risk.halt(halt).await,
    ];
    for (number, answer) in refused.iter().enumerate() {
        let status = answer.as_ref().unwrap_err();
        assert_eq!(reason(status), "REQUEST_ID_REUSED");
        let done = if number == 0 { "other" } else { "no account" };
        let message = status.message();
        assert!(
            message.starts_with(&format!("done for {done}; failed for ")),
            "{message}"
        );
        assert!(message.contains("paper: "), "{message}");
    }
    let states = v1::GetTradingStateRequest::default();
    let states = risk.get_trading_state(states).await.unwrap().into_inner();
    let state = |id: &str| {
        let mut accounts = states.accounts.iter();
        accounts
            .find(|account| account.account_id == id)
            .unwrap()
            .trading_state()
    };
    assert_eq!(state("paper"), v1::TradingState::Halted);
    assert_eq!(state("other"), v1::TradingState::Reducing);
}

#[tokio::test]
async fn every_change_of_the_state_is_listed_with_who_and_why() {
    let harness = Harness::start().await;
    let mut risk = RiskServiceClient::new(harness.admin().await);
    for number in 0..3 {
        let halt = v1::HaltRequest {
            reason: format!("halt {number}"),
            ..Default::default()
        };
        risk.halt(halt).await.unwrap();
        let resume = v1::ResumeRequest {
            account_id: "paper".into(),
            reason: format!("resume {number}"),
            ..Default::default()
        };
        risk.resume(resume).await.unwrap();
    }
    // The other account was halted once, and stayed so.
    for page_size in [0, 1, 2, 3, 1_000] {
        let all = changes(&mut risk, "", page_size).await;
        let told: Vec<(&str, &str)> = all
            .iter()
            .map(|change| (change.account_id.as_str(), change.reason.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("other", "halt 0"),
                ("paper", "halt 0"),
                ("paper", "resume 0"),
                ("paper", "halt 1"),
                ("paper", "resume 1"),
                ("paper", "halt 2"),
                ("paper", "resume 2"),
            ],
            "pages of {page_size}"
        );
        assert!(all.iter().all(|change| change.by == "admin"));
        assert!(all.iter().all(|change| change.ts_ns > 0));
        assert_eq!(all[1].trading_state(), v1::TradingState::Halted);
        assert_eq!(all[2].trading_state(), v1::TradingState::Active);
        assert!(all[2].sequence > all[1].sequence);
    }
    let bad = v1::ListTradingStateChangesRequest {
        page_token: "nonsense".into(),
        ..Default::default()
    };
    let status = risk.list_trading_state_changes(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
}

#[tokio::test]
async fn changes_are_told_of_granted_accounts_only() {
    let harness = Harness::start().await;
    let mut admin = RiskServiceClient::new(harness.admin().await);
    admin.halt(v1::HaltRequest::default()).await.unwrap();
    let (token, _) = harness.user(6, Role::Viewer, &["paper"]);
    let mut risk = RiskServiceClient::new(harness.as_token(&token).await);
    let seen = changes(&mut risk, "", 0).await;
    assert!(seen.iter().all(|change| change.account_id == "paper"));
    assert_eq!(seen.len(), 1);
    let foreign = v1::ListTradingStateChangesRequest {
        account_id: "other".into(),
        ..Default::default()
    };
    let status = risk.list_trading_state_changes(foreign).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "ACCOUNT_NOT_GRANTED")
    );
}

#[tokio::test]
async fn every_limit_is_set_and_read_again() {
    let harness = Harness::start().await;
    let mut risk = RiskServiceClient::new(harness.admin().await);
    let one = |id: &str| std::collections::BTreeMap::from([(id.to_owned(), "10".to_owned())]);
    let limits = v1::Limits {
        account_id: "paper".into(),
        max_order_notional: "1000".into(),
        max_strategy_exposure: "1".into(),
        max_account_exposure: "2".into(),
        max_concentration: "0.5".into(),
        instrument_exposure: one("BTCUSDT.SIM"),
        strategy_exposure: one("MANUAL"),
        max_daily_loss: "3".into(),
        max_drawdown: "0.25".into(),
        loss_action: v1::LossAction::Reduce.into(),
        prevent_self_trade: true,
        max_rate_age_ns: Some(5),
        ..Default::default()
    };
    let set = v1::SetLimitsRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
        limits: Some(limits.clone()),
        expected_sequence: 0,
    };
    let read = risk.set_limits(set).await.unwrap().into_inner();
    let expected = v1::Limits {
        sequence: read.sequence,
        ..limits
    };
    assert_eq!(read, expected);
}

/// As in a replay.
#[tokio::test]
async fn a_run_without_a_limit_over_all_accounts_says_so() {
    let harness = Harness::start().await;
    let mut risk = RiskServiceClient::new(harness.admin().await);
    let get = risk.get_platform_limits(v1::GetPlatformLimitsRequest {});
    let refused = get.await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("no limit"), "{refused}");
    let set = |max_exposure: &str, currency: &str| v1::SetPlatformLimitsRequest {
        request_id: "r".into(),
        max_exposure: max_exposure.into(),
        currency: currency.into(),
        expected_sequence: 0,
    };
    for (request, code) in [
        (set("5", "USDT"), Code::FailedPrecondition),
        (set("-5", "USDT"), Code::InvalidArgument),
        (set("5", ""), Code::InvalidArgument),
    ] {
        let refused = risk.set_platform_limits(request.clone()).await;
        assert_eq!(refused.unwrap_err().code(), code, "{request:?}");
    }
}
