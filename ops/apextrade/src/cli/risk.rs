//! The command lines of limits, trading states and the kill switch.

use super::{ClientArgs, RequestArgs};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct RiskArgs {
    #[command(subcommand)]
    pub action: RiskAction,
}

#[derive(Debug, Subcommand)]
pub enum RiskAction {
    /// Show trading state and limits.
    State(AccountArgs),
    /// Show or change limits.
    Limits(LimitsArgs),
    /// The kill switch: no new orders; cancels pass.
    Halt {
        #[command(flatten)]
        change: RiskChange,
        /// Cancel the working orders too.
        #[arg(long)]
        cancel: bool,
        /// Close the positions too, which cancels the working orders first.
        #[arg(long)]
        flatten: bool,
    },
    /// Only what reduces a position.
    Reduce(RiskChange),
    /// Trade again.
    Resume(RiskChange),
    /// List who changed the trading state, when and why.
    Changes {
        #[command(flatten)]
        client: ClientArgs,
        /// Account; without it all that may be seen.
        #[arg(long)]
        account: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
}

#[derive(Debug, Args)]
pub struct AccountArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
}

#[derive(Debug, Args)]
pub struct RiskChange {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account; without it every account that may be seen.
    #[arg(long)]
    pub account: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct LimitsArgs {
    #[command(subcommand)]
    pub action: LimitsAction,
}

#[derive(Debug, Subcommand)]
pub enum LimitsAction {
    /// Show the limits.
    Get(AccountArgs),
    /// Change those that are named, and leave the others; `none` takes a limit away.
    Set(Box<SetLimitsArgs>),
    /// Show or change the exposure limit over all accounts together.
    Platform(PlatformArgs),
}

#[derive(Debug, Args)]
pub struct PlatformArgs {
    #[command(subcommand)]
    pub action: PlatformAction,
}

#[derive(Debug, Subcommand)]
pub enum PlatformAction {
    /// Show the limit and each account's share of it.
    Get(ClientArgs),
    /// Change the limit; `none` takes it away.
    Set(SetPlatformArgs),
}

#[derive(Debug, Args)]
pub struct SetPlatformArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Worst-case notional of all accounts together, or `none`.
    #[arg(long, value_name = "D")]
    pub max_exposure: String,
    /// Currency of it; without it the one of the limit that is there.
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
}

/// Each limit as it is written on the wire, or `none`.
#[derive(Debug, Args)]
pub struct SetLimitsArgs {
    #[command(flatten)]
    pub account: AccountArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Notional of one order, in its quote currency.
    #[arg(long, value_name = "D")]
    pub max_order_notional: Option<String>,
    /// Worst-case position of one instrument as notional, in its quote currency.
    #[arg(long, value_name = "D")]
    pub max_position_notional: Option<String>,
    /// Working orders.
    #[arg(long, value_name = "N")]
    pub max_open_orders: Option<String>,
    /// New orders and amends in any window of one second.
    #[arg(long, value_name = "N")]
    pub max_orders_per_second: Option<String>,
    /// Share of the reference price by which a limit price may be worse than it.
    #[arg(long, value_name = "SHARE")]
    pub price_collar: Option<String>,
    /// An order must be covered by cash or margin.
    #[arg(long, value_name = "BOOL")]
    pub check_buying_power: Option<bool>,
    /// Spot positions may go below zero.
    #[arg(long, value_name = "BOOL")]
    pub allow_short_spot: Option<bool>,
    /// Age up to which a reference price counts, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_reference_age_ms: Option<String>,
    /// Worst-case notional of one strategy, in base currency.
    #[arg(long, value_name = "D")]
    pub max_strategy_exposure: Option<String>,
    /// Worst-case notional of the account, in base currency.
    #[arg(long, value_name = "D")]
    pub max_account_exposure: Option<String>,
    /// Worst-case notional of one instrument as a share of the equity.
    #[arg(long, value_name = "SHARE")]
    pub max_concentration: Option<String>,
    /// Bound of one instrument, ID=D or ID=none; may be repeated.
    #[arg(long, value_name = "ID=D")]
    pub instrument_exposure: Vec<String>,
    /// Bound of one strategy, ID=D or ID=none; may be repeated.
    #[arg(long, value_name = "ID=D")]
    pub strategy_exposure: Vec<String>,
    /// Fall of the equity since the start of the day, in base currency.
    #[arg(long, value_name = "D")]
    pub max_daily_loss: Option<String>,
    /// Fall of the equity from its highest, as a share of that.
    #[arg(long, value_name = "SHARE")]
    pub max_drawdown: Option<String>,
    /// What a loss limit does.
    #[arg(long, value_enum)]
    pub loss_action: Option<LossActionArg>,
    /// Deny an order that would trade with one of the same account.
    #[arg(long, value_name = "BOOL")]
    pub prevent_self_trade: Option<bool>,
    /// Age up to which a conversion rate counts, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_rate_age_ms: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LossActionArg {
    Halt,
    Reduce,
}
