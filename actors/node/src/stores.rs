//! Where a node keeps its journals and records: in its data folder, or in a database that was
//! configured; and where it writes hot values, if anywhere. A server that is set and does not answer
//! is an error; the folder is never taken in its place.

use crate::NodeError;
use crate::marks::Marks;
use crate::replay::archive;
use apex_broker::SNAPSHOT_EVENTS;
use apex_storage::postgres::{
    Claim, PgJournals, PgRecords, PgSeries, PgServer, ReservedJournals, ServerOptions,
    UnnotedOwner, migrate_empty,
};
use apex_storage::redis::RedisHot;
pub use apex_storage::redis::ServerFacts;
use apex_storage::s3::{S3Objects, S3Options};
use apex_storage::{
    DataDir, EmbeddedJournals, EmbeddedRecords, EmbeddedSeries, Hot, Journals, Objects, Records,
    ReserveHolder, Series, StorageError, own_objects,
};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod checks;
mod journal;
mod place;

pub use checks::{
    BucketFacts, OtherReserves, check, check_bucket, check_redis, check_series_database, migrate,
    migrate_series, other_reserves, waiting,
};
pub use journal::JournalSettings;
pub(crate) use place::{check_place, check_series, note_place, note_series, noted_place};

/// The setting that names the database.
pub const DATABASE_URL: &str = "APEX_DATABASE_URL";

/// The setting that names the database of the time series.
pub const TIMESCALE_URL: &str = "APEX_TIMESCALE_URL";

/// The setting that names the server of hot values.
pub const REDIS_URL: &str = "APEX_REDIS_URL";

/// Where replays are in a database, apart from what trades: the accounts have the same ids.
const REPLAYS: &str = "apextrade_replay";

/// What is configured of stores: servers, and sizes.
#[derive(Clone, Default)]
pub struct ServerSettings {
    /// PostgreSQL, for journals and records; `None` keeps them in the data folder.
    pub database_url: Option<String>,
    /// PostgreSQL with or without TimescaleDB, for time series; `None` keeps them where the journals
    /// are.
    pub timescale_url: Option<String>,
    /// Redis, for hot values that others read; `None` writes none.
    pub redis_url: Option<String>,
    /// Accounts whose reserve may be in another data folder are taken over without it, halted.
    pub take_over_without_reserve: bool,
    /// A bucket, for the checkpoints of the audit, and for old records of journals in a database;
    /// `None` keeps those in the data folder and these in the database.
    pub s3: Option<S3Options>,
    pub journal: JournalSettings,
}

impl fmt::Debug for ServerSettings {
    // A URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings")
            .field("database", &self.database_url.is_some())
            .field("timescale", &self.timescale_url.is_some())
            .field("redis", &self.redis_url.is_some())
            .field("take_over", &self.take_over_without_reserve)
            .field("s3", &self.s3)
            .field("journal", &self.journal)
            .finish()
    }
}

/// Opens the bucket that is set.
///
/// Errors: `Storage` when it does not answer.
pub(crate) fn bucket(servers: &ServerSettings) -> Result<Option<Arc<dyn Objects>>, NodeError> {
    let options = servers.s3.clone();
    let bucket = options.map(S3Objects::connect).transpose()?;
    Ok(bucket.map(|bucket| Arc::new(bucket) as Arc<dyn Objects>))
}

/// The journals of a database, with the bucket that has their old records. The folder of a node
/// with a database may be lost, so nothing is moved there.
fn journals_in(
    server: &PgServer,
    bucket: Option<&Arc<dyn Objects>>,
) -> Result<PgJournals, NodeError> {
    let journals = PgJournals::new(server)?;
    Ok(match bucket {
        Some(bucket) => journals.with_objects(bucket.clone()),
        None => journals,
    })
}

/// What a node does with what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Accounts go on where they ended.
    Live,
    /// A finished replay is put aside, and an unfinished one goes on.
    Replay,
}

impl Purpose {
    fn space(self) -> Option<&'static str> {
        match self {
            Purpose::Live => None,
            Purpose::Replay => Some(REPLAYS),
        }
    }

    fn hot_namespace(self) -> &'static str {
        match self {
            Purpose::Live => apex_persistence::hot::NAMESPACE,
            Purpose::Replay => apex_persistence::hot::REPLAY_NAMESPACE,
        }
    }
}

