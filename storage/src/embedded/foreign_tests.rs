//! Files of any content: read or refused, never a panic, never changed by a refusal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::crash_tests::{ACCOUNT, ROOT, open, unit};
use super::{DataDir, EmbeddedRecords};
use crate::StorageError;
use crate::disk::SimDisk;
use crate::port::journal::{Class, Journal};
use crate::port::records::Records;
use crate::verify::verify_on;

fn segment(first: u64) -> PathBuf {
    Path::new(ROOT)
        .join("journal")
        .join(ACCOUNT)
        .join(format!("{first:020}.seg"))
}

fn a_good_segment() -> Vec<u8> {
    let disk = SimDisk::new();
    let mut journal = open(&disk).expect("an empty disk");
    for batch in 0..4 {
        journal
            .append(&[unit(Class::Order, batch * 2 + 1, 2)])
            .expect("there is space");
        journal.commit().expect("the disk works");
    }
    disk.content(&segment(1)).expect("a segment")
}

/// A change of one place: its position (as a share of the content), and what is put there.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Vec<u8>)>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..40),
        Just(vec![0; 600]),
        Just(b"AXJF".to_vec()),
        Just(vec![0xFF; 8]),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), bytes), 1..6)
}

fn changed(mut content: Vec<u8>, changes: &[(prop::sample::Index, Vec<u8>)]) -> Vec<u8> {
    for (index, bytes) in changes {
        let at = index.index(content.len());
        let end = content.len().min(at + bytes.len());
        content[at..end].copy_from_slice(&bytes[..end - at]);
    }
    content
}

/// Opens a journal whose only segment has this content, and checks what came of it.
fn judge(content: Vec<u8>) -> Result<(), TestCaseError> {
    let disk = SimDisk::new();
    drop(open(&disk).expect("an empty disk"));
    disk.set_content(&segment(1), content.clone());
    let report = verify_on(&disk, Path::new(ROOT), ACCOUNT, None, &mut |_| {}).expect("readable");
    match open(&disk) {
        Ok(mut journal) => {
            prop_assert!(report.ok(), "{:?}", report);
            let last = journal.head().sequence;
            prop_assert_eq!(last, report.records);
            prop_assert_eq!(journal.read_from(1).expect("readable").count() as u64, last);
            journal
                .append(&[unit(Class::Order, last + 1, 1)])
                .expect("there is space");
            journal.commit().expect("the disk works");
            drop(journal);
            let report = verify_on(&disk, Path::new(ROOT), ACCOUNT, None, &mut |_| {});
            prop_assert!(report.expect("readable").ok());
        }
        Err(StorageError::Damaged { .. } | StorageError::NewerVersion { .. }) => {
            prop_assert!(!report.ok());
            prop_assert!(disk.content(&segment(1)) == Some(content), "it was changed");
        }
        Err(other) => prop_assert!(false, "{}", other),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_segment_of_any_bytes_is_read_or_refused(content in prop::collection::vec(any::<u8>(), 0..5000)) {
        // As it is, and as a file of a size that a segment has.
        let mut whole = content.clone();
        whole.resize(4096, 0);
        judge(whole)?;
        judge(content)?;
    }

    #[test]
    fn a_segment_changed_anywhere_is_read_or_refused(changes in changes(), cut in any::<prop::sample::Index>()) {
        let content = changed(a_good_segment(), &changes);
        let cut = cut.index(content.len());
        let mut ended = content.clone();
        ended[cut..].fill(0);
        judge(ended)?;
        judge(content[..cut].to_vec())?;
        judge(content)?;
    }

    #[test]
    fn a_snapshot_of_any_bytes_is_passed_over(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let disk = SimDisk::new();
        let path = Path::new(ROOT).join("snapshots").join(ACCOUNT).join(format!("{:020}.snap", 0));
        disk.set_content(&path, content);
        let journal = open(&disk).expect("a snapshot cannot stop a journal");
        prop_assert_eq!(journal.snapshot_latest().expect("no error"), None);
    }

    #[test]
    fn a_table_changed_anywhere_is_read_or_refused(
        changes in changes(),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let disk = SimDisk::new();
        let open = || {
            EmbeddedRecords::open(&DataDir::on_disk(Arc::new(disk.clone()), Path::new(ROOT)))
                .expect("tables are read later")
        };
        for key in ["a", "b", "c", "d"] {
            open().put("keys", key, &[3; 300]).expect("the disk works");
        }
        let path = Path::new(ROOT).join("records/keys.tbl");
        let good = disk.content(&path).expect("a table");
        let bad = changed(good.clone(), &changes);
        let cut = good[..cut.index(good.len())].to_vec();
        for content in [bad, cut, noise.clone(), [good.as_slice(), &noise].concat()] {
            disk.set_content(&path, content.clone());
            match open().list("keys") {
                Ok(rows) => prop_assert!(rows.len() <= 4),
                Err(StorageError::Damaged { .. } | StorageError::NewerVersion { .. }) => {
                    prop_assert!(disk.content(&path) == Some(content), "it was changed");
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
