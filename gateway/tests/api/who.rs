//! Who may do what.

use crate::harness::{Authorized, Harness, resting};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::auth_service_client::AuthServiceClient;
use apex_proto::v1::order_service_client::OrderServiceClient;
use tonic::Code;

async fn who(channel: Authorized) -> Result<v1::WhoAmIResponse, Code> {
    let answer = AuthServiceClient::new(channel)
        .who_am_i(v1::WhoAmIRequest {})
        .await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| status.code())
}

#[tokio::test]
async fn a_call_without_a_good_token_is_unauthenticated() {
    let harness = Harness::start().await;
    assert_eq!(
        who(harness.as_nobody().await).await,
        Err(Code::Unauthenticated)
    );
    for token in [
        "x",
        "apex_0101010101010101_0",
        &format!("{}0", harness.admin.token),
    ] {
        assert_eq!(
            who(harness.as_token(token).await).await,
            Err(Code::Unauthenticated)
        );
    }
    let admin = who(harness.admin().await).await.unwrap();
    assert_eq!(
        (admin.user_id.as_str(), admin.role()),
        ("admin", v1::Role::Admin)
    );
    assert!(admin.all_accounts);
}

#[tokio::test]
async fn a_revoked_key_stops_at_the_next_call() {
    let harness = Harness::start().await;
    let (token, key) = harness.user(7, Role::Viewer, &["paper"]);
    let channel = harness.as_token(&token).await;
    assert_eq!(who(channel.clone()).await.unwrap().account_ids, ["paper"]);
    harness.revoke(key);
    assert_eq!(who(channel).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_role_does_only_what_it_is_for() {
    let harness = Harness::start().await;
    let (viewer, _) = harness.user(2, Role::Viewer, &["paper"]);
    let mut orders = OrderServiceClient::new(harness.as_token(&viewer).await);
    let status = orders.submit_order(resting("c-1")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    orders
        .list_orders(v1::ListOrdersRequest::default())
        .await
        .unwrap();
    let (ops, _) = harness.user(3, Role::Ops, &["paper"]);
    let mut orders = OrderServiceClient::new(harness.as_token(&ops).await);
    let status = orders.submit_order(resting("c-1")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_trader_touches_only_what_is_granted() {
    let harness = Harness::start().await;
    let (token, _) = harness.user(4, Role::Trader, &["paper"]);
    let mut orders = OrderServiceClient::new(harness.as_token(&token).await);
    let own = orders
        .submit_order(resting("c-1"))
        .await
        .unwrap()
        .into_inner();
    let elsewhere = |id: &str| v1::SubmitOrderRequest {
        account_id: id.into(),
        ..resting("c-1")
    };
    // Whether an account exists is not told to those who may not see it.
    for account in ["other", "nowhere"] {
        let status = orders.submit_order(elsewhere(account)).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{account}");
    }
    let foreign = harness
        .orders()
        .await
        .submit_order(elsewhere("other"))
        .await
        .unwrap()
        .into_inner();
    let get = |order_id: String| v1::GetOrderRequest {
        order_id,
        ..Default::default()
    };
    assert!(orders.get_order(get(own.order_id)).await.is_ok());
    let status = orders
        .get_order(get(foreign.order_id.clone()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let cancel = v1::CancelOrderRequest {
        order_id: foreign.order_id,
        ..Default::default()
    };
    assert_eq!(
        orders.cancel_order(cancel).await.unwrap_err().code(),
        Code::NotFound
    );
    let listed = orders
        .list_orders(v1::ListOrdersRequest::default())
        .await
        .unwrap();
    assert!(
        listed
            .into_inner()
            .orders
            .iter()
            .all(|order| order.account_id == "paper")
    );
}
