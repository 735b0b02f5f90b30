//! The strategies that this node runs, each as a child process.

use super::child::{self, Exit};
use super::lifecycle::{Lifecycle, Next, StrategyState};
use super::sessions::{Key, Sessions};
use apex_bus::message::AccountCommand;
use apex_bus::supervision::Backoff;
use apex_domain::account::CancelFilter;
use apex_domain::risk::ReasonCode;
use apex_domain::{AccountId, StrategyId};
use apex_remote::strategy_host::HostConfig;
use apex_remote::strategy_session::SessionEndKind;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// How long a strategy may take to finish before its process is killed: the session's own two
/// seconds and the way there and back.
const GRACE: Duration = Duration::from_secs(4);

/// A strategy that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategySpec {
    /// The registered name, such as `ema-cross`.
    pub strategy: String,
    pub strategy_id: StrategyId,
    pub params: Vec<(String, String)>,
    pub account_id: AccountId,
}

/// A strategy and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyStatus {
    pub account_id: AccountId,
    pub strategy_id: StrategyId,
    pub strategy: String,
    pub state: StrategyState,
    pub restarts: u64,
    /// It has a session, so it is shown data and may trade.
    pub connected: bool,
}

/// Why a strategy is not started.
#[derive(Debug, Error)]
pub enum StrategiesError {
    /// Take another id, or stop the one that runs.
    #[error("strategy \"{0}\" runs already")]
    AlreadyRuns(StrategyId),
    /// Fix the name or the parameters.
    #[error(transparent)]
    Strategy(#[from] apex_strategy::StrategyError),
    #[error("account \"{0}\" is not of this node")]
    NoAccount(AccountId),
    #[error("strategy process cannot be supervised: {0}")]
    Spawn(#[source] ractor::SpawnErr),
    #[error("own program cannot be found: {0}")]
    Program(#[source] io::Error),
}

struct Running {
    strategy: String,
    actor: ActorRef<ChildMessage>,
    state: watch::Receiver<(StrategyState, u64)>,
}

/// The strategies of this node. Cheap to clone.
#[derive(Clone)]
pub struct Strategies {
    sessions: Sessions,
    program: PathBuf,
    backoff: Backoff,
    running: Arc<Mutex<BTreeMap<Key, Running>>>,
}

impl fmt::Debug for Strategies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strategies")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl Strategies {
    /// Runs strategies by this very program.
    ///
    /// Errors: `Program`.
    pub fn new(sessions: Sessions) -> Result<Strategies, StrategiesError> {
        let program = std::env::current_exe().map_err(StrategiesError::Program)?;
        Ok(Strategies::with_program(
            sessions,
            program,
            Backoff::default(),
        ))
    }

    /// Runs strategies by another program that knows `strategy-host`.
    pub fn with_program(sessions: Sessions, program: PathBuf, backoff: Backoff) -> Strategies {
        Strategies {
            sessions,
            program,
            backoff,
            running: Arc::default(),
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Key, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a strategy that connects to `gateway` (an URL on loopback) with `token`. Also starts
    /// one anew that was quarantined or stopped. Call it once the gateway listens.
    ///
    /// Errors: [`StrategiesError`].
    pub async fn start(
        &self,
        spec: StrategySpec,
        gateway: &str,
        token: &str,
    ) -> Result<(), StrategiesError> {
        // Said here to the caller rather than by a process that fails at its start.
        apex_strategy::registry::find(&spec.strategy)?
            .build(apex_strategy::DataSource::Feed, &spec.params)?;
        if self
            .sessions
            .platform()
            .accounts
            .get(&spec.account_id)
            .is_none()
        {
            return Err(StrategiesError::NoAccount(spec.account_id));
        }
        let key = (spec.account_id.clone(), spec.strategy_id.clone());
        if self.running().get(&key).is_some_and(Running::is_up) {
            return Err(StrategiesError::AlreadyRuns(spec.strategy_id));
        }
        let config = HostConfig {
            gateway: gateway.to_owned(),
            token: token.to_owned(),
            account_id: spec.account_id.to_string(),
            strategy_id: spec.strategy_id.to_string(),
            strategy: spec.strategy.clone(),
            params: spec.params.into_iter().collect(),
            // A strategy that crashes takes its orders up again when it is restarted; quarantine
            // cancels them.
            cancel_on_disconnect: false,
        };
        let (published, state) = watch::channel((StrategyState::Starting, 0));
        let args = ChildArgs {
            key: key.clone(),
            program: self.program.clone(),
            config,
            sessions: self.sessions.clone(),
            backoff: self.backoff,
            published,
        };
        let (actor, _) = Actor::spawn(None, ChildActor, args)
            .await
            .map_err(StrategiesError::Spawn)?;
        self.running().insert(
            key,
            Running {
                strategy: spec.strategy,
                actor,
                state,
            },
        );
        Ok(())
    }

    /// Returns all strategies that were started, in order of account and id.
    pub fn status(&self) -> Vec<StrategyStatus> {
        let running = self.running();
        let status = |(key, running): (&Key, &Running)| {
            let (state, restarts) = running.state.borrow().clone();
            StrategyStatus {
                account_id: key.0.clone(),
                strategy_id: key.1.clone(),
                strategy: running.strategy.clone(),
                state,
                restarts,
                connected: self.sessions.is_connected(key),
            }
        };
        running.iter().map(status).collect()
    }

    /// Stops a strategy: asks it to finish, and kills its process when it does not within a few
    /// seconds. Returns once it is down; at once when it is not running.
    pub async fn stop(&self, key: &Key) {
        let found = {
            let running = self.running();
            running
                .get(key)
                .map(|running| (running.actor.clone(), running.state.clone()))
        };
        let Some((actor, mut state)) = found else {
            return;
        };
        let _ = actor.cast(ChildMessage::Stop);
        let down = |(state, _): &(StrategyState, u64)| {
            matches!(
                state,
                StrategyState::Stopped | StrategyState::Quarantined { .. }
            )
        };
        // Twice the grace: the kill comes after the first. An error means that its actor is gone.
        let _ = tokio::time::timeout(GRACE * 2, state.wait_for(down)).await;
        actor.stop(None);
    }

    /// Stops all strategies, all at the same time.
    pub async fn stop_all(&self) {
        let keys: Vec<Key> = self.running().keys().cloned().collect();
        let mut stops = JoinSet::new();
        for key in keys {
            let own = self.clone();
            stops.spawn(async move { own.stop(&key).await });
        }
        while stops.join_next().await.is_some() {}
    }
}

impl Running {
    fn is_up(&self) -> bool {
        !matches!(
            self.state.borrow().0,
            StrategyState::Stopped | StrategyState::Quarantined { .. }
        )
    }
}

struct ChildArgs {
    key: Key,
    program: PathBuf,
    config: HostConfig,
    sessions: Sessions,
    backoff: Backoff,
    published: watch::Sender<(StrategyState, u64)>,
}

/// The mailbox of a [`ChildActor`].
#[derive(Debug)]
enum ChildMessage {
    /// Time to start a process.
    Start,
    /// The process ended.
    Exited(Exit),
    /// The session says that it must not go on.
    Kill {
        reason: String,
    },
    Stop,
    GraceOver,
}

/// Supervises the process of one strategy.
#[derive(Debug)]
struct ChildActor;

struct ChildActorState {
    args: ChildArgs,
    life: Lifecycle,
    began: Instant,
    /// Dropping it kills the process.
    kill: Option<oneshot::Sender<()>>,
    /// Why it was killed, for the status: the exit only says that it was.
    killed_for: Option<String>,
}

impl Actor for ChildActor {
    type Msg = ChildMessage;
    type State = ChildActorState;
    type Arguments = ChildArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ChildMessage>,
        args: ChildArgs,
    ) -> Result<ChildActorState, ActorProcessingErr> {
        let hook_actor = myself.clone();
        args.sessions.host(
            &args.key,
            Arc::new(move |ended| {
                // A spinning strategy hears nothing of the end of its session.
                if matches!(
                    ended.kind,
                    SessionEndKind::Budget | SessionEndKind::Protocol
                ) {
                    let reason = format!("{}: {}", ended.kind.as_str_name(), ended.reason);
                    let _ = hook_actor.cast(ChildMessage::Kill { reason });
                }
            }),
        );
        let _ = myself.cast(ChildMessage::Start);
        Ok(ChildActorState {
            life: Lifecycle::new(args.backoff),
            args,
            began: Instant::now(),
            kill: None,
            killed_for: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ChildMessage>,
        message: ChildMessage,
        state: &mut ChildActorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ChildMessage::Start => state.start(&myself),
            ChildMessage::Exited(exit) => {
                let reason = state.killed_for.take().unwrap_or_else(|| exit.reason());
                state.ended(&myself, reason);
            }
            ChildMessage::Kill { reason } => {
                if state.kill.take().is_some() {
                    state.killed_for = Some(reason);
                }
            }
            ChildMessage::Stop => {
                if state.life.stop() {
                    state.args.sessions.stop(&state.args.key, "stopped");
                    myself.send_after(GRACE, || ChildMessage::GraceOver);
                }
            }
            ChildMessage::GraceOver => drop(state.kill.take()),
        }
        let now = (state.life.state().clone(), state.life.restarts());
        state.args.published.send_replace(now);
        Ok(())
    }
}

impl ChildActorState {
    fn start(&mut self, myself: &ActorRef<ChildMessage>) {
        if !self.life.starts() {
            return;
        }
        let process = match child::spawn(&self.args.program) {
            Ok(process) => process,
            Err(error) => return self.ended(myself, format!("cannot be started: {error}")),
        };
        let (kill, killed) = oneshot::channel();
        self.kill = Some(kill);
        self.life.started(process.pid);
        let (account_id, strategy_id) = &self.args.key;
        tracing::info!(%account_id, %strategy_id, pid = process.pid, "strategy process started");
        let (line, name) = (self.args.config.to_line(), strategy_id.to_string());
        let myself = myself.clone();
        tokio::spawn(async move {
            let exit = child::attend(process, line, name, killed).await;
            let _ = myself.cast(ChildMessage::Exited(exit));
        });
    }

    fn ended(&mut self, myself: &ActorRef<ChildMessage>, reason: String) {
        self.kill = None;
        let (account_id, strategy_id) = &self.args.key;
        match self.life.ended(self.began.elapsed(), reason.clone()) {
            Next::Nothing => tracing::info!(%account_id, %strategy_id, "strategy stopped"),
            Next::RestartAfter(pause) => {
                tracing::error!(
                    %account_id, %strategy_id, reason, pause_ms = pause.as_millis() as u64,
                    "strategy process ended, it is started again"
                );
                myself.send_after(pause, || ChildMessage::Start);
            }
            Next::Quarantine => {
                tracing::error!(%account_id, %strategy_id, reason, "strategy quarantined");
                self.args.sessions.bar(&self.args.key, &reason);
                self.cancel_orders();
            }
        }
    }

    /// Nobody minds them any more.
    fn cancel_orders(&self) {
        let (account_id, strategy_id) = self.args.key.clone();
        let accounts = &self.args.sessions.platform().accounts;
        let Some(account) = accounts.get(&account_id) else {
            return;
        };
        tokio::spawn(async move {
            let cancel = AccountCommand::CancelAll {
                filter: CancelFilter {
                    strategy_id: Some(strategy_id.clone()),
                    ..CancelFilter::default()
                },
                request_id: None,
                reason_code: ReasonCode::CanceledByRisk,
            };
            if let Err(error) = account.command(cancel).await {
                tracing::error!(%strategy_id, %error, "orders of a quarantined strategy stay");
            }
        });
    }
}
