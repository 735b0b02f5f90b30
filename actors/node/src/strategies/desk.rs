//! The strategies that were deployed into the accounts of this node, and what is done to them.

use super::catalog::{self, CODE_VERSION};
use super::changes::{Answered, Change};
use super::deployed::{
    Around, Content, DeployedActor, DeployedArgs, DeployedMessage, Door, GRACE, MakeToken, Seen,
};
use super::keeper::{Keeper, Kept, blocking};
use super::sessions::{Key, Sessions};
use apex_bus::clock::Clock;
use apex_bus::strategies::{
    Applied, Asked, BudgetUse, NewStrategy, ParameterChange, StrategyAnswer, StrategyDesk,
    StrategyDeskError, StrategyEvents, StrategyInfo, StrategyTypeInfo, VersionInfo, WindDown,
    WoundDown,
};
use apex_domain::deployment::{Deployment, DeploymentState, Input, RestartLimits};
use apex_domain::{AccountId, StrategyId, UnixNanos};
use apex_storage::records::{self, Strategy, StrategyVersion};
use apex_storage::{Records, StorageError};
use ractor::{Actor, ActorRef};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fmt, io};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Strategies of one node. Each that runs is a process of some 15 MB; accounts share them, and more
/// belong on another node.
pub const MAX_STRATEGIES: usize = 256;

/// Records that are read at a time.
const PAGE: usize = 256;

/// Why the strategies of a node cannot be taken up.
#[derive(Debug, Error)]
pub enum StrategiesError {
    /// Fix the name or the parameters.
    #[error(transparent)]
    Strategy(#[from] apex_strategy::StrategyError),
    /// What it says.
    #[error(transparent)]
    Desk(#[from] StrategyDeskError),
    #[error("strategies cannot be read from the records")]
    Records(#[from] StorageError),
    #[error("a strategy of the records cannot be taken up: {0}")]
    Kept(String),
    #[error("strategy process cannot be supervised: {0}")]
    Spawn(#[source] ractor::SpawnErr),
    #[error("own program cannot be found: {0}")]
    Program(#[source] io::Error),
}

/// One deployed strategy.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: Key,
    pub actor: ActorRef<DeployedMessage>,
    pub seen: watch::Receiver<Seen>,
    pub keeper: Keeper,
}

pub(super) struct Inner {
    pub around: Around,
    pub limits: RestartLimits,
    pub records: Arc<dyn Records>,
    pub entries: Mutex<BTreeMap<Key, Entry>>,
    /// Held by who deploys: what was decided about ids and room still holds at the end.
    pub deploying: tokio::sync::Mutex<()>,
}

/// The strategies of this node. Cheap to clone.
#[derive(Clone)]
pub struct Strategies(pub(super) Arc<Inner>);

impl fmt::Debug for Strategies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strategies").finish_non_exhaustive()
    }
}

impl Strategies {
    /// Takes up what was deployed; this very program runs it. Nothing runs before
    /// [`Strategies::begin`].
    ///
    /// Errors: [`StrategiesError`].
    pub async fn open(
        sessions: Sessions,
        records: Arc<dyn Records>,
        clock: Clock,
    ) -> Result<Strategies, StrategiesError> {
        let program = std::env::current_exe().map_err(StrategiesError::Program)?;
        let limits = RestartLimits::default();
        Strategies::with_program(sessions, records, clock, (program, limits)).await
    }

    /// As [`Strategies::open`], with another program that knows `strategy-host`.
    ///
    /// Errors: [`StrategiesError`].
    pub async fn with_program(
        sessions: Sessions,
        records: Arc<dyn Records>,
        clock: Clock,
        (program, limits): (PathBuf, RestartLimits),
    ) -> Result<Strategies, StrategiesError> {
        let around = Around {
            program,
            door: Arc::new(OnceLock::new()),
            sessions,
            events: StrategyEvents::new(clock.now()),
            clock,
        };
        let own = Strategies(Arc::new(Inner {
            around,
            limits,
            records: records.clone(),
            entries: Mutex::default(),
            deploying: tokio::sync::Mutex::default(),
        }));
        for kept in blocking(move || read_all(&*records)).await? {
            own.take_up(kept).await?;
        }
        Ok(own)
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        // Each change is one insertion, so a panic leaves the map whole.
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entry(&self, key: &Key) -> Option<Entry> {
        self.entries().get(key).cloned()
    }

    /// Makes the actor of a strategy that is kept.
    pub(super) async fn take_up(&self, kept: Kept) -> Result<Entry, StrategiesError> {
        let key = key_of(&kept.strategy)?;
        let (strategy, inner) = (&kept.strategy, &self.0);
        let life = Deployment::new(
            strategy.desired,
            strategy.restart,
            inner.limits,
            strategy.reason.clone(),
        );
        let (published, seen) = watch::channel(Seen::of(&life));
        let content = content_of(&kept);
        let clock = inner.around.clock.clone();
        let keeper = Keeper::new(inner.records.clone(), clock, kept);
        let args = DeployedArgs {
            key: key.clone(),
            life,
            content,
            around: inner.around.clone(),
            keeper: keeper.clone(),
            seen: published,
        };
        let (actor, _) = Actor::spawn(None, DeployedActor, args)
            .await
            .map_err(StrategiesError::Spawn)?;
        let entry = Entry {
            key: key.clone(),
            actor,
            seen,
            keeper,
        };
        self.entries().insert(key, entry.clone());
        Ok(entry)
    }

    /// Lets strategies run, which connect to `gateway` (an URL on loopback) with a token of `make_token`: those that
    /// ran when the platform ended run again, and what a pause or stop had not done yet is done.
    pub fn begin(&self, gateway: String, make_token: MakeToken) {
        let door = Door::new(gateway, make_token);
        if self.0.around.door.set(door).is_err() {
            return;
        }
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        for entry in entries {
            // Gone only when the node stops.
            let _ = entry.actor.cast(DeployedMessage::Input(Input::Recover));
            self.finish_winding(entry);
        }
    }

    /// Ends the processes of all strategies, all at the same time. What is wanted of them stays.
    pub async fn stop_all(&self) {
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        let mut stops = JoinSet::new();
        for entry in entries {
            stops.spawn(async move {
                let shutdown = DeployedMessage::Input(Input::Shutdown);
                let _ = entry.actor.cast(shutdown);
                down(&entry).await;
                entry.actor.stop(None);
            });
        }
        while stops.join_next().await.is_some() {}
    }

    pub(super) fn info(&self, entry: &Entry) -> StrategyInfo {
        let seen = entry.seen.borrow().clone();
        let mut info = written(entry.key.clone(), &entry.keeper.get(), seen.state);
        info.reason = seen.reason;
        info.connected = seen.connected;
        info.restarts = seen.restarts;
        info
    }

    /// Carries a change out in a task of its own, to its end whatever its caller does.
    fn carry<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, StrategyDeskError>> + Send + 'static,
    ) -> StrategyAnswer<'_, T> {
        let task = tokio::spawn(change);
        Box::pin(async move { task.await.unwrap_or(Err(StrategyDeskError::Stopping)) })
    }

    fn change(&self, asked: Option<Asked>) -> Change {
        Change {
            desk: self.clone(),
            by: asked
                .as_ref()
                .map_or("platform".to_owned(), |asked| asked.user_id.clone()),
            asked,
        }
    }

    /// Runs a strategy that a flag of the command line names: deploys it where it is not, gives it
    /// these parameters, and starts it, unless a person paused it or it is quarantined.
    ///
    /// Errors: [`StrategyDeskError`].
    pub async fn run_named(&self, new: NewStrategy) -> Result<(), StrategyDeskError> {
        self.change(None).run_named(new).await
    }
}

/// Waits until no process of a strategy is left.
pub(super) async fn down(entry: &Entry) {
    let mut seen = entry.seen.clone();
    // Twice the grace: the kill comes after the first. An error means that its actor is gone.
    let _ = tokio::time::timeout(GRACE * 2, seen.wait_for(|seen| seen.down)).await;
}

fn read_all(records: &dyn Records) -> Result<Vec<Kept>, StorageError> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = records::page::<Strategy>(records, after.as_deref(), PAGE)?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(records::state_key(
            &last.value.account_id,
            &last.value.strategy_id,
        ));
        for found in page {
            let strategy = found.value;
            let named = (&*strategy.account_id, &*strategy.strategy_id);
            let before = strategy.version.saturating_sub(1);
            let version = records::versions(records, named, before, 1)?.pop();
            // Both are one change of the store.
            if let Some(version) = version {
                all.push(Kept { strategy, version });
            }
        }
    }
}

