//! The edge itself: REST, gRPC-web, health, reflection, and the limits.

use crate::harness::{Harness, resting, soon};
use apex_gateway::{Dependency, Readiness};
use apex_proto::v1;
use apex_proto::v1::order_service_client::OrderServiceClient;
use apex_proto::v1::system_service_client::SystemServiceClient;
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

/// Sends one HTTP/1 request as it is written and returns the whole answer.
async fn http(harness: &Harness, head: &str, body: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(harness.running.address()).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    soon(socket.read_to_end(&mut answer)).await.unwrap();
    answer
}

async fn get(harness: &Harness, path: &str, headers: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    String::from_utf8(http(harness, &head, b"").await).unwrap()
}

/// Calls a method in gRPC-web.
async fn web(harness: &Harness, method: &str, token: &str, message: &[u8]) -> String {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    let head = format!(
        "POST /apextrade.v1.{method} HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/grpc-web+proto\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        frame.len()
    );
    String::from_utf8_lossy(&http(harness, &head, &frame).await).into_owned()
}

#[tokio::test]
async fn health_is_told_without_a_token() {
    let harness = Harness::start().await;
    let answer = get(&harness, "/health", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"status\":\"ok\""), "{answer}");
    let mut health = tonic_health::pb::health_client::HealthClient::new(harness.channel().await);
    let request = tonic_health::pb::HealthCheckRequest {
        service: String::new(),
    };
    let answer = health.check(request).await.unwrap().into_inner();
    assert_eq!(
        answer.status(),
        tonic_health::pb::health_check_response::ServingStatus::Serving
    );
}

#[tokio::test]
async fn a_page_that_is_not_there_is_not_found() {
    let harness = Harness::start().await;
    let answer = get(&harness, "/nope", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let harness = Harness::start().await;
    let answer = get(&harness, "/ready", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for actor in harness.actors.values() {
        let lost = apex_bus::message::VenueLink::Lost {
            reason: "test".into(),
        };
        actor
            .cast(apex_bus::message::AccountMessage::Link(lost))
            .unwrap();
    }
    let answer = get(&harness, "/ready", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("account paper") && answer.contains("not connected"),
        "{answer}"
    );
    let mut orders = harness.orders().await;
    assert_eq!(
        orders
            .submit_order(resting("c-1"))
            .await
            .unwrap_err()
            .code(),
        Code::Unavailable
    );
}

/// Something that does less than it should.
struct Degraded;

impl Readiness for Degraded {
    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency {
            name: "redis".into(),
            ok: true,
            degraded: true,
            detail: "values do not arrive".into(),
        }]
    }
}

#[tokio::test]
async fn a_degraded_part_is_shown_and_the_node_is_ready() {
    let harness = Harness::with(|options| options.readiness = vec![Arc::new(Degraded)]).await;
    let answer = get(&harness, "/ready", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"degraded\":true"), "{answer}");
    let mut system = SystemServiceClient::new(harness.admin().await);
    let status = system
        .get_system_status(v1::GetSystemStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(status.ready);
    let redis = status.components.iter().find(|one| one.name == "redis");
    let redis = redis.unwrap();
    assert!(!redis.ok);
    assert_eq!(redis.detail, "values do not arrive");
}

