//! Old segments in a store of objects: power cuts at every operation, damage at both places.
use super::crash_tests::{ACCOUNT, ROOT, record, unit};
use super::data_dir::snapshot_folder;
use super::{DataDir, EmbeddedJournal, Options, Preallocation, base_path, journal_folder};
use crate::StorageError;
use crate::disk::{Crash, Disk, Open, SimDisk};
use crate::port::journal::{Class, Journal, JournalError, RecordRef};
use crate::port::objects::{ContentHash, ObjectInfo, ObjectKey, Objects};
use crate::verify::{VerifyReport, verify_on};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A store in memory, which may be down.
#[derive(Default)]
struct Held {
    objects: Mutex<BTreeMap<ObjectKey, Vec<u8>>>,
    is_down: Mutex<bool>,
}

impl Held {
    fn change(&self, at: usize, change: impl FnOnce(&ObjectKey, &mut Vec<u8>)) -> ObjectKey {
        let mut objects = self.objects.lock().unwrap();
        let (key, content) = objects.iter_mut().nth(at).expect("there are so many");
        change(key, content);
        key.clone()
    }

    fn remove(&self, at: usize) {
        let mut objects = self.objects.lock().unwrap();
        let key = objects.keys().nth(at).expect("there are so many").clone();
        objects.remove(&key);
    }
}

impl Objects for Held {
    fn put(&self, key: &ObjectKey, content: &mut dyn Read) -> Result<ContentHash, StorageError> {
        if *self.is_down.lock().unwrap() {
            return Err(StorageError::NotFound {
                path: "down".into(),
            });
        }
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|error| StorageError::io("read", Path::new("content"), error))?;
        self.objects.lock().unwrap().insert(key.clone(), bytes);
        Ok(ContentHash([0; 32]))
    }

    fn get(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.objects.lock().unwrap().get(key).cloned())
    }

    fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let objects = self.objects.lock().unwrap();
        let range = |bytes: &Vec<u8>| {
            let from = bytes.len().min(offset as usize);
            let to = bytes.len().min(from + length as usize);
            bytes[from..to].to_vec()
        };
        Ok(objects.get(key).map(range))
    }

    fn hash(&self, _: &ObjectKey) -> Result<Option<ContentHash>, StorageError> {
        Ok(None)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StorageError> {
        let objects = self.objects.lock().unwrap();
        let listed = objects.iter().filter(|(key, _)| {
            key.as_str().starts_with(prefix) && after.is_none_or(|after| *key > after)
        });
        let info = |(key, bytes): (&ObjectKey, &Vec<u8>)| ObjectInfo {
            key: key.clone(),
            bytes: bytes.len() as u64,
            stored_at: 0,
        };
        Ok(listed.map(info).take(limit).collect())
    }

    fn delete(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        Ok(self.objects.lock().unwrap().remove(key).is_some())
    }

    fn presign(&self, _: &ObjectKey, _: Duration) -> Result<Option<String>, StorageError> {
        Ok(None)
    }

    fn expire(&self, _: &str, _: u32) -> Result<(), StorageError> {
        Ok(())
    }
}

struct World {
    disk: SimDisk,
    held: Arc<Held>,
}

impl World {
    fn new() -> World {
        World {
            disk: SimDisk::new(),
            held: Arc::default(),
        }
    }

    fn objects(&self) -> Arc<dyn Objects> {
        self.held.clone()
    }

    fn open(&self) -> Result<EmbeddedJournal, JournalError> {
        let dir = DataDir::on_disk(Arc::new(self.disk.clone()), Path::new(ROOT));
        EmbeddedJournal::open_with(&dir, ACCOUNT, options(), Some(&self.objects()))
    }

    fn verify(&self) -> VerifyReport {
        let objects = self.objects();
        let root = Path::new(ROOT);
        verify_on(&self.disk, root, ACCOUNT, Some(&objects), &mut |_| {}).expect("readable")
    }

    fn segments(&self) -> usize {
        let files = self.disk.files(&journal_folder(Path::new(ROOT), ACCOUNT));
        let files = files.expect("readable");
        let is_segment = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "seg");
        files.iter().filter(is_segment).count()
    }
}

