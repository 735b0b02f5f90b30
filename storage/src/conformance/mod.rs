//! What every backend has to show: suites of numbered cases.
//!
//! A backend runs a suite in one test: `journal_suite(|| MyBackend::new())`. Each case gets a fresh
//! backend and panics, naming itself, when the backend breaks a promise of the port.

mod audit;
mod clocked;
mod closing;
#[cfg(test)]
mod closing_tests;
#[cfg(test)]
mod expanded_tests;
mod hot;
mod journal;
mod journals;
mod objects;
mod record_changes;
mod record_ends;
mod record_kinds;
mod record_requests;
mod records;
mod series;
mod series_bars;
#[cfg(test)]
mod series_recorded;
#[cfg(test)]
mod series_tests;
#[cfg(test)]
mod tests;

use crate::port::hot::Hot;
use crate::port::journal::{Journal, JournalError};
use crate::port::journals::Journals;
use crate::port::objects::Objects;
use crate::port::records::Records;
use crate::port::series::Series;
use std::sync::Arc;

pub use audit::audit_suite;
#[cfg(test)]
pub(crate) use clocked::{At, at};
pub use closing::closing_suite;
pub use hot::hot_suite;
#[cfg(test)]
pub(crate) use hot::until;
pub use journal::journal_suite;
pub use journals::journals_suite;
pub use objects::objects_suite;
#[cfg(test)]
pub(crate) use record_kinds::job;
pub use records::records_suite;
pub use series::series_suite;
pub use series_bars::same_as_the_engine;

/// An account's journal that can be opened again and again, and made to fail.
pub trait JournalBackend {
    /// Opens the journal; the one opened before is closed already.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Journal>, JournalError>;

    /// Returns the controls for faults; `None` when this backend cannot be made to fail, and the
    /// cases that need it are left out.
    fn faults(&self) -> Option<&dyn Faults> {
        None
    }
}

/// What a backend under test can be made to suffer.
pub trait Faults {
    /// Takes all space away that is not allocated yet.
    fn fill_disk(&self);
    /// Gives it back.
    fn free_disk(&self);
    /// Makes the next commit fail as a failed fsync does.
    fn fail_next_sync(&self);
}

/// A store of the journals of many accounts.
pub trait JournalsBackend {
    /// Opens the store, which is empty.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Journals>, crate::StorageError>;
}

/// A store of journals with segments of a few batches, and the store of objects that they move to.
pub trait ClosingBackend {
    /// Opens the journals, again and again; what was opened before is closed already.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Journals>, crate::StorageError>;

    /// Returns the objects, which a case damages.
    fn objects(&self) -> Arc<dyn Objects>;
}

/// A records store that can be opened again and again.
pub trait RecordsBackend {
    /// Opens the store; the one opened before is closed already.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Records>, crate::StorageError>;
}

/// A store of objects.
pub trait ObjectsBackend {
    /// Opens the store, which is empty.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Objects>, crate::StorageError>;
}

/// A store of what may be gone.
pub trait HotBackend {
    /// Opens the store, which is empty.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Hot>, crate::StorageError>;
}

/// A store of time series that can be opened again and again.
pub trait SeriesBackend {
    /// Opens the store; the one opened before is closed already.
    ///
    /// # Errors
    /// As the backend's own `open`.
    fn open(&self) -> Result<Box<dyn Series>, crate::StorageError>;
}
