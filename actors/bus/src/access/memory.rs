//! Credentials in memory: those of a test, and what a store keeps at hand of its own.

use super::{
    AccessAnswer, AccessChange, AccessError, AccessRequest, AccessStore, AccessWrite, Answered,
    Swap,
};
use crate::clock::Clock;
use apex_domain::access::{ApiKey, LoginLink, Session, SigningKey, Tries, User};
use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Table<T> = BTreeMap<String, Arc<T>>;

/// Everything that is known of who may call.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub users: Table<User>,
    pub sessions: Table<Session>,
    pub keys: Table<ApiKey>,
    pub links: Table<LoginLink>,
    pub signing: Table<SigningKey>,
    pub tries: BTreeMap<String, Tries>,
    pub generation: String,
    answers: BTreeMap<(String, String), (AccessRequest, Vec<u8>)>,
}

fn swap<T: PartialEq + Clone>(
    table: &mut Table<T>,
    id: impl Fn(&T) -> &String,
    swap: &Swap<T>,
) -> Result<(), AccessError> {
    let Some(key) = swap.old.as_ref().or(swap.new.as_ref()).map(&id).cloned() else {
        return Ok(());
    };
    if table.get(&key).map(|known| &**known) != swap.old.as_ref() {
        return Err(AccessError::Conflict);
    }
    match &swap.new {
        Some(new) => table.insert(key, Arc::new(new.clone())),
        None => table.remove(&key),
    };
    Ok(())
}

impl State {
    /// Makes one change.
    ///
    /// # Errors
    /// `Conflict` when what was there is not there.
    pub fn apply(&mut self, change: &AccessChange) -> Result<(), AccessError> {
        match change {
            AccessChange::User(it) => swap(&mut self.users, |it| &it.user_id, it),
            AccessChange::Session(it) => swap(&mut self.sessions, |it| &it.session_id, it),
            AccessChange::Key(it) => swap(&mut self.keys, |it| &it.key_id, it),
            AccessChange::Link(it) => swap(&mut self.links, |it| &it.link_id, it),
            AccessChange::Signing(it) => swap(&mut self.signing, |it| &it.kid, it),
            AccessChange::Tries { bucket, tries } => {
                self.tries.insert(bucket.clone(), *tries);
                Ok(())
            }
        }
    }

    /// Takes over a change that was made elsewhere, whatever was there.
    pub fn put(&mut self, change: &AccessChange) {
        fn set<T: Clone>(table: &mut Table<T>, id: impl Fn(&T) -> &String, swap: &Swap<T>) {
            if let Some(new) = &swap.new {
                table.insert(id(new).clone(), Arc::new(new.clone()));
            } else if let Some(old) = &swap.old {
                table.remove(id(old));
            }
        }
        match change {
            AccessChange::User(it) => set(&mut self.users, |it| &it.user_id, it),
            AccessChange::Session(it) => set(&mut self.sessions, |it| &it.session_id, it),
            AccessChange::Key(it) => set(&mut self.keys, |it| &it.key_id, it),
            AccessChange::Signing(it) => set(&mut self.signing, |it| &it.kid, it),
            // These are asked for where they are.
            AccessChange::Link(_) | AccessChange::Tries { .. } => {}
        }
    }

    /// Returns true when the change is one of users or keys.
    pub fn is_general(change: &AccessChange) -> bool {
        !matches!(
            change,
            AccessChange::Session(_) | AccessChange::Tries { .. } | AccessChange::Link(_)
        )
    }

    fn write(&mut self, write: AccessWrite) -> Result<(), AccessError> {
        if write.only_at.is_some_and(|at| at != self.generation) {
            return Err(AccessError::Conflict);
        }
        let mut next = self.clone();
        for change in &write.changes {
            next.apply(change)?;
        }
        if let Some((request, answer)) = write.answer {
            let key = (request.user_id.clone(), request.request_id.clone());
            if next.answers.contains_key(&key) {
                return Err(AccessError::Conflict);
            }
            next.answers.insert(key, (request, answer));
        }
        if write.changes.iter().any(State::is_general) {
            let number: u64 = next.generation.parse().unwrap_or(0);
            next.generation = (number + 1).to_string();
        }
        *self = next;
        Ok(())
    }

    fn answered(&self, request: &AccessRequest) -> Answered {
        let key = (request.user_id.clone(), request.request_id.clone());
        match self.answers.get(&key) {
            None => Answered::New,
            Some((known, answer)) if known == request => Answered::Same(answer.clone()),
            Some(_) => Answered::Other,
        }
    }
}

/// Credentials in memory alone.
pub struct MemoryAccess {
    clock: Clock,
    state: RwLock<State>,
}

