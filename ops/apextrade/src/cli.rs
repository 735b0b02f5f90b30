//! The command line. Names and flags are fixed by the platform's contract.

mod access;
mod archive;
mod audit;
mod backup;
mod calendar;
mod client;
mod indicators;
mod models;
mod orders;
mod risk;

pub use access::*;
pub use archive::*;
pub use audit::*;
pub use backup::*;
pub use calendar::*;
pub use client::*;
pub use indicators::*;
pub use models::*;
pub use orders::*;
pub use risk::*;

use apex_domain::{Currency, Money, Rate};
use clap::builder::PossibleValuesParser;
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
    /// List the indicators, or compute one over recorded data.
    Indicators(IndicatorsArgs),
    /// Replay recordings as fast as possible and print the summary.
    Replay(ReplayArgs),
    /// Import market data from CSV or Parquet files into the archive of the data folder.
    Import(ImportArgs),
    /// Export market data of the archive as CSV or Parquet.
    Export(ExportArgs),
    /// Bring the database that APEX_DATABASE_URL names up to what this build needs.
    Migrate(MigrateArgs),
    /// Check journals and audit with their hash chains, and rebuild the state from them.
    Verify(VerifyArgs),
    /// Back a data folder and its databases up, also while they are in use.
    Backup(BackupArgs),
    /// Bring a backup into an empty folder, and into empty databases, and check it.
    Restore(RestoreArgs),
    /// Say what is configured, what answers, what is missing and how to get it.
    Doctor(DoctorArgs),
    /// Exit with 0 when the gateway is alive, 1 when it is not.
    Health(HealthArgs),
    /// List, submit, preview, amend, cancel and watch orders.
    Orders(OrdersArgs),
    /// List and close positions.
    Positions(PositionsArgs),
    /// List, make, flatten and reset accounts, and compare them with their venue.
    Accounts(AccountsArgs),
    /// List instruments.
    Instruments(InstrumentsArgs),
    /// Show the order book of an instrument.
    Book(BookArgs),
    /// Show the bars that were made of an instrument's recorded trades, or check them.
    Bars(BarsArgs),
    /// Read or change limits and trading state.
    Risk(RiskArgs),
    /// List, add and change users.
    User(UserArgs),
    /// Make, list and revoke API keys.
    Token(TokenArgs),
    /// List who did what, or check that nobody changed the record of it.
    Audit(AuditArgs),
    /// List the sessions of a trading calendar, or say what it is at an instant.
    Calendar(CalendarArgs),
    /// Print the shell completions.
    Completions { shell: clap_complete::Shell },
    /// The child process of a live strategy; started by the worker.
    #[command(hide = true)]
    StrategyHost,
}

fn money(text: &str) -> Result<Money, String> {
    Money::parse(text).map_err(|error| error.to_string())
}

fn balance(text: &str) -> Result<(Currency, Money), String> {
    let (currency, amount) = text
        .split_once('=')
        .ok_or("must be CURRENCY=AMOUNT, such as USDT=1000")?;
    let currency = Currency::new(currency).map_err(|error| error.to_string())?;
    Ok((currency, money(amount)?))
}

