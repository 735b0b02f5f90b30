//! The cases of the objects port.

use super::ObjectsBackend;
use crate::StorageError;
use crate::port::objects::{ContentHash, MAX_READ_BYTES, ObjectKey, Objects};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

type Case = (&'static str, fn(&dyn Objects));

const CASES: &[Case] = &[
    ("TC-O01 an empty store has nothing", empty),
    ("TC-O02 an object comes back as it was put", come_back),
    ("TC-O03 a second put replaces the first", replaced),
    ("TC-O04 a range is cut at the object's end", ranges),
    (
        "TC-O05 a list is in order of key, by prefix and from a place on",
        listed,
    ),
    ("TC-O06 a deleted object is gone and can come back", deleted),
    (
        "TC-O07 content that ends with an error leaves the old object",
        broken_content,
    ),
    ("TC-O08 an object of many parts comes back whole", large),
    ("TC-O09 a read beyond the limit is refused", too_large),
    ("TC-O10 many at once do not mix", many_at_once),
];

/// Runs every case on a store of its own, and what holds for all stores: keys leave no way out.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn objects_suite<B: ObjectsBackend>(make: impl Fn() -> B) {
    keys();
    for (name, case) in CASES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let backend = make();
            case(&*backend.open().expect("the store opens"));
        }));
        assert!(outcome.is_ok(), "{name}");
    }
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("a key")
}

fn put(objects: &dyn Objects, name: &str, content: &[u8]) -> ContentHash {
    objects
        .put(&key(name), &mut &content[..])
        .expect("it is stored")
}

fn get(objects: &dyn Objects, name: &str) -> Option<Vec<u8>> {
    objects.get(&key(name)).expect("it can be read")
}

fn keys() {
    for bad in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/..",
        "../a",
        "a\\b",
        "a b",
        "a\0b",
        "ä",
        "%2e%2e",
        "a:b",
        &"x".repeat(201),
        &"x/".repeat(256),
    ] {
        let refused = ObjectKey::new(bad);
        assert!(
            matches!(refused, Err(StorageError::BadName { .. })),
            "{bad:?}"
        );
    }
    for good in ["a", "a/b", "...", "day=2026-01-01/part-0.parquet", "_"] {
        assert_eq!(key(good).as_str(), good);
    }
}

fn empty(objects: &dyn Objects) {
    assert_eq!(get(objects, "a"), None);
    let range = objects.get_range(&key("a"), 0, 10);
    assert_eq!(range.expect("it can be read"), None);
    assert_eq!(objects.hash(&key("a")).expect("it can be read"), None);
    assert_eq!(objects.list("", None, 10).expect("a list"), []);
    assert!(!objects.delete(&key("a")).expect("nothing is no error"));
}

