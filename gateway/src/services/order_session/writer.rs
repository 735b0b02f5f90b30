//! From the account to the client: answers as they come, events, heartbeats.

use super::answer::{Come, come, error, write};
use super::hello::response;
use super::reader::Handed;
use super::records::Records;
use super::{End, MAX_COMMANDS, Session};
use crate::shared::{Definitions, wall_clock};
use crate::status;
use crate::stream::Receiver;
use apex_bus::message::CommandError;
use apex_domain::account::Refusal;
use apex_proto::v1;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Status;
use v1::order_session_answer::Answer;
use v1::order_session_response::Message as Told;
use v1::stream_orders_response::Item;

/// Bytes of answers or events that one message holds before the next is begun: far below the
/// 4 MiB that clients take by default, and large enough to spread the cost of a message.
const MESSAGE_BYTES: usize = 256 << 10;

pub(super) type Events = Receiver<v1::StreamOrdersResponse>;

/// What is under way of one command.
struct Open {
    command_id: u64,
    /// Number of the record that it is of.
    record: u64,
    essential: bool,
}

/// Sends until there is nothing more to come.
///
/// Errors: why the session is over before that.
pub(super) async fn run(
    session: &Session,
    mut taken: mpsc::Receiver<Handed>,
    mut events: Option<Events>,
) -> Result<(), End> {
    let mut writer = Writer {
        session,
        definitions: session.wire.server.shared.definitions(),
        records: Records::default(),
        ready: Vec::new(),
    };
    let mut under_way = FuturesUnordered::new();
    let mut is_open = true;
    let pause = session.wire.server.shared.limits.heartbeat;
    let mut beat = interval_at(Instant::now() + pause, pause);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while is_open || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = session.wire.sender.closed() => return Err(End::Gone),
            handed = taken.recv(), if is_open => match handed {
                Some(Handed::Command { command_id, essential, way }) => {
                    let record = writer.records.newest();
                    let open = Open { command_id, record, essential };
                    under_way.push(async move { (open, come(way).await) });
                }
                Some(Handed::Part { commands, record }) => writer.records.open(commands, record),
                None => is_open = false,
            },
            Some(first) = under_way.next() => {
                writer.ready.push(first);
                // What came together leaves together.
                while writer.ready.len() < MAX_COMMANDS
                    && let Some(Some(more)) = under_way.next().now_or_never()
                {
                    writer.ready.push(more);
                }
                writer.answer().await?;
                beat.reset();
            }
            event = next(&mut events) => writer.events(&mut events, event).await?,
            _ = beat.tick() => {
                let ts_ns = wall_clock().0;
                writer.send(Told::Heartbeat(v1::Heartbeat { ts_ns })).await?;
            }
        }
    }
    Ok(())
}

async fn next(events: &mut Option<Events>) -> Option<Result<v1::StreamOrdersResponse, Status>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

struct Writer<'a> {
    session: &'a Session,
    definitions: Definitions,
    records: Records,
    /// Came back, and waits to be written.
    ready: Vec<(Open, Come)>,
}

impl Writer<'_> {
    async fn send(&mut self, message: Told) -> Result<(), End> {
        let sent = self.session.wire.sender.send(response(message)).await;
        // A client that does not read finds the reason; for the session it is gone.
        sent.map_err(|_| End::Gone)
    }

    /// Sends what is ready, once its record is durable.
    async fn answer(&mut self) -> Result<(), End> {
        let ready = std::mem::take(&mut self.ready);
        let newest = ready.iter().map(|(open, _)| open.record).max();
        let waits = ready.iter().any(|(open, _)| !open.essential);
        let recorded = self.records.durable(newest.unwrap_or(0), waits).await;
        if !recorded && let Some((auditor, _)) = &self.session.wire.records {
            let early = ready.iter().filter(|(open, _)| open.essential);
            early.for_each(|_| auditor.audit.early());
        }
        let (mut answers, mut bytes, mut is_over) = (Vec::with_capacity(ready.len()), 0, false);
        for (open, come) in ready {
            is_over |= matches!(
                &come,
                Ok((_, Err(CommandError::Refused(Refusal::SessionOver))))
            );
            let answer = if recorded || open.essential {
                let server = &self.session.wire.server;
                write(server, &mut self.definitions, open.command_id, come)
            } else {
                v1::OrderSessionAnswer {
                    command_id: open.command_id,
                    answer: Some(Answer::Error(error(&status::audit_unknown()))),
                }
            };
            self.records.answered(open.record, &answer);
            bytes += answer.encoded_len();
            answers.push(answer);
            if bytes >= MESSAGE_BYTES {
                self.send_answers(std::mem::take(&mut answers)).await?;
                bytes = 0;
            }
        }
        self.send_answers(answers).await?;
        if is_over { Err(End::Over) } else { Ok(()) }
    }

    async fn send_answers(&mut self, answers: Vec<v1::OrderSessionAnswer>) -> Result<(), End> {
        let count = answers.len();
        if count > 0 {
            let message = v1::OrderSessionAnswers { answers };
            self.send(Told::Answers(message)).await?;
            self.session.window.add_permits(count);
        }
        Ok(())
    }

    /// Sends an event and those that are there behind it.
    async fn events(
        &mut self,
        events: &mut Option<Events>,
        first: Option<Result<v1::StreamOrdersResponse, Status>>,
    ) -> Result<(), End> {
        let mut message = v1::OrderSessionEvents::default();
        let (mut next, mut bytes) = (first, 0);
        let end = loop {
            match next {
                Some(Ok(told)) => {
                    message.resume_point = told.resume_token;
                    if let Some(Item::Event(event)) = told.item {
                        bytes += event.encoded_len();
                        message.events.push(event);
                    }
                }
                Some(Err(status)) => break Some(End::Cut(status)),
                None => break Some(End::Gone),
            }
            if bytes >= MESSAGE_BYTES {
                break None;
            }
            match events.as_mut().and_then(|it| it.next().now_or_never()) {
                Some(more) => next = more,
                None => break None,
            }
        };
        if !message.resume_point.is_empty() {
            self.send(Told::Events(message)).await?;
        }
        end.map_or(Ok(()), Err)
    }
}
