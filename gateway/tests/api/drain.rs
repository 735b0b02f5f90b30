//! The end of a gateway: calls under way finish, streams are told to come again, each at another time.

use crate::harness::{Harness, resting, soon};
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::market_data_service_client::MarketDataServiceClient;
use apex_proto::v1::order_service_client::OrderServiceClient;
use futures::FutureExt;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

async fn ready(address: SocketAddr) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = "GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // It is closed with the answer, although the request did not ask for that.
    soon(socket.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Asserts that a status says where to go on, and returns when.
fn delay(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "SHUTTING_DOWN");
    let delay = details.retry_info().unwrap().retry_delay.unwrap();
    let range = Duration::from_millis(100)..Duration::from_millis(2_100);
    assert!(range.contains(&delay), "{delay:?}");
    delay
}

async fn end<T>(stream: &mut tonic::Streaming<T>) -> Status {
    loop {
        match soon(stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => break status,
        }
    }
}

#[tokio::test]
async fn a_gateway_that_stops_finishes_calls_and_sends_streams_away() {
    let mut harness = Harness::start().await;
    harness
        .orders()
        .await
        .submit_order(resting("c-1"))
        .await
        .unwrap();
    let address = harness.running.address();
    let (mut orders, mut ticks) = (Vec::new(), Vec::new());
    let mut order_client = OrderServiceClient::new(harness.admin().await);
    let mut market_client = MarketDataServiceClient::new(harness.admin().await);
    for _ in 0..8 {
        let answer = order_client.stream_orders(v1::StreamOrdersRequest::default());
        orders.push(soon(answer).await.unwrap().into_inner());
        let answer = market_client.subscribe(v1::SubscribeRequest::default());
        ticks.push(soon(answer).await.unwrap().into_inner());
    }
    // A call that is under way when the gateway is told to stop.
    let (begun, go_on) = harness.records.hold_next_fold();
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let request = v1::GetAccountRequest {
        account_id: "paper".into(),
        as_of_ns: apex_bus::clock::Clock::Wall.now().0,
    };
    let call = tokio::spawn(async move { accounts.get_account(request).await });
    soon(begun).await.unwrap();
    let other = Harness::start().await;
    let running = std::mem::replace(&mut harness.running, other.running);
    let mut stopped = tokio::spawn(running.stop());

    let mut delays = BTreeSet::new();
    for stream in &mut orders {
        delays.insert(delay(&end(stream).await));
    }
    for stream in &mut ticks {
        delays.insert(delay(&end(stream).await));
    }
    assert!(delays.len() > 8, "they do not come all at once: {delays:?}");

    let answer = ready(address).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("is shutting down"), "{answer}");
    let url = format!("http://{address}");
    let endpoint = tonic::transport::Endpoint::from_shared(url).unwrap();
    let channel = soon(endpoint.connect()).await.unwrap();
    let mut system = v1::system_service_client::SystemServiceClient::new(channel);
    let call_of_a_late_one = system.get_system_status(v1::GetSystemStatusRequest {});
    delay(&soon(call_of_a_late_one).await.unwrap_err());

    assert!(
        (&mut stopped).now_or_never().is_none(),
        "a call is under way"
    );
    drop(go_on);
    let account = soon(call).await.unwrap().unwrap().into_inner();
    assert_eq!(account.account_id, "paper");
    soon(stopped).await.unwrap();
    let gone = soon(TcpStream::connect(address)).await;
    assert!(gone.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_when_the_time_is_over() {
    let mut harness =
        Harness::with(|options| options.limits.shutdown = Duration::from_millis(100)).await;
    let (begun, go_on) = harness.records.hold_next_fold();
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let request = v1::GetAccountRequest {
        account_id: "paper".into(),
        as_of_ns: apex_bus::clock::Clock::Wall.now().0,
    };
    let call = tokio::spawn(async move { accounts.get_account(request).await });
    soon(begun).await.unwrap();
    let other = Harness::start().await;
    let running = std::mem::replace(&mut harness.running, other.running);
    soon(running.stop()).await;
    assert!(soon(call).await.unwrap().is_err());
    drop(go_on);
}
