//! The command lines of orders and positions.

use super::{AsOfArgs, ClientArgs, ListArgs};
use apex_domain::UnixNanos;
use apex_domain::calendar::parse_instant;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OrdersArgs {
    #[command(subcommand)]
    pub action: Option<OrdersAction>,
    #[command(flatten)]
    pub list: OrdersListArgs,
}

/// Lines that the black-box tests run.
const SUBMIT_EXAMPLES: &str = "\
Examples:
  apextrade orders submit BTCUSDT buy 0.05
  apextrade orders submit BTCUSDT buy 0.01 --limit-price 58000 --time-in-force day
  apextrade orders submit BTCUSDT buy 0.05 --limit-price 55000 --display-quantity 0.01
  apextrade orders submit BTCUSDT buy 0.01 --type market-to-limit
  apextrade orders submit BTCUSDT buy 0.01 --type market-if-touched --stop-price 57000
  apextrade orders submit AAPL buy 1 --type limit-if-touched --stop-price 150 --limit-price 150.5
  apextrade orders submit BTCUSDT sell 0.01 --stop-price 55000
  apextrade orders submit BTCUSDT sell 0.01 --trailing-offset 25bps";

const LIST_EXAMPLE: &str = "\
Example, an OCO list; OUO, OTO, BRACKET and NONE (a batch) have the same form:
  {\"order_list_id\": \"oco-1\", \"contingency\": \"OCO\", \"orders\": [
    {\"client_order_id\": \"target\", \"instrument_id\": \"BTCUSDT\", \"side\": \"SELL\",
     \"order_type\": \"LIMIT\", \"quantity\": \"0.01\", \"limit_price\": \"66000\"},
    {\"client_order_id\": \"stop\", \"instrument_id\": \"BTCUSDT\", \"side\": \"SELL\",
     \"order_type\": \"STOP\", \"quantity\": \"0.01\", \"stop_price\": \"57000\"}]}";

#[derive(Debug, Subcommand)]
pub enum OrdersAction {
    /// List orders, newest first; the same as no action.
    List(OrdersListArgs),
    /// Show one order.
    Get(GetArgs),
    /// List executions, oldest first.
    Executions(ListArgs),
    /// Submit an order.
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(Box<SubmitAndWaitArgs>),
    /// Show what an order would cost and which checks it would fail; nothing is kept.
    Preview(Box<SubmitArgs>),
    /// Submit several orders as one list, or as a batch, from a JSON file.
    #[command(after_help = LIST_EXAMPLE)]
    SubmitList(SubmitListArgs),
    /// Change quantity or prices of an order.
    #[command(
        after_help = "Example:\n  apextrade orders amend iceberg-1 --quantity 0.04 --limit-price 55100"
    )]
    Amend(AmendArgs),
    /// Cancel orders.
    #[command(after_help = "Example:\n  apextrade orders cancel batch-1 batch-2")]
    Cancel(CancelArgs),
    /// Cancel every working order, or those that the flags name.
    CancelAll(CancelAllArgs),
    /// End an order of unknown outcome that is not at the venue, as you have seen there.
    #[command(
        after_help = "Example:\n  apextrade orders resolve batch-1 --reason \"not in the venue's list\""
    )]
    Resolve(ResolveArgs),
    /// Print each event as it comes, one JSON object a line with --json.
    Watch(WatchArgs),
}

#[derive(Debug, Args)]
pub struct OrdersListArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Only orders that are not done.
    #[arg(long)]
    pub working: bool,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// Show every term, the times and the reason in words; with --json all is there anyway.
    #[arg(long)]
    pub wide: bool,
    #[command(flatten)]
    pub past: AsOfArgs,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    pub one: OneOrderArgs,
    #[command(flatten)]
    pub past: AsOfArgs,
}

#[derive(Debug, Args)]
pub struct OneOrderArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// The id that the order was submitted with.
    pub client_order_id: String,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub struct AmendArgs {
    #[command(flatten)]
    pub one: OneOrderArgs,
    /// The new total quantity, filled part included.
    #[arg(long, group = "change", allow_negative_numbers = true)]
    pub quantity: Option<String>,
    /// The new limit price.
    #[arg(long, group = "change", allow_negative_numbers = true)]
    pub limit_price: Option<String>,
    /// The new stop price.
    #[arg(long, group = "change", allow_negative_numbers = true)]
    pub stop_price: Option<String>,
    /// Change it only if its sequence still is this one.
    #[arg(long, default_value_t = 0)]
    pub expected_sequence: u64,
    #[command(flatten)]
    pub outcome: OutcomeArgs,
    #[command(flatten)]
    pub request: RequestArgs,
}

/// How long to wait for what the venue says.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutcomeArgs {
    /// Wait up to this long for the venue's answer, and exit with 1 where it refused or did not
    /// answer; 0 does not wait. A new order that does not rest (market, IOC, FOK) is waited for until
    /// it is filled or has ended.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait_seconds: u64,
}

