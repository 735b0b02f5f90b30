//! Plain PostgreSQL or TimescaleDB: found once, and kept.

use crate::StorageError;
use crate::postgres::server::PgServer;
use tokio_postgres::Client;

/// How the tables of rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Partitions of days and roll-ups of our own.
    Plain,
    /// Hypertables, compressed, with continuous aggregates.
    Timescale,
}

const PLAIN: &str = include_str!("../../../migrations/series_plain.sql");
const TIMESCALE: &str = include_str!("../../../migrations/series_timescale.sql");
const VIEWS: &str = include_str!("../../../migrations/series_views.sql");

/// Two stores that are opened at once meet here. Any constant does.
const LOCK: i64 = 0x6170_6578_7365_7269;

/// Returns the layout of a database, or the one that it would get, without changing anything.
///
/// # Errors
/// `Unavailable`.
pub fn layout_of(server: &PgServer) -> Result<Layout, StorageError> {
    let on = server.clone();
    server.wait(async move {
        let client = on.shared().await?;
        let asked = "SELECT to_regclass('series_layout') IS NOT NULL";
        let has_tables: bool = on.query_one(&client, asked, &[]).await?.get(0);
        if has_tables && let Some(layout) = kept(&on, &client).await? {
            return Ok(layout);
        }
        offered(&on, &client).await
    })
}

/// The layout that was chosen; `None` where there are no tables of rows yet.
async fn kept(on: &PgServer, client: &Client) -> Result<Option<Layout>, StorageError> {
    let asked = "SELECT layout FROM series_layout";
    let row = on.query_opt(client, asked, &[]).await?;
    Ok(row.map(|row| match row.get(0) {
        "timescale" => Layout::Timescale,
        _ => Layout::Plain,
    }))
}

/// The layout that a server has the means for.
async fn offered(on: &PgServer, client: &Client) -> Result<Layout, StorageError> {
    let asked = "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'";
    let row = on.query_one(client, asked, &[]).await?;
    Ok(match row.get::<_, i64>(0) {
        0 => Layout::Plain,
        _ => Layout::Timescale,
    })
}

/// Returns the layout of a database, and makes its tables when there are none.
pub(super) async fn find(on: &PgServer) -> Result<Layout, StorageError> {
    // A connection of its own: the lock goes with it.
    let client = on.connection().await?;
    let lock = "SELECT pg_advisory_lock($1)";
    on.execute(&client, lock, &[&LOCK]).await?;
    if let Some(layout) = kept(on, &client).await? {
        return Ok(layout);
    }
    let layout = offered(on, &client).await?;
    let (name, tables) = match layout {
        Layout::Plain => ("plain", PLAIN),
        Layout::Timescale => ("timescale", TIMESCALE),
    };
    if layout == Layout::Timescale {
        let create = "CREATE EXTENSION IF NOT EXISTS timescaledb";
        on.within(client.batch_execute(create)).await?;
    }
    // All or nothing.
    let make = format!(
        "BEGIN; {tables} {VIEWS} INSERT INTO series_layout (layout) VALUES ('{name}'); COMMIT"
    );
    on.within(client.batch_execute(&make)).await?;
    Ok(layout)
}
