//! The shell of one deployed strategy: carries out what its life decides.

use super::chatter::Chatter;
use super::child::{self, Exit};
use super::keeper::Keeper;
use super::sessions::{Key, SessionNews, Sessions};
use apex_bus::clock::Clock;
use apex_bus::message::AccountCommand;
use apex_bus::strategies::{LogLine, StrategyEvent, StrategyEventKind, StrategyEvents};
use apex_domain::account::CancelFilter;
use apex_domain::deployment::{Deployment, DeploymentState, Desired, Effect, Input};
use apex_domain::risk::ReasonCode;
use apex_remote::strategy_host::HostConfig;
use apex_remote::strategy_session::{LogLevel, SessionEndKind};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a strategy may take to finish before its process is killed: the session's own two
/// seconds and the way there and back.
pub const GRACE: Duration = Duration::from_secs(4);

/// Makes a key that lives as long as the node's process.
///
/// Errors: why there is none, for a person.
pub type MakeToken = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// How the processes of strategies reach the node.
pub struct Door {
    /// An URL on loopback.
    gateway: String,
    make_token: MakeToken,
    /// One for all of them, made for the first.
    token: Mutex<Option<String>>,
}

impl Door {
    pub fn new(gateway: String, make_token: MakeToken) -> Door {
        Door {
            gateway,
            make_token,
            token: Mutex::default(),
        }
    }

    fn token(&self) -> Result<String, String> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if token.is_none() {
            *token = Some((self.make_token)()?);
        }
        token.clone().ok_or_else(String::new)
    }
}

/// What all deployed strategies of a node share.
#[derive(Clone)]
pub struct Around {
    pub program: PathBuf,
    /// There once the gateway listens.
    pub door: Arc<OnceLock<Door>>,
    pub sessions: Sessions,
    pub events: StrategyEvents,
    pub clock: Clock,
}

/// How a strategy stands, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub state: DeploymentState,
    pub desired: Desired,
    pub reason: String,
    pub restarts: u64,
    pub connected: bool,
    /// No process of it runs or is to run again by itself.
    pub down: bool,
}

impl Seen {
    pub fn of(life: &Deployment) -> Seen {
        Seen {
            state: life.state(),
            desired: life.desired(),
            reason: life.reason().to_owned(),
            restarts: life.restarts(),
            connected: life.is_connected(),
            down: life.is_down(),
        }
    }
}

/// What its process is started with, beside the door.
#[derive(Clone, Debug)]
pub struct Content {
    pub strategy_type: String,
    pub instruments: Vec<String>,
    pub parameters: BTreeMap<String, String>,
}

pub struct DeployedArgs {
    pub key: Key,
    pub life: Deployment,
    pub content: Content,
    pub around: Around,
    pub keeper: Keeper,
    pub seen: watch::Sender<Seen>,
}

/// The mailbox of a [`DeployedActor`].
#[derive(Debug)]
pub enum DeployedMessage {
    Input(Input),
    /// What a person decided, and who; answered once it was carried out.
    Person(Input, String, RpcReplyPort<Seen>),
    Configure(Content),
    /// Answered with how it stands once all before was carried out.
    Look(RpcReplyPort<Seen>),
    Exited(Exit),
}

/// See the module.
#[derive(Debug)]
pub struct DeployedActor;

pub struct DeployedState {
    args: DeployedArgs,
    /// Dropping it kills the process.
    kill: Option<oneshot::Sender<()>>,
}

impl Actor for DeployedActor {
    type Msg = DeployedMessage;
    type State = DeployedState;
    type Arguments = DeployedArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<DeployedMessage>,
        args: DeployedArgs,
    ) -> Result<DeployedState, ActorProcessingErr> {
        let chatter = Chatter::new(args.around.events.clone(), args.around.clock.clone());
        let key = args.key.clone();
        let hook = move |news: SessionNews<'_>| match news {
            SessionNews::Begun => drop(myself.cast(DeployedMessage::Input(Input::Session(true)))),
            SessionNews::Ended(ended) => {
                // A spinning strategy hears nothing of the end of its session.
                if matches!(
                    ended.kind,
                    SessionEndKind::Budget | SessionEndKind::Protocol
                ) {
                    let reason = format!("{}: {}", ended.kind.as_str_name(), ended.reason);
                    let _ = myself.cast(DeployedMessage::Input(Input::Condemned { reason }));
                }
                let _ = myself.cast(DeployedMessage::Input(Input::Session(false)));
            }
            SessionNews::Says(level, text) => chatter.says(&key, line(level), text),
        };
        args.around.sessions.host(&args.key, Arc::new(hook));
        // Nothing gets in before it is known what is wanted of it.
        args.around.sessions.bar(&args.key, "the node is starting");
        Ok(DeployedState { args, kill: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<DeployedMessage>,
        message: DeployedMessage,
        state: &mut DeployedState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DeployedMessage::Input(input) => state.apply(&myself, input, ""),
            DeployedMessage::Person(input, by, reply) => {
                state.apply(&myself, input, &by);
                let _ = reply.send(Seen::of(&state.args.life));
            }
            DeployedMessage::Configure(content) => {
                let sessions = &state.args.around.sessions;
                sessions.parameters(&state.args.key, content.parameters.clone());
                state.args.content = content;
            }
            DeployedMessage::Look(reply) => drop(reply.send(Seen::of(&state.args.life))),
            DeployedMessage::Exited(exit) => {
                let reason = exit.reason();
                state.apply(&myself, Input::Exited { reason }, "");
            }
        }
        Ok(())
    }
}

