//! The command line. Names and flags are fixed by the platform's contract.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(
    name = "apextrade",
    version,
    about = "An event-driven trading platform",
    max_term_width = 100
)]
pub struct Cli {
    /// Settings file; without it `apextrade.toml` in the current folder, if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every role in one process on embedded storage.
    Up(UpArgs),
    /// Run a simulated venue in its own process with its own journal.
    VenueSim(VenueSimArgs),
    /// Run a strategy over recorded data and report what it made.
    Backtest(BacktestArgs),
    /// Replay recordings as fast as possible and print the summary.
    Replay(ReplayArgs),
    /// Check journal and hash chain, and rebuild the state from it.
    Verify(VerifyArgs),
    /// Say what is configured, what answers, what is missing and how to get it.
    Doctor(DoctorArgs),
    /// Exit with 0 when the gateway is alive, 1 when it is not.
    Health(HealthArgs),
    /// List, submit, amend, cancel and watch orders.
    Orders(OrdersArgs),
    /// List positions.
    Positions(ListArgs),
    /// List accounts.
    Accounts(ListArgs),
    /// List instruments.
    Instruments(InstrumentsArgs),
    /// Read or change the trading state.
    Risk(RiskArgs),
    /// Print the shell completions.
    Completions { shell: clap_complete::Shell },
    /// The child process of a live strategy; started by the worker.
    #[command(hide = true)]
    StrategyHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feed {
    /// A seeded market of simulated traders on a real order book.
    Sim,
    /// Live public data of Binance.
    Binance,
    /// Live data of Alpaca.
    Alpaca,
}

/// How fast a recording runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    Max,
    /// 1 is as recorded.
    Factor(f64),
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && (0.001..=1e6).contains(&factor) => {
            Ok(Speed::Factor(factor))
        }
        _ => Err("expected max, or a factor from 0.001 to 1000000".to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct DataDirArgs {
    /// Folder that holds journal, records and token; an empty one is a first start.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Address to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Allow an address beyond loopback without TLS.
    #[arg(long)]
    pub insecure: bool,
    /// Where market data comes from.
    #[arg(long, value_enum, conflicts_with = "replay")]
    pub feed: Option<Feed>,
    /// Address of an `apextrade venue-sim` to trade at, instead of the market inside.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "replay")]
    pub venue: Option<String>,
    /// Seed of the simulated market.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Recording to replay; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub replay: Vec<PathBuf>,
    #[command(flatten)]
    pub playback: PlaybackArgs,
    #[command(flatten)]
    pub strategies: StrategyArgs,
    /// End when the recording ends and print the summary.
    #[arg(long, requires = "replay")]
    pub exit_at_end: bool,
    /// Print the summary as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PlaybackArgs {
    /// Speed factor of a replay, or `max`.
    #[arg(long, value_parser = speed, default_value = "1")]
    pub speed: Speed,
    /// Start a replay over when it ends, with shifted times.
    #[arg(long = "loop")]
    pub repeat: bool,
    /// Further copies of each instrument, for load.
    #[arg(long = "clone", value_name = "N", default_value_t = 0)]
    pub clones: u32,
    /// Start a replay this many seconds into the recording.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub seek: u64,
}

#[derive(Debug, Args)]
pub struct StrategyArgs {
    /// Strategy to run, by name.
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// Parameter of the strategy.
    #[arg(long = "param", value_name = "K=V", requires = "strategy")]
    pub params: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Recordings.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub strategies: StrategyArgs,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VenueSimArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Address to serve on; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:8200")]
    pub listen: String,
    /// Seed of the market.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Milliseconds between two steps of the simulated traders.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub step_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fill {
    NextOpen,
    BarClose,
    Touch,
    Book,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Margin {
    None,
    Account,
}

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Strategy, by name.
    #[arg(long)]
    pub strategy: String,
    /// CSV file, plain or gzip.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Instrument to select where the file has several.
    #[arg(long, value_name = "ID")]
    pub instrument: Option<String>,
    /// Parameter of the strategy.
    #[arg(long = "param", value_name = "K=V")]
    pub params: Vec<String>,
    /// Cash at the start, in quote currency.
    #[arg(
        long,
        default_value = "0",
        value_name = "D",
        allow_hyphen_values = true
    )]
    pub start_cash: String,
    #[arg(long, value_enum, default_value_t = Margin::None)]
    pub margin: Margin,
    /// Fee of each fill in basis points of its notional.
    #[arg(
        long,
        default_value = "0",
        value_name = "D",
        allow_hyphen_values = true
    )]
    pub fee_bps: String,
    /// When and at what price orders fill.
    #[arg(long, value_enum)]
    pub fill: Option<Fill>,
    /// Basis points by which market orders fill worse.
    #[arg(
        long,
        default_value = "0",
        value_name = "D",
        allow_hyphen_values = true
    )]
    pub slippage_bps: String,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Address of the gateway.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    pub gateway: String,
}

