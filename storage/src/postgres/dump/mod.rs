//! Reads all that a database has, as of one moment, while others go on writing to it.
//!
//! One transaction that only reads (REPEATABLE READ): every statement of it sees the same commits.
//! It locks nobody out but who drops a table or an index; those do not wait for long. Days of series
//! are held from the begin on, so that those that are seen can be read.

mod tuples;

use super::base;
use super::owners;
use super::read::chain_of_row;
use super::schema;
use super::server::PgServer;
use crate::StorageError;
use crate::embedded::check_journal_name;
use crate::port::journal::Head;
use crate::port::series::DAY_NS;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::{Client, CopyOutStream};
use tuples::Tuples;
pub(crate) use tuples::{Tuple, each_row};

/// How long the server may take until the next bytes come: before the first ones it may have
/// to read or to sort a large table.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Bytes that are taken from the server at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// How long they are waited for at a time: then whoever has to show that it lives does.
const PIECE: Duration = Duration::from_secs(20);

/// Statements may take what they take, and so may the pauses between them; rows come in the order
/// in which they are stored, so that what is old stays in front.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
                     SET LOCAL statement_timeout = 0; \
                     SET LOCAL idle_in_transaction_session_timeout = 0; \
                     SET LOCAL synchronize_seqscans = off; \
                     SET LOCAL max_parallel_workers_per_gather = 0";

/// Names the tables of series that a database has; their days are parts of them.
const DAYS_SQL: &str = "SELECT string_agg(name, ', ') \
                        FROM unnest(ARRAY['series_trade', 'series_quote', 'series_bar']) AS name \
                        WHERE to_regclass(name) IS NOT NULL";

/// A database as of one moment.
pub(crate) struct Dump<'w> {
    server: PgServer,
    client: Arc<Client>,
    lineage: Option<String>,
    patience: Duration,
    piece: Duration,
    /// Is called again and again while rows are read and waited for.
    waiting: &'w dyn Fn() -> Result<(), StorageError>,
}

/// Where the rows of a journal begin.
pub(crate) struct Base {
    pub head: Head,
    /// Its owner when it was moved, and when that was, as a row has them.
    pub epoch: [u8; 8],
    pub moved_at: [u8; 8],
}

/// A day of series rows of one stream.
pub(crate) struct DayOfStream {
    pub day: i64,
    pub stream_no: i64,
    pub rows: u64,
    pub last_sequence: i64,
}

