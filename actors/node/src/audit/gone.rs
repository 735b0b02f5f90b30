//! Whether an audit is missing that must have been there. Each start notes among the records that an
//! audit is kept; whoever takes the audit away, with the note of its id, leaves that.

use crate::NodeError;
use crate::marks::{self, Marks};
use crate::origin::{self, Origin};
use apex_storage::audit::Checkpoints;
use apex_storage::{Objects, Records};

/// The id of the audit that is kept, beside the accounts: among the records, so that it goes back in
/// time with them where their database does, and no file of its own that can be taken away.
const KEPT: &str = "audit_kept";

/// What there is of an audit that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub audit_id: String,
    pub checkpoints: u64,
    /// Sequence of the last one; 0 without any.
    pub last_checkpoint: u64,
    /// For a person.
    pub reason: String,
}

/// Notes that an audit is kept.
///
/// Errors: `Storage`.
pub(super) fn note_kept(records: &dyn Records, audit_id: &str) -> Result<(), NodeError> {
    if kept(records)?.as_deref() != Some(audit_id) {
        records.put(marks::TABLE, KEPT, audit_id.as_bytes())?;
    }
    Ok(())
}

/// Returns the id of the audit that is kept; `None` in stores that never had one.
///
/// Errors: `Storage`.
pub(super) fn kept(records: &dyn Records) -> Result<Option<String>, NodeError> {
    Ok(records.get(marks::TABLE, KEPT)?.map(text))
}

/// As [`kept`], of a data folder that another process may have open.
///
/// Errors: `Storage`.
pub(super) fn kept_in(marks: &Marks) -> Result<Option<String>, NodeError> {
    let found = apex_storage::read_record(marks.root(), marks::TABLE, KEPT)?;
    Ok(found.map(text))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Looks for traces of an audit in a store whose audit has no record and whose mark names none:
/// the note that one is `kept`, or checkpoints in the data folder that has the accounts too.
/// Checkpoints elsewhere are a warning: a bucket may have those of others, and a folder those of a
/// time that its database was brought back from. `None` where none was ever kept: before the first
/// start, in stores of a build without audits, and in a replay.
///
/// Errors: `Storage`, `Mark`.
pub(super) fn traces(
    marks: &Marks,
    kept: Option<&str>,
    own: Option<&dyn Objects>,
    bucket: Option<&dyn Objects>,
) -> Result<Option<Gone>, NodeError> {
    if origin::of(marks)? == Some(Origin::Replay) {
        return Ok(None);
    }
    let is_gone = |audit_id: &str, found: &Checkpoints| Gone {
        audit_id: audit_id.to_owned(),
        checkpoints: found.len() as u64,
        last_checkpoint: found.last(),
        reason: format!(
            "the audit is gone, and the note of its id too: audit {audit_id} was kept here, with \
             checkpoints up to record {}",
            found.last()
        ),
    };
    let stores = [(own, marks.is_folder()), (bucket, false)];
    let stores = stores
        .into_iter()
        .filter_map(|(one, tells)| Some((one?, tells)));
    if let Some(audit_id) = kept {
        let mut found = Checkpoints::default();
        for (objects, _) in stores {
            let more = Checkpoints::of(objects, audit_id)?;
            if more.len() > found.len() {
                found = more;
            }
        }
        return Ok(Some(is_gone(audit_id, &found)));
    }
    for (objects, tells) in stores {
        let found = Checkpoints::all(objects)?;
        // Of several the one that was written last cannot be told: the longest is named.
        match found.iter().max_by_key(|(_, one)| one.last()) {
            Some((audit_id, found)) if tells => return Ok(Some(is_gone(audit_id, found))),
            Some((audit_id, found)) => tracing::warn!(
                audit_id,
                record = found.last(),
                "there are checkpoints of audits, and no note that one was kept here: they are \
                 taken for another platform's, or for those of a later time"
            ),
            None => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::{Purpose, ServerSettings, Stores};
    use apex_bus::clock::Clock;
    use apex_storage::audit::{Checkpoint, Link, put_checkpoint};
    use apex_storage::{DataDir, MemoryRecords, own_objects};
    use std::sync::Arc;

    const ID: &str = "0123456789abcdef";

    fn put(objects: &dyn Objects) {
        let checkpoint = Checkpoint {
            audit_id: ID.to_owned(),
            sequence: 7,
            link: Link::NONE,
        };
        put_checkpoint(objects, &checkpoint, 0).unwrap();
    }

    #[test]
    fn an_audit_is_missed_where_it_was_noted_or_its_folder_has_its_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let marks = Marks::in_folder(folder.path());
        let of_database = Marks::in_records(folder.path(), Arc::new(MemoryRecords::new()));
        let look = |marks: &Marks, kept, own, bucket| traces(marks, kept, own, bucket).unwrap();
        origin::claim(&marks, Origin::Inside).unwrap();
        assert_eq!(look(&marks, None, None, None), None);
        let found = look(&marks, Some(ID), None, None).unwrap();
        assert_eq!((found.audit_id.as_str(), found.checkpoints), (ID, 0));

        let objects = own_objects(folder.path()).unwrap();
        let own: &dyn Objects = &*objects;
        let objects = Some(own);
        assert_eq!(look(&marks, None, objects, objects), None);
        put(own);
        for found in [
            look(&marks, None, objects, None),
            look(&marks, Some(ID), None, objects),
            look(&of_database, Some(ID), objects, None),
        ] {
            let found = found.unwrap();
            assert_eq!((found.checkpoints, found.last_checkpoint), (1, 7));
            assert!(found.reason.contains(ID), "{}", found.reason);
        }
        assert_eq!(look(&marks, None, None, objects), None, "a shared bucket");
        let back = look(&of_database, None, objects, None);
        assert_eq!(back, None, "a database before its first audit");
        marks.set(crate::replay::archive::MARK, "finished").unwrap();
        assert_eq!(look(&marks, Some(ID), objects, None), None, "a replay");
    }

    #[test]
    fn a_folder_from_before_audits_starts_and_one_that_had_its_own_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let servers = ServerSettings::default();
        let start = |anew| {
            let stores = Stores::open(&dir, &servers, Purpose::Live).unwrap();
            let writer = super::super::start(&stores, &servers, &Clock::Wall, anew)?;
            writer.stop(super::super::note(
                &Clock::Wall,
                "Node/Stopped",
                String::new(),
            ));
            let noted = kept(&*stores.records).unwrap();
            assert_eq!(kept_in(&stores.marks).unwrap(), noted);
            Ok::<_, NodeError>(noted.expect("each start notes it"))
        };
        // What a build without audits left: whose accounts they are, and accounts.
        origin::claim(&Marks::in_folder(folder.path()), Origin::Inside).unwrap();
        std::fs::create_dir_all(folder.path().join("journal/paper")).unwrap();
        let audit_id = start(false).unwrap();
        assert_eq!(start(false).unwrap(), audit_id);

        for gone in ["journal/=audit", "objects/data/audit"] {
            std::fs::remove_dir_all(folder.path().join(gone)).unwrap();
        }
        std::fs::remove_file(folder.path().join(super::super::MARK)).unwrap();
        let refused = start(false).unwrap_err();
        assert!(matches!(refused, NodeError::AuditGone(_)), "{refused}");
        assert!(refused.to_string().contains(&audit_id), "{refused}");
        assert_ne!(start(true).unwrap(), audit_id);
        start(false).unwrap();
    }
}
