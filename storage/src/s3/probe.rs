//! Tries what the platform does with a bucket.

use super::S3Objects;
use crate::StorageError;
use crate::port::objects::{ObjectKey, Objects, damaged};
use std::hash::{BuildHasher, RandomState};

/// Below the prefix of the audit's checkpoints: keys that may do no more than the platform needs are
/// let in there.
pub(crate) const PROBES: &str = "audit/doctor/";

const CONTENT: &[u8] = b"written by `apextrade doctor`, which takes it away again\n";

impl S3Objects {
    /// Writes, reads, lists and deletes one small object under [`PROBES`], whose name no other has. Returns why it could not be
    /// deleted, where that is so: it is left then, and a bucket from which nothing can be deleted is
    /// what checkpoints of an audit want.
    ///
    /// # Errors
    /// `Unavailable`, whose text says what could not be done; `Damaged` where something else came
    /// back.
    pub fn probe(&self) -> Result<Option<StorageError>, StorageError> {
        // Random: in two containers both processes have the number 1.
        let key = ObjectKey::new(&format!("{PROBES}{:016x}", RandomState::new().hash_one(())))?;
        let doing = |what: &str, error: StorageError| match error {
            StorageError::Unavailable {
                server,
                detail,
                variable,
            } => StorageError::Unavailable {
                server,
                detail: format!("{what} an object: {detail}"),
                variable,
            },
            other => other,
        };
        self.put(&key, &mut &CONTENT[..])
            .map_err(|error| doing("cannot write", error))?;
        let read = self.get(&key).map_err(|error| doing("cannot read", error));
        let listed = self
            .list(PROBES, None, 1)
            .map_err(|error| doing("cannot list", error));
        // Also where it could not be read: nothing is to be left.
        let deleted = self
            .delete(&key)
            .map_err(|error| doing("cannot delete", error));
        if read?.as_deref() != Some(CONTENT) || listed?.is_empty() {
            return Err(damaged(&key));
        }
        Ok(deleted.err())
    }
}
