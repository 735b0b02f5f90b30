//! The simulated venue as a process of its own: `apextrade venue-sim`.
//!
//! A venue that dies together with the platform proves nothing, so this one has its own process
//! and its own journal, which is the ground truth that tests compare an account with. It speaks
//! a plain protocol of ours: [`protocol`].
//!
//! [`server`] is the venue, [`client`] what an account's session holds, [`journal`] what the
//! venue remembers.

pub mod client;
mod core;
pub mod instruments;
pub mod journal;
mod lines;
pub mod protocol;
pub mod server;
mod session;
#[cfg(test)]
mod tests;
mod venue;

pub use client::{
    CommandSender, ConnectOptions, EventStream, LostReason, SendError, SimVenueClient, VenueEvent,
};
pub use instruments::{InstrumentsFileError, load_instruments};
pub use protocol::Faults;
pub use server::{ServerOptions, serve};

use apex_domain::matching::SimError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the simulated venue, or a connection to it, could not go on.
#[derive(Debug, Error)]
pub enum SimVenueError {
    /// Look at disk and rights, then start again: what was answered is in the journal.
    #[error("venue journal {}", path.display())]
    Journal {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Not a torn tail, which is cut. The journal has to be mended or moved away.
    #[error("venue journal {} is damaged at line {line}: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error(transparent)]
    Options(#[from] SimError),
    /// Try again later.
    #[error("simulated venue {address} could not be reached")]
    Unreachable {
        address: String,
        #[source]
        source: std::io::Error,
    },
    /// Try again later.
    #[error("simulated venue {address} did not answer within {millis} ms")]
    Deadline { address: String, millis: u128 },
    /// The venue said no to the logon, or did not speak the protocol.
    #[error("logon to simulated venue {address} failed: {reason}")]
    Logon { address: String, reason: String },
    #[error("listener of the simulated venue")]
    Listener(#[source] std::io::Error),
}
