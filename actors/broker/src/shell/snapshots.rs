//! When an account is written down whole.

/// Events between two snapshots, over all runs, at least, unless something else is set: at a million
/// folded events a second, a restart has little more than a tenth of a second to fold. More only when
/// the writer's queue was full, or the disk, just when a snapshot was due.
pub const SNAPSHOT_EVENTS: u64 = 100_000;

/// And at least this share of all events so far, as a divisor. A snapshot holds every order of the
/// account, so that at fixed distances their cost would grow with the square of the orders; at
/// growing ones it stays a small part of the work, and a restart folds no more than a fifth.
const SNAPSHOT_SHARE: u64 = 4;

/// Returns whether the account at `sequence` should be written down whole, after it was at `last`, with
/// `every` events between two at the least.
pub(super) fn is_due(sequence: u64, last: u64, every: u64) -> bool {
    sequence - last >= every.max(last / SNAPSHOT_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_come_often_at_first_and_cost_no_more_than_the_events() {
        let (mut last, mut written, mut count) = (0, 0, 0);
        for sequence in (0..=100_000_000).step_by(1_000) {
            if is_due(sequence, last, SNAPSHOT_EVENTS) {
                assert!(
                    last >= 400_000 || sequence - last == SNAPSHOT_EVENTS,
                    "{sequence}"
                );
                // What is folded at a restart just before it.
                assert!((sequence - last) <= SNAPSHOT_EVENTS.max(sequence / 5 + 1_000));
                (last, written, count) = (sequence, written + sequence, count + 1);
            }
        }
        assert!(is_due(10, 0, 10) && !is_due(9, 0, 10) && !is_due(54, 44, 11));
        assert!(
            written < 6 * 100_000_000,
            "{written} events' worth in {count} snapshots"
        );
    }
}
