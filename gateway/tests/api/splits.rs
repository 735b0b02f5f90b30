//! Splits of an instrument in one account.

use crate::harness::{BTC, Harness, resting};
use crate::orders::reason;
use apex_bus::handle::RunMode;
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use tonic::Code;
use tonic_types::StatusExt;

fn two_for_one() -> v1::ApplySplitRequest {
    v1::ApplySplitRequest {
        account_id: "paper".into(),
        request_id: "split-1".into(),
        instrument_id: BTC.into(),
        numerator: 2,
        denominator: 1,
    }
}

#[tokio::test]
async fn a_split_is_applied_once_and_cancels_working_orders() {
    let harness = Harness::of(RunMode::Paper, |_| {}).await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let mut orders = harness.orders().await;
    orders.submit_order(resting("a")).await.unwrap();
    let account = accounts.apply_split(two_for_one()).await.unwrap();
    let again = accounts.apply_split(two_for_one()).await.unwrap();
    assert_eq!(account.into_inner().sequence, again.into_inner().sequence);
    let found = v1::GetOrderRequest {
        account_id: "paper".into(),
        client_order_id: "a".into(),
        ..Default::default()
    };
    let order = orders.get_order(found).await.unwrap().into_inner();
    let working = [
        v1::OrderStatus::PendingNew,
        v1::OrderStatus::Submitted,
        v1::OrderStatus::Accepted,
    ];
    assert!(!working.contains(&order.status()), "{order:?}");
    let other = v1::ApplySplitRequest {
        numerator: 3,
        ..two_for_one()
    };
    let refused = accounts.apply_split(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_split_is_refused_where_prices_go_on_in_old_units() {
    let harness = Harness::start().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let refused = accounts.apply_split(two_for_one()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NO_SPLIT_HERE");
}

#[tokio::test]
async fn a_split_that_is_none_names_its_fields() {
    let harness = Harness::of(RunMode::Paper, |_| {}).await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let wrong = v1::ApplySplitRequest {
        request_id: String::new(),
        denominator: 0,
        ..two_for_one()
    };
    let refused = accounts.apply_split(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_error_details();
    let violations = details.bad_request().unwrap().field_violations.iter();
    let fields: Vec<&str> = violations.map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["request_id", "denominator"]);
    let unknown = v1::ApplySplitRequest {
        instrument_id: "NONE.SIM".into(),
        ..two_for_one()
    };
    let refused = accounts.apply_split(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}
