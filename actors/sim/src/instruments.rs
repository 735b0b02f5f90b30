//! What can be traded in the simulator: one instrument of each kind, and their quirks.

use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules, Lacks};
use apex_domain::number::Decimal;
use apex_domain::order::{OrderType, TimeInForce};
use apex_domain::{Currency, Instrument, InstrumentId, Money, Price, Quantity, Rate};
use std::collections::BTreeMap;

/// The calendar of an instrument that has sessions.
pub const CALENDAR: &str = "XNYS";

pub type Instruments = BTreeMap<InstrumentId, Instrument>;

/// Buys are charged in what they buy.
pub const SPOT: &str = "BTCUSDT.SIM";
/// A spot instrument with coarse increments and bounds of its own, charged in quote currency.
pub const COARSE: &str = "ETHUSDT.SIM";
/// A linear contract on a tenth of margin.
pub const PERP: &str = "BTCUSDT-PERP.SIM";
/// A linear contract whose venue lacks most kinds of orders; in some runs it trades by a calendar.
pub const BARE: &str = "BTCUSDT-BARE.SIM";
/// An inverse contract of one dollar.
pub const INVERSE: &str = "BTCUSD-INV.SIM";

/// The lowest and highest price that the market or an order of a client has, but for those that
/// are meant to be refused.
pub const LOWEST_PRICE: Price = Price(9_000);
pub const HIGHEST_PRICE: Price = Price(11_000);

pub fn id(text: &str) -> InstrumentId {
    InstrumentId::new(text).expect("instrument id is well formed")
}

pub fn currency(text: &str) -> Currency {
    Currency::new(text).expect("currency is well formed")
}

/// Returns all instruments by id; with `sessions` one of them opens and closes, with `poor` their
/// venue knows neither orders that only reduce nor that of a pair only one can trade.
pub fn instruments(sessions: bool, poor: bool) -> Instruments {
    let spot = Instrument {
        fees: FeeSchedule {
            in_base: true,
            ..plain(SPOT).fees
        },
        ..plain(SPOT)
    };
    let perp = Instrument {
        kind: InstrumentKind::Linear,
        initial_margin: Rate(Decimal::new(1, 1)),
        fees: FeeSchedule {
            minimum: Money(Decimal::new(1, 4)),
            per_unit: Money(Decimal::new(3, 3)),
            ..plain(PERP).fees
        },
        ..plain(PERP)
    };
    let inverse = Instrument {
        kind: InstrumentKind::Inverse,
        quote_currency: currency("USD"),
        quantity_decimals: 0,
        initial_margin: Rate(Decimal::new(2, 1)),
        ..plain(INVERSE)
    };
    let mut all = [spot, coarse(), perp, bare(sessions), inverse];
    for instrument in &mut all {
        let lacks = &mut instrument.rules.lacks;
        (lacks.reduce_only, lacks.linked_orders) = (poor, poor);
    }
    BTreeMap::from(all.map(|instrument| (instrument.instrument_id.clone(), instrument)))
}

fn plain(instrument_id: &str) -> Instrument {
    Instrument {
        instrument_id: id(instrument_id),
        kind: InstrumentKind::Spot,
        base_currency: currency("BTC"),
        quote_currency: currency("USDT"),
        price_decimals: 2,
        quantity_decimals: 3,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate(Decimal::ONE),
        initial_margin: Rate(Decimal::ONE),
        fees: FeeSchedule {
            maker: Rate(Decimal::new(2, 4)),
            taker: Rate(Decimal::new(1, 3)),
            decimals: Some(8),
            ..FeeSchedule::default()
        },
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

fn coarse() -> Instrument {
    Instrument {
        base_currency: currency("ETH"),
        price_increment: Price(5),
        quantity_increment: Quantity(5),
        min_quantity: Quantity(20),
        max_quantity: Quantity(900),
        min_notional: Money(Decimal::from(3)),
        rules: InstrumentRules {
            max_notional: Some(Money(Decimal::from(95))),
            price_collar: Some(Rate(Decimal::new(9, 2))),
            ..InstrumentRules::default()
        },
        ..plain(COARSE)
    }
}

fn bare(sessions: bool) -> Instrument {
    let conditional = OrderType::ALL
        .into_iter()
        .filter(|order_type| order_type.is_conditional());
    Instrument {
        kind: InstrumentKind::Linear,
        // As large as a number can be, so that an order may be too large to be measured.
        max_quantity: Quantity(i64::MAX),
        rules: InstrumentRules {
            lacks: Lacks {
                order_types: conditional.collect(),
                times_in_force: vec![
                    TimeInForce::Day,
                    TimeInForce::Gtd,
                    TimeInForce::Fok,
                    TimeInForce::AtOpen,
                    TimeInForce::AtClose,
                ],
                iceberg: true,
                post_only: true,
                ..Lacks::default()
            },
            calendar: if sessions { CALENDAR } else { "" }.to_owned(),
            ..InstrumentRules::default()
        },
        ..plain(BARE)
    }
}
