//! Sessions of remote strategies, as far as the gateway carries them.

use crate::harness::{Authorized, Harness, soon};
use apex_gateway::auth::Role;
use apex_gateway::{SessionRefusal, StrategySession, StrategySessions};
use apex_proto::v1;
use apex_proto::v1::strategy_request::Message as In;
use apex_proto::v1::strategy_response::Message as Out;
use apex_proto::v1::strategy_service_client::StrategyServiceClient;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

/// Welcomes, answers each batch of commands with an empty batch of events, and ends when the
/// client says so.
struct Echo;

#[tonic::async_trait]
impl StrategySessions for Echo {
    async fn begin(
        &self,
        hello: v1::Hello,
        mut session: StrategySession,
    ) -> Result<(), SessionRefusal> {
        let account_id = apex_domain::AccountId::new(&hello.account_id).map_err(|error| {
            SessionRefusal::Field {
                field: "account_id",
                description: error.to_string(),
            }
        })?;
        if !session.caller.may(&account_id) {
            return Err(SessionRefusal::NotGranted);
        }
        tokio::spawn(async move {
            let welcome = v1::Welcome {
                strategy_id: hello.strategy_id,
                ..Default::default()
            };
            say(&session.responses, Out::Welcome(welcome)).await;
            while let Some(request) = session.requests.recv().await {
                match request.message {
                    Some(In::Commands(commands)) => {
                        let sequence = commands.answers_sequence + 1;
                        let events = v1::EventBatch {
                            sequence,
                            events: vec![],
                        };
                        say(&session.responses, Out::Events(events)).await;
                    }
                    Some(In::Goodbye(_)) => {
                        let end = v1::SessionEnd::default();
                        say(&session.responses, Out::End(end)).await;
                        return;
                    }
                    _ => {}
                }
            }
        });
        Ok(())
    }

    fn knows(&self, strategy_id: &apex_domain::StrategyId) -> bool {
        strategy_id.as_str() == "s-1"
    }
}

async fn say(responses: &mpsc::Sender<v1::StrategyResponse>, message: Out) {
    // A client that is gone hears nothing.
    let _ = responses
        .send(v1::StrategyResponse {
            message: Some(message),
        })
        .await;
}

fn request(message: In) -> v1::StrategyRequest {
    v1::StrategyRequest {
        message: Some(message),
    }
}

fn hello(account_id: &str) -> In {
    In::Hello(v1::Hello {
        account_id: account_id.into(),
        strategy_id: "s-1".into(),
        ..Default::default()
    })
}

type Requests = mpsc::Sender<v1::StrategyRequest>;

async fn connect(channel: Authorized) -> (Requests, Streaming<v1::StrategyResponse>) {
    let (requests, outgoing) = mpsc::channel(8);
    let mut client = StrategyServiceClient::new(channel);
    let answers = soon(client.connect(ReceiverStream::new(outgoing)))
        .await
        .unwrap();
    (requests, answers.into_inner())
}

async fn harness() -> Harness {
    Harness::with(|options| options.strategies = Some(Arc::new(Echo))).await
}

#[tokio::test]
async fn a_session_is_carried_both_ways_until_its_end() {
    let harness = harness().await;
    let (requests, mut answers) = connect(harness.admin().await).await;
    requests.send(request(hello("paper"))).await.unwrap();
    let welcome = soon(answers.message()).await.unwrap().unwrap();
    assert!(matches!(welcome.message, Some(Out::Welcome(w)) if w.strategy_id == "s-1"));
    for sequence in 0..100 {
        let commands = v1::CommandBatch {
            answers_sequence: sequence,
            ..Default::default()
        };
        requests
            .send(request(In::Commands(commands)))
            .await
            .unwrap();
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert!(matches!(answer.message, Some(Out::Events(e)) if e.sequence == sequence + 1));
    }
    requests
        .send(request(In::Goodbye(v1::Goodbye::default())))
        .await
        .unwrap();
    let end = soon(answers.message()).await.unwrap().unwrap();
    assert!(matches!(end.message, Some(Out::End(_))));
    assert!(
        soon(answers.message()).await.unwrap().is_none(),
        "the stream ends with the session"
    );
}

#[tokio::test]
async fn a_session_that_cannot_begin_says_why() {
    let harness = harness().await;
    let (token, _) = harness.user(3, Role::Trader, &["paper"]);
    for (first, code) in [
        (hello("other"), Code::PermissionDenied),
        (hello("a b"), Code::InvalidArgument),
        (
            In::Heartbeat(v1::Heartbeat::default()),
            Code::InvalidArgument,
        ),
    ] {
        let (requests, mut answers) = connect(harness.as_token(&token).await).await;
        requests.send(request(first)).await.unwrap();
        let status = soon(answers.message()).await.unwrap_err();
        assert_eq!(status.code(), code);
    }
}

#[tokio::test]
async fn without_strategies_the_method_is_not_there() {
    let harness = Harness::start().await;
    let mut client = StrategyServiceClient::new(harness.admin().await);
    let status = client.connect(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
