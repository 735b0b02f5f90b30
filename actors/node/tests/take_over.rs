//! A start on a data folder that may lack what was acknowledged on another while the database was away.

use apex_domain::AccountId;
use apex_domain::matching::SimInstrument;
use apex_domain::risk::TradingState;
use apex_node::NodeError;
use apex_node::sim;
use apex_node::stores::{self, ServerSettings};
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

fn query(postgres: &Postgres, sql: &str) -> String {
    postgres.query("apex", sql).expect("it answers")
}

/// How many batches of the audit have these words.
fn audited(postgres: &Postgres, words: &str) -> String {
    recorded(postgres, "=audit", words)
}

fn recorded(postgres: &Postgres, account_id: &str, words: &str) -> String {
    let frames = format!(
        "SELECT count(*) FROM journal_frame WHERE account_id = '{account_id}' \
         AND position('{words}'::bytea in frame) > 0"
    );
    query(postgres, &frames)
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
    query(&postgres, killed);
    let claims = || query(&postgres, "SELECT claims FROM journal_database");
    let before = claims();
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
    assert_eq!(claims(), before, "whoever has the database keeps its lock");
    let told = on(1, false);
    let told = stores::other_reserves(&told.data_dir, &told.servers).expect("it answers");
    let elsewhere = told.elsewhere.expect("as the start was told");
    let accounts =
        "\"host-1:/srv/lost\" may hold a reserve of the audit, account half-made, account paper";
    assert!(elsewhere.starts_with(accounts), "{elsewhere}");
    assert_eq!(told.unnoted, None);

    let halted = run(&on(1, true)).await.expect("it is forced");
    assert_eq!(halted, TradingState::Halted);
    // What is missing is accounted for: it asks no more, wherever the next start is.
    let halted = run(&on(2, false)).await.expect("nothing is missing");
    assert_eq!(halted, TradingState::Halted);
    assert_eq!(audited(&postgres, "Node/TookOverWithoutReserve"), "1");
    assert_eq!(audited(&postgres, "account half-made is not run"), "1");
    // It is halted, and has to be told of the next one too: whoever resumes it looks at that.
    query(&postgres, killed);
    let halted = run(&on(2, true)).await.expect("it is forced");
    assert_eq!(halted, TradingState::Halted);
    let taken_over = "taken over without its reserve";
    assert_eq!(recorded(&postgres, "paper", taken_over), "2");
    let options = on(2, false);
    assert!(
        verify(&options.data_dir, &options.servers)
            .expect("it is read")
            .ok
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserve_that_was_moved_away_is_asked_for_and_its_account_halted() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let on = |take_over| options(&postgres, folder.path(), take_over);
    run(&on(false)).await.expect("it is new");
    let id = std::fs::read_to_string(folder.path().join("folder.id")).expect("it has one");
    let killed = format!(
        "INSERT INTO journal_reserve (account_id, folder_id, folder, epoch) \
         SELECT account_id, '{}', 'host-1:/srv/apex', epoch FROM journal_account",
        id.trim()
    );
    query(&postgres, &killed);
    let reserve = folder.path().join("reserve/paper");
    std::fs::rename(&reserve, folder.path().join("aside")).expect("it is moved");
    for _ in 0..2 {
        let refused = run(&on(false)).await.expect_err("its reserve is gone");
        let text = refused.to_string();
        assert!(text.contains("reserve/paper, moved away"), "{text}");
        let advice = refused.advice().expect("what to do");
        assert!(advice.contains("put back what was moved away"), "{advice}");
    }
    // Put back, it goes on as it was.
    std::fs::rename(folder.path().join("aside"), &reserve).expect("it is moved");
    let active = run(&on(false)).await.expect("nothing is missing");
    assert_eq!(active, TradingState::Active);
    query(&postgres, "DELETE FROM journal_reserve");
    query(&postgres, &killed);
    std::fs::rename(&reserve, folder.path().join("aside")).expect("it is moved");
    let halted = run(&on(true)).await.expect("it is forced");
    assert_eq!(halted, TradingState::Halted);
    assert_eq!(audited(&postgres, "reserve/paper, moved away"), "1");
    let halted = run(&on(false)).await.expect("it is accounted for");
    assert_eq!(halted, TradingState::Halted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_of_an_older_build_is_told_and_refuses_no_start() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let on = options(&postgres, folder.path(), false);
    run(&on).await.expect("it is new");
    assert_eq!(audited(&postgres, "Node/ReserveNotNoted"), "0");
    query(&postgres, "DELETE FROM journal_reserve");
    let told = stores::other_reserves(&on.data_dir, &on.servers).expect("it answers");
    assert_eq!(told.elsewhere, None);
    let unnoted = told.unnoted.expect("nobody has noted anything");
    assert!(
        unnoted.contains("the last owner of account paper"),
        "{unnoted}"
    );
    for _ in 0..2 {
        let active = run(&on).await.expect("it is told");
        assert_eq!(active, TradingState::Active);
        assert_eq!(audited(&postgres, "Node/ReserveNotNoted"), "1", "once");
    }
    let told = stores::other_reserves(&on.data_dir, &on.servers).expect("it answers");
    assert_eq!(told, stores::OtherReserves::default());
}
