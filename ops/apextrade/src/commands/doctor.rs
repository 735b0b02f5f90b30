//! `apextrade doctor`: what is configured, what answers, what is missing and how to get it.

mod local;
mod reserve;
mod servers;

use crate::cli::DoctorArgs;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_node::NodeError;
use apex_node::stores::ServerSettings;
use apex_node::verify::{Verification, verify, verify_here};
use apex_storage::{AUDIT_JOURNAL, StorageError};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
    /// What to do; empty when there is nothing to do.
    fix: String,
}

impl Check {
    fn good(name: &'static str, detail: String) -> Check {
        Check {
            name,
            ok: true,
            detail,
            fix: String::new(),
        }
    }

    fn bad(name: &'static str, detail: String, fix: String) -> Check {
        Check {
            name,
            ok: false,
            detail,
            fix,
        }
    }

    /// What a server or a store said, with its own advice.
    fn failed(name: &'static str, error: &NodeError) -> Check {
        let fix = error.advice().unwrap_or("see the message");
        let detail = crate::output::causes(error);
        Check::bad(name, detail, fix.to_owned())
    }
}

/// Prints one line a check; exit status 1 when one of them is not well.
pub fn run(args: &DoctorArgs, settings: &Settings) -> Result<ExitCode> {
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let (servers, found) = (&settings.servers, verified(data_dir, &settings.servers));
    let is_away = matches!(&found, Some(Err(error)) if is_of_bucket(error, servers));
    let checks = [
        local::data_folder(data_dir),
        servers::database(servers),
        servers::series(servers),
        servers::redis(servers),
        servers::bucket(servers),
        match is_away {
            true => journal_here(data_dir, servers),
            false => journal(&found),
        },
        audit(&found, is_away),
        reserve::check(data_dir, servers),
        local::token(data_dir),
        local::gateway(&settings.listen),
    ];
    if args.json {
        crate::say!("{}", serde_json::to_string(&checks)?);
    } else {
        let row = |check: &Check| {
            let mark = if check.ok { "ok" } else { "FAIL" };
            vec![
                check.name.to_owned(),
                mark.to_owned(),
                check.detail.clone(),
                check.fix.clone(),
            ]
        };
        table(
            &["check", "", "detail", "fix"],
            &checks.iter().map(row).collect::<Vec<_>>(),
        );
    }
    let well = checks.iter().all(|check| check.ok);
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a check of all journals finds; `None` where there is nothing yet.
type Found = Option<Result<Verification, NodeError>>;

fn verified(data_dir: &Path, servers: &ServerSettings) -> Found {
    data_dir.exists().then(|| verify(data_dir, servers))
}

/// Returns true for what the line of the bucket tells: neither journals nor audit are at fault. Without a
/// bucket in the settings it tells nothing, and that one is missing is the journals' fault.
fn is_of_bucket(error: &NodeError, servers: &ServerSettings) -> bool {
    if servers.s3.is_none() {
        return false;
    }
    let NodeError::Storage(source) = error else {
        return false;
    };
    match source {
        StorageError::Unavailable { variable, .. } | StorageError::Setting { variable, .. } => {
            variable.starts_with("APEX_S3_")
        }
        _ => false,
    }
}

/// What is here without the bucket.
fn journal_here(data_dir: &Path, servers: &ServerSettings) -> Check {
    let here = match verify_here(data_dir, servers) {
        Ok(here) if here.found.accounts.is_empty() && here.found.first_bad.is_none() => {
            return journal(&None);
        }
        Ok(here) => here,
        Err(error) => return journal(&Some(Err(error))),
    };
    let mut check = journal(&Some(Ok(here.found)));
    if here.moved > 0 {
        let moved = here.moved;
        check.detail.push_str(&format!(
            "; {moved} that were moved to the bucket not looked at, see s3"
        ));
    }
    check
}

fn journal(found: &Found) -> Check {
    const NAME: &str = "journal";
    let found = match found {
        // Before a first start.
        None | Some(Err(NodeError::NoJournal { .. })) => {
            return Check::good(NAME, "none yet".to_owned());
        }
        Some(Err(error)) => return Check::failed(NAME, error),
        Some(Ok(found)) => found,
    };
    match &found.first_bad {
        Some(bad) if bad.account_id != AUDIT_JOURNAL => Check::bad(
            NAME,
            format!(
                "account {} is damaged at record {}",
                bad.account_id, bad.sequence
            ),
            "see `apextrade verify`, then restore from a backup".to_owned(),
        ),
        // That of the audit has a line of its own.
        _ => Check::good(NAME, format!("{} records, whole", found.records)),
    }
}

fn audit(found: &Found, is_away: bool) -> Check {
    const NAME: &str = "audit";
    let found = match found {
        None => return Check::good(NAME, "none yet".to_owned()),
        Some(Err(_)) if is_away => {
            let detail = "not looked at: the bucket cannot be used, see s3";
            return Check::good(NAME, detail.to_owned());
        }
        Some(Err(_)) => {
            return Check::good(
                NAME,
                "not looked at: the journals cannot be read".to_owned(),
            );
        }
        Some(Ok(found)) => found,
    };
    let Some(audit) = &found.audit else {
        return Check::good(NAME, "none was begun".to_owned());
    };
    if let Some(bad) = &audit.first_bad {
        return Check::bad(
            NAME,
            format!("damaged at record {}: {}", bad.sequence, bad.reason),
            AUDIT_FIX.to_owned(),
        );
    }
    let records = format!("{} records, whole", audit.records);
    match &audit.not_compared {
        None => Check::good(NAME, records),
        Some(why) => Check::bad(
            NAME,
            format!("{records}, but not compared with its checkpoints: {why}"),
            "set APEX_S3_* as they were".to_owned(),
        ),
    }
}

/// The journals of the accounts are not at fault.
const AUDIT_FIX: &str = "put the audit of a backup back; the journals of the accounts are not touched \
                         by it";
