//! What a database and the wire to it can do to a journal.

use super::*;
use crate::StorageError;
use crate::port::journal::{Class, Journal, Record, Unit};
use crate::port::records::Records;
use crate::testkit::{Postgres, Proxy, here};
use std::time::{Duration, Instant};

fn options(url: &str) -> ServerOptions {
    ServerOptions {
        timeout: Duration::from_secs(5),
        ..ServerOptions::new("APEX_DATABASE_URL", url)
    }
}

fn connect(url: &str) -> PgServer {
    let server = PgServer::connect(options(url)).expect("the server answers");
    migrate(&server).expect("the tables are made");
    server
}

fn through(proxy: &Proxy, postgres: &Postgres) -> String {
    let direct = format!(":{}/", postgres.port());
    postgres
        .url()
        .replace(&direct, &format!(":{}/", proxy.port()))
}

fn unit(sequence: u64) -> [Unit; 1] {
    let record = Record {
        sequence,
        kind: 3,
        schema: 2,
        payload: format!("event {sequence}").into_bytes(),
    };
    [Unit {
        class: Class::Order,
        records: vec![record],
    }]
}

fn commit(journal: &mut PgJournal, sequence: u64) -> Result<u64, StorageError> {
    journal.append(&unit(sequence))?;
    Ok(journal.commit()?.0)
}

fn sequences(journal: &PgJournal) -> Vec<u64> {
    let records = journal.read_from(1).expect("it can be read");
    records
        .map(|record| record.expect("a whole record").sequence)
        .collect()
}

#[test]
fn a_commit_whose_answer_is_lost_is_stored_once_and_answered_once() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
    let server = connect(&through(&proxy, &postgres));
    let journals = PgJournals::new(&server).expect("the tables are there");
    let mut journal = journals.open("paper").expect("it opens");
    for sequence in 1..=40 {
        match sequence % 4 {
            1 => proxy.swallow_next_answer(),
            2 => proxy.cut(),
            _ => {}
        }
        let durable = commit(&mut journal, sequence).expect("it is found out");
        assert_eq!(durable, sequence);
    }
    assert!(proxy.swallowed() >= 10, "{} answers", proxy.swallowed());
    assert_eq!(sequences(&journal), (1..=40).collect::<Vec<_>>());
    let rows = postgres.query("apex", "SELECT count(*) FROM journal_frame");
    assert_eq!(rows.expect("it answers"), "40");
}

#[test]
fn a_server_that_is_killed_and_started_again_has_every_acknowledged_record() {
    let Some(mut postgres) = here(Postgres::start()) else {
        return;
    };
    let server = connect(&postgres.url());
    let journals = PgJournals::new(&server).expect("the tables are there");
    let mut journal = journals.open("paper").expect("it opens");
    commit(&mut journal, 1).expect("it is stored");
    for sequence in 2..=4 {
        postgres.kill().expect("it is killed");
        // The commit is asked for while nobody answers, and goes on trying.
        let waiting = std::thread::spawn(move || {
            let outcome = commit(&mut journal, sequence);
            (journal, outcome)
        });
        postgres.restart().expect("it starts again");
        let (back, outcome) = waiting.join().expect("no panic");
        journal = back;
        assert_eq!(outcome.expect("it is stored in the end"), sequence);
    }
    assert_eq!(sequences(&journal), [1, 2, 3, 4]);
}

#[test]
fn a_server_that_stays_away_is_an_error_in_the_end() {
    let Some(mut postgres) = here(Postgres::start()) else {
        return;
    };
    let server = connect(&postgres.url());
    let impatient = ServerOptions {
        give_up: Duration::from_millis(200),
        ..options(&postgres.url())
    };
    let impatient = PgServer::connect(impatient).expect("the server answers");
    drop(server);
    let journals = PgJournals::new(&impatient).expect("the tables are there");
    let mut journal = journals.open("paper").expect("it opens");
    postgres.kill().expect("it is killed");
    let error = commit(&mut journal, 1).expect_err("nobody stored it");
    assert!(error.must_abort(), "{error}");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    // The outcome is not known, so nothing else is tried.
    let again = journal.commit().expect_err("it stays so");
    assert_eq!(again.to_string(), error.to_string());
    assert!(!error.to_string().contains(postgres.password()), "{error}");
}

