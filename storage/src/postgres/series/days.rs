//! The partitions of days: made ahead, settled when they are over, dropped as a whole.
//!
//! An open day has a BRIN index only, which costs a COPY next to nothing; a btree there would cut it
//! to a third. A day that is over gets the btree that reads want. Bars are few and have it at once.

use super::layout::Layout;
use super::{PgSeries, lock};
use crate::StorageError;
use crate::port::series::{DAY_NS, Kind, SETTLED_AFTER_NS, day_of};
use apex_domain::time::UnixNanos;
use std::collections::BTreeSet;
use tokio_postgres::error::SqlState;

/// Days that are made ahead, today among them.
const AHEAD: i64 = 3;

/// Those who make or drop days meet here. Any constant does.
const LOCK: i64 = 0x6170_6578_6461_7973;

/// How long the drop of a day waits for whoever reads it, as a backup does for long: all others wait
/// behind meanwhile.
const DROP_WAIT: &str = "500ms";

const TABLES: [&str; 3] = ["series_trade", "series_quote", "series_bar"];

fn time_of(table: &str) -> &'static str {
    match table {
        "series_bar" => "ts_open_ns",
        _ => "ts_event_ns",
    }
}

/// The name of a partition. Days before 1970 have a name too.
fn partition(table: &str, day: i64) -> String {
    format!("{table}_d{day}").replace('-', "m")
}

impl PgSeries {
    /// Makes the partitions that are not there yet.
    pub(super) async fn make_days(
        &self,
        table: &'static str,
        days: &BTreeSet<i64>,
    ) -> Result<(), StorageError> {
        if self.layout == Layout::Timescale {
            return Ok(());
        }
        let is_new = |day: &&i64| !lock(&self.known).days.contains(&(table, **day));
        let missing: Vec<i64> = days.iter().filter(is_new).copied().collect();
        for day in missing {
            self.make_day(table, day).await?;
            lock(&self.known).days.insert((table, day));
        }
        Ok(())
    }

    /// Makes the partitions of days of a table, for a restore.
    ///
    /// Errors: `Unavailable`.
    pub(in crate::postgres) fn prepare_days(
        &self,
        table: &str,
        days: &[i64],
    ) -> Result<(), StorageError> {
        let Some(table) = TABLES.into_iter().find(|known| *known == table) else {
            return Ok(());
        };
        let days: BTreeSet<i64> = days.iter().copied().collect();
        self.wait(|this| async move { this.make_days(table, &days).await })
    }

    /// Gives days their indexes for reading, as they had them, after a restore.
    ///
    /// Errors: `Unavailable`.
    pub(crate) fn close_days(&self, days: &[(String, i32)]) -> Result<(), StorageError> {
        if self.layout == Layout::Timescale {
            return Ok(());
        }
        let days = days.to_vec();
        self.wait(|this| async move {
            for (table, day) in &days {
                this.close_day(table, *day).await?;
            }
            Ok(())
        })
    }

