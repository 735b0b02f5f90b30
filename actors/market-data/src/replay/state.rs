//! Book, bars and statistics of one instrument.

use apex_domain::bar::{BarBuilder, BarSpecError, TimeBars};
use apex_domain::book::{BookStatus, DeltaOutcome, L2Book, SequenceRule, SnapshotOutcome};
use apex_domain::market::{
    Bar, BarSpec, BookDelta, BookSnapshot, FeedState, FeedStatus, MarketEvent, Quote, Trade,
};
use apex_domain::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use apex_domain::{Instrument, UnixNanos};

/// How many minute bars the summary can hold: a week. Longer replays keep the newest.
const MINUTES_KEPT: usize = 7 * 24 * 60;

/// How many cells of other bars stay open to late trades.
const CELLS_KEPT: usize = 64;

/// How long a bar waits for its last trades when only another channel tells that its cell is over.
/// In the recorded Binance traffic changes of the book overtake trades by more than 100 ms and by
/// less than this; without the wait 298 of 9,757 trades of BTCUSDT came too late for bars of a
/// second. A later trade ends the bar at once.
const TRADES_BEHIND_NS: i64 = 250 * NANOS_PER_MILLI;

/// What was seen of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames by kind, whatever came of them.
    pub depth: u64,
    pub quotes: u64,
    pub trades: u64,
    pub snapshots: u64,
    /// Sum of traded quantities, a mantissa at the instrument's quantity decimals.
    pub volume: i128,
    /// Sum of price times quantity, a mantissa at the sum of both decimals.
    pub notional: i128,
}

/// One instrument of the feed.
#[derive(Debug)]
pub struct InstrumentState {
    pub instrument: Instrument,
    pub wire_price_decimals: u8,
    pub wire_quantity_decimals: u8,
    /// How far update and trade ids move on with each repeat.
    pub update_id_span: u64,
    pub trade_id_span: u64,
    pub counts: Counts,
    rule: SequenceRule,
    /// The recording holds depth frames, so there is a book to wait for.
    has_book: bool,
    book: L2Book,
    minutes: TimeBars,
    /// Bars that are given as events.
    bars: Vec<BarBuilder>,
    /// The same as they began.
    fresh_bars: Vec<BarBuilder>,
    status: FeedStatus,
    last_quote: Option<Quote>,
    finished: Vec<Bar>,
}

impl InstrumentState {
    /// The state before the first frame.
    ///
    /// Errors: [`BarSpecError`] for bars that cannot be built.
    pub fn new(
        instrument: Instrument,
        rule: SequenceRule,
        wire_decimals: (u8, u8),
        has_book: bool,
        specs: &[BarSpec],
    ) -> Result<InstrumentState, BarSpecError> {
        let id = &instrument.instrument_id;
        let bars: Vec<BarBuilder> = specs
            .iter()
            .map(|spec| BarBuilder::new(id.clone(), *spec, CELLS_KEPT))
            .collect::<Result<_, _>>()?;
        Ok(InstrumentState {
            wire_price_decimals: wire_decimals.0,
            wire_quantity_decimals: wire_decimals.1,
            update_id_span: 0,
            trade_id_span: 0,
            counts: Counts::default(),
            rule,
            has_book,
            book: L2Book::new(id.clone(), rule),
            minutes: TimeBars::new(id.clone(), 60 * NANOS_PER_SECOND, MINUTES_KEPT),
            fresh_bars: bars.clone(),
            bars,
            status: FeedStatus::Closed,
            last_quote: None,
            finished: Vec::new(),
            instrument,
        })
    }

    /// Forgets everything that was seen.
    pub fn reset(&mut self) {
        let id = self.instrument.instrument_id.clone();
        self.counts = Counts::default();
        self.book = L2Book::new(id.clone(), self.rule);
        self.minutes = TimeBars::new(id, 60 * NANOS_PER_SECOND, MINUTES_KEPT);
        self.bars.clone_from(&self.fresh_bars);
        self.status = FeedStatus::Closed;
        self.last_quote = None;
        self.finished.clear();
    }

    pub fn book(&self) -> &L2Book {
        &self.book
    }

    /// Returns the builders of the bars that are given as events.
    pub fn bars(&self) -> &[BarBuilder] {
        &self.bars
    }

    pub fn minutes(&self) -> &TimeBars {
        &self.minutes
    }

    pub fn status(&self) -> FeedStatus {
        self.status
    }

    /// Changes the feed's state, and says so when it differs.
    pub fn set_status(&mut self, status: FeedStatus, ts: UnixNanos, events: &mut Vec<MarketEvent>) {
        if self.status != status {
            self.status = status;
            events.push(MarketEvent::FeedState(FeedState {
                instrument_id: self.instrument.instrument_id.clone(),
                status,
                ts_init: ts,
            }));
        }
    }