#[test]
fn a_predecessor_is_refused() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let first = PgJournals::new(&connect(&postgres.url())).expect("the tables are there");
    let second = PgJournals::new(&connect(&postgres.url())).expect("the tables are there");
    let mut old = first.open("paper").expect("it opens");
    commit(&mut old, 1).expect("it is stored");
    let locked = second.open("paper").expect_err("it is in use");
    assert!(matches!(locked, StorageError::Locked { .. }), "{locked}");
    let mut new = second.take_over("paper").expect("it takes over");
    assert_eq!((old.epoch(), new.epoch()), (1, 2));
    let refused = commit(&mut old, 2).expect_err("it is fenced");
    let text = "account paper has another owner: epoch 2 where this one has 1";
    assert_eq!(refused.to_string(), text);
    assert!(refused.must_abort());
    commit(&mut new, 2).expect("the owner goes on");
    let stale = first.open("spare").expect("other accounts are untouched");
    drop(stale);
    let snapshot = old.snapshot_write(1, b"state");
    assert!(snapshot.is_err(), "nothing of the predecessor is stored");
    assert_eq!(sequences(&new), [1, 2]);
}

#[test]
fn accounts_commit_together_and_each_in_its_order() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let journals = PgJournals::new(&connect(&postgres.url())).expect("the tables are there");
    let accounts: Vec<_> = (0..16)
        .map(|number| {
            let journals = journals.clone();
            std::thread::spawn(move || {
                let id = format!("account-{number}");
                let mut journal = journals.open(&id).expect("it opens");
                for sequence in 1..=50 {
                    commit(&mut journal, sequence).expect("it is stored");
                }
                let seen = sequences(&journal);
                assert_eq!(seen, (1..=50).collect::<Vec<_>>(), "{id}");
            })
        })
        .collect();
    for account in accounts {
        account.join().expect("no account failed");
    }
}

#[test]
fn changed_rows_are_found_with_their_sequence() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let journals = PgJournals::new(&connect(&postgres.url())).expect("the tables are there");
    for (id, change, expected) in [
        (
            "edited",
            "UPDATE journal_frame SET frame = set_byte(frame, 80, 0) \
             WHERE account_id = 'edited' AND last_sequence = 2",
            "damaged at segment journal_frame of edited byte 0 (sequence 2): checksum mismatch",
        ),
        (
            "deleted",
            "DELETE FROM journal_frame WHERE account_id = 'deleted' AND last_sequence = 2",
            "damaged at segment journal_frame of deleted byte 0 (sequence 2): sequence 3 where 2 \
             must follow",
        ),
        (
            "cut",
            "DELETE FROM journal_frame WHERE account_id = 'cut' AND last_sequence = 4",
            "damaged at segment journal_frame of cut byte 0 (sequence 4): sequence 3 where 4 must \
             follow",
        ),
        (
            "swapped",
            "UPDATE journal_frame AS frame SET frame = other.frame FROM journal_frame AS other \
             WHERE frame.account_id = 'swapped' AND other.account_id = 'edited' \
             AND frame.last_sequence = 3 AND other.last_sequence = 3",
            "damaged at segment journal_frame of swapped byte 0 (sequence 3): hash chain mismatch",
        ),
    ] {
        let mut journal = journals.open(id).expect("it opens");
        for sequence in 1..=4 {
            commit(&mut journal, sequence).expect("it is stored");
        }
        postgres.query("apex", change).expect("the row is changed");
        let records = journal.read_from(1).expect("it can be read");
        let error = records
            .last()
            .and_then(Result::err)
            .map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(expected), "{id}");
    }
}

