//! What a session does with the strategy's commands.

use super::{Effect, Session, State};
use crate::strategy_session::commands::{self, NotTaken};
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::Reply;
use apex_domain::order::{SubmitList, SubmitOrder};
use apex_domain::{ClientOrderId, Instrument, InstrumentId, RequestId, UnixNanos};
use apex_proto::v1::strategy_command::Command;
use apex_proto::v1::strategy_response::Message as Response;
use apex_proto::v1::{self, SessionEndKind as EndKind};

/// The largest state that a strategy may save.
const STATE_BYTES: usize = 64 * 1_024;

/// Orders under way whose answers are kept in mind; the account takes no more at a time.
const UNDER_WAY: usize = 4_096;

impl Session {
    pub(super) fn commands(
        &mut self,
        now: UnixNanos,
        batch: v1::CommandBatch,
        effects: &mut Vec<Effect>,
    ) {
        if self.state == State::Loading {
            return self.end(
                EndKind::Protocol,
                "commands before the welcome",
                false,
                effects,
            );
        }
        if batch.answers_sequence > 0 {
            let expected = self.unanswered.front().map(|(sequence, _)| *sequence);
            if expected != Some(batch.answers_sequence) {
                let reason = format!("batch {} is not to be answered now", batch.answers_sequence);
                return self.end(EndKind::Protocol, &reason, false, effects);
            }
            self.unanswered.pop_front();
        }
        let (given, limit) = (batch.commands.len(), self.setup.budget.commands_per_batch);
        if given > limit {
            let reason = format!("{given} commands in one batch, the limit is {limit}");
            return self.end(EndKind::Budget, &reason, false, effects);
        }
        for command in batch.commands {
            if command.command_id != self.last_command + 1 {
                let reason = format!("command {} is out of order", command.command_id);
                return self.end(EndKind::Protocol, &reason, false, effects);
            }
            self.last_command = command.command_id;
            if let Some(what) = command.command {
                self.command(now, command.command_id, what, effects);
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn command(
        &mut self,
        now: UnixNanos,
        command_id: u64,
        command: Command,
        effects: &mut Vec<Effect>,
    ) {
        let hub = self.hub.clone();
        let find = |id: &InstrumentId| -> Option<Instrument> { hub.instrument(id) };
        let owner = self.setup.owner.clone();
        let adds = matches!(
            command,
            Command::Target(_) | Command::Submit(_) | Command::SubmitList(_) | Command::Amend(_)
        );
        if adds && self.paused {
            let paused = NotTaken::new("PAUSED", "the strategy is paused");
            return refuse(command_id, paused, effects);
        }
        let taken = match command {
            Command::Target(wire) => {
                match commands::target(&owner, &wire, &mut self.holdings, &find) {
                    Ok(Some(order)) => return self.order(now, command_id, order, effects),
                    Ok(None) => {
                        let nothing = v1::CommandOutcome {
                            command_id,
                            ..Default::default()
                        };
                        return effects.push(Effect::Send(Response::Outcome(nothing)));
                    }
                    Err(not_taken) => Err(not_taken),
                }
            }
            Command::Submit(wire) => match commands::submit(&owner, wire, &find) {
                Ok(order) => return self.order(now, command_id, order, effects),
                Err(not_taken) => Err(not_taken),
            },
            Command::Amend(wire) => {
                if !self.may_order(now, effects) {
                    return;
                }
                self.request_id(command_id)
                    .and_then(|id| commands::amend(&owner, wire, &id, &self.holdings, &find))
            }
            Command::SubmitList(wire) => match commands::submit_list(&owner, wire, &find) {
                Ok(list) => return self.list(now, command_id, list, effects),
                Err(not_taken) => Err(not_taken),
            },
            // It only ends what there is, so it passes while the strategy is paused.
            Command::Close(wire) => self
                .request_id(command_id)
                .and_then(|id| commands::close(&owner, wire, &id)),
            Command::Cancel(wire) => commands::cancel(&owner, &wire, &self.holdings),
            Command::SetTimer(wire) => return self.set_timer(now, command_id, wire, effects),
            Command::CancelTimer(wire) => return self.timers.cancel(&wire.name),
            Command::SaveState(wire) => return save(command_id, wire.state, effects),
            Command::Log(line) => {
                return effects.push(Effect::Log {
                    level: line.level(),
                    text: line.text.chars().take(1_024).collect(),
                });
            }
        };
        match taken {
            Ok(command) => effects.push(Effect::Command {
                command_id,
                command,
            }),
            Err(not_taken) => refuse(command_id, not_taken, effects),
        }
    }

    fn order(
        &mut self,
        now: UnixNanos,
        command_id: u64,
        order: SubmitOrder,
        effects: &mut Vec<Effect>,
    ) {
        if !self.may_order(now, effects) || !self.has_place(command_id, effects) {
            return;
        }
        self.holdings.asked(&order);
        self.asked
            .insert(command_id, vec![order.client_order_id.clone()]);
        effects.push(Effect::Command {
            command_id,
            command: AccountCommand::Submit(Box::new(order)),
        });
    }

    fn list(
        &mut self,
        now: UnixNanos,
        command_id: u64,
        list: SubmitList,
        effects: &mut Vec<Effect>,
    ) {
        for _ in &list.orders {
            if !self.may_order(now, effects) {
                return;
            }
        }
        if !self.has_place(command_id, effects) {
            return;
        }
        self.holdings.asked_list(&list);
        let ids = list.orders.iter();
        let ids = ids.map(|order| order.client_order_id.clone()).collect();
        self.asked.insert(command_id, ids);
        effects.push(Effect::Command {
            command_id,
            command: AccountCommand::SubmitList(Box::new(list)),
        });
    }

    fn has_place(&self, command_id: u64, effects: &mut Vec<Effect>) -> bool {
        let has_place = self.asked.len() < UNDER_WAY;
        if !has_place {
            let full = NotTaken::new("OVERLOADED", "too many orders without an answer");
            refuse(command_id, full, effects);
        }
        has_place
    }

    /// Names a command that has no order of its own to be named by.
    fn request_id(&self, command_id: u64) -> Result<RequestId, NotTaken> {
        RequestId::new(&format!("{}-{command_id}", self.setup.session_id))
            .map_err(|error| NotTaken::new("INVALID_FIELD", error.to_string()))
    }

    fn may_order(&mut self, now: UnixNanos, effects: &mut Vec<Effect>) -> bool {
        if self.orders.take(now) {
            return true;
        }
        let limit = self.setup.budget.orders_per_second;
        let reason = format!("more than {limit} orders in a second");
        self.end(EndKind::Budget, &reason, false, effects);
        false
    }

    fn set_timer(
        &mut self,
        now: UnixNanos,
        command_id: u64,
        wire: v1::SetTimer,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(not_taken) = self.timers.set(now, wire) {
            refuse(command_id, not_taken, effects);
        }
    }

    pub(super) fn answered(
        &mut self,
        command_id: u64,
        answer: Result<Reply, CommandError>,
        effects: &mut Vec<Effect>,
    ) {
        let asked = self.asked.remove(&command_id).unwrap_or_default();
        // An order of unknown outcome stays counted: what it could still do stays reserved.
        let open = matches!(&answer, Err(CommandError::Timeout { .. }));
        if matches!(&answer, Err(_) | Ok(Reply::Refused(_))) && !open {
            for id in &asked {
                self.holdings.forget(id);
            }
        }
        for outcome in commands::refused_orders(command_id, &answer) {
            if let Ok(id) = ClientOrderId::new(&outcome.client_order_id) {
                self.holdings.forget(&id);
            }
            effects.push(Effect::Send(Response::Outcome(outcome)));
        }
        let stopped = matches!(&answer, Err(CommandError::Stopped));
        let outcome = commands::outcome(command_id, answer);
        effects.push(Effect::Send(Response::Outcome(outcome)));
        if stopped {
            self.end(
                EndKind::Stopped,
                "the account is not running",
                false,
                effects,
            );
        }
    }
}

fn refuse(command_id: u64, not_taken: NotTaken, effects: &mut Vec<Effect>) {
    let outcome = commands::refusal_outcome(command_id, not_taken);
    effects.push(Effect::Send(Response::Outcome(outcome)));
}

fn save(command_id: u64, state: Vec<u8>, effects: &mut Vec<Effect>) {
    if state.len() > STATE_BYTES {
        let reason = format!("has {} bytes, at most {STATE_BYTES} are kept", state.len());
        let not_taken = NotTaken {
            code: "INVALID_FIELD",
            field: "state".into(),
            reason,
        };
        return refuse(command_id, not_taken, effects);
    }
    effects.push(Effect::Save(state));
}
