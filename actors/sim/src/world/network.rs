//! The way between an account and its venue: what leaves, and what arrives of it.

use super::{Action, World};
use crate::session::Signed;
use apex_domain::account::AccountInput;
use apex_domain::venue::{VenueCommand, VenueReport};
use rand::Rng;

impl World {
    /// Everything that waited is durable: commands go to the wire and clients get their answers.
    pub(super) fn flush(&mut self, member: usize) -> Result<(), String> {
        if !self.members[member].is_up {
            return Ok(());
        }
        for batch in self.members[member].node.flush() {
            let own = &mut self.members[member];
            if let (Some(question), Some(reply)) = (&batch.question, &batch.reply) {
                own.clients.answer(question, reply)?;
            }
            for command in batch.commands {
                let session = &mut self.members[member].session;
                // Without a connection the command is gone; the account asks once there is one.
                if session.connection.is_some() {
                    let signed = session.sign(command, self.now);
                    self.send(member, signed);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, member: usize, signed: Signed) {
        if self.rng.random_bool(self.faults.lost_commands) {
            self.report.lost_messages += 1;
            return;
        }
        // A doubled amend may be refused first, before its order arrived, and taken then: a venue
        // that doubles amends contradicts itself, so none does here.
        let may_double = !matches!(signed.command, VenueCommand::Amend { .. });
        let delay_ns = self.faults.delay_ns;
        if may_double && self.rng.random_bool(self.faults.doubled_commands) {
            self.report.doubled_messages += 1;
            self.push_within(member, Action::ToVenue(signed.clone()), delay_ns);
        }
        self.push_within(member, Action::ToVenue(signed), delay_ns);
    }

    pub(super) fn deliver_to_venue(&mut self, member: usize, signed: Signed) {
        let venue_now = self.venue_now();
        if !signed.is_current(venue_now) {
            return;
        }
        let refused_cancels = self.faults.refused_cancels;
        let answer = self.venue.take(
            member,
            venue_now,
            signed.command,
            refused_cancels,
            &mut self.rng,
        );
        let is_answered = !self.rng.random_bool(self.faults.lost_answers);
        if let Some(answer) = answer.filter(|_| is_answered) {
            self.send_report(member, 0, answer);
        }
    }

    /// Hands to the network what the venue reported and paid since. False where it reported
    /// nothing.
    pub(super) fn emit(&mut self, member: usize) -> bool {
        let has_news = self.members[member].emitted < self.venue.ledgers[member].log.len();
        while self.members[member].emitted < self.venue.ledgers[member].log.len() {
            let own = &mut self.members[member];
            let report = self.venue.ledgers[member].log[own.emitted].clone();
            own.emitted += 1;
            let number = own.emitted as u64;
            if self.faults.sequenced {
                self.stream(member, number, report);
            } else {
                self.send_report(member, 0, report);
            }
        }
        while self.members[member].funded < self.venue.ledgers[member].funding.len() {
            let number = self.members[member].funded;
            self.members[member].funded += 1;
            self.tell_funding(member, number);
        }
        has_news
    }

    /// A payment of funding; all of them are told again with each connection.
    pub(super) fn tell_funding(&mut self, member: usize, number: usize) {
        let payment = self.venue.ledgers[member].funding[number].clone();
        if self.members[member].session.connection.is_none() {
            return;
        }
        if self.rng.random_bool(self.faults.lost_reports) {
            self.report.lost_messages += 1;
            return;
        }
        let delay_ns = self.faults.delay_ns;
        self.push_within(member, Action::Funding(payment), delay_ns);
    }

    /// One report by itself: lost, doubled, late, in any order.
    fn send_report(&mut self, member: usize, venue_sequence: u64, report: VenueReport) {
        let Some(connection) = self.members[member].session.connection else {
            return;
        };
        if self.rng.random_bool(self.faults.lost_reports) {
            self.report.lost_messages += 1;
            return;
        }
        let action = Action::ToNode {
            connection,
            venue_sequence,
            report,
        };
        let delay_ns = self.faults.delay_ns;
        if self.rng.random_bool(self.faults.doubled_reports) {
            self.report.doubled_messages += 1;
            self.push_within(member, action.clone(), delay_ns);
        }
        self.push_within(member, action, delay_ns);
    }

    /// One report of a numbered stream: late, doubled, and always behind the one before it.
    pub(super) fn stream(&mut self, member: usize, venue_sequence: u64, report: VenueReport) {
        let Some(connection) = self.members[member].session.connection else {
            return;
        };
        let action = Action::ToNode {
            connection,
            venue_sequence,
            report,
        };
        let delay = self.in_order(member);
        self.push(member, action.clone(), delay);
        if self.rng.random_bool(self.faults.doubled_reports) {
            self.report.doubled_messages += 1;
            self.push(member, action, delay);
        }
    }

    /// Returns when something that leaves the venue now arrives behind all that left before it.
    pub(super) fn in_order(&mut self, member: usize) -> i64 {
        let way = self.rng.random_range(1..=self.faults.delay_ns);
        let own = &mut self.members[member];
        own.stream_at = own.stream_at.plus(1).max(self.now.plus(way));
        own.stream_at.since(self.now)
    }

    pub(super) fn deliver_to_node(
        &mut self,
        member: usize,
        connection: u64,
        venue_sequence: u64,
        report: VenueReport,
    ) {
        if !self.arrives(member, connection) {
            return;
        }
        let own = &self.members[member];
        let report = own.session.judge(report, &own.node);
        let input = AccountInput::Report {
            venue_sequence,
            report,
        };
        self.apply(member, input, None);
    }

    /// A stream ends with its connection; a lone message may still find its way.
    pub(super) fn arrives(&self, member: usize, connection: u64) -> bool {
        let own = &self.members[member];
        let is_current = own.session.connection == Some(connection);
        own.is_up && (is_current || !self.faults.sequenced)
    }
}
