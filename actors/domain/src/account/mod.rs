//! The account: one machine that owns risk, orders and portfolio, and decides their events.
//!
//! `apply` decides and folds in one step; recovery folds recorded events and never decides again.
//! Start reading at [`machine`]; what a venue says is taken in `reports`, what events do to the
//! state stands in `fold`.

pub mod as_of;
mod auctions;
mod averages;
mod close;
mod closing;
mod closing_size;
mod commands;
mod fold;
mod foreign;
mod guards;
mod home;
mod last_prices;
mod lists;
mod losses;
pub mod machine;
mod marks;
mod orders;
mod payments;
mod position_mode;
mod reconcile;
pub mod recovery;
mod reducing;
mod repeated;
mod reports;
mod requests;
mod reset;
mod resolve;
mod session;
mod settlement;
mod share;
mod short;
mod slices;
mod strangers;
pub mod types;
pub mod views;
mod worth;

pub use crate::portfolio::Equity;
pub use as_of::{AccountAsOf, AsOf, AsOfError, as_of, as_of_tail};
pub use auctions::{CLOSE_LEAD_NS, OPEN_WINDOW_NS};
pub use closing::ClosingState;
pub use guards::{LONGEST_SILENCE_NS, MAX_GUARDS, SHORTEST_SILENCE_NS};
pub use machine::Account;
pub use orders::Preview;
pub use recovery::{FoldError, RestoreError};
pub use reset::PaperReset;
pub(crate) use session::NO_ANSWER_NS;
pub use types::{
    AccountInput, CancelFilter, Effects, ExecutionRecord, ForeignCancel, FundingPayment,
    GuardSession, InstrumentSplit, Outcome, Refusal, Reply, ResolveOrder, SessionRef,
};

#[cfg(test)]
pub(crate) mod tests;
