//! The command lines of the commands that speak to a gateway.

use super::{AccountArgs, DataDirArgs, RequestArgs};
use apex_domain::UnixNanos;
use apex_domain::calendar::parse_instant;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// How a client command reaches the gateway.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Address of the gateway; without it APEX_GATEWAY, else http://127.0.0.1:8000.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// File with the token; without it `admin.token` in the data folder.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub data: DataDirArgs,
    /// Print exactly one JSON object; `orders watch` prints one a line.
    #[arg(long)]
    pub json: bool,
}

/// A time in the past to read the state of.
#[derive(Clone, Copy, Debug, Args)]
pub struct AsOfArgs {
    /// As it was then: a time such as 2018-04-27T16:00:00-04:00, or nanoseconds since 1970.
    #[arg(
        long,
        value_name = "TS",
        value_parser = past_instant,
        allow_negative_numbers = true
    )]
    pub as_of: Option<UnixNanos>,
}

/// Reads a time that the API can be asked about: there zero is now.
fn past_instant(text: &str) -> Result<UnixNanos, String> {
    let instant = parse_instant(text).map_err(|error| error.to_string())?;
    if instant.0 <= 0 {
        return Err("must be after 1970-01-01T00:00:00Z".to_owned());
    }
    Ok(instant)
}

impl AsOfArgs {
    /// Returns the time as requests carry it; zero is now.
    pub fn wire(self) -> i64 {
        self.as_of.map_or(0, |as_of| as_of.0)
    }
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
    #[command(flatten)]
    pub past: AsOfArgs,
}

