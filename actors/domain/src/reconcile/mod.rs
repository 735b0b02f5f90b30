//! Reconciliation: an account compared with what its venue says that it has.
//!
//! A [`VenueSnapshot`] states the venue's side. [`compare`] finds the differences, the
//! [`Reconciler`] remembers how long each has stood, and `account/reconcile.rs` carries out what
//! follows. Four rules hold over all:
//!
//! - an execution that is missing here is booked at once, by the way that every report takes: its
//!   id keeps it from counting twice;
//! - an order that the venue does not list is asked for, and ends only on the venue's answer:
//!   neither time nor a list is a proof;
//! - a position or balance is brought in line only when two snapshots in a row show the same
//!   difference and nothing under way explains it;
//! - what cannot be brought in line is told to a person and left alone.
//!
//! What is remembered between snapshots is not in the journal: it is forgotten with the process
//! and found again. What was decided is in the journal, as events.

mod compare;
mod difference;
mod machine;
mod snapshot;

pub(crate) use compare::{
    SETTLEMENT, SYNTHETIC, awaits_busts, balances, executions_unknown_at_venue, has_unlisted_order,
    holdings, is_settlement, is_synthetic, legs, missing_executions, orders, positions,
    younger_than,
};
pub use difference::{
    Difference, DifferenceKind, DifferenceState, Found, OrderFigures, ReconcileMode,
    ReconcileReport, Resolution,
};
pub use machine::{MAX_STANDING, ReconcileSettings, Reconciler};
pub use snapshot::{
    ExecutionPart, Part, VenueBalance, VenueOpenOrder, VenuePosition, VenueSnapshot,
};

#[cfg(test)]
mod tests;
