//! The venue's snapshots: asked for now and then, taken while reports are under way.

use super::{Action, World};
use apex_domain::UnixNanos;
use apex_domain::account::AccountInput;
use apex_domain::reconcile::VenueSnapshot;
use apex_domain::time::NANOS_PER_SECOND;
use rand::Rng;

impl World {
    /// Asks, if there is a connection, and again after the interval. Once the faults are over the
    /// account asks each second.
    pub(super) fn ask_snapshot(&mut self, member: usize) {
        let Some(given) = &self.setting.snapshots else {
            return;
        };
        let interval_ns = if self.healing {
            NANOS_PER_SECOND
        } else {
            given.interval_ns
        };
        self.push(member, Action::AskSnapshot, interval_ns);
        if let Some(connection) = self.members[member].session.connection {
            let asked = Action::SnapshotAsked {
                connection,
                requested_at: self.now,
            };
            let delay_ns = self.faults.delay_ns;
            self.push_within(member, asked, delay_ns);
        }
    }

    /// Positions and balances as they are when the question arrives.
    pub(super) fn begin_snapshot(
        &mut self,
        member: usize,
        connection: u64,
        requested_at: UnixNanos,
    ) {
        let Some(given) = &self.setting.snapshots else {
            return;
        };
        let snapshot = VenueSnapshot {
            requested_at,
            ..self.venue.ledgers[member].holdings(self.venue_now(), given)
        };
        if given.two_moments && !self.healing {
            let action = Action::SnapshotGoesOn {
                connection,
                snapshot: Box::new(snapshot),
            };
            let delay_ns = self.faults.delay_ns;
            return self.push_within(member, action, delay_ns);
        }
        self.complete_snapshot(member, connection, snapshot);
    }

    /// Orders, and executions since some time: of the whole run once the faults are over.
    pub(super) fn complete_snapshot(
        &mut self,
        member: usize,
        connection: u64,
        snapshot: VenueSnapshot,
    ) {
        let Some(given) = &self.setting.snapshots else {
            return;
        };
        let ts = self.venue_now();
        // A list that does not reach back to what was taken back since cannot show it.
        let second_thoughts = self.setting.second_thoughts(&self.faults);
        let since = if self.healing || second_thoughts || self.rng.random_bool(0.3) {
            self.setting.start.plus(-3_600 * NANOS_PER_SECOND)
        } else {
            ts.plus(-5 * NANOS_PER_SECOND)
        };
        let snapshot =
            self.venue.ledgers[member].complete(snapshot, ts, since, given, self.healing);
        let action = Action::ToNodeSnapshot {
            connection,
            snapshot: Box::new(snapshot),
        };
        let delay_ns = self.faults.delay_ns;
        self.push_within(member, action, delay_ns);
    }

    pub(super) fn deliver_snapshot(
        &mut self,
        member: usize,
        connection: u64,
        snapshot: Box<VenueSnapshot>,
    ) {
        let own = &self.members[member];
        if !own.is_up || own.session.connection != Some(connection) {
            return;
        }
        self.report.snapshots += 1;
        self.apply(member, AccountInput::Reconcile { snapshot }, None);
    }
}
