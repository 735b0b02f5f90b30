//! What people do to deployed strategies: each change is decided and kept under the strategy's turn,
//! then carried out.

use super::catalog::CODE_VERSION;
use super::deployed::DeployedMessage;
use super::desk::{
    Entry, MAX_STRATEGIES, Strategies, content_of, first_version, not_found, written,
};
use super::keeper::{Kept, Requested, insert, look};
use super::sessions::Key;
use apex_bus::strategies::{
    Applied, Asked, NewStrategy, ParameterChange, StrategyDeskError, StrategyEvent,
    StrategyEventKind, StrategyInfo,
};
use apex_domain::StrategyId;
use apex_domain::deployment::{DeploymentState, Desired, Input, RestartPolicy};
use apex_domain::risk::TradingState;
use apex_storage::records::requests::Slot;
use apex_storage::records::{StrategyContent, StrategyVersion};
use apex_strategy::registry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A change that someone asked for.
pub(super) struct Change {
    pub desk: Strategies,
    pub by: String,
    /// `None` for the platform itself, which repeats nothing.
    pub asked: Option<Asked>,
}

/// What a change is answered with, as it is kept for the same request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    key: Key,
    kept: Kept,
    state: DeploymentState,
    applied: When,
}

/// [`Applied`], as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum When {
    Live,
    Restarted,
    NextStart,
    Unchanged,
}

impl Answered {
    pub fn new(key: &Key, kept: &Kept, state: DeploymentState) -> Answered {
        Answered {
            key: key.clone(),
            kept: kept.clone(),
            state,
            applied: When::Unchanged,
        }
    }

    pub fn strategy(self) -> StrategyInfo {
        written(self.key, &self.kept, self.state)
    }

    pub fn applied(&self) -> Applied {
        match self.applied {
            When::Live => Applied::Live,
            When::Restarted => Applied::Restarted,
            When::NextStart => Applied::NextStart,
            When::Unchanged => Applied::Unchanged,
        }
    }
}

fn rule<T>(code: &'static str, detail: String) -> Result<T, StrategyDeskError> {
    Err(StrategyDeskError::Rule { code, detail })
}

impl Change {
    pub(super) fn entry(&self, key: &Key) -> Result<Entry, StrategyDeskError> {
        self.desk.entry(key).ok_or_else(|| not_found(key))
    }

    pub(super) async fn look(&self) -> Result<Requested<Answered>, StrategyDeskError> {
        let inner = &self.desk.0;
        look(&inner.records, &inner.around.clock, self.asked.as_ref()).await
    }

    pub(super) fn now_ns(&self) -> i64 {
        self.desk.0.around.clock.now().0
    }

    /// Has the strategy's actor carry a decision out, and waits until it has.
    pub(super) async fn tell(&self, entry: &Entry, input: Input) -> Result<(), StrategyDeskError> {
        let by = self.by.clone();
        let told = entry
            .actor
            .call(|reply| DeployedMessage::Person(input, by, reply), None)
            .await;
        match told {
            Ok(ractor::rpc::CallResult::Success(_)) => Ok(()),
            _ => Err(StrategyDeskError::Stopping),
        }
    }

    fn event(&self, key: &Key, kind: StrategyEventKind, text: String) {
        let around = &self.desk.0.around;
        around.events.push(StrategyEvent {
            sequence: 0,
            ts: around.clock.now(),
            account_id: key.0.clone(),
            strategy_id: key.1.clone(),
            kind,
            by: self.by.clone(),
            text,
        });
    }

