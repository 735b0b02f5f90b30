//! Follows what other processes change, and takes away what is over.

use super::store::StoredAccess;
use super::{SharedAccess, write};
use apex_bus::access::{AccessChange, AccessError, AccessStore, Swap};
use apex_domain::access::SigningKey;
use apex_gateway::auth::new_signing_key;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the store is asked whether anything changed: two small reads. What is revoked elsewhere opens
/// nothing here after it, and streams ask each second too.
const FOLLOW: Duration = Duration::from_secs(1);

/// Rounds between two clearings: an hour.
const CLEARING: u32 = 3_600;

/// A signing key signs for thirty days, in nanoseconds.
const SIGNS_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// One that was replaced is known for another hour: its tokens last five minutes.
const KNOWN_NS: i64 = 3_600 * 1_000_000_000;

/// Sessions that are taken away in one change; the store takes 64.
const AT_ONCE: usize = 32;

/// Follows until the credentials are gone.
pub(super) fn follow(store: Weak<StoredAccess>) {
    tokio::spawn(async move {
        let mut round: u32 = 0;
        let mut is_away = false;
        loop {
            tokio::time::sleep(FOLLOW).await;
            let Some(store) = store.upgrade() else {
                return;
            };
            let clears = round.is_multiple_of(CLEARING);
            round = round.wrapping_add(1);
            let done = tokio::task::spawn_blocking(move || {
                store.follow()?;
                if clears { clear(&store) } else { Ok(()) }
            });
            let failed = match done.await {
                Ok(outcome) => outcome.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            // Said once: the store says more of itself where it is away.
            if let (Some(error), false) = (&failed, is_away) {
                tracing::warn!(error, "credentials of other processes are not followed now");
            }
            is_away = failed.is_some();
        }
    });
}

/// Takes away sessions and signing keys that are over, and makes the next signing key in time.
///
/// # Errors
/// [`AccessError`], but for what another process did at the same time.
pub(super) fn clear(store: &Arc<StoredAccess>) -> Result<(), AccessError> {
    let known = SharedAccess(store.clone());
    let now = known.now_ns();
    let over = store.over(now);
    for several in over.chunks(AT_ONCE) {
        let changes = several
            .iter()
            .map(|it| AccessChange::Session(Swap::remove((**it).clone())));
        told(store.write(&write(changes.collect())))?;
    }
    for change in signing(&known.signing_keys(), now)? {
        let mut write = write(vec![change]);
        // Of several gateways one makes the next key.
        write.only_at = Some(known.generation());
        told(store.write(&write))?;
    }
    store.forget(now)
}

fn told(outcome: Result<(), AccessError>) -> Result<(), AccessError> {
    match outcome {
        Err(AccessError::Conflict) => Ok(()),
        outcome => outcome,
    }
}

/// Returns what is to be done about signing keys, which are given the oldest first.
fn signing(keys: &[SigningKey], now_ns: i64) -> Result<Vec<AccessChange>, AccessError> {
    let mut changes = Vec::new();
    for pair in keys.windows(2) {
        if let [old, next] = pair
            && now_ns.saturating_sub(next.created_ns) > KNOWN_NS
        {
            changes.push(AccessChange::Signing(Swap::remove(old.clone())));
        }
    }
    let newest = keys.last();
    if newest.is_none_or(|key| now_ns.saturating_sub(key.created_ns) >= SIGNS_NS) {
        let key = new_signing_key(now_ns).map_err(AccessError::Unavailable)?;
        changes.push(AccessChange::Signing(Swap::insert(key)));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_replaced_after_a_month_and_known_an_hour_longer() {
        let old = new_signing_key(0).unwrap();
        let done = |keys: &[SigningKey], now| signing(keys, now).unwrap();
        assert_eq!(done(std::slice::from_ref(&old), SIGNS_NS - 1), []);
        let made = done(std::slice::from_ref(&old), SIGNS_NS);
        let [
            AccessChange::Signing(Swap {
                old: None,
                new: Some(new),
            }),
        ] = &made[..]
        else {
            panic!("{made:?}");
        };
        let both = [old.clone(), new.clone()];
        assert_eq!(done(&both, SIGNS_NS + KNOWN_NS), []);
        let removed = [AccessChange::Signing(Swap::remove(old))];
        assert_eq!(done(&both, SIGNS_NS + KNOWN_NS + 1), removed);
        assert_eq!(done(&[], 0).len(), 1);
    }
}
