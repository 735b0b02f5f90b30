//! Repeats, clones, starts and merging, on recordings of our own making in the venue's shapes.

use super::*;
use apex_domain::InstrumentId;
use apex_domain::market::{FeedStatus, MarketEvent};

const START: i64 = 1_700_000_000_000_000_000;

/// A line received `ms` milliseconds after the start.
fn line(ms: i64, frame: &str) -> String {
    format!("{} {frame}\n", START + ms * 1_000_000)
}

fn time(ms: i64) -> i64 {
    START / 1_000_000 + ms + 1_270
}

fn trade(ms: i64, symbol: &str, id: u64, price: &str) -> String {
    let (stream, t) = (symbol.to_lowercase(), time(ms));
    line(
        ms,
        &format!(
            r#"{{"stream":"{stream}@trade","data":{{"e":"trade","E":{t},"s":"{symbol}","t":{id},"p":"{price}","q":"0.50","T":{t},"m":true,"M":true}}}}"#
        ),
    )
}

fn depth(ms: i64, symbol: &str, first: u64, last: u64) -> String {
    let (stream, t) = (symbol.to_lowercase(), time(ms));
    line(
        ms,
        &format!(
            r#"{{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":{t},"s":"{symbol}","U":{first},"u":{last},"b":[["99.50","{last}.00"]],"a":[]}}}}"#
        ),
    )
}

fn ticker(ms: i64, symbol: &str) -> String {
    let stream = symbol.to_lowercase();
    line(
        ms,
        &format!(
            r#"{{"stream":"{stream}@bookTicker","data":{{"u":1,"s":"{symbol}","b":"99.50","B":"1.00","a":"100.00","A":"1.00"}}}}"#
        ),
    )
}

fn snapshot(ms: i64, id: u64) -> String {
    line(
        ms,
        &format!(r#"{{"lastUpdateId":{id},"bids":[["99.50","1.00"]],"asks":[["100.00","1.00"]]}}"#),
    )
}

/// Half a minute: a change that waits, the snapshot, two more changes, two trades.
fn session(symbol: &str) -> String {
    [
        depth(0, symbol, 1, 10),
        snapshot(100, 12),
        depth(200, symbol, 11, 14),
        ticker(250, symbol),
        trade(300, symbol, 7, "99.50"),
        depth(10_000, symbol, 15, 15),
        trade(30_000, symbol, 8, "100.00"),
    ]
    .concat()
}

fn recording(text: &str) -> Recording {
    Recording::bytes("memory", text.as_bytes().to_vec()).unwrap()
}

fn feed(texts: &[&str], options: ReplayOptions) -> ReplayFeed {
    let recordings = texts.iter().map(|text| recording(text)).collect();
    ReplayFeed::new(recordings, options).unwrap()
}

fn all(feed: &mut ReplayFeed) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = feed.next_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

fn id(text: &str) -> InstrumentId {
    InstrumentId::new(text).unwrap()
}

/// What happened, in short.
fn told(frames: &[Frame]) -> Vec<String> {
    let events = frames.iter().flat_map(|frame| &frame.events);
    events
        .map(|event| match event {
            MarketEvent::Trade(trade) => format!("trade {}", trade.trade_id),
            MarketEvent::Quote(_) => "quote".to_owned(),
            MarketEvent::Book(delta) => format!("book {}", delta.last_update_id),
            MarketEvent::Snapshot(snapshot) => format!("snapshot {}", snapshot.update_id),
            MarketEvent::Bar(bar) => format!("bar {}", bar.trade_count),
            MarketEvent::FeedState(state) => format!("{:?}", state.status),
        })
        .collect()
}

#[test]
fn a_session_is_told_in_order() {
    let mut feed = feed(&[&session("AAAUSDT")], ReplayOptions::default());
    let frames = all(&mut feed);
    assert_eq!(
        told(&frames),
        [
            "Recovering",
            "Live",
            "snapshot 12",
            "book 14",
            "quote",
            "trade 7",
            "book 15",
            "trade 8",
            "Closed",
        ]
    );
    assert_eq!(
        frames.iter().map(|frame| frame.line).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7]
    );
    let summary = feed.summary();
    assert_eq!(
        (summary.frames, summary.bad_frames, summary.ticks),
        (7, 0, 5)
    );
    let instrument = &summary.instruments["AAAUSDT.BINANCE"];
    assert_eq!(
        (instrument.volume.as_str(), instrument.notional.as_str()),
        ("1.00", "99.75")
    );
    assert_eq!(
        instrument.book.bids,
        [["99.50".to_owned(), "15.00".to_owned()]]
    );
    assert!(!instrument.book.stale);
}

