//! A start on a data folder that may lack what was acknowledged on another while the database was away.

use apex_domain::AccountId;
use apex_domain::matching::SimInstrument;
use apex_domain::risk::TradingState;
use apex_node::NodeError;
use apex_node::sim;
use apex_node::stores::ServerSettings;
use apex_node::up::NodeOptions;
use apex_node::verify::verify;
use apex_storage::StorageError;
use apex_storage::testkit::{Postgres, here};
use std::path::Path;

fn options(postgres: &Postgres, folder: &Path, take_over: bool) -> NodeOptions {
    NodeOptions {
        servers: ServerSettings {
            database_url: Some(postgres.url()),
            take_over_without_reserve: take_over,
            ..ServerSettings::default()
        },
        ..NodeOptions::in_folder(folder)
    }
}

/// Starts and stops a node, and returns the trading state of its account.
async fn run(options: &NodeOptions) -> Result<TradingState, NodeError> {
    let live = sim::inside(options, 7, SimInstrument::defaults(), None).await?;
    let paper = AccountId::new("paper").expect("a valid id");
    let handle = live
        .node
        .platform
        .accounts
        .get(&paper)
        .expect("it is there");
    let state = handle.summary().await.expect("it answers").trading_state;
    live.stop().await;
    Ok(state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_may_lack_something_is_refused_until_it_is_forced_and_then_halted() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folders: Vec<_> = (0..3)
        .map(|_| tempfile::tempdir().expect("a folder"))
        .collect();
    let on = |number: usize, take_over| options(&postgres, folders[number].path(), take_over);
    let active = run(&on(0, false)).await.expect("it is new");
    assert_eq!(active, TradingState::Active);
    // An orderly end leaves nothing anywhere.
    let active = run(&on(1, false)).await.expect("any folder does");
    assert_eq!(active, TradingState::Active);
    // As a kill leaves it, of the account and of the audit.
    let killed = "INSERT INTO journal_reserve (account_id, folder_id, folder, epoch) \
                  VALUES ('paper', 'lost', 'host-1:/srv/lost', 2), \
                         ('=audit', 'lost', 'host-1:/srv/lost', 2), \
                         ('half-made', 'lost', 'host-1:/srv/lost', 0)";
    postgres.query("apex", killed).expect("it is noted");
    let refused = run(&on(1, false)).await.expect_err("it may lack something");
    let NodeError::Storage(StorageError::ReserveElsewhere { holders }) = &refused else {
        panic!("{refused}");
    };
    assert_eq!(holders.len(), 3);
    let text = refused.to_string();
    for word in ["account paper", "the audit", "host-1:/srv/lost"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let advice = refused.advice().expect("what to do");
    assert!(advice.contains("--take-over-without-reserve"), "{advice}");

    let halted = run(&on(1, true)).await.expect("it is forced");
    assert_eq!(halted, TradingState::Halted);
    // What is missing is accounted for: it asks no more, wherever the next start is.
    let halted = run(&on(2, false)).await.expect("nothing is missing");
    assert_eq!(halted, TradingState::Halted);
    let said = "SELECT count(*) FROM journal_frame WHERE account_id = '=audit' \
                AND position('Node/TookOverWithoutReserve'::bytea in frame) > 0";
    assert_eq!(postgres.query("apex", said).expect("it answers"), "1");
    let options = on(2, false);
    assert!(
        verify(&options.data_dir, &options.servers)
            .expect("it is read")
            .ok
    );
}
