//! The audit as those see it whose calls are recorded.

use apex_domain::audit::AuditRecord;
use std::fmt;
use thiserror::Error;
use tokio::sync::oneshot;

/// Why the audit cannot be written or read now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// Its store fails. It is tried again every half second.
    #[error("the audit cannot be written: {0}")]
    Down(String),
    /// Its disk is full.
    #[error("the audit has no space: free disk space")]
    NoSpace,
    /// More records wait than it holds.
    #[error("the audit is behind by {limit} records")]
    Overloaded { limit: usize },
    /// What was recorded cannot be read.
    #[error("the audit cannot be read: {0}")]
    Unreadable(String),
}

/// Tells when a record is durable.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<()>);

/// The writer's end of a [`Ticket`].
#[derive(Debug)]
pub struct Durable(oneshot::Sender<()>);

impl Ticket {
    /// Returns a ticket and what tells it.
    pub fn pair() -> (Durable, Ticket) {
        let (done, told) = oneshot::channel();
        (Durable(done), Ticket(told))
    }

    /// Returns once the record is durable; `false` when the writer ended before.
    pub async fn durable(self) -> bool {
        self.0.await.is_ok()
    }
}

impl Durable {
    /// Says that it is.
    pub fn tell(self) {
        // Who waited may have gone away.
        let _ = self.0.send(());
    }
}

/// Figures of an audit since its process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFigures {
    /// Sequence of the last durable record.
    pub durable: u64,
    /// Records that wait to be durable.
    pub waiting: u64,
    /// Records that could not be taken: actions that went on without.
    pub lost: u64,
    /// Halts, cancels and closings that were answered before their record was durable.
    pub early: u64,
    /// Why it is not in order, where it is not.
    pub failing: Option<String>,
    /// Sequence of the last checkpoint of this process.
    pub checkpoint: u64,
    /// Why the last checkpoint could not be stored.
    pub checkpoint_failing: Option<String>,
}

/// What a check of the whole audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCheck {
    pub audit_id: String,
    /// Whole records, up to the first bad place.
    pub records: u64,
    /// Link of the last of them, in hexadecimal digits.
    pub link: String,
    pub checkpoints: u64,
    /// Sequence of the last checkpoint; what lies behind it could be cut off unseen.
    pub last_checkpoint: u64,
    /// The first bad record and why.
    pub first_bad: Option<(u64, String)>,
}

/// Records in order, with their sequences.
pub type AuditRecords = Vec<(u64, AuditRecord)>;

/// The audit of a node.
pub trait Audit: fmt::Debug + Send + Sync {
    /// Hands a record over and never waits. It is kept until it is durable, however long that takes.
    ///
    /// # Errors
    /// `Overloaded`: the record was not taken.
    fn append(&self, record: AuditRecord) -> Result<Ticket, AuditError>;

    /// Says whether what is handed over now will be durable soon.
    ///
    /// # Errors
    /// `Down`, `NoSpace`.
    fn ready(&self) -> Result<(), AuditError>;

    /// Counts an action that went on without its record.
    fn lost(&self);

    /// Counts an action that was answered before its record was durable.
    fn early(&self);

    fn figures(&self) -> AuditFigures;

    /// Returns up to `limit` durable records from `sequence` on. Blocking.
    ///
    /// # Errors
    /// `Unreadable`, `Down`.
    fn read(&self, sequence: u64, limit: usize) -> Result<AuditRecords, AuditError>;

    /// Checks every record and every checkpoint. Blocking, and as long as the audit is.
    ///
    /// # Errors
    /// `Unreadable` when store or checkpoints do not answer; damage is a finding.
    fn check(&self) -> Result<AuditCheck, AuditError>;
}
