//! Records that can fail.

use apex_storage::{Change, Page as RecordPage, Records, StorageError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a table has, by key.
type Entries = Vec<(String, Vec<u8>)>;

/// The node's records, which fail to store anything while the test says so.
pub struct Failing {
    pub inner: Arc<dyn Records>,
    pub fails: AtomicBool,
}

impl Records for Failing {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(table, key)
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.inner.put(table, key, value)
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        self.inner.delete(table, key)
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        self.inner.list(table)
    }

    fn page(&self, table: &str, page: &RecordPage<'_>) -> Result<Entries, StorageError> {
        self.inner.page(table, page)
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StorageError::Conflict {
                table: "test".to_owned(),
                key: "away".to_owned(),
            });
        }
        self.inner.change(changes)
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        self.inner.now_ns()
    }
}
