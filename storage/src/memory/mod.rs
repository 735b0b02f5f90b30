//! Backends in memory, for tests and benches: nothing survives the process.

mod hot;
mod journal;
mod records;
mod series;

pub use hot::MemoryHot;
pub use journal::{MemoryJournal, MemoryStore};
pub use records::MemoryRecords;
pub use series::MemorySeries;
