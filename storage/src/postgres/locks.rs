//! Advisory locks of this process, on a connection of their own.
//!
//! They keep a second process from starting by mistake; what keeps a predecessor from writing is the
//! epoch of each journal. With a lost connection they go, so that a dead process locks nobody out,
//! and a living one takes them again as soon as the server is back, unless another has had them
//! meanwhile: that one may have ended, and whoever follows it must find them free.

use super::server::PgServer;
use crate::StorageError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::Client;

/// Keeps our advisory locks apart from those of others in the same database.
pub(super) const SPACE: i32 = 0x6170_6578;

/// How often it is looked whether the connection stands. A start meanwhile is refused by nothing
/// but the epochs.
const LOOK: Duration = Duration::from_millis(500);

/// Locks by their key, below the PostgreSQL schema of the server's settings. Clones share them;
/// with the last they are given back.
#[derive(Clone)]
pub(super) struct Locks {
    inner: Arc<Inner>,
}

struct Inner {
    server: PgServer,
    state: Mutex<State>,
}

/// What tells that another process has had a lock since.
#[derive(Debug, Clone, Copy)]
pub(super) enum Guard {
    /// The key is an account, whose owner has this epoch.
    Epoch(i64),
    /// The key is a whole database, which was taken so many times.
    Claims(i64),
}

struct State {
    /// Holds the locks; `None` only while it is dropped.
    client: Option<Client>,
    /// With what tells whether they are still ours; `None` before that is known.
    wanted: BTreeMap<String, Option<Guard>>,
    /// Of those, what the connection has.
    held: BTreeSet<String>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Its connection belongs to the server's runtime.
        if let Some(client) = self.state.get_mut().client.take() {
            self.server.spawn(async move { drop(client) });
        }
    }
}

impl Locks {
    /// Holds none yet, on this connection.
    pub fn on(server: &PgServer, client: Client) -> Locks {
        let inner = Arc::new(Inner {
            server: server.clone(),
            state: Mutex::new(State {
                client: Some(client),
                wanted: BTreeMap::new(),
                held: BTreeSet::new(),
            }),
        });
        server.spawn(keep(Arc::downgrade(&inner)));
        Locks { inner }
    }

    /// Takes a lock. Returns false when another process has it.
    pub async fn take(&self, key: &str) -> Result<bool, StorageError> {
        let mut state = self.inner.state.lock().await;
        self.inner.restore(&mut state).await?;
        let is_taken = self.inner.try_take(&mut state, key).await?;
        if is_taken {
            state.wanted.insert(key.to_owned(), None);
        }
        Ok(is_taken)
    }

    /// Says by what it is seen that another process has had a lock of ours since it was lost.
    pub async fn guard(&self, key: &str, guard: Guard) {
        let mut state = self.inner.state.lock().await;
        if let Some(known) = state.wanted.get_mut(key) {
            *known = Some(guard);
        }
    }

    /// Gives a lock back.
    pub async fn give_back(&self, key: &str) {
        let mut state = self.inner.state.lock().await;
        state.wanted.remove(key);
        self.inner.unlock(&mut state, key).await;
    }
}

impl Inner {
    /// Makes the connection again where it was lost, and takes what it had.
    async fn restore(&self, state: &mut State) -> Result<(), StorageError> {
        let stands = |client: &Client| !client.is_closed();
        if !state.client.as_ref().is_some_and(stands) {
            state.client = Some(self.server.connection().await?);
            state.held.clear();
        }
        let wanted = state
            .wanted
            .iter()
            .filter(|(key, _)| !state.held.contains(*key));
        let missing: Vec<(String, Option<Guard>)> =
            wanted.map(|(key, guard)| (key.clone(), *guard)).collect();
        for (key, guard) in missing {
            // Not taken until the server has noticed the end of the lost connection that still has
            // it. Looked at again behind that: another may have had it just before.
            if self.is_ours(state, &key, guard).await?
                && self.try_take(state, &key).await?
                && self.is_ours(state, &key, guard).await?
            {
                continue;
            }
            if !state.wanted.contains_key(&key) {
                self.unlock(state, &key).await;
            }
        }
        Ok(())
    }

    /// Looks whether nobody has had a lost lock since. It is not wanted any more where somebody has.
    async fn is_ours(
        &self,
        state: &mut State,
        key: &str,
        guard: Option<Guard>,
    ) -> Result<bool, StorageError> {
        let (Some(guard), Some(client)) = (guard, &state.client) else {
            return Ok(true);
        };
        let row = match guard {
            Guard::Epoch(_) => {
                let asked = "SELECT epoch FROM journal_account WHERE account_id = $1";
                self.server.query_opt(client, asked, &[&key]).await?
            }
            Guard::Claims(_) => {
                let asked = "SELECT claims FROM journal_database";
                self.server.query_opt(client, asked, &[]).await?
            }
        };
        let (Guard::Epoch(ours) | Guard::Claims(ours)) = guard;
        let is_ours = row.is_none_or(|row| row.get::<_, i64>(0) <= ours);
        if !is_ours {
            tracing::error!(
                key,
                database = self.server.name(),
                "another process has taken this over while the connection was lost: its lock is not \
                 taken again"
            );
            state.wanted.remove(key);
        }
        Ok(is_ours)
    }

    async fn unlock(&self, state: &mut State, key: &str) {
        if state.held.remove(key)
            && let Some(client) = &state.client
        {
            let unlock = "SELECT pg_advisory_unlock($1, hashtext(current_schema() || '/' || $2))";
            // A lost connection has given it up by itself.
            let _ = self.server.execute(client, unlock, &[&SPACE, &key]).await;
        }
    }

    async fn try_take(&self, state: &mut State, key: &str) -> Result<bool, StorageError> {
        let Some(client) = &state.client else {
            return Ok(false);
        };
        let lock = "SELECT pg_try_advisory_lock($1, hashtext(current_schema() || '/' || $2))";
        let row = self.server.query_one(client, lock, &[&SPACE, &key]).await?;
        let is_taken = row.get::<_, bool>(0);
        if is_taken {
            state.held.insert(key.to_owned());
        }
        Ok(is_taken)
    }
}

/// Looks after the connection until the locks are dropped.
async fn keep(locks: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = locks.upgrade() else {
            return;
        };
        let mut state = inner.state.lock().await;
        if let Err(error) = inner.restore(&mut state).await {
            // It is tried again; the journals' writers say that the server is away.
            tracing::debug!(%error, "locks in PostgreSQL wait for the server");
        }
        drop(state);
    }
}
