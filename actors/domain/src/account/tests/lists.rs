//! Lists of orders by script: what each step does to every order, and what the venue is told.

use super::support::*;

use crate::account::{AccountInput, Refusal, Reply};
use crate::event::Hold;
use crate::id::OrderListId;
use crate::instrument::{Instrument, InstrumentRules, Lacks};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{Contingency, OrderTerms, OrderType, ReleaseRule, SubmitList, SubmitOrder};
use crate::risk::{MarketView, ReasonCode, TradingState};
use crate::venue::{RejectReason, VenueCommand, VenueReport};
use std::collections::BTreeMap;

fn exit(client: &str, price: i64) -> SubmitOrder {
    limit(client, PERP, Side::Sell, 10, price)
}

fn stop(client: &str, stop_price: i64) -> SubmitOrder {
    SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        terms: OrderTerms {
            stop_price: Some(Price(stop_price)),
            ..OrderTerms::default()
        },
        ..exit(client, 0)
    }
}

/// An entry `e`, a take-profit `t` and a stop-loss `s`.
fn bracket() -> Vec<SubmitOrder> {
    let entry = limit("e", PERP, Side::Buy, 10, 10_000);
    vec![entry, exit("t", 11_000), stop("s", 9_500)]
}

fn pair() -> Vec<SubmitOrder> {
    vec![exit("t", 11_000), stop("s", 9_500)]
}

fn list(contingency: Contingency, orders: Vec<SubmitOrder>) -> SubmitList {
    SubmitList {
        list_id: OrderListId::new("L").unwrap(),
        contingency,
        release: ReleaseRule::Full,
        cascade: true,
        orders,
    }
}

mod fees;
mod legs;
mod reduced;
mod shares;
mod table;
mod taking;

impl World {
    fn submit_list(&mut self, list: SubmitList) {
        let market = market(9_999, 10_001, self.now);
        let markets = BTreeMap::from([(id(PERP), market), (id(SPOT), market)]);
        let list = Box::new(list);
        self.apply(AccountInput::SubmitList { list, markets });
    }

    fn show(&mut self, last: i64) {
        let view = MarketView {
            bid: Some(Price(last - 1)),
            ask: Some(Price(last + 1)),
            last: Some(Price(last)),
            last_ts: self.now,
            mark: None,
            ts: self.now,
        };
        let instrument_id = id(PERP);
        self.apply(AccountInput::Market {
            instrument_id,
            view,
        });
    }

    /// Does one step of a script: `accept e`, `fill e 4`, `ended t 0`, `reject t`, `cancel t`,
    /// `amended t`, `show 9500`, `halt`.
    fn step(&mut self, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        match words[0] {
            "accept" => drop(self.accept(words[1])),
            "fill" => {
                let exec = format!("x{}", self.now.0);
                self.fill(words[1], &exec, number(2), 10_000);
            }
            "ended" => drop(self.ended(words[1], number(2))),
            "cancel" => drop(self.cancel(words[1])),
            "amended" => {
                let order = self.order(words[1]);
                self.report(VenueReport::Amended {
                    client_order_id: cid(words[1]),
                    quantity: Quantity(number(2)),
                    limit_price: order.limit_price,
                    stop_price: order.stop_price,
                    ts_event: self.now,
                });
            }
            "reject" => drop(self.report(VenueReport::Rejected {
                client_order_id: cid(words[1]),
                reason: RejectReason::Other,
                text: String::new(),
                ts_event: self.now,
            })),
            "triggered" => drop(self.report(VenueReport::Triggered {
                client_order_id: cid(words[1]),
                ts_event: self.now,
            })),
            "show" => self.show(number(1)),
            "halt" => self.trading(TradingState::Halted),
            "resume" => self.trading(TradingState::Active),
            other => panic!("unknown step {other}"),
        }
    }

    fn trading(&mut self, state: TradingState) {
        self.apply(AccountInput::SetTradingState {
            request_id: None,
            state,
            by: "ops".to_owned(),
            reason: String::new(),
        });
    }

    /// `new t 10, cancel s`: what the last input sent, queries left out.
    fn sent(&self) -> String {
        let sent = self.commands().iter().filter_map(|command| match command {
            VenueCommand::New(new) => Some(format!(
                "new {} {:?} {}",
                new.client_order_id.as_str(),
                new.order_type,
                new.quantity.0
            )),
            VenueCommand::Cancel {
                client_order_id, ..
            } => Some(format!("cancel {}", client_order_id.as_str())),
            VenueCommand::CancelForeign { .. } => None,
            VenueCommand::Amend {
                client_order_id,
                quantity,
                ..
            } => Some(format!("amend {} {}", client_order_id.as_str(), quantity.0)),
            VenueCommand::Query { .. } => None,
        });
        sent.collect::<Vec<_>>().join(", ")
    }
}

