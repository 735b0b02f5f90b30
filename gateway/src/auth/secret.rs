//! Tokens of random bytes, of which only a hash is kept.

use apex_domain::access::SecretHash;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The longest token that is looked at. An access token is some 350 bytes.
pub(super) const TOKEN_LIMIT: usize = 1_024;

/// A token of the form `<prefix>_<id>_<secret>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub id: &'a str,
    pub secret: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token of this prefix apart; `None` when it is none.
    pub fn read(prefix: &str, token: &'a str) -> Option<Token<'a>> {
        if token.len() > TOKEN_LIMIT {
            return None;
        }
        let rest = token.strip_prefix(prefix)?.strip_prefix('_')?;
        let (id, secret) = rest.split_once('_')?;
        Some(Token { id, secret })
    }
}

/// Returns the hash under which a secret of at least 128 random bits is kept: with that many, a fast one
/// is enough.
pub(crate) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Compares without stopping at the first difference.
pub(super) fn equal(a: &SecretHash, b: &SecretHash) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |sum, (x, y)| sum | (x ^ y));
    std::hint::black_box(difference) == 0
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns bytes of the system's generator.
///
/// Errors: what the system said when it has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_prefix_an_id_and_a_secret() {
        let read = |token| Token::read("apex", token);
        let token = Token {
            id: "1a",
            secret: "2b_3c",
        };
        assert_eq!(read("apex_1a_2b_3c"), Some(token));
        let long = format!("apex_1a_{}", "x".repeat(TOKEN_LIMIT));
        for none in [
            "",
            "apex",
            "apex_",
            "apex_1a",
            "apexr_1a_2b",
            "1a_2b",
            &long,
        ] {
            assert_eq!(read(none), None, "{none:.40}");
        }
    }

    #[test]
    fn hashes_are_compared_whole() {
        let mut other = hash("a");
        assert!(equal(&hash("a"), &other));
        other[31] ^= 1;
        assert!(!equal(&hash("a"), &other));
        assert_eq!(hex(&[0, 255]), "00ff");
        assert_ne!(random::<16>(), random::<16>());
    }
}
