//! Where the rows of a journal begin, once older batches were moved to the store of objects.
//!
//! The base is set in a transaction of its own, before any row goes: whatever is cut off behind it
//! leaves rows in front of the base, which nobody reads and the next cut or start removes.

use super::read::chain_of_row;
use super::server::{Parameters, PgServer};
use crate::StorageError;
use crate::embedded::{base_check_sum, beginning};
use crate::error::{Damage, Position};
use crate::port::journal::Head;
use tokio_postgres::Client;

/// Rows that one statement removes: the largest frames take it half a second, small ones
/// milliseconds, and a commit beside it waits for neither.
const REMOVED: i64 = 500;

/// Returns the last record that is no longer among the rows of an account; that of an empty journal
/// where they begin with the first.
///
/// Errors: `Damaged` when the row is not what was written, `Unavailable`.
pub(super) async fn read(
    on: &PgServer,
    client: &Client,
    account_id: &str,
) -> Result<Head, StorageError> {
    let asked = "SELECT sequence, chain, check_sum FROM journal_base WHERE account_id = $1";
    let Some(row) = on.query_opt(client, asked, &[&account_id]).await? else {
        return Ok(beginning(account_id));
    };
    let (sequence, chain): (i64, Vec<u8>) = (row.get(0), row.get(1));
    let base = chain_of_row(account_id, sequence, &chain)?;
    if row.get::<_, Vec<u8>>(2) != base_check_sum(account_id, &base) {
        return Err(damaged(account_id, base.sequence, Damage::Checksum));
    }
    Ok(base)
}

pub(super) fn damaged(account_id: &str, sequence: u64, reason: Damage) -> StorageError {
    let position = Position {
        segment: format!("journal_base of {account_id}"),
        offset: 0,
        sequence,
    };
    StorageError::Damaged { position, reason }
}

/// Sets the base of an account, which only moves forward and only to the end of a batch that is
/// there. The account's row is held for the statement alone, so that no owner comes in between.
///
/// Errors: `Fenced` when another owner has the account; `Damaged` when no batch ends there;
/// `Unavailable`, when it may be set or not.
pub(super) async fn set(
    on: &PgServer,
    account_id: &str,
    epoch: i64,
    base: Head,
) -> Result<(), StorageError> {
    let client = on.shared().await?;
    let set = "
        WITH owned AS (
            SELECT sequence FROM journal_account
            WHERE account_id = $1 AND epoch = $2 FOR SHARE
        )
        INSERT INTO journal_base AS base (account_id, sequence, chain, check_sum, epoch)
        SELECT $1, $3, $4, $5, $2 FROM owned
        WHERE owned.sequence >= $3 AND EXISTS (
            -- The link of the chain in the frame's header.
            SELECT 1 FROM journal_frame
            WHERE account_id = $1 AND last_sequence = $3 AND substring(frame FROM 33 FOR 32) = $4
        )
        ON CONFLICT (account_id) DO UPDATE
        SET sequence = excluded.sequence, chain = excluded.chain,
            check_sum = excluded.check_sum, epoch = excluded.epoch, moved_at = now()
        WHERE base.sequence < excluded.sequence";
    let check_sum = base_check_sum(account_id, &base);
    let (sequence, chain) = (base.sequence as i64, &base.chain.0[..]);
    let parameters: Parameters<'_> = &[&account_id, &epoch, &sequence, &chain, &&check_sum[..]];
    if on.execute(&client, set, parameters).await? == 1 {
        return Ok(());
    }
    let asked = "SELECT epoch FROM journal_account WHERE account_id = $1";
    let row = on.query_opt(&client, asked, &[&account_id]).await?;
    let found: i64 = row.map_or(0, |row| row.get(0));
    if found != epoch {
        return Err(StorageError::Fenced {
            account_id: account_id.to_owned(),
            epoch: epoch as u64,
            found: found as u64,
        });
    }
    // It was set by an attempt before whose answer was lost, or is further on already. One at the same
    // record with another chain is of another history.
    let there = read(on, &client, account_id).await?;
    if there == base || there.sequence > base.sequence {
        return Ok(());
    }
    Err(damaged(account_id, base.sequence, Damage::Chain))
}

/// Removes the rows up to a base that is set. Whoever does it, and however often, the same rows go.
///
/// Errors: `Unavailable`; the rest goes later.
pub(super) async fn remove_rows(
    on: &PgServer,
    account_id: &str,
    base: Head,
) -> Result<(), StorageError> {
    let client = on.connection().await?;
    let remove = "
        WITH gone AS (
            DELETE FROM journal_frame WHERE account_id = $1 AND last_sequence IN (
                SELECT last_sequence FROM journal_frame
                WHERE account_id = $1 AND last_sequence > $2 AND last_sequence <= $3
                ORDER BY last_sequence LIMIT $4
            ) RETURNING last_sequence
        )
        SELECT max(last_sequence) FROM gone";
    let up_to = base.sequence as i64;
    // Each looks behind what the one before removed, which stays in the index for a while.
    let mut behind = 0_i64;
    loop {
        let parameters: Parameters<'_> = &[&account_id, &behind, &up_to, &REMOVED];
        let row = on.query_one(&client, remove, parameters).await?;
        match row.get::<_, Option<i64>>(0) {
            Some(last) => behind = last,
            None => return Ok(()),
        }
    }
}
