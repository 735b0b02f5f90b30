//! Kinds, fees, bands and definitions that are refused, by cases; rounding by properties.

use super::*;
use crate::market::Side;
use crate::number::NumberError;
use crate::order::OrderType;
use proptest::prelude::*;

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

/// Prices with two decimals, quantities with six.
fn spot() -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("BTCUSD.SIM").unwrap(),
        kind: InstrumentKind::Spot,
        base_currency: Currency::new("BTC").unwrap(),
        quote_currency: Currency::new("USD").unwrap(),
        price_decimals: 2,
        quantity_decimals: 6,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(i64::MAX),
        min_notional: Money::ZERO,
        multiplier: rate("1"),
        initial_margin: rate("1"),
        fees: FeeSchedule::default(),
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}

/// Contracts of 1 USD, in whole ones.
fn inverse() -> Instrument {
    Instrument {
        kind: InstrumentKind::Inverse,
        quantity_decimals: 0,
        initial_margin: rate("0.01"),
        fees: FeeSchedule {
            taker: rate("0.00075"),
            decimals: Some(8),
            ..FeeSchedule::default()
        },
        ..spot()
    }
}

/// A share: four decimals, whole cents from 1.00 on, and fractions of a share.
fn share() -> Instrument {
    let mut share = spot();
    share.price_decimals = 4;
    share.rules.class = AssetClass::Equity;
    share.rules.price_bands = PriceBand::whole_cents_from_one();
    share
}

#[test]
fn notional_is_in_the_currency_that_profit_is_counted_in() {
    let cases = [
        (spot(), "100.50", "2", "201", "USD"),
        (
            Instrument {
                kind: InstrumentKind::Linear,
                multiplier: rate("50"),
                ..spot()
            },
            "4200.25",
            "3",
            "630037.5",
            "USD",
        ),
        // Facts of the trade: 100,000 contracts of 1 USD.
        (inverse(), "10000", "100000", "10", "BTC"),
        (inverse(), "11000", "100000", "9.09090909", "BTC"),
        (inverse(), "10500", "100000", "9.52380952", "BTC"),
        (inverse(), "11505.60", "100000", "8.69141983", "BTC"),
        (
            Instrument {
                multiplier: rate("100"),
                ..inverse()
            },
            "11000",
            "1000",
            "9.09090909",
            "BTC",
        ),
    ];
    for (instrument, price, quantity, expected, currency) in cases {
        let quantity = instrument.quantity(quantity).unwrap();
        let notional = instrument.notional(instrument.price(price).unwrap(), quantity);
        assert_eq!(notional, Ok(money(expected)), "{price}");
        assert_eq!(instrument.profit_currency().as_str(), currency);
    }
}

#[test]
fn a_base_amount_is_rounded_half_to_even_once() {
    let mut contract = inverse();
    contract.multiplier = rate("0.00000001");
    // 0.5, 1.5 and 2.5 units of the last decimal, both signs.
    for (quantity, expected) in [
        (1, "0"),
        (3, "0.00000002"),
        (5, "0.00000002"),
        (-3, "-0.00000002"),
    ] {
        let notional = contract.notional(Price(200), Quantity(quantity));
        assert_eq!(notional, Ok(money(expected)), "{quantity}");
    }
    for price in [0, -1] {
        let notional = contract.notional(Price(price), Quantity(1));
        assert_eq!(notional, Err(NumberError::OutOfRange));
    }
}

#[test]
fn a_base_amount_beyond_128_bits_takes_the_long_way() {
    let mut contract = inverse();
    contract.price_decimals = 14;
    contract.multiplier = rate("1000000000");
    // Nine trillion contracts at 90,000.
    let price = Price(9_000_000_000_000_000_000);
    let quantity = Quantity(9_000_000_000_000);
    let notional = contract.notional(price, quantity);
    assert_eq!(notional, Ok(money("100000000000000000")));
}

