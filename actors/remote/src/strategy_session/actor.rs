//! The shell of a session.

use super::args::{EndHook, LogHook, SessionArgs, SessionEnded, StateStore};
use super::budget::SessionUsage;
use super::commands::Owner;
use super::events::Happening;
use super::feeds::{Account, Feeds, PER_TOPIC};
use super::links::{self, BehindReply, Queued};
use super::machine::{Effect, Input, Loaded, Session, Setup};
use super::wants::Wants;
use apex_bus::clock::Clock;
use apex_bus::handle::{AccountHandle, EventHistory, RunMode};
use apex_bus::message::{AccountCommand, AccountEvent, AccountSummary, CommandError};
use apex_domain::account::Reply;
use apex_domain::order::Order;
use apex_domain::{ClientOrderId, UnixNanos};
use apex_proto::FieldErrors;
use apex_proto::v1::{self, SessionEndKind};
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Messages to the client that may wait: the outcomes of two full batches, and the batches. A
/// client that lets more wait does not read, and its session ends.
const OUTGOING: usize = 4_096;

/// Commands that may wait for the account: as many as one window of batches can hold.
const COMMANDS: usize = 4_096;

/// What a session begins with, before it has caught up.
#[derive(Debug)]
pub struct Start {
    pub summary: AccountSummary,
    pub orders: Vec<Order>,
    /// Of the strategy's form, known to the venue and not to the account.
    pub strangers: Vec<ClientOrderId>,
    pub state: Vec<u8>,
}

/// The mailbox of a session.
#[derive(Debug)]
pub enum SessionMessage {
    /// A topic has something.
    Bell,
    Start(Result<Box<Start>, String>),
    History {
        events: Result<Vec<AccountEvent>, String>,
        /// There is no more behind them.
        whole: bool,
    },
    Request(v1::StrategyRequest, OwnedSemaphorePermit),
    ClientGone,
    Answered {
        command_id: u64,
        answer: Result<Reply, CommandError>,
    },
    Account(Option<Box<AccountSummary>>),
    Saved,
    Wake,
    Pause {
        reason: String,
    },
    Resume,
    Parameters(BTreeMap<String, String>),
    /// Carries a command of the platform out behind all that the strategy asked for before, and
    /// answers behind the answers to those.
    Behind(Option<AccountCommand>, BehindReply),
    Usage(oneshot::Sender<SessionUsage>),
    Stop {
        reason: String,
    },
    End {
        kind: SessionEndKind,
        reason: String,
    },
}

/// Reads what a hello asks for and starts the session.
///
/// Errors: fields of the hello that cannot be taken, or why no session can be started.
pub async fn begin(args: SessionArgs) -> Result<ActorRef<SessionMessage>, BeginError> {
    if args.hello.protocol() != v1::StrategyProtocol::V1 {
        let error = FieldErrors::one("protocol", "is not STRATEGY_PROTOCOL_V1");
        return Err(BeginError::Fields(error));
    }
    let wants = Wants::read(&args.hello.subscriptions).map_err(BeginError::Fields)?;
    for (instrument_id, spec) in wants.bars_to_ask() {
        let asked = args.platform.market.ask_for_bars(instrument_id, spec);
        asked.map_err(|error| {
            BeginError::Fields(FieldErrors::one(
                "subscriptions.bar_spec",
                error.to_string(),
            ))
        })?;
    }
    let (session, _) = Actor::spawn(None, SessionActor, (args, wants))
        .await
        .map_err(BeginError::Spawn)?;
    Ok(session)
}

/// Why a session does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error(transparent)]
    Fields(FieldErrors),
    #[error("session does not start: {0}")]
    Spawn(#[source] SpawnErr),
}

/// The shell of one session. It is not supervised: a session that fails takes only its own
/// strategy along, which hears the end of its stream and comes again.
#[derive(Debug)]
pub struct SessionActor;

pub struct State {
    session: Session,
    owner: Owner,
    feeds: Feeds,
    account: AccountHandle,
    history: Arc<dyn EventHistory>,
    store: Arc<dyn StateStore>,
    clock: Clock,
    outgoing: Option<mpsc::Sender<v1::StrategyResponse>>,
    commands: Option<mpsc::Sender<Queued>>,
    on_log: LogHook,
    on_end: Option<EndHook>,
    read_back: ReadBack,
    saving: bool,
    /// The newest state that waits for the one being saved.
    to_save: Option<Vec<u8>>,
    /// The earliest wake-up that is under way.
    armed: Option<UnixNanos>,
}

