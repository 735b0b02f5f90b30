//! What a feed makes of a recording that was damaged: real frames with faults put in.

use apex_domain::InstrumentId;
use apex_domain::book::{BookStatus, L2Book};
use apex_domain::market::{FeedStatus, Level, MarketEvent};
use apex_market_data::replay::{Frame, Recording, ReplayFeed, ReplayOptions};
use apex_venues::capture::{CaptureReader, Step};
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::OnceLock;

use FeedStatus::{Closed, Gapped, Live, Recovering, Stale};

const FILE: &str = "capture/binance-spot/btcusdt_20240808.gz";
/// Enough for some hundred changes of the book behind the snapshot on line 8.
const LINES: usize = 3_000;

fn path() -> Option<PathBuf> {
    let folder = std::env::var_os("APEX_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder.join(FILE));
    }
    eprintln!("SKIPPED: no market data at {}", folder.display());
    None
}

/// The first lines of the recording.
fn lines() -> Option<Vec<String>> {
    static LOADED: OnceLock<Option<Vec<String>>> = OnceLock::new();
    let load = || {
        let mut reader = CaptureReader::open(&path()?).unwrap();
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let Some(Step::Line { ts, .. }) = reader.advance() else {
                break;
            };
            lines.push(format!(
                "{ts} {}",
                std::str::from_utf8(reader.frame()).unwrap()
            ));
        }
        Some(lines)
    };
    LOADED.get_or_init(load).clone()
}

struct Played {
    feed: ReplayFeed,
    states: Vec<FeedStatus>,
    deltas: u64,
}

impl Played {
    fn book(&self) -> &L2Book {
        self.feed
            .book(&InstrumentId::new("BTCUSDT.BINANCE").unwrap())
            .unwrap()
    }

    fn bad_lines(&self) -> Vec<u64> {
        self.feed.bad_frames().iter().map(|bad| bad.line).collect()
    }
}

fn play(lines: &[String]) -> Played {
    let recording = Recording::bytes("memory", lines.join("\n").into_bytes()).unwrap();
    let mut feed = ReplayFeed::new(vec![recording], ReplayOptions::default()).unwrap();
    let (mut states, mut deltas) = (Vec::new(), 0);
    let mut frame = Frame::default();
    while feed.next_into(&mut frame).unwrap() {
        for event in &frame.events {
            match event {
                MarketEvent::FeedState(state) => states.push(state.status),
                MarketEvent::Book(_) => deltas += 1,
                _ => {}
            }
        }
    }
    Played {
        feed,
        states,
        deltas,
    }
}

/// The place of the `n`th change of the book behind line 100, from 0.
fn depth_line(lines: &[String], n: usize) -> usize {
    let is_depth = |line: &String| line.contains("\"depthUpdate\"");
    let mut places = (100..lines.len()).filter(|at| is_depth(&lines[*at]));
    places.nth(n).unwrap()
}

#[test]
fn a_change_that_is_missing_makes_the_book_stale() {
    let Some(mut lines) = lines() else { return };
    let clean = play(&lines);
    assert_eq!(clean.states, [Recovering, Live, Closed]);
    lines.remove(depth_line(&lines, 50));
    let played = play(&lines);
    assert_eq!(played.states, [Recovering, Live, Gapped, Closed]);
    assert_eq!(played.book().status(), BookStatus::Gapped);
    assert!(played.deltas < clean.deltas && played.deltas >= 50);
    assert_eq!(played.book().counters().gaps, 1);
    assert!(
        played.feed.summary().instruments["BTCUSDT.BINANCE"]
            .book
            .stale
    );
}

