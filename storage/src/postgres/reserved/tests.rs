//! A server that goes away, in each way, and what must hold when it is back.

use super::*;
use crate::ReserveHolder;
use crate::postgres::{PgServer, ServerOptions, migrate};
use crate::testkit::{Postgres, Proxy, here};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// Bounds a wait that ends at once unless something is broken.
const LIMIT: Duration = Duration::from_secs(30);

/// How long an answer may take once the server is known to be away.
const AT_ONCE: Duration = Duration::from_millis(500);

/// One account, its database, and the wire between them.
struct Bench {
    postgres: Postgres,
    proxy: Proxy,
    /// The wire of a process that was killed.
    cut: Option<Proxy>,
    dir: Arc<DataDir>,
    reserve_bytes: u64,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Option<Bench> {
        let postgres = here(Postgres::start())?;
        let folder = tempfile::tempdir().expect("a folder");
        let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
        let bench = Bench {
            dir: DataDir::open(folder.path()).expect("a free folder"),
            reserve_bytes: 64 * 1024,
            proxy,
            cut: None,
            postgres,
            _folder: folder,
        };
        migrate(&bench.connect(&bench.postgres.url())).expect("the tables are made");
        Some(bench)
    }

    fn connect(&self, url: &str) -> PgServer {
        let options = ServerOptions {
            timeout: Duration::from_secs(5),
            give_up: Duration::MAX,
            ..ServerOptions::new("APEX_DATABASE_URL", url)
        };
        PgServer::connect(options).expect("the server answers")
    }

    fn url(&self) -> String {
        let (direct, port) = (format!(":{}/", self.postgres.port()), self.proxy.port());
        self.postgres.url().replace(&direct, &format!(":{port}/"))
    }

    fn journals(&self) -> ReservedJournals {
        let server = self.connect(&self.url());
        let journals = PgJournals::new(&server).expect("the tables are there");
        let reserved = ReservedJournals::new(journals, &self.dir).expect("its own database");
        reserved.with_reserve_bytes(self.reserve_bytes)
    }

    fn open(&self) -> ReservedJournal {
        self.journals().open("paper").expect("it opens")
    }

    /// Another process that reaches the server by itself.
    fn take_over(&self) -> PgJournal {
        let server = self.connect(&self.postgres.url());
        let journals = PgJournals::new(&server).expect("the tables are there");
        journals.take_over("paper").expect("it takes over")
    }

    /// Checks that the server has records 1 to `last`, each once and in one chain.
    fn holds(&self, last: u64) {
        let server = self.connect(&self.postgres.url());
        let journals = PgJournals::new(&server).expect("the tables are there");
        let mut seen = Vec::new();
        let report = journals
            .verify("paper", &mut |record| seen.push(record.sequence))
            .expect("it can be read");
        assert_eq!(report.first_bad, None);
        assert_eq!(seen, (1..=last).collect::<Vec<_>>());
        let count = "SELECT count(*) - count(DISTINCT first_sequence) FROM journal_frame";
        let twice = self.postgres.query("apex", count).expect("it answers");
        assert_eq!(twice, "0");
    }
}

fn unit(class: Class, sequence: u64) -> [Unit; 1] {
    let record = Record {
        sequence,
        kind: 1,
        schema: 1,
        payload: format!("event {sequence} of this account").into_bytes(),
    };
    [Unit {
        class,
        records: vec![record],
    }]
}

/// Commits one essential unit, and returns how long it took.
fn commit(journal: &mut ReservedJournal, sequence: u64) -> Duration {
    let begun = Instant::now();
    let units = unit(Class::Essential, sequence);
    journal.append(&units).expect("it is taken");
    assert_eq!(journal.commit().expect("it is durable").0, sequence);
    begun.elapsed()
}

