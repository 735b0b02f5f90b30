//! The journals of a data folder.

use super::data_dir::{DataDir, check_journal_name};
use super::journal::EmbeddedJournal;
use super::options::Options;
use crate::StorageError;
use crate::port::journal::{Journal, RecordRef};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::port::objects::Objects;
use crate::verify::{VerifyReport, verify_on};
use std::fmt;
use std::sync::Arc;

/// Segments of the audit: some 7,000 orders each. Smaller than those of accounts, since there is one
/// for all of them and most folders have few actions; a disk is not to be full by it.
const AUDIT_SEGMENT_BYTES: u64 = 4 << 20;

/// The journals of all accounts of a data folder.
#[derive(Clone)]
pub struct EmbeddedJournals {
    dir: Arc<DataDir>,
    options: Options,
    objects: Option<Arc<dyn Objects>>,
}

impl fmt::Debug for EmbeddedJournals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedJournals")
            .field("dir", &self.dir)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl EmbeddedJournals {
    /// Keeps journals in a folder that this process has taken.
    pub fn new(dir: &Arc<DataDir>, options: Options) -> EmbeddedJournals {
        EmbeddedJournals {
            dir: dir.clone(),
            options,
            objects: None,
        }
    }

    /// Moves closed segments to a store of objects, and finds those that were moved there.
    #[must_use]
    pub fn with_objects(self, objects: Arc<dyn Objects>) -> EmbeddedJournals {
        EmbeddedJournals {
            objects: Some(objects),
            ..self
        }
    }
}

impl Journals for EmbeddedJournals {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        let mut options = self.options.clone();
        if account_id == AUDIT_JOURNAL {
            options.segment_bytes = options.segment_bytes.min(AUDIT_SEGMENT_BYTES);
        }
        let objects = self.objects.as_ref();
        let journal = EmbeddedJournal::open_with(&self.dir, account_id, options, objects)?;
        Ok(Box::new(journal))
    }

    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        self.dir.accounts()
    }

    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        check_journal_name(account_id)?;
        let (disk, root) = (&**self.dir.disk(), self.dir.root());
        verify_on(disk, root, account_id, self.objects.as_ref(), each)
    }
}
