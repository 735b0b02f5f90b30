//! The command lines of the commands that speak to a gateway.

use super::DataDirArgs;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
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
    /// Account.
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
    #[arg(allow_negative_numbers = true)]
    pub quantity: String,
    /// Makes it a limit order; without it a market order.
    #[arg(long, allow_negative_numbers = true)]
    pub limit_price: Option<String>,
    /// Without it gtc for a limit order and ioc for a market order.
    #[arg(long, value_enum)]
    pub time_in_force: Option<TimeInForceArg>,
    /// Refuse it rather than take liquidity.
    #[arg(long)]
    pub post_only: bool,
    /// Only as far as it reduces a position.
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
        /// Account.
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
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
}
