//! The cases of the journals port: what a store of many accounts has to show.

use super::JournalsBackend;
use crate::StorageError;
use crate::port::journal::{Class, Journal, Record, Unit};
use crate::port::journals::Journals;

type Case = (&'static str, fn(&dyn JournalsBackend));

const CASES: &[Case] = &[
    ("TC-S20 an empty store has no accounts", empty),
    (
        "TC-S21 accounts are listed in order, each with its own journal",
        listed,
    ),
    ("TC-S22 an account has one writer at a time", one_writer),
    (
        "TC-S23 a check shows every record in order, also while it is written",
        checked,
    ),
    (
        "TC-S24 what no account can be called is refused and leaves nothing",
        refused,
    ),
    ("TC-S25 an unknown account cannot be checked", unknown),
];

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn journals_suite<B: JournalsBackend>(make: impl Fn() -> B) {
    for (name, case) in CASES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

fn store(backend: &dyn JournalsBackend) -> Box<dyn Journals> {
    backend.open().expect("the store opens")
}

fn journal(store: &dyn Journals, account_id: &str) -> Box<dyn Journal> {
    store.open(account_id).expect("the journal opens")
}

fn commit(journal: &mut dyn Journal, sequence: u64, payload: &str) {
    let record = Record {
        sequence,
        kind: 1,
        schema: 2,
        payload: payload.as_bytes().to_vec(),
    };
    let unit = Unit {
        class: Class::Order,
        records: vec![record],
    };
    journal.append(&[unit]).expect("it is staged");
    journal.commit().expect("it is durable");
}

/// The payloads that a check shows, with what it says at the end.
fn shown(store: &dyn Journals, account_id: &str) -> (Vec<String>, u64) {
    let mut payloads = Vec::new();
    let report = store.verify(account_id, &mut |record| {
        payloads.push(String::from_utf8(record.payload.to_vec()).expect("text"));
    });
    let report = report.expect("it can be read");
    assert!(report.ok(), "{report:?}");
    assert_eq!(report.records, payloads.len() as u64);
    (payloads, report.head.sequence)
}

fn empty(backend: &dyn JournalsBackend) {
    let accounts = store(backend).accounts().expect("it is read");
    assert_eq!(accounts, Vec::<String>::new());
}

fn listed(backend: &dyn JournalsBackend) {
    let store = store(backend);
    for id in ["b", "a", "C", "a.1"] {
        commit(&mut *journal(&*store, id), 1, id);
    }
    assert_eq!(
        store.accounts().expect("it is read"),
        ["C", "a", "a.1", "b"]
    );
    for id in ["C", "a", "a.1", "b"] {
        assert_eq!(shown(&*store, id), (vec![id.to_owned()], 1));
    }
}

fn one_writer(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let first = journal(&*store, "a");
    let second = store.open("a").err().expect("it is in use");
    assert!(matches!(second, StorageError::Locked { .. }), "{second}");
    drop(journal(&*store, "b"));
    drop(first);
    commit(&mut *journal(&*store, "a"), 1, "again");
}

fn checked(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let mut writer = journal(&*store, "a");
    let mut expected = Vec::new();
    for sequence in 1..=20 {
        let payload = format!("event {sequence}");
        commit(&mut *writer, sequence, &payload);
        expected.push(payload);
        assert_eq!(shown(&*store, "a"), (expected.clone(), sequence));
    }
    let mut chain = None;
    let report = store.verify("a", &mut |_| chain = Some(())).expect("read");
    assert_eq!((chain, report.head), (Some(()), writer.head()));
}

fn refused(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let long = "x".repeat(65);
    for id in ["", "../a", "a/b", "a\0", "a b", "ä", &long] {
        let refused = store.open(id).err().expect("no account is called that");
        assert!(matches!(refused, StorageError::BadName { .. }), "{refused}");
        let refused = store.verify(id, &mut |_| {}).expect_err("nor checked");
        assert!(matches!(refused, StorageError::BadName { .. }), "{refused}");
    }
    assert_eq!(store.accounts().expect("it is read"), Vec::<String>::new());
}

fn unknown(backend: &dyn JournalsBackend) {
    let store = store(backend);
    let outcome = store.verify("nobody", &mut |_| panic!("there is no record"));
    let error = outcome.expect_err("there is no journal");
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
}
