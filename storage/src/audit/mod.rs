//! The audit of a store: a journal of its own, with a hash chain over single records, and copies of
//! the chain's head elsewhere.
//!
//! ```text
//! journal "=audit"                     records in order; the payload of each begins with its link
//! audit/<id>/<sequence>-<link>         one object a checkpoint: the chain's head at that time
//! ```
//! `link = sha256("apextrade audit v1" || link before || sequence || content)`; before the first
//! record stands the hash of nothing. The id is the beginning of the first link, so audits that share
//! a bucket do not meet.
//!
//! Two chains, since they find different things. That of the journal is over batches and finds what
//! was changed in place. This one is over records, the same on every backend, and its head is told to
//! an object store: who rewrites the journal from some record on, checksums and all, makes other
//! links than those that were stored there, and who cuts its end off ends before them. What came
//! after the last checkpoint can be cut off unseen, and [`AuditReport::unseen`] says how much that is.
//!
//! What is not here: what a record says (apex-domain), and when one is written (apex-persistence).

mod chain;
mod check;
mod checkpoint;
#[cfg(test)]
mod tests;

pub use chain::{AuditLog, Link, content};
pub use check::{AuditReport, BadRecord, check};
pub use checkpoint::{Checkpoint, Checkpoints, put_checkpoint};
