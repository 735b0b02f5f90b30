//! Who may call: users, their sessions and API keys, and how often a name may be tried.
//!
//! What is decided here is decided from records and a time alone. Hashes and random bytes come in
//! ready-made: no cryptography, no store, no clock.
//!
//! A user has a role and accounts that are granted to it. Sessions (of a login) and API keys stand for
//! a user: they say that a call is of that user, and what the user may do is looked up when it
//! calls. So a demoted or disabled user is that at its next call, whatever it calls with.

mod key;
mod login;
mod session;
mod tries;
mod user;

pub use key::{ApiKey, KeyRefusal};
pub use login::{LoginLink, SigningKey};
pub use session::{Ended, Refreshed, Session, TokenHashes};
pub use tries::{Allowed, Tries};
pub use user::{Totp, User};

use crate::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// SHA-256 of a secret of at least 128 random bits.
pub type SecretHash = [u8; 32];

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// What a user may do. Which methods a role is for stands next to each method.
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

    /// Returns the role of who has this one and is held to `limit`. Of two different roles that are
    /// neither admin nothing is common but reading.
    #[must_use]
    pub fn within(self, limit: Role) -> Role {
        match (self, limit) {
            (role, Role::Admin) | (Role::Admin, role) => role,
            (role, limit) if role == limit => role,
            _ => Role::Viewer,
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

impl Grants {
    /// Returns true when the account is among them.
    pub fn contains(&self, account_id: &AccountId) -> bool {
        match self {
            Grants::All => true,
            Grants::Only(accounts) => accounts.contains(account_id),
        }
    }

    /// Returns what both grant.
    #[must_use]
    pub fn within(&self, limit: &Grants) -> Grants {
        match (self, limit) {
            (grants, Grants::All) | (Grants::All, grants) => grants.clone(),
            (Grants::Only(one), Grants::Only(other)) => {
                Grants::Only(one.intersection(other).cloned().collect())
            }
        }
    }
}

/// A kind of method that an API key can be held to, as the methods' policies have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What only reads.
    Read,
    /// Orders that may add exposure.
    Trade,
    /// What only takes exposure away.
    Cancel,
    /// A person's word in place of the venue's.
    Resolve,
    /// Limits and trading states.
    Risk,
    /// The platform: accounts, paper money, jobs.
    Ops,
    /// Who did what.
    Audit,
    /// Users and everything else.
    Admin,
}

impl Scope {
    pub const ALL: [Scope; 8] = [
        Scope::Read,
        Scope::Trade,
        Scope::Cancel,
        Scope::Resolve,
        Scope::Risk,
        Scope::Ops,
        Scope::Audit,
        Scope::Admin,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_takes_away_and_never_adds() {
        for role in Role::ALL {
            assert_eq!(role.within(Role::Admin), role);
            assert_eq!(Role::Admin.within(role), role);
            assert_eq!(role.within(role), role);
            assert_eq!(role.within(Role::Viewer), Role::Viewer);
        }
        assert_eq!(Role::Trader.within(Role::Risk), Role::Viewer);
        let only =
            |ids: &[&str]| Grants::Only(ids.iter().map(|id| AccountId::new(id).unwrap()).collect());
        let (one, other) = (only(&["a", "b"]), only(&["b", "c"]));
        assert_eq!(one.within(&other), only(&["b"]));
        assert_eq!(one.within(&Grants::All), one);
        assert_eq!(Grants::All.within(&one), one);
        assert!(one.contains(&AccountId::new("a").unwrap()));
        assert!(!other.contains(&AccountId::new("a").unwrap()));
    }
}
