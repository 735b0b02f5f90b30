//! One PostgreSQL server: how it is reached, and whether it may be trusted with money.

use super::url::{name_of, parse, tls_of};
use crate::StorageError;
use crate::blocking::Waiter;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Socket, ToStatement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Oldest server that has what is used here.
const OLDEST_VERSION: i32 = 15;

/// The values of a statement's `$1`, `$2`, and so on.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How a server is reached.
#[derive(Clone)]
pub struct ServerOptions {
    /// The setting that the URL came from, for error messages: `APEX_DATABASE_URL`.
    pub variable: &'static str,
    /// `postgres://user:password@host:port/database`, or `key=value` words.
    pub url: String,
    /// The PostgreSQL schema that holds the tables, made when they are; `None` takes what the
    /// database has by default. `[a-z0-9_]{1,63}`, a constant of the caller's.
    pub space: Option<&'static str>,
    /// How long one attempt to connect, or one statement, may take.
    pub timeout: Duration,
    /// How long a commit goes on trying while the server does not answer. Afterwards the process
    /// has to abort and recover. With a reserve ([`super::ReservedJournals`]) nobody waits for it,
    /// and `Duration::MAX` goes on until the server is back.
    pub give_up: Duration,
}

impl ServerOptions {
    /// Returns options with ten seconds a statement and five minutes until a commit gives up.
    pub fn new(variable: &'static str, url: &str) -> ServerOptions {
        ServerOptions {
            variable,
            url: url.to_owned(),
            space: None,
            timeout: Duration::from_secs(10),
            give_up: Duration::from_secs(300),
        }
    }
}

impl fmt::Debug for ServerOptions {
    // Without the URL: a password may be in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("variable", &self.variable)
            .field("timeout", &self.timeout)
            .field("give_up", &self.give_up)
            .finish_non_exhaustive()
    }
}

struct Inner {
    options: ServerOptions,
    config: Config,
    /// With `sslmode=require`.
    tls: Option<MakeRustlsConnect>,
    /// `host:port/database`, for people.
    name: String,
    /// Whether a database is used whose restore has not ended: by the restore itself alone.
    is_restoring: bool,
    /// For what is asked now and then: records, snapshots.
    shared: Link,
    waiter: Waiter,
}

/// A server. Clones share its connections.
#[derive(Clone)]
pub struct PgServer {
    inner: Arc<Inner>,
}

impl fmt::Debug for PgServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgServer({})", self.inner.name)
    }
}

impl PgServer {
    /// Reaches a server and checks that it keeps what it acknowledges.
    ///
    /// # Errors
    /// - `Setting`: the URL is no URL, the server is too old, or it runs with `fsync`,
    ///   `full_page_writes` or `synchronous_commit` off.
    /// - `Setting` too where it answers and does not let this user into this database.
    /// - `Unavailable`: it does not answer.
    pub fn connect(options: ServerOptions) -> Result<PgServer, StorageError> {
        PgServer::connect_as(options, false)
    }

    fn connect_as(options: ServerOptions, is_restoring: bool) -> Result<PgServer, StorageError> {
        let config = parse(&options)?;
        let tls = tls_of(&options, &config)?;
        let waiter = Waiter::start("apex-postgres")?;
        let server = PgServer {
            inner: Arc::new(Inner {
                name: name_of(&config),
                options,
                config,
                tls,
                is_restoring,
                shared: Link::default(),
                waiter,
            }),
        };
        let checked = server.clone();
        let outcome = server.wait(async move { checked.check().await });
        outcome.map_err(|error| server.not_let_in(error))?;
        Ok(server)
    }