/// Events of the account that its topic had to drop; the topic waits until they are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadBack {
    No,
    Wanted,
    UnderWay,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl Actor for SessionActor {
    type Msg = SessionMessage;
    type State = State;
    type Arguments = (SessionArgs, Wants);

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMessage>,
        (args, wants): (SessionArgs, Wants),
    ) -> Result<State, ActorProcessingErr> {
        let now = args.clock.now();
        let feeds = Feeds::subscribe(&myself, &args.platform, &wants, &args.owner)?;
        let (outgoing, outgoing_end) = mpsc::channel(OUTGOING);
        let (commands, commands_end) = mpsc::channel(COMMANDS);
        links::write_responses(outgoing_end, args.responses);
        links::carry_commands(myself.clone(), args.account.clone(), commands_end);
        links::read_requests(myself.clone(), args.requests);
        let (account, owner) = (args.account.clone(), args.owner.clone());
        links::load(myself, account, owner, args.store.clone());
        let setup = Setup {
            owner: args.owner.clone(),
            session_id: format!("s{}", now.0),
            wants,
            budget: args.budget,
            mode: mode(args.platform.mode),
            cancel_on_disconnect: args.hello.cancel_on_disconnect,
            account: args.hello.account,
            parameters: args.hello.parameters,
            told: args.told,
        };
        Ok(State {
            session: Session::new(now, setup, args.platform.market.clone()),
            owner: args.owner,
            feeds,
            account: args.account,
            history: args.platform.history.clone(),
            store: args.store,
            clock: args.clock,
            outgoing: Some(outgoing),
            commands: Some(commands),
            on_log: args.on_log,
            on_end: Some(args.on_end),
            read_back: ReadBack::No,
            saving: false,
            to_save: None,
            armed: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMessage>,
        message: SessionMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.take(&myself, message);
        state.pump(&myself);
        state.arm(&myself);
        if state.session.is_over() && !state.saving {
            myself.stop(None);
        }
        Ok(())
    }
}

fn mode(mode: RunMode) -> v1::RunMode {
    match mode {
        RunMode::Paper => v1::RunMode::Paper,
        RunMode::Simulated => v1::RunMode::Simulated,
        RunMode::Replay => v1::RunMode::Replay,
    }
}

impl State {
    fn take(&mut self, myself: &ActorRef<SessionMessage>, message: SessionMessage) {
        let input = match message {
            // The pump behind this looks at all topics.
            SessionMessage::Bell => return,
            SessionMessage::Wake => {
                self.armed = None;
                Input::Wake
            }
            SessionMessage::Start(start) => match self.start(myself, start) {
                Some(input) => input,
                None => return,
            },
            SessionMessage::History { events, whole } => match events {
                Ok(events) => {
                    self.read_back = if whole {
                        ReadBack::No
                    } else {
                        ReadBack::Wanted
                    };
                    Input::Happened(events.into_iter().map(Happening::Account).collect())
                }
                Err(reason) => stopped(format!("account events cannot be read back: {reason}")),
            },
            // The place of the request is free once it was taken.
            SessionMessage::Request(request, _place) => Input::Request(request),
            SessionMessage::ClientGone => Input::ClientGone,
            SessionMessage::Account(summary) => Input::Account(summary),
            SessionMessage::Answered { command_id, answer } => {
                Input::Answered { command_id, answer }
            }
            SessionMessage::Saved => {
                self.saving = false;
                if let Some(bytes) = self.to_save.take() {
                    self.save(myself, bytes);
                }
                return;
            }
            SessionMessage::Pause { reason } => Input::Pause { reason },
            SessionMessage::Resume => Input::Resume,
            SessionMessage::Parameters(parameters) => Input::Parameters(parameters),
            SessionMessage::Behind(command, reply) => {
                if let Some(commands) = &self.commands {
                    // Where it is full, its caller hears of it by the end of the reply.
                    let _ = commands.try_send(Queued::Platform { command, reply });
                }
                return;
            }
            SessionMessage::Usage(reply) => {
                let _ = reply.send(self.session.usage(self.clock.now()));
                return;
            }
            SessionMessage::Stop { reason } => Input::Stop { reason },
            SessionMessage::End { kind, reason } => Input::End { kind, reason },
        };
        self.apply(myself, input);
    }

    /// Returns the session's beginning, or nothing when the account has to be read once more.
    fn start(
        &mut self,
        myself: &ActorRef<SessionMessage>,
        start: Result<Box<Start>, String>,
    ) -> Option<Input> {
        let start = match start {
            Ok(start) => *start,
            Err(reason) => return Some(stopped(reason)),
        };
        // The account publishes before it answers, so whatever the orders show is here.
        let mut since = Vec::new();
        if self.feeds.account(&self.owner, usize::MAX, &mut since) == Account::Gap {
            let (account, owner) = (self.account.clone(), self.owner.clone());
            links::load(myself.clone(), account, owner, self.store.clone());
            return None;
        }
        Some(Input::Loaded(Box::new(Loaded {
            summary: start.summary,
            orders: start.orders,
            strangers: start.strangers,
            since,
            state: start.state,
        })))
    }

    /// Hands in what the topics have, if the strategy has room for it.
    fn pump(&mut self, myself: &ActorRef<SessionMessage>) {
        if !self.session.has_room() {
            return;
        }
        let mut happenings = Vec::new();
        let mut again = false;
        match self.read_back {
            ReadBack::No => {
                let mut events = Vec::new();
                let found = self.feeds.account(&self.owner, PER_TOPIC, &mut events);
                happenings.extend(events.into_iter().map(Happening::Account));
                match found {
                    Account::Whole => {}
                    Account::More => again = true,
                    Account::Gap => self.read_back = ReadBack::Wanted,
                }
            }
            ReadBack::Wanted | ReadBack::UnderWay => {}
        }
        again |= self.feeds.market(&mut happenings);
        self.apply(myself, Input::Happened(happenings));
        if self.read_back == ReadBack::Wanted {
            self.read_back = ReadBack::UnderWay;
            let (history, owner) = (self.history.clone(), self.owner.clone());
            let after = self.session.account_sequence();
            links::read_history(myself.clone(), history, owner, after);
        }
        if again && self.session.has_room() {
            // Later, so that a stop gets in.
            let _ = myself.cast(SessionMessage::Bell);
        }
    }

    fn apply(&mut self, myself: &ActorRef<SessionMessage>, input: Input) {
        let mut effects = Vec::new();
        self.session.apply(self.clock.now(), input, &mut effects);
        let mut overrun = None;
        for effect in effects {
            if let Err(reason) = self.carry_out(myself, effect) {
                overrun.get_or_insert(reason);
            }
        }
        if let Some(reason) = overrun
            && !self.session.is_over()
        {
            let kind = SessionEndKind::Budget;
            let mut effects = Vec::new();
            let now = self.clock.now();
            self.session
                .apply(now, Input::End { kind, reason }, &mut effects);
            for effect in effects {
                // Its queues are full or not, it ends now.
                let _ = self.carry_out(myself, effect);
            }
        }
    }

    fn carry_out(
        &mut self,
        myself: &ActorRef<SessionMessage>,
        effect: Effect,
    ) -> Result<(), String> {
        match effect {
            Effect::Send(message) => {
                let response = v1::StrategyResponse {
                    message: Some(message),
                };
                if let Some(outgoing) = &self.outgoing {
                    outgoing
                        .try_send(response)
                        .map_err(|_| "the client does not read".to_owned())?;
                }
            }
            Effect::Command {
                command_id,
                command,
            } => {
                if let Some(commands) = &self.commands {
                    let own = Queued::Own {
                        command_id,
                        command,
                    };
                    commands
                        .try_send(own)
                        .map_err(|_| "too many commands wait for the account".to_owned())?;
                }
            }
            Effect::Save(bytes) if self.saving => self.to_save = Some(bytes),
            Effect::Save(bytes) => self.save(myself, bytes),
            Effect::AskAccount => links::ask_account(myself.clone(), self.account.clone()),
            Effect::Log { level, text } => {
                links::log(&self.owner, level, &text);
                (self.on_log)(level, &text);
            }
            Effect::End {
                kind,
                reason,
                failed,
            } => {
                tracing::info!(
                    strategy_id = %self.owner.strategy_id,
                    account_id = %self.owner.account_id,
                    kind = kind.as_str_name(),
                    reason,
                    "strategy session ended"
                );
                self.outgoing = None;
                self.commands = None;
                if let Some(on_end) = self.on_end.take() {
                    on_end(SessionEnded {
                        kind,
                        reason,
                        failed,
                    });
                }
            }
        }
        Ok(())
    }

    fn save(&mut self, myself: &ActorRef<SessionMessage>, bytes: Vec<u8>) {
        self.saving = true;
        let (store, owner) = (self.store.clone(), self.owner.clone());
        links::save(myself.clone(), store, owner, bytes);
    }

    /// Asks to be woken at the session's next deadline, if no earlier wake-up is under way.
    fn arm(&mut self, myself: &ActorRef<SessionMessage>) {
        let Some(at) = self.session.deadline() else {
            return;
        };
        if self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed = Some(at);
        let wait = u64::try_from(at.since(self.clock.now())).unwrap_or(0);
        // A millisecond at least, so that a deadline that stays in the past is no loop.
        let wait = Duration::from_nanos(wait).max(Duration::from_millis(1));
        myself.send_after(wait, || SessionMessage::Wake);
    }
}

fn stopped(reason: String) -> Input {
    Input::End {
        kind: SessionEndKind::Stopped,
        reason,
    }
}
