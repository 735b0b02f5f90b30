//! Faults under the records store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::EmbeddedRecords;
use crate::StorageError;
use crate::disk::{Crash, SimDisk};
use crate::embedded::DataDir;
use crate::port::records::{Change, Records};

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

type Tables = [Rows; 2];

fn both(records: &EmbeddedRecords) -> Tables {
    ["left", "right"].map(|table| {
        let listed = records.list(table).expect("the table can be read");
        listed.into_iter().collect()
    })
}

/// Changes keys of two tables until something fails. Returns what was acknowledged, and the same
/// with the change that failed.
fn work_on_both(disk: &SimDisk, changes: u32) -> (Tables, Tables) {
    let mut acknowledged = Tables::default();
    let Ok(records) = open(disk) else {
        return (acknowledged.clone(), acknowledged);
    };
    for change in 0..changes {
        let key = format!("key {}", change % 2);
        let value = vec![1 + (change % 200) as u8; 9_000];
        let mut next = acknowledged.clone();
        // Now one table, now both; now a value, now none; now alone, now several.
        let is_put = change % 5 != 4;
        let tables = if change % 3 == 2 { 1 } else { 2 };
        let mut wanted = Vec::new();
        for (rows, table) in next.iter_mut().zip(["left", "right"]).take(tables) {
            for key in [&key, "other"] {
                if is_put {
                    rows.insert(key.to_owned(), value.clone());
                    wanted.push(Change::put(table, key, value.clone()));
                } else {
                    rows.remove(key);
                    wanted.push(Change::delete(table, key));
                }
            }
        }
        if records.change(&wanted).is_err() {
            return (acknowledged, next);
        }
        acknowledged = next;
    }
    (acknowledged.clone(), acknowledged)
}

const CRASHES: [Crash; 7] = [
    Crash::KeepAll,
    Crash::LoseUnsynced,
    Crash::KeepPrefix(1),
    Crash::KeepPrefix(30),
    Crash::KeepPrefix(9_000),
    Crash::KeepSectors(0x5555_5555_5555_5555),
    Crash::KeepSectors(0xAAAA_AAAA_AAAA_AAAA),
];

#[test]
fn a_power_cut_at_any_operation_leaves_changes_of_two_tables_made_or_not() {
    let mut halves = 0;
    for operations in 0.. {
        let disk = SimDisk::new();
        disk.cut_power_after(operations);
        let (acknowledged, attempted) = work_on_both(&disk, 14);
        for crash in CRASHES {
            let left = disk.crash(crash);
            let records = open(&left).expect("a crash is no damage");
            let found = both(&records);
            let case = format!("{operations} operations, {crash:?}");
            assert!(found == acknowledged || found == attempted, "{case}");
            halves += u32::from(found == acknowledged && found != attempted);
            let more = [
                Change::insert("left", "after", b"goes on"),
                Change::insert("right", "after", b"goes on"),
            ];
            records.change(&more).expect("the disk works");
            drop(records);
            let again = both(&open(&left.crash(Crash::LoseUnsynced)).expect("no damage"));
            let lengths = again.map(|rows| rows.len());
            assert_eq!(lengths, found.map(|rows| rows.len() + 1), "{case}");
        }
        if acknowledged == attempted && disk.writes_and_syncs().1 > 14 {
            assert!(operations > 40 && halves > 40, "the power never went");
            break;
        }
    }
}

#[test]
fn a_full_disk_refuses_changes_of_two_tables_as_a_whole() {
    let disk = SimDisk::new();
    let records = open(&disk).expect("an empty disk");
    let change = |value: u8| {
        ["left", "middle", "right"].map(|table| Change::put(table, "a", vec![value; 100]))
    };
    records.change(&change(1)).expect("there is space");
    let used = disk.used_bytes();
    let mut refused = 0;
    // Space for none of them, one, two, and for all but the note that they are made.
    for more in (0..).step_by(20) {
        disk.set_capacity(Some(used + more));
        let outcome = records.change(&change(2));
        let is_full = matches!(outcome, Err(StorageError::Full { .. }));
        assert!(is_full || outcome.is_ok(), "{outcome:?}");
        let expected = if is_full { 1 } else { 2 };
        let check = |records: &EmbeddedRecords| {
            for table in ["left", "middle", "right"] {
                let found = records.get(table, "a").expect("reads go on");
                assert_eq!(found, Some(vec![expected; 100]), "{more} bytes: {table}");
            }
        };
        check(&records);
        for crash in CRASHES {
            check(&open(&disk.crash(crash)).expect("no damage"));
        }
        if !is_full {
            break;
        }
        refused += 1;
    }
    assert!(refused > 20, "{refused} times");
}

