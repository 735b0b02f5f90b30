//! Advisory locks of this process, on a connection of their own.
//!
//! They keep a second process from starting by mistake; what keeps a predecessor from writing is the
//! epoch of each journal. With a lost connection they go, so that a dead process locks nobody out,
//! and a living one takes them again as soon as the server is back.

use super::server::PgServer;
use crate::StorageError;
use std::collections::BTreeSet;
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

struct State {
    /// Holds the locks; `None` only while it is dropped.
    client: Option<Client>,
    wanted: BTreeSet<String>,
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
                wanted: BTreeSet::new(),
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
            state.wanted.insert(key.to_owned());
        }
        Ok(is_taken)
    }

    /// Gives a lock back.
    pub async fn give_back(&self, key: &str) {
        let mut state = self.inner.state.lock().await;
        state.wanted.remove(key);
        if state.held.remove(key)
            && let Some(client) = &state.client
        {
            let unlock = "SELECT pg_advisory_unlock($1, hashtext(current_schema() || '/' || $2))";
            // A lost connection has given it up by itself.
            let _ = self
                .inner
                .server
                .execute(client, unlock, &[&SPACE, &key])
                .await;
        }
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
        let missing: Vec<String> = state.wanted.difference(&state.held).cloned().collect();
        for key in missing {
            // Until the server has noticed the end of the lost connection that still has it.
            self.try_take(state, &key).await?;
        }
        Ok(())
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
