//! What a cut of 16 MiB costs; the figures are shown by `cargo nextest run -p apex-storage
//! a_cut_of_16_mib --no-capture`.

use super::*;
use crate::embedded::FrameBuilder;
use crate::port::journal::Journal;
use crate::postgres::group::Row;
use crate::postgres::{PgJournal, PgJournals, PgServer, ServerOptions, migrate};
use crate::testkit::{Postgres, here};
use crate::{FolderObjects, Record};
use std::time::{Duration, Instant};

/// As large as the events of one order, each in a batch of its own: many small rows.
const PAYLOAD: usize = 400;

/// Rows of one statement, so that the journal is there soon.
const AT_ONCE: u64 = 2_000;

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        kind: 1,
        schema: 2,
        payload: vec![7; PAYLOAD],
    }
}

/// Stores one batch of a record each, and returns their bytes.
fn fill(journal: &mut PgJournal) -> u64 {
    let (mut head, mut bytes) = (journal.head(), 0);
    let rows = (0..AT_ONCE).map(|_| {
        let mut frame = FrameBuilder::new();
        let first = head.sequence + 1;
        frame.push(&record(first));
        let (frame, last, chain) = frame.seal(&head.chain);
        let frame = frame.to_vec();
        bytes += frame.len() as u64;
        head = Head {
            sequence: last,
            chain,
        };
        Row { first, last, frame }
    });
    let rows: Vec<Row> = rows.collect();
    let outcome = journal.hand_over(head, rows).expect("there is room");
    outcome
        .recv()
        .expect("it answers")
        .expect("they are stored");
    journal.stored(head);
    bytes
}

fn commit(journal: &mut PgJournal) -> Duration {
    let begun = Instant::now();
    let records = vec![record(journal.head().sequence + 1)];
    let class = crate::Class::Order;
    let unit = crate::Unit { class, records };
    journal.append(&[unit]).expect("it is taken");
    journal.commit().expect("it is stored");
    begun.elapsed()
}

#[test]
fn a_cut_of_16_mib_holds_up_no_commit() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    let folder = tempfile::tempdir().expect("a folder");
    let objects = FolderObjects::open(folder.path()).expect("a folder of objects");
    let journals = PgJournals::new(&server).expect("the tables are there");
    // 8 MiB stay.
    let journals = journals.with_sizes(1 << 20, 8 << 20);
    let journals = journals.with_objects(Arc::new(objects));
    let mut journal = journals.open("paper").expect("it opens");
    let mut bytes = 0;
    while bytes < 26 << 20 {
        bytes += fill(&mut journal);
    }
    for _ in 0..2 {
        commit(&mut journal);
        let sequence = journal.head().sequence;
        journal.snapshot_write(sequence, b"state").expect("stored");
    }
    let mut before: Vec<Duration> = (0..300).map(|_| commit(&mut journal)).collect();
    before.sort();
    let begun = Instant::now();
    let job = journal.closing().expect("asked").expect("there is a store");
    let closed = job().expect("they are stored").expect("there is something");
    let storing = begun.elapsed();
    let begun = Instant::now();
    journal.cut(closed).expect("it is cut");
    let cutting = begun.elapsed();
    let (mut during, begun) = (Vec::new(), Instant::now());
    let left = format!(
        "SELECT count(*) FROM journal_frame WHERE last_sequence <= {}",
        closed.sequence()
    );
    while postgres.query("apex", &left).expect("it answers") != "0" {
        assert!(begun.elapsed() < Duration::from_secs(120), "rows stay");
        during.extend((0..20).map(|_| commit(&mut journal)));
    }
    let removing = begun.elapsed();
    during.sort();
    let id = postgres.query("apex", "SELECT database_id FROM journal_database");
    let kept = format!("data/journals/{}/paper", id.expect("it answers"));
    let kept = folder.path().join(kept);
    let moved: u64 = std::fs::read_dir(kept)
        .expect("segments")
        .map(|file| file.and_then(|file| file.metadata()).expect("one").len())
        .sum();
    println!(
        "{moved} bytes in {} rows: stored in {storing:?}, cut in {cutting:?}, removed in \
         {removing:?}; a commit before: median {:?}, longest {:?}; beside the removal: median {:?}, \
         longest {:?} of {}",
        closed.sequence(),
        before[before.len() / 2],
        before[before.len() - 1],
        during[during.len() / 2],
        during[during.len() - 1],
        during.len()
    );
    assert!(moved >= 16 << 20, "{moved}");
    assert!(cutting < storing, "a cut waits for no row");
}