fn come_back(objects: &dyn Objects) {
    for (name, content) in [
        ("empty", &b""[..]),
        ("one/two/three", &b"content"[..]),
        ("zeros", &[0; 70_000][..]),
    ] {
        let hash = put(objects, name, content);
        assert_eq!(hash, ContentHash(Sha256::digest(content).into()));
        assert_eq!(ContentHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(get(objects, name).as_deref(), Some(content), "{name}");
        assert_eq!(
            objects.hash(&key(name)).expect("it can be read"),
            Some(hash)
        );
    }
}

fn replaced(objects: &dyn Objects) {
    put(objects, "a", b"first, and longer");
    let hash = put(objects, "a", b"second");
    assert_eq!(get(objects, "a"), Some(b"second".to_vec()));
    assert_eq!(objects.hash(&key("a")).expect("it can be read"), Some(hash));
    assert_eq!(objects.list("", None, 10).expect("a list").len(), 1);
}

fn ranges(objects: &dyn Objects) {
    put(objects, "a", b"0123456789");
    for (offset, length, expected) in [
        (0, 4, "0123"),
        (4, 4, "4567"),
        (8, 4, "89"),
        (10, 4, ""),
        (99, 4, ""),
        (3, 0, ""),
        (0, 99, "0123456789"),
    ] {
        let part = objects.get_range(&key("a"), offset, length);
        let part = part.expect("it can be read").expect("it is there");
        assert_eq!(part, expected.as_bytes(), "{offset} {length}");
    }
}

fn listed(objects: &dyn Objects) {
    // A folder and a file that sort apart by their slash.
    let names = ["a-1", "a/1", "a/2/x", "a0", "b/1", "b/10", "b/2"];
    for name in names.iter().rev() {
        put(objects, name, name.as_bytes());
    }
    let list = |prefix: &str, after: Option<&str>, limit: usize| {
        let after = after.map(key);
        let list = objects.list(prefix, after.as_ref(), limit).expect("a list");
        list.iter()
            .map(|info| info.key.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("", None, 100), names);
    assert_eq!(list("", None, 3), names[..3]);
    assert_eq!(list("a/", None, 100), ["a/1", "a/2/x"]);
    assert_eq!(list("a", None, 100), names[..4]);
    assert_eq!(list("b/1", None, 100), ["b/1", "b/10"]);
    assert_eq!(list("", Some("a/2/x"), 2), ["a0", "b/1"]);
    assert_eq!(list("b/", Some("b/1"), 100), ["b/10", "b/2"]);
    assert_eq!(list("c", None, 100), [""; 0]);
    let sizes = objects.list("a/", None, 100).expect("a list");
    assert_eq!(
        sizes.iter().map(|info| info.bytes).collect::<Vec<_>>(),
        [3, 5]
    );
    assert!(sizes.iter().all(|info| info.stored_at > 1_700_000_000));
}

fn deleted(objects: &dyn Objects) {
    put(objects, "a", b"1");
    assert!(objects.delete(&key("a")).expect("it is removed"));
    assert!(!objects.delete(&key("a")).expect("nothing is no error"));
    assert_eq!(get(objects, "a"), None);
    put(objects, "a", b"2");
    assert_eq!(get(objects, "a"), Some(b"2".to_vec()));
}

struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the source broke"));
        }
        let count = bytes.len().min(self.0);
        bytes[..count].fill(1);
        self.0 -= count;
        Ok(count)
    }
}

fn broken_content(objects: &dyn Objects) {
    put(objects, "a", b"whole");
    for length in [0, 1_000, 9 << 20] {
        assert!(objects.put(&key("a"), &mut Broken(length)).is_err());
        assert!(objects.put(&key("b"), &mut Broken(length)).is_err());
    }
    assert_eq!(get(objects, "a"), Some(b"whole".to_vec()));
    assert_eq!(objects.list("", None, 10).expect("a list").len(), 1);
}

fn large(objects: &dyn Objects) {
    // Beyond what a server takes in one part.
    let content: Vec<u8> = (0..20_u32 << 20).map(|index| (index >> 3) as u8).collect();
    put(objects, "a", &content);
    assert!(get(objects, "a").is_some_and(|back| back == content));
    let part = objects.get_range(&key("a"), 10 << 20, 1 << 20);
    let part = part.expect("it can be read").expect("it is there");
    assert!(part == content[10 << 20..11 << 20]);
}

fn too_large(objects: &dyn Objects) {
    put(objects, "a", b"1");
    let refused = objects.get_range(&key("a"), 0, MAX_READ_BYTES + 1);
    assert!(matches!(refused, Err(StorageError::TooLarge { .. })));
}

fn many_at_once(objects: &dyn Objects) {
    std::thread::scope(|scope| {
        for number in 0..8_u8 {
            scope.spawn(move || {
                for round in 0..5 {
                    let content = vec![number; 1_000 + round];
                    put(objects, &format!("many/{number}"), &content);
                    put(objects, "shared", &content);
                    assert_eq!(get(objects, &format!("many/{number}")), Some(content));
                }
            });
        }
    });
    assert_eq!(objects.list("many/", None, 100).expect("a list").len(), 8);
    // Of those who wrote the same one, one came last, and whole.
    let shared = get(objects, "shared").expect("it is there");
    assert!(shared.iter().all(|byte| *byte == shared[0]));
}
