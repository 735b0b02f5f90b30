//! Moves old batches to the store of objects, as segments of the embedded journal's form.
//!
//! A segment goes once two whole snapshots are behind its last record and the newest segments are
//! behind it. The steps, each durable before the next: its batches are checked against the chain and
//! stored as an object; the base of the rows is set behind it ([`super::base`]); the rows go.
//!
//! **Nothing fences a store of objects**: the job of an owner that was replaced may still run beside
//! that of the new one. So where a segment ends follows from the base and the batches alone, and
//! both store the same bytes under the same key. An object that is there is never stored again: it
//! is read and has to hold just these bytes, or nothing is moved.

use super::base;
use super::server::PgServer;
use super::snapshots;
use crate::StorageError;
use crate::embedded::{ClosedSegments, Header, check_frame};
use crate::error::{Damage, Position};
use crate::port::journal::{Closed, ClosingJob, Head};
use crate::port::objects::damaged_by;
use futures::TryStreamExt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

/// A segment ends at the first batch with which it has so many bytes. Never changed of a store of
/// objects: a job that was cut off before the base was set has left segments of this size, and one of
/// an owner that was replaced may store another yet. One is held in memory at a time.
pub const SEGMENT_BYTES: u64 = 4 << 20;

/// The newest batches that stay, as much as the embedded journal keeps. What clients ask for again is
/// mostly of the last hours.
pub const KEPT_BYTES: u64 = 32 << 20;

/// What a journal hands over to be moved.
pub(super) struct Leaving {
    pub server: PgServer,
    pub account_id: String,
    pub epoch: i64,
    /// The last durable record.
    pub head: u64,
    pub closed: ClosedSegments,
    pub segment_bytes: u64,
    pub kept_bytes: u64,
    /// One at a time in a process: each holds a segment in memory.
    pub one: Arc<Mutex<()>>,
}

impl Leaving {
    /// Returns the work of finding out what may go, and of storing it, for any thread.
    pub fn job(self) -> ClosingJob {
        Box::new(move || self.run())
    }

    fn run(&self) -> Result<Option<Closed>, StorageError> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let look = Look {
            server: self.server.clone(),
            account_id: self.account_id.clone(),
            epoch: self.epoch,
            head: self.head,
            segment_bytes: self.segment_bytes,
            kept_bytes: self.kept_bytes,
        };
        let (client, begin, ends) = self.server.wait(look.run())?;
        let mut base = begin;
        for last in ends {
            let (head, bytes) = self.segment(&client, base, last)?;
            self.store(base.sequence + 1, &bytes)?;
            base = head;
        }
        Ok((base != begin).then_some(Closed { base }))
    }

    /// Returns the batches behind `before` up to a record, checked, and the head with them.
    fn segment(
        &self,
        client: &Arc<Client>,
        before: Head,
        last: u64,
    ) -> Result<(Head, Vec<u8>), StorageError> {
        let (on, client, id) = (self.server.clone(), client.clone(), self.account_id.clone());
        let (behind, up_to) = (before.sequence as i64, last as i64);
        let rows = self.server.wait(async move {
            let asked = "SELECT frame FROM journal_frame WHERE account_id = $1 \
                         AND last_sequence > $2 AND last_sequence <= $3 ORDER BY last_sequence";
            on.query(&client, asked, &[&id, &behind, &up_to]).await
        })?;
        let (mut head, mut bytes) = (before, Vec::new());
        for row in rows {
            let frame: &[u8] = row.get(0);
            let expected = head.sequence + 1;
            let bad = |reason| self.bad(expected, reason);
            let header = Header::parse(frame).map_err(|_| bad(Damage::Checksum))?;
            if header.frame_bytes() != frame.len() {
                return Err(bad(Damage::Malformed("frame length")));
            }
            check_frame(&header, frame, expected, Some(&head.chain)).map_err(bad)?;
            bytes.extend_from_slice(frame);
            head = Head {
                sequence: header.last,
                chain: header.chain,
            };
        }
        if head.sequence == last {
            return Ok((head, bytes));
        }
        let (expected, found) = (last, head.sequence);
        Err(self.bad(expected, Damage::Sequence { expected, found }))
    }

    fn bad(&self, sequence: u64, reason: Damage) -> StorageError {
        let position = Position {
            segment: format!("journal_frame of {}", self.account_id),
            offset: 0,
            sequence,
        };
        StorageError::Damaged { position, reason }
    }

    /// Stores a segment, unless it is there.
    fn store(&self, first: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let (key, objects) = (self.closed.key(first)?, self.closed.objects());
        match objects.get(&key)? {
            Some(found) if found == bytes => Ok(()),
            Some(_) => Err(damaged_by(&key, Damage::OtherContent)),
            None => objects.put(&key, &mut &bytes[..]).map(drop),
        }
    }
}

