//! What a wire and other writers can do to changes of records.

use crate::StorageError;
use crate::port::records::{Change, Records};
use crate::postgres::{PgRecords, PgServer, ServerOptions, migrate};
use crate::testkit::{Postgres, Proxy, here};
use std::time::Duration;

fn connect(url: &str) -> PgServer {
    let options = ServerOptions {
        timeout: Duration::from_secs(5),
        give_up: Duration::from_millis(300),
        ..ServerOptions::new("APEX_DATABASE_URL", url)
    };
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    server
}

fn through(proxy: &Proxy, postgres: &Postgres) -> PgRecords {
    let direct = format!(":{}/", postgres.port());
    let url = postgres.url();
    let url = url.replace(&direct, &format!(":{}/", proxy.port()));
    PgRecords::new(&connect(&url)).expect("the tables are there")
}

fn count(records: &PgRecords) -> u32 {
    let value = records.get("counters", "n").expect("it can be read");
    let text = value.map(|bytes| String::from_utf8(bytes).expect("a number of ours"));
    text.map_or(0, |text| text.parse().expect("a number of ours"))
}

fn next(count: u32) -> [Change; 2] {
    let next = (count + 1).to_string();
    [
        Change::replace("counters", "n", count.to_string(), next.clone()),
        Change::insert("seen", &next, b""),
    ]
}

#[test]
fn a_change_whose_answer_is_lost_is_made_once_and_answered_once() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
    let records = through(&proxy, &postgres);
    records
        .put("counters", "n", b"0")
        .expect("the server answers");
    for number in 0..24 {
        // On a connection that was used before: losing a new one is an error at once.
        let warm = Change::absent("counters", "none");
        records.change(&[warm]).expect("the server answers");
        // Each of the answers to one change in turn, that to COMMIT among them.
        proxy.swallow_answer(1 + number as usize % 8);
        records.change(&next(number)).expect("it is found out");
        proxy.swallow_answer(0);
        assert_eq!(count(&records), number + 1);
    }
    assert!(proxy.swallowed() >= 12, "{} answers", proxy.swallowed());
    assert_eq!(records.list("seen").expect("it can be read").len(), 24);
}

#[test]
fn a_change_whose_outcome_cannot_be_found_out_says_so() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (mut unknown, mut made) = (0, 0);
    for lost in 1..=8 {
        let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
        let records = through(&proxy, &postgres);
        records
            .put("counters", "n", b"0")
            .expect("the server answers");
        records.delete("seen", "1").expect("the server answers");
        // So that the next is made on a connection that was used before.
        let warm = Change::absent("counters", "none");
        records.change(&[warm]).expect("the server answers");
        // Whoever asks what became of it hears nothing.
        proxy.answer_instead(Some((b"pg_xact_status", Vec::new())));
        proxy.swallow_answer(lost);
        let outcome = records.change(&next(0));
        let swallowed = proxy.swallowed();
        let direct = PgRecords::new(&connect(&postgres.url())).expect("the tables are there");
        match outcome {
            Ok(()) => {
                assert_eq!(count(&direct), 1, "answer {lost} of {swallowed}");
            }
            Err(error @ StorageError::OutcomeUnknown { .. }) => {
                assert!(error.must_abort(), "{error}");
                unknown += 1;
                made += count(&direct);
            }
            Err(error) => panic!("answer {lost}: {error}"),
        }
    }
    assert!(
        unknown >= 1 && made == unknown,
        "{unknown}, {made} of them made"
    );
}

#[test]
fn of_two_processes_that_change_the_same_one_wins_each_time() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let processes = [(); 2].map(|()| {
        let server = connect(&postgres.url());
        PgRecords::new(&server).expect("the tables are there")
    });
    processes[0]
        .put("counters", "n", b"0")
        .expect("the server answers");
    for number in 0..40 {
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads = processes
                .each_ref()
                // Of one key that is there: only the locks keep them apart, no primary key.
                .map(|records| scope.spawn(move || records.change(&next(number)[..1])));
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no thread panics"))
                .collect()
        });
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
        let lost = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        assert!(
            matches!(lost, Some(StorageError::Conflict { table, key })
                if table == "counters" && key == "n"),
            "{lost:?}"
        );
        assert_eq!(count(&processes[1]), number + 1);
    }
}

#[test]
fn a_key_that_is_put_plainly_meanwhile_is_a_conflict() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let records = PgRecords::new(&connect(&postgres.url())).expect("the tables are there");
    let mut met = 0;
    for round in 0..60 {
        let key = format!("key {round}");
        let inserted = std::thread::scope(|scope| {
            let putter = scope.spawn(|| records.put("plain", &key, b"put"));
            let inserted = records.change(&[Change::insert("plain", &key, b"inserted")]);
            putter.join().expect("no panic").expect("a put is stored");
            inserted
        });
        match inserted {
            // The put came behind it.
            Ok(()) => {}
            Err(StorageError::Conflict { key: found, .. }) => {
                assert_eq!(found, key);
                met += 1;
            }
            Err(error) => panic!("{error}"),
        }
        let found = records.get("plain", &key).expect("it can be read");
        assert_eq!(found.as_deref(), Some(&b"put"[..]), "never written over");
    }
    assert!(met > 0, "they never met");
}

#[test]
fn a_process_that_stops_in_a_change_holds_others_up_for_a_statement_only() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let server = connect(&postgres.url());
    let records = PgRecords::new(&server).expect("the tables are there");
    records
        .put("counters", "n", b"0")
        .expect("the server answers");
    // As a writer begins, and then nothing more comes.
    let writer = super::Writer::new(&server);
    let begin = writer.begin(&next(0)).replace("5000", "200");
    let stopped = server.clone();
    let client = server.wait(async move {
        let client = stopped.connection().await?;
        stopped.within(client.batch_execute(&begin)).await?;
        Ok(client)
    });
    let _client = client.expect("the locks are free");
    records.change(&next(0)).expect("the locks are given up");
    assert_eq!(count(&records), 1);
}
