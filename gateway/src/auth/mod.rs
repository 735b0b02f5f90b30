//! Who calls, and whether it may.
//!
//! Every method but health and reflection needs `authorization: Bearer <token>`. What a method
//! needs stands in one table, [`policy`]; which accounts a caller may touch is in its [`Grants`].

mod keys;
mod layer;
mod policy;
mod rate;

pub use keys::{
    ApiKeys, Credentials, CredentialsError, KeyRecord, MemoryCredentials, NewKey, RANDOM_BYTES,
};
pub use layer::{Gate, check};
pub(crate) use policy::method;
pub use policy::{Policy, policy};
pub use rate::Rate;

use apex_domain::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a user may do. The rights stand in [`policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Trader,
    Risk,
    Ops,
    Admin,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Viewer,
        Role::Trader,
        Role::Risk,
        Role::Ops,
        Role::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Trader => "trader",
            Role::Risk => "risk",
            Role::Ops => "ops",
            Role::Admin => "admin",
        }
    }
}

/// The accounts that a user may see and, with the role for it, touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grants {
    All,
    Only(BTreeSet<AccountId>),
}

/// Who a call is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user_id: String,
    pub role: Role,
    pub grants: Grants,
    /// The key that the call came with, so that a stream can ask whether it still holds.
    pub key_id: String,
}

impl Caller {
    /// Returns true when the account is granted.
    pub fn may(&self, account_id: &AccountId) -> bool {
        match &self.grants {
            Grants::All => true,
            Grants::Only(accounts) => self.role == Role::Admin || accounts.contains(account_id),
        }
    }
}