#[test]
fn an_average_price_is_what_the_sums_say() {
    let linear = spot();
    let average = linear.average_price(3_000_000, money("200"));
    assert_eq!(average.unwrap().to_string(), "66.6666666666666667");
    // Two fills of 100,000 contracts, at 10,000 and 12,500: the harmonic mean.
    let average = inverse().average_price(200_000, money("18")).unwrap();
    assert_eq!(average.to_string(), "11111.1111111111111111");
    assert_eq!(inverse().average_price(200_000, Money::ZERO), None);
    assert_eq!(linear.average_price(0, money("1")), None);
}

fn per_share(per_unit: &str, minimum: &str) -> Instrument {
    let mut instrument = share();
    instrument.fees.per_unit = money(per_unit);
    instrument.fees.minimum = money(minimum);
    instrument
}

fn percent(maker: &str, taker: &str, in_base: bool) -> Instrument {
    let mut instrument = spot();
    instrument.fees.maker = rate(maker);
    instrument.fees.taker = rate(taker);
    instrument.fees.in_base = in_base;
    instrument
}

#[test]
fn each_kind_of_fee_is_charged_as_its_venue_does() {
    let cases = [
        // instrument, side, price, quantity, maker, fee, currency
        (
            percent("0.0002", "0.001", false),
            Side::Buy,
            "100",
            "2",
            false,
            "0.2",
            "USD",
        ),
        (
            percent("-0.0002", "0.001", false),
            Side::Sell,
            "100",
            "2",
            true,
            "-0.04",
            "USD",
        ),
        (
            percent("0.001", "0.001", true),
            Side::Buy,
            "100",
            "1",
            false,
            "0.001",
            "BTC",
        ),
        (
            percent("0.001", "0.001", true),
            Side::Sell,
            "100",
            "1",
            false,
            "0.1",
            "USD",
        ),
        (
            per_share("0.005", "1"),
            Side::Buy,
            "10",
            "1000",
            false,
            "5",
            "USD",
        ),
        (
            per_share("0.005", "1"),
            Side::Buy,
            "10",
            "100",
            false,
            "1",
            "USD",
        ),
        (
            per_share("0.005", "0"),
            Side::Buy,
            "10",
            "0.5",
            false,
            "0.0025",
            "USD",
        ),
        // Facts of the trade: 0.075 % of 9.52380952.
        (
            inverse(),
            Side::Buy,
            "10500",
            "100000",
            false,
            "0.00714286",
            "BTC",
        ),
    ];
    for (instrument, side, price, quantity, maker, expected, currency) in cases {
        let price = instrument.price(price).unwrap();
        let quantity = instrument.quantity(quantity).unwrap();
        let fee = instrument.fee_of(side, price, quantity, maker).unwrap();
        assert_eq!(fee.amount, money(expected));
        assert_eq!(fee.currency.as_str(), currency);
        assert_eq!(instrument.fee_currency(side).as_str(), currency);
    }
}

#[test]
fn tc_v03_a_limit_price_from_one_on_has_two_decimals_and_four_below() {
    let share = share();
    for (price, fits) in [
        ("0.9999", true),
        ("0.0001", true),
        ("1.00", true),
        ("1.01", true),
        ("1.0050", false),
        ("1.0001", false),
        ("182.37", true),
        ("182.375", false),
    ] {
        let price_read = share.price(price).unwrap();
        assert_eq!(share.is_on_price_increment(price_read), fits, "{price}");
    }
    // More digits than any band knows do not even parse.
    assert!(share.price("0.99995").is_err());
}

#[test]
fn prices_are_rounded_within_their_band() {
    let share = share();
    for (price, down, up) in [
        (9_999, 9_999, 9_999),
        (10_001, 10_000, 10_100),
        (10_099, 10_000, 10_100),
        (-15, -15, -15),
    ] {
        let price = Price(price);
        assert_eq!(share.price_at_or_below(price), Some(Price(down)));
        assert_eq!(share.price_at_or_above(price), Some(Price(up)));
        assert_eq!(
            share.price_away_from_market(Side::Buy, price),
            Some(Price(down))
        );
        assert_eq!(
            share.price_away_from_market(Side::Sell, price),
            Some(Price(up))
        );
        assert_eq!(
            share.price_towards_market(Side::Buy, price),
            Some(Price(up))
        );
        assert_eq!(
            share.price_towards_market(Side::Sell, price),
            Some(Price(down))
        );
    }
    assert_eq!(share.price_at_or_above(Price(i64::MAX)), None);
    let mut coarse = spot();
    coarse.price_increment = Price(50);
    assert_eq!(coarse.price_at_or_below(Price(-60)), Some(Price(-100)));
    assert_eq!(coarse.price_at_or_above(Price(-60)), Some(Price(-50)));
    assert_eq!(coarse.price_at_or_below(Price(i64::MIN)), None);
}

