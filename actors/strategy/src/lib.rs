//! Strategies: the trait they are written against, the engine that runs them in step with a
//! simulated venue, and backtests.
//!
//! A strategy sees delivered data and its own orders through a [`Context`] and answers with
//! commands. It never knows whether it runs in a backtest, a replay, on paper or live.
//!
//! What is not here: files and feeds (data comes in as an iterator or event by event), the
//! account (it decides about risk, orders and money, and belongs to the caller), and any clock.
//!
//! Start reading at [`Strategy`]; then `examples/ema_cross.rs` to write one, [`lock_step`] for
//! the order in which things happen, and [`backtest`] for a whole run.

pub mod account_view;
pub mod backtest;
pub mod command;
pub mod context;
pub mod ema_cross;
pub mod error;
pub mod ledger;
pub mod list_request;
pub mod lock_step;
pub mod mark;
mod narrowed;
pub mod order_request;
pub mod parameter;
pub mod registry;
pub mod runner;
pub mod strategy;
pub mod subscription;
#[cfg(test)]
mod testing;

// So that a strategy needs no second crate for what it looks at most.
pub use account_view::AccountView;
pub use apex_domain::indicator;
pub use command::StrategyCommand;
pub use context::Context;
pub use error::{ParameterError, StrategyError};
pub use list_request::{ListIds, ListRequest, OrderChange};
pub use lock_step::{Due, LockStep};
pub use narrowed::narrowed;
pub use order_request::OrderRequest;
pub use registry::{DataSource, StrategyType};
pub use runner::{Budget, Runner, RunnerStatus};
pub use strategy::{BookUpdate, Strategy};
pub use subscription::{Selection, Subscriptions};
