//! `apextrade migrate`.

use crate::cli::MigrateArgs;
use crate::config::Settings;
use anyhow::{Result, bail};
use apex_node::stores::{self, DATABASE_URL, TIMESCALE_URL};
use std::process::ExitCode;

/// Brings the databases up to what this build needs; doing it again changes nothing.
pub fn run(args: &MigrateArgs, settings: &Settings) -> Result<ExitCode> {
    let servers = &settings.servers;
    if servers.database_url.is_none() && servers.timescale_url.is_none() {
        bail!(
            "there is no database to migrate: set {DATABASE_URL} or {TIMESCALE_URL}, or do nothing, \
             since a data folder needs no migration"
        );
    }
    let mut taken = Vec::new();
    if let Some(url) = &servers.database_url {
        taken.extend(stores::migrate(url)?);
    }
    if let Some(url) = &servers.timescale_url {
        taken.extend(stores::migrate_series(url)?);
    }
    if args.json {
        crate::say!("{}", serde_json::json!({ "steps": taken }));
    } else if taken.is_empty() {
        crate::say!("the database is up to date");
    } else {
        for step in &taken {
            crate::say!("done: {step}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
