//! The command lines of users and tokens.

use super::archive::instant;
use super::{ClientArgs, RequestArgs};
use apex_domain::UnixNanos;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    pub action: UserAction,
}

#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// List users with their roles and accounts.
    List(ListUsersArgs),
    /// Add a user.
    Add(AddUserArgs),
    /// Give a user another role; it holds from its next call on.
    Role(UserRoleArgs),
    /// Grant accounts to a user.
    Grant(GrantArgs),
    /// Take accounts away from a user.
    Revoke(GrantArgs),
    /// Let nothing of a user in any more; its streams are cut.
    Disable(NamedUserArgs),
    /// Let a disabled user in again.
    Enable(NamedUserArgs),
    /// Give a user a new password, which it has to change; its sessions end.
    Password(UserPasswordArgs),
    /// Take the second factor of a user off that has lost its device and codes.
    TotpOff(NamedUserArgs),
}

#[derive(Debug, Args)]
pub struct ListUsersArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Reads.
    Viewer,
    /// Reads and trades in the accounts that are granted.
    Trader,
    /// Reads, sets limits, halts, cancels.
    Risk,
    /// Reads and runs the platform.
    Ops,
    /// Everything.
    Admin,
}

#[derive(Debug, Args)]
pub struct AddUserArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Its name: letters, digits, points, dashes and underscores.
    pub user: String,
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// Account that is granted; may be repeated.
    #[arg(long = "account", value_name = "ID", conflicts_with = "all_accounts")]
    pub accounts: Vec<String>,
    /// Grant all accounts, later ones too.
    #[arg(long)]
    pub all_accounts: bool,
    /// File with its first password, which it has to change, or - for standard input; without it the
    /// user has API keys alone.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct NamedUserArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Whom.
    pub user: String,
}

#[derive(Debug, Args)]
pub struct UserRoleArgs {
    #[command(flatten)]
    pub of: NamedUserArgs,
    #[arg(value_enum)]
    pub role: RoleArg,
}

#[derive(Debug, Args)]
pub struct GrantArgs {
    #[command(flatten)]
    pub of: NamedUserArgs,
    /// Which accounts.
    #[arg(
        required_unless_present = "all_accounts",
        conflicts_with = "all_accounts"
    )]
    pub accounts: Vec<String>,
    /// All of them, later ones too.
    #[arg(long)]
    pub all_accounts: bool,
}

#[derive(Debug, Args)]
pub struct UserPasswordArgs {
    #[command(flatten)]
    pub of: NamedUserArgs,
    /// File with the password, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    pub action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make an API key; its token is shown once.
    Create(CreateTokenArgs),
    /// List API keys.
    List(ListTokensArgs),
    /// Let an API key open nothing any more.
    Revoke(RevokeTokenArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    Read,
    Trade,
    Cancel,
    Resolve,
    Risk,
    Ops,
    Audit,
    Admin,
}

#[derive(Debug, Args)]
pub struct CreateTokenArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Whose; without it the caller's own.
    #[arg(long)]
    pub user: Option<String>,
    /// What it is for.
    #[arg(long, default_value = "")]
    pub name: String,
    /// The most that it may do; without it what its user may.
    #[arg(long, value_enum)]
    pub role: Option<RoleArg>,
    /// Kind of methods that it is for; may be repeated; without it all of the role.
    #[arg(long = "scope", value_enum)]
    pub scopes: Vec<ScopeArg>,
    /// Account that it may touch; may be repeated; without it those of its user.
    #[arg(long = "account", value_name = "ID")]
    pub accounts: Vec<String>,
    /// Network that it may come from, such as 10.0.0.0/8; may be repeated; without it any.
    #[arg(long = "network", value_name = "NET")]
    pub networks: Vec<String>,
    /// When it ends: a date, an instant with its zone, or nanoseconds; without it never.
    #[arg(long, value_name = "TS", value_parser = instant)]
    pub expires: Option<UnixNanos>,
    /// Write the token to this file, readable by its owner alone, and do not print it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ListTokensArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Only of this user.
    #[arg(long)]
    pub user: Option<String>,
    /// Revoked and expired ones too.
    #[arg(long)]
    pub all: bool,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct RevokeTokenArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// The public part of its token.
    pub key_id: String,
}
