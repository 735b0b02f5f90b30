//! Readers of a small log, in random order of publishing, reading, lagging and coming again: each
//! numbered tick is carried or counted, once.

use super::group::{Frame, encode};
use super::log::{ALL, BAR, KINDS, Log, QUOTE, TRADE};
use super::member::Numbered;
use super::reader::{Fit, Reader, Reading, Selection, TICKS};
use super::wire;
use apex_domain::market::{Level, Quote, Trade};
use apex_domain::matching::SimInstrument;
use apex_domain::{Instrument, InstrumentId, Price, Quantity, UnixNanos};
use apex_proto::v1;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;

fn instrument(number: u32) -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new(&format!("I{number}.SIM")).unwrap(),
        ..SimInstrument::defaults().remove(0).instrument
    }
}

fn trade(log: &mut Log, ordinal: u32) {
    let trade = Trade {
        instrument_id: instrument(ordinal).instrument_id,
        price: Price(1),
        quantity: Quantity(1),
        aggressor: None,
        trade_id: 0,
        ts_event: UnixNanos(1),
        ts_init: UnixNanos(1),
    };
    log.trade(ordinal, &trade);
}

fn quote(log: &mut Log, ordinal: u32, overwritten: u64) {
    let bid = Some(Level {
        price: Price(1),
        quantity: Quantity(1),
    });
    let quote = Quote {
        instrument_id: instrument(ordinal).instrument_id,
        bid,
        ask: None,
        ts_event: UnixNanos(1),
        ts_init: UnixNanos(1),
    };
    log.quote(ordinal, &quote, overwritten);
}

fn log(trades: usize, instruments: u32) -> Log {
    let mut log = Log::with_capacity(7, trades, 4);
    for number in 1..=instruments {
        assert_eq!(log.name(&instrument(number)), number);
    }
    log
}

fn all() -> Selection {
    Selection {
        instruments: None,
        kinds: [true; KINDS],
    }
}

/// A client that holds every batch against what it has.
#[derive(Clone, Debug, Default)]
struct Client {
    known: BTreeMap<(u32, usize), u64>,
}

impl Client {
    fn take(&mut self, batch: &v1::MarketDataBatch) {
        let mut step = |instrument, kind, by: u64, sequence| {
            let known = self.known.entry((instrument, kind)).or_default();
            *known += by;
            assert_eq!(*known, sequence, "instrument {instrument}, kind {kind}");
        };
        for gap in &batch.gaps {
            assert!(gap.missed > 0);
            if gap.instrument != ALL {
                step(
                    gap.instrument,
                    gap.kind as usize - 1,
                    gap.missed,
                    gap.sequence,
                );
            }
        }
        for tick in &batch.trades {
            step(tick.instrument, TRADE, 1, tick.sequence);
        }
        for tick in &batch.quotes {
            step(tick.instrument, QUOTE, tick.overwritten + 1, tick.sequence);
        }
    }

    /// Asserts that everything the log has numbered was carried or counted.
    fn has_all(&self, log: &Log, selection: &Selection) {
        for (ordinal, named) in log.named.iter().enumerate().skip(1) {
            if !selection.instrument(ordinal as u32) {
                continue;
            }
            for kind in [TRADE, QUOTE] {
                let known = self.known.get(&(ordinal as u32, kind)).copied();
                assert_eq!(known.unwrap_or(0), named.last[kind]);
            }
        }
    }
}

/// A stream without its connection.
struct Stream {
    client: Client,
    reader: Reader,
    is_behind: bool,
    next: usize,
}

impl Stream {
    fn take(&mut self, log: &Log, selection: &Selection, frames: &[Frame], shared: &mut u64) {
        if self.is_behind {
            let reading = self.reader.read(log, selection);
            self.is_behind = reading.more;
            self.client.take(&reading.batch);
            return;
        }
        let Some(frame) = frames.get(self.next) else {
            return;
        };
        self.next += 1;
        match self.reader.fit(&frame.reading) {
            Fit::Exact => {
                self.reader.advance(&frame.reading);
                self.client.take(&frame.whole().batch);
                *shared += 1;
            }
            Fit::Overlaps => {
                let rest = self.reader.rest_of(&frame.whole());
                self.reader.advance(&rest);
                self.client.take(&rest.batch);
            }
            Fit::Hole => self.is_behind = true,
        }
    }
}

fn frame(reader: &mut Reader, log: &Log, selection: &Selection) -> (Frame, bool) {
    let mut reading = reader.read(log, selection);
    let more = reading.more;
    let mut batch = std::mem::take(&mut reading.batch);
    let body = encode(&mut batch);
    (Frame { reading, body }, more)
}

#[derive(Clone, Debug)]
enum Step {
    Trade(u32),
    Quote(u32, u64),
    /// The group makes a batch.
    Group,
    /// A stream takes its next message.
    Take(usize),
    /// A stream falls out of what its group keeps.
    Lag(usize),
    /// A client comes again with what it has.
    Again(usize),
}

const STREAMS: usize = 3;
const INSTRUMENTS: u32 = 3;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=INSTRUMENTS).prop_map(Step::Trade),
        3 => ((1..=INSTRUMENTS), 0..3u64).prop_map(|(one, over)| Step::Quote(one, over)),
        4 => Just(Step::Group),
        6 => (0..STREAMS).prop_map(Step::Take),
        1 => (0..STREAMS).prop_map(Step::Lag),
        1 => (0..STREAMS).prop_map(Step::Again),
    ]
}

