//! The ports on PostgreSQL (15 or newer).
//!
//! - [`PgServer`] is one server as its settings name it: connections that come back by themselves,
//!   and the checks at start (version, `fsync`, schema).
//! - [`PgJournals`] keeps the journals of all accounts: the same frames and the same hash chain as
//!   the embedded backend, one row a batch. Batches of different accounts that are ready at the
//!   same time become durable by one statement (group commit), and each carries the epoch of its
//!   owner, so that a predecessor cannot write.
//!   With a store of objects old batches move there, behind two snapshots.
//! - [`PgRecords`] keeps small keyed values, [`PgSeries`] time series.
//!
//! **The outcome of a commit whose answer was lost** is found out before anybody is answered: the
//! same statement is sent again. It moves an account's head only from the batch before, so it
//! either stores the batch or finds that it is stored; never twice, whatever the first one did.
//!
//! [`ReservedJournals`] goes on without the server: what takes exposure away is durable in a file of
//! this machine meanwhile, and merged when the server is back.
//!
//! `dump` and `load` are for backups: all rows as of one moment, and back.
//!
//! A port blocks, so each call waits here for a small runtime of this module's own: callers may be
//! on threads of another one.

mod base;
mod closing;
mod dump;
mod group;
mod journal;
mod journals;
mod load;
mod locks;
mod owners;
mod read;
mod record_changes;
mod records;
mod reserved;
mod schema;
mod series;
mod server;
mod snapshots;
mod space;
#[cfg(test)]
mod tests;
mod url;

pub use closing::{KEPT_BYTES, SEGMENT_BYTES};
pub(crate) use dump::{Base, DayOfStream, Dump, day_sql, each_row};
pub use journal::{PgJournal, PgJournals};
pub(crate) use load::{Load, Loaded};
pub use owners::UnnotedOwner;
pub use records::PgRecords;
pub(crate) use reserved::has_reserve;
pub use reserved::{ReservedJournal, ReservedJournals, look_for_reserves};
pub(crate) use schema::{check_empty, newest as newest_schema};
pub use schema::{migrate, migrate_empty, schema_version};
pub use series::{Layout, PgSeries, layout_of};
pub use server::{PgServer, ServerOptions};
pub use space::Claim;
