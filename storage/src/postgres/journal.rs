//! The journal of one account, in a database.

use super::group::{Batch, Group};
use super::read::{Frames, chain_of_row};
use super::schema;
use super::server::{Parameters, PgServer};
use crate::StorageError;
use crate::embedded::{FrameBuilder, MAX_FRAME_BYTES, check_journal_name, genesis};
use crate::port::journal::{
    DurableSequence, Head, Journal, JournalState, RecordIter, Snapshot, Unit,
};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_64;

/// Snapshots that are kept of an account: one to restore from, and one in case it is damaged.
const SNAPSHOTS: i64 = 2;

/// The journals of all accounts of a database.
#[derive(Clone)]
pub struct PgJournals {
    server: PgServer,
    group: Group,
    /// Holds the locks of the accounts that are open here.
    locks: Arc<Client>,
    /// The same, since a lock can be taken twice by the connection that has it.
    open: Arc<Mutex<BTreeSet<String>>>,
}

impl fmt::Debug for PgJournals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgJournals")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl PgJournals {
    /// Prepares a database whose schema is up to date.
    ///
    /// # Errors
    /// `Setting` when the schema is older than this build needs, `NewerVersion`, `Unavailable`.
    pub fn new(server: &PgServer) -> Result<PgJournals, StorageError> {
        let on = server.clone();
        let locks = server.wait(async move {
            let client = on.connection().await?;
            schema::check(&on, &client).await?;
            Ok(client)
        })?;
        Ok(PgJournals {
            group: Group::start(server),
            server: server.clone(),
            locks: Arc::new(locks),
            open: Arc::default(),
        })
    }

    /// Opens an account's journal, or makes an empty one, and becomes its owner.
    ///
    /// # Errors
    /// `BadName`; `Locked` while another connection has it open; `Unavailable`.
    pub fn open(&self, account_id: &str) -> Result<PgJournal, StorageError> {
        check_journal_name(account_id)?;
        let is_new = lock(&self.open).insert(account_id.to_owned());
        if !is_new {
            return Err(self.locked(account_id, format!("this process ({})", std::process::id())));
        }
        let opened = self.open_free(account_id);
        if opened.is_err() {
            lock(&self.open).remove(account_id);
        }
        opened
    }

    fn open_free(&self, account_id: &str) -> Result<PgJournal, StorageError> {
        let (on, locks, id) = (self.clone(), self.locks.clone(), account_id.to_owned());
        let is_free = self.server.wait(async move {
            let lock = "SELECT pg_try_advisory_lock($1, hashtext(current_schema() || '/' || $2))";
            let row = on
                .server
                .query_one(&locks, lock, &[&LOCK_SPACE, &id])
                .await?;
            Ok(row.get::<_, bool>(0))
        })?;
        if !is_free {
            return Err(self.locked(account_id, self.owner_of(account_id)?));
        }
        match self.take_over(account_id) {
            Ok(mut journal) => {
                journal.is_locked = true;
                Ok(journal)
            }
            Err(error) => {
                self.unlock(account_id);
                Err(error)
            }
        }
    }

    /// Becomes the owner of an account whoever had it: from now on the one before is refused.
    ///
    /// # Errors
    /// `BadName`, `Unavailable`, `Damaged`.
    pub fn take_over(&self, account_id: &str) -> Result<PgJournal, StorageError> {
        check_journal_name(account_id)?;
        let (on, id) = (self.server.clone(), account_id.to_owned());
        let (epoch, head) = self.server.wait(async move {
            let client = on.shared().await?;
            let owner = format!("process {}", std::process::id());
            let empty = genesis(&id);
            let take = "
                INSERT INTO journal_account AS account (account_id, epoch, sequence, chain, owner)
                VALUES ($1, 1, 0, $2, $3)
                ON CONFLICT (account_id) DO UPDATE
                SET epoch = account.epoch + 1, owner = excluded.owner, opened_at = now()
                RETURNING epoch, sequence, chain";
            let row = on
                .query_one(&client, take, &[&id, &&empty.0[..], &owner])
                .await?;
            let (epoch, sequence, chain): (i64, i64, Vec<u8>) =
                (row.get(0), row.get(1), row.get(2));
            Ok((epoch, chain_of_row(&id, sequence, &chain)?))
        })?;
        Ok(PgJournal {
            on: self.clone(),
            account_id: account_id.to_owned(),
            epoch,
            is_locked: false,
            head,
            staged: FrameBuilder::new(),
            staged_sequence: head.sequence,
            broken: None,
        })
    }

    pub(super) fn server(&self) -> &PgServer {
        &self.server
    }

    fn locked(&self, account_id: &str, holder: String) -> StorageError {
        let path = format!("{}/{account_id}", self.server.name()).into();
        StorageError::Locked { path, holder }
    }

    fn owner_of(&self, account_id: &str) -> Result<String, StorageError> {
        let (on, id) = (self.server.clone(), account_id.to_owned());
        self.server.wait(async move {
            let client = on.shared().await?;
            let asked = "SELECT owner FROM journal_account WHERE account_id = $1";
            let row = on.query_opt(&client, asked, &[&id]).await?;
            Ok(row.map_or_else(|| "another process".to_owned(), |row| row.get(0)))
        })
    }

    fn unlock(&self, account_id: &str) {
        lock(&self.open).remove(account_id);
        let (locks, id) = (self.locks.clone(), account_id.to_owned());
        let (done, outcome) = mpsc::sync_channel(1);
        self.server.spawn(async move {
            let unlock = "SELECT pg_advisory_unlock($1, hashtext(current_schema() || '/' || $2))";
            // A lost connection has given its locks up by itself.
            let _ = locks.execute(unlock, &[&LOCK_SPACE, &id]).await;
            let _ = done.send(());
        });
        // So that opening it again right behind finds it free.
        let _ = outcome.recv_timeout(self.server.options().timeout);
    }
}