/// Where a node writes hot values, and what their keys begin with.
#[derive(Clone)]
pub struct HotStore {
    pub hot: Arc<dyn Hot>,
    pub namespace: &'static str,
}

impl fmt::Debug for HotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotStore")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// The open stores of a node.
#[derive(Clone)]
pub struct Stores {
    pub journals: Arc<dyn Journals>,
    /// Of the data folder itself; its one owner.
    pub objects: Arc<dyn Objects>,
    pub records: Arc<dyn Records>,
    pub marks: Marks,
    pub hot: Option<HotStore>,
    /// Events between two snapshots of an account at the least.
    pub snapshot_events: u64,
    /// What may be missing of accounts that were taken over without the reserve of another folder.
    pub lacking: Vec<ReserveHolder>,
    /// Owners of an older build, of whose reserve nothing was noted.
    pub unnoted: Vec<UnnotedOwner>,
    /// The same journals, where they have reserves.
    reserved: Option<ReservedJournals>,
    database: Option<PgServer>,
    _claim: Option<Arc<Claim>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores")
            .field("journals", &self.journals)
            .finish_non_exhaustive()
    }
}

impl Stores {
    /// Opens what is configured, for a process that has taken the data folder. An empty database
    /// gets its tables.
    ///
    /// # Errors
    /// `Usage` when the folder's accounts are elsewhere; `Storage` of the database or the folder,
    /// `ReserveElsewhere` when another folder may hold what the database lacks; `Archive`.
    pub fn open(
        dir: &Arc<DataDir>,
        servers: &ServerSettings,
        purpose: Purpose,
    ) -> Result<Stores, NodeError> {
        check_place(dir.root(), servers)?;
        // First, since nothing has been changed yet where it does not answer.
        let hot = match &servers.redis_url {
            Some(url) => Some(HotStore {
                hot: Arc::new(RedisHot::connect(url)?),
                namespace: purpose.hot_namespace(),
            }),
            None => None,
        };
        let mut stores = match &servers.database_url {
            Some(url) => {
                let stores = Stores::in_database(dir, url, servers, purpose)?;
                note_place(dir.root(), stores.database().unwrap_or_default())?;
                stores
            }
            None => Stores::in_folder(dir, servers.journal, purpose)?,
        };
        stores.hot = hot;
        stores.snapshot_events = servers.journal.snapshot_events.unwrap_or(SNAPSHOT_EVENTS);
        Ok(stores)
    }

    fn in_folder(
        dir: &Arc<DataDir>,
        sizes: JournalSettings,
        purpose: Purpose,
    ) -> Result<Stores, NodeError> {
        let journals = EmbeddedJournals::new(dir, sizes.embedded()?);
        let objects = own_objects(dir.root())?;
        Ok(Stores {
            journals: Arc::new(match purpose {
                Purpose::Live => journals.with_objects(objects.clone()),
                // The journals of a replay are put aside whole when it has ended.
                Purpose::Replay => journals,
            }),
            objects,
            records: Arc::new(EmbeddedRecords::open(dir)?),
            marks: Marks::in_folder(dir.root()),
            hot: None,
            snapshot_events: SNAPSHOT_EVENTS,
            lacking: Vec::new(),
            unnoted: Vec::new(),
            reserved: None,
            database: None,
            _claim: None,
        })
    }

