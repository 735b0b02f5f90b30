//! The handle of the platform's exposure limit, and an account's way to it.

use crate::handle::AccountHandle;
use crate::message::{ExposureError, ExposureMessage};
use apex_domain::AccountId;
use apex_domain::risk::platform::{PlatformChange, PlatformView, ShareOffer, ShareReport};
use ractor::rpc::CallResult;
use ractor::{ActorRef, RpcReplyPort};
use std::fmt;
use std::time::Duration;

/// How long a caller waits: a change waits for every account, and a disk in between.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An account's way to the platform's limit. Never waits; what is lost is said again.
pub trait ShareKeeper: Send + Sync {
    /// Takes what an account says of itself.
    fn report(&self, report: ShareReport);
}

/// The platform's exposure limit, wherever it is kept. Cheap to clone.
#[derive(Clone)]
pub struct ExposureHandle {
    actor: ActorRef<ExposureMessage>,
}

impl fmt::Debug for ExposureHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExposureHandle").finish_non_exhaustive()
    }
}

impl ShareKeeper for ExposureHandle {
    fn report(&self, report: ShareReport) {
        // A keeper that has stopped hands out nothing any more; the account keeps its share.
        let _ = self.actor.cast(ExposureMessage::Report(report));
    }
}

impl ExposureHandle {
    pub fn new(actor: ActorRef<ExposureMessage>) -> ExposureHandle {
        ExposureHandle { actor }
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
        let _ = self.actor.cast(ExposureMessage::Attach(account));
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
        let _ = self.actor.stop_and_wait(None, None).await;
    }

    async fn call<R: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<R>) -> ExposureMessage,
    ) -> Result<R, ExposureError> {
        match self.actor.call(message, Some(ANSWER_TIMEOUT)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => {
                Err(ExposureError::Stopped)
            }
        }
    }
}
