//! The gate between what was decided and what may leave.

use std::collections::VecDeque;

/// Holds what follows from decisions until they are durable, in the order of the decisions.
/// Bounded by the commands that the handles let be under way and by the venue's reports.
#[derive(Debug)]
pub struct Outbox<T> {
    held: VecDeque<(u64, T)>,
    durable: u64,
}

impl<T> Outbox<T> {
    /// An empty gate, with everything up to `durable` known to be on the disk.
    pub fn new(durable: u64) -> Outbox<T> {
        Outbox {
            held: VecDeque::new(),
            durable,
        }
    }

    /// Holds `what` until `sequence` is durable.
    pub fn hold(&mut self, sequence: u64, what: T) {
        self.held.push_back((sequence, what));
    }

    /// Notes that everything up to `sequence` is durable. An older figure changes nothing.
    pub fn durable(&mut self, sequence: u64) {
        self.durable = self.durable.max(sequence);
    }

    /// Returns the next thing that may leave.
    pub fn pop_ready(&mut self) -> Option<T> {
        match self.held.front() {
            Some((sequence, _)) if *sequence <= self.durable => {
                self.held.pop_front().map(|(_, what)| what)
            }
            _ => None,
        }
    }

    /// Returns what has not left.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.held.iter_mut().map(|(_, what)| what)
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_before_its_sequence_is_durable() {
        let mut outbox = Outbox::new(0);
        outbox.hold(2, "a");
        outbox.durable(1);
        assert_eq!(outbox.pop_ready(), None);
        outbox.durable(2);
        assert_eq!(outbox.pop_ready(), Some("a"));
    }

    #[test]
    fn an_answer_without_an_event_waits_for_the_decisions_before_it() {
        let mut outbox = Outbox::new(0);
        outbox.hold(1, "order");
        outbox.hold(1, "same order again");
        assert_eq!(outbox.pop_ready(), None);
        outbox.durable(1);
        assert_eq!(
            (outbox.pop_ready(), outbox.pop_ready()),
            (Some("order"), Some("same order again"))
        );
    }

    #[test]
    fn an_older_figure_does_not_close_the_gate_again() {
        let mut outbox = Outbox::new(5);
        outbox.durable(3);
        outbox.hold(5, ());
        assert_eq!(outbox.pop_ready(), Some(()));
    }
}