/// A share from 0 to 1.
fn share(text: &str) -> Result<Rate, String> {
    match Rate::parse(text) {
        Ok(rate) if rate >= Rate::ZERO && rate.0 <= 1.into() => Ok(rate),
        Ok(_) => Err("must be from 0 to 1".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feed {
    /// A seeded market of simulated traders on a real order book.
    Sim,
    /// Live public data of Binance; not in this build.
    Binance,
    /// Live data of Alpaca; not in this build.
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
    /// Folder that holds journal, records and token; without it APEX_DATA_DIR, else ./data, and
    /// below it `replay` for replays and `venue` for venue-sim.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Address to serve on; port 0 takes a free one; without it APEX_LISTEN, else 127.0.0.1:8000.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Allow an address beyond loopback without TLS.
    #[arg(long)]
    pub insecure: bool,
    /// Accept that the audit which was kept here is not there: begin another, which says so first.
    #[arg(long, conflicts_with = "replay")]
    pub new_audit: bool,
    /// Start although another data folder may hold what accounts acknowledged while the database was
    /// away: these accounts start halted. For a folder that is lost, once its process has ended.
    #[arg(long, conflicts_with = "replay")]
    pub take_over_without_reserve: bool,
    /// Where market data comes from.
    #[arg(long, value_enum, conflicts_with = "replay")]
    pub feed: Option<Feed>,
    /// Address of an `apextrade venue-sim` to trade at, instead of the market inside.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "replay")]
    pub venue: Option<String>,
    /// Seed of the simulated market, and of a latency that varies.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// TOML file of instruments that are added to the default ones, or take their place; see
    /// docs/guide/instruments.md.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "venue"])]
    pub instruments: Option<PathBuf>,
    /// Recording to replay; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub replay: Vec<PathBuf>,
    #[command(flatten)]
    pub models: CommonModelArgs,
    #[command(flatten)]
    pub book_models: BookModelArgs,
    #[command(flatten)]
    pub playback: PlaybackArgs,
    #[command(flatten)]
    pub strategies: StrategyArgs,
    /// Account that the strategy trades in.
    #[arg(
        long,
        value_name = "ID",
        default_value = "paper",
        requires = "strategy",
        conflicts_with = "replay"
    )]
    pub account: String,
    /// End when the recording ends and print the summary.
    #[arg(long, requires = "replay")]
    pub exit_at_end: bool,
    /// Print the summary of a replay as one JSON object on standard output.
    #[arg(long, requires = "replay")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PlaybackArgs {
    /// Speed factor of a replay, or `max`.
    #[arg(long, value_parser = speed, default_value = "1", requires = "replay")]
    pub speed: Speed,
    /// Start a replay over when it ends, with shifted times, until a signal comes.
    #[arg(long = "loop", requires = "replay")]
    pub repeat: bool,
    /// Further copies of each instrument, for load.
    #[arg(
        long = "clone",
        value_name = "N",
        default_value_t = 0,
        requires = "replay"
    )]
    pub clones: u32,
    /// Start a replay this many seconds into the recording.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "replay")]
    pub seek: u64,
}

