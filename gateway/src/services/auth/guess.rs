//! Counts of secrets that were guessed wrong. A guess is counted before it is looked at, and the count
//! taken back when it was right: however many come at once, each counts.

use crate::auth::{Access, hash, hex, network};
use crate::status;
use apex_bus::access::{AccessChange, AccessError, AccessWrite};
use apex_domain::access::{Allowed, Tries};
use std::net::IpAddr;
use std::time::Duration;
use tonic::Status;

/// Counts that one network can fill, whatever names it tries.
const NAMES_OF_NETWORK: u8 = 16;

/// How often a count is tried anew when another guess was faster.
const ATTEMPTS: usize = 8;

/// What one guess counts under.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    counts: Vec<(String, Allowed)>,
}

fn short(text: &str) -> String {
    hex(&hash(text)[..8])
}

impl Guess {
    /// A guess at a user's password from outside. Names that nobody has are counted as the others are. A
    /// network has a few counts of its own, so that it locks itself out and nobody else.
    pub fn of_login(user_id: &str, from: Option<IpAddr>) -> Guess {
        let network = short(&network(from));
        let name = hash(user_id)[31] % NAMES_OF_NETWORK;
        Guess {
            counts: vec![
                (format!("here-{network}-{name}"), Allowed::HERE),
                (format!("all-{}", short(user_id)), Allowed::EVERYWHERE),
            ],
        }
    }

    /// A guess of one who is logged in at its own password or code.
    pub fn of_own(user_id: &str) -> Guess {
        Guess {
            counts: vec![(format!("own-{}", short(user_id)), Allowed::HERE)],
        }
    }

    /// Counts the guess.
    ///
    /// Errors: `RESOURCE_EXHAUSTED` while too many failed; it is not looked at then.
    pub async fn begin(&self, access: &Access) -> Result<(), Status> {
        let now = access.store.now_ns();
        self.change(access, |tries, allowed| match tries.wait_ns(now) {
            Some(wait) => Err(status::login_locked(Duration::from_nanos(
                wait.unsigned_abs(),
            ))),
            None => Ok(tries.failed(allowed, now)),
        })
        .await
    }

    /// Takes the count back: the guess was right. One that cannot be taken back is a failure more, which
    /// is no reason to refuse what was right.
    pub async fn was_right(&self, access: &Access) {
        let undone = self.change(access, |tries, _| Ok(tries.undone())).await;
        if let Err(status) = undone {
            tracing::debug!(%status, "a right password stays counted as a failure");
        }
    }

    async fn change(
        &self,
        access: &Access,
        decide: impl Fn(&Tries, Allowed) -> Result<Tries, Status>,
    ) -> Result<(), Status> {
        for _ in 0..ATTEMPTS {
            let mut changes = Vec::new();
            for (bucket, allowed) in &self.counts {
                let old = access.store.tries(bucket.clone()).await;
                let old = old.map_err(|error| status::access(&error))?;
                let new = decide(&old, *allowed)?;
                let bucket = bucket.clone();
                changes.push(AccessChange::Tries { bucket, old, new });
            }
            let write = AccessWrite {
                changes,
                ..AccessWrite::default()
            };
            match access.store.change(write).await {
                Ok(()) => return Ok(()),
                Err(AccessError::Conflict) => {}
                Err(error) => return Err(status::access(&error)),
            }
        }
        // So many at once are no person's.
        Err(status::login_locked(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_network_fills_its_own_counts_and_no_others() {
        let of = |name: &str, from: &str| {
            let guess = Guess::of_login(name, Some(from.parse().unwrap()));
            guess.counts[0].0.clone()
        };
        let filled: BTreeSet<String> = (0..1_000)
            .map(|number| of(&format!("user{number}"), "192.0.2.1"))
            .collect();
        assert_eq!(filled.len(), usize::from(NAMES_OF_NETWORK));
        assert!(!filled.contains(&of("user1", "192.0.2.2")));
        let everywhere: BTreeSet<String> = (0..1_000)
            .map(|number| {
                Guess::of_login(&format!("user{number}"), None).counts[1]
                    .0
                    .clone()
            })
            .collect();
        assert_eq!(everywhere.len(), 1_000, "each name has its own");
    }
}
