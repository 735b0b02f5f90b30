//! The account: one machine that owns risk, orders and portfolio, and decides their events.
//!
//! `apply` decides and folds in one step; recovery folds recorded events and never decides again.

pub mod types;

pub use types::{AccountInput, CancelFilter, Effects, Refusal, Reply};
