//! Who calls, and whether it may.
//!
//! Every method but health, reflection and logging in needs `authorization: Bearer <token>`: an access
//! token of a login, or an API key. What a method needs stands next to it in its .proto file
//! ([`policy`]); what a caller may is looked up at each call in the user's record, so that a change of
//! it holds from the next call on, and streams ask again while they run ([`Access::renew`]).
//!
//! Start reading at [`Access::verify`]. What is decided about sessions, keys and tries is in
//! `apex_domain::access`; where they are kept is the port `apex_bus::access`.

mod access;
mod address;
mod cookie;
mod keys;
mod layer;
mod passwords;
mod policy;
mod rate;
mod secret;
mod signing;
mod tokens;
mod totp;

pub use access::{Access, Unverified};
pub(crate) use address::network;
pub use address::{ClientAddress, Proxies};
pub use apex_domain::access::{Grants, Role, Scope};
pub(crate) use cookie::{clear_cookie, cookie_of, set_cookie};
pub(crate) use keys::LINK_PREFIX;
pub use keys::{NewKey, NewLink, RANDOM_BYTES, new_key, new_link};
pub use layer::{Gate, check};
pub use passwords::{PasswordError, Passwords, password_hash};
pub(crate) use policy::method;
pub use policy::{Policy, policy};
pub use rate::Rate;
pub(crate) use secret::{Token, hash, hex, random};
pub use signing::new_signing_key;
pub(crate) use totp::{begin_totp, check_totp, recovery_codes, step_of, totp_secret};

use apex_domain::AccountId;
use std::collections::BTreeSet;

/// Who a call is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user_id: String,
    /// What it may do by now, with this credential.
    pub role: Role,
    pub grants: Grants,
    /// Kinds of methods that its key is held to; empty for all of the role.
    pub scopes: BTreeSet<Scope>,
    /// The key or session that the call came with.
    pub key_id: String,
    /// It is a session, of a person who logged in.
    pub is_session: bool,
    /// Its key is held to a role, accounts, networks or an end: it makes no credentials and changes no
    /// users, which would not be held to them.
    pub is_held: bool,
    /// Somebody else chose the password: nothing is allowed but to change it.
    pub must_change: bool,
    /// Where it calls from.
    pub from: Option<std::net::IpAddr>,
}

impl Caller {
    /// Returns true when the account is granted.
    pub fn may(&self, account_id: &AccountId) -> bool {
        self.has_all() || self.grants.contains(account_id)
    }

    /// Returns true when it is held to less than its user may, scopes included.
    pub fn is_restricted(&self) -> bool {
        self.is_held || !self.scopes.is_empty()
    }

    /// Returns true when all accounts are granted. A key of an admin that is held to accounts is held
    /// to them.
    pub fn has_all(&self) -> bool {
        self.grants == Grants::All
    }
}
