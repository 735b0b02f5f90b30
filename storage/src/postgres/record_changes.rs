//! Guarded changes of records: one transaction each.
//!
//! A change first locks its keys, there or not, by advisory locks of the transaction in one order for
//! all, then the rows that are there, and then looks. Of two that share a key the second looks when the
//! first has ended; plain puts and deletes of one key are held by the row's lock, and one that makes a
//! row meanwhile is met by the primary key.
//!
//! An answer to COMMIT that is lost is asked for by the number of the transaction, so a change is
//! neither made twice nor reported as failed when it was made.

use super::server::{Parameters, PgServer};
use crate::StorageError;
use crate::port::records::{Action, Change, Expected, check_expected};
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use xxhash_rust::xxh3::xxh3_64;

/// Transactions under way at a time; more callers wait. Each takes a connection of the server's,
/// whose default is a hundred for all processes.
const WRITERS: usize = 4;

/// Attempts at one change that meet a lock cycle or a row that was made meanwhile. The second meets
/// one only when others changed the same key again.
const ATTEMPTS: u32 = 8;

/// Between two questions about a transaction.
const PAUSE: Duration = Duration::from_millis(50);

/// How long it is asked, at the most: callers wait for it, and may be threads that trade.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes changes. Clones share the connections.
#[derive(Clone)]
pub(super) struct Writer {
    server: PgServer,
    places: Arc<Semaphore>,
    /// At most as many as there are places.
    idle: Arc<Mutex<Vec<Client>>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Why an attempt came to no end.
enum Trouble {
    /// Nothing was written.
    Before(StorageError),
    /// Nothing was written; the same may work at once.
    Again(StorageError),
    /// COMMIT was sent in this transaction, and no answer came.
    Unknown(String, StorageError),
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Trouble {
        Trouble::Before(error)
    }
}

impl Writer {
    pub fn new(server: &PgServer) -> Writer {
        Writer {
            server: server.clone(),
            places: Arc::new(Semaphore::new(WRITERS)),
            idle: Arc::default(),
        }
    }

    /// Makes changes that were checked. Errors: those of `Records::change`.
    pub async fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        let patience = self.server.options().timeout;
        let place = tokio::time::timeout(patience, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(self.server.unavailable("too many changes of records wait"));
        };
        let mut attempt = 1;
        loop {
            let (client, is_used) = self.client().await?;
            let trouble = match self.attempt(&client, changes).await {
                Ok(()) => {
                    self.give_back(client);
                    return Ok(());
                }
                Err(trouble) => trouble,
            };
            let is_lost = client.is_closed();
            let rolled_back = !is_lost && self.run(&client, "ROLLBACK").await.is_ok();
            if rolled_back {
                self.give_back(client);
            }
            match trouble {
                // The server was started again since the connection was used last.
                Trouble::Before(_) if is_lost && is_used && attempt < ATTEMPTS => {}
                Trouble::Again(_) if attempt < ATTEMPTS => {}
                Trouble::Before(error) | Trouble::Again(error) => return Err(error),
                Trouble::Unknown(transaction, error) => {
                    if self.was_made(&transaction, &error).await? {
                        return Ok(());
                    }
                    if attempt >= ATTEMPTS {
                        return Err(error);
                    }
                }
            }
            attempt += 1;
        }
    }

    /// Returns a connection, and whether it was used before.
    async fn client(&self) -> Result<(Client, bool), StorageError> {
        loop {
            let idle = self.lock_idle().pop();
            match idle {
                Some(client) if client.is_closed() => {}
                Some(client) => return Ok((client, true)),
                None => break,
            }
        }
        let client = self.server.connection().await?;
        // It may have been started again with other settings.
        self.server.check_keeps(&client).await?;
        Ok((client, false))
    }

    fn give_back(&self, client: Client) {
        self.lock_idle().push(client);
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Client>> {
        // Each change is one operation, so a panic elsewhere leaves the list whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, client: &Client, sql: &str) -> Result<(), StorageError> {
        self.server.within(client.batch_execute(sql)).await
    }

    async fn attempt(&self, client: &Client, changes: &[Change]) -> Result<(), Trouble> {
        let begin = self.begin(changes);
        self.asked(client.batch_execute(&begin)).await?;
        let found = self.look(client, changes).await?;
        check_expected(changes, |change| {
            let at = (change.table.clone(), change.key.clone().into_bytes());
            found.get(&at).map(Vec::as_slice)
        })?;
        let Some(transaction) = self.write(client, changes).await? else {
            // Only looked at: there is nothing to commit.
            return self.run(client, "COMMIT").await.map_err(Trouble::Before);
        };
        match self.run(client, "COMMIT").await {
            Ok(()) => Ok(()),
            Err(error) => Err(Trouble::Unknown(transaction, error)),
        }
    }

    /// Begins a transaction and takes the locks of its keys, in the order of their numbers. One that
    /// is left alone by a process that stopped holds them no longer than a statement may take.
    fn begin(&self, changes: &[Change]) -> String {
        let milliseconds = self.server.options().timeout.as_millis().max(1);
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {milliseconds}; \
             SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
        );
        let mut locks: Vec<i64> = changes.iter().map(lock_of).collect();
        locks.sort_unstable();
        for lock in locks {
            // A number of ours; writing to a String never fails.
            let _ = write!(sql, "SELECT pg_advisory_xact_lock({lock});");
        }
        sql
    }

