//! Claims, spaces and damage, on a real server.

use super::*;
use crate::port::journal::{Class, Journal, Record, Unit};
use crate::port::journals::Journals;
use crate::postgres::{PgJournals, ServerOptions, migrate_empty};
use crate::testkit::{Postgres, here};

fn server(url: &str, space: Option<&'static str>) -> PgServer {
    let options = ServerOptions {
        space,
        ..ServerOptions::new("APEX_DATABASE_URL", url)
    };
    let server = PgServer::connect(options).expect("the server answers");
    migrate_empty(&server).expect("the tables are made");
    server
}

fn write(server: &PgServer, payloads: &[&str]) {
    let journals = PgJournals::new(server).expect("the tables are there");
    let mut journal = journals.open("paper").expect("it opens");
    for payload in payloads {
        let record = Record {
            sequence: journal.head().sequence + 1,
            kind: 1,
            schema: 2,
            payload: payload.as_bytes().to_vec(),
        };
        let unit = Unit {
            class: Class::Order,
            records: vec![record],
        };
        journal.append(&[unit]).expect("it is staged");
        journal.commit().expect("it is durable");
    }
}

fn read(server: &PgServer) -> Vec<String> {
    let journals = PgJournals::new(server).expect("the tables are there");
    let mut payloads = Vec::new();
    let report = journals.verify("paper", &mut |record| {
        payloads.push(String::from_utf8(record.payload.to_vec()).expect("text"));
    });
    assert!(report.expect("it is read").ok());
    payloads
}

#[test]
fn a_database_has_one_process_at_a_time_and_says_who() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let url = postgres.url();
    let (first, second) = (server(&url, None), server(&url, None));
    let claim = first.claim().expect("it is free");
    let refused = second.claim().expect_err("it is taken").to_string();
    assert!(
        refused.contains("127.0.0.1") && refused.contains("server process"),
        "{refused}"
    );
    // Another space is another place.
    server(&url, Some("other_space")).claim().expect("free");
    drop(claim);
    second.claim().expect("it is free again");
}

#[test]
fn spaces_of_one_database_are_apart_and_are_moved_aside_whole() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let url = postgres.url();
    let live = server(&url, None);
    write(&live, &["live"]);
    for run in ["run 1", "run 2"] {
        let replay = server(&url, Some("some_replay"));
        write(&replay, &[run]);
        assert_eq!(read(&replay), [run]);
        let aside = replay.move_space_aside().expect("it is renamed");
        let number = &run[4..];
        assert_eq!(aside, Some(format!("some_replay_{number}")));
        assert_eq!(replay.move_space_aside().expect("nothing"), None);
    }
    assert_eq!(live.move_space_aside().expect("no space"), None);
    assert_eq!(read(&live), ["live"]);
    let kept = "SELECT count(*) FROM some_replay_1.journal_frame";
    assert_eq!(postgres.query("apex", kept).expect("kept"), "1");
}

#[test]
fn a_check_finds_edits_and_gaps_and_a_lost_end() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let whole = ["one", "two", "three", "four"];
    for (number, (harm, sequence)) in [
        ("UPDATE journal_frame SET frame = overlay(frame placing '\\x00' from 70) WHERE last_sequence = 2", 2),
        ("DELETE FROM journal_frame WHERE last_sequence = 3", 3),
        ("DELETE FROM journal_frame WHERE last_sequence = 4", 4),
        ("UPDATE journal_frame SET frame = (SELECT frame FROM journal_frame WHERE last_sequence = 2) \
          WHERE last_sequence = 3", 3),
        ("DELETE FROM journal_frame WHERE last_sequence = 1", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("harm_{number}");
        let made = postgres.query("postgres", &format!("CREATE DATABASE {name}"));
        made.expect("a database is made");
        let on = server(&postgres.url_of(&name), None);
        write(&on, &whole);
        postgres.query(&name, harm).expect("it is done");
        let journals = PgJournals::new(&on).expect("the tables are there");
        let mut seen = 0;
        let report = journals.verify("paper", &mut |_| seen += 1).expect("read");
        let bad = report.first_bad.expect("it is found");
        assert_eq!((bad.sequence, seen), (sequence, sequence - 1), "{harm}: {bad:?}");
        assert_eq!(report.head.sequence, sequence - 1, "{harm}");
    }
}
