//! The accounts of a node: which there are, and how another one is made.

use crate::handle::AccountHandle;
use crate::message::CommandError;
use apex_domain::event::PositionMode;
use apex_domain::{AccountId, Currency, Money, RequestId};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;

/// The accounts that run, by id. It grows while the node runs and never shrinks. Cheap to clone;
/// all clones are the same.
#[derive(Clone, Default)]
pub struct Accounts(Arc<RwLock<Arc<BTreeMap<AccountId, AccountHandle>>>>);

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all().keys()).finish()
    }
}

impl FromIterator<AccountHandle> for Accounts {
    fn from_iter<T: IntoIterator<Item = AccountHandle>>(handles: T) -> Accounts {
        let accounts = Accounts::default();
        for handle in handles {
            accounts.insert(handle);
        }
        accounts
    }
}

impl Accounts {
    /// Returns the account, for an order: a read lock that is only ever held for a moment.
    pub fn get(&self, id: &AccountId) -> Option<AccountHandle> {
        let accounts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        accounts.get(id).cloned()
    }

    /// Returns the accounts as they are now, in order of id.
    pub fn all(&self) -> Arc<BTreeMap<AccountId, AccountHandle>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets an account be found from now on. The caller has started it.
    pub fn insert(&self, handle: AccountHandle) {
        let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Copied only while someone reads the accounts of before.
        Arc::make_mut(&mut accounts).insert(handle.account_id().clone(), handle);
    }
}

/// An account that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    pub request_id: RequestId,
    pub account_id: AccountId,
    /// `None` takes the first quote currency.
    pub base_currency: Option<Currency>,
    /// What it begins with, each above zero. Empty is the same as every account here begins with.
    pub cash: BTreeMap<Currency, Money>,
    pub position_mode: PositionMode,
}

/// Why an account was not made, or not reset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeskError {
    /// A field that the caller mends.
    #[error("{field} {detail}")]
    Invalid { field: &'static str, detail: String },
    #[error("account \"{0}\" exists already with another content: name another")]
    Exists(AccountId),
    #[error("request_id \"{0}\" is already used for another request: make a new id for a new one")]
    RequestTaken(RequestId),
    #[error(
        "there are {limit} accounts, which is as many as one node runs: use one of them, or start \
         another node with a data folder of its own"
    )]
    TooMany { limit: usize },
    /// This kind of run has the accounts that it has.
    #[error("{0}")]
    NotHere(&'static str),
    /// It could not be written or started; the same request may be repeated.
    #[error("account \"{account_id}\" is not ready: {detail}; repeat the same request")]
    NotReady {
        account_id: AccountId,
        detail: String,
    },
    #[error("the node is stopping")]
    Stopping,
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// What a desk answers with.
pub type DeskAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// Makes accounts while a node runs, and starts paper accounts over.
pub trait AccountDesk: Send + Sync {
    /// Makes an account, or finds the one that the same request has made. It is durable and runs
    /// when this returns, and it is made to its end when the caller goes away meanwhile.
    ///
    /// Errors: [`DeskError`].
    fn create(&self, new: NewAccount) -> DeskAnswer<'_, AccountHandle>;

    /// Pays a paper account in or out until it has what it was opened with.
    ///
    /// Errors: [`DeskError`]; `Refused` within it while the account holds or works something.
    fn reset(&self, handle: AccountHandle, request_id: RequestId, by: String)
    -> DeskAnswer<'_, ()>;
}