    /// Returns what is at the keys, and holds it.
    async fn look(
        &self,
        client: &Client,
        changes: &[Change],
    ) -> Result<BTreeMap<(String, Vec<u8>), Vec<u8>>, Trouble> {
        const LOOK: &str = "SELECT table_name, key, value FROM record \
             WHERE (table_name, key) IN (SELECT * FROM unnest($1::text[], $2::bytea[])) FOR UPDATE";
        let tables: Vec<&str> = changes.iter().map(|it| it.table.as_str()).collect();
        let keys: Vec<&[u8]> = changes.iter().map(|it| it.key.as_bytes()).collect();
        let rows = self.asked(client.query(LOOK, &[&tables, &keys])).await?;
        let rows = rows.iter();
        Ok(rows
            .map(|row| ((row.get(0), row.get(1)), row.get(2)))
            .collect())
    }

    /// Writes, and returns the number of the transaction; `None` when there is nothing to write.
    async fn write(&self, client: &Client, changes: &[Change]) -> Result<Option<String>, Trouble> {
        const WRITE: &str = "
            WITH made AS (
                INSERT INTO record (table_name, key, value)
                SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[])
            ), stored AS (
                INSERT INTO record (table_name, key, value)
                SELECT * FROM unnest($4::text[], $5::bytea[], $6::bytea[])
                ON CONFLICT (table_name, key) DO UPDATE SET value = excluded.value
            ), removed AS (
                DELETE FROM record
                WHERE (table_name, key) IN (SELECT * FROM unnest($7::text[], $8::bytea[]))
            )
            SELECT pg_current_xact_id()::text";
        let (mut made, mut stored, mut removed) =
            (Columns::default(), Columns::default(), Columns::default());
        for change in changes {
            match (&change.action, &change.expected) {
                (Action::Keep, _) => {}
                // Meets the primary key when a plain put came in between.
                (Action::Put(value), Expected::Absent) => made.push(change, value),
                (Action::Put(value), _) => stored.push(change, value),
                (Action::Delete, _) => removed.push(change, &[]),
            }
        }
        if made.keys.is_empty() && stored.keys.is_empty() && removed.keys.is_empty() {
            return Ok(None);
        }
        let parameters: Parameters<'_> = &[
            &made.tables,
            &made.keys,
            &made.values,
            &stored.tables,
            &stored.keys,
            &stored.values,
            &removed.tables,
            &removed.keys,
        ];
        let row = self.asked(client.query_one(WRITE, parameters)).await?;
        Ok(Some(row.get(0)))
    }

    /// Waits for a statement before COMMIT.
    async fn asked<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Trouble> {
        let answer = tokio::time::timeout(self.server.options().timeout, statement).await;
        let Ok(answer) = answer else {
            return Err(Trouble::Before(
                self.server.unavailable("a statement took too long"),
            ));
        };
        answer.map_err(|error| {
            let may_work = [
                SqlState::UNIQUE_VIOLATION,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
            ];
            let is_one = error.code().is_some_and(|code| may_work.contains(code));
            let failed = self.server.failed(&error);
            if is_one {
                Trouble::Again(failed)
            } else {
                Trouble::Before(failed)
            }
        })
    }

    /// Asks what became of a transaction whose COMMIT had no answer.
    ///
    /// Errors: `OutcomeUnknown` when that was not found out in time.
    async fn was_made(
        &self,
        transaction: &str,
        trouble: &StorageError,
    ) -> Result<bool, StorageError> {
        let begun = Instant::now();
        let patience = self.server.options().give_up.min(PATIENCE);
        let mut seen = trouble.to_string();
        loop {
            match self.status(transaction).await {
                Ok(Some(status)) if status == "committed" => return Ok(true),
                Ok(Some(status)) if status == "aborted" => return Ok(false),
                // Its connection may still stand on the server's side.
                Ok(Some(status)) => seen = format!("its transaction is {status}"),
                Ok(None) => "the server does not remember its transaction".clone_into(&mut seen),
                Err(error) => seen = error.to_string(),
            }
            if begun.elapsed() > patience {
                return Err(StorageError::OutcomeUnknown {
                    server: format!("PostgreSQL at {}", self.server.name()),
                    detail: seen,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn status(&self, transaction: &str) -> Result<Option<String>, StorageError> {
        let client = self.server.shared().await?;
        let asked = "SELECT pg_xact_status($1::text::xid8)";
        let row = self
            .server
            .query_one(&client, asked, &[&transaction])
            .await?;
        Ok(row.get(0))
    }
}

/// Rows by column, as a statement takes them.
#[derive(Default)]
struct Columns<'a> {
    tables: Vec<&'a str>,
    keys: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, change: &'a Change, value: &'a [u8]) {
        self.tables.push(&change.table);
        self.keys.push(change.key.as_bytes());
        self.values.push(value);
    }
}

/// Returns the number that a key is locked by. Two keys of one number merely wait for each other.
fn lock_of(change: &Change) -> i64 {
    let name = format!("{}/{}", change.table, change.key);
    xxh3_64(name.as_bytes()).cast_signed()
}

#[cfg(test)]
mod tests;
