//! Flags of `backup` and `restore`.

use super::DataDirArgs;
use clap::{Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    #[command(flatten)]
    pub take: TakeArgs,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// List the backups of a place, oldest first.
    List(BackupListArgs),
    /// Read every part of a backup against its hash.
    Check(BackupCheckArgs),
    /// Remove old backups, and what only they had.
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub struct BackupListArgs {
    /// Folder that holds the backups, or `s3` as for `backup`.
    #[arg(long, value_name = "FOLDER|s3")]
    pub to: String,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BackupCheckArgs {
    /// Folder that holds the backups, or `s3` as for `backup`.
    #[arg(long, value_name = "FOLDER|s3")]
    pub to: String,
    /// Backup to check, as `backup` named it; without it the newest.
    #[arg(long, value_name = "ID")]
    pub backup: Option<String>,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Folder that holds the backups, or `s3` as for `backup`.
    #[arg(long, value_name = "FOLDER|s3")]
    pub to: String,
    /// How many stay, the newest.
    #[arg(long, value_name = "N")]
    pub keep: NonZeroUsize,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct TakeArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Folder that holds the backups, made when it is missing, or `s3` for the bucket that
    /// APEX_S3_ENDPOINT, APEX_S3_BUCKET, APEX_S3_ACCESS_KEY and APEX_S3_SECRET_KEY name.
    // Optional to the reader alone: `prune` has one of its own.
    #[arg(long, value_name = "FOLDER|s3", required = true)]
    pub to: Option<String>,
    /// Afterwards remove all backups there but for the newest N.
    #[arg(long, value_name = "N")]
    pub keep: Option<NonZeroUsize>,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder that holds the backups, or `s3` as for `backup`.
    #[arg(long, value_name = "FOLDER|s3")]
    pub from: String,
    /// Folder to restore into: empty, or not there yet. Of a backup of databases it gets the rest, and
    /// APEX_DATABASE_URL and APEX_TIMESCALE_URL name the empty databases.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Backup to restore, as `backup` named it; without it the newest.
    #[arg(long, value_name = "ID")]
    pub backup: Option<String>,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}
