//! What leaves an account once its decision is durable.

use super::{Answer, Shell};
use apex_domain::venue::VenueCommand;
use std::time::Instant;

impl Shell {
    /// Lets out what is durable: first to the venue, since that is what waits for money, then the
    /// answer, then to those who watch.
    pub(super) fn release(&mut self) {
        let venue = self.args.venue.as_ref();
        self.sending.go_on(venue, &mut self.kill_switch);
        let waited = self.sending.len();
        let mut not_sent = 0_u64;
        let mut kept_back = 0_u64;
        while let Some(mut held) = self.outbox.pop_ready() {
            kept_back += self.keep_back(&mut held.commands);
            not_sent += self.send(held.commands, held.kills);
            match held.answer {
                // A caller that has gone away in the meantime can ask by its id.
                Some(Answer::Command(reply, answer)) => drop(reply.send(answer)),
                Some(Answer::Query(reply, answer)) => drop(reply.send(answer)),
                Some(Answer::Step(reply, effects)) => drop(reply.send(Ok(effects))),
                None => {}
            }
            if let (Some(report), Some(keeper)) = (held.report, &self.args.keeper) {
                keeper.report(*report);
            }
            if !held.events.is_empty() {
                // The topic never makes the publisher wait; a reader that is too slow is told of
                // its gap and reads the journal.
                let _ = self.args.events.try_publish_batch(&held.events);
            }
        }
        if kept_back > 0 {
            tracing::warn!(
                account_id = %self.account_id, kept_back,
                "orders that the account made by itself wait for the journal's server: another owner may \
                 have the account, and do the same"
            );
        }
        let waits = self.sending.len();
        if not_sent > 0 || waits > waited {
            let account_id = &self.account_id;
            if self.venue_connected {
                tracing::warn!(%account_id, not_sent, waits, "venue session has no room: cancels wait for it, the outcome of other commands is asked for");
            } else {
                tracing::info!(%account_id, not_sent, "no venue session yet: the orders are asked for once it stands");
            }
        }
    }

    /// Takes the new orders out that must not leave while the journal's server is away, and returns how
    /// many these are. Their intents are in the reserve alone: only once the server has them is it
    /// known that nobody else owns the account. The account asks the venue about them like about any
    /// that was lost on its way, hears that it never had them, and sends them once it may.
    fn keep_back(&mut self, commands: &mut Vec<VenueCommand>) -> u64 {
        if !self.server_away {
            return 0;
        }
        let before = commands.len();
        let account = &mut self.args.account;
        commands.retain(|command| match command {
            VenueCommand::New(order) => {
                let may_leave = account.may_leave_away(order);
                if !may_leave {
                    account.kept_back(&order.client_order_id);
                }
                may_leave
            }
            VenueCommand::Amend { .. }
            | VenueCommand::Cancel { .. }
            | VenueCommand::CancelForeign { .. }
            | VenueCommand::Query { .. } => true,
        });
        (before - commands.len()) as u64
    }

    /// Returns true while cancels wait for room in the venue's session.
    pub fn waits_for_room(&self) -> bool {
        self.sending.len() > 0
    }

    /// Hands commands to the venue's session, and returns how many are lost. The account asks what
    /// became of those: at the link's next state, or at a tick. Cancels of a session that stands
    /// wait for room in it.
    fn send(&mut self, commands: Vec<VenueCommand>, kills: Option<Instant>) -> u64 {
        let mut lost = self.sending.send(self.args.venue.as_ref(), commands);
        if !self.venue_connected {
            lost += self.sending.session_lost();
        }
        if let Some(asked_at) = kills {
            if lost == 0 {
                self.sending.killed(asked_at, &mut self.kill_switch);
            } else {
                let account_id = &self.account_id;
                tracing::warn!(%account_id, lost, "the kill switch's cancels wait for a session");
            }
        }
        lost
    }
}
