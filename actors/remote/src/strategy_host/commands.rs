//! What a strategy asked for, on the wire, and what became of it.

use apex_domain::account::Refusal;
use apex_domain::order::OrderKey;
use apex_domain::{ClientOrderId, Instrument};
use apex_proto::convert::enums;
use apex_proto::convert::order::strategy_submit;
use apex_proto::v1::{self, strategy_command::Command};
use apex_strategy::StrategyCommand;
use std::collections::BTreeMap;

/// Commands whose outcome is still open. The server refuses more than a thousand in one batch and
/// answers each, so only a broken server lets this grow; it is cut at this number.
const OPEN_COMMANDS: usize = 16_384;

/// Numbers commands and keeps what their outcomes need.
#[derive(Debug, Default)]
pub struct Commands {
    last_id: u64,
    /// The order that a command without an outcome was about.
    open: BTreeMap<u64, ClientOrderId>,
    /// The wire replaces a timer of the same name, a strategy may have several of one tag.
    timers: BTreeMap<String, String>,
    timer_number: u64,
}

impl Commands {
    /// Writes a command. `instrument` gives a definition, `instrument_of` that of an own order.
    ///
    /// Errors: the orders, and why their command cannot be written; the strategy is told.
    pub fn write<'a>(
        &mut self,
        command: StrategyCommand,
        instrument: impl Fn(&apex_domain::InstrumentId) -> Option<&'a Instrument>,
        instrument_of: impl Fn(&ClientOrderId) -> Option<&'a Instrument>,
    ) -> Result<v1::StrategyCommand, (Vec<ClientOrderId>, Refusal)> {
        let mut about = None;
        let written = match command {
            StrategyCommand::Submit(request) => {
                about = Some(request.client_order_id.clone());
                let definition = instrument(&request.instrument_id).ok_or_else(|| {
                    let unknown = Refusal::UnknownInstrument(request.instrument_id.clone());
                    (vec![request.client_order_id.clone()], unknown)
                })?;
                Command::Submit(strategy_submit(&request, definition))
            }
            StrategyCommand::Amend(amend) => {
                // The context that strategies are given makes no other key.
                let OrderKey::ClientOrderId(id) = amend.key else {
                    unreachable!("an amend names its order by client_order_id");
                };
                let definition =
                    instrument_of(&id).ok_or_else(|| (vec![id.clone()], Refusal::OrderNotFound))?;
                about = Some(id.clone());
                Command::Amend(v1::StrategyAmend {
                    client_order_id: id.to_string(),
                    quantity: amend
                        .quantity
                        .map(|quantity| definition.format_quantity(quantity))
                        .unwrap_or_default(),
                    limit_price: amend
                        .limit_price
                        .map(|price| definition.format_price(price))
                        .unwrap_or_default(),
                    stop_price: amend
                        .stop_price
                        .map(|price| definition.format_price(price))
                        .unwrap_or_default(),
                })
            }
            StrategyCommand::Cancel(id) => {
                about = Some(id.clone());
                Command::Cancel(v1::StrategyCancel {
                    client_order_id: id.to_string(),
                    instrument_id: String::new(),
                })
            }
            StrategyCommand::CancelAll(filter) => Command::Cancel(v1::StrategyCancel {
                client_order_id: String::new(),
                instrument_id: filter
                    .instrument_id
                    .map(|id| id.to_string())
                    .unwrap_or_default(),
            }),
            StrategyCommand::SubmitList(list) => {
                let orders = list.orders.iter();
                let ids = orders.map(|order| order.client_order_id.clone()).collect();
                return Err((ids, not_carried("lists of orders")));
            }
            StrategyCommand::Close { scope, .. } => {
                let ids = scope.client_order_id.into_iter().collect();
                return Err((ids, not_carried("the closing of positions")));
            }
            StrategyCommand::Timer { at, tag } => {
                self.timer_number += 1;
                let name = format!("t{}", self.timer_number);
                self.timers.insert(name.clone(), tag);
                Command::SetTimer(v1::SetTimer {
                    name,
                    ts_due_ns: at.0,
                    interval_ns: 0,
                })
            }
            StrategyCommand::SaveState(state) => Command::SaveState(v1::SaveState { state }),
            StrategyCommand::Log(text) => Command::Log(v1::LogLine {
                level: v1::LogLevel::Info.into(),
                text: cut(text),
            }),
        };
        self.last_id += 1;
        if let Some(id) = about {
            self.open.insert(self.last_id, id);
            if self.open.len() > OPEN_COMMANDS {
                self.open.pop_first();
            }
        }
        Ok(v1::StrategyCommand {
            command_id: self.last_id,
            command: Some(written),
        })
    }

    /// Returns the tag of a timer that fired.
    pub fn fired(&mut self, name: &str) -> Option<String> {
        self.timers.remove(name)
    }

    /// Returns the order and why its command was not taken; `None` when it was.
    pub fn refused(&mut self, outcome: &v1::CommandOutcome) -> Option<(ClientOrderId, Refusal)> {
        let id = self.open.remove(&outcome.command_id)?;
        let taken = outcome.reason_code.is_empty() || !outcome.order_id.is_empty();
        (!taken).then(|| {
            let refusal = refusal(&id, outcome);
            (id, refusal)
        })
    }
}