fn key_of(strategy: &Strategy) -> Result<Key, StrategiesError> {
    let bad = |error: apex_domain::id::IdError| StrategiesError::Kept(error.to_string());
    let account_id = AccountId::new(&strategy.account_id).map_err(bad)?;
    Ok((
        account_id,
        StrategyId::new(&strategy.strategy_id).map_err(bad)?,
    ))
}

pub(super) fn content_of(kept: &Kept) -> Content {
    let content = kept.version.content.clone();
    Content {
        strategy_type: content.strategy_type,
        instruments: content.instruments,
        parameters: content.parameters,
    }
}

pub(super) fn version_info(version: &StrategyVersion) -> VersionInfo {
    VersionInfo {
        version: version.version,
        content_hash: version.content_hash.clone(),
        code_version: version.content.code_version.clone(),
        instruments: version.content.instruments.clone(),
        parameters: version.content.parameters.clone(),
        by: version.by.clone(),
        created: UnixNanos(version.created_ns),
    }
}

/// Writes what is kept of a strategy, in a state.
pub(super) fn written(key: Key, kept: &Kept, state: DeploymentState) -> StrategyInfo {
    let strategy = &kept.strategy;
    StrategyInfo {
        key,
        strategy_type: strategy.strategy_type.clone(),
        state,
        reason: strategy.reason.clone(),
        restart: strategy.restart,
        version: version_info(&kept.version),
        connected: false,
        restarts: 0,
        by: strategy.by.clone(),
        created: UnixNanos(strategy.created_ns),
        changed: UnixNanos(strategy.changed_ns),
    }
}

