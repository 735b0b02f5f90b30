//! A journal is read back in bounded memory, however long it is. One test, so that nothing else is in
//! its process.

use apex_storage::postgres::{PgJournals, PgServer, ServerOptions, migrate};
use apex_storage::testkit::{Postgres, here};
use apex_storage::{Class, DataDir, EmbeddedJournal, Journal, Options, Record, Unit};

/// Together some 60 MB once they are in memory.
const RECORDS: u64 = 300_000;
const BATCH: u64 = 4_000;
const PAYLOAD_BYTES: usize = 128;

/// What reading may add: the frames that are read ahead, 16 of a megabyte at most, and some.
const BOUND_KB: i64 = 32 * 1024;

/// Kilobytes of this process's memory.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a number").parse().expect("a number")
}

fn fill(journal: &mut dyn Journal) {
    for batch in 0..RECORDS / BATCH {
        let unit = |sequence| Unit {
            class: Class::Order,
            records: vec![Record {
                sequence,
                kind: 1,
                schema: 1,
                payload: vec![sequence as u8; PAYLOAD_BYTES],
            }],
        };
        let units: Vec<Unit> = (batch * BATCH + 1..=(batch + 1) * BATCH)
            .map(unit)
            .collect();
        journal.append(&units).expect("it is staged");
        journal.commit().expect("it is stored");
    }
}

fn check(name: &str, journal: &mut dyn Journal) {
    fill(journal);
    let before = resident();
    let (mut most, mut sequence) = (0, 0);
    for record in journal.read_from(1).expect("it can be read") {
        let record = record.expect("a whole record");
        sequence += 1;
        assert_eq!(record.sequence, sequence);
        if sequence.is_multiple_of(10_000) {
            most = most.max(resident() - before);
        }
    }
    assert_eq!(sequence, RECORDS);
    assert!(most < BOUND_KB, "{name}: {most} kB more while reading");
    // What the bound would not let pass.
    let all: Vec<_> = journal.read_from(1).expect("it can be read").collect();
    let held = resident() - before;
    assert_eq!(all.len() as u64, RECORDS);
    assert!(held > BOUND_KB, "{name}: {held} kB for all records");
}

#[test]
fn a_journal_is_read_in_bounded_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    let journal = EmbeddedJournal::open(&dir, "paper", Options::default());
    check("embedded", &mut journal.expect("it opens"));
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    let journals = PgJournals::new(&server).expect("the tables are there");
    check("PostgreSQL", &mut journals.open("paper").expect("it opens"));
}