fn options() -> Options {
    Options {
        segment_bytes: 4096,
        reserve_bytes: 4096,
        preallocation: Preallocation::Inline,
        ..Options::default()
    }
}

fn append(journal: &mut EmbeddedJournal, count: u64) -> Result<u64, JournalError> {
    journal.append(&[unit(Class::Order, journal.head().sequence + 1, count)])?;
    journal.commit().map(|durable| durable.0)
}

/// Keeps a snapshot.
fn keep(journal: &mut EmbeddedJournal, sequence: u64) {
    let kept = journal.snapshot_write(sequence, b"state");
    kept.expect("there is space");
}

/// Appends batches of two records, with a snapshot behind each so many of them.
fn grow(journal: &mut EmbeddedJournal, batches: u64, every: u64) {
    for batch in 1..=batches {
        let last = append(journal, 2).expect("the disk works");
        if batch % every == 0 {
            keep(journal, last);
        }
    }
}

/// Stores old segments and leaves them there; returns whether there were any.
fn close(journal: &mut EmbeddedJournal) -> Result<bool, JournalError> {
    let Some(job) = journal.closing()? else {
        return Ok(false);
    };
    let Some(closed) = job()? else {
        return Ok(false);
    };
    journal.cut(closed)?;
    Ok(true)
}

fn all(journal: &EmbeddedJournal, from: u64) -> Vec<u64> {
    let records = journal.read_from(from).expect("it can be read");
    let records = records.map(|item| {
        let found = item.expect("a stored record");
        assert_eq!(found, record(found.sequence));
        found.sequence
    });
    records.collect()
}

/// A journal of 60 records, most of whose segments were moved, and how many of its records were.
fn moved() -> (World, u64) {
    let world = World::new();
    let mut journal = world.open().expect("an empty disk");
    grow(&mut journal, 30, 5);
    assert!(close(&mut journal).expect("the store works"));
    let base = journal.base.sequence;
    assert!((20..=50).contains(&base), "{base}");
    (world, base)
}

#[test]
fn what_was_moved_is_read_verified_and_goes_on_as_if_it_had_stayed() {
    let (world, base) = moved();
    let whole: Vec<u64> = (1..=60).collect();
    let mut journal = world.open().expect("it is sound");
    // A start reads what is left.
    assert_eq!(journal.opened().records, 60 - base);
    assert_eq!(all(&journal, 0), whole);
    for from in [1, 2, base - 1, base, base + 1, 59, 60] {
        assert_eq!(
            all(&journal, from),
            whole[from as usize - 1..],
            "from {from}"
        );
    }
    assert!(all(&journal, 61).is_empty());
    let report = world.verify();
    assert!(report.ok(), "{report:?}");
    assert_eq!((report.records, report.head), (60, journal.head()));
    assert_eq!(append(&mut journal, 3).expect("the disk works"), 63);
    assert_eq!(all(&journal, base).len() as u64, 64 - base);
    assert_eq!(world.verify().records, 63);
}

#[test]
fn a_reader_that_began_before_the_move_ends_behind_it() {
    let world = World::new();
    let mut journal = world.open().expect("an empty disk");
    grow(&mut journal, 20, 5);
    let mut records = journal.read_from(1).expect("it can be read");
    let first = records.next().expect("there is one").expect("it is sound");
    let before = world.segments();
    assert!(close(&mut journal).expect("the store works"));
    assert!(world.segments() < before);
    let rest: Vec<u64> = records.map(|item| item.expect("stored").sequence).collect();
    assert_eq!(first.sequence, 1);
    assert_eq!(rest, (2..=40).collect::<Vec<_>>());
}

#[test]
fn nothing_leaves_that_a_start_may_need() {
    let world = World::new();
    let mut journal = world.open().expect("an empty disk");
    grow(&mut journal, 20, 21);
    assert!(!close(&mut journal).expect("readable"), "no snapshot");
    keep(&mut journal, 40);
    assert!(!close(&mut journal).expect("readable"), "one snapshot");
    grow(&mut journal, 20, 20);
    assert!(close(&mut journal).expect("the store works"));
    assert!(journal.base.sequence <= 40, "by the older of the two");
    assert!(!close(&mut journal).expect("readable"), "once");
}

