//! Commands: what is taken, what waits, what is answered from what is there.

use super::{Answer, HELD, Held, Shell, conditional, held};
use crate::input;
use apex_bus::message::{AccountCommand, CommandError, JournalHealth};
use apex_domain::UnixNanos;
use apex_domain::account::{AccountInput, Reply, SessionRef};
use apex_domain::order::OrderKey;
use ractor::RpcReplyPort;
use std::time::Instant;

/// A command, and the guarded session that it is of.
pub(super) struct Asked {
    pub command: AccountCommand,
    pub session: Option<SessionRef>,
}

impl Asked {
    pub fn by_itself(command: AccountCommand) -> Asked {
        Asked {
            command,
            session: None,
        }
    }
}

impl Shell {
    /// Refuses what must not even be decided now.
    pub(super) fn admit(&self, command: &AccountCommand) -> Result<(), CommandError> {
        // Decides nothing: a full journal must not make a session seem silent.
        if matches!(command, AccountCommand::KeepSession(_)) {
            return Ok(());
        }
        let limit = held(command.urgency());
        if self.outbox.len() >= limit {
            return Err(CommandError::Overloaded { limit });
        }
        // It was decided before and decides nothing new: the answer is in the account.
        let account = &self.args.account;
        if account.has_carried_out(input::request_id(command)) || self.has_list(command) {
            return Ok(());
        }
        match self.journal_health {
            JournalHealth::Reserve if !input::is_essential(command) => {
                return Err(CommandError::JournalFull);
            }
            JournalHealth::Away if !input::is_essential(command) => {
                return Err(CommandError::JournalAway);
            }
            JournalHealth::Full => return Err(CommandError::JournalFull),
            JournalHealth::Ready | JournalHealth::Reserve | JournalHealth::Away => {}
        }
        if input::adds_exposure(command) && !self.venue_connected {
            return Err(CommandError::VenueDown);
        }
        Ok(())
    }

    pub(super) fn command(
        &mut self,
        now: UnixNanos,
        asked: Asked,
        asked_at: Instant,
        reply: RpcReplyPort<Result<Reply, CommandError>>,
    ) {
        let command = &asked.command;
        self.end_waits_before(now, command);
        if self.must_wait(now, command) {
            return self.keep_waiting(now, asked, reply);
        }
        let halts = input::halts(command);
        let kills = input::cancels_all(command).then_some(asked_at);
        self.carry_out(now, asked, kills, reply);
        if halts {
            // What waited is new, and behind the halt.
            self.end_waits(now, |_| true);
        }
    }

    pub(super) fn carry_out(
        &mut self,
        now: UnixNanos,
        asked: Asked,
        kills: Option<Instant>,
        reply: RpcReplyPort<Result<Reply, CommandError>>,
    ) {
        let Asked { command, session } = asked;
        // One of a guarded session has to become that session's own, which the account decides.
        let adopts = match (self.known(&command), session) {
            (Some(known), None) => {
                return self.hold_answer(Answer::Command(reply, Ok(known)));
            }
            (known, _) => known.is_some() && self.journal_health != JournalHealth::Full,
        };
        if !adopts && let Err(error) = self.admit(&command) {
            let _ = reply.send(Err(error));
            return;
        }
        let adds = input::adds_exposure(&command);
        let (account, hub) = (&self.args.account, &self.args.market);
        let input = input::input_of(account, hub, command);
        let input = match session {
            Some(session) => AccountInput::OfSession {
                session,
                input: Box::new(input),
            },
            None => input,
        };
        let (mut effects, events) = self.decide(now, input);
        let answer = match effects.reply.take() {
            Some(Reply::Refused(refusal)) => Err(CommandError::Refused(refusal)),
            Some(reply) => Ok(reply),
            // Every command has an answer by the account's contract; an account that gives none
            // is broken, and the caller must not read that as a success.
            None => Err(CommandError::Stopped),
        };
        let touched = conditional(&events);
        self.hold(Held {
            answer: Some(Answer::Command(reply, answer)),
            commands: effects.commands,
            // The same request again decides nothing.
            kills: kills.filter(|_| !events.is_empty()),
            adds: adds && !events.is_empty(),
            events,
            ..Held::default()
        });
        self.note_watched(now, touched);
    }

    /// The same list again decides nothing; a batch without a contingency is no list.
    fn has_list(&self, command: &AccountCommand) -> bool {
        match command {
            AccountCommand::SubmitList(list) => self.args.account.list(&list.list_id).is_some(),
            _ => false,
        }
    }

    /// An order that is here already is answered even when no new one could be taken.
    fn known(&self, command: &AccountCommand) -> Option<Reply> {
        let AccountCommand::Submit(request) = command else {
            return None;
        };
        if self.outbox.len() >= HELD {
            return None;
        }
        let key = OrderKey::ClientOrderId(request.client_order_id.clone());
        let order = self.args.account.order(&key)?;
        (order.request == **request).then(|| Reply::Order(Box::new(order.clone())))
    }
}