/// What a strategy may ask for in a backtest or replay, and the protocol has no message for.
fn not_carried(what: &str) -> Refusal {
    Refusal::Invalid {
        field: "command",
        detail: format!("does not reach the account: a session carries no {what}"),
    }
}

/// At most the 1,024 bytes that a log line may have.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(1_024);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn refusal(id: &ClientOrderId, outcome: &v1::CommandOutcome) -> Refusal {
    match outcome.reason_code.as_str() {
        "ALREADY_EXISTS" => Refusal::AlreadyExists(id.clone()),
        "ORDER_NOT_FOUND" => Refusal::OrderNotFound,
        "CHANGE_PENDING" => Refusal::ChangePending,
        "NOT_OPEN" => Refusal::NotOpen,
        other => match enums::read_reason_code(other) {
            Some(code) => Refusal::Rule {
                code,
                detail: outcome.reason.clone(),
            },
            None => Refusal::Invalid {
                field: "command",
                detail: format!("{other} {} {}", outcome.field, outcome.reason),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::UnixNanos;
    use apex_domain::risk::ReasonCode;

    fn write(commands: &mut Commands, command: StrategyCommand) -> Option<v1::StrategyCommand> {
        commands.write(command, |_| None, |_| None).ok()
    }

    fn outcome(command_id: u64, reason_code: &str) -> v1::CommandOutcome {
        v1::CommandOutcome {
            command_id,
            reason_code: reason_code.into(),
            ..Default::default()
        }
    }

    #[test]
    fn command_ids_are_dense_from_one() {
        let mut commands = Commands::default();
        let log = |text: &str| StrategyCommand::Log(text.into());
        let first = write(&mut commands, log("a")).unwrap();
        let second = write(&mut commands, log("b")).unwrap();
        assert_eq!((first.command_id, second.command_id), (1, 2));
    }

    #[test]
    fn two_timers_of_one_tag_both_fire() {
        let mut commands = Commands::default();
        let mut names = Vec::new();
        for at in [5, 6] {
            let timer = StrategyCommand::Timer {
                at: UnixNanos(at),
                tag: "again".into(),
            };
            match write(&mut commands, timer).unwrap().command {
                Some(Command::SetTimer(timer)) => names.push(timer.name),
                other => panic!("{other:?}"),
            }
        }
        for name in names {
            assert_eq!(commands.fired(&name).as_deref(), Some("again"));
            assert_eq!(commands.fired(&name), None, "each fires once");
        }
    }

    #[test]
    fn only_a_refused_command_comes_back() {
        let mut commands = Commands::default();
        let id = ClientOrderId::new("s-1").unwrap();
        for _ in 0..3 {
            write(&mut commands, StrategyCommand::Cancel(id.clone())).unwrap();
        }
        assert_eq!(commands.refused(&outcome(1, "")), None);
        let denied = v1::CommandOutcome {
            order_id: "paper:1".into(),
            ..outcome(2, "MIN_NOTIONAL")
        };
        assert_eq!(commands.refused(&denied), None, "an order: its events tell");
        let rule = Refusal::Rule {
            code: ReasonCode::MinNotional,
            detail: String::new(),
        };
        let refused = commands.refused(&outcome(3, "MIN_NOTIONAL"));
        assert_eq!(refused, Some((id, rule)));
        assert_eq!(commands.refused(&outcome(3, "MIN_NOTIONAL")), None);
    }

    #[test]
    fn a_long_log_line_is_cut_between_letters() {
        let line = cut("ä".repeat(1_000));
        assert_eq!(line.len(), 1_024);
        assert_eq!(cut(format!("a{}", "ä".repeat(1_000))).len(), 1_023);
    }
}
