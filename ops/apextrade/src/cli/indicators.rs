//! Arguments of `apextrade indicators`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IndicatorsArgs {
    #[command(subcommand)]
    pub command: Option<IndicatorsCommand>,
    /// Print the list as one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum IndicatorsCommand {
    /// Compute an indicator over a file and print a row for each of its bars.
    Compute(ComputeArgs),
}

#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// Indicator, by name, such as ema.
    pub name: String,
    /// CSV file of bars, quotes, trades or ticks, plain or gzip.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Instrument to select, named as in the file; needed when the file has several.
    #[arg(long, value_name = "ID")]
    pub instrument: Option<String>,
    /// Parameter of the indicator; may be repeated.
    #[arg(long = "param", value_name = "K=V")]
    pub params: Vec<String>,
    /// Print one JSON object instead of CSV.
    #[arg(long)]
    pub json: bool,
}