/// A journal of 80 records with a snapshot at 40 and one at 80.
fn twice_kept() -> (World, EmbeddedJournal) {
    let world = World::new();
    let mut journal = world.open().expect("an empty disk");
    grow(&mut journal, 40, 20);
    (world, journal)
}

#[test]
fn commits_wait_for_no_file_that_tells_what_may_go() {
    let (world, mut journal) = twice_kept();
    let before = world.disk.reads();
    let job = journal.closing().expect("it can be asked");
    assert_eq!(world.disk.reads(), before, "only the job reads");
    let closed = job.expect("something may go")().expect("the store works");
    assert!(world.disk.reads() > before);
    journal
        .cut(closed.expect("the older one covers some"))
        .expect("it is cut");
    assert!(journal.base.sequence > 0);
}

#[test]
fn a_damaged_snapshot_is_none_of_the_two() {
    let (world, mut journal) = twice_kept();
    let folder = snapshot_folder(Path::new(ROOT), ACCOUNT);
    for end in [40, 80] {
        let path = folder.join(format!("{end:020}.snap"));
        let flip = || {
            let file = world.disk.open(&path, Open::Write).expect("it is there");
            let mut last = [0];
            let at = file.length().expect("it has one") - 1;
            file.read_at(&mut last, at).expect("it can be read");
            file.write_at(&[last[0] ^ 1], at).expect("the disk works");
        };
        flip();
        assert!(!close(&mut journal).expect("readable"), "{end} is damaged");
        flip();
    }
    assert!(close(&mut journal).expect("the store works"));
}

#[test]
fn without_the_store_a_journal_goes_on_and_says_what_it_lacks() {
    let (world, base) = moved();
    let dir = DataDir::on_disk(Arc::new(world.disk.clone()), Path::new(ROOT));
    let mut journal = EmbeddedJournal::open(&dir, ACCOUNT, options()).expect("it is sound");
    assert_eq!(all(&journal, base + 1).len() as u64, 60 - base);
    let error = journal.read_from(base).err().expect("it is elsewhere");
    assert!(error.to_string().contains("journals/paper"), "{error}");
    assert_eq!(append(&mut journal, 1).expect("the disk works"), 61);
    assert!(journal.closing().expect("no store").is_none());
}

#[test]
fn a_store_that_is_down_keeps_everything_here() {
    let world = World::new();
    let mut journal = world.open().expect("an empty disk");
    grow(&mut journal, 20, 5);
    *world.held.is_down.lock().unwrap() = true;
    let before = world.segments();
    close(&mut journal).expect_err("it is down");
    assert_eq!(world.segments(), before);
    *world.held.is_down.lock().unwrap() = false;
    assert!(close(&mut journal).expect("the store works"));
    assert_eq!(all(&journal, 1).len(), 40);
}

#[test]
fn damage_of_what_was_moved_is_found_and_named() {
    type Change = fn(&World);
    let table: [(&str, Change, usize, &str); 6] = [
        (
            "a changed byte",
            |w| drop(w.held.change(1, |_, c| c[200] ^= 1)),
            1,
            "checksum",
        ),
        (
            "a cut object",
            |w| drop(w.held.change(1, |_, c| c.truncate(c.len() - 1))),
            1,
            "checksum",
        ),
        (
            "bytes behind it",
            |w| drop(w.held.change(1, |_, c| c.push(0))),
            1,
            "checksum",
        ),
        ("one that is gone", |w| w.held.remove(1), 1, "is missing"),
        (
            "the first that is gone",
            |w| w.held.remove(0),
            0,
            "is missing",
        ),
        (
            "another one's content",
            |w| {
                let mut other = Vec::new();
                w.held.change(0, |_, content| other.clone_from(content));
                w.held.change(1, |_, content| *content = other);
            },
            1,
            "must follow",
        ),
    ];
    for (name, change, at, expected) in table {
        let (world, base) = moved();
        let key = world.held.change(at, |_, _| {});
        change(&world);
        let bad = world.verify().first_bad.expect(name);
        assert!(key.as_str().ends_with(&bad.segment), "{name}: {bad:?}");
        assert!(bad.reason.contains(expected), "{name}: {bad:?}");
        assert!(bad.sequence <= base, "{name}: {bad:?}");
        // A start does not need it.
        assert_eq!(world.open().expect(name).head().sequence, 60);
    }
}

