//! The table behind a conflated topic: the latest value per key, in the order of last change.
//!
//! Entries are linked from the oldest change to the newest, so that a publish is one key look-up
//! and a constant number of moves, and a reader walks back from the newest only as far as it has
//! not read. Each reader remembers per entry how many values it knows of, which makes the number
//! of overwritten ones exact.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{PoisonError, RwLock};

use super::item::{Capacity, Item, Keyed};

/// A reader's place: the next position to look for, and per entry the values it knows of.
#[derive(Debug, Default)]
pub(super) struct LatestReader {
    pub(super) next: u64,
    /// By entry; entries beyond its end were made after the reader last looked: 0.
    known: Vec<u64>,
    /// Reused between reads.
    changed: Vec<usize>,
}

/// The table with its key type erased, so that a topic has one type whatever its policy is.
pub(super) trait LatestTable<T>: Send + Sync + fmt::Debug {
    /// Writes `count` values from position `first` on and returns how many it took; fewer when a
    /// new key finds the table full.
    fn write(&self, first: u64, count: u64, values: &mut dyn Iterator<Item = T>) -> u64;

    /// Returns a reader that regards everything written so far as known.
    fn reader(&self, next: u64) -> LatestReader;

    /// Copies what changed since the reader last looked, oldest change first, at most `max`.
    fn read(&self, reader: &mut LatestReader, max: usize, out: &mut VecDeque<Item<T>>);

    /// Copies all latest values, oldest change first.
    fn snapshot(&self) -> Vec<T>;
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// Where the latest value was published.
    position: u64,
    /// How many values were ever published under this key.
    total: u64,
    /// Neighbours in the order of last change.
    older: Option<usize>,
    newer: Option<usize>,
}

struct Table<T: Keyed> {
    index: BTreeMap<T::Key, usize>,
    entries: Vec<Entry<T>>,
    newest: Option<usize>,
    oldest: Option<usize>,
    /// A batch on its way in: keys are computed and values cloned before anything changes, so
    /// that a panic in the value's own code leaves the table as it was.
    incoming: Vec<(T::Key, T)>,
}

pub(super) struct Latest<T: Keyed> {
    /// Keys it can hold. More are an error at the publisher: silently forgetting an instrument
    /// would be a drop that nobody is told of.
    capacity: usize,
    table: RwLock<Table<T>>,
}

impl<T: Keyed> Latest<T> {
    pub(super) fn new(capacity: Capacity) -> Self {
        Latest {
            capacity: capacity.slots() as usize,
            table: RwLock::new(Table {
                index: BTreeMap::new(),
                entries: Vec::new(),
                newest: None,
                oldest: None,
                incoming: Vec::new(),
            }),
        }
    }
}

impl<T: Keyed> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<T: Keyed> Table<T> {
    /// Puts an entry, which is in no place of the order, at its newest end.
    fn link(&mut self, at: usize) {
        self.entries[at].older = self.newest;
        self.entries[at].newer = None;
        match self.newest {
            Some(newest) => self.entries[newest].newer = Some(at),
            None => self.oldest = Some(at),
        }
        self.newest = Some(at);
    }

    fn unlink(&mut self, at: usize) {
        let (older, newer) = (self.entries[at].older, self.entries[at].newer);
        match older {
            Some(older) => self.entries[older].newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.entries[newer].older = older,
            None => self.newest = older,
        }
    }

    /// Returns false when the key is new and the table is full.
    fn put(&mut self, capacity: usize, position: u64, key: T::Key, value: T) -> bool {
        if let Some(&at) = self.index.get(&key) {
            self.unlink(at);
            let entry = &mut self.entries[at];
            entry.value = value;
            entry.position = position;
            entry.total += 1;
            self.link(at);
            return true;
        }
        if self.entries.len() == capacity {
            return false;
        }
        let at = self.entries.len();
        self.entries.push(Entry {
            value,
            position,
            total: 1,
            older: None,
            newer: None,
        });
        self.index.insert(key, at);
        self.link(at);
        true
    }
}

