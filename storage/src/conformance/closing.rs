//! The cases of old records that move to a store of objects.

use super::ClosingBackend;
use super::journal::{commit, open_in, read};
use crate::port::journal::{Class, Closed, Journal, Record, Unit};
use crate::port::journals::Journals;
use crate::port::objects::{ObjectKey, Objects};
use crate::verify::VerifyReport;

type Case = (&'static str, fn(&dyn ClosingBackend));

const CASES: &[Case] = &[
    (
        "TC-S30 nothing leaves before two snapshots are behind it, nor the newest records",
        nothing_early,
    ),
    (
        "TC-S31 what was moved is read from every place, and its chain is whole",
        read_across,
    ),
    (
        "TC-S32 a reopened journal goes on behind its base, and is moved again",
        reopened,
    ),
    (
        "TC-S33 readers that are under way at a cut come to their end",
        readers_under_way,
    ),
    (
        "TC-S34 records are appended while old ones are stored and cut",
        appended_meanwhile,
    ),
    (
        "TC-S35 what was stored and never cut is moved by the next run",
        never_cut,
    ),
    (
        "TC-S36 a check and a reader name the object that is gone or was changed",
        damaged,
    ),
    (
        "TC-S37 a start needs none of the objects",
        start_without_them,
    ),
];

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn closing_suite<B: ClosingBackend>(make: impl Fn() -> B) {
    run(|_| true, make);
}

/// Runs the cases that look at the objects themselves: for a store of objects that is slow.
#[cfg(test)]
pub(super) fn closing_suite_of_objects<B: ClosingBackend>(make: impl Fn() -> B) {
    let of_objects = ["TC-S31", "TC-S35", "TC-S36"];
    run(
        |name| of_objects.iter().any(|id| name.starts_with(id)),
        make,
    );
}

fn run<B: ClosingBackend>(is_wanted: impl Fn(&str) -> bool, make: impl Fn() -> B) {
    for (name, case) in CASES.iter().filter(|(name, _)| is_wanted(name)) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

const ACCOUNT: &str = "paper";

fn store(backend: &dyn ClosingBackend) -> Box<dyn Journals> {
    backend.open().expect("the store opens")
}

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        kind: (sequence % 7) as u8,
        schema: 1,
        payload: format!("{sequence:0300}").into_bytes(),
    }
}

/// Commits batches of two records.
fn append(journal: &mut dyn Journal, batches: u64) {
    for _ in 0..batches {
        let next = journal.head().sequence + 1;
        let records = vec![record(next), record(next + 1)];
        let unit = Unit {
            class: Class::Order,
            records,
        };
        commit(journal, &[unit]);
    }
}

fn snapshot(journal: &mut dyn Journal) {
    let sequence = journal.head().sequence;
    let stored = journal.snapshot_write(sequence, b"state");
    stored.expect("a snapshot is stored");
}

/// Does the work of moving, up to the cut.
fn stored(journal: &dyn Journal) -> Option<Closed> {
    let job = journal.closing().expect("it can be asked")?;
    // On another thread, as it is done.
    let job = std::thread::spawn(job).join().expect("no panic");
    job.expect("the objects are stored")
}

/// Returns the last record that was moved; 0 when nothing was.
fn moved(journal: &mut dyn Journal) -> u64 {
    let Some(closed) = stored(journal) else {
        return 0;
    };
    journal.cut(closed).expect("it is cut");
    closed.sequence()
}

/// A journal with two snapshots and enough behind them.
fn grown(journal: &mut dyn Journal) {
    for _ in 0..3 {
        append(journal, 20);
        snapshot(journal);
    }
    append(journal, 20);
}

fn whole(journal: &dyn Journal, from: u64) {
    let expected: Vec<Record> = (from.max(1)..=journal.head().sequence)
        .map(record)
        .collect();
    assert_eq!(read(journal, from), expected, "from {from}");
}

fn verified(store: &dyn Journals) -> VerifyReport {
    let mut next = 1;
    let report = store.verify(ACCOUNT, &mut |found| {
        assert_eq!(found.to_record(), record(next));
        next += 1;
    });
    let report = report.expect("it can be read");
    assert_eq!(report.records, next - 1);
    report
}

fn keys(objects: &dyn Objects) -> Vec<ObjectKey> {
    let listed = objects.list("journals/", None, 1_000);
    let listed = listed.expect("it is listed").into_iter();
    listed.map(|info| info.key).collect()
}

fn nothing_early(backend: &dyn ClosingBackend) {
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    append(&mut *journal, 40);
    assert_eq!(moved(&mut *journal), 0, "no snapshot");
    snapshot(&mut *journal);
    assert_eq!(moved(&mut *journal), 0, "one snapshot");
    let covered = journal.head().sequence;
    append(&mut *journal, 40);
    snapshot(&mut *journal);
    let base = moved(&mut *journal);
    assert!(
        base > 0 && base <= covered,
        "by the older of the two: {base}"
    );
    assert_eq!(moved(&mut *journal), 0, "once");
    // Snapshots of everything: the newest records stay all the same.
    for _ in 0..2 {
        append(&mut *journal, 1);
        snapshot(&mut *journal);
    }
    let base = moved(&mut *journal).max(base);
    assert!(base + 10 < journal.head().sequence, "{base}");
    whole(&*journal, 0);
}

