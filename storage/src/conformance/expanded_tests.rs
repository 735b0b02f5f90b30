//! This build as the older one: every suite on a database that a later step has expanded.
//!
//! A step of a release only adds. What it adds here is the worst that the rule allows: columns to
//! every table, of which one has a default and one may be null, a table, indexes, and a version that
//! this build does not know.

use super::tests::InDatabase;
use super::{
    JournalBackend, JournalsBackend, RecordsBackend, SeriesBackend, audit_suite, journal_suite,
    journals_suite, records_suite, series_suite,
};
use crate::StorageError;
use crate::port::journal::{Journal, JournalError};
use crate::port::journals::Journals;
use crate::port::records::Records;
use crate::port::series::Series;
use crate::postgres::{PgJournals, PgRecords, PgSeries, migrate, schema_version};
use crate::testkit::{Postgres, here};
use std::sync::atomic::AtomicUsize;

/// Refinery's own table is left as it is: its steps are not ours.
const EXPAND: &str = "
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname <> 'refinery_schema_history'
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN later_note text, \
            ADD COLUMN later_count int8 NOT NULL DEFAULT 7', one.name);
    END LOOP;
END $$;
CREATE TABLE later (later_id int8 PRIMARY KEY, account_id text NOT NULL);
CREATE INDEX ON journal_frame (written_at);
CREATE INDEX ON journal_account (later_count);
CREATE INDEX ON record (later_count, table_name);
CREATE INDEX ON series_trade (later_count, ts_event_ns);
CREATE INDEX ON series_rolled (ts_open_ns, later_count);
INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
    VALUES (99, 'later', '2027-01-01T00:00:00Z', '1')";

struct Expanded(InDatabase);

impl Expanded {
    fn new(server: &Postgres, number: &AtomicUsize) -> Expanded {
        let database = InDatabase::new(server, number);
        // With the tables that the first one to open them makes.
        PgSeries::open(&database.server()).expect("it opens");
        let asked = database.name();
        server.query(&asked, EXPAND).expect("a later step");
        let left_out = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
                        WHERE relnamespace = current_schema()::regnamespace \
                        AND relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_attribute \
                        WHERE attrelid = pg_class.oid AND attname = 'later_count')";
        let left_out = server.query(&asked, left_out).expect("it answers");
        assert_eq!(left_out, "later refinery_schema_history");
        Expanded(database)
    }
}

impl JournalBackend for Expanded {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        JournalBackend::open(&self.0)
    }
}

impl JournalsBackend for Expanded {
    fn open(&self) -> Result<Box<dyn Journals>, StorageError> {
        JournalsBackend::open(&self.0)
    }
}

impl RecordsBackend for Expanded {
    fn open(&self) -> Result<Box<dyn Records>, StorageError> {
        RecordsBackend::open(&self.0)
    }
}

impl SeriesBackend for Expanded {
    fn open(&self) -> Result<Box<dyn Series>, StorageError> {
        SeriesBackend::open(&self.0)
    }
}

#[test]
fn an_older_build_keeps_journals_on_an_expanded_schema() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    journal_suite(|| Expanded::new(&server, &number));
    journals_suite(|| Expanded::new(&server, &number));
}

#[test]
fn an_older_build_keeps_audit_and_records_on_an_expanded_schema() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    audit_suite(|| Expanded::new(&server, &number));
    records_suite(|| Expanded::new(&server, &number));
}

#[test]
fn an_older_build_keeps_time_series_on_an_expanded_schema() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    series_suite(|| Expanded::new(&server, &number));
}

#[test]
fn a_step_that_takes_something_away_ends_the_older_build() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let expanded = Expanded::new(&server, &AtomicUsize::new(0));
    let on = expanded.0.server();
    assert_eq!(schema_version(&on).expect("it may be used"), 99);
    assert_eq!(migrate(&on).expect("nothing to do"), Vec::<String>::new());
    let contract = "ALTER TABLE journal_account DROP COLUMN owner; \
                    UPDATE apextrade_schema SET oldest_reader = 99";
    let asked = expanded.0.name();
    server.query(&asked, contract).expect("a later step");
    for refused in [
        PgJournals::new(&on).map(drop),
        PgRecords::new(&on).map(drop),
        PgSeries::open(&on).map(drop),
        migrate(&on).map(drop),
        schema_version(&on).map(drop),
    ] {
        let error = refused.expect_err("this build is too old");
        assert!(
            matches!(error, StorageError::NewerVersion { found: 99, .. }),
            "{error}"
        );
    }
}
