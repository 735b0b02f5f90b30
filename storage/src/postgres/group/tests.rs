//! Batches that the server refuses, beside others that it takes.

use super::*;
use crate::embedded::FrameBuilder;
use crate::port::journal::{Class, Journal, Record, Unit};
use crate::postgres::{PgJournal, PgJournals, ReservedJournals, ServerOptions, migrate};
use crate::testkit::{Postgres, here};
use crate::{DataDir, StorageError};

fn connect(postgres: &Postgres) -> PgServer {
    let options = ServerOptions {
        timeout: Duration::from_secs(5),
        ..ServerOptions::new("APEX_DATABASE_URL", &postgres.url())
    };
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    server
}

/// Makes the server refuse what it is asked to store of accounts whose name begins with `bad`.
fn refuse(postgres: &Postgres, table: &str) {
    let trigger = format!(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.account_id LIKE 'bad%' AND NEW.epoch > 0 THEN RAISE EXCEPTION 'not this one'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE {} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()",
        if table == "journal_frame" {
            "INSERT"
        } else {
            "UPDATE OF sequence"
        }
    );
    postgres.query("apex", &trigger).expect("a trigger");
}

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        kind: 3,
        schema: 2,
        payload: format!("event {sequence}").into_bytes(),
    }
}

type Outcome = blocking::Receiver<Result<(), StorageError>>;

/// The next record of a journal as a batch, and where its answer comes.
fn batch(journal: &PgJournal, account_id: &str) -> (Batch, Outcome) {
    batch_of(journal, account_id, 1)
}

/// As [`batch`], of so many records with a row each.
fn batch_of(journal: &PgJournal, account_id: &str, records: u64) -> (Batch, Outcome) {
    let before = journal.head();
    let (done, outcome) = blocking::sync_channel(1);
    let (mut after, mut rows) = (before, Vec::new());
    for _ in 0..records {
        let first = after.sequence + 1;
        let mut staged = FrameBuilder::new();
        staged.push(&record(first));
        let (frame, last, chain) = staged.seal(&after.chain);
        let frame = frame.to_vec();
        rows.push(Row { first, last, frame });
        after = Head {
            sequence: last,
            chain,
        };
    }
    let batch = Batch {
        account_id: account_id.to_owned(),
        epoch: journal.epoch() as i64,
        before,
        after,
        rows,
        in_doubt: false,
        done,
    };
    (batch, outcome)
}

/// Stores a group as one of the writers does.
fn store(server: &PgServer, group: Vec<Batch>) {
    let (_queue, waiting) = mpsc::channel(1);
    let mut writer = Writer {
        server: server.clone(),
        connected: None,
        waiting: Arc::new(Mutex::new(waiting)),
        outage: Arc::default(),
    };
    let stored = server.wait(async move {
        writer.store(group).await;
        Ok(())
    });
    stored.expect("it comes to an end");
}

#[test]
fn of_a_group_only_what_the_server_refuses_is_refused() {
    for table in ["journal_frame", "journal_account"] {
        let Some(postgres) = here(Postgres::start()) else {
            return;
        };
        let server = connect(&postgres);
        let journals = PgJournals::new(&server).expect("the tables are there");
        let accounts = ["a", "bad-1", "c", "d", "bad-2", "f", "g"];
        let open = |id: &&str| journals.open(id).expect("it opens");
        let opened: Vec<PgJournal> = accounts.iter().map(open).collect();
        refuse(&postgres, table);
        let made = opened.iter().zip(accounts);
        let (group, outcomes): (Vec<Batch>, Vec<Outcome>) =
            made.map(|(journal, id)| batch(journal, id)).unzip();
        store(&server, group);
        for (id, outcome) in accounts.iter().zip(outcomes) {
            let outcome = outcome.recv().expect("it is answered");
            if !id.starts_with("bad") {
                outcome.expect("it is stored");
                continue;
            }
            let refused = outcome.expect_err("it is refused");
            assert!(refused.must_abort(), "{refused}");
            let expected = format!(
                "PostgreSQL at {} refuses records 1 to 1 of account {id}: not this one (P0001) (set \
                 by APEX_DATABASE_URL)",
                server.name()
            );
            assert_eq!(refused.to_string(), expected);
        }
        let stored = "SELECT string_agg(account_id, ' ' ORDER BY account_id) FROM journal_frame";
        let stored = postgres.query("apex", stored).expect("it answers");
        assert_eq!(stored, "a c d f g", "{table}");
    }
}