/// A start on another data folder, through a wire of its own.
fn on_another_folder(bench: &Bench) -> (TempDir, ReservedJournals) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = bench.connect(&bench.postgres.url());
    let journals = PgJournals::new(&server).expect("the tables are there");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    let reserved = ReservedJournals::new(journals, &dir).expect("it has no reserve");
    (folder, reserved.with_reserve_bytes(bench.reserve_bytes))
}

fn is_away(journal: &ReservedJournal) -> bool {
    matches!(journal.state(), JournalState::Away { .. })
}

/// Looks until the server has everything.
fn until_ready(journal: &mut ReservedJournal) {
    look_until_ready(Duration::from_millis(10), || journal.probe());
}

/// As [`until_ready`], by looks of the caller's, and with a pause between them.
fn look_until_ready(pause: Duration, mut look: impl FnMut() -> Result<JournalState, StorageError>) {
    let begun = Instant::now();
    while look().expect("nothing is broken") != JournalState::Ready {
        assert!(
            begun.elapsed() < LIMIT,
            "the server is not found to be back"
        );
        std::thread::park_timeout(pause);
    }
}

fn read(journal: &dyn Journal) -> Result<Vec<u64>, StorageError> {
    let records = journal.read_from(1)?;
    records
        .map(|record| record.map(|record| record.sequence))
        .collect()
}

/// Commits while the server is away in some way, and when it is back.
fn goes_on(bench: &mut Bench, leave: impl Fn(&mut Bench), come_back: impl Fn(&mut Bench)) {
    let mut journal = bench.open();
    // They go round the writers, so that each has its connection.
    for sequence in 1..=3 {
        commit(&mut journal, sequence);
    }
    leave(bench);
    let first = commit(&mut journal, 4);
    assert!(first < PATIENCE + AT_ONCE, "{first:?}");
    assert!(is_away(&journal), "{:?}", journal.state());
    for sequence in 5..=20 {
        let took = commit(&mut journal, sequence);
        assert!(took < AT_ONCE, "{took:?}");
        journal.probe().expect("nothing is broken");
        assert!(is_away(&journal));
    }
    let refused = journal.append(&unit(Class::Order, 21));
    assert!(
        matches!(refused, Err(StorageError::Full { .. })),
        "{refused:?}"
    );
    let begun = Instant::now();
    let refused = journal.snapshot_write(20, b"state").expect_err("not now");
    assert!(!refused.must_abort(), "{refused}");
    let refused = read(&journal).expect_err("the past is away");
    assert!(refused.to_string().contains("it is away"), "{refused}");
    assert!(begun.elapsed() < AT_ONCE, "it waits for nobody");
    come_back(bench);
    until_ready(&mut journal);
    journal
        .append(&unit(Class::Order, 21))
        .expect("orders again");
    journal.commit().expect("it is durable");
    assert_eq!(journal.state(), JournalState::Ready);
    journal
        .snapshot_write(21, b"state")
        .expect("snapshots again");
    assert_eq!(
        read(&journal).expect("it is back"),
        (1..=21).collect::<Vec<_>>()
    );
    drop(journal);
    bench.holds(21);
    assert_eq!(bench.open().head().sequence, 21);
}

#[test]
fn a_server_that_is_stopped_is_done_without_and_has_everything_once() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    goes_on(
        &mut bench,
        |bench| bench.postgres.pause().expect("it stops"),
        |bench| bench.postgres.resume(),
    );
}

#[test]
fn a_server_that_is_killed_is_done_without_and_has_everything_once() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    goes_on(
        &mut bench,
        |bench| bench.postgres.kill().expect("it is killed"),
        |bench| bench.postgres.restart().expect("it starts again"),
    );
}

#[test]
fn a_commit_that_was_stored_and_not_answered_is_not_stored_again() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    goes_on(
        &mut bench,
        |bench| {
            bench.proxy.swallow_next_answer();
            bench.proxy.set_refusing(true);
        },
        |bench| {
            assert_eq!(bench.proxy.swallowed(), 1);
            bench.proxy.set_refusing(false);
        },
    );
}

