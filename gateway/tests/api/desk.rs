//! Making accounts and starting paper accounts over, at a desk that does what the test says.

use crate::harness::{Harness, resting, soon};
use crate::orders::{fields, reason};
use apex_bus::accounts::{AccountDesk, DeskAnswer, DeskError, NewAccount};
use apex_bus::handle::AccountHandle;
use apex_domain::{AccountId, RequestId};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::stream_orders_response::Item;
use std::sync::{Arc, Mutex};
use tonic::Code;

/// Refuses everything with its error, and notes what it was asked.
struct Refusing {
    error: DeskError,
    asked: Mutex<Vec<String>>,
}

impl AccountDesk for Refusing {
    fn create(&self, new: NewAccount) -> DeskAnswer<'_, AccountHandle> {
        let cash: Vec<String> = new.cash.iter().map(|(k, v)| format!("{k} {v}")).collect();
        let asked = format!("{} by {}: {cash:?}", new.account_id, new.request_id);
        self.asked.lock().unwrap().push(asked);
        Box::pin(async { Err(self.error.clone()) })
    }

    fn reset(
        &self,
        handle: AccountHandle,
        request_id: RequestId,
        by: String,
    ) -> DeskAnswer<'_, ()> {
        let asked = format!("{} by {request_id} of {by}", handle.account_id());
        self.asked.lock().unwrap().push(asked);
        Box::pin(async { Err(self.error.clone()) })
    }
}

fn wish(account_id: &str) -> v1::CreateAccountRequest {
    v1::CreateAccountRequest {
        request_id: "r".into(),
        account_id: account_id.into(),
        base_currency: String::new(),
        cash: [("USDT".to_owned(), "12.50".to_owned())].into(),
        ..Default::default()
    }
}

fn reset(account_id: &str) -> v1::ResetPaperRequest {
    v1::ResetPaperRequest {
        account_id: account_id.into(),
        request_id: "r".into(),
    }
}

#[tokio::test]
async fn a_run_without_a_desk_says_that_it_has_the_accounts_that_it_has() {
    let harness = Harness::start().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let refused = accounts.create_account(wish("new")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NOT_IN_THIS_RUN");
    let refused = accounts.reset_paper(reset("paper")).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_IN_THIS_RUN");
}

#[tokio::test]
async fn every_refusal_of_the_desk_has_its_status() {
    let id = AccountId::new("new").unwrap();
    let request_id = RequestId::new("r").unwrap();
    let not_ready = DeskError::NotReady {
        account_id: id.clone(),
        detail: "the disk is full".into(),
    };
    for (error, code, expected) in [
        (DeskError::Exists(id), Code::AlreadyExists, "ACCOUNT_EXISTS"),
        (
            DeskError::RequestTaken(request_id),
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
        ),
        (
            DeskError::TooMany { limit: 64 },
            Code::FailedPrecondition,
            "TOO_MANY_ACCOUNTS",
        ),
        (
            DeskError::NotHere("no"),
            Code::FailedPrecondition,
            "NOT_IN_THIS_RUN",
        ),
        (not_ready, Code::Unavailable, "ACCOUNT_NOT_READY"),
        (DeskError::Stopping, Code::Unavailable, "SHUTTING_DOWN"),
    ] {
        let desk = Arc::new(Refusing {
            error,
            asked: Mutex::default(),
        });
        let harness = Harness::with_desk(desk.clone()).await;
        let mut accounts = AccountServiceClient::new(harness.admin().await);
        let refused = accounts.create_account(wish("new")).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (code, expected)
        );
        accounts.reset_paper(reset("paper")).await.unwrap_err();
        let asked = desk.asked.lock().unwrap().clone();
        assert_eq!(asked, ["new by r: [\"USDT 12.5\"]", "paper by r of admin"]);
    }
}

#[tokio::test]
async fn the_desk_is_asked_only_by_who_may_and_for_what_can_be_read() {
    let desk = Arc::new(Refusing {
        error: DeskError::Stopping,
        asked: Mutex::default(),
    });
    let harness = Harness::with_desk(desk.clone()).await;
    for (seed, role) in [(2, Role::Viewer), (3, Role::Trader), (4, Role::Risk)] {
        let (token, _) = harness.user(seed, role, &["paper"]);
        let mut accounts = AccountServiceClient::new(harness.as_token(&token).await);
        for code in [
            accounts
                .create_account(wish("new"))
                .await
                .unwrap_err()
                .code(),
            accounts
                .reset_paper(reset("paper"))
                .await
                .unwrap_err()
                .code(),
        ] {
            assert_eq!(code, Code::PermissionDenied);
        }
    }
    let (token, _) = harness.user(5, Role::Ops, &["paper"]);
    let mut ops = AccountServiceClient::new(harness.as_token(&token).await);
    let refused = ops.reset_paper(reset("other")).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCOUNT_NOT_GRANTED");
    for name in ["", ".", "..", "a/b", "nul\0", &"x".repeat(65)] {
        let refused = ops.create_account(wish(name)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name:?}");
        assert_eq!(fields(&refused), ["account_id"], "{name:?}");
    }
    assert!(desk.asked.lock().unwrap().is_empty());
    assert_eq!(
        ops.create_account(wish("new")).await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(desk.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_over_all_accounts_tells_the_orders_of_one_that_is_made_later() {
    let mut harness = Harness::start().await;
    let (token, _) = harness.user(6, Role::Viewer, &["paper", "later"]);
    let mut granted =
        v1::order_service_client::OrderServiceClient::new(harness.as_token(&token).await);
    let mut orders = harness.orders().await;
    let all = v1::StreamOrdersRequest::default();
    let mut stream = soon(granted.stream_orders(all)).await.unwrap().into_inner();
    harness.add_account("later").await;
    harness.add_account("hidden").await;
    // "other" was there and "hidden" was made, and neither is granted.
    for (account_id, name) in [("other", "a"), ("hidden", "b"), ("later", "c")] {
        let request = v1::SubmitOrderRequest {
            account_id: account_id.into(),
            ..resting(name)
        };
        orders.submit_order(request).await.unwrap();
    }
    let first = soon(async {
        loop {
            let message = stream.message().await.unwrap().expect("the stream goes on");
            if let Some(Item::Event(event)) = message.item {
                return (event, message.resume_token);
            }
        }
    })
    .await;
    let (event, token) = first;
    assert_eq!(event.account_id, "later");
    assert_eq!(event.kind(), v1::OrderEventKind::Initialized);
    assert!(
        token.contains("later=") && !token.contains("hidden="),
        "{token}"
    );
}
