//! The journal of one account, in a database.

mod port;

use super::base;
use super::closing::{KEPT_BYTES, SEGMENT_BYTES};
use super::group::{Batch, Group, Row};
use super::locks::{Guard, Locks};
use super::owners::{self, Keeper};
use super::schema;
use super::server::PgServer;
use super::snapshots;
use crate::StorageError;
use crate::embedded::{ClosedSegments, FrameBuilder, check_journal_name};
use crate::port::journal::{Closed, CuttingJob, DurableSequence, Head};
use crate::port::objects::Objects;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// The journals of all accounts of a database.
#[derive(Clone)]
pub struct PgJournals {
    server: PgServer,
    database_id: String,
    group: Group,
    /// Of the accounts that are open here.
    locks: Locks,
    /// The same, since a lock can be taken twice by the connection that has it.
    open: Arc<Mutex<BTreeSet<String>>>,
    /// Where old batches go; without it they stay.
    objects: Option<Arc<dyn Objects>>,
    segment_bytes: u64,
    kept_bytes: u64,
    /// One journal at a time stores a segment, and one removes rows: both are work of the
    /// background, and there may be many accounts.
    storing: Arc<Mutex<()>>,
    removing: Arc<tokio::sync::Mutex<()>>,
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
        let (locks, database_id) = server.wait(async move {
            let client = on.connection().await?;
            schema::check(&on, &client).await?;
            let database_id = owners::database_id(&on, &client).await?;
            Ok((client, database_id))
        })?;
        Ok(PgJournals {
            group: Group::start(server),
            server: server.clone(),
            database_id,
            locks: Locks::on(server, locks),
            open: Arc::default(),
            objects: None,
            segment_bytes: SEGMENT_BYTES,
            kept_bytes: KEPT_BYTES,
            storing: Arc::default(),
            removing: Arc::default(),
        })
    }

    /// Returns which database this is: an id that it got with its tables.
    pub(super) fn database_id(&self) -> &str {
        &self.database_id
    }

    /// Moves old batches to a store of objects, and finds those that were moved there. Their keys have
    /// the id of this database: accounts of others have the same names.
    #[must_use]
    pub fn with_objects(self, objects: Arc<dyn Objects>) -> PgJournals {
        PgJournals {
            objects: Some(objects),
            ..self
        }
    }

    /// Ends segments of old batches at so many bytes, instead of 4 MiB, and keeps so many bytes of the
    /// newest here, instead of 32 MiB. A store of objects is used with one size of segments for ever;
    /// how much is kept may change.
    #[must_use]
    pub fn with_sizes(self, segment_bytes: u64, kept_bytes: u64) -> PgJournals {
        PgJournals {
            segment_bytes,
            kept_bytes,
            ..self
        }
    }

    /// Returns where an account's old batches are, if anywhere.
    pub(super) fn closed(&self, account_id: &str) -> Option<ClosedSegments> {
        let objects = self.objects.as_ref()?;
        let database_id = &self.database_id;
        Some(ClosedSegments::of_database(
            objects,
            database_id,
            account_id,
        ))
    }

    /// Opens an account's journal, or makes an empty one, and becomes its owner.
    ///
    /// # Errors
    /// `BadName`; `Locked` while another connection has it open; `Unavailable`.
    pub fn open(&self, account_id: &str) -> Result<PgJournal, StorageError> {
        self.open_with(account_id, None)
    }

    /// As [`PgJournals::open`], for an owner with a reserve.
    ///
    /// # Errors
    /// As [`PgJournals::open`], and `ReserveElsewhere`.
    pub(super) fn open_with(
        &self,
        account_id: &str,
        keeper: Option<&Keeper>,
    ) -> Result<PgJournal, StorageError> {
        check_journal_name(account_id)?;
        let is_new = lock(&self.open).insert(account_id.to_owned());
        if !is_new {
            return Err(self.locked(account_id, format!("this process ({})", std::process::id())));
        }
        let opened = self.open_free(account_id, keeper);
        if opened.is_err() {
            lock(&self.open).remove(account_id);
        }
        opened
    }

    fn open_free(
        &self,
        account_id: &str,
        keeper: Option<&Keeper>,
    ) -> Result<PgJournal, StorageError> {
        let (locks, id) = (self.locks.clone(), account_id.to_owned());
        let is_free = self.server.wait(async move { locks.take(&id).await })?;
        if !is_free {
            return Err(self.locked(account_id, self.owner_of(account_id)?));
        }
        match self.take_over_with(account_id, keeper) {
            Ok(mut journal) => {
                journal.is_locked = true;
                let (locks, id) = (self.locks.clone(), account_id.to_owned());
                let guard = Guard::Epoch(journal.epoch);
                self.server.wait(async move {
                    locks.guard(&id, guard).await;
                    Ok(())
                })?;
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
        self.take_over_with(account_id, None)
    }

    fn take_over_with(
        &self,
        account_id: &str,
        keeper: Option<&Keeper>,
    ) -> Result<PgJournal, StorageError> {
        check_journal_name(account_id)?;
        let (on, id, keeper) = (self.server.clone(), account_id.to_owned(), keeper.cloned());
        let (taken, base) = self.server.wait(async move {
            let client = on.shared().await?;
            let taken = owners::take(&on, &client, &id, keeper.as_ref()).await?;
            Ok((taken, base::read(&on, &client, &id).await?))
        })?;
        if base.sequence > 0 {
            if self.objects.is_none() {
                tracing::warn!(
                    account_id,
                    sequence = base.sequence,
                    "records up to this one were moved to a bucket, and none is set: they cannot \
                     be read"
                );
            }
            // Left over where a removal was cut off.
            self.remove_rows(account_id, base);
        }
        Ok(PgJournal {
            on: self.clone(),
            account_id: account_id.to_owned(),
            epoch: taken.epoch,
            is_marked_anew: taken.is_marked_anew,
            is_locked: false,
            head: taken.head,
            staged: FrameBuilder::new(),
            staged_sequence: taken.head.sequence,
            broken: None,
        })
    }

    /// Returns the database, `host:port/name`.
    pub fn name(&self) -> &str {
        self.server.name()
    }

    pub(super) fn server(&self) -> &PgServer {
        &self.server
    }

    fn remove_rows(&self, account_id: &str, base: Head) {
        remove_rows(&self.server, self.removing.clone(), account_id, base);
    }

    fn locked(&self, account_id: &str, holder: String) -> StorageError {
        let path = format!("{}/{account_id}", self.server.name()).into();
        StorageError::Locked { path, holder }
    }

    fn owner_of(&self, account_id: &str) -> Result<String, StorageError> {
        let (on, id) = (self.server.clone(), account_id.to_owned());
        self.server
            .wait(async move { owners::name(&on, &id).await })
    }

    fn unlock(&self, account_id: &str) {
        lock(&self.open).remove(account_id);
        let (locks, id) = (self.locks.clone(), account_id.to_owned());
        let (done, outcome) = mpsc::sync_channel(1);
        self.server.spawn(async move {
            locks.give_back(&id).await;
            let _ = done.send(());
        });
        // So that opening it again right behind finds it free; a server that is away has given it
        // up, or will.
        let _ = outcome.recv_timeout(UNLOCKING);
    }
}

/// Removes the rows that a base has passed, beside everything else. Those that stay take space and harm
/// nobody: they go with the next cut or start.
fn remove_rows(server: &PgServer, one: Arc<tokio::sync::Mutex<()>>, account_id: &str, base: Head) {
    let (on, id) = (server.clone(), account_id.to_owned());
    server.spawn(async move {
        let _one = one.lock().await;
        if let Err(error) = base::remove_rows(&on, &id, base).await {
            tracing::warn!(account_id = id, %error, "moved batches stay for now");
        }
    });
}

fn lock(open: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    // A set is whole whatever panicked beside it.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long closing a journal waits for its lock to be given back.
const UNLOCKING: Duration = Duration::from_secs(1);

/// The journal of one account in [`PgJournals`].
pub struct PgJournal {
    on: PgJournals,
    account_id: String,
    epoch: i64,
    is_marked_anew: bool,
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
        let (frame, last, chain) = self.staged.seal(&self.head.chain);
        let first = self.head.sequence + 1;
        let frame = frame.to_vec();
        let after = Head {
            sequence: last,
            chain,
        };
        let outcome = self.hand_over(after, vec![Row { first, last, frame }])?;
        // A writer answers within its own bound, whatever happens; without one the end of the
        // channel is the answer.
        outcome
            .recv()
            .unwrap_or_else(|_| Err(self.on.server.unavailable("the writer has ended")))?;
        self.staged.clear();
        self.stored(after);
        Ok(DurableSequence(last))
    }

    /// Gives rows that follow the head to the writers, which store them once, all or none, and
    /// tell it. Only one such may be under way.
    ///
    /// # Errors
    /// `Unavailable` when too much waits for them.
    pub(super) fn hand_over(
        &self,
        after: Head,
        rows: Vec<Row>,
    ) -> Result<mpsc::Receiver<Result<(), StorageError>>, StorageError> {
        let (done, outcome) = mpsc::sync_channel(1);
        let batch = Batch {
            account_id: self.account_id.clone(),
            epoch: self.epoch,
            before: self.head,
            after,
            rows,
            in_doubt: false,
            done,
        };
        if self.on.group.send(batch).is_err() {
            let server = &self.on.server;
            return Err(server.unavailable("too many accounts wait to be written"));
        }
        Ok(outcome)
    }

    /// Takes note that the server has everything up to `head`.
    pub(super) fn stored(&mut self, head: Head) {
        self.head = head;
        self.staged_sequence = head.sequence;
    }

    /// Stores a snapshot, as long as it takes. Its errors are for [`snapshots::not_kept`].
    pub(super) fn storing_snapshot(
        &self,
        sequence: u64,
        bytes: &[u8],
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        let (account_id, epoch) = (self.account_id.clone(), self.epoch);
        let storing = snapshots::store(
            self.on.server.clone(),
            account_id.clone(),
            epoch,
            sequence,
            bytes.to_vec(),
        );
        async move {
            if storing.await? {
                return Ok(());
            }
            Err(StorageError::Fenced {
                account_id,
                epoch: epoch as u64,
                found: 0,
            })
        }
    }

    /// Returns where it is, for people.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.on.server.name(), self.account_id)
    }

    /// Sets the base of the rows behind what was stored as objects.
    pub(super) fn setting_base(
        &self,
        closed: Closed,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        let (on, id, epoch) = (self.on.server.clone(), self.account_id.clone(), self.epoch);
        async move { base::set(&on, &id, epoch, closed.base).await }
    }

    /// Takes note that the base is set: what is in front of it goes, and nobody waits for that.
    pub(super) fn passed(&self, closed: Closed) {
        self.on.remove_rows(&self.account_id, closed.base);
    }

    /// As [`Journal::cut`], on any thread.
    ///
    /// [`Journal::cut`]: crate::Journal::cut
    pub(super) fn cutting_job(&self) -> CuttingJob {
        let (server, one) = (self.on.server.clone(), self.on.removing.clone());
        let (account_id, epoch) = (self.account_id.clone(), self.epoch);
        Box::new(move |closed| {
            let (on, id) = (server.clone(), account_id.clone());
            server.wait(async move { base::set(&on, &id, epoch, closed.base).await })?;
            remove_rows(&server, one, &account_id, closed.base);
            Ok(())
        })
    }

    /// Returns true where no earlier owner's reserve was said to be in this one's folder.
    pub(super) fn is_marked_anew(&self) -> bool {
        self.is_marked_anew
    }

    pub(super) fn account_id(&self) -> &str {
        &self.account_id
    }

    pub(super) fn server(&self) -> &PgServer {
        &self.on.server
    }
}