#[test]
fn a_snapshot_after_a_hole_brings_the_book_back() {
    let Some(mut lines) = lines() else { return };
    let clean = play(&lines);
    let (dropped, at) = (depth_line(&lines, 50), depth_line(&lines, 80));
    // What the venue would have answered right before the 80th change.
    let before = play(&lines[..at]);
    let levels = |levels: Vec<Level>, id: &str| {
        let definitions = before.feed.instruments();
        let texts: Vec<_> = levels
            .iter()
            .map(|level| {
                let price = definitions[0].format_price(level.price);
                format!(
                    "[\"{price}\",\"{}\"]",
                    definitions[0].format_quantity(level.quantity)
                )
            })
            .collect();
        format!("\"{id}\":[{}]", texts.join(","))
    };
    let (bids, asks) = before.book().top(usize::MAX);
    let ts = lines[at].split(' ').next().unwrap().to_owned();
    let update_id = before.book().update_id();
    let (bids, asks) = (levels(bids, "bids"), levels(asks, "asks"));
    lines.insert(
        at,
        format!("{ts} {{\"lastUpdateId\":{update_id},{bids},{asks}}}"),
    );
    lines.remove(dropped);
    let played = play(&lines);
    assert_eq!(played.states, [Recovering, Live, Gapped, Live, Closed]);
    assert_eq!(played.book().top(usize::MAX), clean.book().top(usize::MAX));
    assert_eq!(played.book().update_id(), clean.book().update_id());
}

#[test]
fn a_change_that_comes_twice_is_ignored() {
    let Some(mut lines) = lines() else { return };
    let clean = play(&lines);
    let at = depth_line(&lines, 50);
    lines.insert(at + 3, lines[at].clone());
    let played = play(&lines);
    assert_eq!(played.states, clean.states);
    assert_eq!(played.book().counters().ignored, 1);
    assert_eq!(played.feed.market_hash(), clean.feed.market_hash());
}

#[test]
fn two_changes_in_the_wrong_order_are_a_hole() {
    let Some(mut lines) = lines() else { return };
    let (first, second) = (depth_line(&lines, 50), depth_line(&lines, 51));
    let frame = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    let ts = |line: &str| line.split_once(' ').unwrap().0.to_owned();
    let (a, b) = (lines[first].clone(), lines[second].clone());
    lines[first] = format!("{} {}", ts(&a), frame(&b));
    lines[second] = format!("{} {}", ts(&b), frame(&a));
    assert_eq!(play(&lines).states, [Recovering, Live, Gapped, Closed]);
}

#[test]
fn a_line_that_was_cut_is_counted_with_its_number() {
    let Some(mut lines) = lines() else { return };
    let at = depth_line(&lines, 50);
    let half = lines[at].len() / 2;
    lines[at].truncate(half);
    let played = play(&lines);
    assert_eq!(played.bad_lines(), [at as u64 + 1]);
    assert_eq!(played.feed.summary().frames, LINES as u64);
    assert_eq!(
        played.states,
        [Recovering, Live, Gapped, Closed],
        "it held a change"
    );
    let reason = &played.feed.bad_frames()[0].reason;
    assert!(
        reason.starts_with("the text ends inside a value"),
        "{reason}"
    );
}

#[test]
fn garbage_between_the_lines_changes_nothing_else() {
    let Some(mut lines) = lines() else { return };
    let clean = play(&lines);
    for (at, text) in [
        (2_000, "\u{1}\u{2}garbage"),
        (1_000, "12 {]"),
        (500, "{\"e\":1}"),
        (20, "7 "),
    ] {
        lines.insert(at, text.to_owned());
    }
    let played = play(&lines);
    assert_eq!(played.bad_lines(), [21, 502, 1003, 2004]);
    assert_eq!(played.feed.summary().bad_frames, 4);
    assert_eq!(played.feed.market_hash(), clean.feed.market_hash());
    assert_eq!(played.states, clean.states);
}

#[test]
fn an_announced_shutdown_makes_the_feed_stale_until_frames_come_again() {
    let Some(mut lines) = lines() else { return };
    let ts = lines[1_000].split(' ').next().unwrap().to_owned();
    let frame = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1723161255342}}"#;
    lines.insert(1_000, format!("{ts} {frame}"));
    let played = play(&lines);
    assert_eq!(played.states, [Recovering, Live, Stale, Live, Closed]);
    assert_eq!(played.feed.summary().bad_frames, 0);
}

