//! Short words that say what the stored accounts are: where their orders are, and what became of a
//! replay. They stand in the data folder, and with the accounts where those are in a database: a
//! node with a fresh folder must find them too.

use crate::NodeError;
use apex_storage::Records;
use std::fmt;
use std::io::ErrorKind::{IsADirectory, NotFound};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const TABLE: &str = "marks";

/// The marks of a data folder, or of a database and the folder of whoever uses it.
#[derive(Clone)]
pub struct Marks {
    root: PathBuf,
    records: Option<Arc<dyn Records>>,
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Marks {
    /// Marks of what is in a folder.
    pub fn in_folder(root: &Path) -> Marks {
        Marks {
            root: root.to_owned(),
            records: None,
        }
    }

    /// Marks of what is in a database. The folder gets a copy, so that `verify` finds by the
    /// folder's name which accounts are meant.
    pub fn in_records(root: &Path, records: Arc<dyn Records>) -> Marks {
        Marks {
            root: root.to_owned(),
            records: Some(records),
        }
    }

    /// Returns the data folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether the accounts are in the folder itself.
    pub fn is_folder(&self) -> bool {
        self.records.is_none()
    }

    /// Returns a mark; `None` when it was never set.
    ///
    /// Errors: `Storage` when the database does not answer, `Mark` when the file cannot be read: one
    /// that is there and cannot be read says nothing, and must not pass for none.
    pub fn get(&self, name: &str) -> Result<Option<String>, NodeError> {
        let Some(records) = &self.records else {
            let path = self.root.join(name);
            return match std::fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                // `replay` is the folder of replays in the folder of what is live.
                Err(error) if matches!(error.kind(), NotFound | IsADirectory) => Ok(None),
                Err(source) => Err(NodeError::Mark { path, source }),
            };
        };
        let value = records.get(TABLE, name)?;
        Ok(value.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// Sets a mark.
    ///
    /// Errors: `Storage`, `Archive`.
    pub fn set(&self, name: &str, word: &str) -> Result<(), NodeError> {
        if let Some(records) = &self.records {
            records.put(TABLE, name, word.as_bytes())?;
        }
        let failed = |source| NodeError::Archive {
            path: self.root.join(name),
            source,
        };
        let temporary = self.root.join(format!("{name}.new"));
        std::fs::write(&temporary, format!("{}\n", word.trim_end())).map_err(failed)?;
        std::fs::rename(&temporary, self.root.join(name)).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_storage::MemoryRecords;

    #[test]
    fn a_mark_that_cannot_be_read_is_no_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let marks = Marks::in_folder(folder.path());
        std::fs::write(folder.path().join("origin"), [0xff, 0xfe]).unwrap();
        let refused = marks.get("origin").unwrap_err();
        assert!(matches!(refused, NodeError::Mark { .. }), "{refused}");
    }

    #[test]
    fn a_mark_of_a_database_is_found_with_any_folder() {
        let records: Arc<dyn Records> = Arc::new(MemoryRecords::new());
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let marks = Marks::in_records(one.path(), records.clone());
        assert_eq!(marks.get("origin").unwrap(), None);
        marks.set("origin", "inside").unwrap();
        let elsewhere = Marks::in_records(other.path(), records);
        assert_eq!(elsewhere.get("origin").unwrap().as_deref(), Some("inside"));
        let copy = Marks::in_folder(one.path());
        assert_eq!(copy.get("origin").unwrap().as_deref(), Some("inside"));
        assert_eq!(Marks::in_folder(other.path()).get("origin").unwrap(), None);
    }
}
