//! The shells round the journal: one writer thread per account, recovery at start-up, and the
//! durable past for streams that resume and for reads of the past.
//!
//! The writer is a thread and not an actor on the runtime, since `fdatasync` blocks and a blocked
//! runtime thread would stop actors that have nothing to do with the disk. It takes units from a
//! bounded queue, makes many of them durable with one sync, and tells the account how far it is.
//!
//! What is not here: the file format (apex-storage), and any decision (apex-domain).
//!
//! Start reading at [`writer`].

pub mod audit;
mod committer;
pub mod history;
pub mod hot;
pub mod market_history;
mod past;
pub mod recorder;
pub mod recover;
pub mod starts;
pub mod writer;

#[cfg(test)]
mod testing;

pub use history::JournalHistory;
pub use recover::{RecoverError, Recovered, recover};
pub use writer::{JournalQueue, Notices, Writer};

use apex_domain::event::{Recorded, SCHEMA};
use apex_storage::Record;

/// Kind of a record that holds an account's event.
pub const KIND_ACCOUNT_EVENT: u8 = 1;

/// Returns the journal record of an event.
pub fn to_record(recorded: &Recorded) -> Record {
    Record {
        sequence: recorded.sequence,
        kind: KIND_ACCOUNT_EVENT,
        schema: SCHEMA,
        payload: recorded.encode(),
    }
}