/// How a client command reaches the gateway.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Address of the gateway.
    #[arg(
        long,
        env = "APEX_GATEWAY",
        default_value = "http://127.0.0.1:8000",
        value_name = "URL"
    )]
    pub gateway: String,
    /// File with the token; without it `admin.token` in the data folder.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account; without it all that may be seen.
    #[arg(long)]
    pub account: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct InstrumentsArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Only instruments of this venue.
    #[arg(long)]
    pub venue: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    pub limit: u32,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OrdersArgs {
    #[command(subcommand)]
    pub action: Option<OrdersAction>,
    #[command(flatten)]
    pub list: OrdersListArgs,
}

#[derive(Debug, Subcommand)]
pub enum OrdersAction {
    /// List orders, newest first; the same as no action.
    List(OrdersListArgs),
    /// Show one order.
    Get(OneOrderArgs),
    /// Submit an order.
    Submit(SubmitArgs),
    /// Change quantity or price of an order.
    Amend(AmendArgs),
    /// Cancel an order.
    Cancel(OneOrderArgs),
    /// Print each event as it comes, one JSON object a line with --json.
    Watch(WatchArgs),
}

#[derive(Debug, Args)]
pub struct OrdersListArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Only orders that are not done.
    #[arg(long)]
    pub working: bool,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct OneOrderArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long, default_value = "paper")]
    pub account: String,
    pub client_order_id: String,
}

#[derive(Debug, Args)]
pub struct AmendArgs {
    #[command(flatten)]
    pub one: OneOrderArgs,
    /// The new total quantity, filled part included.
    #[arg(
        long,
        required_unless_present = "limit_price",
        allow_negative_numbers = true
    )]
    pub quantity: Option<String>,
    #[arg(long, allow_negative_numbers = true)]
    pub limit_price: Option<String>,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Start behind this journal sequence, 0 with the first event; without it with what comes now.
    #[arg(long)]
    pub from_sequence: Option<u64>,
}

#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Your id of the order; without it one is made.
    #[arg(long)]
    pub client_order_id: Option<String>,
    /// SYMBOL.VENUE; a bare symbol means the simulated venue.
    pub instrument: String,
    #[arg(value_enum)]
    pub side: SideArg,
    #[arg(allow_negative_numbers = true)]
    pub quantity: String,
    /// Makes it a limit order; without it a market order.
    #[arg(long, allow_negative_numbers = true)]
    pub limit_price: Option<String>,
    /// Without it gtc for a limit order and ioc for a market order.
    #[arg(long, value_enum)]
    pub time_in_force: Option<TimeInForceArg>,
    #[arg(long)]
    pub post_only: bool,
    #[arg(long)]
    pub reduce_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SideArg {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimeInForceArg {
    Gtc,
    Ioc,
    Fok,
}

#[derive(Debug, Args)]
pub struct RiskArgs {
    #[command(subcommand)]
    pub action: RiskAction,
}

#[derive(Debug, Subcommand)]
pub enum RiskAction {
    /// Show trading state and limits.
    State {
        #[command(flatten)]
        client: ClientArgs,
        #[arg(long, default_value = "paper")]
        account: String,
    },
    /// No new orders; cancels pass.
    Halt {
        #[command(flatten)]
        change: RiskChange,
        /// Cancel the working orders too.
        #[arg(long)]
        cancel: bool,
    },
    /// Only what reduces a position.
    Reduce(RiskChange),
    /// Trade again.
    Resume(RiskChange),
}

#[derive(Debug, Args)]
pub struct RiskChange {
    #[command(flatten)]
    pub client: ClientArgs,
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_speed_is_max_or_a_sane_factor() {
        assert_eq!(speed("max"), Ok(Speed::Max));
        assert_eq!(speed("10"), Ok(Speed::Factor(10.0)));
        for text in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }
}
