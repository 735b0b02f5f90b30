//! The journals of all accounts that one store keeps.

use super::journal::{Journal, RecordRef};
use crate::StorageError;
use crate::verify::VerifyReport;
use std::fmt;

/// The name of the journal that holds the audit of a store. No account can be called so, and it is
/// none of the accounts that a store lists.
pub const AUDIT_JOURNAL: &str = "=audit";

/// Opens, lists and checks the journals of a store: one of each account, and [`AUDIT_JOURNAL`]. Blocking; shared between threads.
pub trait Journals: fmt::Debug + Send + Sync {
    /// Opens an account's journal, or makes an empty one, and becomes its one writer.
    ///
    /// # Errors
    /// - `BadName`: no account can have this id.
    /// - `Locked`: somebody else writes it; the message says who.
    /// - `Damaged`, `NewerVersion`: what is there cannot be used.
    /// - `Unavailable`, `Io`: the store does not answer.
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError>;

    /// Returns the accounts that have a journal here, sorted.
    ///
    /// # Errors
    /// `Io` or `Unavailable` when the store cannot be read.
    fn accounts(&self) -> Result<Vec<String>, StorageError>;

    /// Checks every byte of an account's journal and shows each record, in order, up to the first
    /// bad place. Takes no lock and changes nothing; of a journal in use it sees what was durable
    /// when it began.
    ///
    /// # Errors
    /// `NotFound` without such a journal, `BadName`, `Io` or `Unavailable` when it cannot be read.
    /// Damage is no error but the report's `first_bad`.
    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError>;
}
