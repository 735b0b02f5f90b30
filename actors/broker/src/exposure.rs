//! The actor that keeps the limit over all accounts: hands the accounts' reports to the machine,
//! makes durable what has to be, and then sends the machine's offers.

use apex_bus::handle::AccountHandle;
use apex_bus::message::{ExposureError, ExposureMessage};
use apex_domain::AccountId;
use apex_domain::risk::platform::{
    PlatformChange, PlatformEffects, PlatformExposure, PlatformInput, PlatformView,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often offers without an answer are made again.
const TICK: Duration = Duration::from_secs(1);

/// Ticks that a change waits for the accounts to keep to it. One that is away does not answer, and
/// the caller is told that the limit is not in force yet.
const CHANGE_TICKS: u32 = 3;

/// Where the limit outlives the process.
pub trait LimitStore: Send + Sync {
    /// Makes a record durable in place of the last one. Blocking.
    ///
    /// Errors: why it may not be durable, for a person.
    fn save(&self, record: &[u8]) -> Result<(), String>;
}

/// What the actor is started with.
pub struct ExposureArgs {
    /// The last record; `None` on the first start of a data folder.
    pub record: Option<Vec<u8>>,
    pub store: Arc<dyn LimitStore>,
}

impl fmt::Debug for ExposureArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExposureArgs").finish_non_exhaustive()
    }
}

/// The keeper of the platform's exposure limit. Without it accounts keep the shares that they
/// have, and no share grows. One that fails is started again from its record, as a new run of its
/// own: every account confirms its share before any grows.
#[derive(Debug)]
pub struct ExposureActor;

/// A caller of a change that not every account keeps to yet.
struct Caller {
    reply: RpcReplyPort<Result<PlatformView, ExposureError>>,
    ticks: u32,
}

/// The actor's state.
pub struct State {
    machine: PlatformExposure,
    accounts: BTreeMap<AccountId, AccountHandle>,
    store: Arc<dyn LimitStore>,
    callers: Vec<Caller>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("accounts", &self.accounts.keys())
            .finish_non_exhaustive()
    }
}

impl Actor for ExposureActor {
    type Msg = ExposureMessage;
    type State = State;
    type Arguments = ExposureArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ExposureMessage>,
        args: ExposureArgs,
    ) -> Result<State, ActorProcessingErr> {
        let machine = PlatformExposure::begin(args.record.as_deref())?;
        let state = State {
            machine,
            accounts: BTreeMap::new(),
            store: args.store,
            callers: Vec::new(),
        };
        // The epoch of this start, before anything is said in it.
        state.save().await?;
        myself.send_interval(TICK, || ExposureMessage::Tick);
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<ExposureMessage>,
        message: ExposureMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.take(message).await;
        state.answer_changes();
        Ok(())
    }
}

impl State {
    async fn take(&mut self, message: ExposureMessage) {
        match message {
            ExposureMessage::Join(account_id, reply) => {
                let joined = self.apply(PlatformInput::Join(account_id.clone())).await;
                let offer = || self.machine.outstanding(&account_id).cloned();
                let _ = reply.send(joined.map(|_| offer()));
            }
            ExposureMessage::Attach(account) => {
                self.accounts.insert(account.account_id().clone(), account);
                self.react(PlatformInput::Tick).await;
            }
            ExposureMessage::Report(report) => self.react(PlatformInput::Report(report)).await,
            ExposureMessage::Change(change, reply) => self.change(change, reply).await,
            ExposureMessage::Away(account_id, share) => {
                self.react(PlatformInput::Away(account_id, share)).await;
            }
            ExposureMessage::Leave(account_id, reply) => {
                let left = self.apply(PlatformInput::Leave(account_id)).await;
                let _ = reply.send(left.map(|_| ()));
            }
            ExposureMessage::View(reply) => drop(reply.send(self.machine.view())),
            ExposureMessage::Tick => {
                for caller in &mut self.callers {
                    caller.ticks += 1;
                }
                self.react(PlatformInput::Tick).await;
            }
        }
    }

    async fn change(
        &mut self,
        change: PlatformChange,
        reply: RpcReplyPort<Result<PlatformView, ExposureError>>,
    ) {
        let refused = match self.apply(PlatformInput::Change(change)).await {
            Ok(effects) => effects.reply.and_then(Result::err).map(ExposureError::from),
            Err(error) => Some(error),
        };
        match refused {
            Some(error) => drop(reply.send(Err(error))),
            None => self.callers.push(Caller { reply, ticks: 0 }),
        }
    }

    /// Takes an input that nobody waits for.
    async fn react(&mut self, input: PlatformInput) {
        if let Err(error) = self.apply(input).await {
            tracing::warn!(%error, "the platform's limit stays as it was");
        }
    }

    /// Decides, makes durable what has to be, and only then says it.
    ///
    /// Errors: `NotWritten`; nothing was changed here.
    async fn apply(&mut self, input: PlatformInput) -> Result<PlatformEffects, ExposureError> {
        let before = self.machine.clone();
        let mut effects = PlatformEffects::default();
        self.machine.apply(input, &mut effects);
        if effects.save
            && let Err(error) = self.save().await
        {
            self.machine = before;
            return Err(error);
        }
        for out in &effects.offers {
            // One that has not started hears it at a later tick.
            if let Some(account) = self.accounts.get(&out.account_id) {
                account.offer_share(out.offer.clone());
            }
        }
        Ok(effects)
    }

    async fn save(&self) -> Result<(), ExposureError> {
        let (store, record) = (self.store.clone(), self.machine.record());
        let saved = tokio::task::spawn_blocking(move || store.save(&record)).await;
        saved
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(ExposureError::NotWritten)
    }

    /// Answers the changes that every account keeps to, and those that have waited long enough.
    fn answer_changes(&mut self) {
        if self.callers.is_empty() {
            return;
        }
        let in_force = self.machine.is_in_force();
        let callers = std::mem::take(&mut self.callers);
        for caller in callers {
            if in_force || caller.ticks >= CHANGE_TICKS {
                let _ = caller.reply.send(Ok(self.machine.view()));
            } else {
                self.callers.push(caller);
            }
        }
    }
}
