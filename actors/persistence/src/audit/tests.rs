use super::*;
use apex_domain::UnixNanos;
use apex_storage::postgres::{PgJournals, PgServer, ServerOptions, migrate};
use apex_storage::testkit::{Postgres, here};
use apex_storage::{FolderObjects, Journal, MemoryStore, RecordRef, VerifyReport};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Long enough for a busy machine; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn note(detail: &str) -> AuditRecord {
    AuditRecord::Noted {
        ts: UnixNanos(1),
        action: "Node/Test".to_owned(),
        detail: detail.to_owned(),
    }
}

struct Bench {
    journals: MemoryStore,
    objects: Arc<FolderObjects>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        Bench {
            journals: MemoryStore::new(),
            objects: Arc::new(FolderObjects::open(folder.path()).unwrap()),
            _folder: folder,
        }
    }

    fn store(&self, audit_id: Option<&str>) -> AuditStore {
        AuditStore {
            journals: Arc::new(self.journals.clone()),
            objects: self.objects.clone(),
            clock: Clock::Wall,
            audit_id: audit_id.map(str::to_owned),
        }
    }

    fn start(&self) -> (AuditWriter, String) {
        AuditWriter::start(self.store(None), &[note("begin")]).unwrap()
    }
}

fn details(records: AuditRecords) -> Vec<String> {
    let detail = |(_, record)| match record {
        AuditRecord::Noted { detail, .. } => detail,
        other => panic!("{other:?}"),
    };
    records.into_iter().map(detail).collect()
}

/// Waits until the ticket is told, on this thread.
fn wait(ticket: Ticket) -> bool {
    let (told, outcome) = sync_channel(1);
    std::thread::spawn(move || told.send(futures::executor::block_on(ticket.durable())));
    outcome.recv_timeout(PATIENCE).expect("it is told in time")
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn records_are_durable_in_order_when_their_tickets_say_so() {
    let bench = Bench::new();
    let (audit, _) = bench.start();
    let tickets: Vec<Ticket> = (0..100)
        .map(|n| audit.append(note(&n.to_string())).unwrap())
        .collect();
    assert!(tickets.into_iter().all(wait));
    assert_eq!((audit.figures().durable, audit.figures().waiting), (101, 0));
    let found = details(audit.read(99, 2).unwrap());
    assert_eq!(found, ["97", "98"]);
    assert_eq!(audit.read(102, 10).unwrap(), []);
}

#[test]
fn a_run_leaves_checkpoints_of_its_begin_and_its_end() {
    let bench = Bench::new();
    let (audit, id) = bench.start();
    until("the first checkpoint", || audit.figures().checkpoint == 1);
    audit.stop(note("end"));
    let found = check(&bench.store(Some(&id))).unwrap();
    assert_eq!((found.records, found.first_bad), (2, None));
    assert_eq!((found.checkpoints, found.last_checkpoint), (2, 2));
    let (audit, again) = bench.start();
    assert_eq!(again, id);
    assert_eq!(
        details(audit.read(1, 9).unwrap()),
        ["begin", "end", "begin"]
    );
    assert_eq!(audit.check().unwrap().first_bad, None);
}

#[test]
fn a_store_that_failed_is_found_out_about_and_nothing_is_lost_or_doubled() {
    let bench = Bench::new();
    let (audit, _) = bench.start();
    bench.journals.fail_next_sync();
    let ticket = audit.append(note("kept")).unwrap();
    assert!(wait(ticket), "it is written when the store works again");
    let ticket = audit.append(note("after")).unwrap();
    assert!(wait(ticket));
    assert_eq!(audit.ready(), Ok(()));
    assert_eq!(
        details(audit.read(1, 9).unwrap()),
        ["begin", "kept", "after"]
    );
}

#[test]
fn a_store_that_stays_away_is_told_and_what_waits_is_bounded() {
    let bench = Bench::new();
    let (audit, _) = bench.start();
    bench.journals.fail_next_sync();
    let first = audit.append(note("0")).unwrap();
    // Somebody else has it when it is opened anew.
    let mut other = None;
    until("the other writer", || {
        other = MemoryStore::open(&bench.journals, AUDIT_JOURNAL).ok();
        other.is_some() || audit.figures().durable > 1
    });
    if other.is_none() {
        // It was faster than this thread, which shows the same as the test above.
        return;
    }
    until("the trouble to be told", || audit.ready().is_err());
    assert!(audit.figures().failing.is_some());
    let taken = (1..=QUEUE).filter(|n| audit.append(note(&n.to_string())).is_ok());
    assert_eq!(taken.count(), QUEUE - 1);
    assert!(matches!(
        audit.append(note("too many")),
        Err(AuditError::Overloaded { .. })
    ));
    audit.lost();
    assert_eq!(
        (audit.figures().lost, audit.figures().waiting),
        (1, QUEUE as u64)
    );
    drop(other);
    assert!(wait(first));
    until("the backlog", || audit.figures().waiting == 0);
    assert_eq!(audit.ready(), Ok(()));
    assert_eq!(audit.figures().durable, QUEUE as u64 + 1);
}

#[test]
fn a_full_disk_is_told_and_its_reserve_is_used() {
    let bench = Bench::new();
    let (audit, _) = bench.start();
    bench.journals.set_full(true);
    assert!(wait(audit.append(note("in the reserve")).unwrap()));
    until("the trouble to be told", || {
        audit.ready() == Err(AuditError::NoSpace)
    });
    bench.journals.set_full(false);
    // It looks by itself: nothing is handed over while it says no.
    until("the space", || audit.ready() == Ok(()));
    assert!(wait(audit.append(note("with space")).unwrap()));
}

/// Journals that nobody can open through this while it is shut.
#[derive(Debug)]
struct Gated {
    journals: MemoryStore,
    is_shut: Arc<AtomicBool>,
}

impl Journals for Gated {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        if self.is_shut.load(Ordering::SeqCst) {
            return Err(StorageError::Locked {
                path: account_id.into(),
                holder: "another process".to_owned(),
            });
        }
        Journals::open(&self.journals, account_id)
    }

    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        self.journals.accounts()
    }

    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        Journals::verify(&self.journals, account_id, each)
    }
}

