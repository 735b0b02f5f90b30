//! A person or program that may call.

use super::{Grants, Role, SecretHash};
use serde::{Deserialize, Serialize};

/// A person or program that may call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name that the audit has; it stays.
    pub user_id: String,
    pub role: Role,
    pub grants: Grants,
    /// Nothing of this user is let in.
    pub disabled: bool,
    /// Hash of the password with its parameters and salt (PHC string); `None` cannot log in.
    pub password: Option<String>,
    /// Somebody else chose the password: nothing is allowed but to change it.
    pub must_change: bool,
    /// The second factor, once it is confirmed.
    pub totp: Option<Totp>,
    /// One that was begun and not confirmed.
    pub totp_begun: Option<Vec<u8>>,
    /// Sessions that began before have ended. Nanoseconds since 1970.
    pub sessions_after_ns: i64,
    pub created_ns: i64,
    /// Grows by one with each change by a person.
    pub version: u64,
}

/// A second factor: codes by time (RFC 6238), and codes for when the device is lost.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totp {
    pub secret: Vec<u8>,
    /// The step of the last code that was taken: each is taken once.
    pub last_step: u64,
    /// Hashes of the recovery codes that are left.
    pub recovery: Vec<SecretHash>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("user_id", &self.user_id)
            .field("role", &self.role)
            .field("disabled", &self.disabled)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Totp").finish_non_exhaustive()
    }
}

impl User {
    /// Returns a user that cannot log in yet.
    pub fn new(user_id: &str, role: Role, grants: Grants, now_ns: i64) -> User {
        User {
            user_id: user_id.to_owned(),
            role,
            grants,
            disabled: false,
            password: None,
            must_change: false,
            totp: None,
            totp_begun: None,
            sessions_after_ns: 0,
            created_ns: now_ns,
            version: 1,
        }
    }

    /// Returns the user after a change by a person, which `change` makes.
    #[must_use]
    pub fn changed(&self, change: impl FnOnce(&mut User)) -> User {
        let mut user = self.clone();
        change(&mut user);
        user.version = self.version.saturating_add(1);
        user
    }

    /// Returns true when it can set the platform up: of those the last one stays.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin && !self.disabled
    }
}

impl Totp {
    /// Returns the factor after a code of `step` was taken; `None` when one of that step or a later
    /// one was taken before.
    pub fn taken(&self, step: u64) -> Option<Totp> {
        let is_new = step > self.last_step;
        is_new.then(|| Totp {
            last_step: step,
            ..self.clone()
        })
    }

    /// Returns the factor after a recovery code was used; `None` when it is none of those that are
    /// left.
    pub fn recovered(&self, code: &SecretHash) -> Option<Totp> {
        let mut left = self.clone();
        left.recovery.retain(|known| known != code);
        (left.recovery.len() < self.recovery.len()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_once_and_so_does_a_recovery_code() {
        let totp = Totp {
            secret: vec![1; 20],
            last_step: 10,
            recovery: vec![[1; 32], [2; 32]],
        };
        assert!(totp.taken(9).is_none() && totp.taken(10).is_none());
        let later = totp.taken(11).unwrap();
        assert!(later.taken(11).is_none());
        let left = totp.recovered(&[1; 32]).unwrap();
        assert_eq!(left.recovery, [[2; 32]]);
        assert!(left.recovered(&[1; 32]).is_none());
    }

    #[test]
    fn secrets_show_nowhere() {
        let mut user = User::new("ann", Role::Admin, Grants::All, 0);
        user.password = Some("$argon2id$secret".to_owned());
        assert!(!format!("{user:?}").contains("secret"));
    }
}
