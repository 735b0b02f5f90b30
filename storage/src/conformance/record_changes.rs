//! The cases of changes of records that are made together.

use super::RecordsBackend;
use super::records::{Case, get, open, put};
use crate::StorageError;
use crate::port::records::{Change, MAX_CHANGES, MAX_CHANGES_BYTES, MAX_VALUE_BYTES, Records};
use std::thread;

pub(super) const CASES: &[Case] = &[
    (
        "TC-R07 changes of several keys and tables are made together",
        together,
    ),
    (
        "TC-R08 one that does not find what it expects is named, and none is made",
        conflicts,
    ),
    ("TC-R09 a key is guarded without being changed", guarded),
    (
        "TC-R10 of eight threads that insert a key one wins",
        one_wins,
    ),
    (
        "TC-R11 eight threads that compare and set count to a thousand",
        counted,
    ),
    (
        "TC-R12 eight threads that move amounts between tables lose nothing",
        moved,
    ),
    (
        "TC-R13 a key is any text, never a part of a statement",
        any_text,
    ),
    ("TC-R14 changes out of range are refused", refused),
];

fn is_conflict(outcome: &Result<(), StorageError>, table: &str, key: &str) -> bool {
    matches!(outcome, Err(StorageError::Conflict { table: found, key: at })
        if found == table && at == key)
}

fn together(backend: &dyn RecordsBackend) {
    let records = open(backend);
    records.change(&[]).expect("nothing to do is no error");
    put(&*records, "jobs", "old", b"1");
    let changes = [
        Change::insert("jobs", "a", b"one"),
        Change::insert("firings", "a", b"two"),
        Change::put("jobs", "b", b""),
        Change::remove("jobs", "old", b"1"),
        Change::delete("firings", "nothing"),
    ];
    records.change(&changes).expect("all hold");
    let check = |records: &dyn Records| {
        assert_eq!(get(records, "jobs", "a").as_deref(), Some(&b"one"[..]));
        assert_eq!(get(records, "firings", "a").as_deref(), Some(&b"two"[..]));
        assert_eq!(get(records, "jobs", "b").as_deref(), Some(&b""[..]));
        assert_eq!(get(records, "jobs", "old"), None);
        assert_eq!(get(records, "firings", "nothing"), None);
    };
    check(&*records);
    drop(records);
    let records = open(backend);
    check(&*records);
    let again = [
        Change::replace("jobs", "a", b"one", b"three"),
        Change::replace("firings", "a", b"two", b"four"),
    ];
    records.change(&again).expect("all hold");
    put(&*records, "jobs", "c", b"later");
    drop(records);
    let records = open(backend);
    assert_eq!(get(&*records, "jobs", "a").as_deref(), Some(&b"three"[..]));
    assert_eq!(
        get(&*records, "firings", "a").as_deref(),
        Some(&b"four"[..])
    );
    assert_eq!(get(&*records, "jobs", "c").as_deref(), Some(&b"later"[..]));
}

fn conflicts(backend: &dyn RecordsBackend) {
    let records = open(backend);
    put(&*records, "jobs", "a", b"one");
    put(&*records, "jobs", "b", b"");
    let before = records.list("jobs").expect("it can be read");
    let good = Change::put("jobs", "c", b"new");
    let bad = [
        Change::insert("jobs", "a", b"other"),
        Change::insert("jobs", "b", b"other"),
        Change::replace("jobs", "a", b"on", b"other"),
        Change::replace("jobs", "a", b"", b"other"),
        Change::replace("jobs", "b", b"one", b"other"),
        Change::replace("jobs", "missing", b"", b"other"),
        Change::remove("jobs", "a", b"ONE"),
        Change::remove("jobs", "missing", b"one"),
        Change::unchanged("jobs", "missing", b""),
        Change::absent("jobs", "a"),
    ];
    for change in bad {
        let other = Change::insert("firings", "x", b"new");
        let key = change.key.clone();
        for changes in [
            vec![change.clone()],
            vec![good.clone(), change.clone(), other.clone()],
            vec![
                other,
                change.clone(),
                Change::absent("jobs", "other"),
                good.clone(),
            ],
        ] {
            let outcome = records.change(&changes);
            assert!(
                is_conflict(&outcome, "jobs", &key),
                "{change:?}: {outcome:?}"
            );
        }
    }
    let first = records.change(&[
        Change::insert("jobs", "b", b"1"),
        Change::insert("jobs", "a", b"1"),
    ]);
    assert!(
        is_conflict(&first, "jobs", "b"),
        "the first given: {first:?}"
    );
    assert_eq!(records.list("jobs").expect("it can be read"), before);
    assert_eq!(records.list("firings").expect("it can be read"), []);
}