#[derive(Debug, Args)]
pub struct StrategyArgs {
    /// Strategy to run, by name, such as ema-cross.
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// Parameter of the strategy; may be repeated.
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
    pub models: CommonModelArgs,
    #[command(flatten)]
    pub book_models: BookModelArgs,
    /// Seed of a latency that varies.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub strategies: StrategyArgs,
    /// Print exactly one JSON object.
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
    /// TOML file of instruments that are added to the default ones, or take their place; see
    /// docs/guide/instruments.md.
    #[arg(long, value_name = "FILE")]
    pub instruments: Option<PathBuf>,
    /// Milliseconds between two steps of the simulated traders.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub step_ms: u64,
    #[command(flatten)]
    pub models: CommonModelArgs,
    /// Trading calendar of all instruments, such as XNYS: it opens and closes them. Without one
    /// they trade around the clock.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(apex_domain::calendar::NAMES))]
    pub calendar: Option<String>,
    /// Lend: hold cash and positions of each account, which begins with this much USDT, and
    /// liquidate below the maintenance margin.
    #[arg(long, value_name = "MONEY", value_parser = money)]
    pub margin_cash: Option<Money>,
    /// Share of the notional that opens a position.
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    pub initial_margin: Rate,
    /// Share of the notional below which an account is liquidated.
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = share)]
    pub maintenance_margin: Rate,
    /// Milliseconds from a margin call to the liquidation.
    #[arg(long, default_value_t = 0)]
    pub margin_grace_ms: u32,
    /// Balance that each account begins with, CURRENCY=AMOUNT; may be repeated. Without it
    /// 10000000 of each quote currency, as a paper account has.
    #[arg(long, value_name = "CURRENCY=AMOUNT", value_parser = balance)]
    pub cash: Vec<(Currency, Money)>,
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
    /// Strategy, by name, such as ema-cross.
    #[arg(long)]
    pub strategy: String,
    /// CSV file of bars, quotes, trades or ticks, plain or gzip; for recordings see `replay`.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Instrument to select, named as in the file; without it all rows.
    #[arg(long, value_name = "ID")]
    pub instrument: Option<String>,
    /// Parameter of the strategy; may be repeated.
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
    /// What has to cover an order: nothing, or the buying power of the account.
    #[arg(long, value_enum, default_value_t = Margin::None)]
    pub margin: Margin,
    /// Whether the account keeps one position, or a long and a short one beside each other.
    #[arg(long, value_enum, default_value_t = PositionModeArg::Netting)]
    pub position_mode: PositionModeArg,
    /// Fee of each fill in basis points of its notional; see also --fee.
    #[arg(
        long,
        value_name = "D",
        conflicts_with = "fee",
        allow_hyphen_values = true
    )]
    pub fee_bps: Option<String>,
    /// When and at what price orders fill; without it next-open on bars, touch on quotes and ticks.
    #[arg(long, value_enum)]
    pub fill: Option<Fill>,
    /// Basis points by which market orders fill worse; see also --slippage.
    #[arg(
        long,
        value_name = "D",
        conflicts_with = "slippage",
        allow_hyphen_values = true
    )]
    pub slippage_bps: Option<String>,
    /// CSV file of funding that open positions pay: ts, rate and optionally mark, symbol.
    #[arg(long, value_name = "FILE")]
    pub funding: Option<PathBuf>,
    /// CSV file of splits and dividends: date, kind, ratio, amount and optionally symbol.
    #[arg(long, value_name = "FILE")]
    pub corporate_actions: Option<PathBuf>,
    #[command(flatten)]
    pub models: CommonModelArgs,
    #[command(flatten)]
    pub book_models: BookModelArgs,
    #[command(flatten)]
    pub bar_models: BarModelArgs,
    /// Seed of a latency that varies; nothing else here is random.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print the report, with each fill, as one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Print the steps that were taken as one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Print the checks as one JSON list.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Address of the gateway; without it APEX_GATEWAY, else http://127.0.0.1:8000.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Print the answer as exactly one JSON object.
    #[arg(long)]
    pub json: bool,
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
    fn what_only_a_replay_can_do_is_refused_without_one() {
        for flags in [
            &["--loop"][..],
            &["--seek", "3"],
            &["--clone", "2"],
            &["--speed", "9"],
            &["--json"],
        ] {
            let words = ["apextrade", "up"].iter().chain(flags);
            assert!(Cli::try_parse_from(words).is_err(), "{flags:?}");
        }
        assert!(Cli::try_parse_from(["apextrade", "up"]).is_ok());
    }

    #[test]
    fn bars_are_of_an_instrument_and_a_check_of_all() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["apextrade", "bars"], words].concat());
        for words in [
            &["BTCUSDT"][..],
            &["BTCUSDT", "--interval", "1h"],
            &["check"],
            &[
                "check",
                "BTCUSDT",
                "--from",
                "2026-01-01",
                "--to",
                "5",
                "--json",
            ],
        ] {
            assert!(parse(words).is_ok(), "{words:?}");
        }
        for words in [
            &[][..],
            &["BTCUSDT", "check"],
            &["check", "--interval", "1h"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn an_amend_without_a_change_names_all_that_it_may_have() {
        let words = ["apextrade", "orders", "amend", "c-1"];
        let error = Cli::try_parse_from(words).unwrap_err().to_string();
        assert!(error.contains("--quantity"), "{error}");
        assert!(error.contains("--limit-price"), "{error}");
        assert!(error.contains("--stop-price"), "{error}");
        let changes = ["--quantity", "2", "--limit-price", "3"];
        assert!(Cli::try_parse_from(words.iter().chain(&changes)).is_ok());
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
