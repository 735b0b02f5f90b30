//! Whether an audit is missing that must have been there: whoever takes it away, with the note of its
//! id, leaves the accounts that it was kept beside, and the checkpoints of its chain.

use crate::NodeError;
use crate::marks::Marks;
use crate::origin::{self, Origin};
use apex_storage::Objects;
use apex_storage::audit::Checkpoints;

/// What there is of an audit that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// Empty where it is not known.
    pub audit_id: String,
    pub checkpoints: u64,
    /// Sequence of the last one; 0 without any.
    pub last_checkpoint: u64,
    /// For a person.
    pub reason: String,
}

/// Looks for traces of an audit in a store whose audit has no record and whose mark names none.
/// `None` where none was ever kept: before the first start, and in a replay.
///
/// Errors: `Storage`, `Mark`.
pub(super) fn traces(
    marks: &Marks,
    accounts: &[String],
    own: Option<&dyn Objects>,
    bucket: Option<&dyn Objects>,
) -> Result<Option<Gone>, NodeError> {
    let origin = origin::of(marks)?;
    if origin == Some(Origin::Replay) {
        return Ok(None);
    }
    // A bucket may have checkpoints of others: without accounts here they say nothing.
    let bucket = bucket.filter(|_| !accounts.is_empty());
    for objects in [own, bucket].into_iter().flatten() {
        let found = Checkpoints::all(objects)?;
        // In a bucket of several the one that was written last cannot be told: the longest is named.
        if let Some((audit_id, found)) = found.iter().max_by_key(|(_, one)| one.last()) {
            return Ok(Some(Gone {
                audit_id: audit_id.clone(),
                checkpoints: found.len() as u64,
                last_checkpoint: found.last(),
                reason: format!(
                    "the audit is gone, and the note of its id too: a checkpoint of audit {audit_id} at \
                     record {} was stored",
                    found.last()
                ),
            }));
        }
    }
    let Some(first) = accounts.first().filter(|_| origin.is_some()) else {
        return Ok(None);
    };
    Ok(Some(Gone {
        audit_id: String::new(),
        checkpoints: 0,
        last_checkpoint: 0,
        reason: format!(
            "the audit is gone, and the note of its id too: account {first} is here, and an audit is \
             begun before any account"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_storage::audit::{Checkpoint, Link, put_checkpoint};
    use apex_storage::own_objects;

    #[test]
    fn an_audit_is_missed_where_its_checkpoints_or_accounts_are() {
        let folder = tempfile::tempdir().unwrap();
        let (marks, paper) = (Marks::in_folder(folder.path()), ["paper".to_owned()]);
        let look = |marks: &Marks, accounts: &[String], own, bucket| {
            traces(marks, accounts, own, bucket).unwrap()
        };
        assert_eq!(look(&marks, &[], None, None), None, "a first start");
        assert_eq!(look(&marks, &paper, None, None), None, "not known whose");

        let objects = own_objects(folder.path()).unwrap();
        let own: &dyn Objects = &*objects;
        let objects = Some(own);
        assert_eq!(look(&marks, &paper, objects, objects), None);
        let checkpoint = Checkpoint {
            audit_id: "0123456789abcdef".to_owned(),
            sequence: 7,
            link: Link::NONE,
        };
        put_checkpoint(own, &checkpoint, 0).unwrap();
        let found = look(&marks, &[], objects, None).unwrap();
        assert_eq!((found.checkpoints, found.last_checkpoint), (1, 7));
        assert!(
            found.reason.contains("0123456789abcdef at record 7"),
            "{}",
            found.reason
        );
        assert!(look(&marks, &paper, None, objects).is_some());
        assert_eq!(look(&marks, &[], None, objects), None, "a bucket of others");

        origin::claim(&marks, Origin::Inside).unwrap();
        let found = look(&marks, &paper, None, None).unwrap();
        assert!(found.reason.contains("account paper"), "{}", found.reason);
        marks.set(crate::replay::archive::MARK, "finished").unwrap();
        assert_eq!(look(&marks, &paper, objects, objects), None, "a replay");
    }
}
