//! A session with the simulated venue, as an account's broker holds it.
//!
//! Connecting again after a loss is the caller's job: it knows the last report that it made
//! durable and logs on with the number behind it.

use super::SimVenueError;
use super::lines::LineReader;
use super::protocol::{
    ClientMessage, ErrorCode, Faults, PROTOCOL, SERVER_LINE_BYTES, SILENT_HEARTBEATS, ServerMessage,
};
use apex_domain::market::MarketEvent;
use apex_domain::reconcile::VenueSnapshot;
use apex_domain::venue::{VenueCommand, VenueControl, VenueReport};
use apex_domain::{AccountId, Instrument, UnixNanos};
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{self, timeout};

/// Commands that wait for the socket. An account sends at most some thousands a second; when it
/// is full, the session is behind and the sender is told.
const COMMANDS: usize = 1_024;

/// Events that wait for the account. When it is full the socket is not read, and the venue
/// keeps the reports and drops market data.
const EVENTS: usize = 4_096;

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// `host:port`.
    pub address: String,
    pub account_id: AccountId,
    /// The number behind the last report that is durable here; 1 for none.
    pub next_report_sequence: u64,
    /// Time for connection and logon together.
    pub deadline: Duration,
    /// How often either side speaks at least. A venue that is silent for three of these is
    /// taken for lost.
    pub heartbeat: Duration,
    pub market_data: bool,
}

impl ConnectOptions {
    /// Returns options with a deadline of 5 s and heartbeats of 1 s, so that a silent venue is
    /// noticed within 3 s, and without market data.
    pub fn new(address: String, account_id: AccountId, next_report_sequence: u64) -> Self {
        ConnectOptions {
            address,
            account_id,
            next_report_sequence,
            deadline: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            market_data: false,
        }
    }
}

/// What comes from the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VenueEvent {
    Report {
        /// Dense from 1 per account; 0 for the answer to a query. A number may come twice.
        sequence: u64,
        report: VenueReport,
    },
    /// What the venue has of the account. It does not say when it was asked for.
    Snapshot(Box<VenueSnapshot>),
    Market(MarketEvent),
    /// This many market events were missed; the books follow anew.
    MarketGap {
        missed: u64,
    },
    /// The last event of a session. What was sent and not answered has an unknown outcome.
    Lost(LostReason),
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LostReason {
    #[error("closed by the venue")]
    Closed,
    #[error("connection broke: {0}")]
    Broken(String),
    #[error("silent for {millis} ms")]
    Silent { millis: u128 },
    #[error("closed by the venue: {text} ({code:?})")]
    Refused { code: ErrorCode, text: String },
    #[error("not the protocol: {0}")]
    Protocol(String),
    #[error("report {actual} came where {expected} was expected")]
    Gap { expected: u64, actual: u64 },
}

/// Why a command could not be handed over. It did not leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// Try again later.
    #[error("too many commands wait for the simulated venue")]
    Full,
    #[error("session with the simulated venue is closed")]
    Closed,
}

/// Sends commands. Dropping the last one closes the session.
#[derive(Clone, Debug)]
pub struct CommandSender {
    messages: mpsc::Sender<ClientMessage>,
}

impl CommandSender {
    /// Hands a command over. `Ok` means that it will be written to the socket if that lives
    /// long enough, and nothing more.
    ///
    /// Errors: [`SendError`].
    pub fn send(&self, command: VenueCommand) -> Result<(), SendError> {
        self.hand_over(ClientMessage::Command(command))
    }

    /// Asks what the venue has of the account, its executions from `since` on.
    ///
    /// Errors: [`SendError`].
    pub fn request_snapshot(&self, since: UnixNanos) -> Result<(), SendError> {
        self.hand_over(ClientMessage::Snapshot { since })
    }

    /// Tells the venue what to do wrong from here on; for tests.
    ///
    /// Errors: [`SendError`].
    pub fn set_faults(&self, faults: Faults) -> Result<(), SendError> {
        self.hand_over(ClientMessage::SetFaults(faults))
    }

    /// Has the venue halt, resume, open or close an instrument, or bust an execution.
    ///
    /// Errors: [`SendError`].
    pub fn control(&self, control: VenueControl) -> Result<(), SendError> {
        self.hand_over(ClientMessage::Control(control))
    }

    fn hand_over(&self, message: ClientMessage) -> Result<(), SendError> {
        self.messages
            .try_send(message)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::Full,
                mpsc::error::TrySendError::Closed(_) => SendError::Closed,
            })
    }
}

/// Gives the venue's events. Dropping it closes the session.
#[derive(Debug)]
pub struct EventStream {
    events: mpsc::Receiver<VenueEvent>,
    writer: AbortHandle,
}

