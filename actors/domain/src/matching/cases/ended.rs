//! TC-M122, TC-M140 and TC-M141: what is settled of contracts that have ended, and the sides of a
//! hedging account.

use super::balances::{balances, keeping, keeping_of};
use super::*;
use crate::VenueOrderId;
use crate::instrument::InstrumentKind;
use crate::matching::RestoredOrder;
use crate::order::PositionSide;
use crate::venue::{Execution, VenueStatus};
use crate::{Currency, Money};

fn ending(name: &str, end: i64) -> Instrument {
    let mut ending = tests::instrument(name);
    ending.kind = InstrumentKind::Linear;
    ending.rules.expires_at = Some(UnixNanos(end));
    ending
}

fn bought(desk: &mut Desk, client: &str, quantity: i64) -> (NewOrder, Execution) {
    let order = order(client, Side::Buy, OrderType::Market, quantity);
    let reports = desk.send("a", VenueCommand::New(order.clone()));
    let fill = reports.into_iter().find_map(|report| match report {
        VenueReport::Filled(execution) => Some(execution),
        _ => None,
    });
    (order, fill.unwrap())
}

/// Lets the contract end, and tells what was settled by it, for example `BTCUSDT.SIM 110`.
fn end(desk: &mut Desk, now: i64) -> String {
    desk.now = now;
    // Not a step, in which traders act.
    let input = ExchangeInput::Command {
        account_id: account("a"),
        command: VenueCommand::Cancel {
            client_order_id: client_id("none"),
            instrument_id: id(),
        },
    };
    let events = desk.exchange("a", input);
    let settled = events.iter().filter_map(|event| match event {
        ExchangeEvent::Settled {
            instrument_id,
            mark,
        } => Some(format!("{instrument_id} {}", mark.0)),
        _ => None,
    });
    settled.collect::<Vec<_>>().join(", ")
}

#[test]
fn tc_m122_a_bust_behind_the_end_leaves_the_rest_settled() {
    let mut desk = keeping_of(ending(ID, 1_000));
    desk.quote(99, 101, 10);
    let (_, first) = bought(&mut desk, "x", 5);
    bought(&mut desk, "y", 1);
    desk.quote(109, 111, 10);
    assert_eq!(end(&mut desk, 1_000), "BTCUSDT.SIM 110");
    assert_eq!(end(&mut desk, 1_001), "", "once");
    assert_eq!(balances(&mut desk), "USDT 1054");
    let exec_id = first.exec_id;
    desk.control(VenueControl::Bust { exec_id });
    // Of 6 at 101, settled at 110, one is left.
    assert_eq!(balances(&mut desk), "USDT 1009");
}

#[test]
fn tc_m122_a_contract_without_a_mark_holds_up_no_other() {
    let first = ending("ETHUSDT.SIM", 900);
    let cash = (
        Currency::new("USDT").unwrap(),
        Money::parse("1000").unwrap(),
    );
    let options = SimOptions {
        instruments: vec![definition(first), definition(ending(ID, 1_000))],
        cash: Some([cash].into()),
        ..SimOptions::new(1)
    };
    let exchange = SimExchange::without_traders(options);
    let mut desk = Desk::with(Model::Exchange(Box::new(exchange)));
    desk.quote(99, 101, 10);
    bought(&mut desk, "x", 5);
    desk.quote(109, 111, 10);
    assert_eq!(end(&mut desk, 1_000), "BTCUSDT.SIM 110");
    assert_eq!(balances(&mut desk), "USDT 1045");
}

#[test]
fn tc_m122_after_a_restart_what_was_settled_stays_so() {
    let mut desk = keeping_of(ending(ID, 1_000));
    desk.quote(99, 101, 10);
    let (order, execution) = bought(&mut desk, "x", 5);
    desk.quote(109, 111, 10);
    assert_eq!(end(&mut desk, 1_000), "BTCUSDT.SIM 110");
    let before = balances(&mut desk);

    let mut again = keeping_of(ending(ID, 1_000));
    let restored = RestoredOrder {
        venue_order_id: VenueOrderId::new("SIM-o1").unwrap(),
        status: VenueStatus::Filled,
        filled_quantity: execution.last_quantity,
        executions: vec![execution],
        watch: None,
        order,
    };
    let Model::Exchange(exchange) = &mut again.model else {
        unreachable!("it was made so");
    };
    let orders = [(account("a"), restored)];
    exchange.restore(UnixNanos(1_100), &orders, &mut Vec::new());
    exchange.restore_settlements([(&id(), Price(110))]);
    assert_eq!(end(&mut again, 1_200), "", "it was settled before");
    assert_eq!(balances(&mut again), before);
}

fn of_side(client: &str, side: Side, position_side: PositionSide, quantity: i64) -> NewOrder {
    let mut order = order(client, side, OrderType::Market, quantity);
    order.terms.position_side = position_side;
    order
}

/// What the exchange says that account `a` holds, for example `Long 5, Short -3`.
fn held(desk: &mut Desk) -> String {
    let now = UnixNanos(desk.now);
    let Model::Exchange(exchange) = &mut desk.model else {
        unreachable!("it was made so");
    };
    let snapshot = exchange.account_snapshot(now, &account("a"), UnixNanos::MIN);
    assert!(snapshot.positions_by_side);
    let rows = snapshot.positions.unwrap().rows.into_iter();
    let rows = rows.map(|row| {
        let signed = row.side.sign() * row.quantity.0;
        format!("{:?} {signed}", row.position_side)
    });
    rows.collect::<Vec<_>>().join(", ")
}

#[test]
fn tc_m140_the_sides_of_a_hedging_account_realise_nothing_of_each_other() {
    let mut desk = keeping(InstrumentKind::Linear);
    desk.quote(99, 101, 100);
    desk.submit(of_side("l", Side::Buy, PositionSide::Long, 5));
    desk.submit(of_side("s", Side::Sell, PositionSide::Short, 5));
    assert_eq!(held(&mut desk), "Long 5, Short -5");
    assert_eq!(balances(&mut desk), "USDT 1000");
    // Bought at 101 and sold at 99, each by itself.
    desk.quote(109, 111, 100);
    desk.submit(of_side("lx", Side::Sell, PositionSide::Long, 5));
    assert_eq!(balances(&mut desk), "USDT 1040");
    desk.submit(of_side("sx", Side::Buy, PositionSide::Short, 2));
    assert_eq!(balances(&mut desk), "USDT 1016");
    assert_eq!(held(&mut desk), "Short -3");
    let exec_id = ExecId::new("SIM-2").unwrap();
    desk.control(VenueControl::Bust { exec_id });
    assert_eq!(held(&mut desk), "Long -5, Short -3", "as it was booked");
}

#[test]
fn tc_m141_each_side_of_a_contract_that_ends_is_settled() {
    let mut desk = keeping_of(ending(ID, 1_000));
    desk.quote(99, 101, 100);
    desk.submit(of_side("l", Side::Buy, PositionSide::Long, 5));
    desk.submit(of_side("s", Side::Sell, PositionSide::Short, 2));
    desk.quote(109, 111, 100);
    assert_eq!(end(&mut desk, 1_000), "BTCUSDT.SIM 110");
    // 5 from 101 to 110, and 2 from 99 to 110 the other way.
    assert_eq!(balances(&mut desk), "USDT 1023");
}
