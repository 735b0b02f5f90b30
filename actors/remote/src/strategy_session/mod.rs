//! The server's end of `StrategyService.Connect`: one session for each strategy that is connected.
//!
//! The session is a machine ([`machine::Session`]) in a shell ([`actor::SessionActor`]). It shows
//! the strategy what it subscribed to and its own orders, in one order of time; it turns commands
//! into those of the account; and it stops a strategy that is over its budget. It decides nothing
//! about risk or money: that is the account's.

mod account;
pub mod actor;
mod args;
mod budget;
mod commands;
mod events;
mod feeds;
mod holdings;
mod links;
pub mod machine;
mod timers;
mod wants;

#[cfg(test)]
mod tests;

pub use account::view as account_view;
pub use actor::{BeginError, SessionMessage, begin};
pub use apex_proto::FieldErrors;
pub use apex_proto::v1::{Hello, LogLevel, SessionEndKind, StrategyRequest, StrategyResponse};
pub use args::{EndHook, LogHook, SessionArgs, SessionEnded, StateStore};
pub use budget::{SessionBudget, SessionUsage};
pub use commands::Owner;
pub use machine::Told;
