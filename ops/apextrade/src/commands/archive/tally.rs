//! The rows of a file as they come, told apart by instrument and kind, and sorted on disk.

use super::source::{BAD_KEPT, Bad, Choice, Series};
use anyhow::{Result, bail};
use apex_domain::market::MarketEvent;
use apex_domain::{Instrument, InstrumentId};
use apex_storage::archive::{Content, Head, SeriesRow, Sorted, Sorter};
use apex_storage::port::series::{BarRow, Decimals, QuoteRow, TradeRow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Different distances between the bars of a file, over all of its instruments: a calendar has some
/// ten for each. Of more, some 40 MB, the interval has to be said.
const MAX_DISTANCES: usize = 1 << 20;

/// Trades, quotes and bars of an instrument have numbers behind each other.
const KINDS: u32 = 3;
const BARS: u32 = 2;

/// Takes rows, of which it holds a bounded number in memory.
pub struct Tally<'a> {
    choice: &'a Choice<'a>,
    /// By id.
    instruments: Vec<Instrument>,
    /// How many of the first rows of a series are shown.
    shown: usize,
    /// All rows are wanted, and not just what is in them.
    is_kept: bool,
    sorter: Sorter,
    series: BTreeMap<u32, State>,
    distances: Distances,
    /// Rows that the archive has no place for.
    pub bad_count: u64,
    /// The first of them.
    pub bad: Vec<Bad>,
    /// Of the last row.
    last: Option<(InstrumentId, u32)>,
}

/// What is known of a series.
struct State {
    rows: u64,
    first: Vec<SeriesRow>,
    last_ts: i64,
    /// No row was older than the one before it.
    is_in_order: bool,
}

impl<'a> Tally<'a> {
    /// Begins; what is too much for memory goes to `folder`.
    pub fn new(
        choice: &'a Choice<'a>,
        instruments: Vec<Instrument>,
        folder: &Path,
        is_kept: bool,
        shown: usize,
    ) -> Tally<'a> {
        Tally {
            choice,
            instruments,
            shown,
            is_kept,
            sorter: Sorter::new(folder),
            series: BTreeMap::new(),
            distances: Distances::new(MAX_DISTANCES),
            bad_count: 0,
            bad: Vec::new(),
            last: None,
        }
    }

    /// Takes a row, or counts it as bad where the archive has no place for its digits.
    pub fn take(&mut self, event: &MarketEvent) -> Result<()> {
        let (kind, row) = match event {
            MarketEvent::Trade(trade) => (0, SeriesRow::from(TradeRow::of(0, trade))),
            MarketEvent::Quote(quote) => (1, SeriesRow::from(QuoteRow::of(0, quote))),
            MarketEvent::Bar(bar) => (BARS, SeriesRow::from(BarRow::of(0, bar))),
            // No file has them.
            _ => return Ok(()),
        };
        // A file that changed meanwhile: nothing of it is used.
        let Some(instrument) = self.position(event.instrument_id()) else {
            return Ok(());
        };
        if !row.fits() {
            self.bad_count += 1;
            if self.bad.len() < BAD_KEPT {
                self.bad.push(Bad {
                    line: None,
                    reason: format!("at {} ns has a number of more than 18 digits", row.ts().0),
                });
            }
            return Ok(());
        }
        let number = instrument * KINDS + kind;
        let needs_interval = kind == BARS && self.choice.interval_ns.is_none();
        let state = self.series.entry(number).or_insert_with(State::new);
        if let Some(distance) = state.take(row, self.shown)
            && needs_interval
        {
            self.distances.add(number, distance);
        }
        if self.is_kept || needs_interval {
            self.sorter.push(number, row)?;
        }
        Ok(())
    }

    fn position(&mut self, id: &InstrumentId) -> Option<u32> {
        if let Some((last, position)) = &self.last
            && last == id
        {
            return Some(*position);
        }
        let by_id = |instrument: &Instrument| instrument.instrument_id.cmp(id);
        let position = self.instruments.binary_search_by(by_id).ok()?;
        let position = u32::try_from(position).ok()?;
        self.last = Some((id.clone(), position));
        Some(position)
    }

    /// Returns what there is, in order of instruments and kinds, and the rows.
    ///
    /// Errors: bars that do not tell their interval; those of the disk.
    pub fn finish(mut self) -> Result<(Vec<Series>, Sorted)> {
        let sorted = self.sorter.finish()?;
        if self.choice.interval_ns.is_none() {
            // Of one in order too, where its own were left out for want of room.
            let is_full = self.distances.is_full;
            let is_wrong = |(number, state): (&u32, &State)| {
                (number % KINDS == BARS && (is_full || !state.is_in_order)).then_some(*number)
            };
            let wrong = self.series.iter().filter_map(is_wrong).collect();
            self.distances.count_again(&wrong, &sorted)?;
        }
        let mut series = Vec::new();
        for (number, state) in self.series {
            // There is no state of another one.
            let instrument = &self.instruments[(number / KINDS) as usize];
            let id = &instrument.instrument_id;
            let content = match number % KINDS {
                0 => Content::Trades,
                1 => Content::Quotes,
                _ => Content::Bars {
                    interval_ns: match self.choice.interval_ns {
                        Some(chosen) => chosen,
                        None => self.distances.usual(number, id)?,
                    },
                },
            };
            let head = Head {
                content,
                instrument_id: id.clone(),
                decimals: Decimals {
                    price: instrument.price_decimals,
                    quantity: instrument.quantity_decimals,
                },
            };
            series.push(Series {
                number,
                head,
                rows: state.rows,
                first: state.first,
            });
        }
        Ok((series, sorted))
    }
}

