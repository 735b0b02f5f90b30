//! The account as a whole, driven by scripts of inputs.

mod as_of;
mod golden;
mod orders;
mod payments;
mod queries;
mod recovery;
mod reports;
pub(crate) mod support;
mod transitions;
mod worth;