impl<'w> Dump<'w> {
    /// Begins with a database whose schema is that of this build.
    ///
    /// # Errors
    /// `Setting` when the schema is older, `NewerVersion` when it is newer: it may hold what is
    /// not known here; `UnfinishedDatabase`; `Unavailable`.
    pub fn begin(server: &PgServer) -> Result<Dump<'w>, StorageError> {
        let on = server.clone();
        let (client, lineage) = server.wait(async move {
            let client = on.connection().await?;
            let tables = on.query_one(&client, DAYS_SQL, &[]).await?;
            let mut begin = BEGIN.to_owned();
            if let Some(tables) = tables.get::<_, Option<String>>(0) {
                // With their days, and before the moment is fixed: one that is dropped behind it would be
                // seen and could not be read. The server refuses the drop meanwhile.
                begin.push_str(&format!("; LOCK TABLE {tables} IN ACCESS SHARE MODE"));
            }
            on.within(client.batch_execute(&begin)).await?;
            // With the first of these the moment is fixed.
            schema::check_same(&on, &client).await?;
            let lineage = lineage(&on, &client).await?;
            Ok((Arc::new(client), lineage))
        })?;
        Ok(Dump {
            server: server.clone(),
            client,
            lineage,
            patience: PATIENCE,
            piece: PIECE,
            waiting: &|| Ok(()),
        })
    }

    /// Has something called every few seconds while rows are read or waited for. Its error ends that.
    #[must_use]
    pub fn while_waiting(self, waiting: &'w dyn Fn() -> Result<(), StorageError>) -> Dump<'w> {
        Dump { waiting, ..self }
    }

    #[cfg(test)]
    pub fn with_patience(mut self, patience: Duration) -> Dump<'w> {
        self.patience = patience;
        self
    }

    #[cfg(test)]
    pub fn with_piece(mut self, piece: Duration) -> Dump<'w> {
        self.piece = piece;
        self
    }

    /// Returns the server's name.
    pub fn name(&self) -> &str {
        self.server.name()
    }

    /// Returns which history of changes this is: the same rows stand for the same content within
    /// it alone. A database that was brought back to an earlier time has another one. `None` where the
    /// server does not tell.
    pub fn lineage(&self) -> Option<&str> {
        self.lineage.as_deref()
    }

    /// Ends it: the server need not keep what was changed since any longer.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn end(self) -> Result<(), StorageError> {
        let on = self.server.clone();
        let client = self.client.clone();
        self.server
            .wait(async move { on.within(client.batch_execute("COMMIT")).await })
    }

    /// Shows the rows of a statement, and returns how many these were. It holds some of them in
    /// memory at a time.
    ///
    /// # Errors
    /// Those of `each` and of what is called meanwhile; `TooSlow`, `Unavailable`, `Damaged`. Afterwards no
    /// more is read from here.
    pub fn rows(
        &self,
        select: &str,
        each: &mut dyn FnMut(Tuple<'_>) -> Result<(), StorageError>,
    ) -> Result<u64, StorageError> {
        let copy = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
        let (client, patience) = (self.client.clone(), self.patience);
        let mut source = Source::Asked(Box::pin(async move { client.copy_out(&copy).await }));
        let (mut tuples, mut count) = (Tuples::default(), 0);
        let mut waited = Duration::ZERO;
        loop {
            let piece = self.piece.min(patience.saturating_sub(waited));
            let taken = take(self.server.clone(), source, piece);
            let taken = self.server.wait(taken)?;
            match taken.bytes.is_empty() {
                true => waited += piece,
                false => waited = Duration::ZERO,
            }
            if waited >= patience && taken.source.is_some() {
                return Err(self.server.too_slow(patience));
            }
            (self.waiting)()?;
            tuples.push(&taken.bytes);
            while let Some(tuple) = tuples.next()? {
                count += 1;
                each(tuple)?;
            }
            match taken.source {
                Some(rest) => source = rest,
                None if tuples.ended() => return Ok(count),
                None => return Err(self.server.unavailable("a copy ended before its last row")),
            }
        }
    }

    /// Returns which database this is.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn database_id(&self) -> Result<String, StorageError> {
        let (on, client) = (self.server.clone(), self.client.clone());
        self.server
            .wait(async move { owners::database_id(&on, &client).await })
    }

    /// Returns the ends of all journals, that of the audit too, by account.
    ///
    /// # Errors
    /// As [`Dump::rows`].
    pub fn heads(&self) -> Result<Vec<(String, Head)>, StorageError> {
        let mut heads = Vec::new();
        let asked = "SELECT account_id, sequence, chain FROM journal_account \
                     ORDER BY account_id COLLATE \"C\"";
        self.rows(asked, &mut |row| {
            let account_id = row.text(0)?;
            check_journal_name(account_id)?;
            let head = chain_of_row(account_id, row.int8(1)?, row.field(2)?)?;
            heads.push((account_id.to_owned(), head));
            Ok(())
        })?;
        Ok(heads)
    }

    /// Returns where the rows of a journal begin; `None` where they begin with the first.
    ///
    /// # Errors
    /// As [`Dump::rows`]; `Damaged` when it is not what was written.
    pub fn base(&self, account_id: &str) -> Result<Option<Base>, StorageError> {
        check_journal_name(account_id)?;
        let (on, client, id) = (
            self.server.clone(),
            self.client.clone(),
            account_id.to_owned(),
        );
        let head = self
            .server
            .wait(async move { base::read(&on, &client, &id).await })?;
        let mut found = None;
        // An account's id has no quotes.
        let asked =
            format!("SELECT epoch, moved_at FROM journal_base WHERE account_id = '{account_id}'");
        self.rows(&asked, &mut |row| {
            found = Some(Base {
                head,
                epoch: row.int8(0)?.to_be_bytes(),
                moved_at: row.int8(1)?.to_be_bytes(),
            });
            Ok(())
        })?;
        Ok(found)
    }

    /// Returns how the tables of time series are kept; `None` where none were ever made.
    ///
    /// # Errors
    /// As [`Dump::rows`].
    pub fn layout(&self) -> Result<Option<String>, StorageError> {
        let mut layout = None;
        self.rows("SELECT layout FROM series_layout", &mut |row| {
            layout = Some(row.text(0)?.to_owned());
            Ok(())
        })?;
        Ok(layout)
    }

    /// Returns the partition of each day of a table of series, and which files of the server it is in, as
    /// `<table> <file>`: one that was dropped and made again is another one. Empty without partitions.
    ///
    /// # Errors
    /// As [`Dump::rows`].
    pub fn day_files(&self, table: &str) -> Result<BTreeMap<i64, (String, String)>, StorageError> {
        let mut files = BTreeMap::new();
        let asked = format!(
            "SELECT relname, oid || ' ' || relfilenode FROM pg_class JOIN pg_inherits \
             ON inhrelid = oid WHERE inhparent = '{table}'::regclass AND relkind = 'r'"
        );
        let prefix = format!("{table}_d");
        self.rows(&asked, &mut |row| {
            let name = row.text(0)?;
            let day = name.strip_prefix(&prefix);
            if let Some(day) = day.and_then(|day| day.replace('m', "-").parse().ok()) {
                files.insert(day, (name.to_owned(), row.text(1)?.to_owned()));
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// Returns what each day of a table of series, or of a partition of it, has of each stream, in order.
    ///
    /// # Errors
    /// As [`Dump::rows`].
    pub fn days(&self, table: &str, time: &str) -> Result<Vec<DayOfStream>, StorageError> {
        let asked = format!(
            "SELECT {} AS day, stream_no::int8, count(*), max(sequence) FROM {table} \
             GROUP BY 1, 2 ORDER BY 1, 2",
            day_sql(time)
        );
        let mut days = Vec::new();
        self.rows(&asked, &mut |row| {
            days.push(DayOfStream {
                day: row.int8(0)?,
                stream_no: row.int8(1)?,
                rows: row.int8(2)? as u64,
                last_sequence: row.int8(3)?,
            });
            Ok(())
        })?;
        Ok(days)
    }
}

/// The day of a time, in SQL, also before 1970.
pub(crate) fn day_sql(time: &str) -> String {
    format!("(({time} - (({time} % {DAY_NS}) + {DAY_NS}) % {DAY_NS}) / {DAY_NS})")
}

/// Where rows come from.
enum Source {
    /// The server answers with the first rows, before which it may have to read or to sort a large table.
    Asked(Pin<Box<dyn Future<Output = Result<CopyOutStream, tokio_postgres::Error>> + Send>>),
    Rows(Pin<Box<CopyOutStream>>),
}

/// What has come, and what is left unless that was all.
struct Taken {
    bytes: Vec<u8>,
    source: Option<Source>,
}

/// Takes what comes within a piece of time, which may be nothing.
async fn take(on: PgServer, mut source: Source, piece: Duration) -> Result<Taken, StorageError> {
    let end = tokio::time::Instant::now() + piece;
    let mut bytes = Vec::new();
    let mut stream = match source {
        Source::Rows(stream) => stream,
        Source::Asked(ref mut asked) => match tokio::time::timeout_at(end, asked).await {
            Ok(stream) => Box::pin(stream.map_err(|error| on.failed(&error))?),
            Err(_) => {
                return Ok(Taken {
                    bytes,
                    source: Some(source),
                });
            }
        },
    };
    while bytes.len() < CHUNK_BYTES {
        let next = tokio::time::timeout_at(end, stream.try_next());
        match next.await {
            Err(_) => break,
            Ok(Err(error)) => return Err(on.failed(&error)),
            Ok(Ok(Some(more))) => bytes.extend_from_slice(&more),
            Ok(Ok(None)) => {
                return Ok(Taken {
                    bytes,
                    source: None,
                });
            }
        }
    }
    Ok(Taken {
        bytes,
        source: Some(Source::Rows(stream)),
    })
}

async fn lineage(on: &PgServer, client: &Client) -> Result<Option<String>, StorageError> {
    let may = "SELECT has_function_privilege('pg_control_system()', 'execute') \
               AND has_function_privilege('pg_control_checkpoint()', 'execute')";
    if !on.query_one(client, may, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let asked = "SELECT system_identifier || '/' || timeline_id || '/' || pg_database.oid || '/' \
                 || quote_ident(current_schema()) \
                 FROM pg_control_system(), pg_control_checkpoint(), pg_database \
                 WHERE datname = current_database()";
    let row = on.query_one(client, asked, &[]).await?;
    // It stands between spaces in a list.
    Ok(row
        .get::<_, Option<String>>(0)
        .map(|text| text.replace(char::is_whitespace, "_")))
}

impl PgServer {
    /// As [`PgServer::within_time`], of work that takes as long as tables are large.
    ///
    /// Errors: `TooSlow` when the time is over.
    pub(super) async fn within_patience<T>(
        &self,
        patience: Duration,
        future: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StorageError> {
        match tokio::time::timeout(patience, future).await {
            Ok(outcome) => outcome.map_err(|error| self.failed(&error)),
            Err(_) => Err(self.too_slow(patience)),
        }
    }

    fn too_slow(&self, patience: Duration) -> StorageError {
        StorageError::TooSlow {
            server: format!("PostgreSQL at {}", self.name()),
            seconds: patience.as_secs(),
        }
    }

    /// Returns whether another one is the same database, however it is named.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn is_same(&self, other: &PgServer) -> Result<bool, StorageError> {
        let identity = |server: &PgServer| {
            let on = server.clone();
            server.wait(async move {
                let client = on.shared().await?;
                let asked = "SELECT pg_postmaster_start_time()::text, pg_database.oid::text, \
                             coalesce(current_schema(), '') \
                             FROM pg_database WHERE datname = current_database()";
                let row = on.query_one(&client, asked, &[]).await?;
                Ok([0, 1, 2].map(|at| row.get::<_, String>(at)))
            })
        };
        Ok(identity(self)? == identity(other)?)
    }
}