impl EventStream {
    /// Returns the next event; `None` after [`VenueEvent::Lost`]. May be dropped while it waits
    /// without losing one.
    pub async fn next(&mut self) -> Option<VenueEvent> {
        self.events.recv().await
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// A session that is logged on.
#[derive(Debug)]
pub struct SimVenueClient {
    /// The venue's number of the session.
    pub session: u64,
    /// The number of the last report that existed at logon: up to here reports are repeats of
    /// what happened before.
    pub last_report_sequence: u64,
    pub instruments: Vec<Instrument>,
    sender: CommandSender,
    events: EventStream,
}

impl SimVenueClient {
    /// Connects and logs on.
    ///
    /// Errors: `Unreachable` and `Deadline`, try again later; `Logon`, look why.
    pub async fn connect(options: ConnectOptions) -> Result<SimVenueClient, SimVenueError> {
        let (address, deadline) = (options.address.clone(), options.deadline);
        match timeout(deadline, open(options)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(SimVenueError::Deadline {
                address,
                millis: deadline.as_millis(),
            }),
        }
    }

    /// Takes the session apart into its two directions.
    pub fn split(self) -> (CommandSender, EventStream) {
        (self.sender, self.events)
    }
}

async fn open(options: ConnectOptions) -> Result<SimVenueClient, SimVenueError> {
    let unreachable = |source| SimVenueError::Unreachable {
        address: options.address.clone(),
        source,
    };
    let stream = TcpStream::connect(&options.address)
        .await
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let (read, mut write) = stream.into_split();
    let heartbeat_ms = u64::try_from(options.heartbeat.as_millis()).unwrap_or(u64::MAX);
    let logon = ClientMessage::Logon {
        protocol: PROTOCOL,
        account_id: options.account_id.clone(),
        next_report_sequence: options.next_report_sequence,
        heartbeat_ms,
    };
    write.write_all(&line(&logon)).await.map_err(unreachable)?;
    if options.market_data {
        let subscribe = line(&ClientMessage::SubscribeMarket);
        write.write_all(&subscribe).await.map_err(unreachable)?;
    }
    let failed = |reason: String| SimVenueError::Logon {
        address: options.address.clone(),
        reason,
    };
    let mut lines = LineReader::new(read, SERVER_LINE_BYTES);
    let answer = match lines.next().await {
        Ok(Some(text)) => serde_json::from_slice(text).map_err(|e| failed(e.to_string()))?,
        Ok(None) => return Err(failed("connection closed".to_owned())),
        Err(error) => return Err(failed(error.to_string())),
    };
    let (session, last_report_sequence, instruments) = match answer {
        ServerMessage::LoggedOn {
            session,
            last_report_sequence,
            instruments,
        } => (session, last_report_sequence, instruments),
        ServerMessage::Error { code, text } => return Err(failed(format!("{text} ({code:?})"))),
        _ => return Err(failed("the first answer is no logon".to_owned())),
    };
    let (messages, waiting) = mpsc::channel(COMMANDS);
    let (events, events_rx) = mpsc::channel(EVENTS);
    let writer = tokio::spawn(write_messages(write, waiting, options.heartbeat)).abort_handle();
    let reader = Reader {
        lines,
        events,
        next: options.next_report_sequence.max(1),
        silence: options.heartbeat * SILENT_HEARTBEATS,
    };
    tokio::spawn(reader.run(writer.clone()));
    Ok(SimVenueClient {
        session,
        last_report_sequence,
        instruments,
        sender: CommandSender { messages },
        events: EventStream {
            events: events_rx,
            writer,
        },
    })
}

fn line(message: &ClientMessage) -> Vec<u8> {
    // Every type here has string keys and plain values, which JSON always can state.
    let mut text = serde_json::to_vec(message).expect("message has no JSON form");
    text.push(b'\n');
    text
}

/// Writes commands, and heartbeats between them, until the sender or the socket is gone. Closing
/// the socket for writing makes the venue close it for good, which the reader tells.
async fn write_messages(
    mut socket: OwnedWriteHalf,
    mut messages: mpsc::Receiver<ClientMessage>,
    heartbeat: Duration,
) {
    let mut heartbeats = time::interval(heartbeat);
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            _tick = heartbeats.tick() => Some(ClientMessage::Heartbeat),
        };
        let Some(message) = message else { return };
        if socket.write_all(&line(&message)).await.is_err() {
            return;
        }
    }
}

struct Reader {
    lines: LineReader<OwnedReadHalf>,
    events: mpsc::Sender<VenueEvent>,
    /// The next report that was not seen yet.
    next: u64,
    silence: Duration,
}

impl Reader {
    async fn run(mut self, writer: AbortHandle) {
        let lost = self.read().await;
        // Nothing is sent into a session that is lost.
        writer.abort();
        if let Some(reason) = lost {
            // The receiver may be gone by now.
            let _unheard = self.events.send(VenueEvent::Lost(reason)).await;
        }
    }

    /// Reads until the session is lost; `None` when nobody listens any more.
    async fn read(&mut self) -> Option<LostReason> {
        loop {
            let text = match timeout(self.silence, self.lines.next()).await {
                Ok(Ok(Some(text))) => text,
                Ok(Ok(None)) => return Some(LostReason::Closed),
                Ok(Err(error)) => return Some(LostReason::Broken(error.to_string())),
                Err(_elapsed) => {
                    return Some(LostReason::Silent {
                        millis: self.silence.as_millis(),
                    });
                }
            };
            let event = match serde_json::from_slice(text) {
                Ok(ServerMessage::Heartbeat) => continue,
                Ok(ServerMessage::Report { sequence, report }) => {
                    if sequence > self.next {
                        return Some(LostReason::Gap {
                            expected: self.next,
                            actual: sequence,
                        });
                    }
                    self.next = self.next.max(sequence + 1);
                    VenueEvent::Report { sequence, report }
                }
                Ok(ServerMessage::Snapshot(snapshot)) => VenueEvent::Snapshot(snapshot),
                Ok(ServerMessage::Market(event)) => VenueEvent::Market(event),
                Ok(ServerMessage::MarketGap { missed }) => VenueEvent::MarketGap { missed },
                Ok(ServerMessage::Error { code, text }) => {
                    return Some(LostReason::Refused { code, text });
                }
                Ok(ServerMessage::LoggedOn { .. }) => {
                    return Some(LostReason::Protocol("logged on twice".to_owned()));
                }
                Err(error) => return Some(LostReason::Protocol(error.to_string())),
            };
            self.events.send(event).await.ok()?;
        }
    }
}
