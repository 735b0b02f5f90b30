//! `StrategyService.Connect`: carries messages between the wire and the node's sessions.

use crate::audit::{self, Auditor};
use crate::shared::{Shared, caller, stopped};
use crate::status;
use crate::strategy_sessions::{SESSION_QUEUE, StrategySession, StrategySessions};
use crate::stream::{Over, Receiver, Sender};
use apex_bus::audit::Ticket;
use apex_domain::audit::AuditOrigin;
use apex_proto::v1;
use apex_proto::v1::strategy_service_server::StrategyService;
use prost::Message;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

/// How long a client may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);

/// The door for remote strategies.
#[derive(Clone)]
pub struct StrategyServer {
    pub(crate) shared: Shared,
    pub(crate) sessions: Option<Arc<dyn StrategySessions>>,
}

impl fmt::Debug for StrategyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyServer").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl StrategyService for StrategyServer {
    type ConnectStream = Receiver<v1::StrategyResponse>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::StrategyRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let caller = caller(&request)?;
        let origin = request.extensions().get::<AuditOrigin>().cloned();
        let sessions = self.sessions.clone().ok_or_else(|| {
            status::not_here("strategies of its own (a replay runs the ones that are built in)")
        })?;
        let (sender, receiver) = self.shared.open(&caller, &self.shared.streams.strategies)?;
        // The answer's header must not wait for the client's first message, so the session begins
        // in its own task.
        let session = Wire {
            shared: self.shared.clone(),
            incoming: request.into_inner(),
            records: Records::new(&self.shared, origin),
            sender,
        };
        tokio::spawn(session.run(caller, sessions));
        Ok(Response::new(receiver))
    }
}

/// Records the commands of a session.
struct Records {
    auditor: Option<(Auditor, AuditOrigin)>,
    /// Of commands that may not be durable yet. No answer leaves before they are.
    tickets: Mutex<Vec<Ticket>>,
}

impl Records {
    fn new(shared: &Shared, origin: Option<AuditOrigin>) -> Records {
        Records {
            auditor: shared.auditor.clone().zip(origin),
            tickets: Mutex::default(),
        }
    }

    fn tickets(&self) -> MutexGuard<'_, Vec<Ticket>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what a message commands, beside the account's own journal.
    ///
    /// Errors: the audit does not work, and nothing of the message must be carried out.
    fn command(&self, message: &v1::StrategyRequest) -> Result<(), Status> {
        let Some(v1::strategy_request::Message::Commands(batch)) = &message.message else {
            return Ok(());
        };
        let Some((auditor, origin)) = &self.auditor else {
            return Ok(());
        };
        if batch.commands.iter().any(is_of_orders) {
            let ticket = auditor.session_command(origin, &message.encode_to_vec())?;
            self.tickets().push(ticket);
        }
        Ok(())
    }

    /// Returns once every command before is durable.
    ///
    /// Errors: one may not be.
    async fn durable(&self) -> Result<(), Status> {
        let tickets = std::mem::take(&mut *self.tickets());
        for ticket in tickets {
            audit::durable(ticket).await?;
        }
        Ok(())
    }
}

/// Timers, states and log lines are the strategy's own affair.
fn is_of_orders(command: &v1::StrategyCommand) -> bool {
    use v1::strategy_command::Command;
    match &command.command {
        Some(
            Command::Target(_)
            | Command::Submit(_)
            | Command::Cancel(_)
            | Command::Amend(_)
            | Command::SubmitList(_)
            | Command::Close(_),
        ) => true,
        Some(
            Command::SetTimer(_)
            | Command::CancelTimer(_)
            | Command::SaveState(_)
            | Command::Log(_),
        )
        | None => false,
    }
}

struct Wire {
    shared: Shared,
    incoming: Streaming<v1::StrategyRequest>,
    records: Records,
    sender: Sender<v1::StrategyResponse>,
}

impl Wire {
    async fn run(mut self, caller: crate::auth::Caller, sessions: Arc<dyn StrategySessions>) {
        let hello = match tokio::time::timeout(HELLO, self.hello()).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(Over)) => return,
            Err(_) => {
                self.sender.end(status::request_timeout(HELLO));
                return;
            }
        };
        let (requests_in, requests) = mpsc::channel(SESSION_QUEUE);
        let (responses, responses_out) = mpsc::channel(SESSION_QUEUE);
        let session = StrategySession {
            caller: caller.clone(),
            requests,
            responses,
        };
        if let Err(refusal) = sessions.begin(hello, session).await {
            self.sender.end(status::session(&refusal));
            return;
        }
        self.carry(caller, requests_in, responses_out).await;
    }

    async fn hello(&mut self) -> Result<v1::Hello, Over> {
        match self.incoming.message().await {
            Ok(Some(v1::StrategyRequest {
                message: Some(v1::strategy_request::Message::Hello(hello)),
            })) => Ok(hello),
            Ok(Some(_)) => Err(self
                .sender
                .end(status::invalid_field("hello", "must be the first message"))),
            Ok(None) | Err(_) => Err(Over),
        }
    }

    /// Carries messages until one side is done. Each way has its own loop, so that a session that
    /// does not read cannot hold back what it says.
    async fn carry(
        self,
        mut caller: crate::auth::Caller,
        requests: mpsc::Sender<v1::StrategyRequest>,
        mut responses: mpsc::Receiver<v1::StrategyResponse>,
    ) {
        let Wire {
            shared,
            mut incoming,
            records,
            sender,
        } = self;
        let inwards = async {
            while let Ok(Some(message)) = incoming.message().await {
                if let Err(status) = records.command(&message) {
                    sender.end(status);
                    return;
                }
                if requests.send(message).await.is_err() {
                    return;
                }
            }
            // The session hears that the client is done and may still say its last words.
            drop(requests);
            std::future::pending::<()>().await;
        };
        let outwards = async {
            let mut beat = tokio::time::interval(shared.limits.heartbeat);
            let mut stopping = shared.stopping.clone();
            loop {
                tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    () = stopped(&mut stopping) => {
                        sender.end(status::shutting_down());
                        return;
                    }
                    _ = beat.tick() => match shared.renew(&caller) {
                        Ok(renewed) => caller = renewed,
                        Err(status) => {
                            sender.end(status);
                            return;
                        }
                    },
                    message = responses.recv() => {
                        let Some(message) = message else { return };
                        if let Err(status) = records.durable().await {
                            sender.end(status);
                            return;
                        }
                        if sender.send(message).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        tokio::pin!(inwards, outwards);
        futures::future::select(inwards, outwards).await;
    }
}