#[tokio::test]
async fn metrics_are_what_the_process_says() {
    let harness =
        Harness::with(|options| options.metrics = Some(Arc::new(|| "apex_x 1\n".into()))).await;
    let answer = get(&harness, "/metrics", "host: localhost\r\n").await;
    assert!(
        answer.contains("text/plain") && answer.ends_with("apex_x 1\n"),
        "{answer}"
    );
    let without = Harness::start().await;
    assert!(
        get(&without, "/metrics", "host: localhost\r\n")
            .await
            .starts_with("HTTP/1.1 404")
    );
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused() {
    let harness = Harness::start().await;
    for headers in [
        "host: evil.example\r\n",
        "",
        "host: localhost\r\norigin: http://evil.example\r\n",
        "host: localhost\r\norigin: null\r\n",
    ] {
        let answer = get(&harness, "/health", headers).await;
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"),
            "{headers:?} {answer}"
        );
    }
    let own = "host: localhost:1\r\norigin: http://localhost:1\r\n";
    assert!(
        get(&harness, "/health", own)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn reflection_tells_the_services_without_a_token() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let harness = Harness::start().await;
    let mut reflection = ServerReflectionClient::new(harness.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection
        .server_reflection_info(futures::stream::once(async { request }))
        .await
        .unwrap();
    let answer = soon(answers.into_inner().message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services");
    };
    let names: Vec<&str> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(names.contains(&"apextrade.v1.OrderService"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
}

#[tokio::test]
async fn grpc_web_is_answered_on_the_same_port() {
    let harness = Harness::start().await;
    let answer = web(
        &harness,
        "SystemService/GetSystemStatus",
        &harness.admin.token,
        b"",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("account paper") && answer.contains("grpc-status:0"),
        "{answer}"
    );
    let answer = web(&harness, "SystemService/GetSystemStatus", "wrong", b"").await;
    assert!(
        answer.contains("grpc-status: 16") || answer.contains("grpc-status:16"),
        "{answer}"
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let harness = Harness::start().await;
    for garbage in [&b"\xff\xff\xff"[..], b"\x0a\x02\xc3\x28"] {
        let answer = web(
            &harness,
            "OrderService/SubmitOrder",
            &harness.admin.token,
            garbage,
        )
        .await;
        assert!(
            answer.contains("grpc-status: 3") || answer.contains("grpc-status:3"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_message_of_a_megabyte_is_refused() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let request = v1::SubmitOrderRequest {
        tags: "x".repeat(1_024 * 1_024),
        ..resting("c-1")
    };
    let status = orders.submit_order(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    orders.submit_order(resting("c-1")).await.unwrap();
}

#[tokio::test]
async fn a_silent_socket_is_closed() {
    let harness =
        Harness::with(|options| options.limits.first_request = Duration::from_millis(50)).await;
    for begin in [
        &b""[..],
        b"GET /health HT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(harness.running.address()).await.unwrap();
        socket.write_all(begin).await.unwrap();
        let mut answer = Vec::new();
        // Closed, orderly or not: either way the read ends.
        let _ = soon(socket.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_connection_holds_only_so_many_streams() {
    let harness = Harness::with(|options| options.limits.streams_per_connection = 4).await;
    let channel = harness.admin().await;
    let mut orders = OrderServiceClient::new(channel.clone());
    let mut streams = Vec::new();
    for _ in 0..4 {
        let request = v1::StreamOrdersRequest::default();
        streams.push(
            soon(orders.stream_orders(request))
                .await
                .unwrap()
                .into_inner(),
        );
    }
    let mut system = SystemServiceClient::new(channel);
    let mut fifth = Box::pin(system.get_system_status(v1::GetSystemStatusRequest {}));
    // On another connection the same call goes through meanwhile, more than once.
    let mut elsewhere = SystemServiceClient::new(harness.admin().await);
    for _ in 0..5 {
        assert!(
            (&mut fifth).now_or_never().is_none(),
            "the fifth call waits"
        );
        elsewhere
            .get_system_status(v1::GetSystemStatusRequest {})
            .await
            .unwrap();
    }
    streams.pop();
    soon(fifth).await.unwrap();
}

#[tokio::test]
async fn an_address_holds_only_so_many_connections() {
    let harness = Harness::with(|options| options.limits.connections_per_address = 2).await;
    let first = harness.channel().await;
    let second = harness.channel().await;
    let mut third = TcpStream::connect(harness.running.address()).await.unwrap();
    let mut answer = [0; 1];
    let read = soon(third.read(&mut answer)).await;
    assert!(
        matches!(read, Ok(0) | Err(_)),
        "the third is closed at once"
    );
    drop((first, second));
}

#[tokio::test]
async fn a_key_that_calls_too_fast_is_told_when_to_come_again() {
    use tonic_types::StatusExt;
    let harness = Harness::with(|options| options.limits.calls_per_second = 1).await;
    let mut orders = harness.orders().await;
    let list = v1::ListOrdersRequest::default();
    orders.list_orders(list.clone()).await.unwrap();
    // The second call of one second; the third, should the machine have slept through it.
    let mut refused = None;
    while refused.is_none() {
        refused = orders.list_orders(list.clone()).await.err();
    }
    let status = refused.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_error_details().retry_info().is_some());
}

#[tokio::test]
async fn the_status_tells_mode_parts_and_topics() {
    let harness = Harness::start().await;
    let mut system = SystemServiceClient::new(harness.admin().await);
    let request = v1::GetSystemStatusRequest {};
    let answer = system
        .get_system_status(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.mode(), v1::RunMode::Simulated);
    assert!(answer.ready, "{:?}", answer.components);
    assert!(
        answer
            .components
            .iter()
            .any(|part| part.name == "feed BTCUSDT.SIM" && part.ok)
    );
    let topics: Vec<&str> = answer
        .topics
        .iter()
        .map(|topic| topic.name.as_str())
        .collect();
    assert!(
        topics.contains(&"trades") && topics.contains(&"account_events"),
        "{topics:?}"
    );
}