    pub async fn deploy(&self, new: NewStrategy) -> Result<Answered, StrategyDeskError> {
        let inner = &self.desk.0;
        let _turn = inner.deploying.lock().await;
        let slot = match self.look().await? {
            Requested::Answered(answered) => return Ok(answered),
            Requested::New(slot) => slot,
        };
        let (account_id, strategy_id) = new.key.clone();
        check_new(&new)?;
        let taken = self.desk.entry(&new.key).is_some();
        // One that an author runs elsewhere owns orders under the id already.
        if taken || inner.around.sessions.is_connected(&new.key) {
            return Err(StrategyDeskError::Exists {
                account_id,
                strategy_id,
            });
        }
        if self.desk.entries().len() >= MAX_STRATEGIES {
            let detail = format!(
                "there are {MAX_STRATEGIES} strategies, which is as many as one node runs: start \
                 another node with a data folder of its own"
            );
            return rule("TOO_MANY_STRATEGIES", detail);
        }
        let kept = first_version(&new, &self.by, inner.around.clock.now());
        let answered = Answered::new(&new.key, &kept, DeploymentState::Deployed);
        let answer = slot.map(|slot| (slot, answered.clone()));
        insert(&inner.records, &inner.around.clock, kept.clone(), answer).await?;
        let taken_up = self.desk.take_up(kept).await;
        let entry = taken_up.map_err(|error| StrategyDeskError::NotKept(error.to_string()))?;
        // It bars sessions, since it was not started.
        let _ = entry.actor.cast(DeployedMessage::Input(Input::Recover));
        let version = 1;
        self.event(
            &new.key,
            StrategyEventKind::Deployed { version },
            new.strategy_type,
        );
        Ok(answered)
    }

    pub async fn start(&self, key: Key) -> Result<Answered, StrategyDeskError> {
        let entry = self.entry(&key)?;
        let _turn = entry.keeper.turn.lock().await;
        let slot = match self.look().await? {
            Requested::Answered(answered) => return Ok(answered),
            Requested::New(slot) => slot,
        };
        self.check_start(&key).await?;
        let seen = entry.seen.borrow().clone();
        let mut next = entry.keeper.get();
        if seen.desired != Desired::Running {
            next.strategy.desired = Desired::Running;
            next.strategy.reason.clear();
            next.strategy.by = self.by.clone();
            next.strategy.changed_ns = self.now_ns();
        }
        // What a stop still had to do is over with it: its orders are minded again.
        next.strategy.winding = None;
        let state = match seen.state {
            DeploymentState::Paused if seen.connected => DeploymentState::Running,
            DeploymentState::Running => DeploymentState::Running,
            _ => DeploymentState::Starting,
        };
        let answered = Answered::new(&key, &next, state);
        let answer = slot.map(|slot| (slot, answered.clone()));
        // Kept before anything runs: a kill in between starts it, and never forgets it.
        entry.keeper.change(next, answer).await?;
        self.tell(&entry, Input::Start).await?;
        Ok(answered)
    }

    /// A strategy is not started into an account that a person or a limit has halted: whoever resumes
    /// it has to know what trades then.
    async fn check_start(&self, key: &Key) -> Result<(), StrategyDeskError> {
        if self.desk.0.around.door.get().is_none() {
            let starting = "the platform is starting".to_owned();
            return Err(StrategyDeskError::NotKept(starting));
        }
        let accounts = &self.desk.0.around.sessions.platform().accounts;
        let account = accounts.get(&key.0).ok_or_else(|| not_found(key))?;
        if account.summary().await?.trading_state == TradingState::Halted {
            let detail = format!(
                "account \"{}\" is halted: resume it first (`apextrade risk resume`), then start \
                 strategy \"{}\"",
                key.0, key.1
            );
            return rule("ACCOUNT_HALTED", detail);
        }
        Ok(())
    }

