//! What a reader of the log has, and what it misses.
//!
//! A reader is a group of streams, a stream that lags behind its group, or one that came again. All
//! of them know the newest sequence that they have of each instrument and kind; everything else
//! follows from it, so that each tick is carried or counted once, whatever happened in between.

use super::log::{ALL, BAR, BOOK, FEED_STATE, KINDS, Log, Newest, QUOTE, Recent, TRADE, Tick};
use apex_proto::v1;

/// Ticks of one message: some 20 kB, at which the cost of a message no longer shows and a client
/// does not wait long for its end.
pub(super) const TICKS: usize = 512;

/// Which ticks are wanted.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// By ordinal; `None` is every instrument.
    pub(super) instruments: Option<Vec<bool>>,
    pub(super) kinds: [bool; KINDS],
}

impl Selection {
    pub(super) fn instrument(&self, ordinal: u32) -> bool {
        match &self.instruments {
            None => true,
            Some(wanted) => wanted.get(ordinal as usize).copied().unwrap_or(false),
        }
    }
}

/// What a batch took a reader from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) ordinal: u32,
    pub(super) kind: usize,
    pub(super) before: u64,
    pub(super) after: u64,
}

/// Where a reader stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// The newest sequence that it has, by ordinal and kind.
    known: Vec<[u64; KINDS]>,
    /// Positions of the log before which there is nothing that it does not know.
    at: [u64; KINDS],
    /// Instruments that it was told of: those below.
    named: u32,
    /// Whose turn it is to fill a message first, so that none waits for ever behind another.
    turn: usize,
}

/// A batch, with what it changes for its reader.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) batch: v1::MarketDataBatch,
    pub(super) marks: Vec<Mark>,
    pub(super) named: (u32, u32),
    pub(super) at: [u64; KINDS],
    /// The message was full before all was told.
    pub(super) more: bool,
}

impl Reading {
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.batch.instruments.is_empty()
    }
}

/// How a batch that was made for one reader fits another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is exactly what comes next.
    Exact,
    /// A part of it is known already, or all.
    Overlaps,
    /// Something before it is missing.
    Hole,
}

impl Reader {
    /// A reader that has all there is now.
    pub(super) fn at_end(log: &Log) -> Reader {
        Reader {
            known: log.named.iter().map(|named| named.last).collect(),
            at: [
                log.trades.end(),
                log.quotes.end(),
                log.books.end(),
                log.bars.end(),
                log.feed_states.end(),
            ],
            named: log.named.len() as u32,
            turn: 0,
        }
    }

    /// Puts the reader back to a sequence that it has.
    pub(super) fn set(&mut self, ordinal: u32, kind: usize, sequence: u64) {
        *self.known(ordinal, kind) = sequence;
        self.at[kind] = 0;
    }

    fn known(&mut self, ordinal: u32, kind: usize) -> &mut u64 {
        let ordinal = ordinal as usize;
        if self.known.len() <= ordinal {
            self.known.resize(ordinal + 1, [0; KINDS]);
        }
        &mut self.known[ordinal][kind]
    }

    /// Returns how a batch fits.
    pub(super) fn fit(&mut self, reading: &Reading) -> Fit {
        if reading.named.0 > self.named {
            return Fit::Hole;
        }
        let mut fit = Fit::Exact;
        for mark in &reading.marks {
            let known = *self.known(mark.ordinal, mark.kind);
            if known < mark.before {
                return Fit::Hole;
            }
            if known > mark.before {
                fit = Fit::Overlaps;
            }
        }
        fit
    }

    /// Counts a batch as told.
    pub(super) fn advance(&mut self, reading: &Reading) {
        for mark in &reading.marks {
            let known = self.known(mark.ordinal, mark.kind);
            *known = mark.after.max(*known);
        }
        self.named = self.named.max(reading.named.1);
        for (own, at) in self.at.iter_mut().zip(reading.at) {
            *own = at.max(*own);
        }
    }

    /// Returns the part of another's batch that this reader does not have. The batch overlaps.
    pub(super) fn rest_of(&mut self, reading: &Reading) -> Reading {
        let mut rest = Reading {
            batch: v1::MarketDataBatch {
                instruments: reading.batch.instruments.clone(),
                publisher_epoch: reading.batch.publisher_epoch,
                ..Default::default()
            },
            named: reading.named,
            at: reading.at,
            ..Reading::default()
        };
        let named = self.named;
        rest.batch.instruments.retain(|it| it.instrument >= named);
        let batch = &reading.batch;
        self.keep_newest(&mut rest, QUOTE, &batch.quotes, |batch| &mut batch.quotes);
        self.keep_newest(&mut rest, BOOK, &batch.books, |batch| &mut batch.books);
        self.keep_newest(&mut rest, FEED_STATE, &batch.feed_states, |batch| {
            &mut batch.feed_states
        });
        self.keep_all(&mut rest, TRADE, reading, &batch.trades, |batch| {
            &mut batch.trades
        });
        self.keep_all(&mut rest, BAR, reading, &batch.bars, |batch| {
            &mut batch.bars
        });
        rest
    }

