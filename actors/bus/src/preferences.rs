//! What users' programs keep for them, as the gateway asks for it.

use apex_domain::{RequestId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// Bytes of one value: a large layout is some 10 KiB.
pub const MAX_PREFERENCE_BYTES: usize = 64 << 10;

/// Values of one user; with their size 6.4 MiB, which nobody's layouts reach.
pub const MAX_PREFERENCES: usize = 100;

/// One value of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPreference {
    pub name: String,
    pub value: Vec<u8>,
    /// 0 of one that was deleted.
    pub version: u64,
    pub updated: UnixNanos,
}

/// A change of one.
#[derive(Clone, Debug)]
pub struct SetPreference {
    pub user_id: String,
    pub request_id: RequestId,
    pub name: String,
    /// `None` deletes it.
    pub value: Option<Vec<u8>>,
    /// 0 where there is none yet.
    pub expected: u64,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PreferenceError {
    #[error("the value is at version {actual}, not {expected}: read it again, decide again")]
    StaleVersion { expected: u64, actual: u64 },
    #[error("there are {limit} values, which is as many as a user may have: delete one first")]
    TooMany { limit: usize },
    #[error("request_id \"{0}\" is already used for another request: make a new id for a new one")]
    RequestTaken(RequestId),
    #[error("preferences cannot be read or changed now: {0}; repeat the same request")]
    Unavailable(String),
}

/// What is answered.
pub type PreferenceAnswer<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, PreferenceError>> + Send + 'a>>;

/// The preferences of all users.
pub trait Preferences: Send + Sync {
    /// Returns a user's values in order of name.
    ///
    /// Errors: [`PreferenceError`].
    fn get(&self, user_id: String) -> PreferenceAnswer<'_, Vec<UserPreference>>;

    /// Changes one. It is durable when this returns.
    ///
    /// Errors: [`PreferenceError`].
    fn set(&self, set: SetPreference) -> PreferenceAnswer<'_, UserPreference>;
}