    pub async fn update(&self, change: ParameterChange) -> Result<Answered, StrategyDeskError> {
        let entry = self.entry(&change.key)?;
        let _turn = entry.keeper.turn.lock().await;
        let slot = match self.look().await? {
            Requested::Answered(answered) => return Ok(answered),
            Requested::New(slot) => slot,
        };
        let known = entry.keeper.get();
        let actual = known.version.version;
        if change.expected_version != actual {
            return Err(StrategyDeskError::StaleVersion {
                strategy_id: change.key.1.clone(),
                expected: change.expected_version,
                actual,
            });
        }
        let before = &known.version.content.parameters;
        let after = changed(before, &change);
        let mut wrong = unknown_resets(&known.strategy.strategy_type, &change.reset);
        wrong.extend(check_parameters(&known.strategy.strategy_type, &after));
        if !wrong.is_empty() {
            return Err(StrategyDeskError::Invalid(wrong));
        }
        let seen = entry.seen.borrow().clone();
        if after == *before {
            let answered = Answered::new(&change.key, &known, seen.state);
            self.keep_answer(&entry, known, slot, &answered).await?;
            return Ok(answered);
        }
        let fixed = needs_restart(&known.strategy.strategy_type, before, &after)?;
        let applied = match (seen.down, fixed.is_empty()) {
            (true, _) => When::NextStart,
            (false, true) => When::Live,
            (false, false) if change.allow_restart => When::Restarted,
            (false, false) => {
                let detail = format!(
                    "{} cannot change while the strategy runs: allow a restart, or stop it first",
                    fixed.join(", ")
                );
                return rule("STRATEGY_RESTART_NEEDED", detail);
            }
        };
        let next = self.next_version(known, after);
        let mut answered = Answered::new(&change.key, &next, seen.state);
        answered.applied = applied;
        let content = content_of(&next);
        let version = next.version.version;
        self.keep_answer(&entry, next, slot, &answered).await?;
        let _ = entry.actor.cast(DeployedMessage::Configure(content));
        if applied == When::Restarted {
            self.tell(&entry, Input::Relaunch).await?;
        }
        let text = match applied {
            When::Live => "from now on",
            When::Restarted => "with a restart",
            When::NextStart | When::Unchanged => "from its next start on",
        };
        let kind = StrategyEventKind::ParametersChanged { version };
        self.event(&change.key, kind, text.to_owned());
        Ok(answered)
    }

    async fn keep_answer(
        &self,
        entry: &Entry,
        next: Kept,
        slot: Option<Slot>,
        answered: &Answered,
    ) -> Result<(), StrategyDeskError> {
        let answer = slot.map(|slot| (slot, answered.clone()));
        entry.keeper.change(next, answer).await
    }

    fn next_version(&self, known: Kept, parameters: BTreeMap<String, String>) -> Kept {
        let (by, created_ns) = (self.by.clone(), self.now_ns());
        let content = StrategyContent {
            code_version: CODE_VERSION.to_owned(),
            parameters,
            ..known.version.content
        };
        let mut strategy = known.strategy;
        strategy.version += 1;
        Kept {
            version: StrategyVersion {
                version: strategy.version,
                content_hash: content.hash(),
                content,
                by,
                created_ns,
                ..known.version
            },
            strategy,
        }
    }

    pub async fn run_named(&self, new: NewStrategy) -> Result<(), StrategyDeskError> {
        let key = new.key.clone();
        let accounts = &self.desk.0.around.sessions.platform().accounts;
        if accounts.get(&key.0).is_none() {
            let detail = format!("account \"{}\" is not of this node", key.0);
            return rule("ACCOUNT_NOT_FOUND", detail);
        }
        let restart = RestartPolicy::OnFailure;
        match self.desk.entry(&key) {
            None => drop(self.deploy(NewStrategy { restart, ..new }).await?),
            Some(entry) => self.adopt(&entry, new).await?,
        }
        let entry = self.entry(&key)?;
        // Behind what the actor was told before: how it stands then is what counts.
        let looked = entry.actor.call(DeployedMessage::Look, None).await;
        let Ok(ractor::rpc::CallResult::Success(seen)) = looked else {
            return Err(StrategyDeskError::Stopping);
        };
        let desired = seen.desired;
        let (account_id, strategy_id) = &key;
        match desired {
            Desired::Running => Ok(()),
            Desired::Deployed | Desired::Stopped => match self.start(key.clone()).await {
                Err(StrategyDeskError::Rule { code, detail }) => {
                    tracing::warn!(%account_id, %strategy_id, code, detail, "strategy not started");
                    Ok(())
                }
                other => other.map(drop),
            },
            // A person, or its failures, decided that; a flag that stands in a unit file did not.
            Desired::Paused | Desired::Quarantined => {
                tracing::warn!(
                    %account_id, %strategy_id, ?desired,
                    "strategy stays as it is: start it by `apextrade strategies start`"
                );
                Ok(())
            }
        }
    }

