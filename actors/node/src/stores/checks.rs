//! Servers that are looked at, or brought up to date, without a node.

use super::{DATABASE_URL, REPLAYS, ServerFacts, ServerSettings, TIMESCALE_URL};
use crate::NodeError;
use crate::marks::Marks;
use crate::replay::archive;
use apex_storage::postgres::{
    Layout, PgServer, ReservedJournals, ServerOptions, layout_of, look_for_reserves, schema_version,
};
use apex_storage::s3::{S3Objects, S3Options};
use apex_storage::{AUDIT_JOURNAL, ReserveHolder, redis};
use std::collections::BTreeMap;
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

/// What the database says of reserves that are not in a data folder, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherReserves {
    /// Where they may be. A start on the folder is refused for them.
    pub elsewhere: Option<String>,
    /// Which accounts nothing is known of. No start is refused for these.
    pub unnoted: Option<String>,
}

/// Returns what a start on a data folder may lack, as its database says. Takes no lock and changes
/// nothing. Replays have no reserves.
///
/// # Errors
/// `Storage` of the database or the folder's id; `Mark`.
pub fn other_reserves(root: &Path, servers: &ServerSettings) -> Result<OtherReserves, NodeError> {
    let Some(url) = &servers.database_url else {
        return Ok(OtherReserves::default());
    };
    if Marks::in_folder(root).get(archive::MARK)?.is_some() {
        return Ok(OtherReserves::default());
    }
    let server = PgServer::connect(ServerOptions::new(DATABASE_URL, url))?;
    let (holders, unnoted) = look_for_reserves(&server, root)?;
    let unnoted: Vec<String> = unnoted.iter().map(ToString::to_string).collect();
    Ok(OtherReserves {
        elsewhere: (!holders.is_empty()).then(|| by_folder(&holders)),
        unnoted: (!unnoted.is_empty()).then(|| unnoted.join("; ")),
    })
}

/// Returns the folders, each with its accounts and since when it may hold something.
fn by_folder(holders: &[ReserveHolder]) -> String {
    let mut folders: BTreeMap<&str, (Vec<String>, &str)> = BTreeMap::new();
    for holder in holders {
        let entry = folders.entry(&holder.folder);
        let (accounts, since) = entry.or_insert_with(|| (Vec::new(), &holder.since));
        accounts.push(match holder.account_id.as_str() {
            AUDIT_JOURNAL => "the audit".to_owned(),
            account_id => format!("account {account_id}"),
        });
        // Times of one form are in the order of their text.
        *since = (*since).min(&holder.since);
    }
    let folder = |(folder, (accounts, since)): (&str, (Vec<String>, &str))| {
        let accounts = accounts.join(", ");
        format!("\"{folder}\" may hold a reserve of {accounts} (since {since})")
    };
    let folders: Vec<String> = folders.into_iter().map(folder).collect();
    folders.join("; ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserves_are_told_by_folder_since_the_first_of_its_owners() {
        let holder = |account_id: &str, folder: &str, since: &str| ReserveHolder {
            account_id: account_id.to_owned(),
            folder: folder.to_owned(),
            epoch: 3,
            since: since.to_owned(),
        };
        let told = by_folder(&[
            holder("=audit", "one:/srv", "2026-11-27T13:40:02Z"),
            holder("paper", "one:/srv", "2026-11-27T13:40:00Z"),
            holder("paper", "two:/srv", "2026-11-26T08:00:00Z"),
        ]);
        assert_eq!(
            told,
            "\"one:/srv\" may hold a reserve of the audit, account paper (since \
             2026-11-27T13:40:00Z); \"two:/srv\" may hold a reserve of account paper (since \
             2026-11-26T08:00:00Z)"
        );
    }
}
