//! What a crash and a person can leave in the folder.

use super::*;

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("a key")
}

fn store() -> (FolderObjects, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = FolderObjects::open(folder.path()).expect("it opens");
    (store, folder)
}

#[test]
fn what_a_crash_left_half_written_is_no_object_and_goes_away() {
    let (store, folder) = store();
    let half = folder.path().join("making/7");
    fs::write(&half, b"half").expect("a file");
    drop(store);
    // Another process may be writing it just now.
    let store = FolderObjects::open(folder.path()).expect("it opens");
    assert!(half.exists());
    let then = SystemTime::now() - LEFT;
    let file = File::options().write(true).open(&half).expect("it stays");
    file.set_modified(then).expect("its time is set");
    drop(store);
    let store = FolderObjects::open(folder.path()).expect("it opens");
    assert!(!half.exists());
    assert_eq!(store.list("", None, 10).expect("a list"), []);
}

/// Content that does something while it is read.
struct During<'c, F: FnMut()>(&'c [u8], F);

impl<F: FnMut()> Read for During<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.1)();
        self.0.read(buffer)
    }
}

#[test]
fn processes_that_store_at_once_leave_each_other_alone() {
    let (store, folder) = store();
    // As another process, which opens it and stores in the midst of this one.
    let mut number = 0;
    let mut content = During(b"one", || {
        let other = FolderObjects::open(folder.path()).expect("it opens");
        number += 1;
        let key = key(&format!("other/{number}"));
        other.put(&key, &mut &b"two"[..]).expect("it is stored");
    });
    store.put(&key("a"), &mut content).expect("it is stored");
    assert_eq!(number, 2);
    assert_eq!(store.get(&key("a")).unwrap().unwrap(), b"one");
    assert_eq!(store.get(&key("other/2")).unwrap().unwrap(), b"two");
    assert_eq!(
        fs::read_dir(folder.path().join("making")).unwrap().count(),
        0
    );
}

#[test]
fn a_crash_between_hash_and_rename_leaves_the_old_object() {
    let (store, folder) = store();
    let report = key("reports/1");
    let old = store.put(&report, &mut &b"old"[..]).expect("it is stored");
    let new = ContentHash(Sha256::digest(b"new").into());
    let both = format!("{new}\n{old}\n");
    fs::write(folder.path().join("hashes/reports/1"), both).expect("a file");
    assert_eq!(
        store.get(&report).expect("it is whole"),
        Some(b"old".to_vec())
    );
    fs::write(folder.path().join("data/reports/1"), b"new").expect("a file");
    assert_eq!(
        store.get(&report).expect("it is whole"),
        Some(b"new".to_vec())
    );
}

#[test]
fn changed_content_is_found() {
    let (store, folder) = store();
    let report = key("reports/1");
    store
        .put(&report, &mut &b"content"[..])
        .expect("it is stored");
    fs::write(folder.path().join("data/reports/1"), b"c0ntent").expect("a file");
    let error = store.get(&report).expect_err("it was changed");
    let text = "damaged at segment object reports/1 byte 0 (sequence 0): checksum mismatch";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_key_in_the_place_of_a_folder_is_an_error_and_no_object() {
    let (store, _folder) = store();
    store
        .put(&key("a/b"), &mut &b"1"[..])
        .expect("it is stored");
    assert_eq!(store.get(&key("a")).expect("a folder is no object"), None);
    assert!(store.put(&key("a"), &mut &b"2"[..]).is_err());
    assert!(store.put(&key("a/b/c"), &mut &b"3"[..]).is_err());
    assert_eq!(
        store.get(&key("a/b")).expect("it is whole"),
        Some(b"1".to_vec())
    );
}

#[test]
fn old_objects_expire() {
    let (store, folder) = store();
    for name in ["old/1", "old/2", "kept/1"] {
        store.put(&key(name), &mut &b"x"[..]).expect("it is stored");
    }
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000);
    for name in ["old/1", "kept/1"] {
        let file = File::options()
            .write(true)
            .open(folder.path().join("data").join(name))
            .expect("a file");
        file.set_modified(long_ago).expect("its time is set");
    }
    store.expire("old/", 30).expect("it expires");
    let left = store.list("", None, 10).expect("a list");
    let left: Vec<&str> = left.iter().map(|info| info.key.as_str()).collect();
    assert_eq!(left, ["kept/1", "old/2"]);
}