fn read_across(backend: &dyn ClosingBackend) {
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    grown(&mut *journal);
    let head = journal.head();
    let base = moved(&mut *journal);
    assert!(base > 20 && base < head.sequence - 10, "{base}");
    assert!(keys(&*backend.objects()).len() > 2);
    for from in [0, 1, 2, 3, base / 2, base - 1, base, base + 1, base + 2] {
        whole(&*journal, from);
    }
    whole(&*journal, head.sequence);
    assert!(read(&*journal, head.sequence + 1).is_empty());
    let report = verified(&*store);
    assert!(report.ok(), "{report:?}");
    assert_eq!((report.records, report.head), (head.sequence, head));
}

fn reopened(backend: &dyn ClosingBackend) {
    let mut base = 0;
    for round in 1..=4 {
        let store = store(backend);
        let mut journal = open_in(&*store, ACCOUNT);
        whole(&*journal, 1);
        grown(&mut *journal);
        let next = moved(&mut *journal);
        assert!(next > base, "round {round}: {next} behind {base}");
        base = next;
        whole(&*journal, 1);
        let report = verified(&*store);
        assert!(report.ok(), "{report:?}");
        assert_eq!(report.head, journal.head());
    }
}

fn readers_under_way(backend: &dyn ClosingBackend) {
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    grown(&mut *journal);
    let ends: Vec<_> = (0..3)
        .map(|_| {
            let last = journal.head().sequence;
            let mut reader = journal.read_from(1).expect("it can be read");
            let first = reader.next().expect("there is one").expect("it is whole");
            assert_eq!(first, record(1));
            // The first reads where nothing was moved, the others objects, up to a base that moves.
            assert!(moved(&mut *journal) > 0);
            append(&mut *journal, 20);
            snapshot(&mut *journal);
            append(&mut *journal, 20);
            snapshot(&mut *journal);
            (last, reader)
        })
        .collect();
    moved(&mut *journal);
    for (last, reader) in ends {
        let rest: Vec<Record> = reader.map(|item| item.expect("it is whole")).collect();
        assert_eq!(rest, (2..=last).map(record).collect::<Vec<_>>());
    }
}

fn appended_meanwhile(backend: &dyn ClosingBackend) {
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    grown(&mut *journal);
    let job = journal.closing().expect("it can be asked");
    let job = std::thread::spawn(job.expect("there is something"));
    append(&mut *journal, 30);
    let closed = job.join().expect("no panic").expect("they are stored");
    append(&mut *journal, 5);
    let closed = closed.expect("there is something");
    journal.cut(closed).expect("it is cut");
    append(&mut *journal, 30);
    whole(&*journal, 0);
    let report = verified(&*store);
    assert!(report.ok(), "{report:?}");
}

fn never_cut(backend: &dyn ClosingBackend) {
    let before = {
        let store = store(backend);
        let mut journal = open_in(&*store, ACCOUNT);
        grown(&mut *journal);
        stored(&*journal).expect("there is something").sequence()
    };
    let left = keys(&*backend.objects());
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    whole(&*journal, 0);
    assert!(verified(&*store).ok());
    assert_eq!(moved(&mut *journal), before);
    assert_eq!(keys(&*backend.objects()), left, "the same segments");
    whole(&*journal, 0);
    assert!(verified(&*store).ok());
}

fn damaged(backend: &dyn ClosingBackend) {
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    grown(&mut *journal);
    let base = moved(&mut *journal);
    let objects = backend.objects();
    let keys = keys(&*objects);
    type Change = fn(&mut Vec<u8>) -> bool;
    let changes: [(&str, Change); 4] = [
        ("gone", |_| false),
        ("changed", |bytes| {
            bytes[200] ^= 1;
            true
        }),
        ("cut", |bytes| {
            bytes.truncate(bytes.len() - 1);
            true
        }),
        ("longer", |bytes| {
            bytes.push(0);
            true
        }),
    ];
    for key in [&keys[0], &keys[keys.len() - 1]] {
        let content = objects.get(key).expect("it is read").expect("it is there");
        for (what, change) in changes {
            let mut other = content.clone();
            if change(&mut other) {
                objects.put(key, &mut &other[..]).expect("it is replaced");
            } else {
                assert!(objects.delete(key).expect("it is removed"));
            }
            let bad = verified(&*store).first_bad.expect(what);
            assert!(!bad.segment.is_empty());
            assert!(
                key.as_str().ends_with(&bad.segment),
                "{what} {key}: {bad:?}"
            );
            // Behind its last record at most.
            assert!(bad.sequence <= base + 1, "{what} {key}: {bad:?}");
            let records = journal.read_from(1).expect("it can be asked");
            let error = records.last().and_then(Result::err);
            // More than the records that were asked for need not be noticed.
            assert!(
                error.is_some() || what == "longer",
                "{what} {key}: a reader passes over it"
            );
            // What stands behind it is whole.
            whole(&*journal, base + 1);
        }
        objects.put(key, &mut &content[..]).expect("it is put back");
        assert!(verified(&*store).ok());
    }
}

fn start_without_them(backend: &dyn ClosingBackend) {
    let (base, head) = {
        let store = store(backend);
        let mut journal = open_in(&*store, ACCOUNT);
        grown(&mut *journal);
        (moved(&mut *journal), journal.head())
    };
    let objects = backend.objects();
    for key in keys(&*objects) {
        assert!(objects.delete(&key).expect("it is removed"));
    }
    let store = store(backend);
    let mut journal = open_in(&*store, ACCOUNT);
    assert_eq!(journal.head(), head);
    let newest = journal.snapshot_latest().expect("it is read");
    let newest = newest.expect("there are two").sequence;
    assert!(newest > base);
    whole(&*journal, newest + 1);
    append(&mut *journal, 1);
    let bad = verified(&*store).first_bad.expect("they are gone");
    assert!(bad.reason.contains("is missing"), "{bad:?}");
}
