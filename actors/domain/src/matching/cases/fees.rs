//! TC-M130 to TC-M132: what a fill is charged, and in which currency.

use super::*;
use crate::instrument::InstrumentKind;
use crate::matching::MarginOptions;
use crate::venue::Execution;
use crate::{Currency, Money, Rate};

/// An instrument that charges one in a thousand, with three decimals of quantity.
fn charging(kind: InstrumentKind, in_base: bool) -> Instrument {
    let mut instrument = instrument();
    instrument.kind = kind;
    instrument.fees.taker = Rate::parse("0.001").unwrap();
    instrument.fees.maker = Rate::parse("0.001").unwrap();
    instrument.fees.in_base = in_base;
    instrument.quantity_decimals = 3;
    instrument
}

fn charge(execution: &Execution) -> String {
    format!("{} {}", execution.fee.0.normalize(), execution.fee_currency)
}

/// What the fills of both sides are charged: in the reports, and when the venue is asked again.
fn charges(model: &str, instrument: Instrument) -> [Vec<String>; 2] {
    let mut desk = Desk::of(model, instrument);
    desk.quote(100, 101, 10_000);
    let mut told = Vec::new();
    let mut asked = Vec::new();
    for (name, side) in [("buy", Side::Buy), ("sell", Side::Sell)] {
        let new = VenueCommand::New(order(name, side, OrderType::Market, 1_000));
        let query = VenueCommand::Query {
            client_order_id: client_id(name),
            instrument_id: id(),
        };
        for report in desk.send("a", new) {
            if let VenueReport::Filled(execution) = report {
                told.push(charge(&execution));
            }
        }
        for report in desk.send("a", query) {
            if let VenueReport::Status { executions, .. } = report {
                asked.extend(executions.iter().map(charge));
            }
        }
    }
    [told, asked]
}

#[test]
fn tc_m130_a_fee_is_charged_in_the_currency_of_the_instrument_and_the_side() {
    for (kind, in_base, expected) in [
        (InstrumentKind::Spot, false, ["0.101 USDT", "0.1 USDT"]),
        (InstrumentKind::Spot, true, ["0.001 BTC", "0.1 USDT"]),
        (InstrumentKind::Linear, false, ["0.101 USDT", "0.1 USDT"]),
        (
            InstrumentKind::Inverse,
            false,
            ["0.00000990099 BTC", "0.00001 BTC"],
        ),
    ] {
        for model in MODELS {
            let [told, asked] = charges(model, charging(kind, in_base));
            assert_eq!(told, expected, "{model} {kind:?} {in_base}");
            assert_eq!(asked, expected, "{model} {kind:?} {in_base}, asked");
        }
    }
}

#[test]
fn tc_m131_a_fee_in_the_asset_leaves_the_position_and_the_balance() {
    let options = SimOptions {
        instruments: vec![definition(charging(InstrumentKind::Spot, true))],
        cash: Some(
            [(
                Currency::new("USDT").unwrap(),
                Money::parse("1000").unwrap(),
            )]
            .into(),
        ),
        ..SimOptions::new(1)
    };
    let exchange = SimExchange::without_traders(options);
    let mut desk = Desk::with(Model::Exchange(Box::new(exchange)));
    desk.quote(100, 101, 10_000);
    let mut held = |name, side| {
        desk.submit(order(name, side, OrderType::Market, 1_000));
        let Model::Exchange(exchange) = &mut desk.model else {
            panic!("it was made as an exchange");
        };
        let snapshot = exchange.account_snapshot(LATER, &account("a"), UnixNanos::MIN);
        let balances = snapshot.balances.unwrap().rows.into_iter();
        let balances = balances.map(|row| format!("{} {}", row.amount.0.normalize(), row.currency));
        let rows = snapshot.executions.unwrap().rows;
        let rows = rows.iter().map(charge).collect::<Vec<_>>();
        let positions = snapshot.positions.unwrap().rows.into_iter();
        let positions = positions.map(|row| row.side.sign() * row.quantity.0);
        (
            positions.collect::<Vec<_>>(),
            balances.collect::<Vec<_>>().join(", "),
            rows.join(", "),
        )
    };
    let (positions, balances, charged) = held("buy", Side::Buy);
    assert_eq!(positions, [999]);
    assert_eq!(balances, "0.999 BTC, 899 USDT");
    assert_eq!(charged, "0.001 BTC");
    let (positions, balances, charged) = held("sell", Side::Sell);
    assert_eq!(positions, [-1]);
    assert_eq!(balances, "-0.001 BTC, 998.9 USDT");
    assert_eq!(charged, "0.001 BTC, 0.1 USDT");
}

#[test]
fn tc_m132_a_venue_that_lends_offers_no_fees_in_another_currency() {
    let options = SimOptions {
        instruments: vec![definition(charging(InstrumentKind::Spot, true))],
        margin: Some(MarginOptions {
            currency: Currency::new("USDT").unwrap(),
            cash: Money::parse("1000").unwrap(),
            grace_ns: 0,
        }),
        ..SimOptions::new(1)
    };
    let exchange = SimExchange::without_traders(options);
    let mut desk = Desk::with(Model::Exchange(Box::new(exchange)));
    let reports = desk.submit(limit("x", Side::Buy, 100, 1));
    assert_eq!(reports, "rejected Unsupported");
}
