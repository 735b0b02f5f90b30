//! The handle of the platform's exposure limit, and an account's way to it.

use crate::handle::AccountHandle;
use crate::message::{ExposureError, ExposureMessage};
use apex_domain::AccountId;
use apex_domain::risk::platform::{
    PlatformChange, PlatformShare, PlatformView, ShareOffer, ShareReport,
};
use ractor::rpc::CallResult;
use ractor::{ActorCell, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a caller waits: a change waits for every account, and a disk in between.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An account's way to the platform's limit. Never waits; what is lost is said again.
pub trait ShareKeeper: Send + Sync {
    /// Takes what an account says of itself.
    fn report(&self, report: ShareReport);
}

/// The platform's exposure limit, wherever it is kept. Cheap to clone, and good for every actor
/// that comes to keep it: one that failed is replaced by another.
#[derive(Clone, Default)]
pub struct ExposureHandle {
    seat: Arc<Mutex<Seat>>,
}

/// The actor that keeps the limit now, and what each one has to be told that takes its place.
#[derive(Default)]
struct Seat {
    actor: Option<ActorRef<ExposureMessage>>,
    accounts: BTreeMap<AccountId, AccountHandle>,
    away: BTreeMap<AccountId, Option<PlatformShare>>,
    /// Stops the actor for good; `None` where nobody starts it again.
    supervisor: Option<ActorCell>,
}

impl fmt::Debug for ExposureHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExposureHandle").finish_non_exhaustive()
    }
}

impl ShareKeeper for ExposureHandle {
    fn report(&self, report: ShareReport) {
        // Without a keeper nothing is handed out; the account keeps its share, and the next keeper
        // asks for a report.
        self.cast(ExposureMessage::Report(report));
    }
}

impl ExposureHandle {
    pub fn new(actor: ActorRef<ExposureMessage>) -> ExposureHandle {
        let handle = ExposureHandle::default();
        handle.seat(actor);
        handle
    }

    /// Puts an actor in the place of the one before it, and tells it of the accounts that run and
    /// of those that do not.
    pub fn seat(&self, actor: ActorRef<ExposureMessage>) {
        let mut seat = self.lock();
        // One that fails again before it has heard this is replaced again.
        for (account_id, share) in &seat.away {
            let _ = actor.cast(ExposureMessage::Away(account_id.clone(), share.clone()));
        }
        for account in seat.accounts.values() {
            let _ = actor.cast(ExposureMessage::Attach(account.clone()));
        }
        seat.actor = Some(actor);
    }

    /// Returns the actor that keeps the limit now, or kept it last; for those who watch it.
    pub fn actor(&self) -> Option<ActorCell> {
        self.lock().actor.as_ref().map(ActorRef::get_cell)
    }

    /// Names who starts the actor again when it fails, and is to be stopped with it.
    pub fn supervised_by(&self, supervisor: ActorCell) {
        self.lock().supervisor = Some(supervisor);
    }

    fn lock(&self) -> MutexGuard<'_, Seat> {
        // Nothing in here is left half done by a panic.
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cast(&self, message: ExposureMessage) {
        if let Some(actor) = &self.lock().actor {
            let _ = actor.cast(message);
        }
    }

    /// Makes an account known that is about to start, and returns what it has to take first.
    ///
    /// Errors: `NotWritten`, `Stopped`; the account must not start.
    pub async fn join(&self, account_id: AccountId) -> Result<Option<ShareOffer>, ExposureError> {
        self.call(|reply| ExposureMessage::Join(account_id, reply))
            .await?
    }

    /// Lets an account that has joined take messages.
    pub fn attach(&self, account: AccountHandle) {
        let account_id = account.account_id().clone();
        self.lock().accounts.insert(account_id, account.clone());
        self.cast(ExposureMessage::Attach(account));
    }

    /// Says that an account which joined in an earlier run is not run this time. Its share by its
    /// journal stays counted.
    pub fn away(&self, account_id: AccountId, share: Option<PlatformShare>) {
        self.lock().away.insert(account_id.clone(), share.clone());
        self.cast(ExposureMessage::Away(account_id, share));
    }

    /// Takes an account away for good that is not run, holds nothing, has nothing working, and has
    /// given its share back in its journal.
    ///
    /// Errors: `NotWritten`, `Stopped`; it stays counted, and may be taken away again.
    pub async fn leave(&self, account_id: AccountId) -> Result<(), ExposureError> {
        let left = self
            .call(|reply| ExposureMessage::Leave(account_id.clone(), reply))
            .await?;
        if left.is_ok() {
            self.lock().away.remove(&account_id);
        }
        left
    }

    /// Changes the limit and returns it with its shares.
    ///
    /// Errors: [`ExposureError`].
    pub async fn change(&self, change: PlatformChange) -> Result<PlatformView, ExposureError> {
        self.call(|reply| ExposureMessage::Change(change, reply))
            .await?
    }

    /// Returns the limit with its shares.
    ///
    /// Errors: `Stopped`.
    pub async fn view(&self) -> Result<PlatformView, ExposureError> {
        self.call(ExposureMessage::View).await
    }

    /// Stops the keeper and waits until it has: the data folder is free then.
    pub async fn stop(&self) {
        // An error means that it has stopped already.
        let actor = {
            let seat = self.lock();
            let actor = seat.actor.as_ref().map(ActorRef::get_cell);
            seat.supervisor.clone().or(actor)
        };
        if let Some(actor) = actor {
            let _ = actor.stop_and_wait(None, None).await;
        }
    }

    async fn call<R: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<R>) -> ExposureMessage,
    ) -> Result<R, ExposureError> {
        let actor = self.lock().actor.clone();
        let actor = actor.ok_or(ExposureError::Stopped)?;
        match actor.call(message, Some(ANSWER_TIMEOUT)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => {
                Err(ExposureError::Stopped)
            }
        }
    }
}
