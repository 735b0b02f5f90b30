//! Backups of a folder in use, and what becomes of cut or damaged ones.

mod databases;
mod reserves;
mod series;
mod world;

use super::*;
use crate::embedded::{DataDir, EmbeddedJournal, EmbeddedRecords, Options};
use crate::folder::FolderObjects;
use crate::own_objects;
use crate::port::journal::{Class, Journal, Record, Unit};
use crate::port::objects::Objects;
use crate::port::records::{Change, Records};
use crate::s3::{S3Objects, S3Options};
use crate::testkit::{Moto, here};
use crate::verify::verify;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A folder with a journal that is open, and a store to copy it to.
struct World {
    folder: TempDir,
    records: EmbeddedRecords,
    journal: EmbeddedJournal,
    objects: Box<dyn Objects>,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(&folder.path().join("store")).unwrap();
        World::with(folder, Box::new(objects))
    }

    fn with(folder: TempDir, objects: Box<dyn Objects>) -> World {
        let dir = DataDir::open(&folder.path().join("data")).unwrap();
        let options = Options {
            segment_bytes: 64 << 10,
            reserve_bytes: 64 << 10,
            ..Options::default()
        };
        let own = own_objects(dir.root()).unwrap();
        let journal = EmbeddedJournal::open_with(&dir, "paper", options, Some(&own));
        World {
            records: EmbeddedRecords::open(&dir).unwrap(),
            journal: journal.unwrap(),
            objects,
            folder,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Commits as many records, each alone.
    fn write(&mut self, count: u64) {
        for _ in 0..count {
            let sequence = self.journal.head().sequence + 1;
            let record = Record {
                sequence,
                kind: 1,
                schema: 1,
                payload: sequence.to_string().repeat(200).into_bytes(),
            };
            let unit = Unit {
                class: Class::Order,
                records: vec![record],
            };
            self.journal.append(&[unit]).unwrap();
            self.journal.commit().unwrap();
        }
    }

    /// Takes a backup and counts the records that it shows.
    fn take(&self, begun_ns: u64) -> (Taken, u64) {
        let mut shown = 0;
        let mut each = |_: &str, record: crate::RecordRef<'_>| shown = record.sequence;
        let data = self.path("data");
        let copied = copy(&Source::folder(&data), &*self.objects, begun_ns, &mut each).unwrap();
        (copied.finish("00").unwrap(), shown)
    }

    fn bring_back(&self, id: Option<&str>, to: &Path) -> Result<Restored, StorageError> {
        let found = find(&*self.objects, id)?.expect("there is a backup");
        restore(&*self.objects, &found, to, &Targets::default(), &|_| {})?.finish()?;
        Ok(found)
    }
}

#[test]
fn a_folder_in_use_is_copied_to_its_last_record_and_goes_on_elsewhere() {
    let mut world = World::new();
    world.records.put("notes", "a", b"one").unwrap();
    world.write(300);
    world.journal.snapshot_write(200, b"state").unwrap();
    let (first, shown) = world.take(1);
    assert_eq!(shown, 300);
    world.write(5);
    let (second, _) = world.take(2);
    // Closed segments and the beginning of the tables are there already.
    assert!(second.copied_bytes < first.copied_bytes / 2, "{second:?}");
    assert!(second.known_bytes > first.copied_bytes / 2, "{second:?}");

    for (id, end) in [(Some(first.id.as_str()), 300), (None, 305)] {
        let to = world.path(&format!("restored-{end}"));
        let restored = world.bring_back(id, &to).unwrap();
        let report = verify(&to, "paper", &mut |_| {}).unwrap();
        assert!(report.ok(), "{report:?}");
        assert_eq!(report.head.sequence, end);
        let known = &restored.manifest.journals[0];
        assert_eq!(
            (known.sequence, &known.chain),
            (end, &report.head.chain.to_string())
        );
        let dir = DataDir::open(&to).unwrap();
        let records = EmbeddedRecords::open(&dir).unwrap();
        assert_eq!(records.get("notes", "a").unwrap().unwrap(), b"one");
        let mut journal = EmbeddedJournal::open(&dir, "paper", Options::default()).unwrap();
        assert_eq!(journal.snapshot_latest().unwrap().unwrap().sequence, 200);
        let record = Record {
            sequence: end + 1,
            kind: 1,
            schema: 1,
            payload: Vec::new(),
        };
        let unit = Unit {
            class: Class::Order,
            records: vec![record],
        };
        journal.append(&[unit]).unwrap();
        assert_eq!(journal.commit().unwrap().0, end + 1);
    }
}

#[test]
fn a_change_over_several_tables_is_in_it_whole_or_not() {
    let world = World::new();
    let set = |value: &[u8]| {
        let changes = ["a", "b", "c"].map(|table| Change::put(table, "key", value));
        world.records.change(&changes).unwrap();
    };
    set(b"old");
    let seen = std::cell::Cell::new(0);
    // The first file that is copied is that of the first table.
    let progress = |_: &Step<'_>| {
        seen.set(seen.get() + 1);
        if seen.get() == 1 {
            set(b"new");
        }
    };
    let data = world.path("data");
    let source = Source {
        progress: &progress,
        ..Source::folder(&data)
    };
    let copied = copy(&source, &*world.objects, 1, &mut |_, _| {}).unwrap();
    copied.finish("00").unwrap();
    let to = world.path("restored");
    world.bring_back(None, &to).unwrap();
    let records = EmbeddedRecords::open(&DataDir::open(&to).unwrap()).unwrap();
    let values = ["a", "b", "c"].map(|table| records.get(table, "key").unwrap().unwrap());
    assert_eq!(values, [b"new"; 3].map(|value| value.to_vec()));
}