#[test]
fn the_smallest_order_is_worth_the_smallest_notional() {
    let mut instrument = spot();
    instrument.min_notional = money("10");
    instrument.quantity_increment = Quantity(1_000);
    // 10 / 333 = 0.030031, on the next 0.001.
    assert_eq!(
        instrument.smallest_orderable(Price(33_300)),
        Ok(Quantity(31_000))
    );
    assert_eq!(
        instrument.smallest_orderable(Price(0)),
        Err(NumberError::OutOfRange)
    );
    let mut contract = inverse();
    contract.min_notional = money("0.001");
    // 0.001 BTC at 12,345.67 is worth 12.35 USD.
    assert_eq!(
        contract.smallest_orderable(Price(1_234_567)),
        Ok(Quantity(13))
    );
    contract.max_quantity = Quantity(12);
    assert_eq!(
        contract.smallest_orderable(Price(1_234_567)),
        Err(NumberError::OutOfRange)
    );
}

#[test]
fn a_future_ends_at_its_time() {
    let mut future = inverse();
    assert!(!future.is_expired(UnixNanos(i64::MAX)));
    future.rules.expires_at = Some(UnixNanos(100));
    assert!(!future.is_expired(UnixNanos(99)));
    assert!(future.is_expired(UnixNanos(100)));
}

#[test]
fn good_definitions_pass() {
    for instrument in [spot(), inverse(), share()] {
        assert_eq!(instrument.validate(), Ok(()));
    }
    let mut perpetual = inverse();
    perpetual.rules.funding_interval_ns = Some(1);
    perpetual.rules.maintenance_margin = Some(rate("0.005"));
    perpetual.rules.calendar = "XNYS".to_owned();
    assert_eq!(perpetual.validate(), Ok(()));
}

