//! What happens by the clock alone: timers, splits, and telling the account the time.

use super::LockStep;
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::{InstrumentId, UnixNanos};

/// How long after it was told the time the account is told again, as live: what it does by the
/// clock (answers that stay away, loss limits, the next attempt of a closing) counts in seconds.
const TICK_NS: i64 = NANOS_PER_SECOND;

/// What happened before the next market event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Nothing is left to happen before it.
    Nothing,
    /// A timer fired or the venue did something; there may be more.
    Something,
    /// The account has to be told the time, which is the clock's.
    Tick,
}

impl LockStep {
    /// Tells the venue of a split of an instrument; prices of before are forgotten. The account is
    /// told by the caller, whose commands come back through [`LockStep::on_effects`].
    pub fn split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        self.venue.on_split(id, numerator, denominator);
        self.marks.remove(id);
    }

    /// Does the next thing that comes before a market event of `next`.
    pub(super) fn pass_time(&mut self, next: UnixNanos) -> Passed {
        // Not before there was a first moment.
        let moves_on = next > self.clock && self.clock > UnixNanos::MIN;
        let due = |told| self.clock.since(told) >= TICK_NS;
        if moves_on && self.ticked.is_none_or(due) {
            return self.tell_time();
        }
        let venue = self.venue.next_due().filter(|due| *due < next);
        // A trade at the very time at which an order ends still counts, so that comes last.
        let deadline = self.interest.next_deadline().filter(|at| *at < next);
        let until = [venue, deadline]
            .into_iter()
            .flatten()
            .fold(next, UnixNanos::min);
        if self.fire_timer(until) {
            return Passed::Something;
        }
        let venue = venue.filter(|due| deadline.is_none_or(|at| *due <= at));
        if venue.is_some_and(|due| self.wake_venue(due)) {
            return Passed::Something;
        }
        let Some(deadline) = deadline else {
            return Passed::Nothing;
        };
        self.clock = self.clock.max(deadline);
        self.tell_time()
    }

    /// Lets the venue's time come. Returns false when nothing of it changed what is due: the next
    /// event then decides.
    fn wake_venue(&mut self, due: UnixNanos) -> bool {
        self.clock = self.clock.max(due);
        self.venue.on_time(due, &mut self.reports);
        self.queue_reports();
        self.venue.next_due() != Some(due)
    }

    /// Lets the next of what is under way arrive, where no market event comes any more. Returns
    /// false when nothing is. Poll after it.
    pub fn let_arrive(&mut self) -> bool {
        let Some(due) = self.venue.next_arrival() else {
            return false;
        };
        self.wake_venue(due);
        true
    }

    fn tell_time(&mut self) -> Passed {
        self.ticked = Some(self.clock);
        self.interest.told(self.clock);
        Passed::Tick
    }

    /// Fires the next timer that is due at `until`. Returns false when there is none.
    fn fire_timer(&mut self, until: UnixNanos) -> bool {
        let Some(entry) = self.timers.first_entry() else {
            return false;
        };
        let (at, _) = *entry.key();
        if at > until {
            return false;
        }
        let (index, tag) = entry.remove();
        self.timers_waiting[index] -= 1;
        self.timers_fired[index] += 1;
        self.clock = self.clock.max(at);
        let limit = self.runners[index].budget().timers_between_events;
        if self.timers_fired[index] > limit {
            self.runners[index].quarantine(format!(
                "fired more than {limit} timers between two market events"
            ));
        } else {
            self.runners[index].timer(self.clock, &tag);
        }
        self.collect(index);
        true
    }

    pub(super) fn arm(&mut self, index: usize, at: UnixNanos, tag: String) {
        let limit = self.runners[index].budget().waiting_timers;
        if self.timers_waiting[index] >= limit {
            self.runners[index].quarantine(format!("armed more than {limit} timers"));
            return;
        }
        self.timer_number += 1;
        self.timers_waiting[index] += 1;
        self.timers.insert((at, self.timer_number), (index, tag));
    }
}