    fn keep_newest<T: Tick + Conflated>(
        &mut self,
        rest: &mut Reading,
        kind: usize,
        ticks: &[T],
        of: impl Fn(&mut v1::MarketDataBatch) -> &mut Vec<T>,
    ) {
        for tick in ticks {
            let before = *self.known(tick.instrument(), kind);
            if tick.sequence() <= before {
                continue;
            }
            let mut tick = tick.clone();
            tick.set_overwritten(tick.sequence() - before - 1);
            mark(&mut rest.marks, tick.instrument(), kind, before, &tick);
            of(&mut rest.batch).push(tick);
        }
    }

    fn keep_all<T: Tick>(
        &mut self,
        rest: &mut Reading,
        kind: usize,
        whole: &Reading,
        ticks: &[T],
        of: impl Fn(&mut v1::MarketDataBatch) -> &mut Vec<T>,
    ) {
        for passed in whole.marks.iter().filter(|mark| mark.kind == kind) {
            let before = *self.known(passed.ordinal, kind);
            if passed.after <= before {
                continue;
            }
            let fresh = |tick: &&T| tick.instrument() == passed.ordinal && tick.sequence() > before;
            let count = ticks.iter().filter(fresh).count() as u64;
            let missed = passed.after - before - count;
            if missed > 0 {
                let last = passed.after - count;
                rest.batch
                    .gaps
                    .push(gap(passed.ordinal, kind, missed, last));
            }
            rest.marks.push(Mark { before, ..*passed });
        }
        let is_fresh = |tick: &&T| tick.sequence() > self.peek(tick.instrument(), kind);
        of(&mut rest.batch).extend(ticks.iter().filter(is_fresh).cloned());
    }

    fn peek(&self, ordinal: u32, kind: usize) -> u64 {
        let known = self.known.get(ordinal as usize);
        known.map_or(0, |known| known[kind])
    }

    /// Returns the next message for this reader and counts it as told.
    pub(super) fn read(&mut self, log: &Log, selection: &Selection) -> Reading {
        let mut reading = Reading {
            batch: v1::MarketDataBatch {
                publisher_epoch: log.epoch,
                ..Default::default()
            },
            named: (self.named, log.named.len() as u32),
            ..Reading::default()
        };
        let new = log.named.iter().skip(self.named as usize);
        let new = new.filter_map(|named| named.scale.as_ref());
        let new = new.filter(|scale| selection.instrument(scale.instrument));
        reading.batch.instruments.extend(new.cloned());
        self.named = log.named.len() as u32;
        // Before any tick: who has heard of a later one has heard of these.
        self.gaps(log, selection, TRADE, log.trades.first(), &mut reading);
        self.gaps(log, selection, BAR, log.bars.first(), &mut reading);
        let mut room = TICKS;
        for step in 0..KINDS {
            let kind = (self.turn + step) % KINDS;
            if !selection.kinds[kind] {
                continue;
            }
            match kind {
                TRADE => self.ring(&log.trades, selection, kind, &mut room, &mut reading),
                QUOTE => self.newest(&log.quotes, selection, kind, &mut room, &mut reading),
                BOOK => self.newest(&log.books, selection, kind, &mut room, &mut reading),
                BAR => self.ring(&log.bars, selection, kind, &mut room, &mut reading),
                _ => self.newest(&log.feed_states, selection, kind, &mut room, &mut reading),
            }
        }
        self.turn = (self.turn + 1) % KINDS;
        reading.at = self.at;
        merge(&mut reading.marks);
        reading
    }

