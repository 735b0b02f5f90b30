//! Lists of orders and closings over a session.

use super::*;
use crate::strategy_session::events::Happening;
use apex_bus::message::{AccountCommand, AccountEvent};
use apex_domain::account::{Outcome, Refusal};
use apex_domain::event::{CloseScope, Event, Hold, Recorded};
use apex_domain::order::{Contingency, ListDefinition, Order, OrderKey, ReleaseRule, SubmitList};
use apex_domain::{RequestId, UnixNanos};
use std::sync::Arc;

fn order_of(id: &str, side: v1::Side, limit_price: &str) -> v1::StrategySubmit {
    v1::StrategySubmit {
        client_order_id: id.into(),
        instrument_id: "BTCUSDT.SIM".into(),
        side: side.into(),
        order_type: v1::OrderType::Limit.into(),
        quantity: "0.004".into(),
        limit_price: limit_price.into(),
        ..Default::default()
    }
}

/// An entry, a limit above and a stop below.
fn bracket() -> Command {
    let stop = v1::StrategySubmit {
        order_type: v1::OrderType::Stop.into(),
        stop_price: "0.90".into(),
        ..order_of("s", v1::Side::Sell, "")
    };
    Command::SubmitList(v1::StrategySubmitList {
        order_list_id: "L".into(),
        contingency: v1::Contingency::Bracket.into(),
        orders: vec![
            order_of("e", v1::Side::Buy, "1.00"),
            order_of("t", v1::Side::Sell, "1.20"),
            stop,
        ],
        ..Default::default()
    })
}

fn taken(effects: &[Effect]) -> SubmitList {
    match effects {
        [
            Effect::Command {
                command: AccountCommand::SubmitList(list),
                ..
            },
        ] => list.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn told(list: &SubmitList, place: usize, event: fn(&Order) -> Event, sequence: u64) -> Happening {
    let mut after = order(&list.orders[place], OrderStatus::PendingNew, 0, sequence);
    after.list_id = Some(list.list_id.clone());
    let event = event(&after);
    account_event(event, after)
}

#[test]
fn a_list_is_the_strategys_own_and_counts_what_one_of_its_legs_can_do() {
    let mut run = Run::new(0, Vec::new(), false);
    let list = taken(&run.commands(0, vec![bracket()]));
    assert_eq!(list.contingency, Contingency::Bracket);
    assert_eq!((list.release, list.cascade), (ReleaseRule::Full, true));
    assert!(
        list.orders
            .iter()
            .all(|order| order.strategy_id.as_str() == "ema-1")
    );
    let reached = |run: &mut Run, quantity: &str| {
        let effects = run.target(quantity);
        assert_eq!(outcome(&effects).reason_code, "", "{effects:?}");
    };
    reached(&mut run, "0.004");
    let definition = ListDefinition {
        list_id: list.list_id.clone(),
        contingency: list.contingency,
        release: list.release,
        cascade: list.cascade,
        members: list
            .orders
            .iter()
            .map(|order| order.client_order_id.clone())
            .collect(),
        quantities: list.orders.iter().map(|order| order.quantity).collect(),
    };
    let list_event = Happening::Account(AccountEvent {
        account_id: owner().account_id,
        recorded: Arc::new(Recorded {
            sequence: 11,
            ts: UnixNanos(0),
            venue_sequence: 0,
            event: Event::ListInitialized {
                list: Box::new(definition),
            },
        }),
        order: None,
    });
    let begins = |order: &Order| Event::OrderInitialized {
        order_id: order.order_id.clone(),
        request: Box::new(order.request.clone()),
        market: apex_domain::risk::MarketRef::default(),
        quantity: order.quantity,
        expires_at: None,
    };
    let held = |order: &Order| Event::OrderHeld {
        order_id: order.order_id.clone(),
        hold: Hold::Parent,
    };
    let left = |order: &Order| Event::OrderSubmitted {
        order_id: order.order_id.clone(),
    };
    run.apply(Input::Happened(vec![
        list_event,
        told(&list, 0, begins, 12),
        told(&list, 1, begins, 13),
        told(&list, 2, begins, 14),
        told(&list, 1, held, 15),
        told(&list, 2, held, 16),
    ]));
    reached(&mut run, "0.004");
    run.apply(Input::Happened(vec![
        filled(&list.orders[0], 4, 17),
        told(&list, 1, left, 18),
        told(&list, 2, left, 19),
    ]));
    reached(&mut run, "0");
}

#[test]
fn an_order_of_a_batch_that_is_refused_is_named() {
    let mut run = Run::new(0, Vec::new(), false);
    let batch = Command::SubmitList(v1::StrategySubmitList {
        contingency: v1::Contingency::None.into(),
        orders: vec![
            order_of("a", v1::Side::Buy, "1.00"),
            order_of("b", v1::Side::Buy, "1.10"),
        ],
        ..Default::default()
    });
    let list = taken(&run.commands(0, vec![batch]));
    let outcome_of = |place: usize, refused: bool| {
        let request = &list.orders[place];
        Outcome {
            key: OrderKey::ClientOrderId(request.client_order_id.clone()),
            result: if refused {
                Err(Refusal::AlreadyExists(request.client_order_id.clone()))
            } else {
                Ok(Box::new(order(request, OrderStatus::Submitted, 0, 12)))
            },
        }
    };
    let effects = run.apply(Input::Answered {
        command_id: 1,
        answer: Ok(Reply::Outcomes(vec![
            outcome_of(0, false),
            outcome_of(1, true),
        ])),
    });
    let told: Vec<(&str, &str)> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Send(Response::Outcome(outcome)) => (
                outcome.client_order_id.as_str(),
                outcome.reason_code.as_str(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [("b", "ALREADY_EXISTS"), ("", "")]);
    // Four of "a" are under way, "b" never was.
    assert_eq!(outcome(&run.target("0.004")).reason_code, "");
}

#[test]
fn a_closing_is_of_the_strategys_own_position() {
    let mut run = Run::new(0, Vec::new(), false);
    let close = Command::Close(v1::StrategyClose {
        instrument_id: "BTCUSDT.SIM".into(),
        client_order_id: "c".into(),
    });
    let effects = run.commands(0, vec![close]);
    let [
        Effect::Command {
            command: AccountCommand::Close { scope, request_id },
            ..
        },
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    let expected = CloseScope {
        instrument_id: Some(instrument_id()),
        strategy_id: Some(owner().strategy_id),
        client_order_id: Some(apex_domain::ClientOrderId::new("c").unwrap()),
    };
    assert_eq!(*scope, expected);
    assert_eq!(*request_id, Some(RequestId::new("s1-1").unwrap()));
}

#[test]
fn a_field_of_a_list_that_cannot_be_read_is_named() {
    let mut run = Run::new(0, Vec::new(), false);
    let Command::SubmitList(mut wire) = bracket() else {
        panic!("a list");
    };
    wire.orders[1].limit_price = String::new();
    let effects = run.commands(0, vec![Command::SubmitList(wire)]);
    let outcome = outcome(&effects);
    assert_eq!(outcome.reason_code, "INVALID_FIELD");
    assert_eq!(outcome.field, "orders[1].limit_price");
}
