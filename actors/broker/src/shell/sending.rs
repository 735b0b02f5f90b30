//! The way of commands into the venue's session.

use apex_bus::message::KillSwitchTimes;
use apex_bus::venue::VenueSession;
use apex_domain::venue::VenueCommand;
use apex_domain::{ClientOrderId, InstrumentId, VenueOrderId};
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Commands on their way out, and the cancels that the session had no room for.
///
/// Anything else that finds no room is not kept: a new order that waits here would leave into
/// another market than the one it was decided for, and the account asks what became of it. A
/// cancel only takes away, so it keeps its place and is handed over as soon as there is room.
/// Bounded by the orders: a cancel that the account asks for again while it waits is not kept twice.
#[derive(Default)]
pub(super) struct Sending {
    unsent: VecDeque<Unsent>,
    /// What the cancels among them are of.
    waiting: BTreeSet<Canceled>,
}

/// The order that a cancel is of.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Canceled {
    Own(ClientOrderId),
    Foreign(InstrumentId, VenueOrderId),
}

enum Unsent {
    Cancel(VenueCommand),
    /// Behind the last cancel of a halt that was asked for then.
    Killed(Instant),
}

impl Sending {
    /// Hands over what a decision led to. Returns how many were not taken, and are not kept. While a
    /// cancel waits nothing overtakes it: what would have replaced the order beside it must not.
    pub fn send(&mut self, venue: &dyn VenueSession, commands: Vec<VenueCommand>) -> u64 {
        let mut lost = 0;
        for command in commands {
            match canceled(&command) {
                None if self.unsent.is_empty() => lost += u64::from(venue.send(command).is_err()),
                None => lost += 1,
                Some(of) => self.send_cancel(venue, command, of),
            }
        }
        lost
    }

    fn send_cancel(&mut self, venue: &dyn VenueSession, command: VenueCommand, of: Canceled) {
        // What waits is before it.
        if self.unsent.is_empty() && venue.send(command.clone()).is_ok() {
            return;
        }
        if self.waiting.insert(of) {
            self.unsent.push_back(Unsent::Cancel(command));
        }
    }

    /// Notes how long a halt took: now, or once its last cancel has left. One whose cancels are lost
    /// with the session has no time: the account asks for them again in the next one.
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
                Unsent::Cancel(command) => {
                    if let Some(of) = canceled(command) {
                        self.waiting.remove(&of);
                    }
                }
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
        self.waiting.clear();
        waited
    }

    /// Cancels that wait for room.
    pub fn len(&self) -> u64 {
        self.waiting.len() as u64
    }
}

/// Returns what a cancel is of; `None` for any other command.
fn canceled(command: &VenueCommand) -> Option<Canceled> {
    match command {
        VenueCommand::Cancel {
            client_order_id, ..
        } => Some(Canceled::Own(client_order_id.clone())),
        VenueCommand::CancelForeign {
            venue_order_id,
            instrument_id,
        } => Some(Canceled::Foreign(
            instrument_id.clone(),
            venue_order_id.clone(),
        )),
        VenueCommand::New(_) | VenueCommand::Amend { .. } | VenueCommand::Query { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::{HandVenue, cid, instrument};

    #[test]
    fn nothing_overtakes_a_cancel_that_waits() {
        let venue = HandVenue::default();
        venue.is_full(true);
        let instrument_id = instrument().instrument.instrument_id;
        let mut sending = Sending::default();
        let cancel = VenueCommand::Cancel {
            client_order_id: cid("a"),
            instrument_id: instrument_id.clone(),
        };
        assert_eq!(sending.send(&venue, vec![cancel]), 0);
        venue.is_full(false);
        let query = VenueCommand::Query {
            client_order_id: cid("b"),
            instrument_id,
        };
        assert_eq!(sending.send(&venue, vec![query.clone()]), 1);
        assert!(venue.sent().is_empty());
        sending.go_on(&venue, &mut KillSwitchTimes::default());
        assert_eq!(sending.send(&venue, vec![query]), 0);
        assert_eq!(venue.sent(), ["cancel a", "query b"]);
    }

    #[test]
    fn a_cancel_that_is_asked_for_again_waits_once() {
        let venue = HandVenue::default();
        venue.is_full(true);
        let instrument_id = instrument().instrument.instrument_id;
        let mut sending = Sending::default();
        for _ in 0..3 {
            let own = VenueCommand::Cancel {
                client_order_id: cid("a"),
                instrument_id: instrument_id.clone(),
            };
            let foreign = VenueCommand::CancelForeign {
                venue_order_id: VenueOrderId::new("v").unwrap(),
                instrument_id: instrument_id.clone(),
            };
            assert_eq!(sending.send(&venue, vec![own, foreign]), 0);
        }
        assert_eq!(sending.len(), 2);
        venue.is_full(false);
        sending.go_on(&venue, &mut KillSwitchTimes::default());
        assert_eq!(venue.sent(), ["cancel a", "cancel foreign v"]);
        assert_eq!(sending.len(), 0);
    }
}