fn line(level: LogLevel) -> LogLine {
    match level {
        LogLevel::Debug => LogLine::Debug,
        LogLevel::Warn => LogLine::Warn,
        LogLevel::Error => LogLine::Error,
        LogLevel::Info | LogLevel::Unspecified => LogLine::Info,
    }
}

impl DeployedState {
    fn apply(&mut self, myself: &ActorRef<DeployedMessage>, input: Input, by: &str) {
        let before = Seen::of(&self.args.life);
        let mut effects = Vec::new();
        let now = self.args.around.clock.now();
        self.args.life.apply(now, input, &mut effects);
        let after = Seen::of(&self.args.life);
        // Before the effects: what is kept is what is seen.
        self.args.seen.send_replace(after.clone());
        for effect in effects {
            self.carry_out(myself, effect);
        }
        if after.restarts != before.restarts {
            let restarts = after.restarts;
            self.tell(StrategyEventKind::Restarted { restarts }, by, &after.reason);
        }
        if after.state != before.state {
            let state = after.state;
            self.tell(StrategyEventKind::StateChanged { state }, by, &after.reason);
        }
    }

    fn tell(&self, kind: StrategyEventKind, by: &str, text: &str) {
        let (account_id, strategy_id) = self.args.key.clone();
        self.args.around.events.push(StrategyEvent {
            sequence: 0,
            ts: self.args.around.clock.now(),
            account_id,
            strategy_id,
            kind,
            by: by.to_owned(),
            text: text.to_owned(),
        });
    }

    fn carry_out(&mut self, myself: &ActorRef<DeployedMessage>, effect: Effect) {
        let (account_id, strategy_id) = &self.args.key;
        let sessions = &self.args.around.sessions;
        match effect {
            Effect::Admit { paused } => sessions.admit(&self.args.key, paused),
            Effect::Bar { reason } => sessions.bar(&self.args.key, &reason),
            Effect::Launch => self.launch(myself),
            Effect::AskToStop { turn } => {
                if !sessions.stop(&self.args.key, "stopped") {
                    // There is nobody to ask yet, and nothing to finish.
                    self.kill = None;
                }
                let over = move || DeployedMessage::Input(Input::GraceOver { turn });
                myself.send_after(GRACE, over);
            }
            Effect::Kill => self.kill = None,
            Effect::RestartAfter { pause_ns, turn } => {
                let reason = self.args.life.reason();
                let pause = Duration::from_nanos(pause_ns.max(0) as u64);
                tracing::error!(
                    %account_id, %strategy_id, reason, pause_ms = pause.as_millis() as u64,
                    "strategy process ended, it is started again"
                );
                let due = move || DeployedMessage::Input(Input::RestartDue { turn });
                myself.send_after(pause, due);
            }
            Effect::Keep => {
                let (reason, state) = (self.args.life.reason(), self.args.life.state());
                tracing::error!(%account_id, %strategy_id, reason, ?state, "strategy does not run");
                self.args.keeper.keep_as_seen(self.args.seen.subscribe());
            }
            Effect::CancelOrders => self.cancel_orders(),
        }
    }

    fn launch(&mut self, myself: &ActorRef<DeployedMessage>) {
        let exited = |reason: String| DeployedMessage::Input(Input::Exited { reason });
        let around = &self.args.around;
        let Some(door) = around.door.get() else {
            let _ = myself.cast(exited("the gateway does not listen yet".to_owned()));
            return;
        };
        let token = match door.token() {
            Ok(token) => token,
            Err(error) => {
                let _ = myself.cast(exited(format!("no key for it: {error}")));
                return;
            }
        };
        let process = match child::spawn(&around.program) {
            Ok(process) => process,
            Err(error) => {
                let _ = myself.cast(exited(format!("cannot be started: {error}")));
                return;
            }
        };
        let (account_id, strategy_id) = &self.args.key;
        let (kill, killed) = oneshot::channel();
        self.kill = Some(kill);
        let pid = process.pid;
        tracing::info!(%account_id, %strategy_id, pid, "strategy process started");
        let _ = myself.cast(DeployedMessage::Input(Input::Launched { pid }));
        let content = &self.args.content;
        let config = HostConfig {
            gateway: door.gateway.clone(),
            token,
            account_id: account_id.to_string(),
            strategy_id: strategy_id.to_string(),
            strategy: content.strategy_type.clone(),
            params: content.parameters.clone(),
            instruments: content.instruments.clone(),
            // A strategy that crashes takes its orders up again when it is restarted; quarantine
            // cancels them.
            cancel_on_disconnect: false,
        };
        let (line, name) = (config.to_line(), strategy_id.to_string());
        let myself = myself.clone();
        tokio::spawn(async move {
            let exit = child::attend(process, line, name, killed).await;
            let _ = myself.cast(DeployedMessage::Exited(exit));
        });
    }

    /// Nobody minds them any more.
    fn cancel_orders(&self) {
        let (account_id, strategy_id) = self.args.key.clone();
        let accounts = &self.args.around.sessions.platform().accounts;
        let Some(account) = accounts.get(&account_id) else {
            return;
        };
        tokio::spawn(async move {
            let cancel = cancel_all(&strategy_id, ReasonCode::CanceledByRisk);
            if let Err(error) = account.command(cancel).await {
                tracing::error!(%strategy_id, %error, "orders of a quarantined strategy stay");
            }
        });
    }
}

/// Cancels every working order of a strategy.
pub fn cancel_all(
    strategy_id: &apex_domain::StrategyId,
    reason_code: ReasonCode,
) -> AccountCommand {
    AccountCommand::CancelAll {
        filter: CancelFilter {
            strategy_id: Some(strategy_id.clone()),
            ..CancelFilter::default()
        },
        request_id: None,
        reason_code,
    }
}
