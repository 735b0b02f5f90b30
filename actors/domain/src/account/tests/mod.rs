//! The account as a whole, driven by scripts of inputs.

mod as_of;
mod auctions;
mod busts;
mod close;
mod foreign;
mod golden;
mod home;
mod icebergs;
mod leaks;
mod limits;
mod lists;
mod old_prints;
mod orders;
mod payments;
mod permutations;
mod queries;
mod recovery;
mod reducing;
mod reports;
mod requests;
mod resolve;
mod share;
mod sides;
pub(crate) mod support;
mod transitions;
mod worth;
