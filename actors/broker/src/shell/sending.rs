//! The way of commands into the venue's session.

use apex_bus::message::KillSwitchTimes;
use apex_bus::venue::VenueSession;
use apex_domain::venue::VenueCommand;
use std::collections::VecDeque;
use std::time::Instant;

/// Commands on their way out, and the cancels that the session had no room for.
///
/// Anything else that finds no room is not kept: a new order that waits here would leave into
/// another market than the one it was decided for, and the account asks what became of it. A
/// cancel only takes away, so it keeps its place and is handed over as soon as there is room.
/// Bounded by the working orders, since an order has one cancel under way.
#[derive(Default)]
pub(super) struct Sending {
    unsent: VecDeque<Unsent>,
    /// How many of them are cancels.
    cancels: u64,
}

enum Unsent {
    Cancel(VenueCommand),
    /// Behind the last cancel of a halt that was asked for then.
    Killed(Instant),
}

impl Sending {
    /// Hands over what a decision led to. Returns how many were not taken, and are not kept.
    pub fn send(&mut self, venue: &dyn VenueSession, commands: Vec<VenueCommand>) -> u64 {
        let mut lost = 0;
        for command in commands {
            // What waits is before it.
            let waits = is_cancel(&command) && !self.unsent.is_empty();
            if !waits && venue.send(command.clone()).is_ok() {
                continue;
            }
            if is_cancel(&command) {
                self.unsent.push_back(Unsent::Cancel(command));
                self.cancels += 1;
            } else {
                lost += 1;
            }
        }
        lost
    }

    /// Notes how long a halt took: now, or once its last cancel has left.
    pub fn killed(&mut self, asked_at: Instant, times: &mut KillSwitchTimes) {
        if self.unsent.is_empty() {
            times.note(asked_at.elapsed());
        } else {
            self.unsent.push_back(Unsent::Killed(asked_at));
        }
    }

    /// Hands over what waits, as far as there is room.
    pub fn go_on(&mut self, venue: &dyn VenueSession, times: &mut KillSwitchTimes) {
        while let Some(next) = self.unsent.front() {
            match next {
                Unsent::Cancel(command) if venue.send(command.clone()).is_err() => return,
                Unsent::Cancel(_) => self.cancels -= 1,
                Unsent::Killed(asked_at) => times.note(asked_at.elapsed()),
            }
            self.unsent.pop_front();
        }
    }

    /// Forgets what waits: the session is gone, and what the next one has to be told is for the
    /// account to decide once it knows what the venue has. Returns how many cancels waited.
    pub fn session_lost(&mut self) -> u64 {
        let waited = self.len();
        self.unsent.clear();
        self.cancels = 0;
        waited
    }

    /// Cancels that wait for room.
    pub fn len(&self) -> u64 {
        self.cancels
    }
}

fn is_cancel(command: &VenueCommand) -> bool {
    matches!(
        command,
        VenueCommand::Cancel { .. } | VenueCommand::CancelForeign { .. }
    )
}
