//! The account as a whole, driven by scripts of inputs.

mod close;
mod golden;
mod home;
mod lists;
mod orders;
mod permutations;
mod queries;
mod recovery;
mod reports;
pub(crate) mod support;
mod transitions;