#[test]
fn a_server_that_is_read_only_is_done_without() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let set = |bench: &mut Bench, value| {
        let set = bench.postgres.set("default_transaction_read_only", value);
        set.expect("it is set");
        bench.proxy.cut();
    };
    goes_on(
        &mut bench,
        |bench| set(bench, "on"),
        |bench| set(bench, "off"),
    );
}

#[test]
fn a_server_that_may_lose_commits_from_now_on_is_done_without() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let set = |bench: &mut Bench, value| {
        bench.postgres.set("fsync", value).expect("it is set");
        bench.proxy.cut();
    };
    goes_on(
        &mut bench,
        |bench| set(bench, "off"),
        |bench| set(bench, "on"),
    );
}

/// An attempt that was carried out without an answer, one that was refused then, and a longer one.
#[test]
fn what_a_send_has_stored_that_was_given_up_is_not_sent_again() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.open();
    for sequence in 1..=3 {
        commit(&mut journal, sequence);
    }
    bench.proxy.swallow_next_answer();
    bench.proxy.set_refusing(true);
    commit(&mut journal, 4);
    assert_eq!((is_away(&journal), bench.proxy.swallowed()), (true, 1));
    let refused = error_response("P0001", "not now");
    bench.proxy.answer_instead(Some((&b"AXJF"[..], refused)));
    bench.proxy.set_refusing(false);
    let begun = Instant::now();
    while journal.sent.is_some() {
        assert!(begun.elapsed() < LIMIT, "{journal:?}");
        journal.probe().expect("nothing is broken");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    bench.proxy.answer_instead(None);
    commit(&mut journal, 5);
    until_ready(&mut journal);
    commit(&mut journal, 6);
    drop(journal);
    bench.holds(6);
}

/// The disk of a server is filled in a black-box test, where that is permitted; here the wire
/// answers as such a server does.
#[test]
fn a_server_without_disk_space_is_done_without() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    goes_on(
        &mut bench,
        |bench| {
            let full = (&b"AXJF"[..], disk_full());
            bench.proxy.answer_instead(Some(full));
        },
        |bench| bench.proxy.answer_instead(None),
    );
}

fn disk_full() -> Vec<u8> {
    error_response("53100", "could not extend file: No space left on device")
}

/// ErrorResponse, and ReadyForQuery.
fn error_response(code: &str, text: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{code}\0M{text}\0\0");
    let mut bytes = vec![b'E'];
    bytes.extend(((fields.len() + 4) as u32).to_be_bytes());
    bytes.extend(fields.as_bytes());
    bytes.extend(b"Z\0\0\0\x05I");
    bytes
}

/// Leaves a journal as a killed process does, with records 2 to 5 in its reserve.
fn left_away(bench: &mut Bench) {
    let mut journal = bench.open();
    commit(&mut journal, 1);
    bench.proxy.set_refusing(true);
    bench.proxy.cut();
    for sequence in 2..=5 {
        commit(&mut journal, sequence);
    }
    assert!(is_away(&journal));
    drop(journal);
    // Its writers still try, and never get through.
    let proxy = Proxy::start(bench.postgres.port()).expect("a proxy starts");
    bench.cut = Some(std::mem::replace(&mut bench.proxy, proxy));
}

#[test]
fn what_a_killed_process_left_goes_to_the_server_before_anything_else() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    left_away(&mut bench);
    let waiting = || ReservedJournals::waiting(bench.dir.root()).expect("it can be read");
    assert_eq!(waiting(), [("paper".to_owned(), (2, 5))].into());
    let mut journal = bench.open();
    assert_eq!(journal.state(), JournalState::Ready);
    assert_eq!(waiting(), BTreeMap::new());
    assert_eq!(journal.head().sequence, 5);
    bench.holds(5);
    commit(&mut journal, 6);
    drop(journal);
    assert_eq!(bench.open().head().sequence, 6, "nothing is left of it");
    bench.holds(6);
}

