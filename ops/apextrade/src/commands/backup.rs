//! `apextrade backup` and `apextrade restore`.

use crate::cli::{BackupArgs, RestoreArgs};
use crate::config::Settings;
use anyhow::{Context, Result, bail};
use apex_node::backup::{self, AccountEnd, Place};
use std::path::PathBuf;
use std::process::ExitCode;

/// Takes a backup of the data folder.
pub fn run(args: &BackupArgs, settings: &Settings) -> Result<ExitCode> {
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let place = place(&args.to, settings)?;
    let taken = backup::take(data_dir, &settings.servers, &place)
        .with_context(|| format!("cannot back data folder \"{}\" up", data_dir.display()))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&taken)?);
        return Ok(ExitCode::SUCCESS);
    }
    print_accounts(&taken.accounts);
    crate::say!(
        "backup {} in {place}: {} of {} bytes copied in {:.2} s, state hash {}",
        taken.backup,
        taken.copied_bytes,
        taken.copied_bytes + taken.known_bytes,
        taken.seconds,
        taken.state_hash
    );
    Ok(ExitCode::SUCCESS)
}

/// Restores a backup into an empty folder.
pub fn restore(args: &RestoreArgs, settings: &Settings) -> Result<ExitCode> {
    let place = place(&args.from, settings)?;
    let restored = backup::restore(&place, args.backup.as_deref(), &args.data_dir)
        .with_context(|| format!("cannot restore into \"{}\"", args.data_dir.display()))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&restored)?);
        return Ok(ExitCode::SUCCESS);
    }
    print_accounts(&restored.accounts);
    crate::say!(
        "backup {} restored and verified: {} bytes in {:.2} s, state hash {}",
        restored.backup,
        restored.bytes,
        restored.seconds,
        restored.state_hash
    );
    Ok(ExitCode::SUCCESS)
}

fn print_accounts(accounts: &[AccountEnd]) {
    for account in accounts {
        crate::say!(
            "account {}: to sequence {}, chain {}",
            account.account_id,
            account.last_sequence,
            account.chain
        );
    }
}

fn place(text: &str, settings: &Settings) -> Result<Place> {
    if text != "s3" {
        return Ok(Place::Folder(PathBuf::from(text)));
    }
    match &settings.s3 {
        Some(options) => Ok(Place::S3(options.clone())),
        None => bail!(
            "no S3 server is set: set APEX_S3_ENDPOINT, APEX_S3_BUCKET, APEX_S3_ACCESS_KEY and \
             APEX_S3_SECRET_KEY, or name a folder (./s3 for one of that name)"
        ),
    }
}
