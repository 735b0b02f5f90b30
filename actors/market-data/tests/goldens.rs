//! Replays of the recorded Binance traffic equal the golden answers beside the recordings, which
//! an independent script computed with exact decimals.

use apex_domain::InstrumentId;
use apex_domain::bar::parse_spec;
use apex_domain::market::{Bar, BarSpec, FeedStatus, MarketEvent};
use apex_market_data::replay::{Frame, Recording, ReplayFeed, ReplayOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

const BTC: &str = "BTCUSDT.BINANCE";
const ETH: &str = "ETHUSDT.BINANCE";
const PERP: &str = "BTCUSDT-PERP.BINANCE";

/// The folder of recordings, or `None` with a line on standard error that says so.
fn captures() -> Option<PathBuf> {
    let folder = std::env::var_os("APEX_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder.join("capture"));
    }
    eprintln!("SKIPPED: no market data at {}", folder.display());
    None
}

fn feed(files: &[&str], options: ReplayOptions) -> Option<ReplayFeed> {
    let folder = captures()?;
    let recordings = files
        .iter()
        .map(|file| Recording::file(&folder.join(file)).unwrap())
        .collect();
    Some(ReplayFeed::new(recordings, options).unwrap())
}

/// Plays to the end and counts what came out.
fn play(feed: &mut ReplayFeed) -> Played {
    let mut played = Played::default();
    let mut frame = Frame::default();
    while feed.next_into(&mut frame).unwrap() {
        played.frames += 1;
        assert!(frame.ts >= played.last_ts, "line {}", frame.line);
        played.last_ts = frame.ts;
        for event in &frame.events {
            match event {
                MarketEvent::Trade(_) => played.trades += 1,
                MarketEvent::Quote(_) => played.quotes += 1,
                MarketEvent::Book(_) => played.deltas += 1,
                MarketEvent::Snapshot(_) => played.snapshots += 1,
                MarketEvent::Bar(_) => played.bars += 1,
                MarketEvent::FeedState(state) => played.states.push(state.status),
            }
        }
    }
    played
}

#[derive(Debug, Default)]
struct Played {
    frames: u64,
    trades: u64,
    quotes: u64,
    deltas: u64,
    snapshots: u64,
    bars: u64,
    states: Vec<FeedStatus>,
    last_ts: apex_domain::UnixNanos,
}

fn golden(file: &str) -> Value {
    let path = captures().unwrap().join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Compares everything that a golden answer tells about an instrument.
fn assert_equal(feed: &ReplayFeed, id: &str, golden: &Value) {
    let summary = serde_json::to_value(feed.summary()).unwrap();
    let found = &summary["instruments"][id];
    for field in ["trades", "volume", "notional", "minute_bars"] {
        assert_eq!(found[field], golden[field], "{id} {field}");
    }
    assert_eq!(
        found["book"]["update_id"], golden["final_book_update_id"],
        "{id}"
    );
    for side in ["bids", "asks"] {
        assert_eq!(
            found["book"][side], golden["final_top5"][side],
            "{id} {side}"
        );
    }
    let instrument_id = InstrumentId::new(id).unwrap();
    let book = feed.book(&instrument_id).unwrap();
    let (counters, counts) = (book.counters(), feed.counts(&instrument_id).unwrap());
    assert_eq!(
        json!([book.bids().len(), book.asks().len()]),
        golden["final_levels"],
        "{id}"
    );
    assert_eq!(counters.applied, golden["depth_applied"], "{id}");
    assert_eq!(
        counters.dropped_before_snapshot, golden["depth_dropped_before_snapshot"],
        "{id}"
    );
    assert_eq!(
        counters.crossed + counters.locked,
        golden["crossed_book_states"],
        "{id}"
    );
    let kinds = &golden["counts"];
    assert_eq!(counts.depth, kinds["depth"], "{id}");
    assert_eq!(counts.quotes, kinds["bookTicker"], "{id}");
    assert_eq!(counts.trades, kinds["trade"], "{id}");
    assert_eq!(counts.snapshots, kinds["snapshot"], "{id}");
    assert_eq!(
        (counters.gaps, counters.ignored, counters.overflowed),
        (0, 0, 0),
        "{id}"
    );
}

fn check(files: &[&str], id: &str, answer: &str) {
    let Some(mut feed) = feed(files, ReplayOptions::default()) else {
        return;
    };
    let played = play(&mut feed);
    let golden = golden(answer);
    assert_equal(&feed, id, &golden);
    let summary = feed.summary();
    assert_eq!((summary.frames, summary.bad_frames), (played.frames, 0));
    assert_eq!(summary.frames, golden["lines"]);
    assert_eq!(summary.ticks, played.trades + played.quotes + played.deltas);
    assert_eq!(played.deltas, golden["depth_applied"]);
    assert_eq!((played.snapshots, played.bars), (1, 0));
    assert_eq!(
        played.states,
        [FeedStatus::Recovering, FeedStatus::Live, FeedStatus::Closed]
    );
}

#[test]
fn spot_bitcoin_of_the_first_day_equals_its_golden_answer() {
    check(
        &["binance-spot/btcusdt_20240808.gz"],
        BTC,
        "binance-spot/btcusdt_20240808.expect.json",
    );
}

#[test]
fn spot_ether_equals_its_golden_answer() {
    check(
        &["binance-spot/ethusdt_20240808.gz"],
        ETH,
        "binance-spot/ethusdt_20240808.expect.json",
    );
}

#[test]
fn usd_m_bitcoin_equals_its_golden_answer() {
    check(
        &["binance-usdm/btcusdt_20240808.gz"],
        PERP,
        "binance-usdm/btcusdt_20240808.expect.json",
    );
}

#[test]
fn two_recordings_one_after_the_other_carry_the_book_over() {
    let files = [
        "binance-spot/btcusdt_20240808.gz",
        "binance-spot/btcusdt_20240809.gz",
    ];
    let answer = "binance-spot/btcusdt_20240808-09.expect.json";
    check(&files, BTC, answer);
    check(&[files[1], files[0]], BTC, answer);
}

#[test]
fn different_instruments_at_once_equal_their_own_golden_answers() {
    let files = [
        "binance-spot/btcusdt_20240808.gz",
        "binance-spot/ethusdt_20240808.gz",
        "binance-usdm/btcusdt_20240808.gz",
    ];
    let Some(mut feed) = feed(&files, ReplayOptions::default()) else {
        return;
    };
    play(&mut feed);
    assert_equal(
        &feed,
        BTC,
        &golden("binance-spot/btcusdt_20240808.expect.json"),
    );
    assert_equal(
        &feed,
        ETH,
        &golden("binance-spot/ethusdt_20240808.expect.json"),
    );
    assert_equal(
        &feed,
        PERP,
        &golden("binance-usdm/btcusdt_20240808.expect.json"),
    );
    assert_eq!(feed.summary().frames, 41_249 + 33_618 + 93_954);
}

#[test]
fn two_runs_give_the_same_hash_and_another_recording_another_one() {
    let hash = |file: &str| {
        let mut feed = feed(&[file], ReplayOptions::default())?;
        play(&mut feed);
        Some(feed.market_hash())
    };
    let eth = "binance-spot/ethusdt_20240808.gz";
    let Some(first) = hash(eth) else { return };
    assert_eq!(Some(first), hash(eth));
    assert_ne!(Some(first), hash("binance-spot/btcusdt_20240808.gz"));
}

#[test]
fn instruments_are_inferred_from_the_recording() {
    let files = [
        "binance-spot/btcusdt_20240808.gz",
        "binance-usdm/btcusdt_20240808.gz",
    ];
    let Some(feed) = feed(&files, ReplayOptions::default()) else {
        return;
    };
    let found: Vec<_> = feed
        .instruments()
        .into_iter()
        .map(|i| {
            i.validate().unwrap();
            let id = i.instrument_id.to_string();
            (
                id,
                i.kind,
                i.price_decimals,
                i.quantity_decimals,
                i.base_currency.to_string(),
            )
        })
        .collect();
    use apex_domain::instrument::InstrumentKind::{Linear, Spot};
    assert_eq!(
        found,
        [
            // Three levels of the book have six decimals, all trades five at most.
            (BTC.to_owned(), Spot, 2, 6, "BTC".to_owned()),
            (PERP.to_owned(), Linear, 1, 3, "BTC".to_owned())
        ]
    );
}

#[test]
fn a_start_in_the_middle_has_the_same_book_at_the_end() {
    let file = "binance-spot/ethusdt_20240808.gz";
    // A minute behind the first frame.
    let start_at = Some(apex_domain::UnixNanos(1_723_161_314_000_000_000));
    let Some(mut feed) = feed(
        &[file],
        ReplayOptions {
            start_at,
            ..ReplayOptions::default()
        },
    ) else {
        return;
    };
    let played = play(&mut feed);
    let golden = golden("binance-spot/ethusdt_20240808.expect.json");
    let book = feed.book(&InstrumentId::new(ETH).unwrap()).unwrap();
    assert_eq!(book.update_id(), golden["final_book_update_id"]);
    assert_eq!(
        json!([book.bids().len(), book.asks().len()]),
        golden["final_levels"]
    );
    assert_eq!(played.states, [FeedStatus::Live, FeedStatus::Closed]);
    assert_eq!(
        (played.snapshots, feed.skipped() + played.frames),
        (1, 33_618)
    );
    let summary = serde_json::to_value(feed.summary()).unwrap();
    let bars = &summary["instruments"][ETH]["minute_bars"];
    assert_eq!(
        bars["1723161360000"],
        golden["minute_bars"]["1723161360000"]
    );
    assert!(bars.get("1723161240000").is_none());
}

#[test]
fn a_file_of_another_venue_is_refused() {
    let Some(folder) = captures() else { return };
    for file in [
        "hyperliquid/btcusd_20250126.gz",
        "bybit/xrpusdt_ob500_20241201.jsonl.gz",
    ] {
        let error = Recording::file(&folder.join(file)).unwrap_err().to_string();
        assert!(error.contains("is no recording"), "{error}");
    }
}

/// TC-B15 of `docs/guide/bars.md` over real trades: nothing is lost, and every bar holds what its
/// kind says.
#[test]
fn bars_of_every_kind_hold_what_was_traded() {
    for (files, ids) in [
        (&["binance-spot/btcusdt_20240808.gz"][..], &[BTC][..]),
        (&["binance-spot/ethusdt_20240808.gz"], &[ETH]),
        (&["binance-usdm/btcusdt_20240808.gz"], &[PERP]),
    ] {
        for id in ids {
            assert_conserved(files, &InstrumentId::new(id).unwrap());
        }
    }
}

fn assert_conserved(files: &[&str], id: &InstrumentId) {
    let Some(probe) = feed(files, ReplayOptions::default()) else {
        return;
    };
    let instruments = probe.instruments();
    let instrument = instruments.iter().find(|one| one.instrument_id == *id);
    let instrument = instrument.unwrap();
    let texts = [
        "time:1s",
        "time:1m",
        "tick:7",
        "volume:0.5",
        "value:25000",
        "renko:0.50",
    ];
    let bars: Vec<BarSpec> = texts
        .iter()
        .map(|text| parse_spec(text, instrument).unwrap())
        .collect();
    let options = ReplayOptions {
        bars,
        ..ReplayOptions::default()
    };
    let mut replay = feed(files, options.clone()).unwrap();
    let mut found: BTreeMap<BarSpec, Vec<Bar>> = BTreeMap::new();
    let mut frame = Frame::default();
    while replay.next_into(&mut frame).unwrap() {
        for event in &frame.events {
            if let MarketEvent::Bar(bar) = event {
                found.entry(bar.spec).or_default().push(bar.clone());
            }
        }
    }
    let counts = replay.counts(id).unwrap();
    for (spec, builder) in options.bars.iter().zip(replay.bars(id).unwrap()) {
        let (bars, counters) = (&found[spec], builder.counters());
        let is_time = matches!(spec, BarSpec::Time { .. });
        let left_out = if is_time { counters.late_volume } else { 0 };
        let volume: i128 = bars.iter().map(|bar| bar.volume).sum();
        assert_eq!(
            volume + builder.pending_volume() + left_out,
            counts.volume,
            "{id} {spec:?} {counters:?}"
        );
        assert_eq!(
            (counters.late, counters.empty, counters.oversized),
            (0, 0, 0),
            "{id} {spec:?}"
        );
        for bar in bars {
            match *spec {
                BarSpec::Tick { count } => assert_eq!(bar.trade_count, count),
                BarSpec::Volume { quantity } => assert_eq!(bar.volume, i128::from(quantity.0)),
                BarSpec::Renko { brick } => assert_eq!(bar.high.0 - bar.low.0, brick.0),
                _ => assert!(bar.volume > 0),
            }
        }
    }
}
