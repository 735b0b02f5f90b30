//! What happens to deployed strategies.

use super::desk::Desk;
use super::{as_role, client, harness};
use crate::harness::soon;
use crate::orders::fields;
use apex_bus::strategies::{LogLine, StrategyEventKind};
use apex_domain::deployment::DeploymentState;
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::stream_strategy_events_response::Item;
use tonic::Code;

#[tokio::test]
async fn events_are_streamed_to_who_may_see_them_and_resumed_without_a_gap_or_a_repeat() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let (mut client, _) = as_role(&harness, Role::Viewer).await;
    let open = |resume_token: &str| v1::StreamStrategyEventsRequest {
        resume_token: resume_token.into(),
        ..Default::default()
    };
    desk.happens("paper", "ema-1", StrategyEventKind::Deployed { version: 1 });
    let mut stream = soon(client.stream_strategy_events(open("")))
        .await
        .unwrap()
        .into_inner();
    let running = StrategyEventKind::StateChanged {
        state: DeploymentState::Running,
    };
    for (account, kind) in [
        ("other", running.clone()),
        ("paper", running),
        ("paper", StrategyEventKind::Log(LogLine::Warn)),
    ] {
        desk.happens(account, "ema-1", kind);
    }
    let (mut seen, mut token, mut beats) = (Vec::new(), String::new(), 0);
    while seen.len() < 2 || beats < 2 {
        let message = soon(stream.message())
            .await
            .unwrap()
            .expect("the stream goes on");
        match message.item {
            Some(Item::Event(event)) => {
                if seen.is_empty() {
                    token = message.resume_token;
                }
                seen.push(event);
            }
            Some(Item::Heartbeat(_)) => beats += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen[0].state(), v1::StrategyState::Running);
    assert_eq!((seen[0].sequence, seen[0].text.as_str()), (3, "of paper"));
    assert_eq!((seen[1].sequence, seen[1].level()), (4, v1::LogLevel::Warn));
    drop(stream);
    let mut again = soon(client.stream_strategy_events(open(&token)))
        .await
        .unwrap()
        .into_inner();
    let next = soon(async {
        loop {
            let message = again.message().await.unwrap().expect("the stream goes on");
            if let Some(Item::Event(event)) = message.item {
                return event;
            }
        }
    });
    assert_eq!(next.await.sequence, 4);
    // Of another start of the platform.
    let mut other = soon(client.stream_strategy_events(open("1:99")))
        .await
        .unwrap()
        .into_inner();
    let first = soon(other.message()).await.unwrap().unwrap();
    assert!(
        matches!(first.item, Some(Item::Gap(gap)) if gap.events == 0 && !gap.reason.is_empty())
    );
    let bad = client.stream_strategy_events(open("x")).await.unwrap_err();
    assert_eq!(fields(&bad), ["resume_token"]);
}

#[tokio::test]
async fn more_events_than_one_read_takes_are_all_sent() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let mut client = client(&harness).await;
    let all = v1::StreamStrategyEventsRequest {
        resume_token: "5:0".into(),
        ..Default::default()
    };
    for _ in 0..1_000 {
        desk.happens("paper", "ema-1", StrategyEventKind::Log(LogLine::Info));
    }
    let mut stream = soon(client.stream_strategy_events(all))
        .await
        .unwrap()
        .into_inner();
    let mut last = 0;
    while last < 1_000 {
        let message = soon(stream.message())
            .await
            .unwrap()
            .expect("the stream goes on");
        if let Some(Item::Event(event)) = message.item {
            assert_eq!(event.sequence, last + 1);
            last = event.sequence;
        }
    }
}

#[tokio::test]
async fn a_revoked_key_ends_its_stream() {
    let desk = Desk::new();
    let harness = harness(&desk).await;
    let (mut client, key) = as_role(&harness, Role::Viewer).await;
    let all = v1::StreamStrategyEventsRequest::default();
    let mut stream = soon(client.stream_strategy_events(all))
        .await
        .unwrap()
        .into_inner();
    harness.revoke(key);
    let end = soon(async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    });
    assert_eq!(end.await.code(), Code::Unauthenticated);
}