proptest! {
    #[test]
    fn each_tick_is_carried_or_counted_once(
        steps in proptest::collection::vec(step(), 1..400),
        wants_all in any::<bool>(),
    ) {
        let mut log = log(8, INSTRUMENTS);
        let mut selection = all();
        if !wants_all {
            selection.instruments = Some(vec![false, true, false, true]);
        }
        let mut group = Reader::at_end(&log);
        let mut frames: Vec<Frame> = Vec::new();
        let mut streams: Vec<Stream> = (0..STREAMS)
            .map(|_| Stream {
                client: Client::default(),
                reader: Reader::at_end(&log),
                is_behind: false,
                next: 0,
            })
            .collect();
        let mut shared = 0;
        for step in steps {
            match step {
                Step::Trade(ordinal) => trade(&mut log, ordinal),
                Step::Quote(ordinal, overwritten) => quote(&mut log, ordinal, overwritten),
                Step::Group => {
                    let (frame, _) = frame(&mut group, &log, &selection);
                    frames.push(frame);
                }
                Step::Take(one) => streams[one].take(&log, &selection, &frames, &mut shared),
                Step::Lag(one) => {
                    streams[one].next = frames.len();
                    streams[one].is_behind = true;
                }
                Step::Again(one) => {
                    let client = streams[one].client.clone();
                    let mut reader = Reader::at_end(&log);
                    for ordinal in 1..=INSTRUMENTS {
                        for kind in [TRADE, QUOTE] {
                            let known = client.known.get(&(ordinal, kind)).copied();
                            reader.set(ordinal, kind, known.unwrap_or(0));
                        }
                    }
                    let next = frames.len();
                    streams[one] = Stream { client, reader, is_behind: true, next };
                }
            }
        }
        while frame(&mut group, &log, &selection).1 {}
        for stream in &mut streams {
            stream.is_behind = true;
            while stream.is_behind {
                stream.take(&log, &selection, &frames, &mut shared);
            }
            stream.client.has_all(&log, &selection);
        }
    }
}

#[test]
fn streams_that_keep_up_share_every_batch() {
    let mut log = log(64, 2);
    let selection = all();
    let mut group = Reader::at_end(&log);
    let mut stream = Stream {
        client: Client::default(),
        reader: Reader::at_end(&log),
        is_behind: false,
        next: 0,
    };
    let (mut frames, mut shared) = (Vec::new(), 0);
    for _ in 0..10 {
        for ordinal in [1, 2, 1] {
            trade(&mut log, ordinal);
            quote(&mut log, ordinal, 1);
        }
        frames.push(frame(&mut group, &log, &selection).0);
        stream.take(&log, &selection, &frames, &mut shared);
    }
    assert_eq!(shared, 10);
    stream.client.has_all(&log, &selection);
}

#[test]
fn a_message_holds_so_many_ticks_and_no_kind_waits_for_ever() {
    let mut log = log(1 << 14, 1);
    let selection = all();
    let mut reader = Reader::at_end(&log);
    for _ in 0..4 * TICKS {
        trade(&mut log, 1);
    }
    let mut has_quote = false;
    for _ in 0..KINDS {
        quote(&mut log, 1, 0);
        let reading = reader.read(&log, &selection);
        let batch = &reading.batch;
        assert!(batch.trades.len() + batch.quotes.len() <= TICKS);
        has_quote |= !batch.quotes.is_empty();
        // The market goes on faster than the reader.
        for _ in 0..TICKS {
            trade(&mut log, 1);
        }
    }
    assert!(has_quote);
}

#[test]
fn what_the_gateway_itself_missed_is_told_to_everyone_and_ends_the_numbering() {
    let mut log = log(8, 1);
    let selection = all();
    let mut group = Reader::at_end(&log);
    let mut late = Reader::at_end(&log);
    log.missed(TRADE, 5);
    trade(&mut log, 1);
    let (frame, _) = frame(&mut group, &log, &selection);
    let told = frame.whole().batch;
    assert_eq!(told.publisher_epoch, 8);
    let gap = v1::MarketDataGap {
        kind: v1::MarketDataKind::Trades.into(),
        missed: 5,
        instrument: ALL,
        sequence: 0,
    };
    assert_eq!(told.gaps, [gap]);
    assert_eq!(late.fit(&frame.reading), Fit::Exact);
    let reading = late.read(&log, &selection);
    assert_eq!(reading.batch.gaps, [gap]);
    // Told once.
    assert!(late.read(&log, &selection).is_empty());
    assert_eq!(late.fit(&frame.reading), Fit::Overlaps);
    assert!(late.rest_of(&frame.whole()).is_empty());
}

#[test]
fn a_reader_of_one_kind_hears_of_no_other() {
    let mut log = log(1, 1);
    let mut selection = all();
    selection.kinds = [false; KINDS];
    selection.kinds[BAR] = true;
    let mut reader = Reader::at_end(&log);
    trade(&mut log, 1);
    trade(&mut log, 1);
    quote(&mut log, 1, 0);
    log.missed(TRADE, 3);
    assert!(reader.read(&log, &selection).is_empty());
}

#[test]
fn a_shared_message_is_the_message_that_any_encoder_writes() {
    let mut log = log(8, 1);
    let mut reader = Reader::default();
    trade(&mut log, 1);
    quote(&mut log, 1, 2);
    let Reading { mut batch, .. } = reader.read(&log, &all());
    for batch_sequence in [1, 127, 128, u64::MAX] {
        let body = encode(&mut batch);
        let mut written = Vec::new();
        wire::write(
            &Numbered {
                batch_sequence,
                body,
            },
            &mut written,
        );
        batch.batch_sequence = batch_sequence;
        assert_eq!(written, batch.encode_to_vec());
        batch.batch_sequence = 0;
    }
}