#[test]
fn bars_that_were_asked_for_are_events_before_the_trade_that_ends_them() {
    let options = ReplayOptions {
        bars: vec![BarSpec::Time {
            interval_ns: 1_000_000_000,
        }],
        ..ReplayOptions::default()
    };
    let mut feed = feed(&[&session("AAAUSDT")], options);
    let frames = all(&mut feed);
    let told = told(&frames);
    let at = |text: &str| told.iter().position(|one| one == text).unwrap();
    // The change of the book at ten seconds shows that the first second is over.
    assert_eq!(at("bar 1") + 1, at("book 15"));
    let bars = frames
        .iter()
        .flat_map(|frame| &frame.events)
        .filter_map(|event| match event {
            MarketEvent::Bar(bar) => Some(bar.ts_init),
            _ => None,
        });
    assert_eq!(bars.collect::<Vec<_>>(), [frames[5].ts]);
}

#[test]
fn different_instruments_are_merged_by_receive_time() {
    let b = [
        trade(50, "BBBUSDT", 1, "2.00"),
        trade(300, "BBBUSDT", 2, "2.00"),
    ]
    .concat();
    let mut feed = feed(&[&session("AAAUSDT"), &b], ReplayOptions::default());
    let frames = all(&mut feed);
    let order: Vec<_> = frames
        .iter()
        .map(|frame| (frame.recording, frame.line))
        .collect();
    // Of equal times the recording that was given first goes first.
    assert_eq!(
        order,
        [
            (0, 1),
            (1, 1),
            (0, 2),
            (0, 3),
            (0, 4),
            (0, 5),
            (1, 2),
            (0, 6),
            (0, 7)
        ]
    );
    assert_eq!(
        feed.status(&id("BBBUSDT.BINANCE")),
        Some(FeedStatus::Closed)
    );
    assert_eq!(feed.counts(&id("BBBUSDT.BINANCE")).unwrap().trades, 2);
}

#[test]
fn a_recording_without_a_book_is_live_at_once() {
    let mut feed = feed(&[&trade(0, "AAAUSDT", 1, "2.00")], ReplayOptions::default());
    assert_eq!(told(&all(&mut feed)), ["Live", "trade 1", "Closed"]);
}

#[test]
fn recordings_of_one_instrument_follow_each_other_by_their_first_time() {
    let later = [
        depth(40_000, "AAAUSDT", 16, 20),
        depth(40_100, "AAAUSDT", 21, 22),
    ]
    .concat();
    let mut feed = feed(&[&later, &session("AAAUSDT")], ReplayOptions::default());
    let frames = all(&mut feed);
    assert_eq!(frames[0].recording, 1);
    let told = told(&frames);
    assert_eq!(told[told.len() - 3..], ["book 20", "book 22", "Closed"]);
    assert_eq!(told.iter().filter(|text| *text == "Closed").count(), 1);
    assert_eq!(feed.book(&id("AAAUSDT.BINANCE")).unwrap().update_id(), 22);
}

#[test]
fn a_repeat_moves_times_and_ids_on_and_waits_for_its_snapshot() {
    let options = ReplayOptions {
        repeat: true,
        ..ReplayOptions::default()
    };
    let mut feed = feed(&[&session("AAAUSDT")], options);
    let frames: Vec<_> = (0..21)
        .map(|_| feed.next_frame().unwrap().unwrap())
        .collect();
    assert!(frames.is_sorted_by_key(|frame| frame.ts));
    let told = told(&frames);
    // Updates 1 to 15 and trades 7 to 8: the next pass begins behind them.
    assert_eq!(
        told[8..16],
        [
            "Recovering",
            "Live",
            "snapshot 27",
            "book 29",
            "quote",
            "trade 9",
            "book 30",
            "trade 10"
        ]
    );
    assert!(!told.contains(&"Closed".to_owned()));
    assert_eq!(
        feed.book(&id("AAAUSDT.BINANCE")).unwrap().counters().gaps,
        0
    );
    let summary = feed.summary();
    let bars = &summary.instruments["AAAUSDT.BINANCE"].minute_bars;
    assert_eq!(
        bars.values().map(|bar| bar.n).collect::<Vec<_>>(),
        [2, 2, 2]
    );
    assert!(bars.keys().all(|start| start % 60_000 == 0));
}