/// Runs a script and compares what each step sent, and how the orders stand at the end.
fn check(list: SubmitList, script: &[(&str, &str)], end: &str) {
    check_in(World::small(), list, script, end);
}

fn check_in(mut world: World, list: SubmitList, script: &[(&str, &str)], end: &str) {
    let names: Vec<String> = list
        .orders
        .iter()
        .map(|order| order.client_order_id.as_str().to_owned())
        .collect();
    world.submit_list(list);
    for (step, sent) in script {
        if !step.is_empty() {
            world.step(step);
        }
        assert_eq!(world.sent(), *sent, "after \"{step}\"");
        for name in &names {
            crate::invariant::check_order(&world.order(name)).unwrap();
        }
    }
    let states: Vec<String> = names
        .iter()
        .map(|name| {
            let order = world.order(name);
            format!(
                "{name} {} {}/{}",
                order.status.as_str(),
                order.filled_quantity.0,
                order.quantity.0
            )
        })
        .collect();
    assert_eq!(states.join(", "), end);
    world.assert_recovers();
}

fn held_position() -> World {
    let mut world = World::small();
    world.working(limit("p", PERP, Side::Buy, 10, 10_000));
    world.fill("p", "xp", 10, 10_000);
    world
}

#[test]
fn what_a_venue_says_of_a_child_that_has_not_left_changes_nothing() {
    let script = [
        ("", "new e Limit 10"),
        ("accept e", ""),
        ("triggered s", ""),
        ("reject t", ""),
        ("ended t 0", ""),
        ("fill e 10", "new t Limit 10, new s Stop 10"),
    ];
    let end = "e FILLED 10/10, t SUBMITTED 0/10, s SUBMITTED 0/10";
    check(list(Contingency::Bracket, bracket()), &script, end);
}

#[test]
fn an_oco_pair_ends_its_other_order_with_the_first_fill() {
    check_in(
        held_position(),
        list(Contingency::Oco, pair()),
        &[
            ("", "new t Limit 10, new s Stop 10"),
            ("accept t", ""),
            ("accept s", ""),
            ("fill t 4", "cancel s"),
            ("ended s 0", ""),
            ("fill t 6", ""),
        ],
        "t FILLED 10/10, s CANCELED 0/10",
    );
}

#[test]
fn an_order_of_an_oco_pair_that_triggers_ends_the_other_before_it_trades() {
    check_in(
        held_position(),
        list(Contingency::Oco, pair()),
        &[
            ("", "new t Limit 10, new s Stop 10"),
            ("accept t", ""),
            ("accept s", ""),
            ("triggered s", "cancel t"),
            ("fill s 10", ""),
            ("ended t 0", ""),
        ],
        "t CANCELED 0/10, s FILLED 10/10",
    );
}

#[test]
fn a_cancel_of_one_ends_the_rest_where_the_list_cascades() {
    for (cascade, sent, end) in [
        (true, "cancel s", "t CANCELED 0/10, s PENDING_CANCEL 0/10"),
        (false, "", "t CANCELED 0/10, s ACCEPTED 0/10"),
    ] {
        let list = SubmitList {
            cascade,
            ..list(Contingency::Oco, pair())
        };
        let script = [
            ("accept t", ""),
            ("accept s", ""),
            ("cancel t", "cancel t"),
            ("ended t 0", sent),
        ];
        check_in(held_position(), list, &script, end);
    }
}

#[test]
fn tc_v02_the_legs_of_a_bracket_leave_with_the_complete_fill_of_the_entry() {
    check(
        list(Contingency::Bracket, bracket()),
        &[
            ("", "new e Limit 10"),
            ("accept e", ""),
            ("fill e 4", ""),
            ("fill e 6", "new t Limit 10, new s Stop 10"),
            ("accept t", ""),
            ("accept s", ""),
            // A part of one leg shrinks the other to the rest.
            ("fill t 3", "amend s 7"),
            ("amended s 7", ""),
            ("fill t 7", "cancel s"),
            ("ended s 0", ""),
        ],
        "e FILLED 10/10, t FILLED 10/10, s CANCELED 0/7",
    );
}

#[test]
fn with_partial_release_the_legs_follow_what_the_entry_has() {
    let list = SubmitList {
        release: ReleaseRule::Partial,
        ..list(Contingency::Bracket, bracket())
    };
    check(
        list,
        &[
            ("", "new e Limit 10"),
            ("accept e", ""),
            ("fill e 4", "new t Limit 4, new s Stop 4"),
            ("accept t", ""),
            ("accept s", ""),
            ("fill e 2", "amend t 6, amend s 6"),
            ("amended t 6", ""),
            ("amended s 6", ""),
            ("fill t 1", "amend s 5"),
            // The amend under way is waited for, and the next one goes out behind it.
            ("fill e 4", "amend t 10"),
            ("amended s 5", "amend s 9"),
        ],
        "e FILLED 10/10, t PENDING_AMEND 1/6, s PENDING_AMEND 0/5",
    );
}

