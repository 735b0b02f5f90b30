//! Brings rows into an empty database, all of them or none.
//!
//! A mark is set first, by itself; then come the tables, and the partitions of the days that are
//! needed. All rows go in one transaction; indexes and roll-ups come behind it. The mark is taken away
//! by itself, when everything else of the restore is there and was compared: wherever it is cut off,
//! the mark stands, and nothing starts on the database.

use super::dump::PATIENCE;
use super::schema::{self, RESTORING};
use super::series::{HEADER, TRAILER};
use super::server::PgServer;
use super::{Layout, PgSeries};
use crate::StorageError;
use bytes::Bytes;
use futures::SinkExt;
use std::pin::Pin;
use std::sync::Arc;
use tokio_postgres::{Client, CopyInSink};

const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; \
                     SET LOCAL idle_in_transaction_session_timeout = 0; \
                     SET LOCAL synchronous_commit = on";

/// Numbers that the tables give out themselves: they go on behind the last one that is there.
const NUMBERS: [(&str, &str); 2] = [
    ("series_instrument", "instrument_no"),
    ("series_stream", "stream_no"),
];

/// A restore under way.
pub(crate) struct Load {
    server: PgServer,
    client: Arc<Client>,
    series: Option<PgSeries>,
}

impl Load {
    /// Marks an empty database, makes its tables and begins.
    ///
    /// # Errors
    /// - `NotEmptyDatabase`, `UnfinishedDatabase`: nothing was changed;
    /// - `Unavailable`. The mark stands then.
    pub fn begin(server: &PgServer, with_series: bool) -> Result<Load, StorageError> {
        schema::begin_restore(server)?;
        let restoring = server.restoring()?;
        schema::migrate(&restoring)?;
        let series = with_series.then(|| PgSeries::open(&restoring));
        let series = series.transpose()?;
        let on = restoring.clone();
        let client = restoring.wait(async move {
            let client = on.connection().await?;
            on.within(client.batch_execute(BEGIN)).await?;
            Ok(Arc::new(client))
        })?;
        Ok(Load {
            server: restoring,
            client,
            series,
        })
    }

    /// Returns how this database keeps time series, where it has any.
    pub fn layout(&self) -> Option<Layout> {
        self.series.as_ref().map(PgSeries::layout)
    }

    /// Makes the partitions of days, before any row of theirs comes.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn make_days(&self, table: &str, days: &[i64]) -> Result<(), StorageError> {
        match &self.series {
            Some(series) => series.prepare_days(table, days),
            None => Ok(()),
        }
    }

    /// Takes away what the steps of the schema have put into a table.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn empty(&self, table: &str) -> Result<(), StorageError> {
        self.run(&format!("DELETE FROM {table}"))
    }

    /// Begins to bring rows of a table.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn copy(&self, table: &str, columns: &str) -> Result<CopyIn, StorageError> {
        let copy = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
        let (on, client) = (self.server.clone(), self.client.clone());
        let sink = self.server.wait(async move {
            let begun = client.copy_in::<_, Bytes>(copy.as_str());
            on.within_patience(PATIENCE, begun).await
        })?;
        let mut copy = CopyIn {
            server: self.server.clone(),
            sink: Box::pin(sink),
        };
        copy = copy.send(HEADER.to_vec())?;
        Ok(copy)
    }

    /// Marks every minute that has trades as one to be rolled up.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn mark_minutes(&self) -> Result<(), StorageError> {
        self.run(
            "INSERT INTO series_dirty (stream_no, minute_ns) SELECT DISTINCT stream_no, \
             ts_event_ns - ((ts_event_ns % 60000000000) + 60000000000) % 60000000000 \
             FROM series_trade ON CONFLICT DO NOTHING",
        )
    }

    /// Makes all rows durable; the mark stays. Returns what uses the marked database, and its series
    /// where it has some.
    ///
    /// # Errors
    /// `Unavailable`: what is there is marked.
    pub fn finish(self) -> Result<(Loaded, Option<PgSeries>), StorageError> {
        for (table, column) in NUMBERS {
            self.run(&format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
                 coalesce(max({column}), 1), max({column}) IS NOT NULL) FROM {table}"
            ))?;
        }
        // Reserves come back with their data folder, so that no owner's is left out of sight.
        self.run(
            "INSERT INTO journal_reserve (account_id, folder_id, folder, epoch) \
             SELECT account_id, '', '', epoch FROM journal_account",
        )?;
        self.run("COMMIT")?;
        Ok((Loaded(self.server), self.series))
    }

    /// Runs statements however long they take, within patience.
    fn run(&self, sql: &str) -> Result<(), StorageError> {
        let (on, client, sql) = (self.server.clone(), self.client.clone(), sql.to_owned());
        self.server.wait(async move {
            on.within_patience(PATIENCE, client.batch_execute(&sql))
                .await
        })
    }
}

/// A database that has its rows and is marked still.
#[derive(Debug)]
pub(crate) struct Loaded(PgServer);

impl Loaded {
    /// Returns what reads it in spite of the mark.
    pub fn server(&self) -> &PgServer {
        &self.0
    }

    /// Takes the mark away: from now on it is started on.
    ///
    /// # Errors
    /// `Unavailable`: it is marked, or it is whole.
    pub fn unmark(self) -> Result<(), StorageError> {
        let on = self.0.clone();
        self.0.wait(async move {
            let client = on.shared().await?;
            let unmark = format!("DROP TABLE {RESTORING}");
            on.within(client.batch_execute(&unmark)).await
        })
    }
}

/// Rows on their way into a table.
pub(crate) struct CopyIn {
    server: PgServer,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl CopyIn {
    /// Sends bytes, whole rows or parts of some.
    ///
    /// # Errors
    /// `Unavailable`; nothing of the restore stays then but its mark.
    pub fn send(mut self, bytes: Vec<u8>) -> Result<CopyIn, StorageError> {
        let on = self.server.clone();
        let mut sink = self.sink;
        self.sink = self.server.wait(async move {
            on.within_patience(PATIENCE, sink.send(bytes.into()))
                .await?;
            Ok(sink)
        })?;
        Ok(self)
    }

    /// Ends the rows, and returns how many the server took.
    ///
    /// # Errors
    /// `Unavailable`, also when a row is refused.
    pub fn finish(self) -> Result<u64, StorageError> {
        let done = self.send(TRAILER.to_vec())?;
        let (on, mut sink) = (done.server.clone(), done.sink);
        done.server
            .wait(async move { on.within_patience(PATIENCE, sink.as_mut().finish()).await })
    }
}