#[test]
fn segments_that_were_moved_are_in_it_too() {
    let mut world = World::new();
    for _ in 0..3 {
        world.write(300);
        let sequence = world.journal.head().sequence;
        world.journal.snapshot_write(sequence, b"state").unwrap();
    }
    let closed = world.journal.closing().unwrap().unwrap()()
        .unwrap()
        .unwrap();
    let moved = closed.sequence();
    assert!(moved > 100, "{moved}");
    world.journal.cut(closed).unwrap();
    let (taken, _) = world.take(1);
    let to = world.path("restored");
    world.bring_back(Some(&taken.id), &to).unwrap();
    let mut shown = 0;
    let report = verify(&to, "paper", &mut |_| shown += 1).unwrap();
    assert!(report.ok(), "{report:?}");
    assert_eq!((shown, report.head), (900, world.journal.head()));
    // Without them the same folder says what it lacks.
    std::fs::remove_dir_all(to.join("objects/data")).unwrap();
    let report = verify(&to, "paper", &mut |_| {}).unwrap();
    assert!(report.first_bad.unwrap().reason.contains("is missing"));
}

/// A journal with moved segments and as much again that could be moved.
fn half_moved(world: &mut World) {
    for half in 0..2 {
        for _ in 0..3 {
            world.write(300);
            let sequence = world.journal.head().sequence;
            world.journal.snapshot_write(sequence, b"state").unwrap();
        }
        if half == 0 {
            cut(&mut world.journal);
        }
    }
}

fn cut(journal: &mut EmbeddedJournal) {
    let job = journal.closing().unwrap().expect("there is something");
    let closed = job().unwrap().expect("it is stored");
    journal.cut(closed).unwrap();
}

#[test]
fn a_journal_that_is_cut_while_it_is_copied_is_shown_whole() {
    let mut world = World::new();
    half_moved(&mut world);
    let end = world.journal.head().sequence;
    let (data, journal) = (world.path("data"), &mut world.journal);
    let (mut shown, mut is_cut) = (Vec::new(), false);
    let mut each = |_: &str, record: crate::RecordRef<'_>| {
        if !is_cut {
            is_cut = true;
            cut(journal);
        }
        shown.push(record.sequence);
    };
    let copied = copy(&Source::folder(&data), &*world.objects, 1, &mut each).unwrap();
    copied.finish("00").unwrap();
    assert!(is_cut);
    assert_eq!(shown, (1..=end).collect::<Vec<_>>());
    let to = world.path("restored");
    world.bring_back(None, &to).unwrap();
    let report = verify(&to, "paper", &mut |_| {}).unwrap();
    assert!(report.ok(), "{report:?}");
    assert_eq!(report.head, world.journal.head());
}

#[test]
fn a_journal_that_is_damaged_between_copy_and_check_is_no_backup() {
    let mut world = World::new();
    world.write(300);
    let folder = world.path("data/journal/paper");
    let mut is_damaged = false;
    // With the first record that is shown, a later one is no longer what it was.
    let mut each = |_: &str, _: crate::RecordRef<'_>| {
        if !is_damaged {
            is_damaged = true;
            let mut content = fs::read(segment(&folder, 1)).unwrap();
            content[500] ^= 1;
            fs::write(segment(&folder, 1), content).unwrap();
        }
    };
    let data = world.path("data");
    let refused = copy(&Source::folder(&data), &*world.objects, 1, &mut each);
    let refused = refused.expect_err("it was taken for whole");
    assert!(matches!(refused, StorageError::Damaged { .. }), "{refused}");
}

/// Returns a segment of a journal, by its place in the order.
fn segment(folder: &Path, at: usize) -> std::path::PathBuf {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "seg"))
        .collect();
    names.sort();
    names.swap_remove(at)
}

