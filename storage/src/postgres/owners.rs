//! Who owns an account's journal, and which data folders may hold a reserve of it.
//!
//! An owner with a reserve says so in the statement by which it becomes the owner, and takes that
//! back at its end, once the server has everything. So a start on another folder knows of what it
//! may lack even where nobody could say it any more.
//!
//! A row without a folder is what an orderly end leaves: so the account's newest row has the epoch of
//! its last owner, unless that one was of a build which noted nothing.

use super::read::chain_of_row;
use super::server::{Parameters, PgServer};
use crate::StorageError;
use crate::embedded::genesis;
use crate::error::ReserveHolder;
use crate::port::journal::Head;
use crate::port::journals::AUDIT_JOURNAL;
use std::fmt;
use tokio_postgres::{Client, Row};

/// The data folder in which an owner keeps its reserve.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub folder_id: String,
    /// Its host and path, for people.
    pub folder: String,
    /// Become the owner even where another folder may hold a reserve.
    pub without_others: bool,
}

/// What a new owner finds.
#[derive(Debug)]
pub(super) struct Taken {
    pub epoch: i64,
    /// The journal's end.
    pub head: Head,
    /// Before, its folder was not said to hold a reserve.
    pub is_marked_anew: bool,
}

/// Becomes the owner of an account whoever had it.
///
/// Errors: `ReserveElsewhere` when another folder may hold a reserve and `keeper` heeds that: nothing
/// is changed then. `Unavailable`, `Damaged`.
pub(super) async fn take(
    on: &PgServer,
    client: &Client,
    account_id: &str,
    keeper: Option<&Keeper>,
) -> Result<Taken, StorageError> {
    // One statement: an owner that is refused must not have stopped the one before.
    let take = "
        WITH elsewhere AS (
            SELECT FROM journal_reserve
            WHERE account_id = $1 AND folder_id NOT IN ($4::text, '') AND NOT $6
        ), taken AS (
            INSERT INTO journal_account AS account (account_id, epoch, sequence, chain, owner)
            SELECT $1, 1, 0, $2, $3 WHERE NOT EXISTS (SELECT FROM elsewhere)
            ON CONFLICT (account_id) DO UPDATE
            SET epoch = account.epoch + 1, owner = excluded.owner, opened_at = now()
            RETURNING epoch, sequence, chain
        ), said AS (
            INSERT INTO journal_reserve (account_id, folder_id, folder, epoch)
            SELECT $1, $4, $5, epoch FROM taken WHERE $4 IS NOT NULL
            ON CONFLICT (account_id, folder_id) DO UPDATE
            SET folder = excluded.folder, epoch = excluded.epoch, opened_at = now()
        )
        SELECT epoch, sequence, chain, NOT EXISTS (
            SELECT FROM journal_reserve WHERE account_id = $1 AND folder_id = $4::text
        ) FROM taken";
    let owner = format!("process {}", std::process::id());
    let empty = genesis(account_id);
    let folder_id = keeper.map(|keeper| keeper.folder_id.as_str());
    let folder = keeper.map(|keeper| keeper.folder.as_str());
    let without_others = keeper.is_none_or(|keeper| keeper.without_others);
    let parameters: Parameters<'_> = &[
        &account_id,
        &&empty.0[..],
        &owner,
        &folder_id,
        &folder,
        &without_others,
    ];
    if let Some(row) = on.query_opt(client, take, parameters).await? {
        let (epoch, sequence, chain): (i64, i64, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
        return Ok(Taken {
            epoch,
            head: chain_of_row(account_id, sequence, &chain)?,
            is_marked_anew: row.get(3),
        });
    }
    let asked = format!("{HOLDERS} AND account_id = $1 AND folder_id <> $2 ORDER BY folder_id");
    let parameters: Parameters<'_> = &[&account_id, &folder_id.unwrap_or_default()];
    let rows = on.query(client, &asked, parameters).await?;
    let holders = rows.iter().map(|row| holder(row).1).collect();
    Err(StorageError::ReserveElsewhere { holders })
}

/// Returns who opened an account last, for people.
///
/// Errors: `Unavailable`.
pub(super) async fn name(on: &PgServer, account_id: &str) -> Result<String, StorageError> {
    let client = on.shared().await?;
    let asked = "SELECT owner FROM journal_account WHERE account_id = $1";
    let row = on.query_opt(&client, asked, &[&account_id]).await?;
    Ok(row.map_or_else(|| "another process".to_owned(), |row| row.get(0)))
}

/// Returns the data folders that may hold a reserve, each behind its id, by account.
///
/// Errors: `Unavailable`.
pub(super) async fn noted(on: &PgServer) -> Result<Vec<(String, ReserveHolder)>, StorageError> {
    let client = on.shared().await?;
    let asked = format!("{HOLDERS} ORDER BY account_id COLLATE \"C\", folder_id");
    let rows = on.query(&client, &asked, &[]).await?;
    Ok(rows.iter().map(holder).collect())
}

