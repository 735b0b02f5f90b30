//! The credentials of the platform as a front end sees them.
//!
//! What every call is held against is answered from memory, which follows the store within two seconds;
//! what changes something is made in the store, where of two callers that change the same one wins.

mod memory;

pub use memory::{MemoryAccess, State};

use apex_domain::access::{ApiKey, LoginLink, Session, SigningKey, Tries, User};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;

/// Why credentials cannot be read or changed now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Somebody changed the same meanwhile: read again, decide again.
    #[error("the credentials were changed meanwhile")]
    Conflict,
    /// The store does not answer; nothing was changed.
    #[error("credentials cannot be read or changed now: {0}")]
    Unavailable(String),
    /// It went away while it stored.
    #[error("it is not known whether the credentials were changed: {0}")]
    Unknown(String),
}

/// A record before and after a change; `None` where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap<T> {
    pub old: Option<T>,
    pub new: Option<T>,
}

impl<T> Swap<T> {
    /// Returns the change that makes a record.
    pub fn insert(new: T) -> Swap<T> {
        Swap {
            old: None,
            new: Some(new),
        }
    }

    /// Returns the change of a record that was read.
    pub fn replace(old: T, new: T) -> Swap<T> {
        Swap {
            old: Some(old),
            new: Some(new),
        }
    }

    /// Returns the change that takes a record away.
    pub fn remove(old: T) -> Swap<T> {
        Swap {
            old: Some(old),
            new: None,
        }
    }
}

/// One of the changes that are made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessChange {
    User(Swap<User>),
    Session(Swap<Session>),
    Key(Swap<ApiKey>),
    Link(Swap<LoginLink>),
    Signing(Swap<SigningKey>),
    /// Counts that are best kept and no reason to refuse: whatever there is.
    Tries {
        bucket: String,
        tries: Tries,
    },
}

/// A request that names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    pub user_id: String,
    pub request_id: String,
    /// `Service/Method`.
    pub method: &'static str,
    /// What is asked, without secrets.
    pub content: Vec<u8>,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    New,
    /// It was answered so.
    Same(Vec<u8>),
    /// The same user asked for something else under this id.
    Other,
}

/// Changes that are made together or not at all.
#[derive(Clone, Debug, Default)]
pub struct AccessWrite {
    pub changes: Vec<AccessChange>,
    /// The answer that a repetition of the request gets.
    pub answer: Option<(AccessRequest, Vec<u8>)>,
    /// Only while users and keys are as they were at this generation: for a rule over all of them.
    pub only_at: Option<String>,
}

/// An answer that takes a while.
pub type AccessAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AccessError>> + Send + 'a>>;

/// Where credentials are kept.
pub trait AccessStore: Send + Sync + fmt::Debug {
    /// Returns the time by which credentials begin and end, in nanoseconds since 1970.
    fn now_ns(&self) -> i64;

    /// Returns a user, from memory.
    fn user(&self, user_id: &str) -> Option<Arc<User>>;

    /// Returns all users in order of id, from memory.
    fn users(&self) -> Vec<Arc<User>>;

    /// Returns a session, ended ones too, from memory.
    fn session(&self, session_id: &str) -> Option<Arc<Session>>;

    /// Returns all sessions of a user, from memory.
    fn sessions(&self, user_id: &str) -> Vec<Arc<Session>>;

    /// Returns a key, revoked ones too, from memory.
    fn key(&self, key_id: &str) -> Option<Arc<ApiKey>>;

    /// Returns all keys in order of id, from memory.
    fn keys(&self) -> Vec<Arc<ApiKey>>;

    /// Returns the keys that sign access tokens, the oldest first, from memory.
    fn signing_keys(&self) -> Arc<[SigningKey]>;

    /// Names the state of users and keys in memory, for [`AccessWrite::only_at`].
    fn generation(&self) -> String;

    /// Reads what is in memory anew.
    fn refresh(&self) -> AccessAnswer<'_, ()>;

    /// Returns the failed logins of a bucket.
    fn tries(&self, bucket: String) -> AccessAnswer<'_, Tries>;

    /// Returns a login link.
    fn link(&self, link_id: String) -> AccessAnswer<'_, Option<LoginLink>>;

    /// Says whether a request was answered.
    fn answered(&self, request: AccessRequest) -> AccessAnswer<'_, Answered>;

    /// Makes changes. What is in memory has them when this returns.
    fn change(&self, write: AccessWrite) -> AccessAnswer<'_, ()>;
}
