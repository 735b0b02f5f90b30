//! One session with the gateway, from its first message to its last.

use super::config::HostConfig;
use super::error::HostError;
use super::events::Driver;
use super::subscriptions;
use apex_proto::v1::strategy_request::Message as Request;
use apex_proto::v1::strategy_response::Message as Response;
use apex_proto::v1::strategy_service_client::StrategyServiceClient;
use apex_proto::v1::{self, SessionEndKind as End};
use apex_strategy::{DataSource, Strategy, narrowed, registry};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request as Call, Status, Streaming};

/// Messages to the server that may wait. The server answers a batch or two before it wants more;
/// when it reads nothing for so long that this is full, it is gone.
const OUTGOING: usize = 64;

/// A gateway on loopback answers at once; a second one over a slow line within this.
const CONNECT: Duration = Duration::from_secs(10);

/// The welcome waits for the account's orders, which a starting node may still be recovering.
const WELCOME: Duration = Duration::from_secs(30);

/// The server says something each 15 s: three of those and nothing more is to come.
const SILENCE: Duration = Duration::from_secs(45);

/// As the protocol says.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long the end of a session may take once this side has said goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// The largest message that is taken: the welcome, with some thousand instruments.
const MESSAGE_BYTES: usize = 64 << 20;

/// How a session ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub kind: End,
    pub reason: String,
}

/// Runs one strategy as long as its session lives. `config.token` is the Bearer token.
///
/// Errors: [`HostError`]; the working orders then stand as the session's end left them.
pub async fn run(config: &HostConfig) -> Result<Ended, HostError> {
    let strategy =
        registry::find(&config.strategy)?.build(DataSource::Feed, &config.parameters())?;
    let strategy = narrowed(strategy, config.instruments()?);
    let hello = hello(config, strategy.as_ref());
    let (outgoing, responses) = connect(config, hello).await?;
    Session {
        outgoing,
        responses,
        last_sent: Instant::now(),
    }
    .run(strategy)
    .await
}

fn hello(config: &HostConfig, strategy: &dyn Strategy) -> v1::Hello {
    v1::Hello {
        protocol: v1::StrategyProtocol::V1.into(),
        account_id: config.account_id.clone(),
        strategy_id: config.strategy_id.clone(),
        strategy_type: config.strategy.clone(),
        subscriptions: subscriptions::write(&strategy.subscriptions()),
        account: strategy.subscriptions().account,
        parameters: config.params.clone(),
        cancel_on_disconnect: config.cancel_on_disconnect,
    }
}

type Outgoing = mpsc::Sender<v1::StrategyRequest>;

async fn connect(
    config: &HostConfig,
    hello: v1::Hello,
) -> Result<(Outgoing, Streaming<v1::StrategyResponse>), HostError> {
    let failed = |detail: String| HostError::Connect {
        url: config.gateway.clone(),
        detail,
    };
    let endpoint = Endpoint::from_shared(config.gateway.clone())
        .map_err(|_| HostError::Config("gateway is no URL".into()))?
        .connect_timeout(CONNECT)
        .initial_stream_window_size(apex_proto::CLIENT_WINDOW)
        .initial_connection_window_size(apex_proto::CLIENT_WINDOW)
        .tcp_nodelay(true);
    let channel: Channel = within(CONNECT, endpoint.connect())
        .await?
        .map_err(|error| failed(root(&error)))?;
    let bearer = MetadataValue::try_from(format!("Bearer {}", config.token))
        .map_err(|_| HostError::Config("token holds other than visible ASCII".into()))?;
    let (outgoing, waiting) = mpsc::channel(OUTGOING);
    // The queue is new and has room.
    let _ = outgoing.try_send(request(Request::Hello(hello)));
    let mut call = Call::new(ReceiverStream::new(waiting));
    call.metadata_mut().insert("authorization", bearer);
    let mut client = StrategyServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
    let responses = within(CONNECT, client.connect(call))
        .await?
        .map_err(refused)?;
    Ok((outgoing, responses.into_inner()))
}

/// The innermost cause: what a person can act on.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn refused(status: Status) -> HostError {
    HostError::Refused {
        code: format!("{:?}", status.code()),
        message: status.message().to_owned(),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, HostError> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| HostError::Silent(limit))
}

fn request(message: Request) -> v1::StrategyRequest {
    v1::StrategyRequest {
        message: Some(message),
    }
}

struct Session {
    outgoing: Outgoing,
    responses: Streaming<v1::StrategyResponse>,
    last_sent: Instant,
}

