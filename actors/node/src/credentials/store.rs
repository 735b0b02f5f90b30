//! The credentials in the platform's records, and what of them is at hand.

use apex_bus::access::{
    AccessAnswer, AccessChange, AccessError, AccessRequest, AccessStore, AccessWrite, Answered,
    MemoryAccess, State, Swap,
};
use apex_bus::clock::Clock;
use apex_domain::access::{ApiKey, LoginLink, Session, SigningKey, Tries, User};
use apex_storage::records::requests::{self, Asked, Known};
use apex_storage::records::{self, ACCESS_TABLE, Changing, Kept, TriesOf};
use apex_storage::{Change, Records, StorageError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names the state of users, keys and signing keys: whoever changes one changes it.
const GENERAL: &str = "generation/users";

/// Names the state of sessions, which change far more often.
const SESSIONS: &str = "generation/sessions";

/// Records of one page.
const PAGE: usize = 500;

/// Credentials in records, with what calls are held against in memory.
pub struct StoredAccess {
    records: Arc<dyn Records>,
    memory: MemoryAccess,
    /// Users and keys of this process alone, which no record has: its own strategy hosts.
    own: Mutex<State>,
    /// One change or reading at a time, so that what is read does not take the place of what was
    /// changed meanwhile.
    turn: Mutex<Seen>,
}

/// The states that memory has.
///
/// The outer `None` is one that is not known: it is read anew.
#[derive(Debug, Default)]
struct Seen {
    general: Option<Option<Vec<u8>>>,
    sessions: Option<Option<Vec<u8>>>,
}

impl fmt::Debug for StoredAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAccess").finish_non_exhaustive()
    }
}

fn error(error: StorageError) -> AccessError {
    match error {
        StorageError::Conflict { .. } => AccessError::Conflict,
        StorageError::OutcomeUnknown { .. } => AccessError::Unknown(error.to_string()),
        error => AccessError::Unavailable(error.to_string()),
    }
}

/// Returns the change of one record, where it is as it was read.
fn swap<T: Changing + PartialEq>(
    records: &dyn Records,
    swap: &Swap<T>,
) -> Result<Option<Change>, AccessError> {
    let Some(old) = &swap.old else {
        let new = swap.new.as_ref();
        return new.map(records::inserting).transpose().map_err(error);
    };
    let found = records::find::<T>(records, &old.key()).map_err(error)?;
    let found = found.filter(|found| found.value == *old);
    let found = found.ok_or(AccessError::Conflict)?;
    match &swap.new {
        Some(new) => records::replacing(&found, new).map(Some).map_err(error),
        None => Ok(Some(records::removing(&found))),
    }
}

fn tried(bucket: &str, tries: Tries) -> Result<Change, AccessError> {
    let value = TriesOf {
        bucket: bucket.to_owned(),
        tries,
    };
    records::putting(&value).map_err(error)
}

fn table<T: Kept>(records: &dyn Records) -> Result<BTreeMap<String, Arc<T>>, AccessError> {
    let (mut found, mut after) = (BTreeMap::new(), None::<String>);
    loop {
        let page = records::page::<T>(records, after.as_deref(), PAGE).map_err(error)?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = Some(last.value.key());
        found.extend(
            page.into_iter()
                .map(|it| (it.value.key(), Arc::new(it.value))),
        );
    }
}