    /// Brings the state in line with the book: called for each frame, since any frame shows that
    /// the connection lives.
    fn refresh(&mut self, ts: UnixNanos, events: &mut Vec<MarketEvent>) {
        let status = match self.book.status() {
            BookStatus::InSync => FeedStatus::Live,
            BookStatus::Awaiting if !self.has_book => FeedStatus::Live,
            BookStatus::Awaiting => FeedStatus::Recovering,
            // A book that waits for a snapshot on purpose was set to recovering before.
            BookStatus::Gapped if self.status == FeedStatus::Recovering => FeedStatus::Recovering,
            BookStatus::Gapped => FeedStatus::Gapped,
        };
        self.set_status(status, ts, events);
    }

    pub fn on_depth(&mut self, delta: BookDelta, events: &mut Vec<MarketEvent>) {
        self.counts.depth += 1;
        let (ts_event, ts_init) = (delta.ts_event, delta.ts_init);
        self.on_time(ts_event, ts_init, events);
        let outcome = self.book.apply_delta(delta);
        self.refresh(ts_init, events);
        if let DeltaOutcome::Applied(delta) = outcome {
            events.push(MarketEvent::Book(delta));
        }
    }

    pub fn on_snapshot(&mut self, snapshot: BookSnapshot, events: &mut Vec<MarketEvent>) {
        self.counts.snapshots += 1;
        let ts_init = snapshot.ts_init;
        let SnapshotOutcome::Applied { then } = self.book.apply_snapshot(&snapshot) else {
            self.refresh(ts_init, events);
            return;
        };
        if self.book.status() == BookStatus::InSync {
            self.refresh(ts_init, events);
        }
        events.push(MarketEvent::Snapshot(snapshot));
        // The changes that waited are handed on now: that is when they came into the book.
        events.extend(
            then.into_iter()
                .map(|delta| MarketEvent::Book(BookDelta { ts_init, ..delta })),
        );
        if self.book.status() != BookStatus::InSync {
            self.set_status(FeedStatus::Gapped, ts_init, events);
        }
    }

    pub fn on_quote(&mut self, quote: Quote, events: &mut Vec<MarketEvent>) {
        self.counts.quotes += 1;
        self.refresh(quote.ts_init, events);
        events.push(MarketEvent::Quote(quote));
    }

    pub fn on_trade(&mut self, trade: Trade, events: &mut Vec<MarketEvent>) {
        let counts = &mut self.counts;
        counts.trades += 1;
        // Sums of real trades are far from the range; a garbled one must not end the replay.
        counts.volume = counts.volume.saturating_add(i128::from(trade.quantity.0));
        let notional = i128::from(trade.price.0) * i128::from(trade.quantity.0);
        counts.notional = counts.notional.saturating_add(notional);
        self.refresh(trade.ts_init, events);
        self.minutes.on_trade(&trade, &mut self.finished);
        self.finished.clear();
        // A time bar ends before the trade that shows its end, others hold their last trade.
        self.build(&trade, false, events);
        events.push(MarketEvent::Trade(trade.clone()));
        self.build(&trade, true, events);
    }

    fn build(&mut self, trade: &Trade, ends_with_its_trade: bool, events: &mut Vec<MarketEvent>) {
        for builder in &mut self.bars {
            if builder.ends_with_its_trade() == ends_with_its_trade {
                builder.on_trade(trade, &mut self.finished);
            }
        }
        events.extend(self.finished.drain(..).map(MarketEvent::Bar));
    }

    /// Takes the time of a change of the book, which comes by another channel than the trades.
    fn on_time(&mut self, now: UnixNanos, ts_init: UnixNanos, events: &mut Vec<MarketEvent>) {
        let now = now.plus(-TRADES_BEHIND_NS);
        self.minutes.on_time(now, ts_init, &mut self.finished);
        self.finished.clear();
        for builder in &mut self.bars {
            builder.on_time(now, ts_init, &mut self.finished);
        }
        events.extend(self.finished.drain(..).map(MarketEvent::Bar));
    }

    /// Makes the book wait for the snapshot with which a repeat begins.
    pub fn begin_anew(&mut self) {
        self.book.expect_snapshot();
        self.status = FeedStatus::Closed;
    }

    /// The announced start of a repeat: the old book is stale until the snapshot comes.
    pub fn recover(&mut self, ts: UnixNanos, events: &mut Vec<MarketEvent>) {
        if self.status == FeedStatus::Closed && self.book.status() == BookStatus::Gapped {
            self.set_status(FeedStatus::Recovering, ts, events);
        }
    }

    /// Remembers a quote that is passed over on the way to the start.
    pub fn skip_quote(&mut self, quote: Quote) {
        self.last_quote = Some(quote);
    }

    /// Says where things stand at `ts`, after frames were passed over.
    pub fn catch_up(&mut self, ts: UnixNanos, events: &mut Vec<MarketEvent>) {
        self.counts = Counts::default();
        self.status = FeedStatus::Closed;
        self.refresh(ts, events);
        if self.book.update_id() > 0 {
            events.push(MarketEvent::Snapshot(self.book.snapshot(
                usize::MAX,
                ts,
                ts,
            )));
        }
        if let Some(quote) = self.last_quote.take() {
            events.push(MarketEvent::Quote(Quote {
                ts_init: ts,
                ..quote
            }));
        }
    }
}
