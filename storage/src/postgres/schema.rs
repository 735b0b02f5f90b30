//! The tables, and the steps that lead to them.
//!
//! Steps add (expand); what an older build uses is taken away only in a later release (contract),
//! and that step raises `oldest_reader`: an older build runs on a newer schema until then.

use super::server::PgServer;
use super::space;
use crate::StorageError;
use refinery::{Migration, Runner};
use tokio_postgres::Client;

/// Never changed once released, only followed by another.
const STEPS: &[(&str, &str)] = &[
    (
        "V1__journal",
        include_str!("../../migrations/0001_journal.sql"),
    ),
    (
        "V2__records",
        include_str!("../../migrations/0002_records.sql"),
    ),
    (
        "V3__series",
        include_str!("../../migrations/0003_series.sql"),
    ),
    (
        "V4__journal_base",
        include_str!("../../migrations/0004_journal_base.sql"),
    ),
    (
        "V5__journal_reserve",
        include_str!("../../migrations/0005_journal_reserve.sql"),
    ),
];

/// The advisory lock that two migrations at once meet at. Any constant does.
const LOCK: i64 = 0x6170_6578_6d69_6772;

/// Stands in a database as long as its restore is under way.
pub(crate) const RESTORING: &str = "restore_unfinished";

/// Brings the schema up to what this build needs. Doing it again changes nothing, and of two that
/// start at once the second waits for the first. Returns the names of the steps that were taken.
///
/// # Errors
/// - `Unavailable`: the server does not answer, or refuses a step; nothing of that step stays.
/// - `NewerVersion`: a newer build has taken away what this one needs.
pub fn migrate(server: &PgServer) -> Result<Vec<String>, StorageError> {
    let on = server.clone();
    server.wait(async move {
        let gate = on.connection().await?;
        space::make(&on, &gate).await?;
        pass(&on, &gate).await?;
        let mut client = on.connection().await?;
        found(&on, &client).await?;
        let report = runner()?
            .run_async(&mut client)
            .await
            .map_err(|error| on.unavailable(&format!("a step of the schema failed: {error}")))?;
        // The lock goes with its connection.
        Ok(report
            .applied_migrations()
            .iter()
            .map(|step| step.name().to_owned())
            .collect())
    })
}

/// Waits until nobody else changes the schema, and keeps others waiting until the connection ends.
async fn pass(server: &PgServer, gate: &Client) -> Result<(), StorageError> {
    // However long the other one takes: it ends, or its connection does.
    let locked = gate.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await;
    locked.map_err(|error| server.failed(&error))?;
    Ok(())
}

/// Marks an empty database as one that is being restored: nothing but a restore uses it until
/// the mark is taken away, with which the restore ends. The steps of the schema are kept one by one,
/// so the mark is there before the first.
///
/// # Errors
/// - `NotEmptyDatabase`: there are tables already; nothing was changed;
/// - `UnfinishedDatabase`: an earlier restore did not end there;
/// - `Unavailable`.
pub(crate) fn begin_restore(server: &PgServer) -> Result<(), StorageError> {
    let on = server.clone();
    server.wait(async move {
        let gate = on.connection().await?;
        pass(&on, &gate).await?;
        refuse_filled(&on, &gate).await?;
        let mark = format!(
            "CREATE TABLE {RESTORING} (begun_at timestamptz NOT NULL DEFAULT now()); \
             INSERT INTO {RESTORING} DEFAULT VALUES"
        );
        on.within(gate.batch_execute(&mark)).await
    })
}

/// Refuses a database that a restore cannot begin in, and changes nothing.
///
/// # Errors
/// As [`begin_restore`].
pub(crate) fn check_empty(server: &PgServer) -> Result<(), StorageError> {
    let on = server.clone();
    server.wait(async move {
        let client = on.shared().await?;
        refuse_filled(&on, &client).await
    })
}

async fn refuse_filled(server: &PgServer, client: &Client) -> Result<(), StorageError> {
    refuse_unfinished(server, client).await?;
    // What an extension has made is nobody's data.
    let asked = "SELECT EXISTS (SELECT FROM pg_class \
                 WHERE relnamespace = current_schema()::regnamespace \
                 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS ( \
                 SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass \
                 AND objid = pg_class.oid AND deptype = 'e'))";
    if server.query_one(client, asked, &[]).await?.get(0) {
        return Err(StorageError::NotEmptyDatabase {
            name: server.name().to_owned(),
            variable: server.options().variable,
        });
    }
    Ok(())
}

