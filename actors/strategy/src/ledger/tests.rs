mod amends;

use super::*;
use crate::context::Context;
use crate::order_request::OrderRequest;
use crate::testing::{account_id, instrument, instrument_id, strategy_id};
use apex_domain::instrument::InstrumentKind;
use apex_domain::market::Side;
use apex_domain::order::OrderStatus;
use apex_domain::risk::{MarketRef, ReasonCode};
use apex_domain::venue::Execution;
use apex_domain::{Currency, ExecId, Money, Price, Quantity, UnixNanos, VenueOrderId};

fn ledger(id: &str) -> Ledger {
    Ledger::new(account_id(), strategy_id(id), &[Arc::new(instrument())])
}

/// Lets a strategy's handler run on the ledger and returns the orders that it asked for.
fn ask(ledger: &mut Ledger, handler: impl FnOnce(&mut Context<'_>)) -> Vec<SubmitOrder> {
    let mut commands = Vec::new();
    handler(&mut Context {
        now: UnixNanos(1),
        ledger,
        commands: &mut commands,
    });
    commands
        .into_iter()
        .filter_map(|command| match command {
            crate::StrategyCommand::Submit(request) => Some(*request),
            _ => None,
        })
        .collect()
}

fn record(sequence: u64, event: Event) -> Recorded {
    Recorded {
        sequence,
        ts: UnixNanos(1),
        venue_sequence: 0,
        event,
    }
}

fn order_id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

fn initialized(id: &str, request: &SubmitOrder) -> Recorded {
    record(
        1,
        Event::OrderInitialized {
            order_id: order_id(id),
            quantity: request.quantity,
            request: Box::new(request.clone()),
            market: MarketRef::default(),
            expires_at: None,
        },
    )
}

fn filled(id: &str, request: &SubmitOrder, quantity: i64) -> Recorded {
    let execution = Execution {
        exec_id: ExecId::new("x").unwrap(),
        client_order_id: request.client_order_id.clone(),
        instrument_id: instrument_id(),
        side: request.side,
        last_quantity: Quantity(quantity),
        last_price: Price(100),
        fee: Money::ZERO,
        fee_currency: Currency::new("USD").unwrap(),
        maker: false,
        ts_event: UnixNanos(1),
    };
    record(
        9,
        Event::OrderFilled {
            order_id: order_id(id),
            execution: Box::new(execution),
            late: false,
        },
    )
}

#[test]
fn a_target_orders_the_difference_from_position_and_working_orders() {
    let id = instrument_id();
    let mut ledger = ledger("s");
    let first = ask(&mut ledger, |ctx| {
        ctx.target(&id, 100);
        // The first order counts although nobody has taken it yet.
        assert_eq!(ctx.target(&id, 100), None);
        ctx.target(&id, 150);
    });
    assert_eq!([first[0].quantity.0, first[1].quantity.0], [100, 50]);
    ledger.fold(&initialized("o1", &first[0]));
    ledger.fold(&initialized("o2", &first[1]));
    assert_eq!((ledger.position(&id), ledger.working(&id)), (0, 150));
    ledger.fold(&filled("o1", &first[0], 40));
    assert_eq!((ledger.position(&id), ledger.working(&id)), (40, 110));
    assert!(ask(&mut ledger, |ctx| assert!(ctx.target(&id, 150).is_none())).is_empty());
    let flip = ask(&mut ledger, |ctx| {
        ctx.target(&id, -150);
    });
    assert_eq!((flip[0].side, flip[0].quantity.0), (Side::Sell, 300));
}

#[test]
fn what_ended_no_longer_counts_as_working() {
    let id = instrument_id();
    let mut ledger = ledger("s");
    let asked = ask(&mut ledger, |ctx| {
        for _ in 0..3 {
            ctx.submit(OrderRequest::market(id.clone(), Side::Sell, Quantity(10)));
        }
    });
    ledger.forget_asked(&asked[0].client_order_id);
    assert_eq!(ledger.working(&id), -20);
    ledger.fold(&initialized("o1", &asked[1]));
    let denied = Event::OrderDenied {
        order_id: order_id("o1"),
        reason_code: ReasonCode::MinNotional,
        reason: "too small".to_owned(),
    };
    ledger.fold(&record(2, denied));
    assert_eq!(ledger.working(&id), -10);
    let order = ledger.order(&asked[1].client_order_id).unwrap();
    assert_eq!(order.status, OrderStatus::Denied);
    assert_eq!(
        (order.leaves_quantity.0, order.canceled_quantity.0),
        (0, 10)
    );
    ledger.fold(&initialized("o2", &asked[2]));
    ledger.fold(&filled("o2", &asked[2], 4));
    let canceled = Event::OrderCanceled {
        order_id: order_id("o2"),
        reason_code: ReasonCode::CanceledByUser,
        ts_event: UnixNanos(2),
    };
    ledger.fold(&record(3, canceled));
    assert_eq!((ledger.position(&id), ledger.working(&id)), (-4, 0));
    // A late fill is real.
    ledger.fold(&filled("o2", &asked[2], 6));
    assert_eq!((ledger.position(&id), ledger.working(&id)), (-10, 0));
    assert_eq!(ledger.working_orders().count(), 0);
}

#[test]
fn a_fee_in_the_asset_leaves_the_position_that_the_account_has() {
    let id = instrument_id();
    let mut definition = instrument();
    definition.kind = InstrumentKind::Spot;
    definition.quantity_decimals = 3;
    let mut ledger = Ledger::new(account_id(), strategy_id("s"), &[Arc::new(definition)]);
    let asked = ask(&mut ledger, |ctx| {
        ctx.target(&id, 1_000);
    });
    ledger.fold(&initialized("o1", &asked[0]));
    let mut fill = filled("o1", &asked[0], 1_000);
    let Event::OrderFilled { execution, .. } = &mut fill.event else {
        panic!("it is a fill");
    };
    execution.fee = Money::parse("0.001").unwrap();
    execution.fee_currency = Currency::new("DATA").unwrap();
    let taken_back = Event::ExecutionBusted {
        order_id: Some(order_id("o1")),
        exec_id: execution.exec_id.clone(),
        instrument_id: id.clone(),
        execution: Some(execution.clone()),
        booked: true,
        ts_event: UnixNanos(2),
    };
    ledger.fold(&fill);
    assert_eq!(ledger.position(&id), 999);
    let closing = ask(&mut ledger, |ctx| {
        ctx.target(&id, 0);
    });
    assert_eq!((closing[0].side, closing[0].quantity.0), (Side::Sell, 999));
    ledger.fold(&record(10, taken_back));
    assert_eq!(ledger.position(&id), 0);
}

#[test]
fn ids_go_on_where_the_journal_ends() {
    let mut ledger = ledger("trend");
    let asked = ask(&mut ledger, |ctx| {
        for _ in 0..3 {
            ctx.submit(OrderRequest::market(
                instrument_id(),
                Side::Buy,
                Quantity(1),
            ));
        }
    });
    assert_eq!(asked[2].client_order_id.as_str(), "trend-3");
    let mut restarted = self::ledger("trend");
    for (index, request) in asked.iter().enumerate() {
        restarted.fold(&initialized(&format!("o{index}"), request));
    }
    assert_eq!(restarted.next_order_id().as_str(), "trend-4");
}

#[test]
fn a_long_strategy_id_still_gives_different_short_order_ids() {
    let id = |last: char| {
        let mut ledger = ledger(&format!("{}{last}", "s".repeat(63)));
        ledger.resume_counter(9_999_999_998);
        ledger.next_order_id()
    };
    assert_eq!(id('a').as_str().len(), 36);
    assert_ne!(id('a'), id('b'));
}

#[test]
fn orders_of_others_are_none_of_its_business() {
    let mut other = ledger("other");
    let asked = ask(&mut other, |ctx| {
        ctx.target(&instrument_id(), 5);
    });
    let mut ledger = ledger("s");
    assert_eq!(ledger.fold(&initialized("o", &asked[0])), None);
    assert_eq!(ledger.fold(&filled("o", &asked[0], 5)), None);
    assert_eq!(ledger.position(&instrument_id()), 0);
}

#[test]
fn a_fill_of_an_order_that_is_no_longer_kept_still_counts() {
    let mut ledger = ledger("s");
    let mut first = None;
    for number in 0..=ENDED_ORDERS_KEPT {
        let asked = ask(&mut ledger, |ctx| {
            ctx.submit(OrderRequest::market(
                instrument_id(),
                Side::Buy,
                Quantity(2),
            ));
        });
        let id = format!("o{number}");
        ledger.fold(&initialized(&id, &asked[0]));
        let canceled = Event::OrderCanceled {
            order_id: order_id(&id),
            reason_code: ReasonCode::NoLiquidity,
            ts_event: UnixNanos(2),
        };
        ledger.fold(&record(3, canceled));
        first.get_or_insert_with(|| asked[0].clone());
    }
    let first = first.unwrap();
    assert!(ledger.order(&first.client_order_id).is_none());
    ledger.fold(&filled("o0", &first, 2));
    assert_eq!(ledger.position(&instrument_id()), 2);
}

#[test]
fn a_ledger_that_begins_in_the_middle_goes_on_like_one_that_was_there() {
    let mut whole = ledger("s");
    let id = instrument_id();
    let request = ask(&mut whole, |ctx| drop(ctx.target(&id, 100))).remove(0);
    whole.fold(&initialized("o-1", &request));
    let fill = filled("o-1", &request, 40);
    whole.fold(&fill);

    let mut late = ledger("s");
    late.restore_position(&id, whole.position(&id));
    let order = whole.order(&request.client_order_id).unwrap().clone();
    late.adopt(order);
    for one in [&mut whole, &mut late] {
        assert_eq!((one.position(&id), one.working(&id)), (40, 60));
        one.fold(&filled("o-1", &request, 60));
        assert_eq!((one.position(&id), one.working(&id)), (100, 0));
        assert_eq!(one.counter(), 1, "ids go on behind the adopted one");
    }
    let ended = late.order(&request.client_order_id).unwrap();
    assert_eq!(ended.status, OrderStatus::Filled);
}

#[test]
fn a_list_that_was_asked_for_is_known_where_only_its_orders_are_told() {
    let mut ledger = ledger("s");
    let id = instrument_id();
    let mut commands = Vec::new();
    let mut ctx = Context {
        now: UnixNanos(1),
        ledger: &mut ledger,
        commands: &mut commands,
    };
    let sell = |price| OrderRequest::limit(id.clone(), Side::Sell, Quantity(5), Price(price));
    ctx.oco(vec![sell(110), sell(120)]);
    assert_eq!(ledger.working(&id), -5, "asked for");
    let orders = commands[0].new_orders();
    ledger.fold(&initialized("o1", &orders[0]));
    ledger.fold(&initialized("o2", &orders[1]));
    assert_eq!(ledger.working(&id), -5, "taken");
    ledger.fold(&filled("o1", &orders[0], 5));
    assert_eq!((ledger.position(&id), ledger.working(&id)), (-5, -5));
    let canceled = Event::OrderCanceled {
        order_id: order_id("o2"),
        reason_code: ReasonCode::Contingency,
        ts_event: UnixNanos(2),
    };
    ledger.fold(&record(3, canceled));
    assert_eq!(ledger.working(&id), 0);
}

#[test]
fn a_split_changes_the_units_of_the_position() {
    let mut ledger = ledger("a");
    ledger.restore_position(&instrument_id(), -7);
    let split = |numerator, denominator| Event::InstrumentSplit {
        request_id: None,
        instrument_id: instrument_id(),
        numerator,
        denominator,
    };
    assert_eq!(ledger.fold(&record(1, split(3, 1))), None);
    assert_eq!(ledger.position(&instrument_id()), -21);
    ledger.fold(&record(2, split(1, 2)));
    assert_eq!(ledger.position(&instrument_id()), -10);
}

/// An execution of a part of an iceberg carries the id of the part.
#[test]
fn a_late_fill_of_an_iceberg_that_is_kept_no_longer_counts_all_the_same() {
    let part = |request: &SubmitOrder| SubmitOrder {
        client_order_id: ClientOrderId::new("ICE1-2").unwrap(),
        ..request.clone()
    };
    let mut ledger = ledger("s");
    let ended = ENDED_ORDERS_KEPT + 2;
    let mut first = None;
    for number in 0..ended {
        let order = OrderRequest::limit(instrument_id(), Side::Buy, Quantity(10), Price(100));
        let order = order.iceberg(Quantity(5));
        let request = order.with_ids(ledger.next_order_id(), strategy_id("s"));
        let name = format!("o-{number}");
        ledger.fold(&initialized(&name, &request));
        let denied = Event::OrderDenied {
            order_id: order_id(&name),
            reason_code: ReasonCode::OrderRate,
            reason: String::new(),
        };
        ledger.fold(&record(2, denied));
        first.get_or_insert(request);
    }
    let request = first.unwrap();
    assert!(ledger.order(&request.client_order_id).is_none());
    assert_eq!(ledger.fold(&filled("o-0", &part(&request), 3)), None);
    assert_eq!(ledger.position(&instrument_id()), 3);
    // Of another strategy's order nothing is known.
    ledger.fold(&filled("theirs", &part(&request), 3));
    assert_eq!(ledger.position(&instrument_id()), 3);
    // One that ended before the ledger began, by the word of the account.
    ledger.know_iceberg(order_id("earlier"));
    ledger.fold(&filled("earlier", &part(&request), 3));
    assert_eq!(ledger.position(&instrument_id()), 6);
}

#[test]
fn what_is_settled_at_the_end_of_a_contract_is_held_no_more() {
    for (of, left) in [("s", 0), ("other", 40)] {
        let mut ledger = ledger("s");
        ledger.restore_position(&instrument_id(), 40);
        let settled = Event::PositionSettled {
            strategy_id: StrategyId::new(of).unwrap(),
            position_side: apex_domain::order::PositionSide::Net,
            execution: Box::new(Execution {
                exec_id: ExecId::new("SETTLE-1").unwrap(),
                client_order_id: ClientOrderId::new("SETTLE-1").unwrap(),
                instrument_id: instrument_id(),
                side: Side::Sell,
                last_quantity: Quantity(40),
                last_price: Price(100),
                fee: Money::ZERO,
                fee_currency: Currency::new("USD").unwrap(),
                maker: false,
                ts_event: UnixNanos(1),
            }),
        };
        assert_eq!(ledger.fold(&record(1, settled)), None);
        assert_eq!(ledger.position(&instrument_id()), left);
    }
}
