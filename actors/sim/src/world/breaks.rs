//! Faults of a whole connection or process, and the end of all faults.

use super::{Action, World};
use crate::check;
use crate::session::Session;
use apex_domain::account::{AccountInput, CancelFilter};
use apex_domain::event::CloseScope;
use apex_domain::reconcile::ReconcileSettings;
use apex_domain::risk::ReasonCode;
use apex_domain::time::NANOS_PER_SECOND;
use rand::Rng;

impl World {
    pub(super) fn break_something(&mut self, member: usize) -> Result<(), String> {
        if !self.members[member].is_up {
            return Ok(());
        }
        if self.rng.random_bool(self.faults.crash) {
            self.report.crashes += 1;
            let own = &mut self.members[member];
            self.report.lost_batches += own.node.crash(self.now, &mut self.rng)?;
            check::answered_orders_are_there(&own.node.account, &own.clients)?;
            own.is_up = false;
            own.is_gated = false;
            own.session = Session::default();
            self.push_within(member, Action::Restart, 2 * NANOS_PER_SECOND);
        } else {
            self.disconnect(member);
            self.push_within(member, Action::Connect, 2 * NANOS_PER_SECOND);
        }
        Ok(())
    }

    fn disconnect(&mut self, member: usize) {
        if self.members[member].session.connection.take().is_some() {
            self.report.disconnects += 1;
            let reason_code = ReasonCode::NoAnswer;
            self.apply(member, AccountInput::SessionLost { reason_code }, None);
        }
    }

    pub(super) fn restart(&mut self, member: usize) {
        let own = &mut self.members[member];
        if own.is_up {
            return;
        }
        own.is_up = true;
        own.node.started = self.now;
        let reason_code = ReasonCode::Restarted;
        self.apply(member, AccountInput::SessionLost { reason_code }, None);
        self.push_within(member, Action::Connect, NANOS_PER_SECOND);
    }

    pub(super) fn connect(&mut self, member: usize) {
        let own = &mut self.members[member];
        if !own.is_up || own.session.connection.is_some() {
            return;
        }
        own.connections += 1;
        own.session.connection = Some(own.connections);
        if self.faults.sequenced {
            own.stream_at = self.now;
            let seen = own.node.account.venue_sequence() as usize;
            for index in seen..own.emitted {
                let report = self.venue.ledgers[member].log[index].clone();
                self.stream(member, index as u64 + 1, report);
            }
        }
        for number in 0..self.members[member].funded {
            self.tell_funding(member, number);
        }
        // Once for each process: what it has agreed with, it goes on from.
        let own = &mut self.members[member];
        if self.setting.snapshots.is_some() && !std::mem::replace(&mut own.is_gated, true) {
            let settings = Box::new(ReconcileSettings::default());
            let require = AccountInput::RequireReconciliation { settings };
            self.apply(member, require, None);
        }
        self.apply(member, AccountInput::SessionReady, None);
    }

    /// The faults end: one last break of the connection, and then everything arrives.
    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.healing = true;
        self.faults.heal();
        for member in 0..self.members.len() {
            self.restart(member);
            self.disconnect(member);
            self.connect(member);
            match self.rng.random_range(0..10) {
                0..=2 => self.cancel_everything(member),
                3..=4 if self.members[member].clients.closes() => self.close_everything(member)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn cancel_everything(&mut self, member: usize) {
        let input = AccountInput::CancelAll {
            filter: CancelFilter::default(),
            reason_code: ReasonCode::CanceledByRisk,
            request_id: None,
        };
        self.apply(member, input, None);
    }

    fn close_everything(&mut self, member: usize) -> Result<(), String> {
        let input = AccountInput::Close {
            scope: CloseScope::default(),
            request_id: None,
        };
        let taken = self.members[member].node.account.sequence() + 1;
        self.apply(member, input, None);
        self.members[member].last_close = Some(taken);
        Ok(())
    }
}
