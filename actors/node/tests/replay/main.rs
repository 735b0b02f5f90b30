//! A whole node on a recording of our own making.

use apex_bus::clock::Clock;
use apex_bus::message::AccountMessage;
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::account::AccountInput;
use apex_domain::event::AccountMode;
use apex_domain::market::Side;
use apex_domain::matching::ModelChoices;
use apex_domain::order::{OrderKey, OrderStatus, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::risk::MarketRef;
use apex_domain::venue::VenueCommand;
use apex_domain::{ClientOrderId, Instrument, Price, Quantity, StrategyId, UnixNanos};
use apex_market_data::replay::{Recording, ReplayFeed, ReplayOptions};
use apex_node::StrategyChoice;
use apex_node::account::{Opening, recover_account};
use apex_node::replay::archive;
use apex_node::replay::pace::Speed;
use apex_node::replay::summary::Summary;
use apex_node::replay::{self, Controls, ReplayRun};
use apex_node::stores::{Purpose, ServerSettings};
use apex_node::up::{Base, NodeOptions, paper_account};
use apex_node::verify::verify;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

mod clients;
mod servers;

/// Start of the recording, in nanoseconds.
const START_NS: i64 = 1_700_000_000_000_000_000;

/// Writes a minute of a market that swings up and down, in frames as the venue sends them: a
/// snapshot, then ten times a second a print, a quote and a change of the book.
fn recording(folder: &Path) -> PathBuf {
    recording_at(folder, START_NS)
}

/// As [`recording`], from another time on, in nanoseconds.
fn recording_at(folder: &Path, start_ns: i64) -> PathBuf {
    let start_ms = start_ns / 1_000_000;
    let mut text = String::new();
    let frame = |text: &mut String, step: i64, stream: &str, data: &str| {
        let ns = start_ns + step * 100_000_000;
        writeln!(
            text,
            r#"{ns} {{"stream":"btcusdt@{stream}","data":{data}}}"#
        )
        .unwrap();
    };
    let snapshot = r#"{"lastUpdateId":100,"bids":[["99.00","5.000"]],"asks":[["111.00","5.000"]]}"#;
    writeln!(text, "{start_ns} {snapshot}").unwrap();
    for step in 0..600 {
        let ms = start_ms + step * 100;
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
        models: ModelChoices::default(),
        seed: 1,
        exit_at_end: true,
    }
}

async fn run(data_dir: &Path, run: ReplayRun) -> Summary {
    let options = NodeOptions::in_folder(data_dir);
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
    let found = verify(&folder.path().join("a"), &ServerSettings::default()).unwrap();
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
    let options = NodeOptions::in_folder(&folder.path().join("data"));
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
    let options = NodeOptions::in_folder(&data_dir);
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

/// A venue that loses what it is sent, as one does whose process is killed.
struct Loses;

impl VenueSession for Loses {
    fn send(&self, _command: VenueCommand) -> Result<(), NotSent> {
        Ok(())
    }
}

fn limit_order(instrument: &Instrument) -> SubmitOrder {
    SubmitOrder {
        client_order_id: ClientOrderId::new("in-flight").unwrap(),
        strategy_id: StrategyId::new("manual").unwrap(),
        instrument_id: instrument.instrument_id.clone(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        quantity: Quantity(1_000),
        limit_price: Some(Price(5_000)),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    }
}

/// Leaves the folder as a replay does that is killed at `ts` with an order on its way.
async fn killed_with_an_order_on_its_way(data_dir: &Path, file: &Path, ts: UnixNanos) {
    let recording = Recording::file(file).unwrap();
    let feed = ReplayFeed::new(vec![recording], ReplayOptions::default()).unwrap();
    let instruments = feed.instruments();
    let order = limit_order(&instruments[0]);
    let base = Base::open(
        &NodeOptions::in_folder(data_dir),
        Purpose::Replay,
        Clock::replay(),
    )
    .unwrap();
    archive::make_room(
        &base.stores.marks,
        &*base.stores.records,
        &archive::Choice::default(),
    )
    .unwrap();
    let opening = Opening {
        account_id: paper_account(),
        mode: AccountMode::Paper,
        instruments,
        charter: None,
        now: UnixNanos(START_NS),
    };
    let opened = base.open_account(&opening).unwrap();
    let account = base
        .start_account(opened, Arc::new(Loses), None)
        .await
        .unwrap();
    let message = |reply| AccountMessage::Step {
        now: ts,
        input: Box::new(AccountInput::Submit {
            request: Box::new(order),
            market: MarketRef::default(),
        }),
        reply,
    };
    let answer = account.actor.call(message, None).await.unwrap();
    assert!(!answer.unwrap().unwrap().commands.is_empty(), "it was sent");
    account.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replay_goes_on_where_it_was_and_settles_what_was_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let (data_dir, file) = (folder.path().join("data"), recording(folder.path()));
    let killed_at = UnixNanos(START_NS + 30_000_000_000);
    killed_with_an_order_on_its_way(&data_dir, &file, killed_at).await;
    let continued = ReplayRun {
        strategy: None,
        ..run_of(file)
    };
    let summary = run(&data_dir, continued).await;
    assert_eq!(summary.feed.frames, 900, "the second half of 600 steps");
    let base = Base::open(
        &NodeOptions::in_folder(&data_dir),
        Purpose::Replay,
        Clock::replay(),
    )
    .unwrap();
    let account = recover_account(&*base.stores.journals, &paper_account()).unwrap();
    let key = OrderKey::ClientOrderId(ClientOrderId::new("in-flight").unwrap());
    let order = account.account.order(&key).unwrap();
    assert_eq!(order.status, OrderStatus::Accepted, "{order:?}");
}
