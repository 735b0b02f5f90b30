//! An API key: a token that programs call with.

use super::{Grants, Role, Scope, SecretHash, User};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use thiserror::Error;

/// An API key as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The public part of the token.
    pub key_id: String,
    pub secret_hash: SecretHash,
    pub user_id: String,
    /// What it is for, in its owner's words.
    pub name: String,
    /// The most that it may do, whatever its user may by now.
    pub role: Role,
    /// The most accounts that it may touch.
    pub grants: Grants,
    /// Kinds of methods that it is for; empty for all that the role has.
    pub scopes: BTreeSet<Scope>,
    /// Where it may come from; empty for anywhere.
    pub networks: Vec<IpNet>,
    pub created_ns: i64,
    /// From then on it opens nothing; `None` for never.
    pub expires_ns: Option<i64>,
    /// A revoked key stays, for the record.
    pub revoked_ns: Option<i64>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("key_id", &self.key_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// Why a key that is right opens nothing. Callers are all told the same; the log is told this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyRefusal {
    #[error("it was revoked")]
    Revoked,
    #[error("it has expired")]
    Expired,
    #[error("its user is disabled")]
    Disabled,
    #[error("it is not allowed from this address")]
    Elsewhere,
}

impl ApiKey {
    /// Says whether the key opens at `now_ns` from an address; `None` where there is none, as in a
    /// test without a socket, which no network allows.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn check(&self, user: &User, from: Option<IpAddr>, now_ns: i64) -> Result<(), KeyRefusal> {
        if self.revoked_ns.is_some() {
            return Err(KeyRefusal::Revoked);
        }
        if self.expires_ns.is_some_and(|end| now_ns >= end) {
            return Err(KeyRefusal::Expired);
        }
        if user.disabled {
            return Err(KeyRefusal::Disabled);
        }
        // A socket that takes both families gives an IPv4 address as an IPv6 one.
        let from = from.map(|address| address.to_canonical());
        let is_near = |from: IpAddr| self.networks.iter().any(|network| network.contains(&from));
        if self.networks.is_empty() || from.is_some_and(is_near) {
            Ok(())
        } else {
            Err(KeyRefusal::Elsewhere)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_from_its_networks_until_it_ends() {
        let user = User::new("ann", Role::Trader, Grants::All, 0);
        let key = ApiKey {
            key_id: "k".to_owned(),
            secret_hash: [1; 32],
            user_id: "ann".to_owned(),
            name: String::new(),
            role: Role::Trader,
            grants: Grants::All,
            scopes: BTreeSet::new(),
            networks: Vec::new(),
            created_ns: 0,
            expires_ns: None,
            revoked_ns: None,
        };
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(key.check(&user, None, 0), Ok(()));
        let near = ApiKey {
            networks: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..key.clone()
        };
        for from in ["10.1.255.1", "::ffff:10.1.0.1", "fd12::1"] {
            assert_eq!(near.check(&user, address(from), 0), Ok(()), "{from}");
        }
        for from in ["10.2.0.1", "::1", "::ffff:10.2.0.1"] {
            let refused = near.check(&user, address(from), 0);
            assert_eq!(refused, Err(KeyRefusal::Elsewhere), "{from}");
        }
        assert_eq!(near.check(&user, None, 0), Err(KeyRefusal::Elsewhere));
        let short = ApiKey {
            expires_ns: Some(10),
            ..key.clone()
        };
        assert_eq!(short.check(&user, None, 9), Ok(()));
        assert_eq!(short.check(&user, None, 10), Err(KeyRefusal::Expired));
        let revoked = ApiKey {
            revoked_ns: Some(1),
            ..key.clone()
        };
        assert_eq!(revoked.check(&user, None, 0), Err(KeyRefusal::Revoked));
        let disabled = user.changed(|user| user.disabled = true);
        assert_eq!(key.check(&disabled, None, 0), Err(KeyRefusal::Disabled));
    }
}