fn lock(open: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    // A set is whole whatever panicked beside it.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps our advisory locks apart from those of others in the same database.
pub(super) const LOCK_SPACE: i32 = 0x6170_6578;

/// The journal of one account in [`PgJournals`].
pub struct PgJournal {
    on: PgJournals,
    account_id: String,
    epoch: i64,
    /// It was opened, not taken over, and gives the account's lock back.
    is_locked: bool,
    head: Head,
    staged: FrameBuilder,
    staged_sequence: u64,
    broken: Option<StorageError>,
}

impl fmt::Debug for PgJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgJournal")
            .field("account_id", &self.account_id)
            .field("epoch", &self.epoch)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Drop for PgJournal {
    fn drop(&mut self) {
        if self.is_locked {
            self.on.unlock(&self.account_id);
        }
    }
}

impl PgJournal {
    /// Returns the number of its owner, which goes up with each.
    pub fn epoch(&self) -> u64 {
        self.epoch as u64
    }

    fn usable(&self) -> Result<(), StorageError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn store(&mut self) -> Result<DurableSequence, StorageError> {
        let (frame, sequence, chain) = self.staged.seal(&self.head.chain);
        let after = Head { sequence, chain };
        let (done, outcome) = mpsc::sync_channel(1);
        let batch = Batch {
            account_id: self.account_id.clone(),
            epoch: self.epoch,
            before: self.head,
            after,
            frame: frame.to_vec(),
            done,
        };
        let server = &self.on.server;
        if self.on.group.send(batch).is_err() {
            return Err(server.unavailable("too many accounts wait to be written"));
        }
        // A writer answers within its own bound, whatever happens; without one the end of the
        // channel is the answer.
        outcome
            .recv()
            .unwrap_or_else(|_| Err(server.unavailable("the writer has ended")))?;
        self.staged.clear();
        self.head = after;
        Ok(DurableSequence(sequence))
    }
}

impl Journal for PgJournal {
    fn append(&mut self, units: &[Unit]) -> Result<(), StorageError> {
        self.usable()?;
        let added = self
            .staged
            .measure(units, self.staged_sequence, MAX_FRAME_BYTES)?;
        for record in units.iter().flat_map(|unit| &unit.records) {
            self.staged.push(record);
        }
        self.staged_sequence = added.sequence;
        Ok(())
    }

    fn commit(&mut self) -> Result<DurableSequence, StorageError> {
        self.usable()?;
        if self.staged.is_empty() {
            return Ok(DurableSequence(self.head.sequence));
        }
        let outcome = self.store();
        if let Err(error) = &outcome {
            self.broken = Some(error.clone());
        }
        outcome
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, StorageError> {
        self.usable()?;
        let frames = Frames::open(&self.on.server, &self.account_id, sequence, self.head)?;
        Ok(Box::new(frames.records()))
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.usable()?;
        let durable = self.head.sequence;
        if sequence > durable {
            return Err(StorageError::SnapshotAhead {
                snapshot: sequence,
                durable,
            });
        }
        let (on, id, epoch) = (self.on.server.clone(), self.account_id.clone(), self.epoch);
        let (check_sum, state) = (xxh3_64(bytes) as i64, bytes.to_vec());
        let stored = self.on.server.wait(async move {
            let client = on.shared().await?;
            // Only by the owner, as everything else.
            let store = "
                WITH owned AS (
                    SELECT 1 FROM journal_account WHERE account_id = $1 AND epoch = $5 FOR SHARE
                ), stored AS (
                    INSERT INTO journal_snapshot (account_id, sequence, check_sum, state)
                    SELECT $1, $2, $3, $4 FROM owned
                    ON CONFLICT (account_id, sequence) DO UPDATE
                    SET check_sum = excluded.check_sum, state = excluded.state
                    RETURNING sequence
                ), forgotten AS (
                    DELETE FROM journal_snapshot WHERE account_id = $1 AND sequence < (
                        SELECT min(sequence) FROM (
                            SELECT sequence FROM journal_snapshot WHERE account_id = $1
                            UNION SELECT sequence FROM stored
                            ORDER BY sequence DESC LIMIT $6
                        ) AS kept
                    )
                )
                SELECT count(*) FROM stored";
            let sequence = sequence as i64;
            let parameters: Parameters<'_> =
                &[&id, &sequence, &check_sum, &state, &epoch, &SNAPSHOTS];
            let row = on.query_one(&client, store, parameters).await?;
            Ok(row.get::<_, i64>(0) == 1)
        });
        match stored {
            Ok(true) => Ok(()),
            Ok(false) => Err(StorageError::Fenced {
                account_id: self.account_id.clone(),
                epoch: self.epoch as u64,
                found: 0,
            }),
            // The one before stands; the next will do.
            Err(error) => Err(StorageError::SnapshotFailed {
                path: format!("{}/{}", self.on.server.name(), self.account_id).into(),
                source: Arc::new(std::io::Error::other(error.to_string())),
            }),
        }
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, StorageError> {
        self.usable()?;
        let (on, id) = (self.on.server.clone(), self.account_id.clone());
        let rows = self.on.server.wait(async move {
            let client = on.shared().await?;
            let asked = "SELECT sequence, check_sum, state FROM journal_snapshot \
                         WHERE account_id = $1 ORDER BY sequence DESC";
            on.query(&client, asked, &[&id]).await
        })?;
        for row in rows {
            let (sequence, check_sum, bytes): (i64, i64, Vec<u8>) =
                (row.get(0), row.get(1), row.get(2));
            let sequence = sequence as u64;
            if xxh3_64(&bytes) as i64 == check_sum && sequence <= self.head.sequence {
                return Ok(Some(Snapshot { sequence, bytes }));
            }
            tracing::warn!(
                account_id = self.account_id,
                sequence,
                "snapshot is damaged, passed over"
            );
        }
        Ok(None)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn state(&self) -> JournalState {
        // Space is the server's concern: a commit without any waits for it.
        JournalState::Ready
    }

    fn probe(&mut self) -> Result<JournalState, StorageError> {
        self.usable()?;
        Ok(self.state())
    }
}