#[test]
fn a_base_that_is_not_ours_or_is_gone_is_refused() {
    let (world, _) = moved();
    let path = base_path(&journal_folder(Path::new(ROOT), ACCOUNT));
    let content = world.disk.content(&path).expect("it was moved");
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 1;
        world.disk.set_content(&path, changed);
        let error = world.open().expect_err("it is changed");
        assert!(
            matches!(error, StorageError::Damaged { .. }),
            "{at}: {error}"
        );
        let bad = world.verify().first_bad.expect("it is changed");
        assert_eq!(bad.segment, "base");
    }
    world.disk.remove(&path).expect("it is there");
    let error = world.open().expect_err("the first segments are missing");
    assert!(error.to_string().contains("is missing"), "{error}");
}

/// Appends, takes snapshots and moves old segments, until the power goes; returns what was
/// acknowledged and what was staged.
fn work(world: &World) -> (u64, u64) {
    let (mut acknowledged, mut staged) = (0, 0);
    let mut steps = || -> Result<(), JournalError> {
        let mut journal = world.open()?;
        for batch in 1..=BATCHES {
            staged += 2;
            acknowledged = append(&mut journal, 2)?;
            if batch % 4 == 0 {
                journal.snapshot_write(acknowledged, b"state")?;
                close(&mut journal)?;
            }
        }
        Ok(())
    };
    let _ = steps();
    (acknowledged, staged)
}

const BATCHES: u64 = 24;

#[test]
fn a_power_cut_at_any_operation_of_a_move_loses_nothing() {
    let mut bases = std::collections::BTreeSet::new();
    for operations in 0.. {
        let world = World::new();
        world.disk.cut_power_after(operations);
        let (acknowledged, staged) = work(&world);
        for crash in [
            Crash::KeepAll,
            Crash::LoseUnsynced,
            Crash::KeepPrefix(60),
            Crash::KeepSectors(0x5555_5555_5555_5555),
        ] {
            let case = format!("{operations} operations, {crash:?}");
            let left = World {
                disk: world.disk.crash(crash),
                held: world.held.clone(),
            };
            let mut journal = left.open().unwrap_or_else(|e| panic!("{case}: {e}"));
            let last = journal.head().sequence;
            assert!(last == acknowledged || last == staged, "{case}: {last}");
            assert_eq!(all(&journal, 1), (1..=last).collect::<Vec<_>>(), "{case}");
            bases.insert(journal.base.sequence);
            // What was in front of the base is gone, and the next move goes on.
            let _ = close(&mut journal).unwrap_or_else(|e| panic!("{case}: {e}"));
            assert_eq!(
                append(&mut journal, 1).expect("the disk works"),
                last + 1,
                "{case}"
            );
            drop(journal);
            let report = left.verify();
            assert!(report.ok(), "{case}: {report:?}");
            assert_eq!(report.records, last + 1, "{case}");
        }
        if acknowledged == 2 * BATCHES {
            assert!(bases.len() > 2, "moves were cut: {bases:?}");
            break;
        }
    }
}

#[test]
fn a_cut_while_a_journal_is_walked_leaves_no_record_out() {
    for moved_before in [false, true] {
        let world = World::new();
        let mut journal = world.open().expect("an empty disk");
        for half in 0..2 {
            grow(&mut journal, 30, 5);
            if half == 0 && moved_before {
                assert!(close(&mut journal).expect("the store works"));
            }
        }
        let head = journal.head();
        let (mut shown, mut is_cut) = (Vec::new(), false);
        let mut each = |record: RecordRef<'_>| {
            if !is_cut {
                is_cut = close(&mut journal).expect("the store works");
            }
            shown.push(record.sequence);
        };
        let objects = world.objects();
        let root = Path::new(ROOT);
        let report = verify_on(&world.disk, root, ACCOUNT, Some(&objects), &mut each);
        let report = report.expect("readable");
        assert!(report.ok(), "{report:?}");
        assert!(is_cut, "nothing was cut");
        let whole: Vec<u64> = (1..=120).collect();
        assert_eq!(shown, whole, "moved before: {moved_before}");
        assert_eq!((report.records, report.head), (120, head));
    }
}
