//! The journals of a data folder.

use super::data_dir::{DataDir, check_journal_name};
use super::journal::EmbeddedJournal;
use super::options::Options;
use crate::StorageError;
use crate::port::journal::{Journal, RecordRef};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::verify::{VerifyReport, verify_on};
use std::sync::Arc;

/// Segments of the audit: some 7,000 orders each. Smaller than those of accounts, since there is one
/// for all of them and most folders have few actions; a disk is not to be full by it.
const AUDIT_SEGMENT_BYTES: u64 = 4 << 20;

/// The journals of all accounts of a data folder.
#[derive(Debug, Clone)]
pub struct EmbeddedJournals {
    dir: Arc<DataDir>,
    options: Options,
}

impl EmbeddedJournals {
    /// Keeps journals in a folder that this process has taken.
    pub fn new(dir: &Arc<DataDir>, options: Options) -> EmbeddedJournals {
        EmbeddedJournals {
            dir: dir.clone(),
            options,
        }
    }
}

impl Journals for EmbeddedJournals {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        let mut options = self.options.clone();
        if account_id == AUDIT_JOURNAL {
            options.segment_bytes = options.segment_bytes.min(AUDIT_SEGMENT_BYTES);
        }
        let journal = EmbeddedJournal::open(&self.dir, account_id, options)?;
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
        verify_on(&**self.dir.disk(), self.dir.root(), account_id, each)
    }
}
