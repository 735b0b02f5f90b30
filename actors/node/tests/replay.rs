//! A whole node on a recording of our own making.

use apex_node::StrategyChoice;
use apex_node::replay::pace::Speed;
use apex_node::replay::summary::Summary;
use apex_node::replay::{self, Controls, ReplayRun};
use apex_node::up::NodeOptions;
use apex_node::verify::verify;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// Start of the recording, in nanoseconds and in the venue's milliseconds.
const START_NS: i64 = 1_700_000_000_000_000_000;
const START_MS: i64 = START_NS / 1_000_000;

/// Writes a minute of a market that swings up and down, in frames as the venue sends them: a
/// snapshot, then ten times a second a print, a quote and a change of the book.
fn recording(folder: &Path) -> PathBuf {
    let mut text = String::new();
    let frame = |text: &mut String, step: i64, stream: &str, data: &str| {
        let ns = START_NS + step * 100_000_000;
        writeln!(
            text,
            r#"{ns} {{"stream":"btcusdt@{stream}","data":{data}}}"#
        )
        .unwrap();
    };
    let snapshot = r#"{"lastUpdateId":100,"bids":[["99.00","5.000"]],"asks":[["111.00","5.000"]]}"#;
    writeln!(text, "{START_NS} {snapshot}").unwrap();
    for step in 0..600 {
        let ms = START_MS + step * 100;
        // A triangle wave of four seconds a side, so that the averages cross every few seconds.
        let phase = step % 80;
        let cents = 10_000 + 10 * if phase < 40 { phase } else { 80 - phase };
        let price = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
        let (bid, ask) = (price(cents - 1), price(cents + 1));
        let (first, id) = (101 + step, 1 + step);
        let depth = format!(
            r#"{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{first},"u":{first},"b":[["{bid}","{}.000"]],"a":[["{ask}","{}.000"]]}}"#,
            1 + step % 3,
            1 + step % 2
        );
        frame(&mut text, step, "depth@100ms", &depth);
        let quote = format!(
            r#"{{"u":{first},"s":"BTCUSDT","b":"{bid}","B":"1.000","a":"{ask}","A":"1.000"}}"#
        );
        frame(&mut text, step, "bookTicker", &quote);
        let trade = format!(
            r#"{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{id},"p":"{}","q":"0.010","T":{ms},"m":false}}"#,
            price(cents)
        );
        frame(&mut text, step, "trade", &trade);
    }
    let path = folder.join("market.txt");
    std::fs::write(&path, text).unwrap();
    path
}

fn run_of(file: PathBuf) -> ReplayRun {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let params = vec![pair("fast", "2"), pair("slow", "5"), pair("warmup", "5")];
    ReplayRun {
        files: vec![file],
        speed: Speed::Max,
        repeat: false,
        clones: 0,
        seek_seconds: 0,
        strategy: Some(StrategyChoice {
            name: "ema-cross".to_owned(),
            params,
        }),
        exit_at_end: true,
    }
}

async fn run(data_dir: &Path, run: ReplayRun) -> Summary {
    let options = NodeOptions {
        data_dir: data_dir.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let (_stop, stopped) = watch::channel(false);
    replay::run(&options, run, Controls::default(), stopped, |_| {})
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_end_in_the_same_state_and_the_journal_alone_gives_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let first = run(&folder.path().join("a"), run_of(file.clone())).await;
    let second = run(&folder.path().join("b"), run_of(file)).await;
    assert!(first.fills > 4, "the strategy traded: {first:?}");
    assert_eq!(first.fills, first.orders);
    assert_eq!(first.state_hash, second.state_hash);
    assert_eq!(first.feed.market_hash, second.feed.market_hash);
    let found = verify(&folder.path().join("a")).unwrap();
    assert!(found.ok, "{found:?}");
    assert_eq!(found.state_hash, first.state_hash);
    assert_eq!(found.records, first.journal_records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_in_the_same_folder_starts_from_an_empty_account() {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let data_dir = folder.path().join("data");
    let first = run(&data_dir, run_of(file.clone())).await;
    let second = run(&data_dir, run_of(file)).await;
    assert_eq!(first.state_hash, second.state_hash);
    assert!(data_dir.join("archive/replay-1/journal").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_trade_like_the_instrument_that_they_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let alone = run(&folder.path().join("a"), run_of(file.clone())).await;
    let cloned = ReplayRun {
        clones: 2,
        ..run_of(file)
    };
    let cloned = run(&folder.path().join("b"), cloned).await;
    assert_eq!(cloned.feed.instruments.len(), 3);
    assert_eq!(cloned.orders, 3 * alone.orders);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_recording_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "this is\nno recording\n".repeat(200)).unwrap();
    let options = NodeOptions {
        data_dir: folder.path().join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let (_stop, stopped) = watch::channel(false);
    let refused = replay::run(&options, run_of(file), Controls::default(), stopped, |_| {}).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_behind_its_end_keeps_its_account() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let stands = ReplayRun {
        exit_at_end: false,
        ..run_of(recording(folder.path()))
    };
    let options = NodeOptions {
        data_dir: data_dir.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let controls = Controls::default();
    let progress = controls.progress.clone();
    let (_stop, stopped) = watch::channel(false);
    let running = replay::run(&options, stands, controls, stopped, |_| {});
    let mark = || std::fs::read_to_string(data_dir.join("replay")).unwrap();
    let watch = async {
        while progress.frames().1 == 0 || progress.frames().0 < progress.frames().1 {
            tokio::task::yield_now().await;
        }
        // Long enough to get from the last frame to where the market stands still.
        for _ in 0..10_000 {
            assert_eq!(mark(), "running\n", "clients are still served");
            tokio::task::yield_now().await;
        }
    };
    // The run is dropped where it stands, as by a kill.
    tokio::select! {
        biased;
        () = watch => {}
        ended = running => panic!("nobody told it to end: {ended:?}"),
    }
    assert_eq!(mark(), "running\n", "the next start continues it");
}