#[test]
fn a_batch_of_which_an_attempt_is_in_doubt_is_not_said_to_be_refused() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let server = connect(&postgres);
    let journals = PgJournals::new(&server).expect("the tables are there");
    let journal = journals.open("bad").expect("it opens");
    // One that was stored, its answer lost: refused or not, it is stored.
    let (stored, outcome) = batch(&journal, "bad");
    store(&server, vec![stored]);
    outcome.recv().expect("an answer").expect("it is stored");
    refuse(&postgres, "journal_frame");
    let (mut again, outcome) = batch(&journal, "bad");
    again.in_doubt = true;
    store(&server, vec![again]);
    outcome.recv().expect("an answer").expect("it is found");
    // One that may still be on its way.
    let journal = journals.take_over("bad").expect("it opens");
    let (mut next, outcome) = batch(&journal, "bad");
    next.in_doubt = true;
    store(&server, vec![next]);
    let error = outcome.recv().expect("an answer").expect_err("refused");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("an earlier attempt has no answer")
    );
}

#[test]
fn a_batch_whose_first_rows_an_earlier_one_has_stored_goes_on_behind_them() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let server = connect(&postgres);
    let journals = PgJournals::new(&server).expect("the tables are there");
    let open = |id: &str| journals.open(id).expect("it opens");
    let (first, second) = (open("first"), open("second"));
    // Both were sent shorter, and given up without an answer.
    for (journal, id, records) in [(&first, "first", 1), (&second, "second", 2)] {
        let (stored, outcome) = batch_of(journal, id, records);
        store(&server, vec![stored]);
        outcome.recv().expect("an answer").expect("it is stored");
    }
    let (longer, of_first) = batch_of(&first, "first", 3);
    let (same, of_second) = batch_of(&second, "second", 2);
    store(&server, vec![longer, same]);
    for outcome in [of_first, of_second] {
        outcome.recv().expect("an answer").expect("it is stored");
    }
    let rows = "SELECT string_agg(account_id || last_sequence, ' ' ORDER BY account_id, last_sequence) \
                FROM journal_frame";
    let rows = postgres.query("apex", rows).expect("it answers");
    assert_eq!(rows, "first1 first2 first3 second1 second2");
    // Rows of another history are none of its own.
    let (mut other, outcome) = batch_of(&second, "second", 3);
    other.rows[1].frame = other.rows[0].frame.clone();
    store(&server, vec![other]);
    let damaged = outcome.recv().expect("an answer").expect_err("it differs");
    assert!(matches!(damaged, StorageError::Damaged { .. }), "{damaged}");
}

fn unit(sequence: u64) -> [Unit; 1] {
    [Unit {
        class: Class::Order,
        records: vec![record(sequence)],
    }]
}

#[test]
fn a_refused_account_is_told_at_once_and_goes_on_when_it_is_mended() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let server = connect(&postgres);
    let journals = PgJournals::new(&server).expect("the tables are there");
    refuse(&postgres, "journal_frame");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    let reserved = ReservedJournals::new(journals.clone(), &dir).unwrap();
    let open = |id: &str| -> Box<dyn Journal> {
        match id {
            "bad-reserved" => Box::new(reserved.open(id).expect("it opens")),
            _ => Box::new(journals.open(id).expect("it opens")),
        }
    };
    for id in ["bad", "bad-reserved"] {
        let mut journal = open(id);
        journal.append(&unit(1)).expect("it is staged");
        let begun = Instant::now();
        let refused = journal.commit().expect_err("it is refused");
        assert!(matches!(refused, StorageError::Refused { .. }), "{refused}");
        // Not after the five minutes that a commit waits for a server.
        assert!(begun.elapsed() < Duration::from_secs(20));
        // Nothing else is tried on it.
        let again = journal.commit().expect_err("it stays so");
        assert_eq!(again.to_string(), refused.to_string());
        let mut other = open("good");
        let next = other.head().sequence + 1;
        other.append(&unit(next)).expect("it is staged");
        assert_eq!(other.commit().expect("it goes on").0, next);
    }
    let mend = "DROP TRIGGER refuse ON journal_frame";
    postgres.query("apex", mend).expect("it is mended");
    for id in ["bad", "bad-reserved"] {
        let mut journal = open(id);
        assert_eq!(journal.head().sequence, 0, "nothing of it was stored");
        journal.append(&unit(1)).expect("it is staged");
        assert_eq!(journal.commit().expect("it is taken now").0, 1);
    }
}
