//! Keyed records in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::StorageError;
use crate::port::records::{
    Action, Change, Entries, Page, Records, check_changes, check_expected, check_input,
    check_table, machine_now_ns, page_of,
};

type Tables = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Keyed records in memory, for tests and benches.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    tables: Mutex<Tables>,
}

impl MemoryRecords {
    /// Returns an empty store.
    pub fn new() -> Self {
        MemoryRecords::default()
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Nothing that can panic stands between the operations of a change, so none is half done.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records for MemoryRecords {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        check_input(table, key, &[])?;
        Ok(self
            .lock()
            .get(table)
            .and_then(|rows| rows.get(key))
            .cloned())
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        check_input(table, key, value)?;
        self.lock()
            .entry(table.into())
            .or_default()
            .insert(key.into(), value.into());
        Ok(())
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        check_input(table, key, &[])?;
        Ok(self
            .lock()
            .get_mut(table)
            .is_some_and(|rows| rows.remove(key).is_some()))
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        check_table(table)?;
        let tables = self.lock();
        let rows = tables.get(table).into_iter().flatten();
        Ok(rows
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        check_changes(changes)?;
        let mut tables = self.lock();
        check_expected(changes, |change| {
            let rows = tables.get(&change.table)?;
            rows.get(&change.key).map(Vec::as_slice)
        })?;
        for change in changes {
            let rows = tables.entry(change.table.clone()).or_default();
            match &change.action {
                Action::Keep => {}
                Action::Put(value) => drop(rows.insert(change.key.clone(), value.clone())),
                Action::Delete => drop(rows.remove(&change.key)),
            }
        }
        Ok(())
    }

    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError> {
        check_table(table)?;
        let tables = self.lock();
        Ok(tables
            .get(table)
            .map_or_else(Vec::new, |rows| page_of(rows, page)))
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        Ok(machine_now_ns())
    }
}