    /// Gives a strategy that is there the parameters of the command line.
    async fn adopt(&self, entry: &Entry, new: NewStrategy) -> Result<(), StrategyDeskError> {
        let kept = entry.keeper.get();
        if kept.strategy.strategy_type != new.strategy_type {
            let (account_id, strategy_id) = new.key;
            return Err(StrategyDeskError::Exists {
                account_id,
                strategy_id,
            });
        }
        let before = kept.version.content.parameters.keys();
        let gone = before.filter(|name| !new.parameters.contains_key(*name));
        let change = ParameterChange {
            key: new.key,
            expected_version: kept.version.version,
            reset: gone.cloned().collect(),
            set: new.parameters,
            allow_restart: true,
        };
        self.update(change).await.map(drop)
    }
}

fn check_new(new: &NewStrategy) -> Result<(), StrategyDeskError> {
    let mut wrong = Vec::new();
    let strategy_id = &new.key.1;
    if *strategy_id == StrategyId::manual() || *strategy_id == StrategyId::external() {
        let detail = "is kept for orders of no strategy".to_owned();
        wrong.push(("strategy_id".to_owned(), detail));
    }
    wrong.extend(check_parameters(&new.strategy_type, &new.parameters));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(StrategyDeskError::Invalid(wrong))
}

fn pairs(parameters: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
    parameters.iter().map(own).collect()
}

/// Returns everything that is wrong with a type and its parameters, by field.
fn check_parameters(
    strategy_type: &str,
    parameters: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let found = match registry::find(strategy_type) {
        Ok(found) => found,
        Err(error) => return vec![("strategy_type".to_owned(), error.to_string())],
    };
    let wrong = found.check(&pairs(parameters)).into_iter();
    wrong.map(|(name, detail)| (field(&name), detail)).collect()
}

fn field(name: &str) -> String {
    match name {
        "" => "parameters".to_owned(),
        // Foreign text of any length: a person needs only its beginning.
        name => format!("parameters[{}]", name.chars().take(64).collect::<String>()),
    }
}

/// Names that are set back and that the type does not have.
fn unknown_resets(strategy_type: &str, reset: &[String]) -> Vec<(String, String)> {
    let Ok(found) = registry::find(strategy_type) else {
        return Vec::new();
    };
    let knows = |name: &&String| {
        found
            .schema
            .iter()
            .any(|parameter| parameter.name == **name)
    };
    let unknown = reset.iter().enumerate().filter(|(_, name)| !knows(name));
    unknown
        .map(|(place, _)| {
            (
                format!("reset[{place}]"),
                "is no parameter of its type".to_owned(),
            )
        })
        .collect()
}

fn changed(
    before: &BTreeMap<String, String>,
    change: &ParameterChange,
) -> BTreeMap<String, String> {
    let mut after = before.clone();
    for name in &change.reset {
        after.remove(name);
    }
    after.extend(change.set.clone());
    after
}

fn needs_restart(
    strategy_type: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<Vec<&'static str>, StrategyDeskError> {
    let refused = |error: apex_strategy::StrategyError| {
        let wrong = ("parameters".to_owned(), error.to_string());
        StrategyDeskError::Invalid(vec![wrong])
    };
    let found = registry::find(strategy_type).map_err(refused)?;
    found
        .needs_restart(&pairs(before), &pairs(after))
        .map_err(refused)
}