#[test]
fn a_reserve_that_another_owner_has_written_past_is_refused_and_kept() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    left_away(&mut bench);
    // One that wrote nothing is no reason: the chain goes on from where it ends.
    drop(bench.take_over());
    let mut other = bench.take_over();
    let mut units = unit(Class::Order, 2);
    units[0].records[0].payload = b"another decision".to_vec();
    other.append(&units).expect("it is taken");
    other.commit().expect("the owner writes");
    for _ in 0..2 {
        let refused = bench.journals().open("paper").expect_err("it is refused");
        let folder = bench.dir.root().join("reserve/paper");
        let text = format!(
            "the reserve \"{}\" of account paper holds records 2 to 5, but its database was \
             written by another owner since and ends at record 2",
            folder.display()
        );
        assert_eq!(refused.to_string(), text);
    }
    bench.holds(2);
    // A batch that ends where the reserve does is not the reserve's.
    let mut other = bench.take_over();
    for sequence in 3..=6 {
        let units = unit(Class::Order, sequence);
        other.append(&units).expect("it is taken");
        other.commit().expect("the owner writes");
    }
    let refused = bench.journals().open("paper").expect_err("it is refused");
    assert!(
        matches!(refused, StorageError::ReserveConflict { server_at: 6, .. }),
        "{refused}"
    );
    bench.holds(6);
}

/// The last send of a killed process was carried out, and another folder's process went on from it.
#[test]
fn a_reserve_that_the_server_has_whole_is_no_conflict_whoever_went_on() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    left_away(&mut bench);
    let folder = bench.dir.root().join("reserve/paper");
    let files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(&folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("it can be read")))
        .collect();
    let mut other = bench.open();
    commit(&mut other, 6);
    drop(other);
    for (path, bytes) in files {
        std::fs::write(path, bytes).expect("it is written");
    }
    let waiting = || ReservedJournals::waiting(bench.dir.root()).expect("it can be read");
    assert_eq!(waiting(), [("paper".to_owned(), (2, 5))].into());
    let mut journal = bench.open();
    assert_eq!(
        (journal.state(), waiting()),
        (JournalState::Ready, BTreeMap::new())
    );
    commit(&mut journal, 7);
    drop(journal);
    bench.holds(7);
}

#[test]
fn an_owner_that_was_taken_over_while_its_server_was_away_is_refused() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.open();
    commit(&mut journal, 1);
    bench.proxy.set_refusing(true);
    bench.proxy.cut();
    commit(&mut journal, 2);
    drop(bench.take_over());
    bench.proxy.set_refusing(false);
    let begun = Instant::now();
    let refused = loop {
        assert!(begun.elapsed() < LIMIT, "{journal:?}");
        match journal.probe() {
            Ok(_) => std::thread::park_timeout(Duration::from_millis(10)),
            Err(error) => break error,
        }
    };
    let text = "account paper has another owner: epoch 2 where this one has 1";
    assert_eq!(refused.to_string(), text);
    assert!(journal.commit().is_err(), "it stays so");
    bench.holds(1);
}

#[test]
fn a_reserve_that_is_full_takes_nothing_until_the_server_is_back() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    bench.reserve_bytes = 4096;
    let mut journal = bench.open();
    bench.postgres.pause().expect("it stops");
    let mut sequence = 0;
    let full = loop {
        let units = unit(Class::Essential, sequence + 1);
        match journal.append(&units) {
            Ok(()) => sequence += 1,
            Err(error) => break error,
        }
        assert_eq!(journal.commit().expect("it is durable").0, sequence);
    };
    assert!(matches!(full, StorageError::Full { .. }), "{full}");
    assert!((10..100).contains(&sequence), "{sequence}");
    assert_eq!(
        journal.probe().expect("nothing is broken"),
        JournalState::Full
    );
    bench.postgres.resume();
    until_ready(&mut journal);
    commit(&mut journal, sequence + 1);
    drop(journal);
    bench.holds(sequence + 1);
}

mod elsewhere;
mod moved;
mod slow;
