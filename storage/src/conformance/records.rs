//! The cases of the records port.

use super::RecordsBackend;
use crate::StorageError;
use crate::port::records::{MAX_VALUE_BYTES, Page, Records};

pub(super) type Case = (&'static str, fn(&dyn RecordsBackend));

const CASES: &[Case] = &[
    ("TC-R01 an unknown table is empty", empty),
    (
        "TC-R02 the last value put is the one that is there",
        last_value,
    ),
    ("TC-R03 a deleted key is gone and can come back", deleted),
    (
        "TC-R04 a table is listed in order of key, apart from other tables",
        listed,
    ),
    ("TC-R05 names and sizes out of range are refused", refused),
    (
        "TC-R06 what was put is there after reopening, however often it changed",
        reopened,
    ),
    (
        "TC-R15 a table is read in pages of a prefix, each behind the last",
        paged,
    ),
    ("TC-R16 a page of large values is short", short_pages),
];

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn records_suite<B: RecordsBackend>(make: impl Fn() -> B) {
    let more = super::record_changes::CASES.iter();
    let kinds = super::record_kinds::CASES.iter();
    let ends = super::record_ends::CASES.iter();
    let requests = super::record_requests::CASES.iter();
    let cases = CASES.iter().chain(more).chain(kinds).chain(ends);
    for (name, case) in cases.chain(requests) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

pub(super) fn open(backend: &dyn RecordsBackend) -> Box<dyn Records> {
    backend.open().expect("the store opens")
}

pub(super) fn get(records: &dyn Records, table: &str, key: &str) -> Option<Vec<u8>> {
    records.get(table, key).expect("the table can be read")
}

pub(super) fn put(records: &dyn Records, table: &str, key: &str, value: &[u8]) {
    records.put(table, key, value).expect("the value is stored");
}

fn empty(backend: &dyn RecordsBackend) {
    let records = open(backend);
    assert_eq!(get(&*records, "users", "ann"), None);
    assert_eq!(records.list("users").expect("the table can be read"), []);
    assert!(
        !records
            .delete("users", "ann")
            .expect("nothing to delete is no error")
    );
}

fn last_value(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for value in [b"one".as_slice(), b"", &[0, 255, 10], b"last"] {
        put(&*records, "users", "ann", value);
        assert_eq!(get(&*records, "users", "ann").as_deref(), Some(value));
    }
}

fn deleted(backend: &dyn RecordsBackend) {
    let records = open(backend);
    put(&*records, "users", "ann", b"1");
    assert!(records.delete("users", "ann").expect("the key is deleted"));
    assert_eq!(get(&*records, "users", "ann"), None);
    put(&*records, "users", "ann", b"2");
    assert_eq!(
        get(&*records, "users", "ann").as_deref(),
        Some(b"2".as_slice())
    );
}

fn listed(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for key in ["b", "a", "c/\u{e4} .."] {
        put(&*records, "users", key, key.as_bytes());
    }
    put(&*records, "api_keys", "z", b"other");
    let users = records.list("users").expect("the table can be read");
    let expected = ["a", "b", "c/\u{e4} .."].map(|key| (key.to_owned(), key.as_bytes().to_vec()));
    assert_eq!(users, expected);
}

fn refused(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for table in ["", "..", "a/b", "Users", &"x".repeat(33)] {
        let error = records.put(table, "key", b"").expect_err(table);
        assert!(
            matches!(error, StorageError::BadName { what: "table", .. }),
            "{table:?}"
        );
    }
    for key in ["", &"k".repeat(257)] {
        let error = records.put("users", key, b"").expect_err(key);
        assert!(
            matches!(error, StorageError::BadName { what: "key", .. }),
            "{key:?}"
        );
    }
    let error = records.put("users", "key", &vec![1; MAX_VALUE_BYTES + 1]);
    assert!(
        matches!(error, Err(StorageError::TooLarge { .. })),
        "{error:?}"
    );
    put(&*records, "users", "key", &vec![1; MAX_VALUE_BYTES]);
}

fn reopened(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for round in 0..300_u32 {
        let key = format!("key {}", round % 5);
        put(
            &*records,
            "settings",
            &key,
            &round.to_le_bytes().repeat(200),
        );
        if round % 7 == 0 {
            records
                .delete("settings", &key)
                .expect("the key is deleted");
        }
    }
    let before = records.list("settings").expect("the table can be read");
    assert!(!before.is_empty());
    drop(records);
    let records = open(backend);
    assert_eq!(
        records.list("settings").expect("the table can be read"),
        before
    );
    put(&*records, "settings", "more", b"goes on");
    assert_eq!(
        get(&*records, "settings", "more").as_deref(),
        Some(b"goes on".as_slice())
    );
}

/// Reads all pages of a prefix.
fn pages(records: &dyn Records, prefix: &str, limit: usize) -> Vec<Vec<String>> {
    let (mut pages, mut last) = (Vec::new(), None::<String>);
    loop {
        let mut page = Page::first(prefix, limit);
        if let Some(last) = &last {
            page = page.behind(last);
        }
        let found = records.page("jobs", &page).expect("it can be read");
        let keys: Vec<String> = found.into_iter().map(|(key, _)| key).collect();
        let Some(key) = keys.last() else {
            return pages;
        };
        last = Some(key.clone());
        pages.push(keys);
    }
}

fn paged(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let keys = ["a", "b/1", "b/2", "b/3", "b/\u{10ffff}", "b0", "c"];
    for key in keys.iter().rev() {
        put(&*records, "jobs", key, b"value");
    }
    put(&*records, "others", "b/4", b"value");
    assert_eq!(
        pages(&*records, "", 3),
        [&keys[..3], &keys[3..6], &keys[6..]]
    );
    assert_eq!(pages(&*records, "b/", 3), [&keys[1..4], &keys[4..5]]);
    assert_eq!(pages(&*records, "b/", 4_000), [&keys[1..5]]);
    let none: [&[&str]; 0] = [];
    assert_eq!(pages(&*records, "d", 3), none);
    assert_eq!(pages(&*records, "b/", 0), none);
    let before = Page::first("b/", 9).behind("a");
    let found = records.page("jobs", &before).expect("it can be read");
    assert_eq!(
        found.len(),
        4,
        "a key before the prefix begins with the first"
    );
    let behind = Page::first("b/", 9).behind("c");
    let found = records.page("jobs", &behind).expect("it can be read");
    assert!(found.is_empty(), "{found:?}");
    let unknown = records.page("nobody", &Page::first("", 9));
    assert!(unknown.expect("an unknown table is empty").is_empty());
    let refused = records.page("No table", &Page::first("", 9));
    assert!(
        matches!(refused, Err(StorageError::BadName { .. })),
        "{refused:?}"
    );
}

fn short_pages(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for key in 0..6 {
        put(
            &*records,
            "jobs",
            &key.to_string(),
            &vec![7; MAX_VALUE_BYTES],
        );
    }
    let lengths: Vec<usize> = pages(&*records, "", 100).iter().map(Vec::len).collect();
    assert_eq!(lengths, [4, 2], "four MiB, and the rest");
}
