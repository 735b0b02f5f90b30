//! How fast recorded frames are read: the codec alone, the whole feed, and a generic JSON parser
//! over the same frames in the same run for comparison; then CSV rows.
//!
//! Run: `cargo bench --profile fast -p apex-market-data --bench replay`. Each figure is the
//! median of seven rounds with their range, on one core. Without the recordings it says so and
//! ends.

use apex_market_data::replay::{Frame, Recording, ReplayFeed, ReplayOptions};
use apex_venues::binance::Codec;
use apex_venues::capture::{CaptureReader, Step};
use apex_venues::csv::{CsvOptions, CsvSource};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

const ROUNDS: usize = 7;

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("APEX_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no market data at {}", folder.display());
    None
}

/// Seconds of a round.
#[derive(Clone, Copy)]
struct Seconds {
    median: f64,
    fastest: f64,
    slowest: f64,
}

fn rounds(mut round: impl FnMut()) -> Seconds {
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    Seconds {
        median: seconds[ROUNDS / 2],
        fastest: seconds[0],
        slowest: seconds[ROUNDS - 1],
    }
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = CaptureReader::open(path).expect("the recording is readable");
    let mut frames = Vec::new();
    while let Some(step) = reader.advance() {
        if let Step::Line { .. } = step {
            frames.push(reader.frame().to_vec());
        }
    }
    frames
}

/// Prints a rate and returns its median.
fn report(what: &str, count: usize, bytes: usize, seconds: Seconds) -> f64 {
    let millions = |seconds: f64| count as f64 / seconds / 1e6;
    println!(
        "  {what:<32} {:>7.3} million/s ({:.3} to {:.3}), {:.0} MB/s",
        millions(seconds.median),
        millions(seconds.slowest),
        millions(seconds.fastest),
        bytes as f64 / seconds.median / 1e6
    );
    millions(seconds.median)
}

fn recording(path: &Path) {
    let frames = frames(path);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    println!(
        "{} ({} frames, {} MB)",
        path.display(),
        frames.len(),
        bytes / 1_000_000
    );
    let generic = rounds(|| {
        for frame in &frames {
            black_box(serde_json::from_slice::<serde_json::Value>(frame).is_ok());
        }
    });
    let generic = report(
        "serde_json::Value, parse only",
        frames.len(),
        bytes,
        generic,
    );
    let mut codec = Codec::new();
    let codec = rounds(|| {
        for frame in &frames {
            black_box(codec.parse(frame).is_ok());
        }
    });
    let codec = report("codec, parse only", frames.len(), bytes, codec);
    let file = std::fs::read(path).expect("the recording is readable");
    let lines = rounds(|| {
        let mut reader = CaptureReader::from_bytes(file.clone()).expect("bytes are readable");
        while reader.advance().is_some() {}
    });
    report("inflate and split into lines", frames.len(), bytes, lines);
    let scan = rounds(|| drop(black_box(Recording::bytes("bench", file.clone()))));
    report("first look (inflate, parse)", frames.len(), bytes, scan);
    let known = Recording::bytes("bench", file).expect("it is a recording");
    let feed = rounds(|| {
        let options = ReplayOptions::default();
        let mut feed = ReplayFeed::new(vec![known.clone()], options).expect("it plays");
        let mut frame = Frame::default();
        while feed.next_into(&mut frame).expect("bytes stay readable") {
            black_box(&frame);
        }
    });
    let feed = report("whole feed (inflate to events)", frames.len(), bytes, feed);
    println!(
        "  codec is {:.1} times and the whole feed {:.1} times the generic parser alone",
        codec / generic,
        feed / generic
    );
}

fn csv(path: &Path) {
    let (mut rows, bytes) = (0, text_bytes(path));
    let seconds = rounds(|| {
        let loaded = CsvSource::open(path, &CsvOptions::default()).expect("the file loads");
        rows = black_box(loaded.events.len());
    });
    println!("{} ({rows} rows)", path.display());
    report("load (inflate to events)", rows, bytes, seconds);
}

/// Returns how long the inflated file is.
fn text_bytes(path: &Path) -> usize {
    let mut reader = apex_venues::input::open(path).expect("the file is readable");
    let bytes = std::io::copy(&mut reader, &mut std::io::sink()).expect("the file is readable");
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn main() {
    let Some(data) = data() else { return };
    for file in [
        "binance-spot/btcusdt_20240808.gz",
        "binance-usdm/btcusdt_20240808.gz",
    ] {
        recording(&data.join("capture").join(file));
    }
    for file in ["ticks/bac_20131007.csv.gz", "bars/us_equity_daily.csv.gz"] {
        csv(&data.join(file));
    }
}
