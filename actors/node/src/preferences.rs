//! What users' programs keep, in records.

use apex_bus::clock::Clock;
use apex_bus::preferences::{
    MAX_PREFERENCES, PreferenceAnswer, PreferenceError, Preferences, SetPreference, UserPreference,
};
use apex_domain::UnixNanos;
use apex_storage::records::requests::{self, Asked, Known};
use apex_storage::records::{
    Found, Preference, dropping_found, find, inserting, preference_key, preferences, replacing,
};
use apex_storage::{Records, StorageError};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Reads and writes at a time: each may wait for a database. Others wait for their turn, as long as
/// their call may take.
const AT_ONCE: usize = 8;

/// See the module.
pub struct KeptPreferences {
    records: Arc<dyn Records>,
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for KeptPreferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptPreferences").finish_non_exhaustive()
    }
}

fn unavailable(why: impl std::fmt::Display) -> PreferenceError {
    PreferenceError::Unavailable(why.to_string())
}

fn shown(found: Found<Preference>) -> UserPreference {
    UserPreference {
        value: found.value.bytes(),
        name: found.value.name,
        version: found.value.version,
        updated: UnixNanos(found.value.updated_ns),
    }
}

impl KeptPreferences {
    pub fn new(records: Arc<dyn Records>) -> KeptPreferences {
        KeptPreferences {
            records,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Works on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Records) -> Result<T, PreferenceError> + Send + 'static,
    ) -> Result<T, PreferenceError> {
        let turn = self.turns.clone().acquire_owned().await;
        let records = self.records.clone();
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&*records)
        });
        working.await.map_err(unavailable)?
    }
}

impl Preferences for KeptPreferences {
    fn get(&self, user_id: String) -> PreferenceAnswer<'_, Vec<UserPreference>> {
        Box::pin(self.work(move |records| {
            let found = preferences(records, &user_id, MAX_PREFERENCES);
            Ok(found.map_err(unavailable)?.into_iter().map(shown).collect())
        }))
    }

    fn set(&self, set: SetPreference) -> PreferenceAnswer<'_, UserPreference> {
        Box::pin(self.work(move |records| change(records, &set, Clock::Wall.now())))
    }
}

/// Looks the request up, and makes the change with its answer, or finds that another was faster.
fn change(
    records: &dyn Records,
    set: &SetPreference,
    now: UnixNanos,
) -> Result<UserPreference, PreferenceError> {
    let content =
        serde_json::to_vec(&(&set.name, &set.value, set.expected)).map_err(unavailable)?;
    let asked = Asked {
        user_id: &set.user_id,
        request_id: set.request_id.as_str(),
        method: "PreferencesService/Set",
        content: &content,
    };
    let slot = match requests::look(records, &asked, now.0).map_err(unavailable)? {
        Known::New(slot) => slot,
        Known::Other => return Err(PreferenceError::RequestTaken(set.request_id.clone())),
        Known::Answered(bytes) => return serde_json::from_slice(&bytes).map_err(unavailable),
    };
    let key = preference_key(&set.user_id, &set.name);
    let known = find::<Preference>(records, &key).map_err(unavailable)?;
    let actual = known.as_ref().map_or(0, |known| known.value.version);
    let expected = set.expected;
    if actual != expected {
        return Err(PreferenceError::StaleVersion { expected, actual });
    }
    let next = set.value.as_ref().map(|value| Preference {
        user_id: set.user_id.clone(),
        name: set.name.clone(),
        version: actual + 1,
        value: Preference::encoded(value),
        updated_ns: now.0,
    });
    let effect = match (&known, &next) {
        (Some(known), Some(next)) => Some(replacing(known, next)),
        (Some(known), None) => Some(Ok(dropping_found(known))),
        (None, Some(next)) => {
            let held = preferences(records, &set.user_id, MAX_PREFERENCES).map_err(unavailable)?;
            if held.len() >= MAX_PREFERENCES {
                let limit = MAX_PREFERENCES;
                return Err(PreferenceError::TooMany { limit });
            }
            Some(inserting(next))
        }
        (None, None) => None,
    };
    let answer = UserPreference {
        name: set.name.clone(),
        value: set.value.clone().unwrap_or_default(),
        version: next.map_or(0, |next| next.version),
        updated: now,
    };
    let bytes = serde_json::to_vec(&answer).map_err(unavailable)?;
    let mut changes = vec![slot.answered(&bytes, now.0).map_err(unavailable)?];
    changes.extend(effect.transpose().map_err(unavailable)?);
    match records.change(&changes) {
        Ok(()) => Ok(answer),
        Err(StorageError::Conflict { .. }) => {
            // Another was faster; the caller reads again.
            let found = find::<Preference>(records, &key).map_err(unavailable)?;
            let actual = found.map_or(0, |found| found.value.version);
            Err(PreferenceError::StaleVersion { expected, actual })
        }
        Err(error) => Err(unavailable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::RequestId;
    use apex_storage::MemoryRecords;

    fn set(request: &str, name: &str, value: Option<&[u8]>, expected: u64) -> SetPreference {
        SetPreference {
            user_id: "ann".into(),
            request_id: RequestId::new(request).unwrap(),
            name: name.into(),
            value: value.map(<[u8]>::to_vec),
            expected,
        }
    }

    #[test]
    fn a_value_changes_only_from_the_version_that_was_read() {
        let records = MemoryRecords::new();
        let change = |set: &SetPreference| change(&records, set, UnixNanos(5));
        let first = set("1", "layout", Some(b"one"), 0);
        let made = change(&first).unwrap();
        assert_eq!(
            (made.version, made.value.as_slice()),
            (1, b"one".as_slice())
        );
        let stale = PreferenceError::StaleVersion {
            expected: 0,
            actual: 1,
        };
        assert_eq!(change(&set("2", "layout", Some(b"two"), 0)), Err(stale));
        assert_eq!(
            change(&set("3", "layout", Some(b"two"), 1))
                .unwrap()
                .version,
            2
        );
        assert_eq!(
            change(&first).unwrap(),
            made,
            "the same request, the same answer"
        );
        let taken = change(&set("1", "layout", Some(b"else"), 2)).unwrap_err();
        assert!(matches!(taken, PreferenceError::RequestTaken(_)), "{taken}");
        assert_eq!(change(&set("4", "layout", None, 2)).unwrap().version, 0);
        assert!(preferences(&records, "ann", 9).unwrap().is_empty());
        assert_eq!(
            change(&set("5", "layout", Some(b"new"), 0))
                .unwrap()
                .version,
            1
        );
    }

    #[test]
    fn a_user_has_only_so_many() {
        let records = MemoryRecords::new();
        for number in 0..MAX_PREFERENCES {
            let name = format!("n{number}");
            change(&records, &set(&name, &name, Some(b""), 0), UnixNanos(5)).unwrap();
        }
        let more = change(&records, &set("more", "more", Some(b""), 0), UnixNanos(5));
        let limit = MAX_PREFERENCES;
        assert_eq!(more, Err(PreferenceError::TooMany { limit }));
    }
}
