//! The ring: slots in runs, each run under one lock.
//!
//! A position is the number of values published before; its slot is the position modulo the
//! capacity. The ring itself knows no policy: a writer overwrites the oldest, and a reader finds
//! out under the run's lock whether its position is still there. Keeping a writer from
//! overwriting what a subscriber has not read (block, halt) is the publisher's gate, above.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::item::{Capacity, Item};

/// Slots under one lock. Large enough that a lock (about 20 ns) is noise per value; small enough
/// that a reader copying a run holds the writer up for less than a microsecond.
const RUN: u64 = 64;

/// A run of slots. Values beyond `values.len()` have not been written in the first lap yet.
#[derive(Debug)]
struct Run<T> {
    /// One past the last position written here. The slot of position `p` holds it exactly when
    /// `end - capacity <= p < end`.
    end: u64,
    values: Vec<T>,
}

/// Bounded slots that one writer at a time fills and any number of readers copy from.
#[derive(Debug)]
pub(super) struct Ring<T> {
    capacity: u64,
    /// Slots per run, a power of two that divides the capacity.
    run: u64,
    runs: Box<[RwLock<Run<T>>]>,
}

impl<T: Clone> Ring<T> {
    pub(super) fn new(capacity: Capacity) -> Self {
        let capacity = capacity.slots();
        // Several runs even in a small ring, so that writer and readers are seldom in the same.
        let run = (capacity / 8).clamp(1, RUN);
        let runs = (0..capacity / run)
            .map(|_| {
                RwLock::new(Run {
                    end: 0,
                    values: Vec::new(),
                })
            })
            .collect();
        Ring {
            capacity,
            run,
            runs,
        }
    }

    fn run_of(&self, position: u64) -> &RwLock<Run<T>> {
        &self.runs[((position & (self.capacity - 1)) / self.run) as usize]
    }

    /// Returns the first position that is not in the run of `position` any more.
    fn run_end(&self, position: u64) -> u64 {
        (position | (self.run - 1)) + 1
    }

    /// Writes `count` values from position `first` on. The caller is the only writer and makes
    /// them visible by storing the head afterwards; `count` is at most the capacity.
    pub(super) fn write(&self, first: u64, count: u64, values: &mut impl Iterator<Item = T>) {
        debug_assert!(count <= self.capacity);
        let stop = first + count;
        let mut position = first;
        while position < stop {
            let part = self.run_end(position).min(stop);
            let mut run = write_lock(self.run_of(position));
            // Before the values: if a value's clone panics half way, readers already regard the
            // overwritten slots as gone, and the head never covers the new ones.
            run.end = part;
            for value in values.by_ref().take((part - position) as usize) {
                let slot = (position & (self.run - 1)) as usize;
                match run.values.get_mut(slot) {
                    Some(old) => *old = value,
                    None => run.values.push(value),
                }
                position += 1;
            }
            debug_assert_eq!(
                position, part,
                "the caller states how many values it brings"
            );
        }
    }

    /// Copies values from `next` up to `head` into `out`, at most `max` items, and advances
    /// `next`. What was overwritten before it could be read becomes one gap item.
    pub(super) fn read(&self, next: &mut u64, head: u64, max: usize, out: &mut VecDeque<Item<T>>) {
        let limit = out.len() + max;
        while *next < head && out.len() < limit {
            let run = read_lock(self.run_of(*next));
            // By the head too, so that one stretch is one gap; by the run's end, since a writer may
            // be ahead of the head that the caller read.
            let oldest = run.end.max(head).saturating_sub(self.capacity);
            if *next < oldest {
                let missed = oldest - *next;
                *next = oldest;
                drop(run);
                push_gap(out, missed);
                continue;
            }
            let space = (limit - out.len()) as u64;
            let part = self.run_end(*next).min(head).min(*next + space);
            let from = (*next & (self.run - 1)) as usize;
            let values = &run.values[from..from + (part - *next) as usize];
            out.extend(values.iter().map(|value| Item::Value {
                value: value.clone(),
                overwritten: 0,
            }));
            *next = part;
        }
    }
}

/// Adds to a gap that is already last, since a reader that is overrun twice missed one stretch.
fn push_gap<T>(out: &mut VecDeque<Item<T>>, more: u64) {
    match out.back_mut() {
        Some(Item::Gap { missed }) => *missed += more,
        _ => out.push_back(Item::Gap { missed: more }),
    }
}

/// Recovers a poisoned run: see the order of writes in [`Ring::write`].
fn write_lock<T>(run: &RwLock<Run<T>>) -> RwLockWriteGuard<'_, Run<T>> {
    run.write().unwrap_or_else(PoisonError::into_inner)
}

fn read_lock<T>(run: &RwLock<Run<T>>) -> RwLockReadGuard<'_, Run<T>> {
    run.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(ring: &Ring<u64>, next: &mut u64, head: u64, max: usize) -> Vec<Item<u64>> {
        let mut out = VecDeque::new();
        ring.read(next, head, max, &mut out);
        out.into()
    }

    fn values(range: std::ops::Range<u64>) -> Vec<Item<u64>> {
        range
            .map(|value| Item::Value {
                value,
                overwritten: 0,
            })
            .collect()
    }

    #[test]
    fn values_come_back_in_order_across_runs_and_laps() {
        let ring = Ring::new(Capacity::new(256));
        let mut next = 0;
        for first in (0..2_000).step_by(100) {
            ring.write(first, 100, &mut (first..first + 100));
            assert_eq!(
                read_all(&ring, &mut next, first + 100, 1_000),
                values(first..first + 100)
            );
        }
    }

    #[test]
    fn an_overrun_reader_gets_one_gap_and_then_what_is_left() {
        let ring = Ring::new(Capacity::new(8));
        ring.write(0, 8, &mut (0..8));
        ring.write(8, 5, &mut (8..13));
        let mut next = 2;
        let mut expected = vec![Item::Gap { missed: 3 }];
        expected.extend(values(5..13));
        assert_eq!(read_all(&ring, &mut next, 13, 100), expected);
    }

    #[test]
    fn a_reader_takes_no_more_than_it_asks_for() {
        let ring = Ring::new(Capacity::new(64));
        ring.write(0, 40, &mut (0..40));
        let mut next = 0;
        assert_eq!(read_all(&ring, &mut next, 40, 13), values(0..13));
        assert_eq!(next, 13);
    }

    #[test]
    fn a_clone_that_panics_half_way_publishes_nothing_wrong() {
        let ring = Ring::new(Capacity::new(8));
        ring.write(0, 8, &mut (0..8));
        let torn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut broken = (8..10).inspect(|value| assert_ne!(*value, 9, "a clone that panics"));
            ring.write(8, 2, &mut broken);
        }));
        assert!(torn.is_err());
        // The head was not stored: a reader of the old lap may miss, but never reads a new value.
        let mut next = 0;
        let items = read_all(&ring, &mut next, 8, 100);
        let missed: u64 = items.iter().map(Item::dropped).sum();
        let read: Vec<u64> = items.into_iter().filter_map(Item::into_value).collect();
        assert_eq!(read, (missed..8).collect::<Vec<_>>());
        ring.write(8, 2, &mut (8..10));
        assert_eq!(read_all(&ring, &mut next, 10, 100), values(8..10));
    }
}
