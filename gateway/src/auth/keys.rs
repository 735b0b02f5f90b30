//! API keys: tokens of the form `apex_<key id>_<secret>`. Only a hash of the secret is kept.

use super::secret::{hash, hex};
use super::{Grants, Role};
use apex_domain::access::{ApiKey, SecretHash};
use std::collections::BTreeSet;
use std::fmt;

/// How every key begins, so that one that leaked can be found by a search.
pub(super) const PREFIX: &str = "apex";

/// Bytes of randomness of a key: 8 name it, 32 are its secret.
pub const RANDOM_BYTES: usize = 40;

/// A key that was just made: the token is shown once and kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    pub token: String,
    pub record: ApiKey,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// Makes a key of a user from `random`, which must come from the system's generator: one without limits
/// of its own. The record has yet to be kept.
pub fn new_key(
    random: &[u8; RANDOM_BYTES],
    user_id: &str,
    role: Role,
    grants: Grants,
    now_ns: i64,
) -> NewKey {
    let (key_id, secret) = (hex(&random[..8]), hex(&random[8..]));
    NewKey {
        token: format!("{PREFIX}_{key_id}_{secret}"),
        record: ApiKey {
            secret_hash: hash(&secret),
            user_id: user_id.to_owned(),
            name: String::new(),
            role,
            grants,
            scopes: BTreeSet::new(),
            networks: Vec::new(),
            created_ns: now_ns,
            expires_ns: None,
            revoked_ns: None,
            key_id,
        },
    }
}

/// How the secret of a login link begins.
pub(crate) const LINK_PREFIX: &str = "apexl";

/// The secret of a login link, and what is kept of it.
#[derive(Clone)]
pub struct NewLink {
    pub id: String,
    pub secret_hash: SecretHash,
    /// Goes into the fragment of the link, which browsers send to nobody.
    pub secret: String,
}

impl fmt::Debug for NewLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewLink")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Makes the secret of a login link from `random`, which must come from the system's generator.
pub fn new_link(random: &[u8; RANDOM_BYTES]) -> NewLink {
    let (id, secret) = (hex(&random[..8]), hex(&random[8..]));
    NewLink {
        secret_hash: hash(&secret),
        secret: format!("{LINK_PREFIX}_{id}_{secret}"),
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_shows_nowhere() {
        let new = new_key(&[7; RANDOM_BYTES], "ann", Role::Trader, Grants::All, 0);
        let secret = new.token.rsplit('_').next().unwrap().to_owned();
        assert_eq!(secret.len(), 64);
        assert!(!format!("{new:?}").contains(&secret));
        let kept = serde_json::to_string(&new.record).unwrap();
        assert!(!kept.contains(&secret));
    }
}
