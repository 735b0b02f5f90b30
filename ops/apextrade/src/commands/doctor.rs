//! `apextrade doctor`: what is configured, what answers, what is missing and how to get it.

use crate::cli::DoctorArgs;
use crate::commands::health::get_status;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_node::NodeError;
use apex_node::stores::{self, DATABASE_URL, REDIS_URL, ServerFacts, ServerSettings};
use serde::Serialize;
use std::io::Write;
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
}

/// Prints one line a check; exit status 1 when one of them is not well.
pub fn run(args: &DoctorArgs, settings: &Settings) -> Result<ExitCode> {
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let checks = [
        data_folder(data_dir),
        database(&settings.servers),
        redis(&settings.servers),
        journal(data_dir, &settings.servers),
        reserve(data_dir),
        token(data_dir),
        gateway(&settings.listen),
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

fn data_folder(data_dir: &Path) -> Check {
    const NAME: &str = "data folder";
    if !data_dir.exists() {
        return Check::good(
            NAME,
            format!("{} will be made at first start", data_dir.display()),
        );
    }
    // A write and a sync say more than permission bits.
    let written = tempfile_in(data_dir);
    match written {
        Ok(()) => Check::good(NAME, format!("{} can be written", data_dir.display())),
        Err(error) => Check::bad(
            NAME,
            format!("{}: {error}", data_dir.display()),
            "free space or give this user the right to write there".to_owned(),
        ),
    }
}

fn tempfile_in(data_dir: &Path) -> std::io::Result<()> {
    let path = data_dir.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(b"doctor")?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&path);
    written
}

fn database(servers: &ServerSettings) -> Check {
    const NAME: &str = "database";
    let Some(url) = &servers.database_url else {
        return Check::good(
            NAME,
            format!("{DATABASE_URL} is not set: everything is in the data folder"),
        );
    };
    match stores::check(url) {
        Ok(detail) => Check::good(NAME, detail),
        Err(error) => {
            let fix = error.advice().unwrap_or("see the message");
            Check::bad(NAME, error.to_string(), fix.to_owned())
        }
    }
}

fn redis(servers: &ServerSettings) -> Check {
    const NAME: &str = "redis";
    let Some(url) = &servers.redis_url else {
        let detail = format!("{REDIS_URL} is not set: no hot values are written for others");
        return Check::good(NAME, detail);
    };
    match stores::check_redis(url) {
        Ok(facts) => redis_server(NAME, &facts),
        Err(error) => {
            let fix = error.advice().unwrap_or("see the message");
            Check::bad(NAME, error.to_string(), fix.to_owned())
        }
    }
}

/// A server that answers, and takes no writes, degrades a node for as long as it does so.
fn redis_server(name: &'static str, facts: &ServerFacts) -> Check {
    let limit = match facts.memory_limit_bytes {
        0 => "no memory limit".to_owned(),
        bytes => format!("{} of {bytes} bytes used", facts.memory_used_bytes),
    };
    let said = format!(
        "{} answers, version {}, {limit}, maxmemory-policy {}",
        facts.name, facts.version, facts.eviction_policy
    );
    if facts.is_replica {
        let fix = format!("name the primary in {REDIS_URL}, or make this one a primary");
        return Check::bad(name, format!("{said}, a read-only replica"), fix);
    }
    if facts.is_full() {
        let fix = "raise maxmemory, or set a maxmemory-policy that evicts";
        return Check::bad(name, format!("{said}: full"), fix.to_owned());
    }
    Check::good(name, said)
}

fn journal(data_dir: &Path, servers: &ServerSettings) -> Check {
    const NAME: &str = "journal";
    if !data_dir.exists() {
        return Check::good(NAME, "none yet".to_owned());
    }
    match apex_node::verify::verify(data_dir, servers) {
        Ok(found) if found.ok => Check::good(NAME, format!("{} records, whole", found.records)),
        Ok(_) => Check::bad(
            NAME,
            "damaged".to_owned(),
            "see `apextrade verify`, then restore from a backup".to_owned(),
        ),
        // Before a first start.
        Err(NodeError::NoJournal { .. }) => Check::good(NAME, "none yet".to_owned()),
        Err(error) => Check::bad(NAME, error.to_string(), "see the message".to_owned()),
    }
}

fn reserve(data_dir: &Path) -> Check {
    const NAME: &str = "reserve";
    match stores::waiting(data_dir) {
        Ok(None) => Check::good(NAME, "nothing waits for a database".to_owned()),
        Ok(Some(waiting)) => Check::bad(
            NAME,
            format!("{waiting} are in the data folder alone and wait for the database"),
            "start the database server, and `apextrade up` where it does not run: nothing else is \
             to be done"
                .to_owned(),
        ),
        Err(error) => {
            let fix = error.advice().unwrap_or("see the message");
            Check::bad(NAME, error.to_string(), fix.to_owned())
        }
    }
}

fn token(data_dir: &Path) -> Check {
    const NAME: &str = "admin token";
    let path = data_dir.join("admin.token");
    if path.exists() {
        Check::good(NAME, path.display().to_string())
    } else {
        Check::good(NAME, "made at first start".to_owned())
    }
}

fn gateway(listen: &str) -> Check {
    const NAME: &str = "gateway";
    match get_status(&format!("http://{listen}"), "/ready") {
        Ok(200) => Check::good(NAME, format!("{listen} is ready")),
        Ok(status) => Check::bad(
            NAME,
            format!("{listen} answers /ready with {status}"),
            format!("see http://{listen}/ready for what is missing"),
        ),
        // A machine on which it was not started is well.
        Err(_) => Check {
            name: NAME,
            ok: true,
            detail: format!("not running on {listen}"),
            fix: "start it with `apextrade up`, or set APEX_LISTEN to where it serves".to_owned(),
        },
    }
}