async fn refuse_unfinished(server: &PgServer, client: &Client) -> Result<(), StorageError> {
    let asked = format!("SELECT to_regclass('{RESTORING}') IS NOT NULL");
    if server.query_one(client, &asked, &[]).await?.get(0) {
        return Err(StorageError::UnfinishedDatabase {
            name: server.name().to_owned(),
            variable: server.options().variable,
        });
    }
    Ok(())
}

/// Makes the tables of a database that has none; one that has some is left as it is, since its
/// operator says when it is changed.
///
/// # Errors
/// As [`migrate`].
pub fn migrate_empty(server: &PgServer) -> Result<(), StorageError> {
    let on = server.clone();
    let version = server.wait(async move {
        let client = on.shared().await?;
        found(&on, &client).await
    })?;
    if version == 0 {
        let steps = migrate(server)?;
        tracing::info!(database = server.name(), ?steps, "the tables were made");
    }
    Ok(())
}

/// Returns the version of the schema; 0 of a database without tables.
///
/// # Errors
/// As [`migrate`], and `Setting` when it is older than this build needs.
pub fn schema_version(server: &PgServer) -> Result<i32, StorageError> {
    let on = server.clone();
    server.wait(async move {
        let client = on.shared().await?;
        let version = found(&on, &client).await?;
        if version > 0 {
            check(&on, &client).await?;
        }
        Ok(version)
    })
}

/// Checks that the schema is one that this build can use.
///
/// # Errors
/// `Setting` when it is older, `NewerVersion` when it is too new, `Unavailable`.
pub(super) async fn check(server: &PgServer, client: &Client) -> Result<(), StorageError> {
    let found = found(server, client).await?;
    let wanted = newest();
    if found >= wanted {
        return Ok(());
    }
    Err(StorageError::Setting {
        variable: server.options().variable,
        detail: format!(
            "names a database with schema version {found}, and this build needs {wanted}: run \
             `apextrade migrate`"
        ),
    })
}

/// Checks that the schema is the one of this build, for whoever copies all that is there: what a
/// newer one has added would be left out.
///
/// # Errors
/// As [`check`]; `NewerVersion` of every newer one.
pub(super) async fn check_same(server: &PgServer, client: &Client) -> Result<(), StorageError> {
    check(server, client).await?;
    let found = found(server, client).await?;
    if found > newest() {
        return Err(newer(server, found));
    }
    Ok(())
}

fn newer(server: &PgServer, found: i32) -> StorageError {
    let version = |number: i32| u16::try_from(number).unwrap_or(u16::MAX);
    StorageError::NewerVersion {
        file: server.name().to_owned(),
        found: version(found),
        supported: version(newest()),
    }
}

/// Returns the version of the schema that this build makes.
pub(crate) fn newest() -> i32 {
    STEPS.len() as i32
}

fn runner() -> Result<Runner, StorageError> {
    let step = |(name, sql): &(&str, &str)| Migration::unapplied(name, sql);
    let steps: Result<Vec<Migration>, _> = STEPS.iter().map(step).collect();
    let steps = steps.map_err(|error| StorageError::Setting {
        variable: "migrations",
        detail: format!("has a step that is none: {error}"),
    })?;
    // A newer build may have taken steps that this one does not know.
    Ok(Runner::new(&steps).set_abort_missing(false))
}

/// Returns the version of the schema, 0 before the first step.
async fn found(server: &PgServer, client: &Client) -> Result<i32, StorageError> {
    if !server.is_restoring() {
        refuse_unfinished(server, client).await?;
    }
    let exists = "SELECT to_regclass('refinery_schema_history') IS NOT NULL \
                  AND to_regclass('apextrade_schema') IS NOT NULL";
    let row = server.query_one(client, exists, &[]).await?;
    if !row.get::<_, bool>(0) {
        return Ok(0);
    }
    let asked = "SELECT coalesce(max(version), 0), (SELECT oldest_reader FROM apextrade_schema) \
                 FROM refinery_schema_history";
    let row = server.query_one(client, asked, &[]).await?;
    let (found, oldest_reader): (i32, i32) = (row.get(0), row.get(1));
    if oldest_reader > newest() {
        return Err(newer(server, found));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
