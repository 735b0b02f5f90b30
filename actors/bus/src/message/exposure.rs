//! What the actor of the platform's exposure limit takes and answers.

use crate::handle::AccountHandle;
use apex_domain::AccountId;
use apex_domain::risk::platform::{
    ChangeRefusal, PlatformChange, PlatformShare, PlatformView, ShareOffer, ShareReport,
};
use ractor::RpcReplyPort;
use thiserror::Error;

/// Why there is no answer about the platform's limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExposureError {
    /// The caller mends the change.
    #[error(transparent)]
    Refused(#[from] ChangeRefusal),
    /// The change may or may not be durable: the same request again tells, or makes it so.
    #[error(
        "the platform's limit could not be written ({0}): see to the data folder's disk, then \
         send the same request again"
    )]
    NotWritten(String),
    /// The run keeps no limit over its accounts, as a replay.
    #[error("this run has no limit over all accounts: ask a platform that runs live")]
    NoLimit,
    /// The actor is stopping, has failed and is not back yet, or failed too often.
    #[error(
        "the keeper of the platform's limit is not running: accounts keep the shares that they \
         have, and it is started again; try again in a moment"
    )]
    Stopped,
}

/// The mailbox of the exposure actor.
#[derive(Debug)]
pub enum ExposureMessage {
    /// An account is about to start. The answer is what it has to decide on first, if there is a
    /// limit, so that it takes no order outside of it.
    Join(
        AccountId,
        RpcReplyPort<Result<Option<ShareOffer>, ExposureError>>,
    ),
    /// The account takes messages from now on.
    Attach(AccountHandle),
    Report(ShareReport),
    /// Answered once every account keeps to it, or after a moment where one does not answer.
    Change(
        PlatformChange,
        RpcReplyPort<Result<PlatformView, ExposureError>>,
    ),
    View(RpcReplyPort<PlatformView>),
    Tick,
    /// An account that joined once is not run this time; with its share by its journal.
    Away(AccountId, Option<PlatformShare>),
    /// An account that holds nothing, and whose journal has given its share back, is forgotten.
    Leave(AccountId, RpcReplyPort<Result<(), ExposureError>>),
}