    async fn make_day(&self, table: &str, day: i64) -> Result<(), StorageError> {
        let client = self.take().await?;
        let (name, time) = (partition(table, day), time_of(table));
        let (from, to) = (day * DAY_NS, (day + 1) * DAY_NS);
        let index = match table {
            "series_bar" => format!("btree (stream_no, {time}, sequence)"),
            _ => format!("brin ({time}) WITH (pages_per_range = 32)"),
        };
        self.batch(
            &client,
            &format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})"),
        )
        .await?;
        let number = day as i32;
        let asked =
            "INSERT INTO series_day (table_name, day) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let made = self.on.execute(&client, asked, &[&table, &number]).await?;
        if made == 1 {
            // Made aside and attached: that lets others read and write meanwhile.
            let make = format!(
                "CREATE TABLE {name} (LIKE {table} INCLUDING ALL); \
                 CREATE INDEX {name}_time ON {name} USING {index}; \
                 ALTER TABLE {table} ATTACH PARTITION {name} \
                 FOR VALUES FROM ('{from}') TO ('{to}')"
            );
            self.batch(&client, &make).await?;
        }
        self.batch(&client, "COMMIT").await?;
        self.keep(client);
        Ok(())
    }

    pub(super) async fn settle_days(&self, now: UnixNanos) -> Result<(), StorageError> {
        if self.layout == Layout::Timescale {
            // Its own jobs do.
            return Ok(());
        }
        let today = day_of(now.0);
        let ahead: BTreeSet<i64> = (today..today + AHEAD).collect();
        for table in TABLES {
            self.make_days(table, &ahead).await?;
        }
        let client = self.on.shared().await?;
        let before = day_of(now.0.saturating_sub(SETTLED_AFTER_NS)) as i32;
        let asked = "SELECT table_name, day FROM series_day WHERE NOT is_closed AND day < $1 \
                     ORDER BY day";
        for row in self.on.query(&client, asked, &[&before]).await? {
            self.close_day(row.get(0), row.get(1)).await?;
        }
        Ok(())
    }

    /// Gives a day its index for reading. What is late for it waits meanwhile. A day that somebody
    /// reads for long, as a backup does, is left for the next time: all others would wait behind.
    async fn close_day(&self, table: &str, day: i32) -> Result<(), StorageError> {
        let client = self.take().await?;
        let (name, time) = (partition(table, i64::from(day)), time_of(table));
        let begin =
            format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '1s'");
        self.batch(&client, &begin).await?;
        let close = "UPDATE series_day SET is_closed = true \
                     WHERE table_name = $1 AND day = $2 AND NOT is_closed";
        let closed = self.on.execute(&client, close, &[&table, &day]).await?;
        if closed == 1 {
            let mut settle = String::new();
            if table != "series_bar" {
                // Whether the end will work is tried before the long work, which lets others read.
                settle = format!(
                    "SAVEPOINT tried; LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE; \
                     ROLLBACK TO tried; \
                     CREATE INDEX {name}_read ON {name} (stream_no, {time}, sequence); \
                     DROP INDEX {name}_time;"
                );
            }
            settle.push_str(&format!("ANALYZE {name}"));
            // However long it takes: a day may be large.
            match client.batch_execute(&settle).await {
                Ok(()) => {}
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    tracing::info!(table, day, "a day is in use: it is settled the next time");
                    return Ok(());
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        self.batch(&client, "COMMIT").await?;
        self.keep(client);
        Ok(())
    }

    pub(super) async fn drop_days(
        &self,
        kind: Kind,
        before: UnixNanos,
    ) -> Result<usize, StorageError> {
        let table = match kind {
            Kind::Trades => "series_trade",
            Kind::Quotes => "series_quote",
            Kind::Bars => "series_bar",
        };
        let cut = day_of(before.0);
        if self.layout == Layout::Timescale {
            return self.drop_chunks(kind, table, cut).await;
        }
        let client = self.take().await?;
        let begin = format!(
            "BEGIN; SET LOCAL lock_timeout = '5s'; SELECT pg_advisory_xact_lock({LOCK}); \
             SET LOCAL lock_timeout = '{DROP_WAIT}'"
        );
        self.batch(&client, &begin).await?;
        let forget = "DELETE FROM series_day WHERE table_name = $1 AND day < $2 RETURNING day";
        let cut_day = i32::try_from(cut).unwrap_or(if cut < 0 { i32::MIN } else { i32::MAX });
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&table, &cut_day];
        let days = self.on.query(&client, forget, &parameters).await?;
        let mut count = 0;
        for row in &days {
            let name = partition(table, i64::from(row.get::<_, i32>(0)));
            let asked = format!("SELECT EXISTS (SELECT FROM {name})");
            let row = self.on.query_one(&client, &asked, &[]).await?;
            // A day that was made ahead and never used is no day to speak of.
            count += usize::from(row.get::<_, bool>(0));
            let drop = format!("DROP TABLE {name}");
            match client.batch_execute(&drop).await {
                Ok(()) => {}
                // With the connection all of it is taken back.
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    tracing::info!(table, "an old day is in use: it is dropped the next time");
                    return Ok(0);
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        if kind == Kind::Trades {
            let until = cut.saturating_mul(DAY_NS);
            for forget in [
                "DELETE FROM series_rolled WHERE ts_open_ns < $1",
                "DELETE FROM series_dirty WHERE minute_ns < $1",
            ] {
                self.on.execute(&client, forget, &[&until]).await?;
            }
        }
        self.batch(&client, "COMMIT").await?;
        lock(&self.known).days.clear();
        self.keep(client);
        Ok(count)
    }

    async fn drop_chunks(&self, kind: Kind, table: &str, cut: i64) -> Result<usize, StorageError> {
        // Of its own: who waits for a reader on the shared one keeps everybody else waiting.
        let client = self.take().await?;
        let until = cut.saturating_mul(DAY_NS);
        let begin = format!("BEGIN; SET LOCAL lock_timeout = '{DROP_WAIT}'");
        self.batch(&client, &begin).await?;
        let drop = format!("SELECT drop_chunks('{table}', older_than => '{until}'::int8)");
        let chunks = match client.query(&drop, &[]).await {
            Ok(chunks) => chunks.len(),
            // With the connection all of it is taken back.
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                tracing::info!(table, "an old day is in use: it is dropped the next time");
                return Ok(0);
            }
            Err(error) => return Err(self.failed(&error)),
        };
        self.batch(&client, "COMMIT").await?;
        if kind == Kind::Trades {
            self.refresh(&client, i64::MIN, until).await?;
        }
        self.keep(client);
        Ok(chunks)
    }
}
