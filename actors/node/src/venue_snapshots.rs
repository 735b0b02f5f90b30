//! When a venue is asked what it has of the account, and since when.

use apex_domain::UnixNanos;
use apex_domain::reconcile::VenueSnapshot;
use std::time::Duration;
use tokio::time::Instant;

/// How often a venue is asked while all goes well.
const EVERY: Duration = Duration::from_secs(30);

/// How soon it is asked again after the session begins: what differs at start is brought in
/// line by the second snapshot that shows it.
const AT_FIRST: Duration = Duration::from_secs(1);

/// Snapshots that come in short order.
const FIRST: u32 = 5;

/// After this long without an answer it is asked again.
const UNANSWERED_NS: i64 = 60_000_000_000;

/// How far each list of executions reaches back behind the last one: what a venue adds late is
/// added within seconds.
const OVERLAP_NS: i64 = 60_000_000_000;

/// The questions of one session, one at a time.
#[derive(Debug)]
pub struct Snapshots {
    next: Instant,
    asked: u32,
    /// When the question that has no answer yet was asked, by our clock.
    asked_at: Option<UnixNanos>,
    /// The venue's time of the last answer.
    last: Option<UnixNanos>,
}

impl Snapshots {
    /// Begins at once.
    pub fn begin() -> Snapshots {
        Snapshots {
            next: Instant::now(),
            asked: 0,
            asked_at: None,
            last: None,
        }
    }

    /// Returns when the next question is due.
    pub fn due(&self) -> Instant {
        self.next
    }

    /// Returns since when executions are to be listed, if it is time to ask: everything that the
    /// venue has for the first time. `None` while a question is open.
    pub fn ask(&mut self, now: UnixNanos) -> Option<UnixNanos> {
        let pause = if self.asked < FIRST { AT_FIRST } else { EVERY };
        self.next = Instant::now() + pause;
        let is_open = |at: &UnixNanos| now.since(*at) < UNANSWERED_NS;
        if self.asked_at.as_ref().is_some_and(is_open) {
            return None;
        }
        self.asked += 1;
        // What answers may be the answer to the first question: it knows no more than that asked for.
        self.asked_at.get_or_insert(now);
        Some(
            self.last
                .map_or(UnixNanos::MIN, |last| last.plus(-OVERLAP_NS)),
        )
    }

    /// The last question did not leave: it is asked again when the next one is due.
    pub fn not_asked(&mut self) {
        self.asked = self.asked.saturating_sub(1);
        self.asked_at = None;
    }

    /// Takes the answer, and adds when it was asked for.
    pub fn answer(&mut self, snapshot: &mut VenueSnapshot) {
        // An answer without a question says nothing about what was decided before it.
        snapshot.requested_at = self.asked_at.take().unwrap_or(UnixNanos::MIN);
        self.last = snapshot.ts().or(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::reconcile::{ExecutionPart, VenueSnapshot};

    #[test]
    fn a_question_that_did_not_leave_or_has_no_answer_is_asked_again() {
        let mut snapshots = Snapshots::begin();
        assert!(snapshots.ask(UnixNanos(7)).is_some());
        snapshots.not_asked();
        assert!(snapshots.ask(UnixNanos(8)).is_some());
        assert!(snapshots.ask(UnixNanos(8 + UNANSWERED_NS - 1)).is_none());
        assert!(snapshots.ask(UnixNanos(8 + UNANSWERED_NS)).is_some());
        let mut snapshot = VenueSnapshot::default();
        snapshots.answer(&mut snapshot);
        assert_eq!(snapshot.requested_at, UnixNanos(8));
    }

    #[test]
    fn one_question_at_a_time_that_reaches_back_behind_the_last_answer() {
        let mut snapshots = Snapshots::begin();
        assert_eq!(snapshots.ask(UnixNanos(7)), Some(UnixNanos::MIN));
        assert_eq!(snapshots.ask(UnixNanos(8)), None);
        let mut snapshot = VenueSnapshot {
            executions: Some(ExecutionPart {
                ts: UnixNanos(OVERLAP_NS + 5),
                ..ExecutionPart::default()
            }),
            ..VenueSnapshot::default()
        };
        snapshots.answer(&mut snapshot);
        assert_eq!(snapshot.requested_at, UnixNanos(7));
        assert_eq!(snapshots.ask(UnixNanos(9)), Some(UnixNanos(5)));
    }

    #[test]
    fn the_first_questions_come_in_short_order() {
        let mut snapshots = Snapshots::begin();
        let mut pauses = Vec::new();
        for _ in 0..=FIRST {
            let begin = Instant::now();
            snapshots.ask(UnixNanos(1));
            snapshots.answer(&mut VenueSnapshot::default());
            pauses.push(snapshots.due().duration_since(begin) >= EVERY);
        }
        assert_eq!(pauses, [false, false, false, false, false, true]);
    }
}
