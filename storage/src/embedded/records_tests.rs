//! Faults under the records store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DataDir, EmbeddedRecords};
use crate::StorageError;
use crate::disk::{Crash, SimDisk};
use crate::port::records::Records;

fn open(disk: &SimDisk) -> Result<EmbeddedRecords, StorageError> {
    EmbeddedRecords::open(&DataDir::on_disk(
        Arc::new(disk.clone()),
        Path::new("/data"),
    ))
}

fn table() -> PathBuf {
    PathBuf::from("/data/records/keys.tbl")
}

type Rows = BTreeMap<String, Vec<u8>>;

fn rows(records: &EmbeddedRecords) -> Rows {
    records
        .list("keys")
        .expect("the table can be read")
        .into_iter()
        .collect()
}

/// Changes keys until something fails. Returns what was acknowledged, and the same with the change
/// that failed.
fn work(disk: &SimDisk, changes: u32) -> (Rows, Rows) {
    let mut acknowledged = Rows::new();
    let Ok(records) = open(disk) else {
        return (acknowledged.clone(), acknowledged);
    };
    for change in 0..changes {
        let key = format!("key {}", change % 3);
        // Large enough that the file is written anew now and then.
        let value = vec![1 + (change % 200) as u8; 12_000];
        let mut next = acknowledged.clone();
        let done = if change % 4 == 3 {
            next.remove(&key);
            records.delete("keys", &key).map(drop)
        } else {
            next.insert(key.clone(), value.clone());
            records.put("keys", &key, &value)
        };
        if done.is_err() {
            return (acknowledged, next);
        }
        acknowledged = next;
    }
    (acknowledged.clone(), acknowledged)
}

#[test]
fn a_power_cut_at_any_operation_keeps_every_change_that_returned() {
    for operations in 0.. {
        let disk = SimDisk::new();
        disk.cut_power_after(operations);
        let (acknowledged, attempted) = work(&disk, 24);
        for crash in [
            Crash::KeepAll,
            Crash::LoseUnsynced,
            Crash::KeepPrefix(1),
            Crash::KeepPrefix(30),
            Crash::KeepPrefix(9_000),
            Crash::KeepSectors(0x5555_5555_5555_5555),
            Crash::KeepSectors(0xAAAA_AAAA_AAAA_AAAA),
        ] {
            let left = disk.crash(crash);
            let records = open(&left).expect("a crash is no damage");
            let found = rows(&records);
            let case = format!("{operations} operations, {crash:?}");
            assert!(found == acknowledged || found == attempted, "{case}");
            records
                .put("keys", "after", b"goes on")
                .expect("the disk works");
            drop(records);
            let again = rows(&open(&left.crash(Crash::LoseUnsynced)).expect("no damage"));
            assert_eq!(again.len(), found.len() + 1, "{case}");
        }
        if disk.writes_and_syncs().1 > 24 && acknowledged == attempted {
            assert!(operations > 40, "the power never went");
            break;
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused_with_its_place() {
    let disk = SimDisk::new();
    let records = open(&disk).expect("an empty disk");
    for key in ["a", "b", "c"] {
        records
            .put("keys", key, b"a value")
            .expect("there is space");
    }
    drop(records);
    let content = disk.content(&table()).expect("a table");
    for at in 0..content.len() {
        let copy = disk.crash(Crash::KeepAll);
        let mut changed = content.clone();
        changed[at] ^= 1 << (at % 8);
        copy.set_content(&table(), changed.clone());
        let error = open(&copy).expect("tables are read later").get("keys", "a");
        match error.expect_err("it is damaged") {
            StorageError::Damaged { position, .. } => {
                assert!(
                    position.offset <= at as u64 && position.segment == "keys.tbl",
                    "{at}"
                );
            }
            StorageError::NewerVersion { .. } => assert!((4..8).contains(&at), "{at}"),
            other => panic!("{at}: {other}"),
        }
        assert_eq!(
            copy.content(&table()),
            Some(changed),
            "{at}: it was changed"
        );
    }
}

#[test]
fn a_full_disk_refuses_a_change_and_keeps_the_table() {
    let disk = SimDisk::new();
    let records = open(&disk).expect("an empty disk");
    records.put("keys", "a", b"old").expect("there is space");
    disk.set_capacity(Some(disk.used_bytes() + 10));
    let refused = records.put("keys", "a", &[7; 100]);
    assert!(
        matches!(refused, Err(StorageError::Full { .. })),
        "{refused:?}"
    );
    let refused = records.put("others", "a", &[7; 100]);
    assert!(
        matches!(refused, Err(StorageError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(
        records.get("keys", "a").expect("reads go on").as_deref(),
        Some(&b"old"[..])
    );
    disk.set_capacity(None);
    records
        .put("keys", "a", b"new")
        .expect("there is space again");
    drop(records);
    let records = open(&disk.crash(Crash::LoseUnsynced)).expect("no damage");
    assert_eq!(rows(&records), Rows::from([("a".into(), b"new".to_vec())]));
}

#[test]
fn a_change_whose_sync_failed_is_never_answered() {
    let disk = SimDisk::new();
    let records = open(&disk).expect("an empty disk");
    records.put("keys", "a", b"1").expect("the disk works");
    disk.fail_sync_after(0, "");
    let failed = records.put("keys", "a", b"2").expect_err("the sync failed");
    assert!(
        matches!(failed, StorageError::FsyncFailed { .. }),
        "{failed}"
    );
    let again = records
        .put("keys", "a", b"3")
        .expect_err("never retried as success");
    assert!(again.must_abort(), "{again}");
}

#[test]
fn a_table_can_be_read_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(&folder.path().join("data")).expect("a free folder");
    let records = EmbeddedRecords::open(&dir).expect("an empty store");
    records.put("keys", "a", b"secret").expect("the disk works");
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&dir.root().join("records/keys.tbl")) & 0o777, 0o600);
    assert_eq!(mode(&dir.root().join("records")) & 0o777, 0o700);
    assert_eq!(mode(dir.root()) & 0o777, 0o700);
}
