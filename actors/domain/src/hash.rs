//! The state hash: fast, not cryptographic, equal where the decisions were equal.
//!
//! Each account rolls a hash over the canonical bytes of its events; the platform's hash is taken
//! over the accounts in order of id. Nothing of backend, folder, wall clock or batching is in it.

use crate::event::Recorded;
use crate::id::AccountId;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// Hash of an account without events.
pub const EMPTY: u64 = 0;

/// Returns the hash after one more event.
pub fn roll(previous: u64, recorded: &Recorded) -> u64 {
    roll_bytes(previous, &recorded.encode())
}

/// Returns the hash after one more event whose [`Recorded::encode`] bytes are at hand.
pub fn roll_bytes(previous: u64, encoded: &[u8]) -> u64 {
    xxh3_64_with_seed(encoded, previous)
}

/// Returns the hash of a platform: each account with its last sequence and its rolled hash, in
/// order of id, whatever order they come in.
pub fn state_hash<'a>(accounts: impl Iterator<Item = (&'a AccountId, u64, u64)>) -> u64 {
    let mut accounts: Vec<_> = accounts.collect();
    accounts.sort();
    let mut hasher = Xxh3::new();
    for (account_id, sequence, rolled) in accounts {
        // The length first: no two lists of accounts have the same bytes.
        hasher.update(&(account_id.as_str().len() as u64).to_le_bytes());
        hasher.update(account_id.as_str().as_bytes());
        hasher.update(&sequence.to_le_bytes());
        hasher.update(&rolled.to_le_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_hash_does_not_depend_on_the_order_of_accounts() {
        let a = AccountId::new("a").unwrap();
        let b = AccountId::new("b").unwrap();
        let one = state_hash([(&a, 1, 10), (&b, 2, 20)].into_iter());
        let two = state_hash([(&b, 2, 20), (&a, 1, 10)].into_iter());
        assert_eq!(one, two);
        assert_ne!(one, state_hash([(&a, 2, 10), (&b, 1, 20)].into_iter()));
        assert_ne!(one, state_hash(std::iter::empty()));
    }
}