impl StoredAccess {
    /// Reads the credentials.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn open(records: Arc<dyn Records>, clock: Clock) -> Result<StoredAccess, AccessError> {
        let access = StoredAccess {
            records,
            memory: MemoryAccess::new(clock),
            own: Mutex::default(),
            turn: Mutex::default(),
        };
        access.follow()?;
        Ok(access)
    }

    fn turn(&self) -> MutexGuard<'_, Seen> {
        // What is seen is stored last, so a panic leaves it behind at most, and it is read again.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, State> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a user and its key in as long as this process lives.
    pub fn let_in(&self, user: User, key: ApiKey) {
        let mut own = self.own();
        own.users.insert(user.user_id.clone(), Arc::new(user));
        own.keys.insert(key.key_id.clone(), Arc::new(key));
    }

    /// Reads what was changed since it was read last.
    ///
    /// # Errors
    /// [`AccessError`]: what is in memory stays.
    pub fn follow(&self) -> Result<(), AccessError> {
        let mut seen = self.turn();
        let records = &*self.records;
        // Read before the rest: what changes meanwhile is read again next time.
        let general = records.get(ACCESS_TABLE, GENERAL).map_err(error)?;
        let sessions = records.get(ACCESS_TABLE, SESSIONS).map_err(error)?;
        if seen.general.as_ref() != Some(&general) {
            let (users, keys) = (table::<User>(records)?, table::<ApiKey>(records)?);
            let signing = table::<SigningKey>(records)?;
            let mut state = self.memory.state_mut();
            (state.users, state.keys, state.signing) = (users, keys, signing);
            state.generation = text(general.as_deref());
            seen.general = Some(general);
        }
        if seen.sessions.as_ref() != Some(&sessions) {
            let found = table::<Session>(records)?;
            self.memory.state_mut().sessions = found;
            seen.sessions = Some(sessions);
        }
        Ok(())
    }

    /// Makes changes, and waits for the store.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn write(&self, write: &AccessWrite) -> Result<(), AccessError> {
        let mut seen = self.turn();
        let records = &*self.records;
        let mut changes = Vec::new();
        for change in &write.changes {
            changes.extend(match change {
                AccessChange::User(it) => swap(records, it)?,
                AccessChange::Session(it) => swap(records, it)?,
                AccessChange::Key(it) => swap(records, it)?,
                AccessChange::Link(it) => swap(records, it)?,
                AccessChange::Signing(it) => swap(records, it)?,
                AccessChange::Tries { bucket, tries } => Some(tried(bucket, *tries)?),
            });
        }
        if let Some((request, answer)) = &write.answer {
            let now = self.memory.now_ns();
            match requests::look(records, &asked(request), now).map_err(error)? {
                Known::New(slot) => changes.push(slot.answered(answer, now).map_err(error)?),
                Known::Answered(_) | Known::Other => return Err(AccessError::Conflict),
            }
        }
        let next = random()?;
        let is_general = write.changes.iter().any(State::is_general);
        let is_session = |it: &AccessChange| matches!(it, AccessChange::Session(_));
        let has_sessions = write.changes.iter().any(is_session);
        if is_general || write.only_at.is_some() {
            changes.push(match write.only_at.as_deref() {
                None => Change::put(ACCESS_TABLE, GENERAL, next.clone()),
                Some("") => Change::insert(ACCESS_TABLE, GENERAL, next.clone()),
                Some(at) => Change::replace(ACCESS_TABLE, GENERAL, at.as_bytes(), next.clone()),
            });
        }
        if has_sessions {
            changes.push(Change::put(ACCESS_TABLE, SESSIONS, next.clone()));
        }
        let stored = records.change(&changes);
        if let Err(failed) = stored {
            // What became of it is read, not guessed.
            *seen = Seen::default();
            return Err(error(failed));
        }
        self.apply(write);
        // Others may have changed something since it was read: it is read again, unless this change
        // was made only at the state that is in memory.
        if has_sessions {
            seen.sessions = None;
        }
        if write.only_at.is_some() {
            self.memory.state_mut().generation = text(Some(&next));
            seen.general = Some(Some(next));
        } else if is_general {
            seen.general = None;
        }
        Ok(())
    }

    /// Returns the sessions that nothing is asked of any more.
    pub fn over(&self, now_ns: i64) -> Vec<Arc<Session>> {
        let state = self.memory.read();
        let over = state.sessions.values().filter(|it| it.is_over(now_ns));
        over.cloned().collect()
    }

    /// Takes away links, counts and answers that are over.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn forget(&self, now_ns: i64) -> Result<(), AccessError> {
        let records = &*self.records;
        let forgotten = records::prune_access(records, now_ns).and_then(|()| {
            records::prune_answers(records, now_ns)?;
            Ok(())
        });
        forgotten.map_err(error)
    }

    fn apply(&self, write: &AccessWrite) {
        let mut state = self.memory.state_mut();
        for change in &write.changes {
            state.put(change);
        }
    }
}