#[derive(Debug, Args)]
pub struct BookArgs {
    /// Instrument, such as BTCUSDT.SIM.
    pub instrument: String,
    #[command(flatten)]
    pub client: ClientArgs,
    /// Show each order at these levels, the first to be filled first; the simulated market has them.
    #[arg(long)]
    pub orders: bool,
    /// Levels a side, 1 to 20.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=20))]
    pub depth: i32,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BarsArgs {
    #[command(subcommand)]
    pub action: Option<BarsAction>,
    #[command(flatten)]
    pub show: ShowBarsArgs,
}

#[derive(Debug, Subcommand)]
pub enum BarsAction {
    /// Compare recorded bars with those that the engine makes of the recorded trades; exit with 1
    /// where one differs.
    ///
    /// Reads the database, or the data folder while no process has it, and asks no gateway.
    Check(CheckBarsArgs),
}

#[derive(Debug, Args)]
pub struct CheckBarsArgs {
    /// Instrument, such as BTCUSDT.SIM; without it all that were recorded.
    pub instrument: Option<String>,
    /// A time of the first day: a date, an instant with its zone, or nanoseconds; without it 29 days
    /// before the last.
    #[arg(long, value_name = "T", value_parser = super::archive::instant)]
    pub from: Option<apex_domain::UnixNanos>,
    /// A time behind the last day, such as the next date; without it now, which is within today.
    #[arg(long, value_name = "T", value_parser = super::archive::instant)]
    pub to: Option<apex_domain::UnixNanos>,
    #[command(flatten)]
    pub data: super::DataDirArgs,
    /// Print exactly one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ShowBarsArgs {
    /// Instrument, such as BTCUSDT.SIM.
    #[arg(required = true)]
    pub instrument: Option<String>,
    #[command(flatten)]
    pub client: ClientArgs,
    /// 1m, 5m, 1h or 1d.
    #[arg(long, default_value = "1m", value_parser = super::archive::interval)]
    pub interval: i64,
    /// The first bar's time: a date, an instant with its zone, or nanoseconds; without it the newest.
    #[arg(long, value_parser = super::archive::instant)]
    pub from: Option<apex_domain::UnixNanos>,
    /// At most this many.
    #[arg(long, default_value_t = 60)]
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
pub struct PositionsArgs {
    #[command(subcommand)]
    pub action: Option<PositionsAction>,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub enum PositionsAction {
    /// List positions; the same as no action.
    List(ListArgs),
    /// Cancel the working orders of an instrument and close its position.
    Close(CloseArgs),
}

#[derive(Debug, Args)]
pub struct CloseArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// SYMBOL.VENUE; a bare symbol means the simulated venue.
    pub instrument: String,
    /// Only the position and orders of this strategy.
    #[arg(long)]
    pub strategy: Option<String>,
    /// Your id of the first closing order; without it one is made.
    #[arg(long)]
    pub client_order_id: Option<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// A closing, and how long to follow it.
#[derive(Debug, Args)]
pub struct WaitArgs {
    #[command(flatten)]
    pub request: RequestArgs,
    /// Wait up to this long for its end, and exit with 1 where it did not close; 0 does not wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub wait_seconds: u64,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AccountsArgs {
    #[command(subcommand)]
    pub action: Option<AccountsAction>,
    #[command(flatten)]
    pub list: ListArgs,
    /// Show the margin of each instrument too; --json always has it.
    #[arg(long)]
    pub wide: bool,
}

#[derive(Debug, Subcommand)]
pub enum AccountsAction {
    /// List accounts; the same as no action.
    List(ListArgs),
    /// Cancel every working order and close every position.
    Flatten {
        #[command(flatten)]
        client: ClientArgs,
        /// Account.
        #[arg(long, default_value = "paper")]
        account: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// List what differs from the venue, and orders there that are not ours.
    Differences(AccountArgs),
    /// Cancel orders at the venue that this account did not place.
    CancelForeign(CancelForeignArgs),
    /// Make a paper account that trades at once and at each start from now on.
    Create(CreateAccountArgs),
    /// Start a paper account of the market inside over: its cash goes back to the opening balance.
    ///
    /// Cancels and closes nothing, and takes nothing of the past away.
    Reset(ResetAccountArgs),
    /// Keep one position of a contract, or a long and a short one beside each other.
    PositionMode(PositionModeArgs),
    /// Pay in, or out with a minus sign: a deposit, a withdrawal, a correction.
    Adjust(AdjustArgs),
    /// Split an instrument: quantities of its positions change, and its working orders are canceled.
    Split(SplitArgs),
}

#[derive(Debug, Args)]
pub struct CreateAccountArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Id of the new account: letters, digits, '.', '_' and '-', at most 64.
    #[arg(value_name = "ID")]
    pub account: String,
    /// Currency that equity is counted in; without it the first quote currency.
    #[arg(long, value_name = "CURRENCY")]
    pub base_currency: Option<String>,
    /// Whether it keeps one position of a contract, or a long and a short one beside each other.
    #[arg(long, value_enum, default_value_t = PositionModeArg::Netting)]
    pub position_mode: PositionModeArg,
    /// Cash to begin with; may be repeated. Without any 10,000,000 of each quote currency.
    #[arg(long, value_name = "CURRENCY=AMOUNT")]
    pub cash: Vec<String>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct ResetAccountArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(value_name = "ID")]
    pub account: String,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct CancelForeignArgs {
    #[command(flatten)]
    pub account: AccountArgs,
    /// The venue's ids of the orders, as `accounts differences` lists them; at most 100.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub venue_order_ids: Vec<String>,
    /// Every order that the venue's last list has and that is not ours, at most 1000.
    #[arg(long)]
    pub all: bool,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct SplitArgs {
    #[command(flatten)]
    pub account: AccountArgs,
    /// Instrument, such as AAPL.XNYS.
    pub instrument: String,
    /// New units for old ones, such as 7:1; 1:10 for a reverse split.
    #[arg(value_parser = ratio)]
    pub ratio: (u32, u32),
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct PositionModeArgs {
    #[command(flatten)]
    pub account: AccountArgs,
    /// Taken only while nothing is held and no order works.
    #[arg(value_enum)]
    pub mode: PositionModeArg,
    #[command(flatten)]
    pub request: RequestArgs,
}

fn ratio(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    let parts = text.split_once(':');
    let parts = parts.and_then(|(new, old)| Some((number(new)?, number(old)?)));
    parts.ok_or_else(|| "must be new:old in whole numbers above zero, such as 7:1".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PositionModeArg {
    /// Orders name no side.
    Netting,
    /// Orders of contracts say LONG or SHORT.
    Hedging,
}

#[derive(Debug, Args)]
pub struct AdjustArgs {
    #[command(flatten)]
    pub account: AccountArgs,
    /// Currency, such as USDT.
    pub currency: String,
    /// Amount; below zero pays out.
    #[arg(allow_negative_numbers = true)]
    pub amount: String,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub request: RequestArgs,
}
