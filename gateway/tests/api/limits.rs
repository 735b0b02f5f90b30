//! What the policy of each method says of its messages and of how often it may be called.

use crate::harness::{Harness, resting, soon};
use apex_proto::v1::market_data_service_client::MarketDataServiceClient;
use apex_proto::{POLICIES, v1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt;

/// Calls a method with a message that says it is so long, and sends nothing of it.
async fn announce(harness: &Harness, path: &str, length: u32) -> String {
    let mut socket = TcpStream::connect(harness.running.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/grpc-web+proto\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        harness.admin.token,
        u64::from(length) + 5,
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&[0]).await.unwrap();
    socket.write_all(&length.to_be_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(socket.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_message_that_is_too_long_for_its_method_is_refused_by_its_length() {
    let harness = Harness::start().await;
    let mut checked = 0;
    for method in POLICIES.iter().filter(|method| !method.takes_stream) {
        let answer = announce(&harness, method.path, method.message_bytes + 1).await;
        let path = method.path;
        let is_refused = answer.contains("grpc-status: 11") || answer.contains("grpc-status:11");
        assert!(is_refused, "{path}: {answer}");
        assert!(
            answer.contains("larger%20than") || answer.contains("larger than"),
            "{path}"
        );
        checked += 1;
    }
    assert!(checked >= 48, "{checked}");
    // What has no policy has a bound too.
    let path = "/grpc.health.v1.Health/Check";
    let answer = announce(&harness, path, 65_537).await;
    assert!(answer.contains("grpc-status"), "{answer}");
}

#[tokio::test]
async fn a_large_message_passes_where_the_policy_says_so() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut market = MarketDataServiceClient::new(harness.admin().await);
    // Above what other methods take: refused for its content, not for its size.
    let many = v1::SubscribeRequest {
        instrument_ids: vec!["NO.SIM".to_owned(); 20_000],
        ..Default::default()
    };
    let status = market.subscribe(many).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let long = v1::SubmitOrderRequest {
        tags: "x".repeat(70_000),
        ..resting("c-1")
    };
    let status = orders.submit_order(long).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let reason = status
        .get_error_details()
        .error_info()
        .unwrap()
        .reason
        .clone();
    assert_eq!(reason, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_method_that_is_called_too_often_is_refused_and_others_are_not() {
    let harness = Harness::start().await;
    let mut audit = v1::audit_service_client::AuditServiceClient::new(harness.admin().await);
    // Two a second: one of a handful of calls comes too early, however slow the machine is.
    let mut refused = None;
    for _ in 0..50 {
        let answer = audit.verify_audit(v1::VerifyAuditRequest {}).await;
        refused = answer
            .err()
            .filter(|status| status.code() == Code::ResourceExhausted);
        if refused.is_some() {
            break;
        }
    }
    let details = refused.expect("a call was too early").get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "CALL_RATE");
    let wait = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(wait.as_millis() <= 500, "{wait:?}");
    let mut orders = harness.orders().await;
    for _ in 0..20 {
        orders
            .list_orders(v1::ListOrdersRequest::default())
            .await
            .unwrap();
    }
}
