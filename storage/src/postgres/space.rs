//! Whose a database is, and the PostgreSQL schemas that keep runs in one database apart.

use super::locks::{Guard, Locks, SPACE};
use super::schema;
use super::server::PgServer;
use crate::StorageError;
use std::fmt;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// How long a claim waits for a holder that has just ended: the server notices within moments.
const ENDING: Duration = Duration::from_secs(3);
/// The lock of a whole database or space: no account has this id.
const WHOLE: &str = "";

const PAUSE: Duration = Duration::from_millis(50);

/// A database, or one space of it, in use by this process. Dropping it gives it free, and so does
/// the death of the process.
///
/// It keeps a second process from starting by mistake. What keeps a predecessor from writing is
/// the epoch of each journal.
pub struct Claim {
    server: PgServer,
    /// Holds the lock; with it the lock goes.
    locks: Locks,
}

impl Claim {
    /// Says that this process goes on with the database: a holder before it that has lost its lock
    /// does not take it again. Until then that one still has it by right: a start that is refused
    /// has taken nothing from it.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn confirm(&self) -> Result<(), StorageError> {
        let (on, locks) = (self.server.clone(), self.locks.clone());
        self.server.wait(async move {
            let claims = count_claim(&on).await?;
            locks.guard(WHOLE, Guard::Claims(claims)).await;
            Ok(())
        })
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl PgServer {
    /// Takes the database, or its space, for this process, which says by [`Claim::confirm`] that it
    /// goes on with it.
    ///
    /// # Errors
    /// `Locked` while another process has it; `Setting`, `NewerVersion` of the schema;
    /// `Unavailable`.
    pub fn claim(&self) -> Result<Claim, StorageError> {
        let on = self.clone();
        let locks = self.wait(async move {
            let client = on.connection().await?;
            schema::check(&on, &client).await?;
            let locks = Locks::on(&on, client);
            let begun = Instant::now();
            loop {
                if locks.take(WHOLE).await? {
                    return Ok(locks);
                }
                if begun.elapsed() > ENDING {
                    let client = on.shared().await?;
                    return Err(StorageError::Locked {
                        path: on.name().into(),
                        holder: holder(&on, &client).await?,
                    });
                }
                tokio::time::sleep(PAUSE).await;
            }
        })?;
        Ok(Claim {
            server: self.clone(),
            locks,
        })
    }

    /// Returns whether this server's space is there.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn has_space(&self) -> Result<bool, StorageError> {
        let (on, space) = (self.clone(), self.options().space.unwrap_or("public"));
        self.wait(async move {
            let client = on.shared().await?;
            let known = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
            let row = on.query_one(&client, known, &[&space]).await?;
            Ok(row.get::<_, i64>(0) > 0)
        })
    }

    /// Renames this server's space to the first free `<space>_<number>` and returns that name;
    /// `None` when there is nothing, or when the server is used without a space. Its connections
    /// find an empty place afterwards.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn move_space_aside(&self) -> Result<Option<String>, StorageError> {
        let Some(space) = self.options().space else {
            return Ok(None);
        };
        let on = self.clone();
        self.wait(async move {
            let client = on.shared().await?;
            let known = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE $1 || '%'";
            let rows = on.query(&client, known, &[&space]).await?;
            let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            if !names.iter().any(|name| name == space) {
                return Ok(None);
            }
            let free = (1_u64..)
                .map(|number| format!("{space}_{number}"))
                .find(|name| !names.contains(name));
            // As many numbers as there are names, and one more.
            let aside = free.unwrap_or_default();
            let rename = format!("ALTER SCHEMA {space} RENAME TO {aside}");
            on.execute(&client, &rename, &[]).await?;
            Ok(Some(aside))
        })
    }
}

/// Makes the space of this server where it has one.
pub(super) async fn make(server: &PgServer, client: &Client) -> Result<(), StorageError> {
    if let Some(space) = server.options().space {
        let make = format!("CREATE SCHEMA IF NOT EXISTS {space}");
        server.execute(client, &make, &[]).await?;
    }
    Ok(())
}

/// Counts that this process goes on with the database, and returns how many have by now.
async fn count_claim(server: &PgServer) -> Result<i64, StorageError> {
    let client = server.shared().await?;
    let count = "UPDATE journal_database SET claims = claims + 1 RETURNING claims";
    Ok(server.query_one(&client, count, &[]).await?.get(0))
}

async fn holder(server: &PgServer, client: &Client) -> Result<String, StorageError> {
    let asked = "SELECT host(client_addr), client_port, pid FROM pg_stat_activity \
                 JOIN pg_locks USING (pid) WHERE locktype = 'advisory' AND granted \
                 AND classid = $1::int4::oid \
                 AND objid = (hashtext(current_schema() || '/')::int8 & x'ffffffff'::int8)::oid";
    let row = server.query_opt(client, asked, &[&SPACE]).await?;
    Ok(row.map_or_else(
        || "another process".to_owned(),
        |row| {
            let (host, pid): (Option<String>, i32) = (row.get(0), row.get(2));
            let from = host.unwrap_or_else(|| "a local socket".to_owned());
            format!("a process connected from {from} (server process {pid})")
        },
    ))
}

#[cfg(test)]
mod tests;