impl<T: Keyed + Clone + Send + Sync + 'static> LatestTable<T> for Latest<T> {
    fn write(&self, first: u64, count: u64, values: &mut dyn Iterator<Item = T>) -> u64 {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut incoming = std::mem::take(&mut table.incoming);
        incoming.extend(
            values
                .take(count as usize)
                .map(|value| (value.key(), value)),
        );
        let mut taken = 0;
        for (key, value) in incoming.drain(..) {
            if !table.put(self.capacity, first + taken, key, value) {
                break;
            }
            taken += 1;
        }
        table.incoming = incoming;
        taken
    }

    fn reader(&self, next: u64) -> LatestReader {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let known = table.entries.iter().map(|entry| entry.total).collect();
        LatestReader {
            next,
            known,
            changed: Vec::new(),
        }
    }

    fn read(&self, reader: &mut LatestReader, max: usize, out: &mut VecDeque<Item<T>>) {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        reader.known.resize(table.entries.len(), 0);
        reader.changed.clear();
        let mut at = table.newest;
        while let Some(index) = at {
            let entry = &table.entries[index];
            if entry.position < reader.next {
                break;
            }
            reader.changed.push(index);
            at = entry.older;
        }
        for &index in reader.changed.iter().rev().take(max) {
            let entry = &table.entries[index];
            let overwritten = entry.total - reader.known[index] - 1;
            out.push_back(Item::Value {
                value: entry.value.clone(),
                overwritten,
            });
            reader.known[index] = entry.total;
            reader.next = entry.position + 1;
        }
    }

    fn snapshot(&self) -> Vec<T> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut values = Vec::with_capacity(table.entries.len());
        let mut at = table.oldest;
        while let Some(index) = at {
            values.push(table.entries[index].value.clone());
            at = table.entries[index].newer;
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (key, value)
    type Pair = (u8, u32);

    impl Keyed for Pair {
        type Key = u8;

        fn key(&self) -> u8 {
            self.0
        }
    }

    fn write(table: &Latest<Pair>, first: u64, values: &[Pair]) -> u64 {
        table.write(first, values.len() as u64, &mut values.iter().copied())
    }

    fn read(table: &Latest<Pair>, reader: &mut LatestReader, max: usize) -> Vec<(Pair, u64)> {
        let mut out = VecDeque::new();
        table.read(reader, max, &mut out);
        out.into_iter()
            .map(|item| match item {
                Item::Value { value, overwritten } => (value, overwritten),
                Item::Gap { .. } => panic!("a conflated topic has no gaps"),
            })
            .collect()
    }

    #[test]
    fn the_latest_per_key_comes_out_in_the_order_of_last_change() {
        let table = Latest::new(Capacity::new(8));
        let mut reader = table.reader(0);
        assert_eq!(
            write(&table, 0, &[(1, 10), (2, 20), (1, 11), (3, 30), (1, 12)]),
            5
        );
        let expected = [((2, 20), 0), ((3, 30), 0), ((1, 12), 2)];
        assert_eq!(read(&table, &mut reader, 10), expected);
        assert_eq!(read(&table, &mut reader, 10), []);
        assert_eq!(table.snapshot(), [(2, 20), (3, 30), (1, 12)]);
    }

    #[test]
    fn a_reader_that_takes_few_at_a_time_gets_all_of_them() {
        let table = Latest::new(Capacity::new(8));
        let mut reader = table.reader(0);
        write(&table, 0, &[(1, 10), (2, 20), (3, 30)]);
        assert_eq!(read(&table, &mut reader, 1), [((1, 10), 0)]);
        write(&table, 3, &[(2, 21)]);
        assert_eq!(read(&table, &mut reader, 2), [((3, 30), 0), ((2, 21), 1)]);
    }

    #[test]
    fn a_late_reader_does_not_count_what_was_before_it() {
        let table = Latest::new(Capacity::new(8));
        write(&table, 0, &[(1, 10), (1, 11)]);
        let mut reader = table.reader(2);
        assert_eq!(read(&table, &mut reader, 10), []);
        write(&table, 2, &[(1, 12)]);
        assert_eq!(read(&table, &mut reader, 10), [((1, 12), 0)]);
    }

    #[test]
    fn a_key_too_many_is_refused_and_known_keys_still_work() {
        let table = Latest::new(Capacity::new(2));
        assert_eq!(write(&table, 0, &[(1, 1), (2, 2), (3, 3), (1, 4)]), 2);
        assert_eq!(write(&table, 2, &[(1, 4)]), 1);
    }
}
