//! What a strategy asked for, on the wire, and what became of it.

use apex_domain::account::Refusal;
use apex_domain::order::{OrderKey, SubmitList};
use apex_domain::{ClientOrderId, Instrument, InstrumentId};
use apex_proto::convert::enums;
use apex_proto::convert::order::{strategy_submit, strategy_submit_list};
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
    /// The orders that a command without an outcome was about.
    open: BTreeMap<u64, Vec<ClientOrderId>>,
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
        let mut about = Vec::new();
        let written = match command {
            StrategyCommand::Submit(request) => {
                about.push(request.client_order_id.clone());
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
                about.push(id.clone());
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
                about.push(id.clone());
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
                about.extend(orders.map(|order| order.client_order_id.clone()));
                let written = write_list(&list, &instrument);
                Command::SubmitList(written.map_err(|refusal| (about.clone(), refusal))?)
            }
            StrategyCommand::Close { scope, .. } => {
                about.extend(scope.client_order_id.clone());
                let text = |id: Option<String>| id.unwrap_or_default();
                Command::Close(v1::StrategyClose {
                    instrument_id: text(scope.instrument_id.map(|id| id.to_string())),
                    client_order_id: text(scope.client_order_id.map(|id| id.to_string())),
                })
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
        if !about.is_empty() {
            self.open.insert(self.last_id, about);
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

    /// Returns the orders for which a command was not taken, and why; none when it was.
    pub fn refused(&mut self, outcome: &v1::CommandOutcome) -> Vec<(ClientOrderId, Refusal)> {
        let Some(ids) = self.open.get_mut(&outcome.command_id) else {
            return Vec::new();
        };
        let taken = outcome.reason_code.is_empty() || !outcome.order_id.is_empty();
        // One order of several: the outcome of the whole is still to come.
        let one = ids
            .iter()
            .position(|id| ids.len() > 1 && id.as_str() == outcome.client_order_id);
        let ids = match one {
            Some(place) if !taken => vec![ids.remove(place)],
            _ => self.open.remove(&outcome.command_id).unwrap_or_default(),
        };
        let refused = ids.into_iter().filter(|_| !taken);
        refused
            .map(|id| {
                let refusal = refusal(&id, outcome);
                (id, refusal)
            })
            .collect()
    }
}

/// Errors: an instrument of the list is not known here.
fn write_list<'a>(
    list: &SubmitList,
    instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
) -> Result<v1::StrategySubmitList, Refusal> {
    let mut ids = list.orders.iter().map(|order| &order.instrument_id);
    let unknown = ids.find(|id| instrument(id).is_none()).cloned();
    let refusal = unknown.map_or(Refusal::OrderNotFound, Refusal::UnknownInstrument);
    strategy_submit_list(list, instrument).ok_or(refusal)
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
    use apex_domain::market::Side;
    use apex_domain::order::{
        Contingency, OrderTerms, OrderType, ReleaseRule, SubmitOrder, TimeInForce,
    };
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
        assert_eq!(commands.refused(&outcome(1, "")), []);
        let denied = v1::CommandOutcome {
            order_id: "paper:1".into(),
            ..outcome(2, "MIN_NOTIONAL")
        };
        assert_eq!(commands.refused(&denied), [], "an order: its events tell");
        let rule = Refusal::Rule {
            code: ReasonCode::MinNotional,
            detail: String::new(),
        };
        let refused = commands.refused(&outcome(3, "MIN_NOTIONAL"));
        assert_eq!(refused, [(id, rule)]);
        assert_eq!(commands.refused(&outcome(3, "MIN_NOTIONAL")), []);
    }

    #[test]
    fn a_list_that_cannot_be_written_comes_back_with_each_of_its_orders() {
        let mut commands = Commands::default();
        let instrument_id = apex_domain::InstrumentId::new("BTCUSDT.SIM").unwrap();
        let ids = ["s-2", "s-3"].map(|id| ClientOrderId::new(id).unwrap());
        let order = |id: &ClientOrderId| SubmitOrder {
            client_order_id: id.clone(),
            strategy_id: apex_domain::StrategyId::new("s").unwrap(),
            instrument_id: instrument_id.clone(),
            side: Side::Buy,
            order_type: OrderType::Market,
            quantity: apex_domain::Quantity(1),
            limit_price: None,
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms::default(),
        };
        let list = StrategyCommand::SubmitList(Box::new(SubmitList {
            list_id: apex_domain::OrderListId::new("s-1").unwrap(),
            contingency: Contingency::Oco,
            release: ReleaseRule::Full,
            cascade: true,
            orders: ids.iter().map(order).collect(),
        }));
        let unknown = Refusal::UnknownInstrument(instrument_id);
        let written = commands.write(list, |_| None, |_| None);
        assert_eq!(written.unwrap_err(), (ids.to_vec(), unknown));
    }

    #[test]
    fn an_order_of_several_comes_back_alone_and_a_whole_list_with_all() {
        let mut commands = Commands::default();
        let ids = ["s-2", "s-3"].map(|id| ClientOrderId::new(id).unwrap());
        let told = |id: u64, code: &str, order: &str| v1::CommandOutcome {
            client_order_id: order.into(),
            ..outcome(id, code)
        };
        commands.open.insert(1, ids.to_vec());
        let one = commands.refused(&told(1, "ALREADY_EXISTS", "s-3"));
        assert_eq!(
            one,
            [(ids[1].clone(), Refusal::AlreadyExists(ids[1].clone()))]
        );
        assert_eq!(commands.refused(&told(1, "", "")), []);
        commands.open.insert(2, ids.to_vec());
        let all = commands.refused(&told(2, "NOT_OPEN", ""));
        assert_eq!(all, ids.map(|id| (id, Refusal::NotOpen)));
    }

    #[test]
    fn a_long_log_line_is_cut_between_letters() {
        let line = cut("ä".repeat(1_000));
        assert_eq!(line.len(), 1_024);
        assert_eq!(cut(format!("a{}", "ä".repeat(1_000))).len(), 1_023);
    }
}