    /// At a start a server that answers and lets nobody in is a setting to be mended.
    fn not_let_in(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::Unavailable { detail, .. }
                if NOT_LET_IN.iter().any(|sign| detail.contains(sign)) =>
            {
                self.setting(format!(
                    "is not let in by PostgreSQL at {}: {detail}: mend user, password or database in it",
                    self.inner.name
                ))
            }
            other => other,
        }
    }

    /// Returns this server for the restore that has begun in it.
    ///
    /// Errors: as [`PgServer::connect`].
    pub(super) fn restoring(&self) -> Result<PgServer, StorageError> {
        PgServer::connect_as(self.inner.options.clone(), true)
    }

    pub(super) fn is_restoring(&self) -> bool {
        self.inner.is_restoring
    }

    /// Returns `host:port/database`; never a user or password.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the setting that names it.
    pub fn variable(&self) -> &'static str {
        self.inner.options.variable
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.inner.options
    }

    /// Runs a future on this module's own runtime and waits for it on the caller's thread.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.inner.waiter.wait(future)
    }

    /// As `wait`, but no longer than `patience`; the future goes on by itself then.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        patience: Duration,
        future: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        let outcome = self.inner.waiter.wait_for(patience, future);
        outcome.unwrap_or_else(|| Err(self.unavailable("it does not answer in time")))
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.inner.waiter.spawn(future);
    }

    /// Returns the connection for what is asked now and then.
    pub(super) async fn shared(&self) -> Result<Arc<Client>, StorageError> {
        self.inner.shared.client(self).await
    }

    /// Makes a connection of its own.
    pub(super) async fn connection(&self) -> Result<Client, StorageError> {
        match &self.inner.tls {
            Some(tls) => self.connected(tls.clone()).await,
            None => self.connected(NoTls).await,
        }
    }

    async fn connected<T>(&self, tls: T) -> Result<Client, StorageError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let timeout = self.inner.options.timeout;
        let connecting = tokio::time::timeout(timeout, self.inner.config.connect(tls));
        let (client, connection) = match connecting.await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(self.failed(&error)),
            Err(_) => return Err(self.unavailable("it does not answer in time")),
        };
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %text(&error), "a connection to PostgreSQL has ended");
            }
        });
        Ok(client)
    }

    /// Runs a statement's future within the time that one may take.
    pub(super) async fn within<T>(
        &self,
        future: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StorageError> {
        self.within_time(self.inner.options.timeout, future).await
    }

    /// As [`PgServer::within`], within a time of the caller's.
    pub(super) async fn within_time<T>(
        &self,
        time: Duration,
        future: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StorageError> {
        match tokio::time::timeout(time, future).await {
            Ok(outcome) => outcome.map_err(|error| self.failed(&error)),
            Err(_) => Err(self.unavailable("a statement took too long")),
        }
    }

    /// Returns the rows of a statement, within the time that one may take.
    pub(super) async fn query<S: ToStatement + ?Sized + Sync>(
        &self,
        client: &Client,
        statement: &S,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StorageError> {
        self.within(client.query(statement, parameters)).await
    }

    /// As [`PgServer::query`], of a statement that gives one row.
    pub(super) async fn query_one(
        &self,
        client: &Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Row, StorageError> {
        self.within(client.query_one(sql, parameters)).await
    }

    /// As [`PgServer::query`], of a statement that gives one row or none.
    pub(super) async fn query_opt(
        &self,
        client: &Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, StorageError> {
        self.within(client.query_opt(sql, parameters)).await
    }

    /// As [`PgServer::query`], of a statement without rows. Returns how many it touched.
    pub(super) async fn execute(
        &self,
        client: &Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<u64, StorageError> {
        self.within(client.execute(sql, parameters)).await
    }

    /// As [`PgServer::query`], and tells apart what the server refuses for a reason of its own.
    pub(super) async fn query_or_refusal<S: ToStatement + ?Sized + Sync>(
        &self,
        client: &Client,
        statement: &S,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let asked = client.query(statement, parameters);
        match tokio::time::timeout(self.inner.options.timeout, asked).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(match refusal(&error) {
                Some(detail) => Failure::Refused(detail),
                None => Failure::Trouble(self.failed(&error)),
            }),
            Err(_) => Err(self.unavailable("a statement took too long").into()),
        }
    }

    pub(super) fn unavailable(&self, detail: &str) -> StorageError {
        StorageError::Unavailable {
            server: format!("PostgreSQL at {}", self.inner.name),
            detail: detail.to_owned(),
            variable: self.inner.options.variable,
        }
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> StorageError {
        self.unavailable(&text(error))
    }

    fn setting(&self, detail: String) -> StorageError {
        StorageError::Setting {
            variable: self.inner.options.variable,
            detail,
        }
    }

    async fn check(&self) -> Result<(), StorageError> {
        let client = self.shared().await?;
        let asked = "SELECT current_setting('server_version_num')::int4 / 10000";
        let row = self.query_one(&client, asked, &[]).await?;
        let version: i32 = row.get(0);
        if version < OLDEST_VERSION {
            return Err(self.setting(format!(
                "names PostgreSQL {version}, and {OLDEST_VERSION} is the oldest that works: \
                 upgrade the server"
            )));
        }
        self.check_keeps(&client).await
    }

    /// Checks that a session keeps what it acknowledges, by the settings as it sees them: those of
    /// the server, the database, the role or the URL.
    ///
    /// Errors: `Setting` names what is off; `Unavailable`.
    pub(super) async fn check_keeps(&self, client: &Client) -> Result<(), StorageError> {
        const KEEPERS: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];
        let asked = "SELECT current_setting('fsync'), current_setting('full_page_writes'), \
                     current_setting('synchronous_commit')";
        let row = self.query_one(client, asked, &[]).await?;
        for (index, name) in KEEPERS.iter().enumerate() {
            let value: String = row.get(index);
            if value == "off" {
                return Err(self.setting(format!(
                    "names a server with {name} = off, which loses acknowledged orders when it \
                     crashes: set {name} = on there"
                )));
            }
        }
        Ok(())
    }
}

/// One connection that is made when it is needed, and again after it was lost.
#[derive(Default)]
pub(super) struct Link {
    state: Mutex<LinkState>,
}

#[derive(Default)]
struct LinkState {
    client: Option<Arc<Client>>,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, StorageError)>,
}

impl Link {
    pub(super) async fn client(&self, server: &PgServer) -> Result<Arc<Client>, StorageError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(client) = state.client.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        // One attempt for all who waited for it: each with its own would wait for those before.
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(error.clone());
        }
        match server.connection().await {
            Ok(client) => Ok(state.client.insert(Arc::new(client)).clone()),
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// What an error has in it when the server answers and does not let a user in: the SQLSTATE of a wrong
/// password, of a user or a database that is not there, of one that may not connect; and what the
/// library says where the URL has no password and the server wants one.
const NOT_LET_IN: [&str; 5] = [
    "(28P01)",
    "(28000)",
    "(3D000)",
    "(42501)",
    "password missing",
];

/// Why a statement was not carried out.
pub(super) enum Failure {
    /// The server has answered: nothing of it is done, and it will say so again.
    Refused(String),
    /// Whether it is done is not known where the connection ended.
    Trouble(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        Failure::Trouble(error)
    }
}

/// The classes of SQLSTATE that tell of the statement's own content, which is the same the next time:
/// data, constraints, limits, and what triggers and functions raise. All others tell of the server or
/// of those who use it beside us: connections, locks, rights, space, a shutdown, a server that is
/// read only. These pass, or are mended there, and the statement is tried again until then.
const OWN_REASONS: [&str; 10] = ["09", "21", "22", "23", "27", "38", "39", "44", "54", "P0"];

/// Returns what the server said where it refuses a statement for a reason of the statement's own.
pub(super) fn refusal(error: &tokio_postgres::Error) -> Option<String> {
    let code = error.as_db_error()?.code().code();
    let is_own = OWN_REASONS.iter().any(|class| code.starts_with(class));
    is_own.then(|| text(error))
}

/// Returns what the server or the system said, with its causes: the library's own text names only
/// the kind of error.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
