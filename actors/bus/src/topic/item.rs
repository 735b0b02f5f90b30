//! What a topic is declared with and what a subscriber reads from it.

use std::sync::Arc;

/// States what happens when a subscriber does not keep up. Part of a topic's declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The publisher waits for the slowest subscriber, up to the topic's patience: orders, events.
    Block,
    /// The latest value per key wins and carries how many it overwrote: quotes, books.
    Conflate,
    /// The oldest values are dropped and the subscriber reads a [`Item::Gap`]: trades.
    Gap,
    /// A full ring is an error on which the publisher must stop trading: the journal.
    Halt,
}

impl Policy {
    /// Returns the policy's lower-case name, as metrics and summaries spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Block => "block",
            Policy::Conflate => "conflate",
            Policy::Gap => "gap",
            Policy::Halt => "halt",
        }
    }
}

/// The number of values a topic holds for its slowest subscriber (for a conflated topic: the
/// number of keys). A power of two from 2 to 2^24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity(u32);

impl Capacity {
    /// Returns a capacity of `slots` values.
    ///
    /// # Panics
    /// When `slots` is not a power of two from 2 to 2^24. Capacities are constants of the code;
    /// in a `const` item this is a compile error.
    pub const fn new(slots: u32) -> Self {
        assert!(
            slots.is_power_of_two() && slots >= 2 && slots <= 1 << 24,
            "a topic's capacity is a power of two from 2 to 2^24"
        );
        Capacity(slots)
    }

    /// Returns the number of values.
    pub const fn slots(self) -> u64 {
        self.0 as u64
    }
}

/// Names the thing a value is about, so that a conflated topic can keep the latest per thing.
pub trait Keyed {
    /// What the value is about, usually an instrument id. Ordered rather than hashed, so that
    /// nothing that is derived from it depends on a hash order.
    type Key: Ord + Clone + Send + Sync + 'static;

    /// Returns what this value is about. The same value must always give the same key.
    fn key(&self) -> Self::Key;
}

impl<T: Keyed> Keyed for Arc<T> {
    type Key = T::Key;

    fn key(&self) -> Self::Key {
        T::key(self)
    }
}

/// What a subscriber reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<T> {
    /// A published value. `overwritten` is the number of older values under the same key that
    /// this subscriber will never see; always 0 unless the topic conflates.
    Value {
        /// What was published.
        value: T,
        /// How many values of the same key it replaced since this subscriber last read one.
        overwritten: u64,
    },
    /// The next `missed` values were dropped because this subscriber was too slow (policy gap).
    Gap {
        /// How many; at least 1.
        missed: u64,
    },
}

impl<T> Item<T> {
    /// Returns the value, or `None` for a gap. For topics that never gap (block, halt, conflate)
    /// it always returns the value.
    pub fn into_value(self) -> Option<T> {
        match self {
            Item::Value { value, .. } => Some(value),
            Item::Gap { .. } => None,
        }
    }

    /// Returns how many values this announces as dropped.
    pub fn dropped(&self) -> u64 {
        match self {
            Item::Value { overwritten, .. } => *overwritten,
            Item::Gap { missed } => *missed,
        }
    }

    /// Returns how many values this delivers: 1, or 0 for a gap.
    pub fn received(&self) -> u64 {
        match self {
            Item::Value { .. } => 1,
            Item::Gap { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "power of two")]
    fn a_capacity_that_is_no_power_of_two_is_refused() {
        let _ = Capacity::new(1_000);
    }

    #[test]
    fn a_gap_delivers_nothing_and_announces_what_was_missed() {
        let gap: Item<u8> = Item::Gap { missed: 7 };
        assert_eq!((gap.received(), gap.dropped()), (0, 7));
        assert_eq!(gap.into_value(), None);
    }
}