impl State {
    fn new() -> State {
        State {
            rows: 0,
            first: Vec::new(),
            last_ts: i64::MIN,
            is_in_order: true,
        }
    }

    /// Counts a row; returns its distance to the one before it.
    fn take(&mut self, row: SeriesRow, shown: usize) -> Option<i64> {
        let ts = row.ts().0;
        let distance = (self.rows > 0).then(|| ts.saturating_sub(self.last_ts));
        self.is_in_order &= ts >= self.last_ts;
        self.last_ts = ts;
        self.rows += 1;
        // In order of time, and of the file where that is equal.
        let at = self.first.partition_point(|first| first.ts().0 <= ts);
        if at < shown {
            self.first.insert(at, row);
            self.first.truncate(shown);
        }
        distance
    }
}

/// How often bars have which distance.
struct Distances {
    counts: BTreeMap<(u32, i64), u64>,
    limit: usize,
    is_full: bool,
}

impl Distances {
    fn new(limit: usize) -> Distances {
        Distances {
            counts: BTreeMap::new(),
            limit,
            is_full: false,
        }
    }

    fn add(&mut self, number: u32, distance: i64) {
        if distance <= 0 {
            return;
        }
        if let Some(count) = self.counts.get_mut(&(number, distance)) {
            *count += 1;
        } else if self.counts.len() < self.limit {
            self.counts.insert((number, distance), 1);
        } else {
            self.is_full = true;
        }
    }

    /// Counts those of some series anew, in order of time.
    fn count_again(&mut self, numbers: &BTreeSet<u32>, sorted: &Sorted) -> Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.counts
            .retain(|(number, _), _| !numbers.contains(number));
        self.is_full = false;
        let mut last: Option<(u32, i64)> = None;
        for item in sorted.rows()? {
            let (number, row) = item?;
            let ts = row.ts().0;
            if let Some((of, before)) = last
                && of == number
                && numbers.contains(&number)
            {
                self.add(number, ts.saturating_sub(before));
            }
            last = Some((number, ts));
        }
        Ok(())
    }

    /// Returns the most frequent one.
    fn usual(&self, number: u32, id: &InstrumentId) -> Result<i64> {
        let counts = self.counts.range((number, i64::MIN)..=(number, i64::MAX));
        // The shortest of the most frequent: gaps only make distances longer.
        let usual = counts.rev().max_by_key(|(_, count)| **count);
        let Some(((_, interval_ns), _)) = usual.filter(|_| !self.is_full) else {
            bail!(
                "the bars of {id} do not tell their interval: say it with --interval, such as 1m"
            );
        };
        Ok(*interval_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::market::{Bar, BarSpec};
    use apex_domain::matching::SimInstrument;
    use apex_domain::{Price, UnixNanos};

    #[test]
    fn distances_without_end_do_not_fill_the_memory_and_tell_nothing() {
        let id = InstrumentId::new("A.SIM").unwrap();
        let mut distances = Distances::new(3);
        for distance in [60, 60, 120, 0, -5, 180] {
            distances.add(2, distance);
        }
        assert_eq!(distances.usual(2, &id).unwrap(), 60);
        assert!(distances.usual(5, &id).is_err(), "of another one");
        distances.add(2, 7);
        let refused = distances.usual(2, &id).unwrap_err().to_string();
        assert!(refused.contains("--interval"), "{refused}");
    }

    #[test]
    fn bars_in_order_are_counted_behind_others_that_filled_the_memory() {
        let choice = Choice {
            instrument: None,
            interval_ns: None,
        };
        let minute = 60_000_000_000;
        let instruments = ["A.SIM", "B.SIM"].map(|id| {
            let mut found = SimInstrument::defaults().remove(0).instrument;
            found.instrument_id = InstrumentId::new(id).unwrap();
            found
        });
        let folder = tempfile::tempdir().unwrap();
        let mut tally = Tally::new(&choice, instruments.into(), folder.path(), true, 0);
        tally.distances = Distances::new(2);
        let mut bar = |id: &str, ts: i64| {
            let price = Price(100);
            let bar = Bar {
                instrument_id: InstrumentId::new(id).unwrap(),
                spec: BarSpec::External,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 1,
                trade_count: 1,
                ts_open: UnixNanos(ts),
                ts_init: UnixNanos(ts),
            };
            tally.take(&MarketEvent::Bar(bar)).unwrap();
        };
        for at in [0, 5, 1, 3, 2, 4] {
            bar("B.SIM", at * minute);
        }
        for at in 0..9 {
            bar("A.SIM", at * minute);
        }
        let (series, _) = tally.finish().unwrap();
        for found in series {
            let is_minute = matches!(found.head.content, Content::Bars { interval_ns } if interval_ns == minute);
            assert!(is_minute, "{found:?}");
        }
    }
}
