//! `StrategyService.Connect`: carries messages between the wire and the node's sessions.

use crate::shared::{Shared, caller, stopped};
use crate::status;
use crate::strategy_sessions::{SESSION_QUEUE, StrategySession, StrategySessions};
use crate::stream::{Over, Receiver, Sender};
use apex_proto::v1;
use apex_proto::v1::strategy_service_server::StrategyService;
use std::fmt;
use std::sync::Arc;
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
        let sessions = self.sessions.clone().ok_or_else(|| {
            status::not_here("strategies of its own (a replay runs the ones that are built in)")
        })?;
        let (sender, receiver) = self.shared.open(&self.shared.streams.strategies)?;
        // The answer's header must not wait for the client's first message, so the session begins
        // in its own task.
        let session = Wire {
            shared: self.shared.clone(),
            incoming: request.into_inner(),
            sender,
        };
        tokio::spawn(session.run(caller, sessions));
        Ok(Response::new(receiver))
    }
}

struct Wire {
    shared: Shared,
    incoming: Streaming<v1::StrategyRequest>,
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
            sender,
        } = self;
        let inwards = async {
            while let Ok(Some(message)) = incoming.message().await {
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
