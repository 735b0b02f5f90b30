//! What logs in and what is given for it.

use super::SecretHash;
use serde::{Deserialize, Serialize};

/// A key that signs access tokens. Each node signs with the newest that all nodes know, and takes what
/// any of them signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Names it in the header of a token.
    pub kid: String,
    /// The private key (PKCS #8), in base64.
    pub pkcs8: String,
    /// When it was made.
    pub created_ns: i64,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// A link that logs a user in once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginLink {
    /// The public part of its secret.
    pub link_id: String,
    /// Of the rest of it.
    pub secret_hash: SecretHash,
    /// Whom it logs in.
    pub user_id: String,
    /// From then on it logs nobody in.
    pub expires_ns: i64,
}

impl LoginLink {
    /// Returns true when this secret logs its user in at `now_ns`.
    pub fn opens(&self, secret: &SecretHash, now_ns: i64) -> bool {
        now_ns < self.expires_ns && *secret == self.secret_hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_key_shows_nowhere() {
        let key = SigningKey {
            kid: "k".to_owned(),
            pkcs8: "secret".to_owned(),
            created_ns: 0,
        };
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn a_link_logs_in_until_its_time_and_with_its_secret_alone() {
        let link = LoginLink {
            link_id: "l".to_owned(),
            secret_hash: [1; 32],
            user_id: "ann".to_owned(),
            expires_ns: 10,
        };
        assert!(link.opens(&[1; 32], 9));
        assert!(!link.opens(&[1; 32], 10) && !link.opens(&[2; 32], 9));
    }
}