#[test]
fn an_entry_that_ends_takes_its_legs_with_it_or_leaves_them_what_it_filled() {
    check(
        list(Contingency::Bracket, bracket()),
        &[
            ("accept e", ""),
            ("cancel e", "cancel e"),
            ("ended e 0", ""),
        ],
        "e CANCELED 0/10, t CANCELED 0/10, s CANCELED 0/10",
    );
    check(
        list(Contingency::Bracket, bracket()),
        &[
            ("accept e", ""),
            ("fill e 3", ""),
            ("ended e 3", "new t Limit 3, new s Stop 3"),
        ],
        "e CANCELED 3/10, t SUBMITTED 0/3, s SUBMITTED 0/3",
    );
    check(
        list(Contingency::Bracket, bracket()),
        &[("reject e", "")],
        "e REJECTED 0/10, t CANCELED 0/10, s CANCELED 0/10",
    );
}

#[test]
fn a_leg_that_is_refused_leaves_the_other_to_protect_the_position() {
    check(
        list(Contingency::Bracket, bracket()),
        &[
            ("accept e", ""),
            ("fill e 10", "new t Limit 10, new s Stop 10"),
            ("reject t", ""),
            ("accept s", ""),
        ],
        "e FILLED 10/10, t REJECTED 0/10, s ACCEPTED 0/10",
    );
}

#[test]
fn one_that_triggers_another_sends_it_and_then_forgets_it() {
    let orders = vec![limit("e", PERP, Side::Buy, 10, 10_000), exit("t", 11_000)];
    check(
        list(Contingency::Oto, orders),
        &[
            ("", "new e Limit 10"),
            ("accept e", ""),
            ("fill e 10", "new t Limit 10"),
            ("accept t", ""),
            ("cancel t", "cancel t"),
            ("ended t 0", ""),
        ],
        "e FILLED 10/10, t CANCELED 0/10",
    );
}

#[test]
fn orders_that_update_each_other_share_one_quantity() {
    check_in(
        held_position(),
        list(Contingency::Ouo, pair()),
        &[
            ("accept t", ""),
            ("accept s", ""),
            ("fill s 4", "amend t 6"),
            // A fill that comes while the amend is under way is taken from it afterwards.
            ("fill s 1", ""),
            ("amended t 6", "amend t 5"),
            ("amended t 5", ""),
            ("fill s 5", "cancel t"),
        ],
        "t PENDING_CANCEL 0/5, s FILLED 10/10",
    );
}

/// A world whose venue has no conditional orders.
fn bare() -> World {
    let mut world = World::small();
    let definition = Instrument {
        rules: InstrumentRules {
            lacks: Lacks {
                order_types: vec![OrderType::Stop, OrderType::TrailingStop],
                ..Lacks::default()
            },
            ..InstrumentRules::default()
        },
        min_notional: money("0"),
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

#[test]
fn a_leg_that_the_venue_lacks_is_held_here_and_ends_the_other_when_it_leaves() {
    check_in(
        bare(),
        list(Contingency::Bracket, bracket()),
        &[
            ("", "new e Limit 10"),
            ("accept e", ""),
            ("show 9400", ""),
            ("show 10000", ""),
            ("fill e 10", "new t Limit 10"),
            ("accept t", ""),
            ("fill t 4", ""),
            ("show 9501", ""),
            ("show 9500", "cancel t"),
            ("ended t 4", "new s Market 6"),
            ("fill s 6", ""),
        ],
        "e FILLED 10/10, t CANCELED 4/10, s FILLED 6/6",
    );
}

#[test]
fn an_order_that_is_held_says_for_what_until_it_leaves_or_ends() {
    let mut world = bare();
    world.submit_list(list(Contingency::Bracket, bracket()));
    let held = |world: &World| ["e", "t", "s"].map(|client| world.order(client).held_for);
    let (parent, price) = (Some(Hold::Parent), Some(Hold::Emulated));
    for (step, expected) in [
        ("accept e", [None, parent, parent]),
        // The target has left, and the stop now waits for its price.
        ("fill e 10", [None, None, price]),
        ("accept t", [None, None, price]),
        ("fill t 10", [None, None, None]),
    ] {
        world.step(step);
        assert_eq!(held(&world), expected, "{step}");
    }
    world.assert_recovers();
}

#[test]
fn a_fill_that_meets_the_cancel_of_its_list_is_real() {
    check_in(
        held_position(),
        list(Contingency::Oco, pair()),
        &[
            ("accept t", ""),
            ("accept s", ""),
            ("fill t 10", "cancel s"),
            ("fill s 10", ""),
        ],
        "t FILLED 10/10, s FILLED 10/10",
    );
}