fn guarded(backend: &dyn RecordsBackend) {
    let records = open(backend);
    put(&*records, "assignments", "a", b"epoch 1");
    let as_epoch = |epoch: &str, value: &str| {
        records.change(&[
            Change::unchanged("assignments", "a", epoch),
            Change::absent("assignments", "stopped"),
            Change::put("states", "a", value),
        ])
    };
    as_epoch("epoch 1", "mine").expect("it holds");
    put(&*records, "assignments", "a", b"epoch 2");
    let outcome = as_epoch("epoch 1", "stale");
    assert!(is_conflict(&outcome, "assignments", "a"), "{outcome:?}");
    as_epoch("epoch 2", "theirs").expect("it holds");
    put(&*records, "assignments", "stopped", b"");
    let outcome = as_epoch("epoch 2", "stale");
    assert!(
        is_conflict(&outcome, "assignments", "stopped"),
        "{outcome:?}"
    );
    assert_eq!(
        get(&*records, "states", "a").as_deref(),
        Some(&b"theirs"[..])
    );
    assert_eq!(
        get(&*records, "assignments", "a").as_deref(),
        Some(&b"epoch 2"[..])
    );
}

const THREADS: u64 = 8;

pub(super) fn in_threads<T: Send>(
    records: &dyn Records,
    work: impl Fn(&dyn Records, u64) -> T + Sync,
) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || work(records, number)))
            .collect();
        let done = threads.into_iter().map(thread::ScopedJoinHandle::join);
        done.map(|outcome| outcome.expect("no thread panics"))
            .collect()
    })
}