#[test]
fn clones_are_instruments_of_their_own_and_marked() {
    let options = ReplayOptions {
        clones: 2,
        ..ReplayOptions::default()
    };
    let mut feed = feed(&[&session("AAAUSDT")], options);
    let frames = all(&mut feed);
    assert!(frames.is_sorted_by_key(|frame| frame.ts));
    let instruments = feed.instruments();
    let names: Vec<_> = instruments
        .iter()
        .map(|i| {
            (
                i.instrument_id.as_str(),
                i.synthetic,
                i.base_currency.as_str(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("AAAUSDT.BINANCE", false, "AAA"),
            ("AAAUSDT-C1.BINANCE", true, "AAA"),
            ("AAAUSDT-C2.BINANCE", true, "AAA"),
        ]
    );
    let summary = feed.summary();
    assert_eq!((summary.frames, summary.ticks), (21, 15));
    let original = &summary.instruments["AAAUSDT.BINANCE"];
    let clone = &summary.instruments["AAAUSDT-C2.BINANCE"];
    assert_eq!(original.volume, clone.volume);
    assert_eq!(original.book.bids, clone.book.bids);
    assert_eq!(
        clone.book.update_id,
        original.book.update_id + 2_000_000_000_000
    );
    let too_many = ReplayOptions {
        clones: CLONES_MAX + 1,
        ..ReplayOptions::default()
    };
    let error = ReplayFeed::new(vec![recording(&session("AAAUSDT"))], too_many).unwrap_err();
    assert!(matches!(error, ReplayError::Clones { .. }));
}

#[test]
fn a_start_in_the_middle_begins_with_the_book_as_it_stands() {
    let options = ReplayOptions {
        start_at: Some(UnixNanos(START + 5_000_000_000)),
        ..ReplayOptions::default()
    };
    let mut feed = feed(&[&session("AAAUSDT")], options);
    let frames = all(&mut feed);
    assert_eq!(
        told(&frames),
        [
            "Live",
            "snapshot 14",
            "quote",
            "book 15",
            "trade 8",
            "Closed"
        ]
    );
    let times = frames[0].events.iter().map(MarketEvent::ts_init);
    assert!(times.clone().count() == 4 && times.into_iter().all(|ts| ts == frames[0].ts));
    assert_eq!(
        (feed.skipped(), feed.summary().frames, feed.summary().ticks),
        (5, 2, 3)
    );
}

#[test]
fn seeking_gives_the_same_as_starting_there() {
    let at = UnixNanos(START + 5_000_000_000);
    let mut seeker = feed(&[&session("AAAUSDT")], ReplayOptions::default());
    all(&mut seeker);
    seeker.seek(at).unwrap();
    let after_seek = all(&mut seeker);
    let options = ReplayOptions {
        start_at: Some(at),
        ..ReplayOptions::default()
    };
    let mut starter = feed(&[&session("AAAUSDT")], options);
    assert_eq!(after_seek, all(&mut starter));
    assert_eq!(seeker.summary(), starter.summary());
    seeker.seek(UnixNanos(0)).unwrap();
    let mut whole = feed(&[&session("AAAUSDT")], ReplayOptions::default());
    assert_eq!(told(&all(&mut seeker)).len(), told(&all(&mut whole)).len());
    assert_eq!(seeker.summary(), whole.summary());
}

#[test]
fn a_snapshot_among_several_symbols_belongs_to_nobody() {
    let text = [
        depth(0, "AAAUSDT", 1, 10),
        depth(1, "BBBUSDT", 1, 10),
        snapshot(2, 12),
        depth(3, "AAAUSDT", 11, 14),
    ]
    .concat();
    let mut feed = feed(&[&text], ReplayOptions::default());
    all(&mut feed);
    assert_eq!(feed.bad_frames()[0].line, 3);
    assert_eq!(feed.summary().bad_frames, 1);
}
