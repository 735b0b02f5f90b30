//! The command lines of the audit.

use super::ClientArgs;
use super::archive::instant;
use apex_domain::UnixNanos;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    pub action: AuditAction,
}

#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// List actions and order commands with what came of them, newest first.
    List(AuditListArgs),
    /// Check every record and compare it with the checkpoints; exit with 1 where one is bad.
    ///
    /// Asks the running gateway; `apextrade verify` checks a data folder without one.
    Verify(ClientArgs),
}

#[derive(Debug, Args)]
pub struct AuditListArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Not before this: a date, an instant with its zone, or nanoseconds.
    #[arg(long, value_name = "TS", value_parser = instant)]
    pub from: Option<UnixNanos>,
    /// Only before this.
    #[arg(long, value_name = "TS", value_parser = instant)]
    pub to: Option<UnixNanos>,
    /// Only of this user; `node` is what the process did by itself.
    #[arg(long, value_name = "USER")]
    pub principal: Option<String>,
    /// Only this action, such as Halt or RiskService/Halt.
    #[arg(long)]
    pub action: Option<String>,
    /// Only what names this account.
    #[arg(long)]
    pub account: Option<String>,
    /// Only what ended so.
    #[arg(long, value_enum)]
    pub result: Option<AuditResultArg>,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditResultArg {
    Ok,
    /// Turned away, or denied by a rule.
    Refused,
    /// No answer was recorded.
    Unknown,
}