#[test]
fn a_number_off_the_increments_of_all_others_is_a_bad_frame() {
    let Some(mut lines) = lines() else { return };
    let at = (100..).find(|at| lines[*at].contains("\"trade\"")).unwrap();
    lines[at] = lines[at].replacen("\"p\":\"", "\"p\":\"99999999", 1);
    let played = play(&lines);
    assert_eq!(
        played.bad_lines(),
        Vec::<u64>::new(),
        "it is a number still"
    );
    let mut lines = super_precise(lines, at);
    let played = play(&lines);
    assert_eq!(played.bad_lines(), [at as u64 + 1]);
    assert_eq!(played.feed.instruments()[0].price_decimals, 2);
    lines[at] = lines[at].replacen("BTCUSDT", "BTCUSDX", 1);
    let played = play(&lines);
    assert_eq!(
        played.feed.instruments().len(),
        1,
        "a garbled symbol is no instrument"
    );
}

#[test]
fn a_time_far_from_all_others_is_a_bad_frame() {
    let Some(mut lines) = lines() else { return };
    let clean = play(&lines);
    let at = (100..).find(|at| lines[*at].contains("\"trade\"")).unwrap();
    lines[at] = lines[at].replacen("\"T\":17", "\"T\":27", 1);
    lines[at + 1].replace_range(..1, "2");
    let played = play(&lines);
    assert_eq!(played.bad_lines(), [at as u64 + 1, at as u64 + 2]);
    let bars = |played: &Played| {
        let summary = played.feed.summary();
        summary.instruments["BTCUSDT.BINANCE"]
            .minute_bars
            .keys()
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(bars(&played), bars(&clean));
    assert_eq!(
        played.feed.bad_frames()[1].reason,
        "is a day or more from the line before"
    );
}

fn super_precise(mut lines: Vec<String>, at: usize) -> Vec<String> {
    lines[at] = lines[at].replacen("\"q\":\"", "\"q\":\"0.123456789012345678\",\"was\":\"", 1);
    lines
}

#[test]
fn a_compressed_recording_that_was_cut_keeps_what_was_read() {
    let Some(path) = path() else { return };
    let bytes = std::fs::read(path).unwrap();
    let recording = Recording::bytes("half", bytes[..bytes.len() / 2].to_vec()).unwrap();
    let mut feed = ReplayFeed::new(vec![recording], ReplayOptions::default()).unwrap();
    while feed.next_frame().unwrap().is_some() {}
    let summary = feed.summary();
    assert_eq!(summary.bad_frames, 1);
    assert!(
        summary.frames > 15_000 && summary.frames < 30_000,
        "{}",
        summary.frames
    );
    let bad = &feed.bad_frames()[0];
    assert_eq!(bad.line, summary.frames);
    assert_eq!(bad.reason, "the compressed file is damaged or cut off here");
}

#[test]
fn a_file_that_is_no_recording_is_refused() {
    let refused = |bytes: Vec<u8>| Recording::bytes("file", bytes).unwrap_err().to_string();
    assert_eq!(refused(Vec::new()), "recording \"file\" is empty");
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    assert!(refused(noise).contains("is no recording"));
    assert!(refused(b"ts,open,high,low,close\n".repeat(500)).contains("line 1 does not begin"));
    assert!(refused(b"5 {\"e\":\"x\"}\n".to_vec()).contains("unknown kind"));
    let Some(lines) = lines() else { return };
    let mut late = vec!["garbage".to_owned(); 99];
    late.extend(lines.iter().take(50).cloned());
    assert_eq!(
        Recording::bytes("late", late.join("\n").into_bytes())
            .unwrap()
            .info()
            .bad_frames,
        99
    );
    late.insert(0, "garbage".to_owned());
    assert!(refused(late.join("\n").into_bytes()).contains("none of its first 100 lines"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_damage_makes_it_panic_or_lose_count_of_lines(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..20),
    ) {
        let Some(lines) = lines() else { return Ok(()) };
        let mut bytes = lines[..300].join("\n").into_bytes();
        for (index, byte, remove) in edits {
            let at = index.index(bytes.len());
            if remove {
                bytes.remove(at);
            } else {
                bytes[at] = byte;
            }
        }
        let not_empty = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let Ok(recording) = Recording::bytes("damaged", bytes) else { return Ok(()) };
        let mut feed = ReplayFeed::new(vec![recording], ReplayOptions::default()).unwrap();
        while feed.next_frame().unwrap().is_some() {}
        prop_assert_eq!(feed.summary().frames, not_empty as u64);
    }
}