#[test]
fn what_another_owner_wrote_in_its_place_does_not_make_a_record_durable() {
    let bench = Bench::new();
    let gated = Gated {
        journals: bench.journals.clone(),
        is_shut: Arc::default(),
    };
    let is_shut = gated.is_shut.clone();
    let store = AuditStore {
        journals: Arc::new(gated),
        ..bench.store(None)
    };
    let (audit, _) = AuditWriter::start(store, &[note("begin")]).unwrap();
    // Another process has it when it is opened anew, writes, and ends.
    is_shut.store(true, Ordering::SeqCst);
    bench.journals.fail_next_sync();
    let ticket = audit.append(note("kept")).unwrap();
    let mut other = None;
    until("the other writer", || {
        other = AuditLog::open(&bench.journals).ok();
        other.is_some()
    });
    let mut log = other.unwrap();
    log.append(&note("other").encode()).unwrap();
    assert_eq!(log.commit().unwrap(), 2);
    drop(log);
    is_shut.store(false, Ordering::SeqCst);
    assert!(wait(ticket), "it is written behind that");
    assert_eq!(
        details(audit.read(1, 9).unwrap()),
        ["begin", "other", "kept"]
    );
    assert!(wait(audit.append(note("after")).unwrap()));
    until("the figures", || audit.figures().durable == 4);
    assert_eq!(audit.figures().waiting, 0);
    assert_eq!(audit.check().unwrap().first_bad, None);
}

#[test]
fn an_audit_that_was_taken_over_is_left_to_its_owner() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let journals = || {
        let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
        let server = PgServer::connect(options).unwrap();
        migrate(&server).unwrap();
        PgJournals::new(&server).unwrap()
    };
    let bench = Bench::new();
    let store = AuditStore {
        journals: Arc::new(journals()),
        ..bench.store(None)
    };
    let (audit, _) = AuditWriter::start(store, &[note("begin")]).unwrap();
    let others = journals();
    drop(others.take_over(AUDIT_JOURNAL).unwrap());
    let epoch = "SELECT epoch FROM journal_account";
    let ticket = audit.append(note("too late")).unwrap();
    assert!(!wait(ticket), "it is not durable, and nobody waits for it");
    until("the trouble to be told", || audit.ready().is_err());
    let told = audit.ready().unwrap_err().to_string();
    assert!(told.contains("another owner"), "{told}");
    let ticket = audit.append(note("later still")).unwrap();
    assert!(!wait(ticket));
    assert_eq!((audit.figures().lost, audit.figures().waiting), (2, 0));
    assert_eq!(postgres.query("apex", epoch).unwrap(), "2");
}
