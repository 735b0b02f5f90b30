//! The command lines of `import` and `export`.

use super::DataDirArgs;
use apex_domain::UnixNanos;
use apex_domain::calendar::parse_instant;
use apex_storage::archive::parse_interval;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files of bars, quotes, trades or ticks: CSV, plain or gzip, or Parquet.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only the rows of this instrument; of files that name none, what their rows are of.
    #[arg(long, value_name = "ID")]
    pub instrument: Option<String>,
    /// Interval of bars, such as 1m, 4h or 1d; without it their usual distance.
    #[arg(long, value_name = "LENGTH", value_parser = interval)]
    pub interval: Option<i64>,
    /// Say what was recognised, show the first rows, and import nothing.
    #[arg(long)]
    pub preview: bool,
    /// Import nothing of any file when one row of one file is bad or contradicts itself.
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Print the report as exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArchiveKind {
    Bars,
    Quotes,
    Trades,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArchiveFormat {
    Csv,
    Parquet,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Instrument; a bare symbol means the one at SIM.
    #[arg(long, value_name = "ID")]
    pub instrument: String,
    /// What of it; may be left out where the archive has only one.
    #[arg(long, value_enum)]
    pub kind: Option<ArchiveKind>,
    /// Interval of bars, such as 1m, 4h or 1d; may be left out where there is only one.
    #[arg(long, value_name = "LENGTH", value_parser = interval)]
    pub interval: Option<i64>,
    /// Make bars of --interval from the archived trades, as a live feed does.
    #[arg(long, requires = "interval", conflicts_with = "kind")]
    pub from_trades: bool,
    /// First time, inclusive: 2024-08-08, 2024-08-08T12:00:00Z, or nanoseconds since 1970.
    #[arg(long, value_name = "T", value_parser = instant, allow_negative_numbers = true)]
    pub from: Option<UnixNanos>,
    /// Last time, exclusive.
    #[arg(long, value_name = "T", value_parser = instant, allow_negative_numbers = true)]
    pub to: Option<UnixNanos>,
    /// Without it Parquet where FILE ends so, else CSV.
    #[arg(long, value_enum)]
    pub format: Option<ArchiveFormat>,
    /// File to write, there only when it is whole; `-` writes CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Print what was written as exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn interval(text: &str) -> Result<i64, String> {
    let expected = "expected a whole number and d, h, m, s, ms, us or ns, such as 5m";
    parse_interval(text).ok_or_else(|| expected.to_owned())
}

/// An instant, or a date, which is its midnight UTC.
pub(super) fn instant(text: &str) -> Result<UnixNanos, String> {
    let midnight = || parse_instant(&format!("{text}T00:00:00Z"));
    let parsed = parse_instant(text);
    parsed.or_else(|error| midnight().map_err(|_| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight() {
        assert_eq!(instant("1970-01-02"), Ok(UnixNanos(86_400_000_000_000)));
        assert_eq!(
            instant("1970-01-01T00:00:01Z"),
            Ok(UnixNanos(1_000_000_000))
        );
        assert_eq!(instant("5"), Ok(UnixNanos(5)));
        assert!(instant("yesterday").is_err());
        assert!(interval("0m").is_err());
    }
}
