//! Backends in memory, for tests and benches: nothing survives the process.

mod journal;
mod records;

pub use journal::{MemoryJournal, MemoryStore};
pub use records::MemoryRecords;
