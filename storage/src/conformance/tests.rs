//! The backends of this crate run the suites.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::journal::{commit, expected, open, order, read};
use super::*;
use crate::disk::{Crash, SimDisk};
use crate::embedded::Preallocation;
use crate::postgres::{self, PgJournals, PgRecords, PgServer, ReservedJournals, ServerOptions};
use crate::testkit::{Postgres, here};
use crate::{
    DataDir, EmbeddedJournal, EmbeddedJournals, EmbeddedRecords, FolderObjects, MemoryHot,
    MemoryRecords, MemoryStore, Options,
};

struct Memory(MemoryStore);

impl JournalBackend for Memory {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        Ok(Box::new(self.0.open("paper")?))
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }
}

impl Faults for Memory {
    fn fill_disk(&self) {
        self.0.set_full(true);
    }

    fn free_disk(&self) {
        self.0.set_full(false);
    }

    fn fail_next_sync(&self) {
        self.0.fail_next_sync();
    }
}

struct Simulated(SimDisk, Arc<DataDir>, Preallocation);

fn simulated(preallocation: Preallocation) -> Simulated {
    let disk = SimDisk::new();
    let dir = DataDir::on_disk(Arc::new(disk.clone()), Path::new("/data"));
    Simulated(disk, dir, preallocation)
}

impl JournalBackend for Simulated {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        let options = Options {
            segment_bytes: 16 * 1024,
            reserve_bytes: 8 * 1024,
            preallocation: self.2,
            ..Options::default()
        };
        Ok(Box::new(EmbeddedJournal::open(&self.1, "paper", options)?))
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }
}

impl Faults for Simulated {
    fn fill_disk(&self) {
        self.0.set_capacity(Some(self.0.used_bytes()));
    }

    fn free_disk(&self) {
        self.0.set_capacity(None);
    }

    fn fail_next_sync(&self) {
        self.0.fail_sync_after(0, ".seg");
    }
}

struct Real {
    dir: Arc<DataDir>,
    _folder: tempfile::TempDir,
}

impl JournalBackend for Real {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        let options = Options {
            segment_bytes: 64 * 1024,
            ..Options::default()
        };
        Ok(Box::new(EmbeddedJournal::open(
            &self.dir, "paper", options,
        )?))
    }
}

#[test]
fn the_memory_journal_keeps_the_promises() {
    journal_suite(|| Memory(MemoryStore::new()));
}

#[test]
fn the_embedded_journal_keeps_the_promises_on_a_bad_disk() {
    journal_suite(|| simulated(Preallocation::Inline));
    journal_suite(|| simulated(Preallocation::Helper));
}

#[test]
fn the_embedded_journal_keeps_the_promises_on_a_real_disk() {
    journal_suite(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = DataDir::open(folder.path()).expect("a free folder");
        Real {
            dir,
            _folder: folder,
        }
    });
}

#[test]
fn all_backends_make_the_same_chain() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let backends: [&dyn JournalBackend; 3] = [
        &Memory(MemoryStore::new()),
        &simulated(Preallocation::Inline),
        &InDatabase::new(&server, &AtomicUsize::new(0)),
    ];
    let heads = backends.map(|backend| {
        let mut journal = open(backend);
        commit(&mut *journal, &order(1..=3));
        commit(&mut *journal, &order(4..=40));
        journal.head()
    });
    assert_eq!(heads[0], heads[1]);
    assert_eq!(heads[0], heads[2]);
}

#[test]
fn a_commit_is_one_write_and_one_sync() {
    let backend = simulated(Preallocation::Inline);
    let mut journal = open(&backend);
    commit(&mut *journal, &order(1..=2));
    let (writes, syncs) = backend.0.writes_and_syncs();
    commit(&mut *journal, &order(3..=60));
    assert_eq!(backend.0.writes_and_syncs(), (writes + 1, syncs + 1));
    assert_eq!(read(&*open_again(&backend, journal), 1), expected(1..=60));
}

fn open_again(backend: &Simulated, journal: Box<dyn Journal>) -> Box<dyn Journal> {
    drop(journal);
    let crashed = backend.0.crash(Crash::LoseUnsynced);
    let dir = DataDir::on_disk(Arc::new(crashed.clone()), Path::new("/data"));
    open(&Simulated(crashed, dir, Preallocation::Inline))
}

struct RecordsOn {
    dir: Arc<DataDir>,
    _folder: Option<tempfile::TempDir>,
}

impl RecordsBackend for RecordsOn {
    fn open(&self) -> Result<Box<dyn Records>, crate::StorageError> {
        Ok(Box::new(EmbeddedRecords::open(&self.dir)?))
    }
}

#[test]
fn the_embedded_records_keep_the_promises() {
    records_suite(|| RecordsOn {
        dir: simulated(Preallocation::Inline).1,
        _folder: None,
    });
    records_suite(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = DataDir::open(folder.path()).expect("a free folder");
        RecordsOn {
            dir,
            _folder: Some(folder),
        }
    });
}

