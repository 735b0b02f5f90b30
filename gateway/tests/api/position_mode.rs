//! Whether an account nets or hedges: who may set it, and what it refuses.

use crate::harness::{Harness, resting};
use crate::orders::{fields, reason};
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use tonic::Code;

fn set(request_id: &str, mode: v1::PositionMode) -> v1::SetPositionModeRequest {
    v1::SetPositionModeRequest {
        account_id: "paper".into(),
        request_id: request_id.into(),
        position_mode: mode.into(),
    }
}

#[tokio::test]
async fn the_mode_is_shown_set_once_and_kept_from_working_orders() {
    let harness = Harness::start().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let mut orders = harness.orders().await;
    let get = v1::GetAccountRequest {
        account_id: "paper".into(),
        ..Default::default()
    };
    let before = accounts.get_account(get).await.unwrap().into_inner();
    assert_eq!(before.position_mode(), v1::PositionMode::Netting);

    let hedging = set("r-1", v1::PositionMode::Hedging);
    let changed = accounts.set_position_mode(hedging.clone()).await.unwrap();
    let changed = changed.into_inner();
    assert_eq!(changed.position_mode(), v1::PositionMode::Hedging);
    let again = accounts.set_position_mode(hedging).await.unwrap();
    assert_eq!(again.into_inner().sequence, changed.sequence);

    orders.submit_order(resting("c-1")).await.unwrap();
    let netting = set("r-2", v1::PositionMode::Netting);
    let refusal = accounts.set_position_mode(netting).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refusal), "POSITION_MODE_IN_USE");
}

#[tokio::test]
async fn an_order_with_a_side_is_denied_in_a_netting_account() {
    let harness = Harness::start().await;
    let order = v1::SubmitOrderRequest {
        position_side: v1::PositionSide::Long.into(),
        ..resting("c-1")
    };
    let denial = harness.orders().await.submit_order(order).await;
    assert_eq!(reason(&denial.unwrap_err()), "POSITION_SIDE_IN_NETTING");
}

#[tokio::test]
async fn a_mode_that_is_missing_is_refused_with_its_field() {
    let harness = Harness::start().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let missing = set("r-1", v1::PositionMode::Unspecified);
    let refusal = accounts.set_position_mode(missing).await.unwrap_err();
    assert_eq!(fields(&refusal), ["position_mode"]);
}
