//! A venue's order book, rebuilt from a snapshot and the changes after it.
//!
//! [`L2Book`] holds the levels of one instrument and decides, by the venue's [`SequenceRule`],
//! which changes belong to it: what comes before the snapshot waits, what the book already holds
//! is dropped, and a hole in the numbering makes it [`BookStatus::Gapped`]. A gapped book is still
//! there to be shown, marked stale, until a newer snapshot brings it back.
//!
//! Levels that a snapshot did not reach stay unknown until they change; [`L2Book::known_range`]
//! tells how far the book can be trusted.
//!
//! [`L3Book`] holds single orders, where a venue shows them, and knows the place of each in its
//! queue.

mod l3;
mod ladder;
mod machine;
#[cfg(test)]
mod tests;

pub use l3::{
    L2Mismatch, L3Book, L3Change, L3Counters, L3Error, L3Order, L3Snapshot, L3Status, L3Update,
    QueuePosition,
};
pub use ladder::Ladder;
pub use machine::{
    BookCounters, BookStatus, DeltaOutcome, L2Book, PENDING_MAX, SequenceRule, SnapshotOutcome,
};
