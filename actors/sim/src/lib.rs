//! The seeded simulator: one account, one venue with the truth, and everything between them that
//! can go wrong.
//!
//! A seed draws the faults and drives clients, network, disk and venue in virtual time: messages
//! are lost, doubled, reordered and late, connections break, the process dies with events not yet
//! durable. At the end the faults stop, the account asks, and both sides must agree to the last
//! digit. The same seed gives the same run; a failure prints the line that repeats it.
//!
//! Orders are of every type and time in force, alone and in lists of every contingency; operators
//! halt, resume and close in between; one instrument's venue lacks most kinds of orders, so that
//! the account holds them. The venue takes executions back and contradicts itself.
//!
//! What is not here: matching (the venue triggers and fills at random), several accounts, and any
//! thread, clock or file. Those are tested where they live.
//!
//! Start reading at [`run`] and `world`; what must hold stands in `check`.

mod check;
mod clients;
mod faults;
mod node;
mod session;
mod venue;
mod world;

use thiserror::Error;

/// What a run that held came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    /// The account's rolled hash at the end.
    pub state_hash: u64,
    pub events: u64,
    pub orders: usize,
    pub fills: usize,
    /// Orders that were handed to the venue again after it had proven not to know them.
    pub resent: usize,
    pub crashes: u32,
    pub disconnects: u32,
    pub lost_messages: u32,
    pub doubled_messages: u32,
    /// Batches of events that a crash took before they were durable.
    pub lost_batches: u32,
    /// Executions that the venue took back.
    pub busts: u32,
    pub lists: usize,
    /// How often an order was held in the account, for its price or its parent.
    pub held: usize,
}

/// An invariant that did not hold. One line, with the command that repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("seed {seed} at {at_ns} ns: {what}; repeat it with: cargo xtask sim --seed {seed}")]
pub struct Failure {
    pub seed: u64,
    /// Virtual time since the start of the run, in nanoseconds.
    pub at_ns: i64,
    pub what: String,
}

/// Runs one seed to its end.
///
/// Errors: [`Failure`] with the first invariant that did not hold.
///
/// Panics: where the account itself finds one of its own invariants broken (debug builds).
pub fn run(seed: u64) -> Result<Report, Failure> {
    world::World::new(seed).run()
}
