//! How many orders a second become durable on PostgreSQL, and how long one takes: 64 accounts that
//! commit one order each at a time, against plain connections that do the same. Accounts that are
//! never idle wait for each other, as 64 callers of any server do; so that one commit is laid beside
//! one commit, the accounts are also run at the pace that a plain connection reached.
//!
//! `cargo bench -p apex-storage --features testkit --bench postgres_journal --profile fast
//! [-- SECONDS]`; starts a PostgreSQL of its own. With `-- rss MILLIONS` instead: how much memory it
//! takes to read so many records back, on PostgreSQL and in files.

use apex_storage::postgres::{PgJournals, PgServer, ServerOptions, migrate};
use apex_storage::testkit::Postgres;
use apex_storage::{Class, DataDir, EmbeddedJournal, Journal, Options, Record, Unit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

const WRITERS: usize = 64;
/// As large as the events of one order.
const PAYLOAD: usize = 400;

/// What a side did: answered orders a second, median and 99th percentile of one in milliseconds.
struct Figure {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn figure(mut spent: Vec<Duration>, wall: Duration) -> Figure {
    spent.sort_unstable();
    let at = |share: f64| {
        let index = (spent.len() as f64 * share) as usize;
        spent[index.min(spent.len() - 1)].as_secs_f64() * 1e3
    };
    Figure {
        rate: spent.len() as f64 / wall.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
    }
}

/// Runs `writers` threads for `wall`, each with what `make` gives it: without a pause, or with an
/// order each `every`. What is late then counts from when it was due.
fn run<W, F>(
    writers: usize,
    wall: Duration,
    every: Option<Duration>,
    make: impl Fn(usize) -> W,
) -> Figure
where
    W: FnOnce() -> F + Send + 'static,
    F: FnMut(),
{
    let stop = Arc::new(AtomicBool::new(false));
    let ready = Arc::new(std::sync::Barrier::new(writers + 1));
    let threads: Vec<_> = (0..writers)
        .map(|number| {
            let (make, stop, ready) = (make(number), stop.clone(), ready.clone());
            thread::spawn(move || {
                let mut order = make();
                order();
                ready.wait();
                let mut spent = Vec::new();
                // Not all at once.
                let mut due = Instant::now() + every.unwrap_or_default() * number as u32 / 64;
                while !stop.load(Ordering::Relaxed) {
                    if every.is_some() {
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                    } else {
                        due = Instant::now();
                    }
                    order();
                    spent.push(due.elapsed());
                    due += every.unwrap_or_default();
                }
                spent
            })
        })
        .collect();
    ready.wait();
    let begun = Instant::now();
    thread::park_timeout(wall);
    stop.store(true, Ordering::Relaxed);
    let spent: Vec<Duration> = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("no writer failed"))
        .collect();
    figure(spent, begun.elapsed())
}

fn journals(
    journals: &PgJournals,
    wall: Duration,
    round: usize,
    every: Option<Duration>,
) -> Figure {
    run(WRITERS, wall, every, |number| {
        let journals = journals.clone();
        move || {
            let pace = if every.is_some() { "paced" } else { "full" };
            let id = format!("round-{round}-{pace}-{number}");
            let mut journal = journals.open(&id).expect("it opens");
            let mut sequence = 0;
            move || {
                sequence += 1;
                let record = Record {
                    sequence,
                    kind: 1,
                    schema: 2,
                    payload: vec![7; PAYLOAD],
                };
                let unit = Unit {
                    class: Class::Order,
                    records: vec![record],
                };
                journal.append(&[unit]).expect("it is staged");
                journal.commit().expect("it is stored");
            }
        }
    })
}

/// One connection each, that inserts a row and commits it.
fn plain(postgres: &Postgres, writers: usize, wall: Duration, round: usize) -> Figure {
    run(writers, wall, None, |number| {
        let url = postgres.url();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let (client, connection) = runtime
                .block_on(tokio_postgres::connect(&url, NoTls))
                .expect("it connects");
            runtime.spawn(async move { connection.await.expect("it stays connected") });
            let insert = "INSERT INTO plain (writer, sequence, payload) VALUES ($1, $2, $3)";
            let statement = runtime
                .block_on(client.prepare(insert))
                .expect("a statement");
            let writer = format!("round-{round}-{writers}-{number}");
            let (mut sequence, payload) = (0_i64, vec![7_u8; PAYLOAD]);
            move || {
                sequence += 1;
                runtime
                    .block_on(client.execute(&statement, &[&writer, &sequence, &payload]))
                    .expect("it is stored");
            }
        }
    })
}

