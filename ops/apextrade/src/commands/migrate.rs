//! `apextrade migrate`.

use crate::cli::MigrateArgs;
use crate::config::Settings;
use anyhow::{Result, bail};
use apex_node::stores::{self, DATABASE_URL};
use std::process::ExitCode;

/// Brings the database up to what this build needs; doing it again changes nothing.
pub fn run(args: &MigrateArgs, settings: &Settings) -> Result<ExitCode> {
    let Some(url) = &settings.servers.database_url else {
        bail!(
            "there is no database to migrate: set {DATABASE_URL}, or do nothing, since a data \
             folder needs no migration"
        );
    };
    let taken = stores::migrate(url)?;
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
