//! TC-M140 to TC-M147: funding at the exchange.

use super::*;
use crate::instrument::InstrumentKind;
use crate::matching::RestoredPosition;
use crate::order::PositionSide;
use crate::venue::FundingPayment;
use crate::{Currency, Money, Rate};

const PERP: &str = "BTCUSDT-PERP.SIM";

/// In nanoseconds of the desk's clock, which begins at 100.
const INTERVAL: i64 = 1_000;

fn perpetual(kind: InstrumentKind) -> Instrument {
    let mut instrument = instrument();
    instrument.kind = kind;
    instrument.rules.funding_interval_ns = Some(INTERVAL);
    instrument
}

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

/// An exchange where a perpetual pays 1 % each time and each account begins with 1,000.
fn paying(kind: InstrumentKind) -> SimExchange {
    let mut listed = definition(perpetual(kind));
    listed.funding_rate = Some(rate("0.01"));
    let currency = |text| Currency::new(text).unwrap();
    let thousand = Money::parse("1000").unwrap();
    SimExchange::without_traders(SimOptions {
        instruments: vec![listed],
        cash: Some([(currency("USDT"), thousand), (currency("BTC"), thousand)].into()),
        ..SimOptions::new(1)
    })
}

fn desk_of(exchange: SimExchange) -> Desk {
    Desk::with(Model::Exchange(Box::new(exchange)))
}

/// An input that moves nothing but time: simulated traders would trade with a step.
fn pass(desk: &mut Desk) -> Vec<ExchangeEvent> {
    let input = ExchangeInput::Command {
        account_id: account("z"),
        command: VenueCommand::Query {
            client_order_id: client_id("none"),
            instrument_id: id(),
        },
    };
    desk.exchange("", input)
}

/// Lets a time come and shows what account `a` is paid.
fn step_at(desk: &mut Desk, now: i64) -> String {
    desk.now = now;
    let reports = reports_of(&pass(desk), "a");
    let one = |report: &VenueReport| match report {
        VenueReport::Funding { payment, .. } => format!(
            "{} {} {} at {}",
            payment.funding_id,
            payment.amount.0.normalize(),
            payment.currency,
            payment.ts_event.0
        ),
        other => show_one(other),
    };
    reports.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn cash(desk: &mut Desk, name: &str, currency: &str) -> String {
    let now = UnixNanos(desk.now);
    let Model::Exchange(exchange) = &mut desk.model else {
        panic!("only the exchange keeps balances");
    };
    let snapshot = exchange.account_snapshot(now, &account(name), UnixNanos::MIN);
    let rows = snapshot.balances.unwrap().rows;
    let row = rows.iter().find(|row| row.currency.as_str() == currency);
    row.unwrap().amount.0.normalize().to_string()
}

#[test]
fn tc_m140_a_long_pays_at_each_multiple_of_the_interval() {
    let mut desk = desk_of(paying(InstrumentKind::Linear));
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    assert_eq!(step_at(&mut desk, 999), "");
    // 5 at a mark of 100, 1 %.
    assert_eq!(step_at(&mut desk, 1_000), "F1000 -5 USDT at 1000");
    assert_eq!(step_at(&mut desk, 1_001), "");
    assert_eq!(step_at(&mut desk, 2_010), "F2000 -5 USDT at 2000");
    assert_eq!(cash(&mut desk, "a", "USDT"), "990");
}

#[test]
fn tc_m141_what_longs_pay_shorts_receive() {
    let mut desk = desk_of(paying(InstrumentKind::Linear));
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Sell, OrderType::Market, 5));
    assert_eq!(step_at(&mut desk, 1_000), "F1000 5 USDT at 1000");
    // The maker of the bid bought all of it.
    assert_eq!(cash(&mut desk, "m1", "USDT"), "995");
    assert_eq!(cash(&mut desk, "a", "USDT"), "1005");
}

#[test]
fn tc_m142_an_inverse_contract_pays_in_base() {
    let mut desk = desk_of(paying(InstrumentKind::Inverse));
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 3));
    // 3 / 100 of base, 1 %.
    assert_eq!(step_at(&mut desk, 1_000), "F1000 -0.0003 BTC at 1000");
    assert_eq!(cash(&mut desk, "a", "BTC"), "999.9997");
}

#[test]
fn tc_m143_the_position_at_the_time_counts() {
    let mut desk = desk_of(paying(InstrumentKind::Linear));
    desk.quote(99, 101, 10);
    // The order comes behind the time and trades after it was paid.
    desk.now = 1_004;
    let told = desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    assert_eq!(told, "accepted, 5@101");
    assert_eq!(step_at(&mut desk, 1_999), "");
    desk.now = 2_000;
    let told = desk.submit(order("y", Side::Sell, OrderType::Market, 5));
    assert_eq!(told, "funding -5, accepted, 5@99");
    assert_eq!(step_at(&mut desk, 3_000), "", "flat");
}

