//! Group commit: batches of many accounts in one statement.
//!
//! Each account has at most one batch under way, since its journal waits for it, so batches of one
//! account never overtake each other. Writers take what is there when they are free: at rest one
//! batch goes alone at once, and under load the groups grow by themselves.
//!
//! A group that the server refuses for a reason of its content is halved until the batches that it
//! refuses stand alone: these are answered at once, and the others are stored.

use super::server::{Failure, Parameters, PgServer};
use crate::embedded::Header;
use crate::port::journal::{ChainHash, Head};
use crate::{Lasting, Outage, StorageError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, mpsc as blocking};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Client, Statement};

/// Batches that may wait for a writer. Each account has one at most, so this is a bound on
/// accounts, not on orders.
const WAITING: usize = 4_096;

/// Batches and bytes of one statement.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 8 << 20;

/// Statements under way at a time: while one waits for the server's disk the next is sent. More of
/// them make smaller groups, which cost the server more than the wait (benches/RESULTS.md).
const WRITERS: usize = 2;

/// From the first pause between two attempts, doubled each time, to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// A batch on its way: one row, or the rows of a reserve that become durable together.
pub(super) struct Batch {
    pub account_id: String,
    pub epoch: i64,
    pub before: Head,
    pub after: Head,
    /// In order, the first behind `before` and the last up to `after`.
    pub rows: Vec<Row>,
    /// An attempt at it ended without an answer, and may still be carried out.
    pub in_doubt: bool,
    pub done: blocking::SyncSender<Result<(), StorageError>>,
}

/// A frame with its first and last sequence.
pub(super) struct Row {
    pub first: u64,
    pub last: u64,
    pub frame: Vec<u8>,
}

impl Batch {
    fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row.frame.len()).sum()
    }

    /// Goes on behind the head where that is the end of one of its rows but for the last. Returns false
    /// where it is none.
    fn go_on_behind(&mut self, head: Head) -> bool {
        let ends_there = |row: &Row| row.last == head.sequence && row.chain() == Some(head.chain);
        let place = self.rows.iter().position(ends_there);
        let Some(next) = place.map(|place| place + 1) else {
            return false;
        };
        if next == self.rows.len() {
            return false;
        }
        self.rows.drain(..next);
        self.before = head;
        true
    }
}

impl Row {
    /// The link of the chain with it.
    fn chain(&self) -> Option<ChainHash> {
        let header = Header::parse(&self.frame).ok();
        header.map(|header| header.chain)
    }
}

/// Where batches go.
#[derive(Clone)]
pub(super) struct Group {
    queue: mpsc::Sender<Batch>,
}

impl Group {
    pub fn start(server: &PgServer) -> Group {
        let (queue, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let outage = Arc::default();
        for _ in 0..WRITERS {
            let writer = Writer {
                server: server.clone(),
                connected: None,
                waiting: waiting.clone(),
                outage: Arc::clone(&outage),
            };
            server.spawn(writer.run());
        }
        Group { queue }
    }

    /// Hands a batch over. Fails only when no writer is left.
    pub fn send(&self, batch: Batch) -> Result<(), Box<Batch>> {
        let sent = self.queue.try_send(batch);
        sent.map_err(|refused| Box::new(refused.into_inner()))
    }
}

struct Writer {
    server: PgServer,
    /// The connection, with its statement prepared.
    connected: Option<(Client, Statement)>,
    waiting: Arc<Mutex<mpsc::Receiver<Batch>>>,
    /// Of the server, which all writers have in common.
    outage: Arc<StdMutex<Outage>>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(group) = self.next_group().await {
            self.store(group).await;
        }
    }

    async fn next_group(&self) -> Option<Vec<Batch>> {
        let mut waiting = self.waiting.lock().await;
        let first = waiting.recv().await?;
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP && bytes < GROUP_BYTES {
            let Ok(batch) = waiting.try_recv() else { break };
            bytes += batch.bytes();
            group.push(batch);
        }
        Some(group)
    }

    /// Stores a group and answers each batch of it. What the server refuses is halved until it
    /// stands alone; nothing of a refused statement is stored.
    async fn store(&mut self, group: Vec<Batch>) {
        let mut parts = vec![group];
        while let Some(part) = parts.pop() {
            let Some((mut part, detail)) = self.store_or_refuse(part).await else {
                continue;
            };
            if part.len() > 1 {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
                continue;
            }
            for batch in part {
                answer(&batch, Err(self.refused(&batch, &detail)));
            }
        }
    }

