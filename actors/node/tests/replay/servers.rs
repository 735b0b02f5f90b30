//! Replays whose journal is in a database.

use super::{recording, run_of};
use apex_node::replay::summary::Summary;
use apex_node::replay::{self, Controls, ReplayRun};
use apex_node::stores::{self, ServerSettings};
use apex_node::up::NodeOptions;
use apex_node::verify::verify;
use apex_storage::testkit::{Postgres, Redis, here};
use std::path::Path;
use tokio::sync::watch;

fn options(data_dir: &Path, url: Option<String>) -> NodeOptions {
    let servers = ServerSettings {
        database_url: url,
        ..ServerSettings::default()
    };
    with(data_dir, servers)
}

fn with(data_dir: &Path, servers: ServerSettings) -> NodeOptions {
    NodeOptions {
        servers,
        ..NodeOptions::in_folder(data_dir)
    }
}

async fn run_on(options: &NodeOptions, run: ReplayRun) -> Summary {
    let (_stop, stopped) = watch::channel(false);
    replay::run(options, run, Controls::default(), stopped, |_| {})
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_gives_the_same_state_as_a_folder_each_time() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let (embedded, data_dir) = (folder.path().join("embedded"), folder.path().join("data"));
    let expected = run_on(&options(&embedded, None), run_of(file.clone())).await;
    let on_database = options(&data_dir, Some(postgres.url()));
    for _ in 0..2 {
        let summary = run_on(&on_database, run_of(file.clone())).await;
        assert_eq!(summary.state_hash, expected.state_hash);
        assert_eq!(summary.journal_records, expected.journal_records);
        let found = verify(&data_dir, &on_database.servers).unwrap();
        assert!(found.ok, "{found:?}");
        assert_eq!(found.state_hash, expected.state_hash);
        assert_eq!(found.records, expected.journal_records);
    }
    assert!(
        !data_dir.join("journal").exists(),
        "nothing is in the folder"
    );
    let kept =
        "SELECT sum(last_sequence - first_sequence + 1) FROM apextrade_replay_1.journal_frame";
    let kept = postgres.query("apex", kept).unwrap();
    assert_eq!(
        kept,
        expected.journal_records.to_string(),
        "the first is aside"
    );
    // Nothing has traded here yet, so only the replays had tables.
    let taken = stores::migrate(&postgres.url()).unwrap();
    assert!(
        taken.iter().all(|step| !step.ends_with("of replays")),
        "{taken:?}"
    );
    assert!(!taken.is_empty());
    assert!(stores::migrate(&postgres.url()).unwrap().is_empty());
    // A setting that was lost starts no account anew, and one that came hides none.
    for (folder, servers) in [
        (&data_dir, ServerSettings::default()),
        (&embedded, on_database.servers.clone()),
    ] {
        let elsewhere = NodeOptions {
            servers,
            ..NodeOptions::in_folder(folder)
        };
        let (_stop, stopped) = watch::channel(false);
        let run = run_of(file.clone());
        let refused = replay::run(&elsewhere, run, Controls::default(), stopped, |_| {}).await;
        let line = refused.unwrap_err().to_string();
        assert!(line.contains("APEX_DATABASE_URL"), "{line}");
    }
    let refused = verify(&data_dir, &ServerSettings::default()).unwrap_err();
    assert!(
        refused.to_string().contains("APEX_DATABASE_URL"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_changes_nothing_of_the_state_whatever_happens_to_it() {
    let Some(mut redis) = here(Redis::start()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let embedded = folder.path().join("embedded");
    let expected = run_on(&options(&embedded, None), run_of(file.clone())).await;
    let servers = ServerSettings {
        redis_url: Some(redis.url()),
        ..ServerSettings::default()
    };
    let data_dir = folder.path().join("data");
    for spoil in ["PING", "CONFIG SET maxmemory 1", "REPLICAOF 127.0.0.1 1"] {
        redis.ask(spoil).unwrap();
        let summary = run_on(&with(&data_dir, servers.clone()), run_of(file.clone())).await;
        assert_eq!(summary.state_hash, expected.state_hash, "{spoil}");
        assert_eq!(summary.journal_records, expected.journal_records);
    }
    // At a start it has to be there: nothing is begun without what was configured.
    redis.kill().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let (_stop, stopped) = watch::channel(false);
    let options = with(&elsewhere, servers);
    let refused = replay::run(&options, run_of(file), Controls::default(), stopped, |_| {}).await;
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("APEX_REDIS_URL"), "{refused}");
    assert!(refused.advice().is_some());
    assert!(!elsewhere.join("admin.token").exists());
}
