//! Migrations, on a real server.

use super::*;
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
        "APEX_DATABASE_URL names a database with schema version 0, and this build needs 3: run \
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
    assert_eq!(taken[1], ["journal", "records", "series"]);
    assert_eq!(migrate(&on).expect("again"), Vec::<String>::new());
    PgJournals::new(&on).expect("the tables are there");
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
