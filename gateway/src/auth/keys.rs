//! API keys: tokens of the form `apex_<key id>_<secret>`. Only a hash of the secret is kept.

use super::{Caller, Grants, Role};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock};
use thiserror::Error;

/// How every token begins, so that one that leaked can be found by a search.
const PREFIX: &str = "apex";

/// Bytes of randomness of a key: 8 name it, 32 are its secret.
pub const RANDOM_BYTES: usize = 40;

/// The longest token that is looked at.
const TOKEN_LIMIT: usize = 256;

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The public part of the token.
    pub key_id: String,
    /// SHA-256 of the secret. The secret is 256 random bits, so a fast hash is enough.
    pub secret_sha256: [u8; 32],
    pub user_id: String,
    pub role: Role,
    pub grants: Grants,
    /// A revoked key stays, for the record.
    pub revoked: bool,
}

/// The credentials cannot be read now; the caller tries again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("credentials cannot be read: {detail}")]
pub struct CredentialsError {
    pub detail: String,
}

/// Where keys are kept. Asked on every call, so it answers from memory and never blocks.
pub trait Credentials: Send + Sync {
    /// Returns the key of that id, revoked ones too.
    ///
    /// Errors: [`CredentialsError`].
    fn key(&self, key_id: &str) -> Result<Option<KeyRecord>, CredentialsError>;
}

/// Keys in memory. What is put in is seen by the next call.
#[derive(Debug, Default)]
pub struct MemoryCredentials {
    keys: RwLock<BTreeMap<String, KeyRecord>>,
}

impl MemoryCredentials {
    pub fn new(keys: impl IntoIterator<Item = KeyRecord>) -> MemoryCredentials {
        let keys = keys
            .into_iter()
            .map(|key| (key.key_id.clone(), key))
            .collect();
        MemoryCredentials {
            keys: RwLock::new(keys),
        }
    }

    /// Adds a key, or replaces the one of the same id.
    pub fn put(&self, key: KeyRecord) {
        // Each change is one insertion, so a panic elsewhere leaves the map whole.
        let mut keys = self
            .keys
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        keys.insert(key.key_id.clone(), key);
    }
}

impl Credentials for MemoryCredentials {
    fn key(&self, key_id: &str) -> Result<Option<KeyRecord>, CredentialsError> {
        let keys = self
            .keys
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(keys.get(key_id).cloned())
    }
}

/// A key that was just made: the token is shown once and kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    pub token: String,
    pub record: KeyRecord,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// Makes and checks keys. Cheap to clone.
#[derive(Clone)]
pub struct ApiKeys {
    credentials: Arc<dyn Credentials>,
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").finish_non_exhaustive()
    }
}

impl ApiKeys {
    pub fn new(credentials: Arc<dyn Credentials>) -> ApiKeys {
        ApiKeys { credentials }
    }

    /// Makes a key from `random`, which must come from the system's generator. The record has yet
    /// to be kept.
    pub fn create(
        random: &[u8; RANDOM_BYTES],
        user_id: &str,
        role: Role,
        grants: Grants,
    ) -> NewKey {
        let (key_id, secret) = (hex(&random[..8]), hex(&random[8..]));
        let record = KeyRecord {
            secret_sha256: hash(&secret),
            user_id: user_id.to_owned(),
            role,
            grants,
            revoked: false,
            key_id: key_id.clone(),
        };
        NewKey {
            token: format!("{PREFIX}_{key_id}_{secret}"),
            record,
        }
    }

    /// Returns who the token belongs to, `None` when it is no valid one.
    ///
    /// Errors: [`CredentialsError`].
    pub fn verify(&self, token: &str) -> Result<Option<Caller>, CredentialsError> {
        let Some((key_id, secret)) = split(token) else {
            return Ok(None);
        };
        let given = hash(secret);
        let known = self.credentials.key(key_id)?;
        // An unknown key is compared all the same, so that it takes as long as a known one.
        let kept = known.as_ref().map_or([0; 32], |key| key.secret_sha256);
        let is_equal = equal(&given, &kept);
        Ok(known.filter(|key| is_equal && !key.revoked).map(caller))
    }

    /// Returns the caller as its key stands now, `None` when it was revoked. For streams, which
    /// outlive the check of their call.
    ///
    /// Errors: [`CredentialsError`].
    pub fn renew(&self, key_id: &str) -> Result<Option<Caller>, CredentialsError> {
        Ok(self
            .credentials
            .key(key_id)?
            .filter(|key| !key.revoked)
            .map(caller))
    }
}

fn caller(key: KeyRecord) -> Caller {
    Caller {
        user_id: key.user_id,
        role: key.role,
        grants: key.grants,
        key_id: key.key_id,
    }
}

fn split(token: &str) -> Option<(&str, &str)> {
    if token.len() > TOKEN_LIMIT {
        return None;
    }
    let rest = token.strip_prefix(PREFIX)?.strip_prefix('_')?;
    rest.split_once('_')
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Compares without stopping at the first difference.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |sum, (x, y)| sum | (x ^ y));
    std::hint::black_box(difference) == 0
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (ApiKeys, Arc<MemoryCredentials>, NewKey) {
        let new = ApiKeys::create(&[7; RANDOM_BYTES], "ann", Role::Trader, Grants::All);
        let store = Arc::new(MemoryCredentials::new([new.record.clone()]));
        (ApiKeys::new(store.clone()), store, new)
    }

    #[test]
    fn a_token_is_its_users() {
        let (keys, _, new) = keys();
        let caller = keys.verify(&new.token).unwrap().unwrap();
        assert_eq!(
            (caller.user_id.as_str(), caller.role),
            ("ann", Role::Trader)
        );
    }

    #[test]
    fn a_token_that_is_not_exactly_right_is_nobodys() {
        let (keys, _, new) = keys();
        let mut wrong_secret = new.token.clone();
        wrong_secret.pop();
        wrong_secret.push('0');
        let long = "apex_".repeat(1_000);
        for token in [
            "",
            "apex",
            "apex_",
            "apex__",
            "Bearer",
            &wrong_secret,
            &new.token[1..],
            &long,
        ] {
            assert_eq!(keys.verify(token), Ok(None), "{token:.80}");
        }
        // The hash that stands in for an unknown key opens nothing.
        assert_eq!(keys.verify("apex_0000000000000000_x"), Ok(None));
    }

    #[test]
    fn a_revoked_key_opens_nothing_any_more() {
        let (keys, store, new) = keys();
        store.put(KeyRecord {
            revoked: true,
            ..new.record.clone()
        });
        assert_eq!(keys.verify(&new.token), Ok(None));
        assert_eq!(keys.renew(&new.record.key_id), Ok(None));
    }

    #[test]
    fn the_secret_shows_nowhere() {
        let (_, _, new) = keys();
        let secret = new.token.rsplit('_').next().unwrap().to_owned();
        assert!(!format!("{new:?}").contains(&secret));
        assert!(
            !serde_json::to_string(&new.record)
                .unwrap()
                .contains(&secret)
        );
    }
}
