//! Reading an account's batches back, one after the other and never many at a time: what was moved
//! to the store of objects first, then the rows.
//!
//! Where the rows begin is asked in the snapshot of the database that they are then read from, so a
//! cut meanwhile takes nothing away from a reader of rows. One that reads objects asks again when it
//! has come to the base that it knew: what was cut since is among the objects now.

use super::base;
use super::group::chain_of;
use super::server::PgServer;
use crate::StorageError;
use crate::embedded::{ClosedSegments, Header, beginning, check_frame, next_record};
use crate::error::{Damage, Position};
use crate::port::journal::{Head, JournalError, Record};
use futures::TryStreamExt;
use past::Past;
use std::pin::Pin;
use std::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, RowStream};

mod past;

/// Batches that are read ahead.
const AHEAD: usize = 16;

/// The batches of an account from one that holds a sequence on.
pub(super) struct Frames {
    server: PgServer,
    closed: Option<ClosedSegments>,
    account_id: String,
    from: u64,
    /// The end of what was read; not known before the first batch of a reader that begins later
    /// than the journal.
    read_to: Option<Head>,
    until: Head,
    /// What was moved away is passed over.
    rows_alone: bool,
    source: Source,
}

enum Source {
    Rows(mpsc::Receiver<Result<Item, StorageError>>),
    Objects(Box<Past>),
}

/// What comes from a database: first where its rows begin, then those.
enum Item {
    Base(Head),
    Frame(Vec<u8>),
}

impl Frames {
    /// Begins to read. Nothing is waited for here: that the server does not answer is told as the
    /// first batch, on the thread that reads.
    pub fn open(
        server: &PgServer,
        closed: Option<ClosedSegments>,
        account_id: &str,
        from: u64,
        head: Head,
    ) -> Frames {
        Frames {
            server: server.clone(),
            closed,
            account_id: account_id.to_owned(),
            from,
            read_to: (from <= 1).then(|| beginning(account_id)),
            until: head,
            rows_alone: false,
            source: rows(server, account_id, from, head.sequence),
        }
    }

    /// Begins to read where the rows begin, wherever that is.
    pub fn of_rows(server: &PgServer, account_id: &str, head: Head) -> Frames {
        Frames {
            rows_alone: true,
            ..Frames::open(server, None, account_id, 1, head)
        }
    }

    /// Returns the records, each once its batch was found whole and in its place.
    pub fn records(mut self) -> impl Iterator<Item = Result<Record, JournalError>> + Send {
        let mut batch = Vec::new().into_iter();
        let mut ended = false;
        std::iter::from_fn(move || {
            loop {
                if let Some(record) = batch.next() {
                    return Some(Ok(record));
                }
                if ended {
                    return None;
                }
                match self.next_batch() {
                    Ok(Some(records)) => batch = records.into_iter(),
                    Ok(None) => ended = true,
                    Err(error) => {
                        ended = true;
                        return Some(Err(error));
                    }
                }
            }
        })
    }

    /// Returns the end of what was read and found whole.
    pub fn read_to(&self) -> Head {
        self.read_to.unwrap_or_else(|| beginning(&self.account_id))
    }

    /// Returns the records of the next batch, `None` behind the last.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Record>>, StorageError> {
        loop {
            if let Some(at) = self.read_to.filter(|at| at.sequence >= self.until.sequence) {
                return (at == self.until)
                    .then_some(None)
                    .ok_or_else(|| self.short());
            }
            if self.from > self.until.sequence {
                return Ok(None);
            }
            match &mut self.source {
                Source::Rows(rows) => match rows.recv() {
                    Ok(item) => match item? {
                        Item::Base(base) => self.begin(base)?,
                        Item::Frame(frame) => return self.take(&frame).map(Some),
                    },
                    Err(_) => return Err(self.short()),
                },
                Source::Objects(past) => {
                    if let Some(records) = past.next_batch(&mut self.read_to, self.from)? {
                        return Ok(Some(records));
                    }
                    let behind = self.expected();
                    self.source = rows(&self.server, &self.account_id, behind, self.until.sequence);
                }
            }
        }
    }

    /// The sequence that the next batch begins with, or holds.
    fn expected(&self) -> u64 {
        self.read_to.map_or(self.from, |at| at.sequence + 1).max(1)
    }

    /// Goes to the objects where the rows begin later.
    fn begin(&mut self, base: Head) -> Result<(), StorageError> {
        let next = self.expected();
        if self.rows_alone {
            self.read_to = Some(base);
            return Ok(());
        }
        if base.sequence >= next {
            let closed = self.closed.clone().ok_or_else(|| self.elsewhere(base))?;
            self.source = Source::Objects(Box::new(Past::open(closed, next, base)?));
            return Ok(());
        }
        if base.sequence + 1 == next && *self.read_to.get_or_insert(base) != base {
            return Err(base::damaged(&self.account_id, next, Damage::Chain));
        }
        Ok(())
    }

    fn elsewhere(&self, base: Head) -> StorageError {
        StorageError::Setting {
            variable: "APEX_S3_ENDPOINT",
            detail: format!(
                "is not set, and records 1 to {} of account {} were moved to a bucket: set \
                 APEX_S3_* as they were",
                base.sequence, self.account_id
            ),
        }
    }

    fn bad(&self, reason: Damage) -> StorageError {
        let position = Position {
            segment: format!("journal_frame of {}", self.account_id),
            offset: 0,
            sequence: self.read_to.map_or(0, |at| at.sequence + 1),
        };
        StorageError::Damaged { position, reason }
    }

    /// Takes a row's frame, and returns its records.
    fn take(&mut self, frame: &[u8]) -> Result<Vec<Record>, StorageError> {
        let header = Header::parse(frame).map_err(|_| self.bad(Damage::Checksum))?;
        if header.frame_bytes() != frame.len() {
            return Err(self.bad(Damage::Malformed("frame length")));
        }
        let expected = match self.read_to {
            Some(at) => at.sequence + 1,
            // It holds the first record asked for.
            None => header.first.min(self.from.max(1)),
        };
        let chain = self.read_to.map(|at| at.chain);
        let checked = check_frame(&header, frame, expected, chain.as_ref());
        checked.map_err(|reason| self.bad(reason))?;
        self.read_to = Some(end_of(&header));
        Ok(records_of(&header, frame, self.from))
    }

    /// The error of rows that ended before the journal does, or with another chain.
    fn short(&self) -> StorageError {
        let found = self.read_to.map_or(0, |at| at.sequence);
        let expected = self.until.sequence;
        let reason = if found == expected {
            Damage::Chain
        } else {
            Damage::Sequence { expected, found }
        };
        let position = Position {
            segment: format!("journal_frame of {}", self.account_id),
            offset: 0,
            sequence: found + 1,
        };
        StorageError::Damaged { position, reason }
    }
}