const HOLDERS: &str = "SELECT account_id, folder, epoch, to_char(opened_at AT TIME ZONE 'UTC', \
                       'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), folder_id FROM journal_reserve \
                       WHERE folder_id <> ''";

fn holder(row: &Row) -> (String, ReserveHolder) {
    let holder = ReserveHolder {
        account_id: row.get(0),
        folder: row.get(1),
        epoch: row.get::<_, i64>(2) as u64,
        since: row.get(3),
    };
    (row.get(4), holder)
}

/// Notes that the reserve which an owner of this folder had is not in it any more: it counts as that of
/// another folder from now on, where `holder` says.
///
/// Errors: `Unavailable`.
pub(super) async fn disown(
    on: &PgServer,
    folder_id: &str,
    holder: &ReserveHolder,
) -> Result<(), StorageError> {
    let client = on.shared().await?;
    // An epoch is of one owner, so no two have the same id then.
    let disown = "UPDATE journal_reserve SET folder_id = folder_id || ' moved ' || epoch, folder = $3 \
                  WHERE account_id = $1 AND folder_id = $2 AND epoch = $4";
    let epoch = holder.epoch as i64;
    let parameters: Parameters<'_> = &[&holder.account_id, &folder_id, &holder.folder, &epoch];
    on.execute(&client, disown, parameters).await?;
    Ok(())
}

/// The last owner of an account, of a build that did not note where its reserve is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnnotedOwner {
    /// The account, or the audit's journal.
    pub account_id: String,
    /// Which process it was, for people.
    pub owner: String,
    /// Its epoch.
    pub epoch: u64,
    /// Since when it had the account, UTC: `2026-11-27T13:40:00Z`.
    pub since: String,
}

impl fmt::Display for UnnotedOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnnotedOwner {
            account_id,
            owner,
            epoch,
            since,
        } = self;
        match account_id.as_str() {
            AUDIT_JOURNAL => write!(f, "the last owner of the audit")?,
            account_id => write!(f, "the last owner of account {account_id}")?,
        }
        write!(
            f,
            " ({owner}, epoch {epoch}, since {since}) was of an older build and did not note its data \
             folder: unless it was this one, it may hold a reserve that this server does not know of"
        )
    }
}

/// Returns the accounts whose last owner noted nothing.
///
/// Errors: `Unavailable`.
pub(super) async fn unnoted(on: PgServer) -> Result<Vec<UnnotedOwner>, StorageError> {
    let client = on.shared().await?;
    let asked = "SELECT account_id, owner, epoch, to_char(opened_at AT TIME ZONE 'UTC', \
                 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM journal_account AS account \
                 WHERE NOT EXISTS (SELECT FROM journal_reserve AS noted \
                 WHERE noted.account_id = account.account_id AND noted.epoch >= account.epoch) \
                 ORDER BY account_id COLLATE \"C\"";
    let rows = on.query(&client, asked, &[]).await?;
    let owner = |row: &Row| UnnotedOwner {
        account_id: row.get(0),
        owner: row.get(1),
        epoch: row.get::<_, i64>(2) as u64,
        since: row.get(3),
    };
    Ok(rows.iter().map(owner).collect())
}

/// Forgets other folders that may hold a reserve of an account that this folder's owner has taken
/// over without it. Those of a later owner stay.
///
/// Errors: `Unavailable`.
pub(super) async fn forget_others(
    on: &PgServer,
    account_id: &str,
    folder_id: &str,
) -> Result<(), StorageError> {
    let client = on.shared().await?;
    let forget = "DELETE FROM journal_reserve AS other USING journal_reserve AS own \
                  WHERE own.account_id = $1 AND own.folder_id = $2 AND other.account_id = $1 \
                  AND other.folder_id <> $2 AND other.epoch < own.epoch";
    on.execute(&client, forget, &[&account_id, &folder_id])
        .await?;
    Ok(())
}

/// Takes back that this folder may hold a reserve, at the end of its owner of this epoch.
///
/// Errors: `Unavailable`.
pub(super) async fn is_empty(
    on: PgServer,
    account_id: String,
    folder_id: String,
    epoch: i64,
) -> Result<(), StorageError> {
    let client = on.shared().await?;
    let forget = "
        WITH forgotten AS (
            DELETE FROM journal_reserve
            WHERE account_id = $1 AND folder_id = $2 AND epoch = $3
            RETURNING epoch
        )
        INSERT INTO journal_reserve AS ended (account_id, folder_id, folder, epoch)
        SELECT $1, '', '', epoch FROM forgotten
        ON CONFLICT (account_id, folder_id) DO UPDATE
        SET epoch = greatest(ended.epoch, excluded.epoch), opened_at = now()";
    on.execute(&client, forget, &[&account_id, &folder_id, &epoch])
        .await?;
    Ok(())
}

/// Returns which database this is: an id that it got with its tables.
///
/// Errors: `Unavailable`.
pub(super) async fn database_id(on: &PgServer, client: &Client) -> Result<String, StorageError> {
    let asked = "SELECT database_id::text FROM journal_database";
    Ok(on.query_one(client, asked, &[]).await?.get(0))
}