/// Records in memory that outlive a handle, as the reopening case needs.
struct Shared(Arc<MemoryRecords>);

impl RecordsBackend for Shared {
    fn open(&self) -> Result<Box<dyn Records>, crate::StorageError> {
        Ok(Box::new(Arc::clone(&self.0)))
    }
}

#[test]
fn the_memory_records_keep_the_promises() {
    records_suite(|| Shared(Arc::new(MemoryRecords::new())));
}

/// A database of its own for each case, on one server.
pub(super) struct InDatabase {
    name: String,
    url: String,
}

impl InDatabase {
    pub fn new(server: &Postgres, number: &AtomicUsize) -> InDatabase {
        let name = format!("case_{}", number.fetch_add(1, Ordering::Relaxed));
        let made = server.query("postgres", &format!("CREATE DATABASE {name}"));
        made.expect("a database is made");
        let case = InDatabase {
            url: server.url_of(&name),
            name,
        };
        postgres::migrate(&case.server()).expect("the tables are made");
        case
    }

    /// Returns the database's name, for who asks the server itself.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    pub fn server(&self) -> PgServer {
        let options = ServerOptions::new("APEX_DATABASE_URL", &self.url);
        PgServer::connect(options).expect("the server answers")
    }
}

impl JournalBackend for InDatabase {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        Ok(Box::new(PgJournals::new(&self.server())?.open("paper")?))
    }
}

impl JournalsBackend for InDatabase {
    fn open(&self) -> Result<Box<dyn Journals>, crate::StorageError> {
        Ok(Box::new(PgJournals::new(&self.server())?))
    }
}

impl RecordsBackend for InDatabase {
    fn open(&self) -> Result<Box<dyn Records>, crate::StorageError> {
        Ok(Box::new(PgRecords::new(&self.server())?))
    }
}

#[test]
fn postgres_keeps_the_promises() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    journal_suite(|| InDatabase::new(&server, &number));
    journals_suite(|| InDatabase::new(&server, &number));
    audit_suite(|| InDatabase::new(&server, &number));
}

#[test]
fn the_records_in_postgres_keep_the_promises() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    records_suite(|| InDatabase::new(&server, &number));
}

/// As [`InDatabase`], with a reserve in a folder.
struct WithReserve {
    database: InDatabase,
    dir: Arc<DataDir>,
    _folder: tempfile::TempDir,
}

impl WithReserve {
    fn journals(&self) -> Result<ReservedJournals, crate::StorageError> {
        let journals = PgJournals::new(&self.database.server())?;
        ReservedJournals::new(journals, &self.dir)
    }
}

impl JournalBackend for WithReserve {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        Ok(Box::new(self.journals()?.open("paper")?))
    }
}

impl JournalsBackend for WithReserve {
    fn open(&self) -> Result<Box<dyn Journals>, crate::StorageError> {
        Ok(Box::new(self.journals()?))
    }
}

#[test]
fn postgres_with_a_reserve_keeps_the_promises() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    let make = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        WithReserve {
            database: InDatabase::new(&server, &number),
            dir: DataDir::open(folder.path()).expect("a free folder"),
            _folder: folder,
        }
    };
    journal_suite(make);
    journals_suite(make);
}

struct JournalsInFolder(tempfile::TempDir);

impl JournalsBackend for JournalsInFolder {
    fn open(&self) -> Result<Box<dyn Journals>, crate::StorageError> {
        let dir = DataDir::open(self.0.path())?;
        Ok(Box::new(EmbeddedJournals::new(&dir, Options::default())))
    }
}

#[test]
fn journals_in_a_folder_keep_the_promises() {
    journals_suite(|| JournalsInFolder(tempfile::tempdir().expect("a folder")));
}

#[test]
fn audits_in_a_folder_keep_the_promises() {
    audit_suite(|| JournalsInFolder(tempfile::tempdir().expect("a folder")));
}

impl JournalsBackend for MemoryStore {
    fn open(&self) -> Result<Box<dyn Journals>, crate::StorageError> {
        Ok(Box::new(self.clone()))
    }
}

#[test]
fn journals_in_memory_keep_the_promises() {
    journals_suite(MemoryStore::new);
    audit_suite(MemoryStore::new);
}

struct InFolder(tempfile::TempDir);

impl ObjectsBackend for InFolder {
    fn open(&self) -> Result<Box<dyn Objects>, crate::StorageError> {
        Ok(Box::new(FolderObjects::open(self.0.path())?))
    }
}

#[test]
fn objects_in_a_folder_keep_the_promises() {
    objects_suite(|| InFolder(tempfile::tempdir().expect("a temporary folder")));
}

struct InProcess;

impl HotBackend for InProcess {
    fn open(&self) -> Result<Box<dyn Hot>, crate::StorageError> {
        Ok(Box::new(MemoryHot::new()))
    }
}

#[test]
fn hot_values_in_memory_keep_the_promises() {
    hot_suite(|| InProcess);
}