#[test]
fn a_change_of_two_tables_whose_sync_failed_is_never_answered() {
    for (file, is_made) in [
        ("left.tbl", false),
        ("right.tbl", false),
        ("zz_changes.log", true),
    ] {
        let disk = SimDisk::new();
        let records = open(&disk).expect("an empty disk");
        let change = |value: &str| ["left", "right"].map(|it| Change::put(it, "a", value));
        records.change(&change("1")).expect("the disk works");
        drop(records);
        // Opened anew, each file has the name that it is known by.
        let records = open(&disk).expect("no damage");
        disk.fail_sync_after(0, file);
        let failed = records.change(&change("2")).expect_err("the sync failed");
        assert!(
            matches!(failed, StorageError::FsyncFailed { .. }),
            "{failed}"
        );
        let again = records.change(&change("3")).expect_err("never retried");
        assert!(again.must_abort(), "{again}");
        let left = open(&disk.crash(Crash::KeepAll)).expect("no damage");
        let value = if is_made { b"2" } else { b"1" };
        for table in ["left", "right"] {
            let found = left.get(table, "a").expect("it can be read");
            // A failed sync may have reached the disk or not, but in both tables alike.
            assert!(
                found.as_deref() == Some(b"1") || found.as_deref() == Some(value),
                "{file}"
            );
        }
        assert_eq!(
            left.get("left", "a").ok(),
            left.get("right", "a").ok(),
            "{file}"
        );
    }
}

#[test]
fn tables_without_groups_stay_readable_for_an_older_build() {
    let disk = SimDisk::new();
    let records = open(&disk).expect("an empty disk");
    records.put("keys", "a", b"1").expect("the disk works");
    records
        .change(&[Change::insert("keys", "b", b"2")])
        .expect("the disk works");
    let content = disk.content(&table()).expect("a table");
    assert_eq!(content[..8], *b"AXRT\x01\0\0\0");
    let two = [Change::delete("keys", "a"), Change::delete("keys", "b")];
    records.change(&two).expect("the disk works");
    let content = disk.content(&table()).expect("a table");
    assert_eq!(content[..8], *b"AXRT\x02\0\0\0");
    drop(records);
    // As an older build left it, with a byte that it does not know.
    let mut newer = content;
    newer[4] = 3;
    disk.set_content(&table(), newer);
    let error = open(&disk).expect("read later").get("keys", "a");
    assert!(
        matches!(
            error,
            Err(StorageError::NewerVersion {
                found: 3,
                supported: 2,
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn a_flipped_bit_in_a_group_or_its_note_is_refused() {
    let disk = SimDisk::new();
    let records = open(&disk).expect("an empty disk");
    for value in ["1", "2"] {
        let two = ["keys", "other"].map(|table| Change::put(table, "a", value));
        records.change(&two).expect("the disk works");
    }
    drop(records);
    for path in [table(), PathBuf::from("/data/records/zz_changes.log")] {
        let content = disk.content(&path).expect("it is there");
        for at in 0..content.len() {
            let copy = disk.crash(Crash::KeepAll);
            let mut changed = content.clone();
            changed[at] ^= 1 << (at % 8);
            copy.set_content(&path, changed.clone());
            let error = open(&copy).expect("read later").get("keys", "a");
            let is_refused = matches!(
                error,
                Err(StorageError::Damaged { .. } | StorageError::NewerVersion { .. })
            );
            assert!(is_refused, "{} at {at}: {error:?}", path.display());
            assert_eq!(copy.content(&path), Some(changed), "{at}: it was changed");
        }
    }
}

#[test]
fn a_folder_that_is_in_use_shows_what_was_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("data");
    let dir = DataDir::open(&root).expect("a free folder");
    let records = EmbeddedRecords::open(&dir).expect("an empty store");
    for value in ["1", "2"] {
        let two = ["left", "right"].map(|table| Change::put(table, "a", value));
        records.change(&two).expect("the disk works");
        for table in ["left", "right"] {
            let seen = crate::read_record(&root, table, "a").expect("it can be read");
            assert_eq!(seen.as_deref(), Some(value.as_bytes()));
        }
    }
    // Without the note the last one was never made.
    std::fs::copy(root.join("records/left.tbl"), root.join("records/copy.tbl"))
        .expect("it can be copied");
    let seen = crate::read_record(&root, "copy", "a");
    assert!(
        matches!(seen, Err(StorageError::Damaged { .. })),
        "{seen:?}"
    );
}
