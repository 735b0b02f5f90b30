//! An account's snapshots, in a database.

use super::server::{Parameters, PgServer};
use crate::StorageError;
use crate::port::journal::{Snapshot, SnapshotIter};
use std::io;
use std::sync::Arc;
use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_64;

/// Snapshots that are kept of an account: one to restore from, and one in case it is damaged.
const KEPT: i64 = 2;

/// Stores a snapshot and forgets the older ones. Returns false when another owner has the account.
pub(super) async fn store(
    on: PgServer,
    account_id: String,
    epoch: i64,
    sequence: u64,
    state: Vec<u8>,
) -> Result<bool, StorageError> {
    let client = on.shared().await?;
    // Only by the owner, as everything else. The lock lets commits of the account pass: a large
    // state takes longer than they may wait.
    let store = "
        WITH owned AS (
            SELECT 1 FROM journal_account WHERE account_id = $1 AND epoch = $5 FOR KEY SHARE
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
    let (sequence, check_sum) = (sequence as i64, xxh3_64(&state) as i64);
    let parameters: Parameters<'_> = &[&account_id, &sequence, &check_sum, &state, &epoch, &KEPT];
    let row = on.query_one(&client, store, parameters).await?;
    Ok(row.get::<_, i64>(0) == 1)
}

/// Returns why a snapshot is not kept, for whoever goes on all the same: the one before stands, and the
/// next will do. Not so where another owner has the account.
pub(super) fn not_kept(place: &str, error: StorageError) -> StorageError {
    match error {
        StorageError::Fenced { .. } => error,
        error => StorageError::SnapshotFailed {
            path: place.into(),
            source: Arc::new(io::Error::other(error.to_string())),
        },
    }
}

/// Returns the newest whole snapshot at or below a sequence.
pub(super) fn newest(
    server: &PgServer,
    account_id: &str,
    at_most: u64,
) -> Result<Option<Snapshot>, StorageError> {
    let (on, id) = (server.clone(), account_id.to_owned());
    server.wait(async move {
        let client = on.shared().await?;
        newest_on(&on, &client, &id, at_most).await
    })
}

/// As [`newest`], on a connection of the caller's.
pub(super) async fn newest_on(
    on: &PgServer,
    client: &Client,
    account_id: &str,
    at_most: u64,
) -> Result<Option<Snapshot>, StorageError> {
    let mut at_most = at_most;
    loop {
        let asked = "SELECT sequence, check_sum, state FROM journal_snapshot \
                     WHERE account_id = $1 AND sequence <= $2 ORDER BY sequence DESC LIMIT 1";
        let up_to = at_most as i64;
        let row = on.query_opt(client, asked, &[&account_id, &up_to]).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (sequence, check_sum, bytes): (i64, i64, Vec<u8>) =
            (row.get(0), row.get(1), row.get(2));
        let sequence = sequence as u64;
        if xxh3_64(&bytes) as i64 == check_sum {
            return Ok(Some(Snapshot { sequence, bytes }));
        }
        tracing::warn!(account_id, sequence, "snapshot is damaged, passed over");
        let Some(below) = sequence.checked_sub(1) else {
            return Ok(None);
        };
        at_most = below;
    }
}

/// Returns the whole snapshots at or below a sequence, each but the newest read when it is asked for.
///
/// Errors, here or as an item: `Unavailable`: a server that does not answer has not said that there
/// are none, or no others.
pub(super) fn newest_first(
    server: PgServer,
    account_id: String,
    at_most: u64,
) -> Result<SnapshotIter, StorageError> {
    let below = |found: &Option<Snapshot>| found.as_ref()?.sequence.checked_sub(1);
    let newest_of_all = newest(&server, &account_id, at_most)?;
    let mut at_most = below(&newest_of_all);
    let others = std::iter::from_fn(move || {
        let found = newest(&server, &account_id, at_most?);
        // Nothing follows an error.
        at_most = found.as_ref().ok().and_then(below);
        found.transpose()
    });
    Ok(Box::new(newest_of_all.into_iter().map(Ok).chain(others)))
}
