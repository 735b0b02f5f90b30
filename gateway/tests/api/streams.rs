//! Order streams: every event once, whatever happens in between.

use crate::harness::{Authorized, EVENTS, Harness, resting, soon};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::order_service_client::OrderServiceClient;
use apex_proto::v1::stream_orders_response::Item;
use std::time::Duration;
use tonic::{Code, Streaming};

type Orders = OrderServiceClient<Authorized>;

async fn stream(
    orders: &mut Orders,
    request: v1::StreamOrdersRequest,
) -> Streaming<v1::StreamOrdersResponse> {
    soon(orders.stream_orders(request))
        .await
        .unwrap()
        .into_inner()
}

fn from(sequence: u64) -> v1::StreamOrdersRequest {
    v1::StreamOrdersRequest {
        account_id: "paper".into(),
        from_sequence: sequence,
        ..Default::default()
    }
}

/// Returns the next event and its resume token, passing over heartbeats.
async fn next(stream: &mut Streaming<v1::StreamOrdersResponse>) -> (v1::OrderEvent, String) {
    soon(async {
        loop {
            let message = stream.message().await.unwrap().expect("the stream goes on");
            if let Some(Item::Event(event)) = message.item {
                return (event, message.resume_token);
            }
        }
    })
    .await
}

/// Takes events until `count` orders are accepted, and returns their sequences.
async fn until_accepted(
    stream: &mut Streaming<v1::StreamOrdersResponse>,
    count: usize,
) -> Vec<u64> {
    let (mut sequences, mut accepted) = (Vec::new(), 0);
    while accepted < count {
        let (event, _) = next(stream).await;
        sequences.push(event.sequence);
        accepted += usize::from(event.kind() == v1::OrderEventKind::Accepted);
    }
    sequences
}

#[tokio::test]
async fn a_stream_tells_the_life_of_an_order() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut events = stream(&mut orders, from(0)).await;
    let first = soon(events.message()).await.unwrap().unwrap();
    assert!(matches!(first.item, Some(Item::Heartbeat(_))));
    // The first may still come from the journal, the second can only come from the live topic.
    for id in ["c-1", "c-2"] {
        orders.submit_order(resting(id)).await.unwrap();
        let mut kinds = Vec::new();
        while kinds.last() != Some(&v1::OrderEventKind::Accepted) {
            let (event, _) = next(&mut events).await;
            assert_eq!(event.order.as_ref().unwrap().client_order_id, id);
            kinds.push(event.kind());
        }
        assert_eq!(
            kinds,
            [
                v1::OrderEventKind::Initialized,
                v1::OrderEventKind::Submitted,
                v1::OrderEventKind::Accepted
            ]
        );
    }
}

#[tokio::test]
async fn an_event_read_later_is_the_event_that_was_live() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut live = stream(&mut orders, from(0)).await;
    orders.submit_order(resting("c-0")).await.unwrap();
    until_accepted(&mut live, 1).await;
    // From here on the stream has read the journal and hears the live topic.
    orders.submit_order(resting("c-1")).await.unwrap();
    let off_tick = v1::SubmitOrderRequest {
        limit_price: "50000.001".into(),
        ..resting("c-2")
    };
    orders.submit_order(off_tick).await.unwrap_err();
    let (mut was, mut is) = (Vec::new(), Vec::new());
    while was
        .last()
        .is_none_or(|event: &v1::OrderEvent| event.kind() != v1::OrderEventKind::Denied)
    {
        was.push(next(&mut live).await.0);
    }
    let mut later = stream(&mut orders, from(was[0].sequence)).await;
    while is.len() < was.len() {
        is.push(next(&mut later).await.0);
    }
    assert_eq!(is, was);
}