#[test]
fn backups_are_listed_with_what_they_are_of_and_a_damaged_one_by_its_error() {
    let mut world = World::new();
    world.write(1);
    world.take(1);
    world.take(2);
    let key = ObjectKey::new(&format!("{MANIFESTS}{:020}", 2)).unwrap();
    world.objects.put(&key, &mut &b"no list"[..]).unwrap();
    let mut listed = Vec::new();
    list(&*world.objects, &mut |one| listed.push(one)).unwrap();
    let ids: Vec<&str> = listed.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, [format!("{:020}", 1), format!("{:020}", 2)]);
    let manifest = listed[0].manifest.as_ref().unwrap();
    assert_eq!(manifest.build, env!("CARGO_PKG_VERSION"));
    assert!(!manifest.has_journals_in_database() && manifest.bytes() > 0);
    let bad = listed[1].manifest.as_ref().unwrap_err().to_string();
    let expected = format!("backup {:020} is damaged: {key} is no list of a backup", 2);
    assert_eq!(bad, expected);
    let refused = find(&*world.objects, None).unwrap_err();
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn a_bucket_holds_backups_as_a_folder_does() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    moto.make_bucket("backups").unwrap();
    let bucket = S3Objects::connect(S3Options {
        endpoint: moto.endpoint(),
        bucket: "backups".to_owned(),
        access_key: "an-access-key".to_owned(),
        secret_key: "a-secret-of-the-test".to_owned(),
        timeout: Duration::from_secs(10),
    });
    let mut world = World::with(tempfile::tempdir().unwrap(), Box::new(bucket.unwrap()));
    world.write(100);
    world.take(1);
    let (again, _) = world.take(2);
    assert_eq!(again.copied_bytes, 0);
    let to = world.path("restored");
    world.bring_back(None, &to).unwrap();
    let report = verify(&to, "paper", &mut |_| {}).unwrap();
    assert_eq!((report.ok(), report.head.sequence), (true, 100));
}

#[test]
fn a_place_that_is_not_empty_is_left_as_it_is() {
    let mut world = World::new();
    world.write(1);
    world.take(1);
    let to = world.path("taken");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "x").unwrap();
    let refused = world.bring_back(None, &to).unwrap_err();
    assert!(
        matches!(refused, StorageError::NotEmpty { .. }),
        "{refused}"
    );
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
}

#[test]
fn a_damaged_journal_is_no_backup_and_a_damaged_part_no_start() {
    let mut world = World::new();
    world.write(100);
    world.take(1);
    // A part of the backup is gone: the folder that it was to be is refused by a start.
    let blobs = world.objects.list(BLOBS, None, 10).unwrap();
    let mut largest = blobs;
    largest.sort_by_key(|info| info.bytes);
    let lost = largest.pop().unwrap().key;
    world.objects.delete(&lost).unwrap();
    let to = world.path("half");
    let refused = world.bring_back(None, &to).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("backup {:020} is damaged: {lost} is missing", 1)
    );
    let refused = DataDir::open(&to).unwrap_err();
    assert!(
        matches!(refused, StorageError::UnfinishedRestore { .. }),
        "{refused}"
    );
    // The next backup copies it again.
    world.take(2);
    world.bring_back(None, &world.path("whole")).unwrap();

    let first = segment(&world.path("data/journal/paper"), 0);
    let mut content = fs::read(&first).unwrap();
    content[500] ^= 1;
    fs::write(&first, content).unwrap();
    let data = world.path("data");
    let refused = copy(&Source::folder(&data), &*world.objects, 3, &mut |_, _| {});
    assert!(matches!(refused, Err(StorageError::Damaged { .. })));
    assert_eq!(
        find(&*world.objects, None)
            .unwrap()
            .unwrap()
            .manifest
            .begun_ns,
        2
    );
}

#[test]
fn the_archive_is_in_it_and_is_copied_once() {
    let world = World::new();
    let archive = world.path("data/archive");
    let key = ObjectKey::new("market/trades/rows.parquet").unwrap();
    let store = FolderObjects::open(&archive).unwrap();
    store.put(&key, &mut &b"first rows"[..]).unwrap();
    let (first, _) = world.take(1);
    let (again, _) = world.take(2);
    assert!(first.copied_bytes > again.copied_bytes);
    assert_eq!(again.copied_bytes, 0);
    // As an import leaves it that is between the new content and the last line of its hash.
    store.put(&key, &mut &b"more rows"[..]).unwrap();
    let hashes = archive.join("hashes").join(key.as_str());
    let hash = fs::read_to_string(&hashes).unwrap();
    fs::write(&hashes, "").unwrap();
    world.take(3);
    fs::write(&hashes, hash).unwrap();
    for (id, content) in [("1", &b"first rows"[..]), ("3", b"more rows")] {
        let to = world.path(&format!("archive-{id}"));
        let id = format!("{id:0>20}");
        world.bring_back(Some(&id), &to).unwrap();
        let restored = FolderObjects::open(&to.join("archive")).unwrap();
        assert_eq!(restored.get(&key).unwrap().as_deref(), Some(content));
    }
}