/// Returns the head with a batch.
fn end_of(header: &Header) -> Head {
    Head {
        sequence: header.last,
        chain: header.chain,
    }
}

/// Returns the records of a whole frame from a sequence on.
fn records_of(header: &Header, frame: &[u8], from: u64) -> Vec<Record> {
    let mut body = header.body(frame).unwrap_or_default();
    let mut records = Vec::with_capacity(header.records as usize);
    while let Some(record) = next_record(&mut body) {
        if record.sequence >= from {
            records.push(record.to_record());
        }
    }
    records
}

/// Asks for rows, beside the caller.
fn rows(server: &PgServer, account_id: &str, from: u64, until: u64) -> Source {
    let (sender, rows) = mpsc::sync_channel(AHEAD);
    let (on, id) = (server.clone(), account_id.to_owned());
    let (first, last) = (from.min(i64::MAX as u64) as i64, until as i64);
    server.spawn(async move {
        match stream(&on, &id, first, last).await {
            Ok((_client, base, rows)) => {
                // There is room for the first.
                if sender.try_send(Ok(Item::Base(base))).is_ok() {
                    hand_over(&on, Box::pin(rows), sender).await;
                }
            }
            // Nobody listens any more, or there is room for the first.
            Err(error) => drop(sender.try_send(Err(error))),
        }
    });
    Source::Rows(rows)
}

/// Asks for the batches on a connection of its own: the reader may be slow, and nobody waits behind
/// it. With its end the transaction ends, which reads only.
async fn stream(
    on: &PgServer,
    account_id: &str,
    first: i64,
    last: i64,
) -> Result<(Client, Head, RowStream), StorageError> {
    let client = on.connection().await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    on.within(client.batch_execute(begin)).await?;
    let base = base::read(on, &client, account_id).await?;
    // What is in front of it nobody reads.
    let first = first.max(base.sequence as i64 + 1);
    let asked = "SELECT frame FROM journal_frame WHERE account_id = $1 \
                 AND last_sequence >= $2 AND last_sequence <= $3 ORDER BY last_sequence";
    let statement = on.within(client.prepare(asked)).await?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&account_id, &first, &last];
    let rows = on.within(client.query_raw(&statement, parameters)).await?;
    Ok((client, base, rows))
}

async fn hand_over(
    server: &PgServer,
    mut rows: Pin<Box<RowStream>>,
    sender: mpsc::SyncSender<Result<Item, StorageError>>,
) {
    loop {
        let next = match rows.try_next().await {
            Ok(Some(row)) => row
                .try_get::<_, Vec<u8>>(0)
                .map(Item::Frame)
                .map_err(|error| server.failed(&error)),
            Ok(None) => return,
            Err(error) => Err(server.failed(&error)),
        };
        let is_last = next.is_err();
        // The reader is on another thread and may be slow; this one has others to serve.
        let sent = sender.clone();
        let sent = tokio::task::spawn_blocking(move || sent.send(next).is_ok()).await;
        if is_last || !sent.unwrap_or(false) {
            return;
        }
    }
}

/// Returns a journal's end as its row tells it.
pub(super) fn chain_of_row(
    account_id: &str,
    sequence: i64,
    chain: &[u8],
) -> Result<Head, StorageError> {
    let chain = chain_of(chain).ok_or_else(|| malformed(account_id, sequence))?;
    Ok(Head {
        sequence: sequence as u64,
        chain,
    })
}

/// Returns the error of a head that does not decode.
fn malformed(account_id: &str, sequence: i64) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: format!("journal_account of {account_id}"),
            offset: 0,
            sequence: sequence as u64,
        },
        reason: Damage::Malformed("chain hash"),
    }
}