    /// Stores batches together and answers each, however often it takes. Returns those that are left
    /// when the server refuses them, and what it said.
    async fn store_or_refuse(&mut self, mut group: Vec<Batch>) -> Option<(Vec<Batch>, String)> {
        let begun = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let trouble = match self.attempt(&mut group).await {
                Ok(()) => {
                    self.works();
                    return None;
                }
                Err(Failure::Refused(detail)) => return Some((group, detail)),
                Err(Failure::Trouble(trouble)) => trouble,
            };
            // What this connection still does is not known: the next attempt finds it out.
            self.connected = None;
            if begun.elapsed() > self.server.options().give_up {
                for batch in group {
                    answer(&batch, Err(trouble.clone()));
                }
                return None;
            }
            self.waits(&trouble, group.len());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        // Each change is whole before anything can panic.
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self, trouble: &StorageError, batches: usize) {
        if let Some(Lasting { failures, seconds }) = self.outage().failed(Instant::now()) {
            tracing::warn!(
                error = %trouble,
                batches,
                failures,
                seconds,
                "journal waits for PostgreSQL, which is tried again"
            );
        }
    }

    fn works(&self) {
        if let Some(Lasting { failures, seconds }) = self.outage().over(Instant::now()) {
            tracing::info!(failures, seconds, "PostgreSQL takes the journal again");
        }
    }

    /// The error of a batch that the server refuses by itself. While an earlier attempt may still be
    /// carried out, that it is not stored would be too much to say.
    fn refused(&self, batch: &Batch, detail: &str) -> StorageError {
        let (id, first, last) = (
            &batch.account_id,
            batch.before.sequence + 1,
            batch.after.sequence,
        );
        let what = format!("records {first} to {last} of account {id}");
        tracing::error!(
            account_id = %id,
            first,
            last,
            detail,
            batch.in_doubt,
            "PostgreSQL refuses a batch of this account's journal: the others go on"
        );
        if batch.in_doubt {
            return self.server.unavailable(&format!(
                "it refuses {what}, and an earlier attempt has no answer: {detail}"
            ));
        }
        StorageError::Refused {
            server: format!("PostgreSQL at {}", self.server.name()),
            what,
            detail: detail.to_owned(),
            variable: self.server.options().variable,
        }
    }

    /// One attempt. What was answered is taken out of the group.
    async fn attempt(&mut self, group: &mut Vec<Batch>) -> Result<(), Failure> {
        if self
            .connected
            .as_ref()
            .is_none_or(|(client, _)| client.is_closed())
        {
            let client = self.server.connection().await?;
            // It may have been started again with other settings.
            self.server.check_keeps(&client).await?;
            self.server.within(client.batch_execute(PLAN_ONCE)).await?;
            let statement = self.server.within(client.prepare(WRITE)).await?;
            self.connected = Some((client, statement));
        }
        let Some((client, statement)) = &self.connected else {
            return Err(self.server.unavailable("there is no connection").into());
        };
        // In one order in all statements, so that two that share accounts do not lock crosswise.
        group.sort_by(|one, other| {
            (&one.account_id, one.epoch).cmp(&(&other.account_id, other.epoch))
        });
        // Each time something is answered, or a batch has fewer rows left.
        while !group.is_empty() {
            let written = self.write(client, statement, group).await;
            if let Err(Failure::Trouble(_)) = &written {
                group.iter_mut().for_each(|batch| batch.in_doubt = true);
            }
            let moved = written?;
            let mut place = 0;
            group.retain(|batch| {
                let is_moved = moved.contains(&place);
                place += 1;
                if is_moved {
                    answer(batch, Ok(()));
                }
                !is_moved
            });
            self.look_up(client, group).await?;
        }
        Ok(())
    }

    /// Finds out what became of batches that moved nothing, and answers them. One of which an attempt
    /// before it has stored the first rows stays, with the rest: that attempt was of a shorter batch,
    /// which was given up without an answer.
    async fn look_up(&self, client: &Client, group: &mut Vec<Batch>) -> Result<(), StorageError> {
        let mut place = 0;
        while let Some(batch) = group.get_mut(place) {
            let asked = "SELECT epoch, sequence, chain FROM journal_account WHERE account_id = $1";
            let parameters: Parameters<'_> = &[&batch.account_id];
            let row = self.server.query_opt(client, asked, parameters).await?;
            let account = row.map(|row| (row.get(0), row.get(1), row.get::<_, Vec<u8>>(2)));
            if let Some((epoch, sequence, chain)) = &account
                && *epoch == batch.epoch
                && let Some(chain) = chain_of(chain)
                && batch.go_on_behind(Head {
                    sequence: *sequence as u64,
                    chain,
                })
            {
                place += 1;
                continue;
            }
            answer(batch, outcome(batch, account));
            group.remove(place);
        }
        Ok(())
    }