/// The search for what may go, without the store of objects.
struct Look {
    server: PgServer,
    account_id: String,
    epoch: i64,
    head: u64,
    segment_bytes: u64,
    kept_bytes: u64,
}

impl Look {
    /// Returns a connection, the base, and the last record of each segment that may go.
    async fn run(self) -> Result<(Arc<Client>, Head, Vec<u64>), StorageError> {
        let on = &self.server;
        let client = on.connection().await?;
        let asked = "SELECT epoch FROM journal_account WHERE account_id = $1";
        let row = on.query_opt(&client, asked, &[&self.account_id]).await?;
        let found: i64 = row.map_or(0, |row| row.get(0));
        if found != self.epoch {
            return Err(StorageError::Fenced {
                account_id: self.account_id,
                epoch: self.epoch as u64,
                found: found as u64,
            });
        }
        let base = base::read(on, &client, &self.account_id).await?;
        let mut ends = Vec::new();
        if let Some(covered) = self.covered(&client).await?
            && covered > base.sequence
        {
            ends = self.ends(&client, base, covered).await?;
        }
        Ok((Arc::new(client), base, ends))
    }

    /// Returns the sequence of the older one of two whole snapshots: a start takes it, or the newer
    /// one. `None` with fewer.
    async fn covered(&self, client: &Client) -> Result<Option<u64>, StorageError> {
        let mut at_most = self.head;
        for is_older in [false, true] {
            let found = snapshots::newest_on(&self.server, client, &self.account_id, at_most);
            let Some(found) = found.await? else {
                return Ok(None);
            };
            if is_older {
                return Ok(Some(found.sequence));
            }
            let Some(below) = found.sequence.checked_sub(1) else {
                return Ok(None);
            };
            at_most = below;
        }
        Ok(None)
    }

    /// Returns where segments end behind the base, up to a record and but for the newest. Lengths
    /// are read as a stream, and no batch.
    async fn ends(
        &self,
        client: &Client,
        base: Head,
        covered: u64,
    ) -> Result<Vec<u64>, StorageError> {
        let on = &self.server;
        let asked = "SELECT last_sequence, octet_length(frame) FROM journal_frame \
                     WHERE account_id = $1 AND last_sequence > $2 ORDER BY last_sequence";
        let behind = base.sequence as i64;
        let parameters: [&(dyn ToSql + Sync); 2] = [&self.account_id, &behind];
        let rows = on.within(client.query_raw(asked, parameters)).await?;
        let mut rows = std::pin::pin!(rows);
        let mut ends = Ends::new(self.segment_bytes);
        while let Some(row) = on.within(rows.try_next()).await? {
            let (last, bytes): (i64, i32) = (row.get(0), row.get(1));
            ends.add(last as u64, bytes as u64);
        }
        Ok(ends.leaving(covered, self.kept_bytes))
    }
}

/// Where segments end.
struct Ends {
    segment_bytes: u64,
    /// Bytes seen, and those of them in the segment that has not ended.
    total: u64,
    open: u64,
    /// The last record of each segment, and the bytes up to it.
    ends: Vec<(u64, u64)>,
}

impl Ends {
    fn new(segment_bytes: u64) -> Ends {
        Ends {
            segment_bytes,
            total: 0,
            open: 0,
            ends: Vec::new(),
        }
    }

    fn add(&mut self, last: u64, bytes: u64) {
        self.total += bytes;
        self.open += bytes;
        if self.open >= self.segment_bytes {
            self.ends.push((last, self.total));
            self.open = 0;
        }
    }

    fn leaving(self, covered: u64, kept: u64) -> Vec<u64> {
        let goes = |end: &(u64, u64)| end.0 <= covered && self.total - end.1 >= kept;
        let ends = self.ends.into_iter().take_while(goes);
        ends.map(|(last, _)| last).collect()
    }
}

#[cfg(test)]
mod measured;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watched;