impl StrategyDesk for Strategies {
    fn types(&self) -> Vec<StrategyTypeInfo> {
        catalog::types()
    }

    fn list(&self) -> Vec<StrategyInfo> {
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        entries.iter().map(|entry| self.info(entry)).collect()
    }

    fn get(&self, key: &Key) -> Option<StrategyInfo> {
        self.entry(key).map(|entry| self.info(&entry))
    }

    fn versions(
        &self,
        key: &Key,
        before: u32,
        limit: usize,
    ) -> StrategyAnswer<'_, Vec<VersionInfo>> {
        let (key, found, records) = (key.clone(), self.entry(key), self.0.records.clone());
        Box::pin(async move {
            let entry = found.ok_or_else(|| not_found(&key))?;
            let newest = entry.keeper.get().version.version;
            let last = match before {
                0 => newest,
                before => newest.min(before - 1),
            };
            let first = last.saturating_sub(u32::try_from(limit).unwrap_or(u32::MAX));
            let count = (last - first) as usize;
            let (account_id, strategy_id) = key;
            let read = move || {
                let named = (account_id.as_str(), strategy_id.as_str());
                records::versions(&*records, named, first, count)
            };
            let mut found = match count {
                0 => Vec::new(),
                _ => blocking(read).await?,
            };
            found.reverse();
            Ok(found.iter().map(version_info).collect())
        })
    }

    fn usage(&self, key: &Key) -> StrategyAnswer<'_, Option<BudgetUse>> {
        let key = key.clone();
        Box::pin(async move {
            let usage = self.0.around.sessions.usage(&key).await;
            Ok(usage.map(|usage| BudgetUse {
                orders_in_last_second: usage.orders_in_last_second,
                orders_per_second: usage.budget.orders_per_second,
                messages_in_last_second: usage.messages_in_last_second,
                messages_per_second: usage.budget.messages_per_second,
                unanswered_batches: usage.unanswered_batches,
                window: usage.budget.window as usize,
                oldest_unanswered_ns: usage.oldest_unanswered_ns,
                answer_timeout_ns: usage.budget.answer_timeout_ns,
            }))
        })
    }

    fn events(&self) -> StrategyEvents {
        self.0.around.events.clone()
    }

    fn deploy(&self, asked: Asked, new: NewStrategy) -> StrategyAnswer<'_, StrategyInfo> {
        let change = self.change(Some(asked));
        self.carry(async move { change.deploy(new).await.map(Answered::strategy) })
    }

    fn start(&self, asked: Asked, key: Key) -> StrategyAnswer<'_, StrategyInfo> {
        let change = self.change(Some(asked));
        self.carry(async move { change.start(key).await.map(Answered::strategy) })
    }

    fn pause(&self, asked: Asked, key: Key, cancel: bool) -> StrategyAnswer<'_, WoundDown> {
        let change = self.change(Some(asked));
        self.carry(async move { change.pause(key, cancel).await })
    }

    fn stop(&self, asked: Asked, key: Key, wind: WindDown) -> StrategyAnswer<'_, WoundDown> {
        let change = self.change(Some(asked));
        self.carry(async move { change.stop(key, wind).await })
    }

    fn update(
        &self,
        asked: Asked,
        update: ParameterChange,
    ) -> StrategyAnswer<'_, (StrategyInfo, Applied)> {
        let change = self.change(Some(asked));
        self.carry(async move {
            let answered = change.update(update).await?;
            let applied = answered.applied();
            Ok((answered.strategy(), applied))
        })
    }
}

pub(super) fn not_found((account_id, strategy_id): &Key) -> StrategyDeskError {
    StrategyDeskError::NotFound {
        account_id: account_id.clone(),
        strategy_id: strategy_id.clone(),
    }
}

/// Returns what a first version is made of.
pub(super) fn first_version(new: &NewStrategy, by: &str, now: UnixNanos) -> Kept {
    let (account_id, strategy_id) = (new.key.0.to_string(), new.key.1.to_string());
    let content = records::StrategyContent {
        strategy_type: new.strategy_type.clone(),
        code_version: CODE_VERSION.to_owned(),
        instruments: new.instruments.iter().map(ToString::to_string).collect(),
        parameters: new.parameters.clone(),
    };
    Kept {
        strategy: Strategy {
            account_id: account_id.clone(),
            strategy_id: strategy_id.clone(),
            strategy_type: new.strategy_type.clone(),
            version: 1,
            desired: apex_domain::deployment::Desired::Deployed,
            restart: new.restart,
            reason: String::new(),
            by: by.to_owned(),
            created_ns: now.0,
            changed_ns: now.0,
            winding: None,
        },
        version: StrategyVersion {
            account_id,
            strategy_id,
            version: 1,
            content_hash: content.hash(),
            content,
            by: by.to_owned(),
            created_ns: now.0,
        },
    }
}