    fn in_database(
        dir: &Arc<DataDir>,
        url: &str,
        servers: &ServerSettings,
        purpose: Purpose,
    ) -> Result<Stores, NodeError> {
        let usual = ServerOptions::new(DATABASE_URL, url);
        let options = ServerOptions {
            space: purpose.space(),
            give_up: match purpose {
                // Nobody waits for the server: each account goes on with its reserve.
                Purpose::Live => Duration::MAX,
                Purpose::Replay => usual.give_up,
            },
            ..usual
        };
        let server = PgServer::connect(options)?;
        migrate_empty(&server)?;
        let claim = server.claim()?;
        let objects = own_objects(dir.root())?;
        let bucket = match purpose {
            Purpose::Live => bucket(servers)?,
            // The journals of a replay are put aside whole when it has ended.
            Purpose::Replay => None,
        };
        let open = || -> Result<Stores, NodeError> {
            let records: Arc<dyn Records> = Arc::new(PgRecords::new(&server)?);
            let journals = journals_in(&server, bucket.as_ref())?;
            let (journals, reserves) = match purpose {
                Purpose::Live => {
                    let journals = journal::sized(journals, &*records, servers.journal)?;
                    let reserves = with_reserves(&journals, dir, servers)?;
                    (journals, Some(reserves))
                }
                // Nothing of a replay moves, and it waits instead: with orders refused it would come
                // to another end.
                Purpose::Replay => (journals, None),
            };
            let (reserved, lacking, unnoted) = match reserves {
                Some(it) => (Some(it.journals), it.lacking, it.unnoted),
                None => Default::default(),
            };
            Ok(Stores {
                journals: match reserved.clone() {
                    Some(reserved) => Arc::new(reserved),
                    None => Arc::new(journals),
                },
                lacking,
                unnoted,
                reserved,
                objects: objects.clone(),
                marks: Marks::in_records(dir.root(), records.clone()),
                records,
                hot: None,
                snapshot_events: SNAPSHOT_EVENTS,
                database: Some(server.clone()),
                _claim: None,
            })
        };
        let mut stores = open()?;
        if purpose == Purpose::Replay && archive::is_finished(&stores.marks)? {
            put_aside(&server, &*stores.records)?;
            stores = open()?;
        }
        // Nothing has refused this start: whoever had the database before does not take it again.
        claim.confirm()?;
        stores._claim = Some(Arc::new(claim));
        Ok(stores)
    }

    /// Opens the time series: on the server that is set for them, else where the journals are. An
    /// empty database gets its tables.
    ///
    /// # Errors
    /// `Storage`.
    pub fn series(
        &self,
        dir: &Arc<DataDir>,
        servers: &ServerSettings,
    ) -> Result<Arc<dyn Series>, NodeError> {
        let server = match (&servers.timescale_url, &self.database) {
            (Some(url), _) => {
                let server = PgServer::connect(ServerOptions::new(TIMESCALE_URL, url))?;
                migrate_empty(&server)?;
                Some(server)
            }
            (None, database) => database.clone(),
        };
        let series: Arc<dyn Series> = match &server {
            Some(server) => Arc::new(PgSeries::open(server)?),
            None => Arc::new(EmbeddedSeries::open(dir)?),
        };
        note_series(dir.root(), server.as_ref().map(PgServer::name))?;
        Ok(series)
    }

    /// Returns what may be missing of an account since it was taken over without the reserve of another
    /// folder, for people; `None` where nothing is.
    pub fn lacks(&self, account_id: &str) -> Option<String> {
        let of_it = self.lacking.iter().filter(|it| it.account_id == account_id);
        let of_it: Vec<String> = of_it.map(ToString::to_string).collect();
        (!of_it.is_empty()).then(|| of_it.join(", "))
    }

    /// Forgets the reserve that an account was taken over without, once that is accounted for durably.
    ///
    /// # Errors
    /// `Storage`; the next start on another folder then asks again.
    pub fn forget_lacking(&self, account_id: &str) -> Result<(), NodeError> {
        if let Some(reserved) = &self.reserved
            && self.lacks(account_id).is_some()
        {
            reserved.forget_elsewhere(account_id)?;
        }
        Ok(())
    }

    /// Returns the database, `host:port/name`; `None` when everything is in the data folder.
    pub fn database(&self) -> Option<&str> {
        self.database.as_ref().map(PgServer::name)
    }
}

/// Journals with their reserves in a data folder.
struct WithReserves {
    journals: ReservedJournals,
    lacking: Vec<ReserveHolder>,
    unnoted: Vec<UnnotedOwner>,
}

