//! Which way a conversion takes, and when there is none.

use super::*;
use crate::portfolio::{Freshness, Rates};
use proptest::prelude::*;

/// A spot instrument with two decimals, named after its two currencies.
fn pair(base: &str, quote: &str, venue: &str) -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new(&format!("{base}{quote}.{venue}")).unwrap(),
        base_currency: currency(base),
        quote_currency: currency(quote),
        price_decimals: 2,
        ..instrument(InstrumentKind::Spot)
    }
}

fn at(now: i64) -> Freshness {
    Freshness {
        now: UnixNanos(now),
        max_age_ns: Some(60),
    }
}

/// BTC at 50,000 USDT from 100 on, USDT at 0.99 USD from 120 on, EUR at 1.10 USD from 140 on.
fn rates() -> Rates {
    let pairs = [
        (pair("BTC", "USDT", "SIM"), 5_000_000, 100),
        (pair("USDT", "USD", "SIM"), 99, 120),
        (pair("EUR", "USD", "SIM"), 110, 140),
    ];
    let mut rates = Rates::new(pairs.iter().map(|(pair, ..)| pair));
    for (pair, price, ts) in &pairs {
        assert!(rates.observe(&pair.instrument_id, Price(*price), UnixNanos(*ts)));
    }
    rates
}

#[test]
fn amounts_are_converted_directly_inversely_or_across_one_currency() {
    let rates = rates();
    for (amount, from, to, expected) in [
        ("2", "BTC", "USDT", Some("100000")),
        ("100000", "USDT", "BTC", Some("2")),
        ("2", "BTC", "USD", Some("99000")),
        ("99000", "USD", "BTC", Some("2")),
        // 11 EUR are 12.1 USD, and those are 12.2222... USDT.
        ("11", "EUR", "USDT", Some("12.2222222222222222")),
        ("-1", "USD", "EUR", Some("-0.9090909090909091")),
        ("7", "EUR", "EUR", Some("7")),
        ("7", "ZZZ", "ZZZ", Some("7")),
        // Two currencies in between are one too many.
        ("1", "BTC", "EUR", None),
        ("1", "ZZZ", "USD", None),
        ("0", "ZZZ", "USD", Some("0")),
    ] {
        let converted = rates.convert(money(amount), &currency(from), &currency(to), at(150));
        assert_eq!(converted, expected.map(money), "{amount} {from} to {to}");
    }
}

#[test]
fn a_rate_counts_up_to_its_age_inclusive() {
    let rates = rates();
    let rate = |from, to, now| rates.rate(&currency(from), &currency(to), at(now));
    assert!(rate("BTC", "USDT", 160).is_some());
    assert!(rate("BTC", "USDT", 161).is_none());
    // A cross is as old as its older half.
    let cross = rate("BTC", "USD", 160).unwrap();
    assert_eq!(cross.ts, Some(UnixNanos(100)));
    assert!(rate("BTC", "USD", 161).is_none());
    assert!(rate("USD", "USDT", 161).is_some());
    // A price of the future is no reason to be without one: clocks differ.
    assert!(rate("BTC", "USDT", 0).is_some());
    let any_age = rates.rate(&currency("BTC"), &currency("USD"), Freshness::ANY);
    assert!(any_age.is_some());
}

#[test]
fn only_newer_prices_of_named_spot_instruments_are_taken() {
    let mut rates = rates();
    let id = |text| InstrumentId::new(text).unwrap();
    let mut observe = |text, price, ts| rates.observe(&id(text), Price(price), UnixNanos(ts));
    assert!(!observe("BTCUSDT.SIM", 1, 99));
    assert!(!observe("BTCUSDT.SIM", 0, 101));
    assert!(!observe("BTCUSDT.SIM", -1, 101));
    assert!(!observe("ETHUSDT.SIM", 1, 101));
    assert!(observe("BTCUSDT.SIM", 6_000_000, 100));
    let perp = Instrument {
        kind: InstrumentKind::Linear,
        ..pair("ETH", "USDT", "SIM")
    };
    assert!(!rates.name(&perp));
    let convert =
        |rates: &Rates| rates.convert(money("1"), &currency("BTC"), &currency("USDT"), at(150));
    // The same definition keeps the price; one in other units forgets it.
    assert!(rates.name(&pair("BTC", "USDT", "SIM")));
    assert_eq!(convert(&rates), Some(money("60000")));
    let finer = Instrument {
        price_decimals: 4,
        ..pair("BTC", "USDT", "SIM")
    };
    assert!(rates.name(&finer));
    assert_eq!(convert(&rates), None);
}

#[test]
fn of_several_instruments_the_first_that_is_fresh_counts() {
    let first = pair("BTC", "USDT", "AAA");
    let mut rates = rates();
    rates.name(&first);
    let convert = |rates: &Rates, now| {
        rates.convert(money("1"), &currency("BTC"), &currency("USDT"), at(now))
    };
    assert_eq!(convert(&rates, 150), Some(money("50000")));
    rates.observe(&first.instrument_id, Price(4_000_000), UnixNanos(80));
    assert_eq!(convert(&rates, 140), Some(money("40000")));
    assert_eq!(convert(&rates, 141), Some(money("50000")));
}

#[test]
fn an_amount_beyond_all_bounds_has_no_value() {
    let most = Money(Decimal::MAX);
    let converted = rates().convert(most, &currency("BTC"), &currency("USDT"), at(150));
    assert_eq!(converted, None);
}

proptest! {
    #[test]
    fn there_and_back_is_the_same_but_for_the_last_decimals(
        amount in -1_000_000_000_i64..1_000_000_000,
        price in 1_i64..100_000_000,
    ) {
        let pair = pair("BTC", "USDT", "SIM");
        let mut rates = Rates::new([&pair]);
        rates.observe(&pair.instrument_id, Price(price), UnixNanos(0));
        let (btc, usdt) = (currency("BTC"), currency("USDT"));
        let amount = Money(Decimal::new(amount, 6));
        let there = rates.convert(amount, &usdt, &btc, at(0)).unwrap();
        let back = rates.convert(there, &btc, &usdt, at(0)).unwrap();
        // Half of the sixteenth decimal, times the price.
        let bound = Decimal::new(price, 2) * Decimal::new(1, 16) + Decimal::new(1, 16);
        prop_assert!((back.0 - amount.0).abs() <= bound, "{} {}", amount, back);
    }
}
