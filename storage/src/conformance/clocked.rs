//! Records at a time of a test's choice, and with something that happens before each change.

use crate::StorageError;
use crate::port::records::{Change, Entries, Page, Records};

/// A store whose clock stands.
pub(crate) struct At<'a> {
    pub records: &'a dyn Records,
    pub now_ns: i64,
    /// What others do between the last look and a change.
    pub before_change: &'a (dyn Fn() + Send + Sync),
}

/// Returns a store as it is at a time.
pub(crate) fn at(records: &dyn Records, now_ns: i64) -> At<'_> {
    At {
        records,
        now_ns,
        before_change: &|| {},
    }
}

impl Records for At<'_> {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.records.get(table, key)
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.records.put(table, key, value)
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        self.records.delete(table, key)
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        self.records.list(table)
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        (self.before_change)();
        self.records.change(changes)
    }

    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError> {
        self.records.page(table, page)
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        Ok(self.now_ns)
    }
}
