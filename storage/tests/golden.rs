//! Files written by format version 1 load for ever, and today's build writes the same bytes.
//!
//! `APEX_WRITE_GOLDEN=1 cargo test -p apex-storage --test golden` writes `testdata/v1` anew; do that
//! only for a new format version, in a folder of its own beside the old ones.

use std::fs;
use std::path::{Path, PathBuf};

use apex_storage::embedded::Preallocation;
use apex_storage::{
    Class, DataDir, EmbeddedJournal, EmbeddedRecords, Journal, Options, Record, Records, Unit,
    verify,
};

const FILES: [&str; 5] = [
    "journal/paper/00000000000000000001.seg",
    "journal/paper/00000000000000000016.seg",
    "snapshots/paper/00000000000000000006.snap",
    "snapshots/paper/00000000000000000012.snap",
    "records/users.tbl",
];

/// As computed from the files by a second implementation of `frame.rs`, too.
const CHAIN: &str = "8b125287d209a9426f82d97485ccea5aaf975031d01029b0675b4403abbfb20c";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1")
}

fn options() -> Options {
    Options {
        segment_bytes: 4096,
        reserve_bytes: 4096,
        preallocation: Preallocation::Inline,
        ..Options::default()
    }
}

fn record(sequence: u64) -> Record {
    let byte = |index: u64| (sequence * 31 + index * 7) as u8;
    Record {
        sequence,
        kind: (sequence % 6) as u8,
        schema: 1 + (sequence / 10) as u16,
        payload: (0..sequence * 37 % 400).map(byte).collect(),
    }
}

const LAST: u64 = 20;

/// Units of one record each, per commit; together `LAST`.
const BATCHES: [u64; 10] = [1, 2, 3, 1, 2, 3, 1, 2, 3, 2];

/// Writes the golden content.
fn write(root: &Path) {
    let dir = DataDir::open(root).expect("a free folder");
    let mut journal = EmbeddedJournal::open(&dir, "paper", options()).expect("an empty journal");
    let mut last = 0;
    for batch in BATCHES {
        let records = (last + 1..=last + batch).map(record);
        let units = records.map(|record| Unit {
            class: Class::Order,
            records: vec![record],
        });
        journal
            .append(&units.collect::<Vec<_>>())
            .expect("there is space");
        journal.commit().expect("the disk works");
        last += batch;
        if last == 6 || last == 12 {
            let state = format!("state after {last}");
            journal
                .snapshot_write(last, state.as_bytes())
                .expect("the disk works");
        }
    }
    let records = EmbeddedRecords::open(&dir).expect("an empty store");
    records
        .put("users", "ann", b"trader")
        .expect("the disk works");
    records
        .put("users", "bob", b"viewer")
        .expect("the disk works");
    records
        .put("users", "ann", b"admin")
        .expect("the disk works");
    records.delete("users", "bob").expect("the disk works");
}

fn copy(from: &Path, to: &Path) {
    for file in FILES {
        let target = to.join(file);
        fs::create_dir_all(target.parent().expect("a folder")).expect("a writable folder");
        fs::copy(from.join(file), target).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
fn files_of_version_1_load() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&golden(), folder.path());
    let mut seen = Vec::new();
    let report = verify(folder.path(), "paper", &mut |record| {
        seen.push(record.to_record())
    });
    let report = report.expect("the journal can be read");
    assert!(report.ok() && report.torn_tail_bytes == 0, "{report:?}");
    assert_eq!(
        (report.records, report.frames),
        (LAST, BATCHES.len() as u64)
    );
    assert_eq!(report.head.chain.to_string(), CHAIN);
    let expected: Vec<_> = (1..=LAST).map(record).collect();
    assert_eq!(seen, expected);

    let dir = DataDir::open(folder.path()).expect("a free folder");
    let mut journal = EmbeddedJournal::open(&dir, "paper", options()).expect("a sound journal");
    let read = journal
        .read_from(1)
        .expect("readable")
        .map(|item| item.expect("a record"));
    assert_eq!(read.collect::<Vec<_>>(), expected);
    let snapshot = journal
        .snapshot_latest()
        .expect("readable")
        .expect("there are two");
    assert_eq!(
        (snapshot.sequence, snapshot.bytes),
        (12, b"state after 12".to_vec())
    );
    let unit = Unit {
        class: Class::Order,
        records: vec![record(LAST + 1)],
    };
    journal.append(&[unit]).expect("it goes on");
    journal.commit().expect("the disk works");

    let records = EmbeddedRecords::open(&dir).expect("a sound store");
    let users = records.list("users").expect("the table can be read");
    assert_eq!(users, [("ann".to_owned(), b"admin".to_vec())]);
}

#[test]
fn the_same_records_still_make_the_same_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    if std::env::var_os("APEX_WRITE_GOLDEN").is_some() {
        copy(folder.path(), &golden());
    }
    for file in FILES {
        let made = fs::read(folder.path().join(file)).expect("the file was made");
        let kept = fs::read(golden().join(file)).expect("the golden file is there");
        assert!(made == kept, "{file} differs");
    }
}
