//! The command lines of deployed strategies.

use super::{ClientArgs, RequestArgs};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct StrategiesArgs {
    #[command(subcommand)]
    pub action: StrategiesAction,
}

#[derive(Debug, Subcommand)]
pub enum StrategiesAction {
    /// List what can be deployed, with its parameters.
    Types(ClientArgs),
    /// Put a strategy into an account; it does not run before `start`.
    Deploy(DeployArgs),
    /// Run a strategy, or let a paused one order again.
    Start(NamedStrategyArgs),
    /// Refuse new orders of a running strategy; it is shown everything as before.
    Pause(PauseArgs),
    /// End a strategy; it may save its state.
    Stop(StopArgs),
    /// Change parameters, which makes a version.
    Set(SetParametersArgs),
    /// List strategies.
    List(ListStrategiesArgs),
    /// Show a strategy with its positions, its profit and its versions.
    Show(ShowStrategyArgs),
    /// Print what happens to strategies, line by line.
    Watch(WatchStrategiesArgs),
}

/// A strategy of an account.
#[derive(Debug, Args)]
pub struct StrategyNameArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account.
    #[arg(long, default_value = "paper")]
    pub account: String,
    /// Strategy, as `strategies list` names it.
    #[arg(value_name = "ID")]
    pub strategy: String,
}

#[derive(Debug, Args)]
pub struct NamedStrategyArgs {
    #[command(flatten)]
    pub name: StrategyNameArgs,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub name: StrategyNameArgs,
    /// Type, as `strategies types` names it; without it the one that is called as the strategy.
    #[arg(long = "type", value_name = "TYPE")]
    pub strategy_type: Option<String>,
    /// Parameter; may be repeated.
    #[arg(long = "param", value_name = "K=V")]
    pub params: Vec<String>,
    /// Instrument that it is shown; may be repeated. Without any all of them.
    #[arg(long = "instrument", value_name = "ID")]
    pub instruments: Vec<String>,
    /// What becomes of its orders.
    #[arg(long, value_enum, default_value_t = StrategyModeArg::Paper)]
    pub mode: StrategyModeArg,
    /// When it is started again without a person.
    #[arg(long, value_enum, default_value_t = RestartArg::Always)]
    pub restart: RestartArg,
    /// Start it at once.
    #[arg(long)]
    pub start: bool,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StrategyModeArg {
    Paper,
    /// Not in this build.
    Shadow,
    /// Not in this build.
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RestartArg {
    /// When its process fails, and when the platform starts.
    Always,
    /// When its process fails.
    OnFailure,
    /// Never: its first failure quarantines it.
    Never,
}

/// What becomes of working orders; one of the two has to be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WorkingOrdersArgs {
    /// Cancel its working orders.
    #[arg(long)]
    pub cancel_orders: bool,
    /// Leave its working orders where they are.
    #[arg(long)]
    pub keep_orders: bool,
}

#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    pub name: StrategyNameArgs,
    #[command(flatten)]
    pub orders: WorkingOrdersArgs,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    pub name: StrategyNameArgs,
    #[command(flatten)]
    pub orders: WorkingOrdersArgs,
    /// Close its positions with market orders; goes with --cancel-orders.
    #[arg(long, requires = "cancel_orders")]
    pub close: bool,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct SetParametersArgs {
    #[command(flatten)]
    pub name: StrategyNameArgs,
    /// Parameters; those that are not named stay.
    #[arg(value_name = "K=V", required_unless_present = "reset")]
    pub params: Vec<String>,
    /// Parameter that goes back to its default; may be repeated.
    #[arg(long, value_name = "K")]
    pub reset: Vec<String>,
    /// The version that the change is made from; without it the one that there is.
    #[arg(long, value_name = "N")]
    pub expected_version: Option<u32>,
    /// Restart it where a parameter does not change while it runs.
    #[arg(long)]
    pub restart: bool,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub struct ListStrategiesArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account; without it all that may be seen.
    #[arg(long)]
    pub account: Option<String>,
    /// Only those in this state; may be repeated.
    #[arg(long = "state", value_enum)]
    pub states: Vec<StrategyStateArg>,
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub strategy_type: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StrategyStateArg {
    Deployed,
    Starting,
    Running,
    Paused,
    BackingOff,
    Stopping,
    Stopped,
    Quarantined,
}

#[derive(Debug, Args)]
pub struct ShowStrategyArgs {
    #[command(flatten)]
    pub name: StrategyNameArgs,
    /// At most this many versions.
    #[arg(long, default_value_t = 10)]
    pub versions: u32,
}

#[derive(Debug, Args)]
pub struct WatchStrategiesArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Account; without it all that may be seen.
    #[arg(long)]
    pub account: Option<String>,
    /// Only this strategy.
    #[arg(long)]
    pub strategy: Option<String>,
}
