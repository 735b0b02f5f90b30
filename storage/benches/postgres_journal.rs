//! How many orders a second become durable on PostgreSQL, and how long one takes: 64 accounts that
//! commit one order each at a time, against plain connections that do the same.
//!
//! `cargo bench -p apex-storage --features testkit --bench postgres_journal --profile fast
//! [-- SECONDS]`; starts a PostgreSQL of its own.

use apex_storage::postgres::{PgJournals, PgServer, ServerOptions, migrate};
use apex_storage::testkit::Postgres;
use apex_storage::{Class, Journal, Record, Unit};
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

/// Runs `writers` threads for `wall`, each with what `make` gives it.
fn run<W, F>(writers: usize, wall: Duration, make: impl Fn(usize) -> W) -> Figure
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
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    order();
                    spent.push(begun.elapsed());
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

fn journals(journals: &PgJournals, wall: Duration, round: usize) -> Figure {
    run(WRITERS, wall, |number| {
        let journals = journals.clone();
        move || {
            let id = format!("round-{round}-{number}");
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
    run(writers, wall, |number| {
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

fn main() {
    // Cargo adds `--bench`; the first plain number is ours.
    let seconds = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(5);
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
        let grouped = journals(&accounts, wall, round);
        let one = plain(&postgres, 1, wall, round);
        let many = plain(&postgres, WRITERS, wall, round);
        for (name, figure) in [
            ("journal, 64 accounts", &grouped),
            ("one connection, a commit each", &one),
            ("64 connections, a commit each", &many),
        ] {
            println!(
                "{name:30} {:8.0} orders/s, p50 {:.2} ms, p99 {:.2} ms",
                figure.rate, figure.p50, figure.p99
            );
        }
        println!(
            "times one connection: {:.1}; times 64: {:.2}; p99 against a commit's: {:.2}",
            grouped.rate / one.rate,
            grouped.rate / many.rate,
            grouped.p99 / one.p99
        );
    }
}
