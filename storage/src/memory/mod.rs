//! Backends in memory, for tests and benches: nothing survives the process.

mod hot;
mod journal;
mod records;

pub use hot::MemoryHot;
pub use journal::{MemoryJournal, MemoryStore};
pub use records::MemoryRecords;