impl Session {
    async fn run(mut self, strategy: Box<dyn Strategy>) -> Result<Ended, HostError> {
        let welcome = match within(WELCOME, self.receive()).await?? {
            Response::Welcome(welcome) => welcome,
            Response::End(end) => return ended(&end),
            other => return Err(unexpected("the welcome", &other)),
        };
        let mut driver = Driver::new(strategy, &welcome)?;
        let commands = driver.start();
        self.own_initiative(commands)?;
        loop {
            if let Some(reason) = driver.failure() {
                let reason = reason.to_owned();
                return Err(self.give_up(reason).await);
            }
            let idle = HEARTBEAT.saturating_sub(self.last_sent.elapsed());
            let message = tokio::select! {
                biased;
                message = within(SILENCE, self.receive()) => message??,
                () = tokio::time::sleep(idle) => {
                    self.send(Request::Heartbeat(v1::Heartbeat { ts_ns: 0 }))?;
                    continue;
                }
            };
            match message {
                Response::Events(batch) => self.answer(&mut driver, &batch)?,
                Response::Outcome(outcome) => {
                    let commands = driver.outcome(&outcome);
                    self.own_initiative(commands)?;
                }
                Response::Control(control) => {
                    if control.kind() == v1::ControlKind::Stop {
                        return self.stop(&mut driver, control.reason).await;
                    }
                }
                Response::Heartbeat(_) => {}
                Response::End(end) => return ended(&end),
                Response::Welcome(_) => {
                    return Err(HostError::Protocol("a second welcome".into()));
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<Response, HostError> {
        loop {
            match self.responses.message().await.map_err(refused)? {
                Some(v1::StrategyResponse {
                    message: Some(message),
                }) => return Ok(message),
                // A message of a later version.
                Some(_) => {}
                None => {
                    return Err(HostError::Protocol(
                        "the stream ended without a word".into(),
                    ));
                }
            }
        }
    }

    fn answer(&mut self, driver: &mut Driver, batch: &v1::EventBatch) -> Result<(), HostError> {
        let began = Instant::now();
        let commands = driver.batch(batch)?;
        let handler_ns = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.send(Request::Commands(v1::CommandBatch {
            answers_sequence: batch.sequence,
            commands,
            handler_ns,
        }))
    }

    fn own_initiative(&mut self, commands: Vec<v1::StrategyCommand>) -> Result<(), HostError> {
        if commands.is_empty() {
            return Ok(());
        }
        self.send(Request::Commands(v1::CommandBatch {
            answers_sequence: 0,
            commands,
            handler_ns: 0,
        }))
    }

    fn send(&mut self, message: Request) -> Result<(), HostError> {
        self.last_sent = Instant::now();
        self.outgoing
            .try_send(request(message))
            .map_err(|_| HostError::Protocol("the server takes no more messages".into()))
    }

    /// The platform asks to stop: last commands, goodbye, and the server's last word.
    async fn stop(mut self, driver: &mut Driver, reason: String) -> Result<Ended, HostError> {
        let commands = driver.stop();
        self.own_initiative(commands)?;
        self.goodbye(reason, false).await
    }

    async fn give_up(mut self, reason: String) -> HostError {
        // Whatever the server says to it, the strategy has failed.
        let _ = self.goodbye(reason.clone(), true).await;
        HostError::Failed { reason }
    }

    async fn goodbye(&mut self, reason: String, failed: bool) -> Result<Ended, HostError> {
        self.send(Request::Goodbye(v1::Goodbye { reason, failed }))?;
        let last_word = async {
            loop {
                if let Response::End(end) = self.receive().await? {
                    return ended(&end);
                }
            }
        };
        within(FAREWELL, last_word).await?
    }
}

fn ended(end: &v1::SessionEnd) -> Result<Ended, HostError> {
    let (kind, reason) = (end.kind(), end.reason.clone());
    match kind {
        End::Done | End::Stopped | End::EndOfData => Ok(Ended { kind, reason }),
        End::Protocol | End::Budget | End::Replaced | End::Unspecified => Err(HostError::Ended {
            kind: kind.as_str_name().to_owned(),
            reason,
        }),
    }
}

fn unexpected(expected: &str, message: &Response) -> HostError {
    let name = match message {
        Response::Welcome(_) => "a welcome",
        Response::Events(_) => "events",
        Response::Outcome(_) => "an outcome",
        Response::Control(_) => "a control",
        Response::Heartbeat(_) => "a heartbeat",
        Response::End(_) => "the end",
    };
    HostError::Protocol(format!("{name} instead of {expected}"))
}
