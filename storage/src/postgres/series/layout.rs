//! Plain PostgreSQL or TimescaleDB: found once, and kept.

use crate::StorageError;
use crate::postgres::server::PgServer;

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

/// Returns the layout of a database, and makes its tables when there are none.
pub(super) async fn find(on: &PgServer) -> Result<Layout, StorageError> {
    // A connection of its own: the lock goes with it.
    let client = on.connection().await?;
    let lock = "SELECT pg_advisory_lock($1)";
    on.execute(&client, lock, &[&LOCK]).await?;
    let asked = "SELECT layout FROM series_layout";
    if let Some(row) = on.query_opt(&client, asked, &[]).await? {
        return Ok(match row.get(0) {
            "timescale" => Layout::Timescale,
            _ => Layout::Plain,
        });
    }
    let asked = "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'";
    let row = on.query_one(&client, asked, &[]).await?;
    let (layout, name, tables) = match row.get::<_, i64>(0) {
        0 => (Layout::Plain, "plain", PLAIN),
        _ => (Layout::Timescale, "timescale", TIMESCALE),
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