#[test]
fn a_definition_that_cannot_be_counted_by_is_refused_by_its_field() {
    type Spoil = fn(&mut Instrument);
    let spoils: [(&str, Spoil); 25] = [
        ("price_increment", |i| i.price_increment = Price(0)),
        ("quantity_increment", |i| i.quantity_increment = Quantity(0)),
        ("min_quantity", |i| i.min_quantity = Quantity(0)),
        ("max_quantity", |i| i.max_quantity = Quantity(0)),
        ("min_quantity", |i| i.min_quantity = Quantity(9)),
        ("multiplier", |i| i.multiplier = Rate::ZERO),
        ("price_decimals", |i| i.price_decimals = 15),
        ("quantity_decimals", |i| i.quantity_decimals = 15),
        ("fees.decimals", |i| i.fees.decimals = Some(15)),
        ("min_notional", |i| i.min_notional = money("-1")),
        ("initial_margin", |i| i.initial_margin = rate("-1")),
        ("maintenance_margin", |i| {
            i.rules.maintenance_margin = Some(rate("-1"))
        }),
        ("maintenance_margin", |i| {
            i.rules.maintenance_margin = Some(rate("2"))
        }),
        ("max_notional", |i| i.rules.max_notional = Some(Money::ZERO)),
        ("max_notional", |i| {
            i.min_notional = money("5");
            i.rules.max_notional = Some(money("4"));
        }),
        ("funding_interval_ns", |i| {
            i.rules.funding_interval_ns = Some(0)
        }),
        ("funding_interval_ns", |i| {
            i.rules.funding_interval_ns = Some(1)
        }),
        ("expires_at", |i| i.rules.expires_at = Some(UnixNanos(1))),
        ("price_collar", |i| i.rules.price_collar = Some(Rate::ZERO)),
        ("calendar", |i| i.rules.calendar = "two words".to_owned()),
        ("fees.per_unit", |i| i.fees.per_unit = money("-1")),
        ("fees.minimum", |i| i.fees.minimum = money("-1")),
        ("fees.taker", |i| i.fees.taker = rate("1")),
        ("fees.in_base", |i| {
            i.fees.in_base = true;
            i.fees.minimum = money("1");
        }),
        ("lacks", |i| {
            i.rules.lacks.order_types = vec![OrderType::Limit, OrderType::Market];
        }),
    ];
    for (field, spoil) in spoils {
        let mut instrument = spot();
        instrument.max_quantity = Quantity(8);
        spoil(&mut instrument);
        let error = instrument.validate().unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
    let mut contract = inverse();
    contract.fees.in_base = true;
    assert_eq!(contract.validate().unwrap_err().field(), "fees.in_base");
    let mut dated = inverse();
    dated.rules.funding_interval_ns = Some(1);
    dated.rules.expires_at = Some(UnixNanos(1));
    assert_eq!(dated.validate().unwrap_err().field(), "expires_at");
}

#[test]
fn bands_rise_and_begin_on_both_increments() {
    let band = |from, increment| PriceBand {
        from: Price(from),
        increment: Price(increment),
    };
    let cases = [
        (vec![band(100, 5), band(1_000, 10)], true),
        (vec![band(1_000, 10), band(100, 5)], false),
        (vec![band(100, 5), band(100, 10)], false),
        (vec![band(103, 5)], false),
        (vec![band(100, 7)], false),
        // On its own increment, but not on the one before.
        (vec![band(100, 5), band(1_002, 2)], false),
        (vec![band(100, 0)], false),
    ];
    for (price_bands, fits) in cases {
        let mut instrument = spot();
        instrument.rules.price_bands = price_bands;
        let result = instrument.validate();
        assert_eq!(result.is_ok(), fits, "{result:?}");
        assert!(result.is_ok() || result.unwrap_err().field() == "price_bands");
    }
}

proptest! {
    #[test]
    fn rounding_stays_on_the_grid_and_within_one_increment(price in -100_000_i64..100_000) {
        let mut instrument = spot();
        instrument.rules.price_bands = vec![
            PriceBand { from: Price(-5_000), increment: Price(5) },
            PriceBand { from: Price(10_000), increment: Price(100) },
            PriceBand { from: Price(50_000), increment: Price(250) },
        ];
        prop_assert_eq!(instrument.validate(), Ok(()));
        let price = Price(price);
        let down = instrument.price_at_or_below(price).unwrap();
        let up = instrument.price_at_or_above(price).unwrap();
        prop_assert!(down <= price && price <= up);
        prop_assert!(instrument.is_on_price_increment(down));
        prop_assert!(instrument.is_on_price_increment(up));
        prop_assert!(up.0 - down.0 <= instrument.price_increment_at(price).0);
        prop_assert_eq!(down == up, instrument.is_on_price_increment(price));
    }

    #[test]
    fn an_average_price_gives_the_sum_of_fills_back(
        fills in prop::collection::vec((1_i64..10_000_000, 1_i64..100_000_000), 1..20),
    ) {
        for instrument in [spot(), inverse()] {
            let notional = |&(quantity, price): &(i64, i64)| {
                instrument.notional(Price(price), Quantity(quantity)).unwrap().0
            };
            let sum = Money(fills.iter().map(notional).sum());
            let quantity: i64 = fills.iter().map(|(quantity, _)| quantity).sum();
            let Some(average) = instrument.average_price(quantity, sum) else {
                prop_assert!(sum.is_zero());
                continue;
            };
            prop_assert_eq!(instrument.notional_at(Quantity(quantity), average), Some(sum));
        }
    }

    #[test]
    fn an_inverse_amount_is_within_half_a_unit_of_the_quotient(
        quantity in -1_000_000_000_i64..1_000_000_000,
        price in 1_i64..100_000_000,
    ) {
        let notional = inverse().notional(Price(price), Quantity(quantity)).unwrap();
        let exact = Decimal::from(quantity) / Decimal::new(price, 2);
        let half = Decimal::new(5, 9);
        prop_assert!((notional.0 - exact).abs() <= half, "{} {}", notional, exact);
    }
}
