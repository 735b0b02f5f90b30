//! The account: one machine that owns risk, orders and portfolio, and decides their events.
//!
//! `apply` decides and folds in one step; recovery folds recorded events and never decides again.
//! Start reading at [`machine`]; what a venue says is taken in `reports`, what events do to the
//! state stands in `fold`.

mod commands;
mod fold;
pub mod machine;
mod orders;
mod reconcile;
pub mod recovery;
mod reports;
mod requests;
mod session;
pub mod types;
pub mod views;

pub use machine::Account;
pub use recovery::{FoldError, RestoreError};
pub(crate) use session::NO_ANSWER_NS;
pub use types::{AccountInput, CancelFilter, Effects, ExecutionRecord, Refusal, Reply};
pub use views::Equity;

#[cfg(test)]
pub(crate) mod tests;