#[tokio::test]
async fn a_stream_resumes_behind_its_token_without_loss_or_repetition() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    for number in 0..10 {
        orders
            .submit_order(resting(&format!("c-{number}")))
            .await
            .unwrap();
    }
    let whole = until_accepted(&mut stream(&mut orders, from(1)).await, 10).await;
    assert_eq!(whole.len(), 30);

    let mut cut = stream(&mut orders, from(1)).await;
    let mut seen = Vec::new();
    let mut token = String::new();
    for _ in 0..11 {
        let (event, resume_token) = next(&mut cut).await;
        seen.push(event.sequence);
        token = resume_token;
    }
    drop(cut);
    let resumed = v1::StreamOrdersRequest {
        resume_token: token,
        ..Default::default()
    };
    let mut rest = stream(&mut orders, resumed).await;
    while seen.len() < whole.len() {
        seen.push(next(&mut rest).await.0.sequence);
    }
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn a_burst_that_overflows_the_topic_is_read_from_the_journal() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut events = stream(&mut orders, from(1)).await;
    // Each order has three events: this is many times what the topic holds.
    let count = 4 * EVENTS as usize;
    let submit = |number: usize| {
        let mut orders = orders.clone();
        async move {
            orders
                .submit_order(resting(&format!("c-{number}")))
                .await
                .unwrap()
        }
    };
    futures::future::join_all((0..count).map(submit)).await;
    let sequences = until_accepted(&mut events, count).await;
    assert!(
        sequences.is_sorted_by(|a, b| a < b),
        "ascending, none twice"
    );
    assert_eq!(sequences.len(), 3 * count);
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    for (request, field) in [
        (from(1_000_000), "from_sequence"),
        (
            v1::StreamOrdersRequest {
                from_sequence: 1,
                ..Default::default()
            },
            "account_id",
        ),
        (
            v1::StreamOrdersRequest {
                resume_token: "nonsense".into(),
                ..Default::default()
            },
            "resume_token",
        ),
        (
            v1::StreamOrdersRequest {
                resume_token: "paper=9999".into(),
                ..Default::default()
            },
            "resume_token",
        ),
    ] {
        let status = orders.stream_orders(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{}", status.message());
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    let harness =
        Harness::with(|options| options.limits.heartbeat = Duration::from_millis(20)).await;
    let (token, key) = harness.user(9, Role::Viewer, &["paper"]);
    let mut orders = OrderServiceClient::new(harness.as_token(&token).await);
    let mut events = stream(&mut orders, from(0)).await;
    soon(events.message()).await.unwrap().unwrap();
    harness.revoke(key);
    let end = loop {
        match soon(events.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn streams_end_with_a_reason_when_the_gateway_stops() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let mut events = stream(&mut orders, from(0)).await;
    soon(events.message()).await.unwrap().unwrap();
    let stopped = tokio::spawn(harness.running.stop());
    let end = loop {
        match soon(events.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    drop((events, orders));
    soon(stopped).await.unwrap();
}

#[tokio::test]
async fn an_account_stream_shows_what_changed() {
    let harness = Harness::start().await;
    let mut accounts = v1::account_service_client::AccountServiceClient::new(harness.admin().await);
    let request = v1::StreamAccountRequest {
        account_id: "paper".into(),
    };
    let mut stream = soon(accounts.stream_account(request))
        .await
        .unwrap()
        .into_inner();
    let adjust = v1::AdjustCashRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
        currency: "USDT".into(),
        amount: "-0.5".into(),
        reason: "test".into(),
    };
    let misspelt = v1::AdjustCashRequest {
        currency: "USDR".into(),
        ..adjust.clone()
    };
    let refused = accounts.adjust_cash(misspelt).await.unwrap_err();
    assert_eq!(crate::orders::fields(&refused), ["currency"]);
    assert!(refused.message().contains("USDT"), "{}", refused.message());
    accounts.adjust_cash(adjust.clone()).await.unwrap();
    let again = accounts.adjust_cash(adjust).await.unwrap().into_inner();
    assert_eq!(again.cash["USDT"], "999999.5");
    loop {
        let message = soon(stream.message()).await.unwrap().unwrap();
        if message
            .account
            .is_some_and(|account| account.cash["USDT"] == "999999.5")
        {
            break;
        }
    }
}
