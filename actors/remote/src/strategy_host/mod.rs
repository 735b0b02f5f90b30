//! A strategy in a process of its own.
//!
//! A Rust thread cannot be killed, so a strategy that spins, leaks or crashes may do so only where
//! it takes nobody along. The host gets its configuration, the token in it, from standard input,
//! which is also its lifeline: when that closes, the parent is gone, and so is the host.

mod account;
mod commands;
mod config;
mod error;
mod events;
mod process;
mod session;
mod subscriptions;

pub use config::HostConfig;
pub use error::HostError;
pub use process::main_from_stdin;
pub use session::{Ended, run};
