//! Servers that are looked at, or brought up to date, without a node.

use super::{DATABASE_URL, REPLAYS, ServerFacts, TIMESCALE_URL};
use crate::NodeError;
use apex_storage::postgres::{
    Layout, PgServer, ReservedJournals, ServerOptions, layout_of, schema_version,
};
use apex_storage::redis;
use apex_storage::s3::{S3Objects, S3Options};
use std::path::Path;

/// Looks whether a database can be used, and returns what is to be said of it.
///
/// # Errors
/// `Storage` of the connection, the server's settings or the schema, which say what to do.
pub fn check(url: &str) -> Result<String, NodeError> {
    let server = PgServer::connect(ServerOptions::new(DATABASE_URL, url))?;
    let name = server.name();
    Ok(match schema_version(&server)? {
        0 => format!("{name} is empty: the first start makes its tables"),
        version => format!("{name} answers, schema version {version}"),
    })
}

/// Looks whether a database of time series can be used, and returns what is to be said of it.
///
/// # Errors
/// As [`check`].
pub fn check_series_database(url: &str) -> Result<String, NodeError> {
    let server = PgServer::connect(ServerOptions::new(TIMESCALE_URL, url))?;
    let (name, version) = (server.name(), schema_version(&server)?);
    let layout = match layout_of(&server)? {
        Layout::Timescale => "TimescaleDB",
        Layout::Plain => "plain PostgreSQL",
    };
    Ok(match version {
        0 => format!("{name} is empty: the first start makes its tables, for {layout}"),
        version => format!("{name} answers, {layout}, schema version {version}"),
    })
}

/// Returns what is to be said of records that wait in a data folder for its database; `None` where
/// none wait.
///
/// # Errors
/// `Storage`: a reserve cannot be read, and the next start refuses it.
pub fn waiting(root: &Path) -> Result<Option<String>, NodeError> {
    let waiting = ReservedJournals::waiting(root)?;
    let accounts = waiting.iter().map(|(account_id, (first, last))| {
        format!("records {first} to {last} of account {account_id}")
    });
    let accounts: Vec<String> = accounts.collect();
    Ok((!accounts.is_empty()).then(|| accounts.join(", ")))
}

/// Looks whether a Redis server can be used, and returns what it is.
///
/// # Errors
/// `Storage` of the setting or the connection, which say what to do.
pub fn check_redis(url: &str) -> Result<ServerFacts, NodeError> {
    Ok(redis::inspect(url)?)
}

/// A bucket that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketFacts {
    /// `endpoint/bucket`.
    pub name: String,
    /// Why an object could not be deleted, where that is so.
    pub kept: Option<String>,
}

/// Tries a bucket with an object of its own, which is taken away again where that may be.
///
/// # Errors
/// `Storage` of the settings, the connection, or what may not be done.
pub fn check_bucket(options: &S3Options) -> Result<BucketFacts, NodeError> {
    let bucket = S3Objects::connect(options.clone())?;
    let kept = bucket.probe()?;
    Ok(BucketFacts {
        name: bucket.name(),
        kept: kept.map(|error| error.to_string()),
    })
}

/// Brings a database of time series up to what this build needs. Returns the steps that were taken;
/// none when it was so already.
///
/// # Errors
/// `Storage`; the steps before stay.
pub fn migrate_series(url: &str) -> Result<Vec<String>, NodeError> {
    let server = PgServer::connect(ServerOptions::new(TIMESCALE_URL, url))?;
    let taken = apex_storage::postgres::migrate(&server)?;
    let named = taken.iter().map(|step| format!("{step} of time series"));
    Ok(named.collect())
}

/// Brings a database up to what this build needs, with its replays where it has some. Returns the
/// steps that were taken; none when it was so already.
///
/// # Errors
/// `Storage`; the steps before stay.
pub fn migrate(url: &str) -> Result<Vec<String>, NodeError> {
    let server = PgServer::connect(ServerOptions::new(DATABASE_URL, url))?;
    let mut taken = apex_storage::postgres::migrate(&server)?;
    let replays = ServerOptions {
        space: Some(REPLAYS),
        ..ServerOptions::new(DATABASE_URL, url)
    };
    let replays = PgServer::connect(replays)?;
    if replays.has_space()? {
        let of_replays = apex_storage::postgres::migrate(&replays)?;
        taken.extend(of_replays.iter().map(|step| format!("{step} of replays")));
    }
    Ok(taken)
}
