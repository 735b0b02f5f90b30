//! The cases of the audit: what its journal and its checkpoints have to show on every backend.

use super::JournalsBackend;
use crate::audit::{AuditLog, AuditReport, Checkpoint, Checkpoints, Link, check, put_checkpoint};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::{FolderObjects, StorageError};

type Case = (&'static str, fn(&dyn JournalsBackend));

const CASES: &[Case] = &[
    ("TC-S90 an audit is no account", no_account),
    ("TC-S91 the chain goes on behind a reopening", goes_on),
    ("TC-S92 an audit has one writer at a time", one_writer),
    (
        "TC-S93 what was not committed is not there, and is written again",
        uncommitted,
    ),
    ("TC-S94 checkpoints of its head agree", agrees),
    ("TC-S95 an end that was cut off is named", cut_off),
    (
        "TC-S96 a history that was rewritten is named between two checkpoints",
        rewritten,
    ),
    ("TC-S97 an audit that is gone is named", gone),
];

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn audit_suite<B: JournalsBackend>(make: impl Fn() -> B) {
    for (name, case) in CASES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

fn store(backend: &dyn JournalsBackend) -> Box<dyn Journals> {
    backend.open().expect("the store opens")
}

fn log(store: &dyn Journals) -> AuditLog {
    AuditLog::open(store).expect("the audit opens")
}

fn write(log: &mut AuditLog, contents: &[&str]) {
    for content in contents {
        log.append(content.as_bytes()).expect("it is staged");
        log.commit().expect("it is durable");
    }
}

fn checkpoint(log: &AuditLog) -> Checkpoint {
    log.checkpoint().expect("it has records")
}

struct Place {
    objects: FolderObjects,
    _folder: tempfile::TempDir,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    Place {
        objects: FolderObjects::open(folder.path()).expect("it opens"),
        _folder: folder,
    }
}

impl Place {
    fn put(&self, checkpoint: &Checkpoint) {
        put_checkpoint(&self.objects, checkpoint, 1).expect("it is stored");
    }

    fn check(&self, store: &dyn Journals, expected_id: Option<&str>) -> AuditReport {
        check(
            expected_id,
            |each| store.verify(AUDIT_JOURNAL, each),
            |id| Checkpoints::of(&self.objects, id),
        )
        .expect("it can be read")
    }
}

/// The place of the first bad record, and why it is one.
fn bad(report: &AuditReport) -> (u64, &str) {
    let bad = report.first_bad.as_ref().expect("something is bad");
    (bad.sequence, &bad.reason)
}

fn no_account(backend: &dyn JournalsBackend) {
    let store = store(backend);
    write(&mut log(&*store), &["one"]);
    let accounts = store.accounts().expect("it is read");
    assert_eq!(accounts, Vec::<String>::new());
}

fn goes_on(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let mut first = log(&*store);
    assert!(first.checkpoint().is_none(), "it is empty");
    write(&mut first, &["one", "two"]);
    let before = checkpoint(&first);
    drop(first);
    let mut second = log(&*store);
    assert_eq!(checkpoint(&second), before);
    write(&mut second, &["three", ""]);
    let report = place().check(&*store, Some(&before.audit_id));
    assert_eq!((report.records, &report.first_bad), (4, &None));
    assert_eq!(report.link, checkpoint(&second).link);
    assert_eq!(report.unseen(), 4);
    let contents = second.read_from(2).expect("it is read").map(|record| {
        let record = record.expect("a whole record");
        let content = crate::audit::content(&record).expect("it has a link");
        String::from_utf8(content.to_vec()).expect("text")
    });
    assert_eq!(contents.collect::<Vec<_>>(), ["two", "three", ""]);
}

fn one_writer(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let first = log(&*store);
    let second = AuditLog::open(&*store).expect_err("it is in use");
    assert!(matches!(second, StorageError::Locked { .. }), "{second}");
    drop(first);
    write(&mut log(&*store), &["one"]);
}

fn uncommitted(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let mut first = log(&*store);
    write(&mut first, &["one"]);
    first.append(b"lost").expect("it is staged");
    assert_eq!(checkpoint(&first).sequence, 1);
    drop(first);
    let mut second = log(&*store);
    write(&mut second, &["two"]);
    let report = place().check(&*store, None);
    assert_eq!((report.records, report.first_bad), (2, None));
}

fn agrees(backend: &dyn JournalsBackend) {
    let (store, place) = (store(backend), place());
    let mut log = log(&*store);
    for contents in [&["one"][..], &["two", "three"], &["four"]] {
        write(&mut log, contents);
        place.put(&checkpoint(&log));
    }
    write(&mut log, &["five"]);
    for expected_id in [None, Some(checkpoint(&log).audit_id.as_str())] {
        let report = place.check(&*store, expected_id);
        assert_eq!(report.first_bad, None);
        assert_eq!((report.checkpoints, report.last_checkpoint), (3, 4));
        assert_eq!((report.records, report.unseen()), (5, 1));
    }
}

fn cut_off(backend: &dyn JournalsBackend) {
    let (store, place) = (store(backend), place());
    let mut log = log(&*store);
    write(&mut log, &["one", "two"]);
    let sequence = 7;
    place.put(&Checkpoint {
        sequence,
        ..checkpoint(&log)
    });
    let report = place.check(&*store, None);
    let (at, why) = bad(&report);
    assert_eq!(at, 3);
    assert!(why.contains("ends with record 2"), "{why}");
}

fn rewritten(backend: &dyn JournalsBackend) {
    let (store, place) = (store(backend), place());
    let mut log = log(&*store);
    write(&mut log, &["one", "two"]);
    place.put(&checkpoint(&log));
    write(&mut log, &["three", "four"]);
    let link = Link([7; 32]);
    place.put(&Checkpoint {
        link,
        ..checkpoint(&log)
    });
    let report = place.check(&*store, None);
    let (at, why) = bad(&report);
    assert_eq!(at, 3);
    assert!(why.contains("a record from 3 to 4 was rewritten"), "{why}");
}

fn gone(backend: &dyn JournalsBackend) {
    let (store, place) = (store(backend), place());
    let report = place.check(&*store, None);
    assert_eq!((report.records, report.first_bad), (0, None));
    let report = place.check(&*store, Some("0123456789abcdef"));
    assert_eq!(bad(&report).0, 1);
    write(&mut log(&*store), &["begun anew"]);
    let report = place.check(&*store, Some("0123456789abcdef"));
    let (at, why) = bad(&report);
    assert_eq!(at, 1);
    assert!(why.contains("this store's is 0123456789abcdef"), "{why}");
}
