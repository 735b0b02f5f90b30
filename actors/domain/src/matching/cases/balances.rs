//! TC-M55 to TC-M58 and TC-M122: an exchange that keeps balances, and cancels by its own ids.

use super::*;
use crate::VenueOrderId;
use crate::instrument::InstrumentKind;
use crate::{Currency, Money};

/// An exchange where each account begins with 1,000.
pub(super) fn keeping(kind: InstrumentKind) -> Desk {
    let mut instrument = instrument();
    instrument.kind = kind;
    keeping_of(instrument)
}

pub(super) fn keeping_of(instrument: Instrument) -> Desk {
    let cash = (
        Currency::new("USDT").unwrap(),
        Money::parse("1000").unwrap(),
    );
    let options = SimOptions {
        instruments: vec![definition(instrument)],
        cash: Some([cash].into()),
        ..SimOptions::new(1)
    };
    let exchange = SimExchange::without_traders(options);
    Desk::with(Model::Exchange(Box::new(exchange)))
}

/// What the exchange says that account `a` has, for example `BTC 5, USDT 495`.
pub(super) fn balances(desk: &mut Desk) -> String {
    let now = UnixNanos(desk.now);
    let Model::Exchange(exchange) = &mut desk.model else {
        panic!("only the exchange keeps balances");
    };
    let snapshot = exchange.account_snapshot(now, &account("a"), UnixNanos::MIN);
    let rows = snapshot.balances.unwrap().rows;
    let rows = rows
        .iter()
        .map(|row| format!("{} {}", row.currency, row.amount.0.normalize()));
    rows.collect::<Vec<_>>().join(", ")
}

#[test]
fn tc_m55_a_spot_fill_moves_cash_and_the_asset() {
    let mut desk = keeping(InstrumentKind::Spot);
    assert_eq!(balances(&mut desk), "USDT 1000");
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    assert_eq!(balances(&mut desk), "BTC 5, USDT 495");
    desk.submit(order("y", Side::Sell, OrderType::Market, 5));
    assert_eq!(balances(&mut desk), "USDT 990");
}

#[test]
fn tc_m56_a_contract_moves_cash_by_its_realised_profit() {
    let mut desk = keeping(InstrumentKind::Linear);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    assert_eq!(balances(&mut desk), "USDT 1000");
    desk.submit(order("y", Side::Sell, OrderType::Market, 2));
    assert_eq!(balances(&mut desk), "USDT 996");
}

#[test]
fn tc_m122_a_contract_that_ends_is_settled_at_its_last_mark() {
    let mut ending = instrument();
    ending.kind = InstrumentKind::Linear;
    ending.rules.expires_at = Some(UnixNanos(1_000));
    let mut desk = keeping_of(ending);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    desk.quote(109, 111, 10);
    desk.now = 998;
    desk.cancel("none");
    assert_eq!(balances(&mut desk), "USDT 1000");
    desk.cancel("none");
    // Bought 5 at 101; the middle is 110.
    assert_eq!(balances(&mut desk), "USDT 1045");
    desk.cancel("none");
    assert_eq!(balances(&mut desk), "USDT 1045");
}

#[test]
fn tc_m57_a_bust_gives_balances_back() {
    let mut desk = keeping(InstrumentKind::Spot);
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    desk.submit(order("y", Side::Buy, OrderType::Market, 1));
    let exec_id = ExecId::new("SIM-2").unwrap();
    assert_eq!(desk.control(VenueControl::Bust { exec_id }), "busted SIM-2");
    assert_eq!(balances(&mut desk), "BTC 1, USDT 899");
}

#[test]
fn tc_m58_an_order_is_canceled_by_the_venues_id() {
    let mut desk = keeping(InstrumentKind::Spot);
    desk.quote(90, 110, 10);
    let reports = desk.send("a", VenueCommand::New(limit("x", Side::Buy, 95, 1)));
    let [VenueReport::Accepted { venue_order_id, .. }] = reports.as_slice() else {
        panic!("{reports:?}");
    };
    let cancel = |venue_order_id: VenueOrderId| VenueCommand::CancelForeign {
        venue_order_id,
        instrument_id: id(),
    };
    let stranger = VenueOrderId::new("nobody").unwrap();
    assert_eq!(desk.send("a", cancel(stranger)), []);
    let own = venue_order_id.clone();
    assert_eq!(
        desk.send("b", cancel(own.clone())),
        [],
        "of another account"
    );
    assert_eq!(show(&desk.send("a", cancel(own))), "canceled Requested 0");
}