    /// Tells what is kept no longer.
    fn gaps(
        &mut self,
        log: &Log,
        selection: &Selection,
        kind: usize,
        first: u64,
        reading: &mut Reading,
    ) {
        if !selection.kinds[kind] {
            return;
        }
        // Where nothing fell out behind the reader, only the gateway's own gaps are new to it.
        let all = if self.at[kind] < first {
            log.named.len()
        } else {
            1
        };
        for (ordinal, named) in log.named.iter().enumerate().take(all) {
            let ordinal = ordinal as u32;
            if ordinal != ALL && !selection.instrument(ordinal) {
                continue;
            }
            let (gone, known) = (named.gone[kind], self.known(ordinal, kind));
            if gone <= *known {
                continue;
            }
            let before = std::mem::replace(known, gone);
            let batch = &mut reading.batch;
            batch.gaps.push(gap(ordinal, kind, gone - before, gone));
            reading.marks.push(Mark {
                ordinal,
                kind,
                before,
                after: gone,
            });
        }
        self.at[kind] = self.at[kind].max(first);
    }

    fn ring<T: Tick + Listed>(
        &mut self,
        values: &Recent<T>,
        selection: &Selection,
        kind: usize,
        room: &mut usize,
        reading: &mut Reading,
    ) {
        for (at, tick) in values.since(self.at[kind]) {
            let ordinal = tick.instrument();
            let before = self.peek(ordinal, kind);
            if selection.instrument(ordinal) && tick.sequence() > before {
                if *room == 0 {
                    reading.more = true;
                    return;
                }
                *room -= 1;
                *self.known(ordinal, kind) = tick.sequence();
                mark(&mut reading.marks, ordinal, kind, before, tick);
                T::list(&mut reading.batch).push(tick.clone());
            }
            self.at[kind] = at + 1;
        }
    }

    fn newest<T: Tick + Listed + Conflated>(
        &mut self,
        values: &Newest<T>,
        selection: &Selection,
        kind: usize,
        room: &mut usize,
        reading: &mut Reading,
    ) {
        for (at, tick) in values.since(self.at[kind]) {
            let ordinal = tick.instrument();
            let before = self.peek(ordinal, kind);
            if selection.instrument(ordinal) && tick.sequence() > before {
                if *room == 0 {
                    reading.more = true;
                    return;
                }
                *room = room.saturating_sub(tick.weight());
                *self.known(ordinal, kind) = tick.sequence();
                mark(&mut reading.marks, ordinal, kind, before, tick);
                let mut tick = tick.clone();
                tick.set_overwritten(tick.sequence() - before - 1);
                T::list(&mut reading.batch).push(tick);
            }
            self.at[kind] = at + 1;
        }
    }
}

/// Notes where a tick takes its instrument; of a run of ticks the last.
fn mark<T: Tick>(marks: &mut Vec<Mark>, ordinal: u32, kind: usize, before: u64, tick: &T) {
    let after = tick.sequence();
    // A run of one instrument is the usual case; others are merged at the end.
    match marks.last_mut() {
        Some(last) if (last.ordinal, last.kind) == (ordinal, kind) && last.after == before => {
            last.after = after;
        }
        _ => marks.push(Mark {
            ordinal,
            kind,
            before,
            after,
        }),
    }
}

/// Makes one mark of those of an instrument and kind, each of which begins where the one before ended.
fn merge(marks: &mut Vec<Mark>) {
    marks.sort_by_key(|mark| (mark.ordinal, mark.kind));
    marks.dedup_by(|next, kept| {
        let is_same = (next.ordinal, next.kind) == (kept.ordinal, kept.kind);
        if is_same {
            kept.after = next.after;
        }
        is_same
    });
}

fn gap(ordinal: u32, kind: usize, missed: u64, sequence: u64) -> v1::MarketDataGap {
    v1::MarketDataGap {
        kind: kind as i32 + 1,
        missed,
        instrument: ordinal,
        sequence: if ordinal == ALL { 0 } else { sequence },
    }
}

/// A tick of which only the newest counts.
pub(super) trait Conflated {
    fn set_overwritten(&mut self, overwritten: u64);
}

/// A tick's place in a batch.
pub(super) trait Listed: Sized {
    fn list(batch: &mut v1::MarketDataBatch) -> &mut Vec<Self>;
}

macro_rules! listed {
    ($tick:ty, $list:ident) => {
        impl Listed for $tick {
            fn list(batch: &mut v1::MarketDataBatch) -> &mut Vec<$tick> {
                &mut batch.$list
            }
        }
    };
    ($tick:ty, $list:ident, conflated) => {
        listed!($tick, $list);
        impl Conflated for $tick {
            fn set_overwritten(&mut self, overwritten: u64) {
                self.overwritten = overwritten;
            }
        }
    };
}

listed!(v1::TradeTick, trades);
listed!(v1::BarTick, bars);
listed!(v1::QuoteTick, quotes, conflated);
listed!(v1::BookTop, books, conflated);
listed!(v1::FeedStateTick, feed_states, conflated);
