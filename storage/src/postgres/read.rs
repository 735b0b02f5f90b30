//! Reading an account's batches back, one after the other and never many at a time.

use super::group::chain_of;
use super::server::PgServer;
use crate::StorageError;
use crate::embedded::{Header, genesis, next_record};
use crate::error::{Damage, Position};
use crate::port::journal::{ChainHash, Head, JournalError, Record};
use futures::TryStreamExt;
use std::pin::Pin;
use std::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, RowStream};

/// Batches that are read ahead.
const AHEAD: usize = 16;

/// The batches of an account from one that holds a sequence on.
pub(super) struct Frames {
    rows: mpsc::Receiver<Result<Vec<u8>, StorageError>>,
    account_id: String,
    from: u64,
    /// The first sequence of the next batch, and the link before it; not known before the first
    /// batch of a reader that begins later than the journal.
    next: Option<(u64, ChainHash)>,
    until: u64,
}

impl Frames {
    /// Begins to read. Nothing is waited for here: that the server does not answer is told as the
    /// first batch, on the thread that reads.
    pub fn open(server: &PgServer, account_id: &str, from: u64, head: Head) -> Frames {
        let (sender, rows) = mpsc::sync_channel(AHEAD);
        let (on, id) = (server.clone(), account_id.to_owned());
        let (first, last) = (from.min(i64::MAX as u64) as i64, head.sequence as i64);
        server.spawn(async move {
            match stream(&on, &id, first, last).await {
                Ok((_client, rows)) => hand_over(&on, Box::pin(rows), sender).await,
                // Nobody listens any more, or there is room for the first.
                Err(error) => drop(sender.try_send(Err(error))),
            }
        });
        Frames {
            rows,
            account_id: account_id.to_owned(),
            from,
            next: (from <= 1).then(|| (1, genesis(account_id))),
            until: head.sequence,
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
        let (next, chain) = self.next.unwrap_or_else(|| (1, genesis(&self.account_id)));
        Head {
            sequence: next - 1,
            chain,
        }
    }

    /// Returns the records of the next batch, `None` behind the last.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Record>>, StorageError> {
        let frame = match self.rows.recv() {
            Ok(frame) => frame?,
            Err(_) => return self.end(),
        };
        let expected = self.next.map_or(0, |(sequence, _)| sequence);
        let bad = |reason| StorageError::Damaged {
            position: Position {
                segment: format!("journal_frame of {}", self.account_id),
                offset: 0,
                sequence: expected,
            },
            reason,
        };
        let header = Header::parse(&frame).map_err(|_| bad(Damage::Checksum))?;
        if header.frame_bytes() != frame.len() {
            return Err(bad(Damage::Malformed("frame length")));
        }
        let mut body = header.body(&frame).ok_or_else(|| bad(Damage::Checksum))?;
        if let Some((sequence, chain)) = &self.next {
            if header.first != *sequence {
                return Err(bad(Damage::Sequence {
                    expected: *sequence,
                    found: header.first,
                }));
            }
            if !header.follows(chain, &frame, body) {
                return Err(bad(Damage::Chain));
            }
        } else if header.first > self.from.max(1) {
            return Err(bad(Damage::Sequence {
                expected: self.from.max(1),
                found: header.first,
            }));
        }
        let mut records = Vec::with_capacity(header.records as usize);
        while let Some(record) = next_record(&mut body) {
            if record.sequence >= self.from {
                records.push(record.to_record());
            }
        }
        self.next = Some((header.last + 1, header.chain));
        Ok(Some(records))
    }

    /// Checks that the rows ended where the journal does.
    fn end(&self) -> Result<Option<Vec<Record>>, StorageError> {
        let read_to = self.next.map_or(0, |(next, _)| next - 1);
        let is_whole = read_to == self.until || self.from > self.until;
        if is_whole || self.until == 0 {
            return Ok(None);
        }
        Err(StorageError::Damaged {
            position: Position {
                segment: format!("journal_frame of {}", self.account_id),
                offset: 0,
                sequence: read_to + 1,
            },
            reason: Damage::Sequence {
                expected: self.until,
                found: read_to,
            },
        })
    }
}

/// Asks for the batches on a connection of its own: the reader may be slow, and nobody waits behind
/// it.
async fn stream(
    on: &PgServer,
    account_id: &str,
    first: i64,
    last: i64,
) -> Result<(Client, RowStream), StorageError> {
    let client = on.connection().await?;
    let asked = "SELECT frame FROM journal_frame WHERE account_id = $1 \
                 AND last_sequence >= $2 AND last_sequence <= $3 ORDER BY last_sequence";
    let statement = on.within(client.prepare(asked)).await?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&account_id, &first, &last];
    let rows = on.within(client.query_raw(&statement, parameters)).await?;
    Ok((client, rows))
}

async fn hand_over(
    server: &PgServer,
    mut rows: Pin<Box<RowStream>>,
    sender: mpsc::SyncSender<Result<Vec<u8>, StorageError>>,
) {
    loop {
        let next = match rows.try_next().await {
            Ok(Some(row)) => row
                .try_get::<_, Vec<u8>>(0)
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