/// Gives journals their reserves in a data folder, and looks what other folders may have of them.
///
/// Errors: `Storage`: `ReserveElsewhere` unless that was asked for.
fn with_reserves(
    journals: &PgJournals,
    dir: &Arc<DataDir>,
    servers: &ServerSettings,
) -> Result<WithReserves, NodeError> {
    let mut reserved = ReservedJournals::new(journals.clone(), dir)?;
    let holders = reserved.elsewhere()?;
    if !holders.is_empty() {
        if !servers.take_over_without_reserve {
            return Err(StorageError::ReserveElsewhere { holders }.into());
        }
        for holder in &holders {
            tracing::error!(%holder, "taken over without a reserve: what was acknowledged there may be missing");
        }
        reserved = reserved.without_others()?;
    }
    let unnoted = reserved.unnoted()?;
    for owner in &unnoted {
        tracing::warn!(%owner, "nothing tells where a reserve may be: look at `apextrade doctor` there");
    }
    Ok(WithReserves {
        journals: reserved,
        lacking: holders,
        unnoted,
    })
}

/// Opens the time series that are recorded, without a node: on the server that is set for them, else
/// where the journals are. A data folder is taken for it, since what a crash has cut is mended when it
/// is read.
///
/// # Errors
/// `Usage` when the folder's accounts are elsewhere, or there is none; `Storage`.
pub fn recorded(root: &Path, servers: &ServerSettings) -> Result<Arc<dyn Series>, NodeError> {
    let server = match (&servers.timescale_url, &servers.database_url) {
        (Some(url), _) => Some(ServerOptions::new(TIMESCALE_URL, url)),
        (None, Some(url)) => Some(ServerOptions::new(DATABASE_URL, url)),
        (None, None) => None,
    };
    if let Some(options) = server {
        return Ok(Arc::new(PgSeries::open(&PgServer::connect(options)?)?));
    }
    check_place(root, servers)?;
    if !root.is_dir() {
        return Err(NodeError::Usage(format!(
            "there is no folder \"{}\": check --data-dir",
            root.display()
        )));
    }
    Ok(Arc::new(EmbeddedSeries::open(&DataDir::open(root)?)?))
}

/// Renames the space of a finished replay and makes an empty one, with the same callers: the
/// tokens of a data folder outlive its replays.
fn put_aside(server: &PgServer, records: &dyn Records) -> Result<(), NodeError> {
    let tables = [
        apex_storage::records::ACCESS_TABLE,
        crate::credentials::OLD_TABLE,
    ];
    let mut callers = Vec::new();
    for table in tables {
        callers.push((table, records.list(table)?));
    }
    if let Some(to) = server.move_space_aside()? {
        tracing::info!(to, "the finished replay was moved aside");
    }
    migrate_empty(server)?;
    let anew = PgRecords::new(server)?;
    for (table, entries) in callers {
        for (key, value) in entries {
            anew.put(table, &key, &value)?;
        }
    }
    Ok(())
}

/// Opens the journals that a data folder's last run used, without taking them: of the database
/// when one is configured, of its replays when the folder's mark says that it was one.
///
/// # Errors
/// `Usage` when the folder's accounts are elsewhere; `Storage` when the database cannot be used.
pub fn look(root: &Path, servers: &ServerSettings) -> Result<Option<Looking>, NodeError> {
    check_place(root, servers)?;
    let Some(url) = &servers.database_url else {
        return Ok(None);
    };
    let is_replay = Marks::in_folder(root).get(archive::MARK)?.is_some();
    let purpose = if is_replay {
        Purpose::Replay
    } else {
        Purpose::Live
    };
    let options = ServerOptions {
        space: purpose.space(),
        ..ServerOptions::new(DATABASE_URL, url)
    };
    let server = PgServer::connect(options)?;
    let bucket = match purpose {
        Purpose::Live => bucket(servers)?,
        Purpose::Replay => None,
    };
    Ok(Some(Looking {
        journals: journals_in(&server, bucket.as_ref())?,
        records: PgRecords::new(&server)?,
    }))
}

/// Opens the journals of a database that is being restored, to be compared.
///
/// # Errors
/// `Storage`.
pub(crate) fn look_at(server: &PgServer) -> Result<Looking, NodeError> {
    Ok(Looking {
        journals: journals_in(server, None)?,
        records: PgRecords::new(server)?,
    })
}

/// Journals that are only read.
#[derive(Debug)]
pub struct Looking {
    pub journals: PgJournals,
    pub records: PgRecords,
}

#[cfg(test)]
mod tests;
