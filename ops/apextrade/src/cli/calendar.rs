//! The command line of `calendar`.

use apex_domain::UnixNanos;
use apex_domain::calendar::{Date, parse_instant};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("question").required(true).args(["from", "at"])))]
pub struct CalendarArgs {
    /// XNYS, XLON, FX or CRYPTO.
    pub name: String,
    /// First trading date to list, such as 2024-07-01.
    #[arg(long, value_name = "DATE", requires = "to")]
    pub from: Option<Date>,
    /// Last trading date to list, inclusive.
    #[arg(long, value_name = "DATE", requires = "from")]
    pub to: Option<Date>,
    /// Instant to ask about, such as 2018-04-27T16:00:00-04:00, or nanoseconds since 1970.
    #[arg(
        long,
        value_name = "TS",
        value_parser = parse_instant,
        allow_negative_numbers = true,
        conflicts_with = "to"
    )]
    pub at: Option<UnixNanos>,
    /// TOML file of single days, by calendar, that go before its rules.
    #[arg(long, value_name = "FILE")]
    pub days: Option<PathBuf>,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}
