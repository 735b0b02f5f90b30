//! A client's end of an order session, and what it says.

use crate::harness::{Authorized, Harness, resting, soon};
use apex_proto::v1;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use v1::order_service_client::OrderServiceClient;
pub use v1::order_session_answer::Answer;
pub use v1::order_session_command::Command;
pub use v1::order_session_request::Message as In;
pub use v1::order_session_response::Message as Out;

/// A client's end of a session.
pub struct Session {
    pub requests: mpsc::Sender<v1::OrderSessionRequest>,
    pub responses: Streaming<v1::OrderSessionResponse>,
    pub answers: BTreeMap<u64, Answer>,
    pub events: Vec<v1::OrderEvent>,
    pub resume_point: String,
}

pub fn hello() -> v1::OrderSessionHello {
    v1::OrderSessionHello {
        account_id: "paper".into(),
        ..Default::default()
    }
}

impl Session {
    pub async fn open(channel: Authorized, hello: v1::OrderSessionHello) -> Session {
        let (requests, outgoing) = mpsc::channel(64);
        let mut client = OrderServiceClient::new(channel);
        let stream = client.order_session(ReceiverStream::new(outgoing));
        let responses = soon(stream).await.unwrap().into_inner();
        let session = Session {
            requests,
            responses,
            answers: BTreeMap::new(),
            events: Vec::new(),
            resume_point: String::new(),
        };
        session.say(In::Hello(hello)).await;
        session
    }

    pub async fn begin(harness: &Harness, hello: v1::OrderSessionHello) -> (Session, Welcome) {
        let mut session = Session::open(harness.admin().await, hello).await;
        let welcome = session.welcome().await;
        (session, welcome)
    }

    pub async fn welcome(&mut self) -> Welcome {
        match self.next().await.unwrap() {
            Some(Out::Welcome(welcome)) => welcome,
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    pub async fn say(&self, message: In) {
        let message = Some(message);
        let request = v1::OrderSessionRequest { message };
        soon(self.requests.send(request)).await.unwrap();
    }

    pub async fn command(&self, commands: Vec<(u64, Command)>) {
        let commands = commands.into_iter();
        let commands = commands.map(|(command_id, command)| v1::OrderSessionCommand {
            command_id,
            command: Some(command),
        });
        let commands = commands.collect();
        self.say(In::Commands(v1::OrderSessionCommands { commands }))
            .await;
    }

    pub async fn next(&mut self) -> Result<Option<Out>, Status> {
        let message = soon(self.responses.message()).await?;
        Ok(message.and_then(|it| it.message))
    }

    pub async fn take(&mut self) -> Result<bool, Status> {
        match self.next().await? {
            None => return Ok(false),
            Some(Out::Answers(answers)) => {
                for answer in answers.answers {
                    let known = self
                        .answers
                        .insert(answer.command_id, answer.answer.unwrap());
                    assert!(known.is_none(), "{} was answered twice", answer.command_id);
                }
            }
            Some(Out::Events(events)) => {
                self.events.extend(events.events);
                self.resume_point = events.resume_point;
            }
            Some(_) => {}
        }
        Ok(true)
    }

    pub async fn answer(&mut self, command_id: u64) -> Answer {
        while !self.answers.contains_key(&command_id) {
            assert!(self.take().await.unwrap(), "{command_id} has no answer");
        }
        self.answers[&command_id].clone()
    }

    pub async fn order(&mut self, command_id: u64) -> v1::Order {
        match self.answer(command_id).await {
            Answer::Order(order) => order,
            other => panic!("{command_id}: {other:?}"),
        }
    }

    pub async fn error(&mut self, command_id: u64) -> v1::OrderSessionError {
        match self.answer(command_id).await {
            Answer::Error(error) => error,
            other => panic!("{command_id}: {other:?}"),
        }
    }

    /// Reads on to the end of the stream.
    pub async fn end(mut self) -> Result<Session, Status> {
        while self.take().await? {}
        Ok(self)
    }
}

pub type Welcome = v1::OrderSessionWelcome;

pub fn submit(client_order_id: &str) -> Command {
    Command::Submit(v1::SubmitOrderRequest {
        account_id: String::new(),
        ..resting(client_order_id)
    })
}

pub fn cancel(client_order_id: &str) -> Command {
    Command::Cancel(v1::CancelOrderRequest {
        client_order_id: client_order_id.into(),
        ..Default::default()
    })
}

pub fn amend(client_order_id: &str, quantity: &str) -> v1::AmendOrderRequest {
    v1::AmendOrderRequest {
        client_order_id: client_order_id.into(),
        request_id: format!("amend-{client_order_id}-{quantity}"),
        quantity: quantity.into(),
        ..Default::default()
    }
}

pub async fn status_of(harness: &Harness, client_order_id: &str) -> v1::OrderStatus {
    let request = v1::GetOrderRequest {
        account_id: "paper".into(),
        client_order_id: client_order_id.into(),
        ..Default::default()
    };
    let mut orders = harness.orders().await;
    orders.get_order(request).await.unwrap().get_ref().status()
}

pub fn guarded(cancel_on_disconnect: bool, seconds: i64) -> v1::OrderSessionHello {
    v1::OrderSessionHello {
        cancel_on_disconnect,
        dead_man_timeout_ns: seconds * 1_000_000_000,
        ..hello()
    }
}