fn one_wins(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for round in 0..20 {
        let key = format!("firing {round}");
        let won = in_threads(&*records, |records, number| {
            let outcome = records.change(&[
                Change::insert("firings", &key, number.to_string()),
                Change::insert("jobs", &format!("{key} by {number}"), b""),
            ]);
            assert!(
                outcome.is_ok() || is_conflict(&outcome, "firings", &key),
                "{outcome:?}"
            );
            outcome.is_ok()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    }
    assert_eq!(records.list("firings").expect("it can be read").len(), 20);
    assert_eq!(records.list("jobs").expect("it can be read").len(), 20);
}

fn number(value: Option<&[u8]>) -> u64 {
    let text = value.map(String::from_utf8_lossy);
    text.map_or(0, |text| text.parse().expect("a number of ours"))
}

fn counted(backend: &dyn RecordsBackend) {
    let records = open(backend);
    put(&*records, "counters", "n", b"0");
    in_threads(&*records, |records, _| {
        let mut done = 0;
        while done < 1_000 / THREADS {
            let found = get(records, "counters", "n").expect("it is there");
            let next = number(Some(&found)) + 1;
            let change = Change::replace("counters", "n", found, next.to_string());
            match records.change(&[change]) {
                Ok(()) => done += 1,
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_eq!(number(get(&*records, "counters", "n").as_deref()), 1_000);
}

fn moved(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let places = [("left", "a"), ("right", "a"), ("left", "b"), ("right", "b")];
    for (table, key) in places {
        put(&*records, table, key, b"100");
    }
    in_threads(&*records, |records, thread| {
        for step in 0..15 {
            // Both ways round, so that locks taken in the order given would meet crosswise.
            let from = places[((thread + step) % 4) as usize];
            let to = places[((thread * 3 + step + 1 + thread % 3) % 4) as usize];
            if from == to {
                continue;
            }
            let found = get(records, from.0, from.1).expect("it is there");
            let target = get(records, to.0, to.1).expect("it is there");
            let Some(less) = number(Some(&found)).checked_sub(1) else {
                continue;
            };
            let more = number(Some(&target)) + 1;
            match records.change(&[
                Change::replace(from.0, from.1, found, less.to_string()),
                Change::replace(to.0, to.1, target, more.to_string()),
            ]) {
                Ok(()) | Err(StorageError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let left = places.map(|(table, key)| number(get(&*records, table, key).as_deref()));
    assert_eq!(left.iter().sum::<u64>(), 400, "{left:?}");
    drop(records);
    let records = open(backend);
    let again = places.map(|(table, key)| number(get(&*records, table, key).as_deref()));
    assert_eq!(again, left);
}

fn any_text(backend: &dyn RecordsBackend) {
    let records = open(backend);
    put(&*records, "record", "other", b"stays");
    let keys = [
        "'; DROP TABLE record; --",
        "a\0b",
        "\0",
        "$1 \\ \" %s {}",
        "{a,b}",
        "NULL",
        "\u{feff}\u{202e}\u{e4}",
        " ",
    ];
    for key in keys {
        let value = [key.as_bytes(), &[0, 255]].concat();
        records
            .change(&[Change::insert("record", key, value.clone())])
            .expect("any key is stored");
        let outcome = records.change(&[Change::insert("record", key, b"again")]);
        assert!(is_conflict(&outcome, "record", key), "{key:?}: {outcome:?}");
        assert_eq!(
            get(&*records, "record", key),
            Some(value.clone()),
            "{key:?}"
        );
        records
            .change(&[Change::remove("record", key, value)])
            .expect("it is what it was");
        assert_eq!(get(&*records, "record", key), None, "{key:?}");
    }
    assert_eq!(
        get(&*records, "record", "other").as_deref(),
        Some(&b"stays"[..])
    );
}

fn refused(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let good = Change::put("jobs", "good", b"");
    let refuse = |change: Change| {
        let outcome = records.change(&[good.clone(), change]);
        outcome.expect_err("it is out of range")
    };
    for (table, key) in [
        ("No", "key"),
        ("", "key"),
        ("jobs", ""),
        ("jobs", &"k".repeat(257)),
    ] {
        let error = refuse(Change::put(table, key, b""));
        assert!(matches!(error, StorageError::BadName { .. }), "{error}");
    }
    let large = vec![1; MAX_VALUE_BYTES + 1];
    for change in [
        Change::put("jobs", "a", large.clone()),
        Change::unchanged("jobs", "a", large),
    ] {
        let error = refuse(change);
        assert!(matches!(error, StorageError::TooLarge { .. }), "{error}");
    }
    let error = refuse(Change::absent("jobs", "good"));
    assert!(
        matches!(&error, StorageError::SameKeyTwice { key, .. } if key == "good"),
        "{error}"
    );
    let many = |count: usize, bytes: usize| -> Vec<Change> {
        let put = |at: usize| Change::put("jobs", &at.to_string(), vec![2; bytes]);
        (0..count).map(put).collect()
    };
    let error = records
        .change(&many(MAX_CHANGES + 1, 1))
        .expect_err("too many");
    assert!(
        matches!(error, StorageError::TooManyChanges { .. }),
        "{error}"
    );
    let error = records.change(&many(5, MAX_CHANGES_BYTES / 5 + 1));
    let error = error.expect_err("too large");
    assert!(matches!(error, StorageError::TooLarge { .. }), "{error}");
    assert_eq!(records.list("jobs").expect("it can be read"), []);
    let largest = MAX_CHANGES_BYTES / MAX_CHANGES - "jobs".len() - 2;
    records
        .change(&many(MAX_CHANGES, largest))
        .expect("just within");
    drop(records);
    let records = open(backend);
    assert_eq!(
        records.list("jobs").expect("it can be read").len(),
        MAX_CHANGES
    );
}
