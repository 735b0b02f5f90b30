//! Where ApexTrade keeps what must not be lost, and how it is read back.
//!
//! **For**: ports (traits) for the journal of an account, small keyed records and time series, with
//! the backends behind them: `embedded` (files in a data folder, the default), `postgres`, `folder`
//! and `s3` (objects), and `memory` (tests and benches), one conformance suite that every backend
//! passes, and `verify`, which checks a journal without touching it.
//!
//! **Not for**: knowing what a record of a journal means. Payloads are opaque bytes; the domain
//! encodes and decodes its events. Of the domain only the values of market data are used here. Nothing here decides about orders, and no port is async: it blocks,
//! and a shell runs it on a thread of its own.
//!
//! What the platform keeps about itself (users, assignments, jobs, schedules) is in [`records`].
//!
//! **Start reading** at [`port::journal`] (what a journal promises), then `embedded/frame.rs` (the
//! bytes on disk), `embedded/journal.rs` (how a commit becomes durable) and `embedded/tail.rs` (how
//! an unfinished last write is told from damage).

pub mod archive;
pub mod audit;
pub mod backup;
mod blocking;
pub mod compare;
pub mod conformance;
pub mod disk;
pub mod embedded;
mod error;
pub mod folder;
pub mod memory;
mod outage;
pub mod port;
pub mod postgres;
pub mod records;
pub mod redis;
mod rolling;
pub mod s3;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod tls;
pub mod verify;

pub use embedded::{
    DataDir, EmbeddedJournal, EmbeddedJournals, EmbeddedRecords, EmbeddedSeries, Options,
    objects_if_any, own_objects, read_record,
};
pub use error::{Damage, Position, ReserveHolder, StorageError};
pub use folder::FolderObjects;
pub use memory::{MemoryHot, MemoryJournal, MemoryRecords, MemorySeries, MemoryStore};
pub use outage::{Lasting, Outage};
pub use port::hot::{Hot, HotHealth, Signal, Signals, Wakes};
pub use port::journal::{
    ChainHash, Class, Closed, ClosingJob, CuttingJob, DurableSequence, Head, Journal, JournalError,
    JournalState, Record, RecordIter, RecordRef, Snapshot, SnapshotIter, SnapshotJob, Unit,
};
pub use port::journals::{AUDIT_JOURNAL, Journals};
pub use port::objects::{ContentHash, ObjectInfo, ObjectKey, Objects};
pub use port::records::{Action, Change, Expected, Page, Records};
pub use port::series::Series;
pub use verify::{FirstBad, VerifyReport, accounts, verify};
