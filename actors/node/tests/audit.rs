//! The audit of a node on PostgreSQL: written, gone on with, and checked row by row.

use apex_domain::matching::SimInstrument;
use apex_node::sim;
use apex_node::stores::ServerSettings;
use apex_node::up::NodeOptions;
use apex_node::verify::{Verification, verify};
use apex_storage::testkit::{Postgres, here};

async fn run(options: &NodeOptions) {
    let listed = SimInstrument::defaults();
    let live = sim::inside(options, 7, listed, None).await.unwrap();
    live.stop().await;
}

fn check(options: &NodeOptions) -> Verification {
    verify(&options.data_dir, &options.servers).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_keeps_the_audit_over_runs_and_changed_rows_are_named() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions {
        servers: ServerSettings {
            database_url: Some(postgres.url()),
            ..ServerSettings::default()
        },
        ..NodeOptions::in_folder(folder.path())
    };
    run(&options).await;
    let first = check(&options).audit.unwrap();
    // Started, the key of admin, stopped.
    assert_eq!((first.records, first.unseen), (3, 0));
    let chain = "SELECT encode(chain, 'hex') FROM journal_account WHERE account_id = '=audit'";
    let chain = postgres.query("apex", chain).unwrap();
    run(&options).await;
    let found = check(&options);
    let second = found.audit.unwrap();
    assert!(found.ok);
    assert_eq!((second.records, second.unseen), (5, 0));
    assert_eq!(second.audit_id, first.audit_id);

    // The newest rows are taken away, and the journal's end is made what it was before them.
    let end = format!(
        "UPDATE journal_account SET sequence = 3, chain = decode('{}', 'hex') \
         WHERE account_id = '=audit'",
        chain.trim()
    );
    for change in [
        "DELETE FROM journal_frame WHERE account_id = '=audit' AND first_sequence > 3",
        &end,
    ] {
        postgres.query("apex", change).unwrap();
    }
    let found = check(&options);
    assert!(!found.ok);
    let bad = found.audit.unwrap().first_bad.unwrap();
    assert_eq!(bad.sequence, 4);
    assert!(bad.reason.contains("its end was cut off"), "{}", bad.reason);
}