fn asked(request: &AccessRequest) -> Asked<'_> {
    Asked {
        user_id: &request.user_id,
        request_id: &request.request_id,
        method: request.method,
        content: &request.content,
    }
}

fn text(generation: Option<&[u8]>) -> String {
    generation.map_or_else(String::new, |it| String::from_utf8_lossy(it).into_owned())
}

fn random() -> Result<Vec<u8>, AccessError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| AccessError::Unavailable(format!("no randomness: {error}")))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)).into_bytes())
}

/// Runs what waits for a disk or a server where that holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AccessError> + Send + 'static,
) -> Result<T, AccessError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(AccessError::Unknown(panic.to_string())))
}

/// What front ends hold: a blocking store whose waits are on threads of their own.
#[derive(Clone, Debug)]
pub struct SharedAccess(pub Arc<StoredAccess>);

impl AccessStore for SharedAccess {
    fn now_ns(&self) -> i64 {
        self.0.memory.now_ns()
    }

    fn user(&self, user_id: &str) -> Option<Arc<User>> {
        let found = self.0.memory.user(user_id);
        found.or_else(|| self.0.own().users.get(user_id).cloned())
    }

    fn users(&self) -> Vec<Arc<User>> {
        self.0.memory.users()
    }

    fn session(&self, session_id: &str) -> Option<Arc<Session>> {
        self.0.memory.session(session_id)
    }

    fn sessions(&self, user_id: &str) -> Vec<Arc<Session>> {
        self.0.memory.sessions(user_id)
    }

    fn key(&self, key_id: &str) -> Option<Arc<ApiKey>> {
        let found = self.0.memory.key(key_id);
        found.or_else(|| self.0.own().keys.get(key_id).cloned())
    }

    fn keys(&self) -> Vec<Arc<ApiKey>> {
        self.0.memory.keys()
    }

    fn signing_keys(&self) -> Arc<[SigningKey]> {
        self.0.memory.signing_keys()
    }

    fn generation(&self) -> String {
        self.0.memory.generation()
    }

    fn refresh(&self) -> AccessAnswer<'_, ()> {
        let access = self.0.clone();
        Box::pin(blocking(move || access.follow()))
    }

    fn tries(&self, bucket: String) -> AccessAnswer<'_, Tries> {
        let access = self.0.clone();
        Box::pin(blocking(move || {
            let found = records::find::<TriesOf>(&*access.records, &bucket).map_err(error)?;
            Ok(found.map_or_else(Tries::default, |it| it.value.tries))
        }))
    }

    fn link(&self, link_id: String) -> AccessAnswer<'_, Option<LoginLink>> {
        let access = self.0.clone();
        Box::pin(blocking(move || {
            // What cannot be the key of one is none.
            let is_id = link_id.len() <= 64 && link_id.bytes().all(|it| it.is_ascii_alphanumeric());
            if !is_id || link_id.is_empty() {
                return Ok(None);
            }
            let found = records::find::<LoginLink>(&*access.records, &link_id).map_err(error)?;
            Ok(found.map(|it| it.value))
        }))
    }

    fn answered(&self, request: AccessRequest) -> AccessAnswer<'_, Answered> {
        let access = self.0.clone();
        Box::pin(blocking(move || {
            let now = access.memory.now_ns();
            let known = requests::look(&*access.records, &asked(&request), now);
            Ok(match known.map_err(error)? {
                Known::New(_) => Answered::New,
                Known::Answered(answer) => Answered::Same(answer),
                Known::Other => Answered::Other,
            })
        }))
    }

    fn change(&self, write: AccessWrite) -> AccessAnswer<'_, ()> {
        let access = self.0.clone();
        Box::pin(blocking(move || access.write(&write)))
    }
}
