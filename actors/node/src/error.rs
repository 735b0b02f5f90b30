//! Why a node does not run.

use apex_domain::AccountId;
use apex_gateway::GatewayError;
use apex_market_data::replay::ReplayError;
use apex_persistence::RecoverError;
use apex_storage::{Position, StorageError};
use apex_venues::capture::CaptureError;
use apex_venues::sim::SimVenueError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Each says what has to be mended; none goes away by trying again at once.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The journal of an account does not open.
    #[error("journal of account {account_id} cannot be opened")]
    Journal {
        account_id: AccountId,
        #[source]
        source: StorageError,
    },
    /// The journal lost what was durable; its files alone do not show it.
    #[error(
        "journal of account {account_id} ends at sequence {ends_at}, but {durable} was durable at \
         the last start or stop: segment files are missing or were cut"
    )]
    LostEnd {
        account_id: AccountId,
        ends_at: u64,
        durable: u64,
    },
    /// The audit does not open.
    #[error("the audit (journal \"=audit\") cannot be opened")]
    Audit(#[source] StorageError),
    /// An audit that was kept here is not there.
    #[error("{0}")]
    AuditGone(String),
    #[error("account {account_id} cannot be rebuilt from its journal")]
    Recover {
        account_id: AccountId,
        #[source]
        source: Box<RecoverError>,
    },
    #[error("journal cannot be read")]
    Read(#[from] RecoverError),
    #[error("account cannot be opened")]
    Opening(#[source] apex_domain::account::Refusal),
    #[error("the account was never opened")]
    NotOpened,
    /// A place where journals were looked for has none.
    #[error("{place} has no journal of an account")]
    NoJournal { place: String },
    /// What is written would stand in the journal with that date.
    #[error("the clock of this machine says second {seconds} since 1970, which is before 2026")]
    Clock { seconds: i64 },
    #[error("no thread for the journal's writer")]
    Thread(#[source] std::io::Error),
    #[error("credentials of this data folder: {0}")]
    Credentials(String),
    #[error("cannot write token file \"{}\"", path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Venue(#[from] apex_venues::sim::SimVenueError),
    #[error(transparent)]
    Market(#[from] apex_domain::matching::SimError),
    #[error(transparent)]
    Replay(#[from] apex_market_data::replay::ReplayError),
    #[error(transparent)]
    Strategy(#[from] apex_strategy::StrategyError),
    #[error(transparent)]
    Strategies(#[from] crate::strategies::StrategiesError),
    #[error("cannot read \"{}\"", path.display())]
    Mark {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write \"{}\"", path.display())]
    Archive {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Unit(#[from] apex_bus::market::ChangedUnit),
    #[error("replay stopped: {0}")]
    Step(String),
    #[error("the account cannot join the platform's exposure limit")]
    Exposure(#[from] apex_bus::message::ExposureError),
    #[error("the replay cannot follow its account")]
    Follow(#[from] apex_bus::topic::SubscribeError),
    /// What a restore brought back is something else than what was backed up.
    #[error("what was restored is not what was backed up: {0}")]
    NotAsBackedUp(String),
    #[error("{0}")]
    Usage(String),
    #[error("{name} did not start: {detail}")]
    Spawn { name: String, detail: String },
}

/// The whole folder: the notes in `records/` belong to the journal.
const RESTORE: &str = "nothing was changed: see `apextrade verify`, then restore the whole data \
                       folder from a backup";

/// The data folder of a node with a database holds none of it.
const RESTORE_DATABASE: &str = "nothing was changed: see `apextrade verify`, then restore the database \
                                from its backup";

/// Its tables of journals are all called so.
fn is_in_database(position: &Position) -> bool {
    position.segment.starts_with("journal_")
}

/// The journals of the accounts are not at fault.
const AUDIT: &str = "see the first bad record with `apextrade verify`; put the audit of a backup back, or \
                     move it away, keep it, and start once with --new-audit, which is recorded";

/// What reads and writes can meet at a start.
const DISK: &str = "look at the disk and at the rights of the data folder, then start again";

/// What is a fault of the build or of the machine.
const LOG: &str = "start again; if it stays, look at the log above";

pub(crate) fn storage_advice(source: &StorageError) -> Option<&'static str> {
    match source {
        StorageError::FsyncFailed { .. } | StorageError::Io { .. } => Some(DISK),
        StorageError::NewerVersion { .. } => {
            Some("start the newer build that wrote it, or pass another --data-dir")
        }
        StorageError::NotFound { .. } => Some("pass the --data-dir of an account"),
        StorageError::Locked { .. } => Some("stop that process, or pass another --data-dir"),
        StorageError::Full { .. } => Some("free some space: an account needs 34 MB to start"),
        StorageError::Damaged { position, .. } if is_in_database(position) => {
            Some(RESTORE_DATABASE)
        }
        StorageError::Damaged { .. } => Some(RESTORE),
        StorageError::DamagedBackup { .. } => Some(
            "the other backups may be whole: see `apextrade backup list`, and restore an earlier one \
             (--backup) into an empty place",
        ),
        StorageError::ReserveConflict { .. } => Some(
            "nothing was changed: if the database is right, move that folder away, and start with \
             `apextrade up --take-over-without-reserve`, which halts the account, since what was \
             acknowledged on the reserve is missing: compare it with its venue; else stop the other \
             owner, or bring the database back to a later time",
        ),
        StorageError::ReserveElsewhere { .. } => Some(
            "nothing was changed: start on that data folder, which brings its reserve to the database, \
             or put back what was moved away; if it is lost, and its process has ended, `apextrade up \
             --take-over-without-reserve` starts here with these accounts halted",
        ),
        StorageError::ReserveOfOther { .. } => Some(
            "nothing was changed: set the database that it belongs to, or move that folder away if \
             its records are not needed",
        ),
        StorageError::Unavailable { .. } => Some("start that server, or mend its setting"),
        StorageError::OutcomeUnknown { .. } => {
            Some("start that server, then this again: it reads what was stored")
        }
        StorageError::Conflict { .. } => Some("another process changed it: start again"),
        StorageError::Refused { .. } => Some(
            "nothing of it was stored: take away there what refuses it (a trigger or a constraint that \
             is none of this platform's), then start again",
        ),
        _ => None,
    }
}

/// Returns what a person can do about a simulated venue, where its own words do not say it.
pub fn venue_advice(source: &SimVenueError) -> Option<&'static str> {
    match source {
        SimVenueError::Unreachable { .. } | SimVenueError::Deadline { .. } => {
            Some("start `apextrade venue-sim`, or pass its address with --venue")
        }
        SimVenueError::Journal { .. } => Some(DISK),
        SimVenueError::Damaged { .. } => Some("mend the file, or start with an empty folder"),
        SimVenueError::Listener(_) => Some("stop what serves there, or pass another --listen"),
        // They say it themselves.
        SimVenueError::Logon { .. } | SimVenueError::Options(_) => None,
    }
}

impl NodeError {
    /// Returns what a person can do about it, where that is known and the message does not say it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            NodeError::Storage(source) | NodeError::Journal { source, .. } => {
                storage_advice(source)
            }
            NodeError::Audit(StorageError::Damaged { .. }) | NodeError::AuditGone(_) => Some(AUDIT),
            NodeError::Audit(source) => storage_advice(source),
            NodeError::LostEnd { .. } | NodeError::Recover { .. } | NodeError::Read(_) => {
                Some(RESTORE)
            }
            NodeError::Token { .. } | NodeError::Mark { .. } | NodeError::Archive { .. } => {
                Some(DISK)
            }
            NodeError::Thread(_) | NodeError::Spawn { .. } | NodeError::Step(_) => Some(LOG),
            NodeError::Clock { .. } => {
                Some("set the clock, and look at the machine's time service")
            }
            NodeError::NoJournal { .. } => Some(
                "check --data-dir and APEX_DATABASE_URL; where nothing ever ran, `apextrade up` \
                 begins one",
            ),
            NodeError::NotOpened => Some("start it once with `apextrade up`"),
            NodeError::NotAsBackedUp(_) => {
                Some("do not start on it: restore an earlier backup (--backup) into a new folder")
            }
            NodeError::Unit(_) => Some(
                "give what is counted otherwise another id at the venue, or pass another --data-dir",
            ),
            NodeError::Opening(_) => Some("mend the instruments of the feed or venue"),
            NodeError::Credentials(_) => {
                Some("restore the folder `records` from a backup, or pass another --data-dir")
            }
            NodeError::Venue(source) => venue_advice(source),
            NodeError::Replay(ReplayError::Capture(source)) => match source {
                CaptureError::Read { .. } => Some("check the path and its rights"),
                _ => Some("pass a recording; CSV files are for `apextrade backtest`"),
            },
            NodeError::Gateway(GatewayError::Bind { .. }) => {
                Some("stop what serves there, or pass another --listen")
            }
            _ => None,
        }
    }

    pub(crate) fn no_journal_in_folder(data_dir: &Path) -> NodeError {
        NodeError::NoJournal {
            place: format!("data folder \"{}\"", data_dir.display()),
        }
    }

    pub(crate) fn no_journal_in_database(name: &str) -> NodeError {
        NodeError::NoJournal {
            place: format!("database {name}"),
        }
    }

    /// The journal of an account does not open.
    pub(crate) fn journal(account_id: &AccountId, source: StorageError) -> NodeError {
        NodeError::Journal {
            account_id: account_id.clone(),
            source,
        }
    }

    /// An account could not be rebuilt.
    pub(crate) fn recover(account_id: &AccountId, source: RecoverError) -> NodeError {
        NodeError::Recover {
            account_id: account_id.clone(),
            source: Box::new(source),
        }
    }

    /// An actor did not start.
    pub fn spawn(name: &str, error: &ractor::SpawnErr) -> NodeError {
        NodeError::Spawn {
            name: name.to_owned(),
            detail: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_storage::Damage;

    #[test]
    fn damage_is_mended_where_it_is() {
        let damaged = |segment: &str| StorageError::Damaged {
            position: Position {
                segment: segment.to_owned(),
                offset: 0,
                sequence: 7,
            },
            reason: Damage::Chain,
        };
        let advice = |error: NodeError| error.advice().unwrap();
        let of = |segment: &str| {
            advice(NodeError::journal(
                &crate::up::paper_account(),
                damaged(segment),
            ))
        };
        assert!(of("00000000000000000001.seg").contains("whole data folder"));
        assert!(of("journal_frame of paper").contains("restore the database"));
        let audit = advice(NodeError::Audit(damaged("00000000000000000001.seg")));
        assert!(
            audit.contains("--new-audit") && !audit.contains("whole data folder"),
            "{audit}"
        );
    }
}
