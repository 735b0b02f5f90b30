//! The door for strategies, and who is behind it.

use apex_bus::clock::Clock;
use apex_bus::handle::Platform;
use apex_bus::message::{AccountCommand, CommandError};
use apex_bus::strategies::StrategyKey;
use apex_domain::account::Reply;
use apex_domain::{AccountId, StrategyId};
use apex_gateway::{SessionRefusal, StrategySession, StrategySessions};
use apex_remote::strategy_session::{
    self as remote, BeginError, Hello, LogLevel, Owner, SessionArgs, SessionBudget, SessionEndKind,
    SessionEnded, SessionMessage, SessionUsage, StateStore, StrategyResponse, Told,
};
use apex_storage::Records;
use apex_storage::records::{STATE_TABLE, state_key};
use ractor::{ActorRef, ActorStatus};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::WeakSender;
use tokio::sync::oneshot;

/// How long the account may take for what a session had asked for before: the time that it has for
/// any answer, and a little.
const BEHIND: Duration = Duration::from_secs(11);

/// A session answers between two batches, in microseconds; one that does not has no figures to show.
const USAGE: Duration = Duration::from_millis(500);

/// A strategy within an account.
pub type Key = StrategyKey;

/// What is told of the sessions of a strategy.
#[derive(Clone, Copy, Debug)]
pub enum SessionNews<'a> {
    Begun,
    Ended(&'a SessionEnded),
    Says(LogLevel, &'a str),
}

/// Told of the sessions of its strategy. Must not block.
pub type HostHook = Arc<dyn Fn(SessionNews<'_>) + Send + Sync>;

#[derive(Default)]
struct Entry {
    session: Option<Connected>,
    /// Why no session is let in.
    barred: Option<String>,
    host: Option<HostHook>,
    /// What a session begins with, and the one that there is was told.
    told: Told,
}

struct Connected {
    /// Tells the sessions of one strategy apart.
    number: u64,
    actor: ActorRef<SessionMessage>,
    /// Weak, so that the stream ends with the session.
    responses: WeakSender<StrategyResponse>,
}

impl Connected {
    /// True while there is a client to speak to.
    fn is_alive(&self) -> bool {
        let status = self.actor.get_status();
        let runs = !matches!(status, ActorStatus::Stopping | ActorStatus::Stopped);
        runs && self
            .responses
            .upgrade()
            .is_some_and(|responses| !responses.is_closed())
    }
}

struct Inner {
    platform: Platform,
    clock: Clock,
    budget: SessionBudget,
    store: Arc<dyn StateStore>,
    board: Mutex<BTreeMap<Key, Entry>>,
    begun: AtomicU64,
}

/// The sessions of one node. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

struct RecordsStore(Arc<dyn Records>);

fn key_of(owner: &Owner) -> String {
    state_key(owner.account_id.as_str(), owner.strategy_id.as_str())
}

impl StateStore for RecordsStore {
    fn load(&self, owner: &Owner) -> Result<Vec<u8>, String> {
        let kept = self.0.get(STATE_TABLE, &key_of(owner));
        kept.map(Option::unwrap_or_default)
            .map_err(|error| error.to_string())
    }

    fn save(&self, owner: &Owner, state: &[u8]) -> Result<(), String> {
        self.0
            .put(STATE_TABLE, &key_of(owner), state)
            .map_err(|error| error.to_string())
    }
}

impl Sessions {
    pub fn new(
        platform: Platform,
        clock: Clock,
        records: Arc<dyn Records>,
        budget: SessionBudget,
    ) -> Sessions {
        Sessions(Arc::new(Inner {
            platform,
            clock,
            budget,
            store: Arc::new(RecordsStore(records)),
            board: Mutex::default(),
            begun: AtomicU64::new(0),
        }))
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        // Each change is one assignment, so a panic leaves the board whole.
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `hook` hear of the strategy's sessions.
    pub(super) fn host(&self, key: &Key, hook: HostHook) {
        self.board().entry(key.clone()).or_default().host = Some(hook);
    }

    /// Lets sessions of the strategy in, with its new orders refused or not; the one that there is
    /// is told.
    pub(super) fn admit(&self, key: &Key, paused: bool) {
        let mut board = self.board();
        let entry = board.entry(key.clone()).or_default();
        entry.barred = None;
        if entry.told.paused == paused {
            return;
        }
        entry.told.paused = paused;
        entry.tell(pausing(paused));
    }

    /// Has the strategy go on with other parameters, now or as soon as it has a session.
    pub(super) fn parameters(&self, key: &Key, parameters: BTreeMap<String, String>) {
        let mut board = self.board();
        let entry = board.entry(key.clone()).or_default();
        entry.told.parameters = Some(parameters.clone());
        entry.tell(SessionMessage::Parameters(parameters));
    }

    /// Lets no session of the strategy in, and ends the one that there is.
    pub(super) fn bar(&self, key: &Key, reason: &str) {
        let mut board = self.board();
        let entry = board.entry(key.clone()).or_default();
        entry.barred = Some(reason.to_owned());
        entry.end(SessionEndKind::Stopped, reason);
    }

    /// Hands a command of the platform to the account, behind all that the strategy's session has
    /// asked for, and returns its answer behind the answers to those. `None` without a session that
    /// takes it.
    pub(super) async fn behind(
        &self,
        key: &Key,
        command: Option<AccountCommand>,
    ) -> Option<Result<Option<Reply>, CommandError>> {
        let (reply, answer) = oneshot::channel();
        if !self.tell(key, SessionMessage::Behind(command, reply)) {
            return None;
        }
        tokio::time::timeout(BEHIND, answer).await.ok()?.ok()
    }

    /// Returns what the strategy uses of its budget; `None` without a session.
    pub(super) async fn usage(&self, key: &Key) -> Option<SessionUsage> {
        let (reply, answer) = oneshot::channel();
        if !self.tell(key, SessionMessage::Usage(reply)) {
            return None;
        }
        tokio::time::timeout(USAGE, answer).await.ok()?.ok()
    }

    /// Returns true while the strategy is connected.
    pub fn is_connected(&self, key: &Key) -> bool {
        let board = self.board();
        let session = board.get(key).and_then(|entry| entry.session.as_ref());
        session.is_some_and(Connected::is_alive)
    }

    /// Asks the strategy to finish. Returns false when it is not connected.
    pub fn stop(&self, key: &Key, reason: &str) -> bool {
        let reason = reason.to_owned();
        self.tell(key, SessionMessage::Stop { reason })
    }

    fn tell(&self, key: &Key, message: SessionMessage) -> bool {
        let board = self.board();
        let session = board.get(key).and_then(|entry| entry.session.as_ref());
        session
            .filter(|session| session.is_alive())
            .is_some_and(|session| session.actor.cast(message).is_ok())
    }

    /// Makes room for a new session of the strategy, and returns what it begins with.
    fn make_room(&self, key: &Key) -> Result<Told, SessionRefusal> {
        let mut board = self.board();
        let Some(entry) = board.get_mut(key) else {
            return Ok(Told::default());
        };
        if let Some(reason) = &entry.barred {
            return Err(SessionRefusal::Barred {
                reason: reason.clone(),
            });
        }
        let told = entry.told.clone();
        match entry.session.take() {
            Some(session) if session.is_alive() => {
                entry.session = Some(session);
                Err(SessionRefusal::AlreadyConnected)
            }
            Some(session) => {
                // Its client is gone, and it has not heard of it yet.
                let (kind, reason) = (SessionEndKind::Replaced, "a new session".to_owned());
                let _ = session.actor.cast(SessionMessage::End { kind, reason });
                Ok(told)
            }
            None => Ok(told),
        }
    }

    /// Takes a session that has begun, with what it was told when it did.
    fn take(&self, key: Key, connected: Connected, told: &Told) {
        let hook = {
            let mut board = self.board();
            let entry = board.entry(key).or_default();
            if let Some(other) = entry.session.replace(connected) {
                // Two came at the same time; the later one stays.
                let (kind, reason) = (SessionEndKind::Replaced, "a new session".to_owned());
                let _ = other.actor.cast(SessionMessage::End { kind, reason });
            }
            // What was said while it began.
            if let Some(reason) = entry.barred.clone() {
                entry.end(SessionEndKind::Stopped, &reason);
            }
            if entry.told.paused != told.paused {
                entry.tell(pausing(entry.told.paused));
            }
            if let Some(parameters) = &entry.told.parameters
                && told.parameters.as_ref() != Some(parameters)
            {
                entry.tell(SessionMessage::Parameters(parameters.clone()));
            }
            entry.host.clone()
        };
        if let Some(hook) = hook {
            hook(SessionNews::Begun);
        }
    }

    /// Tells of the end of a session, unless another one has taken its place: that one counts.
    fn ended(&self, key: &Key, number: u64, ended: &SessionEnded) {
        let is_replaced = self.board().get(key).is_some_and(|entry| {
            let session = entry.session.as_ref();
            session.is_some_and(|session| session.number != number)
        });
        if !is_replaced {
            self.news(key, SessionNews::Ended(ended));
        }
    }

    fn news(&self, key: &Key, news: SessionNews<'_>) {
        let hook = self.board().get(key).and_then(|entry| entry.host.clone());
        if let Some(hook) = hook {
            hook(news);
        }
    }
}

impl Entry {
    fn tell(&self, message: SessionMessage) {
        if let Some(session) = &self.session {
            // One that has ended needs to hear nothing.
            let _ = session.actor.cast(message);
        }
    }

    fn end(&self, kind: SessionEndKind, reason: &str) {
        let reason = reason.to_owned();
        self.tell(SessionMessage::End { kind, reason });
    }
}

fn pausing(paused: bool) -> SessionMessage {
    if paused {
        let reason = "it is paused".to_owned();
        SessionMessage::Pause { reason }
    } else {
        SessionMessage::Resume
    }
}

fn read_owner(hello: &Hello) -> Result<Owner, SessionRefusal> {
    let field = |field, error: apex_domain::id::IdError| SessionRefusal::Field {
        field,
        description: error.to_string(),
    };
    let account_id =
        AccountId::new(&hello.account_id).map_err(|error| field("account_id", error))?;
    let strategy_id =
        StrategyId::new(&hello.strategy_id).map_err(|error| field("strategy_id", error))?;
    if strategy_id == StrategyId::manual() || strategy_id == StrategyId::external() {
        return Err(SessionRefusal::Field {
            field: "strategy_id",
            description: "is kept for orders of no strategy".into(),
        });
    }
    Ok(Owner {
        account_id,
        strategy_id,
    })
}

fn refusal(error: BeginError) -> SessionRefusal {
    match error {
        BeginError::Fields(errors) => SessionRefusal::Field {
            field: "hello",
            description: errors.to_string(),
        },
        BeginError::Spawn(error) => SessionRefusal::Unavailable {
            reason: error.to_string(),
        },
    }
}

impl Sessions {
    async fn begin(&self, hello: Hello, session: StrategySession) -> Result<(), SessionRefusal> {
        let owner = read_owner(&hello)?;
        let granted = session.caller.may(&owner.account_id);
        let accounts = &self.0.platform.accounts;
        let account = match accounts.get(&owner.account_id) {
            Some(account) if granted => account,
            _ => return Err(SessionRefusal::NotGranted),
        };
        let key = (owner.account_id.clone(), owner.strategy_id.clone());
        let told = self.make_room(&key)?;
        let responses = session.responses.downgrade();
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        let (board, ended_key) = (self.clone(), key.clone());
        let (log_board, log_key) = (self.clone(), key.clone());
        let actor = remote::begin(SessionArgs {
            hello,
            owner,
            account,
            platform: self.0.platform.clone(),
            clock: self.0.clock.clone(),
            budget: self.0.budget,
            store: self.0.store.clone(),
            requests: session.requests,
            responses: session.responses,
            told: told.clone(),
            on_log: Arc::new(move |level, text| {
                log_board.news(&log_key, SessionNews::Says(level, text));
            }),
            on_end: Box::new(move |ended| board.ended(&ended_key, number, &ended)),
        })
        .await
        .map_err(refusal)?;
        let connected = Connected {
            number,
            actor,
            responses,
        };
        self.take(key, connected, &told);
        Ok(())
    }
}

impl StrategySessions for Sessions {
    // What the macro of the trait makes of an `async fn`; spelled out, since the wire's crates are
    // not for nodes.
    fn begin<'a: 'f, 'f>(
        &'a self,
        hello: Hello,
        session: StrategySession,
    ) -> Pin<Box<dyn Future<Output = Result<(), SessionRefusal>> + Send + 'f>>
    where
        Self: 'f,
    {
        Box::pin(Sessions::begin(self, hello, session))
    }

    fn knows(&self, strategy_id: &StrategyId) -> bool {
        self.board().keys().any(|(_, known)| known == strategy_id)
    }
}
