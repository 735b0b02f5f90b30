//! Order sessions: as many orders as they take, on one connection and on four.

use super::platform::Node;
use super::{Client, ROUNDS, TURN, Turn, connect, head, order, row, unary_turn};
use apex_proto::v1;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use v1::order_session_answer::Answer;
use v1::order_session_request::Message as Asked;
use v1::order_session_response::Message as Told;

/// Orders in one message.
const BATCH: u64 = 64;

fn message(message: Asked) -> v1::OrderSessionRequest {
    v1::OrderSessionRequest {
        message: Some(message),
    }
}

fn batch(first: u64) -> v1::OrderSessionRequest {
    let commands = (first..first + BATCH).map(|command_id| v1::OrderSessionCommand {
        command_id,
        command: Some(v1::order_session_command::Command::Submit(order())),
    });
    message(Asked::Commands(v1::OrderSessionCommands {
        commands: commands.collect(),
    }))
}

/// Sends orders for the time of a turn, and waits for every answer.
async fn session(mut client: Client, guarded: bool) -> u64 {
    let (requests, outgoing) = mpsc::channel(16);
    let hello = v1::OrderSessionHello {
        account_id: "paper".into(),
        cancel_on_disconnect: guarded,
        ..Default::default()
    };
    requests
        .send(message(Asked::Hello(hello)))
        .await
        .expect("a place");
    let stream = client.order_session(ReceiverStream::new(outgoing)).await;
    let mut stream = stream.expect("a session").into_inner();
    let begun = Instant::now();
    let sends = tokio::spawn(async move {
        let mut sent = 0;
        while begun.elapsed() < TURN {
            requests.send(batch(sent + 1)).await.expect("it is read");
            sent += BATCH;
        }
        let goodbye = v1::OrderSessionGoodbye::default();
        requests
            .send(message(Asked::Goodbye(goodbye)))
            .await
            .expect("it is read");
        sent
    });
    let mut answered = 0;
    while let Some(told) = stream.message().await.expect("no end but a goodbye") {
        if let Some(Told::Answers(answers)) = told.message {
            for answer in &answers.answers {
                assert!(
                    matches!(answer.answer, Some(Answer::Order(_))),
                    "{answer:?}"
                );
            }
            answered += answers.answers.len() as u64;
        }
    }
    assert_eq!(answered, sends.await.expect("it sent"));
    answered
}

async fn turn(clients: &[Client], guarded: bool) -> Turn {
    let (begun, mut tasks) = (Instant::now(), JoinSet::new());
    for client in clients {
        tasks.spawn(session(client.clone(), guarded));
    }
    let orders = tasks.join_all().await.iter().sum();
    Turn {
        orders,
        took: begun.elapsed(),
        ..Turn::default()
    }
}

pub async fn against_unary(node: &Node) {
    println!();
    head("session", "unary");
    let clients = connect(node.address(), node.token(), 4).await;
    for (connections, guarded) in [(1, false), (1, true), (4, false)] {
        let clients = &clients[..connections];
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let sessions = turn(clients, guarded).await;
            let unary = unary_turn(clients).await;
            pairs.push((sessions.per_second(), unary.per_second()));
        }
        let kind = if guarded { "guarded" } else { "not guarded" };
        let what = format!("orders of sessions, {connections} connections, {kind}");
        row(&what, "orders/s", &pairs, "goal >= 5");
    }
}