/// Records of a batch, each of [`SMALL`] bytes: half a megabyte of a frame's one.
const BATCH: u64 = 4_000;
const SMALL: usize = 128;

/// Kilobytes of this process's memory.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Writes records in large batches and reads all of them back.
fn memory(name: &str, journal: &mut dyn Journal, count: u64) {
    let begun = Instant::now();
    for batch in 0..count / BATCH {
        let unit = |sequence| Unit {
            class: Class::Order,
            records: vec![Record {
                sequence,
                kind: 1,
                schema: 2,
                payload: vec![7; SMALL],
            }],
        };
        let units: Vec<Unit> = (batch * BATCH + 1..=(batch + 1) * BATCH)
            .map(unit)
            .collect();
        journal.append(&units).expect("it is staged");
        journal.commit().expect("it is stored");
    }
    let written = count as f64 / begun.elapsed().as_secs_f64() / 1e6;
    let (begun, before) = (Instant::now(), resident());
    let (mut sequence, mut most) = (0, 0);
    for record in journal.read_from(1).expect("it reads") {
        sequence += 1;
        assert_eq!(record.expect("a whole record").sequence, sequence);
        if sequence.is_multiple_of(50_000) {
            most = most.max(resident() - before);
        }
    }
    assert_eq!(sequence, count);
    let read = count as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!(
        "{name}: {count} records of {SMALL} bytes, in {written:.3} M/s, out {read:.3} M/s, RSS \
         {before} kB and {most} kB more at most while reading"
    );
}

fn memories(count: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    let journal = EmbeddedJournal::open(&dir, "paper", Options::default());
    memory("files", &mut journal.expect("it opens"), count);
    let postgres = Postgres::start().expect("PostgreSQL starts");
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    let journals = PgJournals::new(&server).expect("the tables are there");
    let mut journal = journals.open("paper").expect("it opens");
    memory("PostgreSQL", &mut journal, count);
}

fn main() {
    // Cargo adds `--bench`; the first plain number is ours.
    let number = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    if std::env::args().any(|argument| argument == "rss") {
        return memories(number.unwrap_or(10) * 1_000_000);
    }
    let seconds = number.unwrap_or(5);
    let wall = Duration::from_secs(seconds);
    let postgres = Postgres::start_with(&["max_connections=200"]).expect("PostgreSQL starts");
    let table = "CREATE TABLE plain (writer text, sequence int8, payload bytea, \
                 PRIMARY KEY (writer, sequence))";
    postgres.query("apex", table).expect("a table");
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    let accounts = PgJournals::new(&server).expect("the tables are there");
    for round in 0..3 {
        let grouped = journals(&accounts, wall, round, None);
        let one = plain(&postgres, 1, wall, round);
        let every = Duration::from_secs_f64(WRITERS as f64 / one.rate);
        let paced = journals(&accounts, wall, round, Some(every));
        let many = plain(&postgres, WRITERS, wall, round);
        for (name, figure) in [
            ("journal, 64 accounts", &grouped),
            ("one connection, a commit each", &one),
            ("64 connections, a commit each", &many),
            ("journal at one's pace", &paced),
        ] {
            println!(
                "{name:30} {:8.0} orders/s, p50 {:.2} ms, p99 {:.2} ms",
                figure.rate, figure.p50, figure.p99
            );
        }
        println!(
            "times one connection: {:.1}; times 64: {:.2}; p99 against that of 64: {:.2}, at one's \
             pace against a commit's: {:.2}",
            grouped.rate / one.rate,
            grouped.rate / many.rate,
            grouped.p99 / many.p99,
            paced.p99 / one.p99
        );
    }
}