    /// Writes the batches whose account still stands before them, and returns the places of those
    /// in the group.
    async fn write(
        &self,
        client: &Client,
        statement: &Statement,
        group: &[Batch],
    ) -> Result<BTreeSet<i64>, Failure> {
        let accounts: Vec<&str> = column(group, |batch| batch.account_id.as_str());
        let epochs: Vec<i64> = column(group, |batch| batch.epoch);
        let before: Vec<i64> = column(group, |batch| batch.before.sequence as i64);
        let before_chains: Vec<&[u8]> = column(group, |batch| &batch.before.chain.0[..]);
        let after: Vec<i64> = column(group, |batch| batch.after.sequence as i64);
        let after_chains: Vec<&[u8]> = column(group, |batch| &batch.after.chain.0[..]);
        let rows: Vec<(i64, &Row)> = (0..)
            .zip(group)
            .flat_map(|(place, batch)| batch.rows.iter().map(move |row| (place, row)))
            .collect();
        let places: Vec<i64> = rows.iter().map(|(place, _)| *place).collect();
        let firsts: Vec<i64> = rows.iter().map(|(_, row)| row.first as i64).collect();
        let lasts: Vec<i64> = rows.iter().map(|(_, row)| row.last as i64).collect();
        let frames: Vec<&[u8]> = rows.iter().map(|(_, row)| &row.frame[..]).collect();
        let parameters: Parameters<'_> = &[
            &accounts,
            &epochs,
            &before,
            &before_chains,
            &after,
            &after_chains,
            &places,
            &firsts,
            &lasts,
            &frames,
        ];
        let asked = self.server.query_or_refusal(client, statement, parameters);
        let rows = asked.await?;
        // Without a row there is no array to speak of.
        let moved = rows
            .first()
            .and_then(|row| row.get::<_, Option<Vec<i64>>>(0));
        Ok(moved.unwrap_or_default().into_iter().collect())
    }
}

/// Returns what became of a batch that moved nothing, by the epoch, sequence and chain of its account:
/// an earlier attempt has stored it, or the account has another owner.
fn outcome(batch: &Batch, account: Option<(i64, i64, Vec<u8>)>) -> Result<(), StorageError> {
    let Some((epoch, sequence, chain)) = account else {
        return Err(fenced(batch, 0));
    };
    if epoch != batch.epoch {
        // Even where it was stored: this owner may not act on it any more.
        return Err(fenced(batch, epoch));
    }
    if sequence as u64 == batch.after.sequence && chain == batch.after.chain.0 {
        return Ok(());
    }
    Err(StorageError::Damaged {
        position: crate::error::Position {
            segment: format!("journal_account of {}", batch.account_id),
            offset: 0,
            sequence: batch.before.sequence,
        },
        reason: crate::error::Damage::Sequence {
            expected: batch.before.sequence,
            found: sequence as u64,
        },
    })
}

/// One plan for groups of any size, which goes by each account's key: a plan of its own for each
/// group takes the server longer than what is to be done.
const PLAN_ONCE: &str = "SET plan_cache_mode = force_generic_plan";

/// Moves each account's head and stores its rows, or does neither. Places count from 0.
const WRITE: &str = "
WITH asked AS (
    SELECT * FROM unnest($1::text[], $2::int8[], $3::int8[], $4::bytea[], $5::int8[], $6::bytea[])
    WITH ORDINALITY
    AS asked (account_id, epoch, before, before_chain, after, after_chain, number)
), given AS (
    SELECT * FROM unnest($7::int8[], $8::int8[], $9::int8[], $10::bytea[])
    AS given (place, first_sequence, last_sequence, frame)
), moved AS (
    UPDATE journal_account AS account
    SET sequence = asked.after, chain = asked.after_chain
    FROM asked
    WHERE account.account_id = asked.account_id
      AND account.epoch = asked.epoch
      AND account.sequence = asked.before
      AND account.chain = asked.before_chain
    RETURNING asked.number - 1 AS place, account.account_id, account.epoch
), stored AS (
    INSERT INTO journal_frame (account_id, last_sequence, first_sequence, epoch, frame)
    SELECT moved.account_id, given.last_sequence, given.first_sequence, moved.epoch, given.frame
    FROM given JOIN moved USING (place)
)
SELECT array_agg(place) FROM moved";

fn column<'a, T>(group: &'a [Batch], of: impl Fn(&'a Batch) -> T) -> Vec<T> {
    group.iter().map(of).collect()
}

fn fenced(batch: &Batch, found: i64) -> StorageError {
    StorageError::Fenced {
        account_id: batch.account_id.clone(),
        epoch: batch.epoch as u64,
        found: found as u64,
    }
}

fn answer(batch: &Batch, outcome: Result<(), StorageError>) {
    // The journal that waits can only be gone with its thread.
    let _ = batch.done.send(outcome);
}

/// Returns a chain hash from a column.
pub(super) fn chain_of(bytes: &[u8]) -> Option<ChainHash> {
    bytes.try_into().ok().map(ChainHash)
}

#[cfg(test)]
mod tests;