impl fmt::Debug for MemoryAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAccess").finish_non_exhaustive()
    }
}

impl MemoryAccess {
    pub fn new(clock: Clock) -> MemoryAccess {
        MemoryAccess {
            clock,
            state: RwLock::default(),
        }
    }

    /// Returns the state; changes are made to a copy first, so a panic leaves it whole.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state for a change that was made elsewhere already.
    pub fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessStore for MemoryAccess {
    fn now_ns(&self) -> i64 {
        self.clock.now().0
    }

    fn user(&self, user_id: &str) -> Option<Arc<User>> {
        self.read().users.get(user_id).cloned()
    }

    fn users(&self) -> Vec<Arc<User>> {
        self.read().users.values().cloned().collect()
    }

    fn session(&self, session_id: &str) -> Option<Arc<Session>> {
        self.read().sessions.get(session_id).cloned()
    }

    fn sessions(&self, user_id: &str) -> Vec<Arc<Session>> {
        let state = self.read();
        let of_user = |it: &&Arc<Session>| it.user_id == user_id;
        state.sessions.values().filter(of_user).cloned().collect()
    }

    fn key(&self, key_id: &str) -> Option<Arc<ApiKey>> {
        self.read().keys.get(key_id).cloned()
    }

    fn keys(&self) -> Vec<Arc<ApiKey>> {
        self.read().keys.values().cloned().collect()
    }

    fn signing_keys(&self) -> Arc<[SigningKey]> {
        let state = self.read();
        let mut keys: Vec<SigningKey> = state.signing.values().map(|it| (**it).clone()).collect();
        keys.sort_by(|a, b| (a.created_ns, &a.kid).cmp(&(b.created_ns, &b.kid)));
        keys.into()
    }

    fn generation(&self) -> String {
        self.read().generation.clone()
    }

    fn refresh(&self) -> AccessAnswer<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn tries(&self, bucket: String) -> AccessAnswer<'_, Tries> {
        let found = self.read().tries.get(&bucket).copied();
        Box::pin(ready(Ok(found.unwrap_or_default())))
    }

    fn link(&self, link_id: String) -> AccessAnswer<'_, Option<LoginLink>> {
        let found = self.read().links.get(&link_id).map(|it| (**it).clone());
        Box::pin(ready(Ok(found)))
    }

    fn answered(&self, request: AccessRequest) -> AccessAnswer<'_, Answered> {
        Box::pin(ready(Ok(self.read().answered(&request))))
    }

    fn change(&self, write: AccessWrite) -> AccessAnswer<'_, ()> {
        let outcome = self.state_mut().write(write);
        Box::pin(ready(outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::access::{Grants, Role};

    fn user(name: &str) -> User {
        User::new(name, Role::Trader, Grants::All, 0)
    }

    fn write(changes: Vec<AccessChange>) -> AccessWrite {
        AccessWrite {
            changes,
            ..AccessWrite::default()
        }
    }

    #[tokio::test]
    async fn changes_are_made_together_or_not_at_all() {
        let access = MemoryAccess::new(Clock::Wall);
        let ann = AccessChange::User(Swap::insert(user("ann")));
        access.change(write(vec![ann.clone()])).await.unwrap();
        let generation = access.generation();
        let bob = AccessChange::User(Swap::insert(user("bob")));
        let both = access.change(write(vec![bob.clone(), ann])).await;
        assert_eq!(both, Err(AccessError::Conflict));
        assert!(access.user("bob").is_none());
        assert_eq!(access.generation(), generation);
        let mut late = write(vec![bob]);
        late.only_at = Some("another".to_owned());
        assert_eq!(
            access.change(late.clone()).await,
            Err(AccessError::Conflict)
        );
        late.only_at = Some(generation.clone());
        access.change(late).await.unwrap();
        assert_ne!(access.generation(), generation);
    }

    #[tokio::test]
    async fn an_answer_is_given_again_to_the_same_request_alone() {
        let access = MemoryAccess::new(Clock::Wall);
        let request = |content: &[u8]| AccessRequest {
            user_id: "ann".to_owned(),
            request_id: "r".to_owned(),
            method: "S/M",
            content: content.to_vec(),
        };
        let answering = || AccessWrite {
            answer: Some((request(b"a"), b"yes".to_vec())),
            ..AccessWrite::default()
        };
        assert_eq!(access.answered(request(b"a")).await, Ok(Answered::New));
        access.change(answering()).await.unwrap();
        let same = Answered::Same(b"yes".to_vec());
        assert_eq!(access.answered(request(b"a")).await, Ok(same));
        assert_eq!(access.answered(request(b"b")).await, Ok(Answered::Other));
        assert_eq!(access.change(answering()).await, Err(AccessError::Conflict));
    }
}