/// A change that may be repeated.
#[derive(Clone, Debug, Args)]
pub struct RequestArgs {
    /// Your id of this change: the same one again does nothing more; without it one is made.
    #[arg(long)]
    pub request_id: Option<String>,
}

#[derive(Debug, Args)]
pub struct CancelArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// The ids that the orders were submitted with; at most 100.
    #[arg(required = true)]
    pub client_order_ids: Vec<String>,
    #[command(flatten)]
    pub outcome: OutcomeArgs,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct SubmitAndWaitArgs {
    #[command(flatten)]
    pub order: SubmitArgs,
    #[command(flatten)]
    pub outcome: OutcomeArgs,
}

#[derive(Debug, Args)]
pub struct ResolveArgs {
    #[command(flatten)]
    pub one: OneOrderArgs,
    /// How you know, for the record.
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct CancelAllArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Only orders of this instrument.
    #[arg(long)]
    pub instrument: Option<String>,
    /// Only orders of this strategy.
    #[arg(long)]
    pub strategy: Option<String>,
    /// Only orders of this side.
    #[arg(long, value_enum)]
    pub side: Option<SideArg>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Start behind this journal sequence, 0 with the first event; without it with what comes now.
    #[arg(long)]
    pub from_sequence: Option<u64>,
}

#[derive(Debug, Args)]
pub struct SubmitListArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account, where the file does not name one.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// JSON file with the fields of SubmitOrderListRequest; `-` reads standard input.
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Your id of the order; without it one is made.
    #[arg(long)]
    pub client_order_id: Option<String>,
    /// SYMBOL.VENUE; a bare symbol means the simulated venue.
    pub instrument: String,
    /// Buy or sell.
    #[arg(value_enum)]
    pub side: SideArg,
    /// In units of the base currency, or shares.
    #[arg(
        allow_negative_numbers = true,
        required_unless_present = "notional",
        conflicts_with = "notional"
    )]
    pub quantity: Option<String>,
    /// Quote currency to spend, instead of a quantity.
    #[arg(long, allow_negative_numbers = true)]
    pub notional: Option<String>,
    /// Without it the prices tell: limit, stop, stop-limit, trailing-stop, else market.
    #[arg(long = "type", value_enum)]
    pub order_type: Option<OrderTypeArg>,
    /// Never trade worse than this.
    #[arg(long, allow_negative_numbers = true)]
    pub limit_price: Option<String>,
    /// Trigger at this price.
    #[arg(long, allow_negative_numbers = true)]
    pub stop_price: Option<String>,
    /// Distance of a trailing stop: a price, or basis points such as 25bps.
    #[arg(long, allow_negative_numbers = true)]
    pub trailing_offset: Option<String>,
    /// Begin to trail at this price.
    #[arg(long, allow_negative_numbers = true)]
    pub activation_price: Option<String>,
    /// Which price triggers; without it the last trade.
    #[arg(long, value_enum)]
    pub trigger: Option<TriggerArg>,
    /// Without it ioc for a market order and gtc for every other.
    #[arg(long, value_enum)]
    pub time_in_force: Option<TimeInForceArg>,
    /// End of a gtd order: a time such as 2018-04-27T16:00:00-04:00, or nanoseconds since 1970. What
    /// trades at that very time still counts.
    #[arg(
        long,
        alias = "expire-at-ns",
        value_name = "TS",
        value_parser = parse_instant,
        allow_negative_numbers = true
    )]
    pub expire_at: Option<UnixNanos>,
    /// Refuse it rather than take liquidity.
    #[arg(long)]
    pub post_only: bool,
    /// Only as far as it reduces a position.
    #[arg(long)]
    pub reduce_only: bool,
    /// The part of the quantity that is shown.
    #[arg(long, allow_negative_numbers = true)]
    pub display_quantity: Option<String>,
    /// Which position is meant; without it the one of a netting account.
    #[arg(long, value_enum)]
    pub position_side: Option<PositionSideArg>,
    /// What happens when it would trade with an order of the same account.
    #[arg(long, value_enum)]
    pub self_trade_prevention: Option<SelfTradeArg>,
    /// Trade outside of regular hours too.
    #[arg(long)]
    pub extended_hours: bool,
    /// Owner of the order inside the account; without it MANUAL.
    #[arg(long)]
    pub strategy: Option<String>,
    /// Your own marks, carried along.
    #[arg(long)]
    pub tags: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SideArg {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderTypeArg {
    Market,
    Limit,
    Stop,
    StopLimit,
    MarketIfTouched,
    LimitIfTouched,
    MarketToLimit,
    TrailingStop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimeInForceArg {
    Gtc,
    Day,
    Ioc,
    Fok,
    Gtd,
    AtOpen,
    AtClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TriggerArg {
    Last,
    BidAsk,
    Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PositionSideArg {
    Net,
    Long,
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SelfTradeArg {
    CancelNewest,
    CancelOldest,
    CancelBoth,
    Decrement,
}