#[test]
fn settings_that_cannot_work_name_their_variable_and_no_secret() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let url = postgres.url();
    let wrong_password = url.replace(postgres.password(), "wrong-secret");
    for (url, expected) in [
        ("postgres://", "names no host"),
        ("http://x", "is no PostgreSQL URL"),
        ("postgres://u:wrong-secret@h:x/d", "is no PostgreSQL URL"),
        (&format!("{url}?sslmode=require"), "TLS"),
        (&wrong_password, "password authentication failed"),
        (&postgres.url_of("nothing"), "does not exist"),
    ] {
        let error = PgServer::connect(options(url)).expect_err(expected);
        // Each is mended in the setting; nothing is to be started.
        assert!(matches!(error, StorageError::Setting { .. }) || expected == "TLS");
        let error = error.to_string();
        assert!(error.contains("APEX_DATABASE_URL"), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_server_that_may_lose_commits_is_refused() {
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let setting = format!("{name}=off");
        let Some(postgres) = here(Postgres::start_with(&[&setting])) else {
            return;
        };
        let error = PgServer::connect(options(&postgres.url())).expect_err("it loses commits");
        let text = format!("{name} = off, which loses acknowledged orders");
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[test]
fn locks_that_a_lost_connection_took_with_it_are_taken_again() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
    let server = connect(&through(&proxy, &postgres));
    let claim = server.claim().expect("nobody has it");
    claim.confirm().expect("it answers");
    let journals = PgJournals::new(&server).expect("the tables are there");
    let first = journals.open("first").expect("it opens");
    let count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let held = || postgres.query("apex", count).expect("it answers");
    let until = |wanted: &str| {
        let begun = Instant::now();
        while held() != wanted {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{} locks",
                held()
            );
        }
    };
    assert_eq!(held(), "2");
    proxy.set_refusing(true);
    proxy.cut();
    until("0");
    proxy.set_refusing(false);
    until("2");
    let other = connect(&postgres.url());
    let locked = other.claim().expect_err("it is in use");
    assert!(matches!(locked, StorageError::Locked { .. }), "{locked}");
    // Another account can be opened, and the locks go with their owners.
    drop(journals.open("second").expect("it opens"));
    drop((first, journals, claim));
    until("0");
}

#[test]
fn many_who_ask_a_server_that_is_away_wait_no_longer_than_one() {
    let Some(mut postgres) = here(Postgres::start()) else {
        return;
    };
    let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
    connect(&postgres.url());
    let timeout = Duration::from_secs(1);
    let server = PgServer::connect(ServerOptions {
        timeout,
        ..options(&through(&proxy, &postgres))
    });
    let records = PgRecords::new(&server.expect("the server answers")).expect("it has tables");
    postgres.pause().expect("it stops");
    proxy.cut();
    let begun = Instant::now();
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let records = records.clone();
            std::thread::spawn(move || records.get("starts", "paper").expect_err("it is away"))
        })
        .collect();
    for asked in asking {
        let error = asked.join().expect("no panic");
        assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    }
    // Those who came while the first was told may wait for a second attempt.
    assert!(begun.elapsed() < timeout * 4, "{:?}", begun.elapsed());
    postgres.resume();
    assert_eq!(records.get("starts", "paper").expect("it is back"), None);
}

/// Opens what another process has, once its connection is lost and its lock is free.
fn open_once_free(journals: &PgJournals) -> PgJournal {
    let begun = Instant::now();
    loop {
        match journals.open("paper") {
            Ok(journal) => return journal,
            Err(StorageError::Locked { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it is locked");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn an_idle_owner_that_was_taken_over_does_not_take_its_locks_again() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
    let cut_off = connect(&through(&proxy, &postgres));
    let claim_of_it = cut_off.claim().expect("it is free");
    claim_of_it.confirm().expect("it answers");
    let journals = PgJournals::new(&cut_off).expect("the tables are there");
    let _idle = journals.open("paper").expect("it opens");
    proxy.set_refusing(true);
    proxy.cut();
    let other = connect(&postgres.url());
    let claim = other
        .claim()
        .expect("it is free once the connection is lost");
    claim.confirm().expect("it answers");
    let others = PgJournals::new(&other).expect("the tables are there");
    drop((open_once_free(&others), claim));
    // The first is back, and looks after its locks.
    proxy.set_refusing(false);
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let held = postgres.query("apex", held).expect("it answers");
        assert_eq!(held, "0", "a lock was taken again");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    other.claim().expect("it is free");
    others.open("paper").expect("it is free");
}

#[test]
fn an_owner_takes_its_lock_again_behind_a_start_that_was_refused() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let proxy = Proxy::start(postgres.port()).expect("a proxy starts");
    let owner = connect(&through(&proxy, &postgres));
    let claim = owner.claim().expect("it is free");
    claim.confirm().expect("it answers");
    proxy.set_refusing(true);
    proxy.cut();
    let other = connect(&postgres.url());
    // Refused by what it finds behind that.
    drop(other.claim().expect("it is free"));
    proxy.set_refusing(false);
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let begun = Instant::now();
    while postgres.query("apex", held).expect("it answers") != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not taken");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let locked = other.claim().expect_err("it is in use");
    assert!(matches!(locked, StorageError::Locked { .. }), "{locked}");
    drop(claim);
}
