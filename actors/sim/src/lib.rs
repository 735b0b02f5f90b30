//! The seeded simulator: accounts, one venue with the truth, and everything between them that can
//! go wrong.
//!
//! A seed draws the faults and drives clients, network, disk and venue in virtual time: messages
//! are lost, doubled, reordered and late, connections break, processes die with events not yet
//! durable. At the end the faults stop, the accounts ask, and both sides must agree to the last
//! digit. The same seed gives the same run; a failure prints the line that repeats it.
//!
//! Orders are of every type and time in force, alone, in batches and in lists of every
//! contingency, for spot, linear and inverse instruments, with or without cover, netting or
//! hedging, and in some runs for an opening or a close that comes. Operators halt, reduce, resume,
//! close, and change limits in between. The venue takes executions back, contradicts itself, pays
//! funding, and gives snapshots while reports are under way; strangers trade in the account there.
//! Some venues have two accounts, each with its own process and crashes, that use the same ids and
//! trade with each other.
//!
//! What is not here: matching (the venue triggers and fills at random), and any thread, clock or
//! file. Those are tested where they live.
//!
//! Start reading at [`run`] and `world`; what must hold stands in `check`, and what every few
//! thousand seeds must meet in `coverage`.

mod check;
mod clients;
mod coverage;
mod faults;
mod instruments;
mod member;
mod node;
mod session;
mod setting;
mod venue;
mod world;

pub use coverage::Coverage;

use thiserror::Error;

/// What a run that held came to; all accounts together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    /// The accounts' rolled hashes at the end.
    pub state_hashes: Vec<u64>,
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
    /// How often an order was held in the account, for its price, its parent or its session.
    pub held: usize,
    /// Snapshots that the accounts took.
    pub snapshots: u32,
    pub coverage: Coverage,
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
/// Panics: where an account itself finds one of its own invariants broken (debug builds).
pub fn run(seed: u64) -> Result<Report, Failure> {
    world::World::new(seed, None).run()
}

/// As [`run`], and tells of every input of an account and of what followed from it, a line each.
pub fn run_traced(seed: u64, tell: fn(&str)) -> Result<Report, Failure> {
    world::World::new(seed, Some(tell)).run()
}
