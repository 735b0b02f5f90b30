//! Migrations, on a real server.

use super::*;
use crate::port::journal::Journal;
use crate::postgres::{PgJournals, ServerOptions};
use crate::testkit::{Postgres, here};

fn server(url: &str) -> PgServer {
    PgServer::connect(ServerOptions::new("APEX_DATABASE_URL", url)).expect("the server answers")
}

#[test]
fn the_schema_is_made_once_whoever_starts_and_however_often() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let on = server(&postgres.url());
    let early = PgJournals::new(&on).expect_err("there are no tables");
    assert_eq!(
        early.to_string(),
        "APEX_DATABASE_URL names a database with schema version 0, and this build needs 5: run \
         `apextrade migrate`"
    );
    let url = postgres.url();
    let both: Vec<_> = (0..2)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || migrate(&server(&url)).expect("it migrates"))
        })
        .collect();
    let mut taken: Vec<Vec<String>> = both
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .collect();
    taken.sort();
    assert_eq!(taken[0], Vec::<String>::new());
    let steps = [
        "journal",
        "records",
        "series",
        "journal_base",
        "journal_reserve",
    ];
    assert_eq!(taken[1], steps);
    assert_eq!(migrate(&on).expect("again"), Vec::<String>::new());
    PgJournals::new(&on).expect("the tables are there");
}

#[test]
fn steps_are_numbered_without_a_gap() {
    // One that fills a gap later would never be taken where the last one was.
    for (place, (name, _)) in STEPS.iter().enumerate() {
        assert!(name.starts_with(&format!("V{}__", place + 1)), "{name}");
    }
}

#[test]
fn a_newer_schema_is_used_until_it_takes_something_away() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let on = server(&postgres.url());
    migrate(&on).expect("it migrates");
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                 VALUES (99, 'later', '2026-01-01T00:00:00Z', '1')";
    postgres.query("apex", later).expect("a later step");
    PgJournals::new(&on).expect("what it added harms nobody");
    assert_eq!(migrate(&on).expect("nothing to do"), Vec::<String>::new());
    let contract = "UPDATE apextrade_schema SET oldest_reader = 99";
    postgres
        .query("apex", contract)
        .expect("it takes something away");
    for refused in [PgJournals::new(&on).map(drop), migrate(&on).map(drop)] {
        let error = refused.expect_err("this build is too old");
        assert!(
            matches!(error, StorageError::NewerVersion { found: 99, .. }),
            "{error}"
        );
    }
}

/// The steps of a build that is older by one, taken by hand as its `migrate` would.
fn of_schema_3(server: &PgServer) {
    let on = server.clone();
    let taken = server.wait(async move {
        let mut client = on.connection().await?;
        let steps = STEPS[..3].iter();
        let steps: Vec<Migration> = steps
            .map(|(name, sql)| Migration::unapplied(name, sql).expect("a step"))
            .collect();
        let taken = Runner::new(&steps).run_async(&mut client).await;
        taken.map_err(|error| on.unavailable(&error.to_string()))
    });
    assert_eq!(taken.expect("it migrates").applied_migrations().len(), 3);
}

#[test]
fn a_database_of_schema_3_is_refused_until_it_is_migrated_and_keeps_its_journals() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let on = server(&postgres.url());
    of_schema_3(&on);
    // As that build leaves an account that was opened and never written to.
    let row = "INSERT INTO journal_account (account_id, epoch, sequence, chain, owner) \
               SELECT 'paper', 7, 0, decode(repeat('00', 32), 'hex'), 'process 1'";
    postgres.query("apex", row).expect("a journal");
    // A start makes the tables of an empty database alone.
    migrate_empty(&on).expect("nothing is done");
    for refused in [
        PgJournals::new(&on).map(drop),
        schema_version(&on).map(drop),
    ] {
        let error = refused.expect_err("it is older");
        assert_eq!(
            error.to_string(),
            "APEX_DATABASE_URL names a database with schema version 3, and this build needs 5: \
             run `apextrade migrate`"
        );
    }
    let steps = ["journal_base", "journal_reserve"];
    assert_eq!(migrate(&on).expect("it migrates"), steps);
    assert_eq!(schema_version(&on).expect("it is new"), 5);
    let journal = PgJournals::new(&on).expect("the tables are there");
    let journal = journal.open("paper").expect("it opens");
    assert_eq!((journal.epoch(), journal.head().sequence), (8, 0));
    // Nothing was taken from the older build.
    let oldest = postgres.query("apex", "SELECT oldest_reader FROM apextrade_schema");
    assert_eq!(oldest.expect("it answers"), "1");
}