#[test]
fn tc_m144_times_that_were_missed_are_paid_at_once() {
    let mut desk = desk_of(paying(InstrumentKind::Linear));
    desk.quote(99, 101, 10);
    desk.submit(order("x", Side::Buy, OrderType::Market, 5));
    assert_eq!(step_at(&mut desk, 4_500), "F4000 -20 USDT at 4000");
    // A clock that is set back makes nothing due again.
    assert_eq!(step_at(&mut desk, 1_500), "");
    assert_eq!(step_at(&mut desk, 4_900), "");
    assert_eq!(step_at(&mut desk, 5_000), "F5000 -5 USDT at 5000");
}

#[test]
fn tc_m145_sides_of_a_hedging_account_are_summed() {
    let mut desk = desk_of(paying(InstrumentKind::Linear));
    desk.quote(99, 101, 10);
    for (id, side, named, quantity) in [
        ("long", Side::Buy, PositionSide::Long, 5),
        ("short", Side::Sell, PositionSide::Short, 7),
    ] {
        let mut order = order(id, side, OrderType::Market, quantity);
        order.terms.position_side = named;
        desk.submit(order);
    }
    assert_eq!(step_at(&mut desk, 1_000), "F1000 2 USDT at 1000");
}

#[test]
fn tc_m146_an_exchange_that_goes_on_pays_what_it_missed_and_nothing_twice() {
    let mut before = desk_of(paying(InstrumentKind::Linear));
    before.quote(99, 101, 10);
    before.submit(order("x", Side::Buy, OrderType::Market, 5));
    assert_eq!(step_at(&mut before, 1_000), "F1000 -5 USDT at 1000");
    let paid = FundingPayment {
        instrument_id: id(),
        funding_id: ExecId::new("F1000").unwrap(),
        currency: Currency::new("USDT").unwrap(),
        amount: Money::parse("-5").unwrap(),
        ts_event: UnixNanos(1_000),
    };
    let mut exchange = paying(InstrumentKind::Linear);
    let held = [RestoredPosition {
        instrument_id: id(),
        side: PositionSide::Net,
        quantity: 5,
    }];
    exchange.restore_positions(&account("a"), &held);
    exchange.restore_funding(&account("a"), [&paid]);
    exchange.funding_is_paid(&id(), UnixNanos(1_700));
    let mut desk = desk_of(exchange);
    desk.now = 3_100;
    // Nothing can be counted before there is a market.
    assert_eq!(step_at(&mut desk, 3_100), "");
    assert_eq!(cash(&mut desk, "a", "USDT"), "995");
    let told = desk.quote(99, 101, 10);
    assert_eq!(told, "", "both sides are there only now");
    assert_eq!(step_at(&mut desk, 3_200), "F3000 -10 USDT at 3000");
    assert_eq!(cash(&mut desk, "a", "USDT"), "985");
}

/// The index is the spot market of the same currencies: here 0.1 % below the perpetual.
#[test]
fn tc_m147_the_rate_follows_the_premium_over_the_index() {
    let mut perp = perpetual(InstrumentKind::Linear);
    perp.instrument_id = InstrumentId::new(PERP).unwrap();
    // Eight hours, so that the rate is that of the formula.
    perp.rules.funding_interval_ns = Some(8 * 3_600 * 1_000_000_000);
    let exchange = SimExchange::without_traders(SimOptions {
        instruments: vec![definition(instrument()), definition(perp)],
        ..SimOptions::new(1)
    });
    let mut desk = desk_of(exchange);
    desk.quote(99_999, 100_001, 10);
    for (name, side, price) in [("p", Side::Buy, 100_099), ("q", Side::Sell, 100_101)] {
        let mut order = limit(name, side, price, 10);
        order.instrument_id = InstrumentId::new(PERP).unwrap();
        desk.send(name, VenueCommand::New(order));
    }
    let mut taken = order("x", Side::Buy, OrderType::Market, 5);
    taken.instrument_id = InstrumentId::new(PERP).unwrap();
    desk.submit(taken);
    desk.now = 8 * 3_600 * 1_000_000_000;
    let reports = reports_of(&pass(&mut desk), "a");
    let [
        VenueReport::Funding {
            payment,
            rate: told,
            mark,
        },
    ] = reports.as_slice()
    else {
        panic!("{reports:?}");
    };
    assert_eq!((*told, *mark), (rate("0.0005"), Price(100_100)));
    assert_eq!(payment.amount, Money::parse("-250.25").unwrap());
}
