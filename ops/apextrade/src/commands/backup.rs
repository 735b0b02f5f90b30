//! `apextrade backup` and `apextrade restore`.

use super::client::fields;
use super::progress::Copying;
use crate::cli::{
    BackupArgs, BackupCheckArgs, BackupCommand, BackupListArgs, PruneArgs, RestoreArgs, TakeArgs,
};
use crate::config::Settings;
use anyhow::{Context, Result, bail};
use apex_node::backup::{
    self, AccountEnd, BackupReport, DatabaseRows, Keep, ListedBackup, Place, PruneReport,
};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `backup --json` prints.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    taken: BackupReport,
    /// With `--keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<PruneReport>,
}

/// Takes a backup of the data folder and its databases, lists them, checks one, or removes old ones.
pub fn run(args: &BackupArgs, settings: &Settings) -> Result<ExitCode> {
    match (&args.command, &args.take.to) {
        (Some(BackupCommand::List(args)), _) => list(args, settings),
        (Some(BackupCommand::Check(args)), _) => check(args, settings),
        (Some(BackupCommand::Prune(args)), _) => prune(args, settings),
        (None, Some(to)) => take(&args.take, to, settings),
        (None, None) => bail!("there is no place to back up to: name it with --to"),
    }
}

fn take(args: &TakeArgs, to: &str, settings: &Settings) -> Result<ExitCode> {
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let place = place(to, settings)?;
    let copying = Copying::begin();
    let taken = backup::take(data_dir, &settings.servers, &place, &|step| {
        copying.show(step)
    });
    drop(copying);
    let taken =
        taken.with_context(|| format!("cannot back data folder \"{}\" up", data_dir.display()))?;
    if !args.json {
        print_accounts(&taken.accounts);
        print_databases(&taken.databases);
        print_reserves(taken.reserves_elsewhere);
        crate::say!(
            "backup {} in {place}: {} of {} bytes copied in {:.2} s, state hash {}",
            taken.backup,
            taken.copied_bytes,
            taken.copied_bytes + taken.known_bytes,
            taken.seconds,
            taken.state_hash
        );
    }
    // The backup stands, whatever becomes of the older ones.
    let also = Some(taken.backup.as_str());
    let pruned = args.keep.map(|keep| pruned(&place, keep, also)).transpose();
    let pruned = pruned.with_context(|| format!("backup {} was taken", taken.backup))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&Done { taken, pruned })?);
    } else if let Some(pruned) = pruned {
        print_pruned(&pruned);
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &BackupListArgs, settings: &Settings) -> Result<ExitCode> {
    let place = place(&args.to, settings)?;
    let found = backup::list(&place).with_context(|| format!("cannot list backups in {place}"))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    if found.backups.is_empty() {
        crate::say!("there is no backup in {place}");
        return Ok(ExitCode::SUCCESS);
    }
    let headings = [
        "BACKUP", "TIME", "BYTES", "OF", "BUILD", "SCHEMA", "ACCOUNTS",
    ];
    let rows: Vec<Vec<String>> = found.backups.iter().map(row).collect();
    crate::output::table(&headings, &rows);
    Ok(ExitCode::SUCCESS)
}

fn check(args: &BackupCheckArgs, settings: &Settings) -> Result<ExitCode> {
    let place = place(&args.to, settings)?;
    let copying = Copying::begin();
    let found = backup::check(&place, args.backup.as_deref(), &|step| copying.show(step));
    drop(copying);
    let found = found.with_context(|| format!("cannot check the backup in {place}"))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&found)?);
    } else {
        for damaged in &found.damaged {
            crate::say!("{damaged}");
        }
        crate::say!(
            "backup {}: {} parts with {} bytes, {} damaged",
            found.backup,
            found.parts,
            found.bytes,
            found.damaged.len()
        );
    }
    Ok(match found.ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn row(listed: &ListedBackup) -> Vec<String> {
    let time = |ns: u64| fields::time(ns.cast_signed());
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let accounts = match &listed.error {
        Some(error) => error.clone(),
        None => {
            let ids = listed.accounts.iter().map(|it| it.account_id.as_str());
            ids.collect::<Vec<_>>().join(", ")
        }
    };
    vec![
        listed.backup.clone(),
        or_dash(listed.begun_ns.map(time)),
        or_dash(listed.bytes.map(|bytes| bytes.to_string())),
        or_dash(listed.kind.map(str::to_owned)),
        or_dash(listed.build.clone()),
        or_dash(listed.schema.map(|schema| schema.to_string())),
        accounts,
    ]
}

fn prune(args: &PruneArgs, settings: &Settings) -> Result<ExitCode> {
    let pruned = pruned(&place(&args.to, settings)?, args.keep, None)?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&pruned)?);
    } else {
        print_pruned(&pruned);
    }
    Ok(ExitCode::SUCCESS)
}

fn pruned(place: &Place, newest: NonZeroUsize, also: Option<&str>) -> Result<PruneReport> {
    let newest = newest.get();
    backup::prune(place, Keep { newest, also })
        .with_context(|| format!("cannot remove old backups in {place}"))
}

fn print_pruned(pruned: &PruneReport) {
    crate::say!(
        "{} old backups removed with {} bytes, {} kept",
        pruned.removed.len(),
        pruned.removed_bytes,
        pruned.kept.len()
    );
}

/// Restores a backup into an empty folder, and into empty databases.
pub fn restore(args: &RestoreArgs, settings: &Settings) -> Result<ExitCode> {
    let place = place(&args.from, settings)?;
    let (copying, id) = (Copying::begin(), args.backup.as_deref());
    let progress = |step: &backup::Step<'_>| copying.show(step);
    let restored = backup::restore(&place, id, &args.data_dir, &settings.servers, &progress);
    drop(copying);
    let restored =
        restored.with_context(|| format!("cannot restore into \"{}\"", args.data_dir.display()))?;
    if args.json {
        crate::say!("{}", serde_json::to_string(&restored)?);
        return Ok(ExitCode::SUCCESS);
    }
    print_accounts(&restored.accounts);
    print_databases(&restored.databases);
    print_reserves(restored.reserves_elsewhere);
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

fn print_databases(databases: &[DatabaseRows]) {
    for of in databases {
        crate::say!("{} of database {}: {} rows", of.holds, of.name, of.rows);
    }
}

/// They are not in the backup, and whoever starts on it should not learn of them only then.
fn print_reserves(elsewhere: u64) {
    if elsewhere > 0 {
        crate::say!(
            "{elsewhere} reserves of accounts may be in other data folders and are not in it: a start on \
             what is restored asks for them"
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
