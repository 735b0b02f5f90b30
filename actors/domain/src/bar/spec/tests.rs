use super::*;
use crate::id::{Currency, InstrumentId};
use crate::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use crate::money::{Money, Rate};
use proptest::prelude::*;

/// Two decimals of price, one of quantity.
fn instrument() -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("X.SIM").unwrap(),
        kind: InstrumentKind::Linear,
        base_currency: Currency::new("X").unwrap(),
        quote_currency: Currency::new("USD").unwrap(),
        price_decimals: 2,
        quantity_decimals: 1,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

const NS: i64 = 1_000_000_000;

#[test]
fn tc_b13_text_is_read_at_the_decimals_of_the_instrument_and_written_in_one_form() {
    let time = |interval_ns| BarSpec::Time { interval_ns };
    for (text, spec, canonical) in [
        ("time:60s", time(60 * NS), "time:1m"),
        ("time:90s", time(90 * NS), "time:90s"),
        ("time:24h", time(86_400 * NS), "time:1d"),
        ("time:1500ms", time(1_500_000_000), "time:1500ms"),
        ("time:1ns", time(1), "time:1ns"),
        ("tick:1000", BarSpec::Tick { count: 1_000 }, "tick:1000"),
        (
            "volume:5.5",
            BarSpec::Volume {
                quantity: Quantity(55),
            },
            "volume:5.5",
        ),
        (
            "value:100000",
            BarSpec::Value {
                amount: 100_000_000,
            },
            "value:100000.000",
        ),
        (
            "renko:0.50",
            BarSpec::Renko { brick: Price(50) },
            "renko:0.50",
        ),
        ("external", BarSpec::External, "external"),
    ] {
        assert_eq!(parse_spec(text, &instrument()), Ok(spec), "{text}");
        assert_eq!(spec_text(spec, &instrument()), canonical);
    }
}

#[test]
fn tc_b13_a_refused_text_names_the_field() {
    for (text, message) in [
        ("60s", "bar spec is not of the form"),
        ("range:5", "bar kind \"range\""),
        ("time:60", "bar interval \"60\""),
        ("time:s", "bar interval \"s\""),
        ("time:-1s", "bar interval \"-1s\""),
        ("time:1.5s", "bar interval \"1.5s\""),
        ("time:999999999d", "bar interval \"999999999d\""),
        ("time:0s", "bar interval must be above zero"),
        ("tick:0", "bar count must be above zero"),
        ("tick:1.5", "bar count has more than 0 decimals"),
        ("tick:99999999999999999999", "bar count is out of range"),
        ("volume:5.55", "bar quantity has more than 1 decimals"),
        ("volume:-5", "bar quantity must not be negative"),
        ("volume:9999999999999999999", "bar quantity is out of range"),
        ("value:0", "bar amount must be above zero"),
        ("value:1e5", "bar amount not a decimal"),
        ("renko:", "bar brick not a decimal"),
        ("renko:0.001", "bar brick has more than 2 decimals"),
    ] {
        let error = parse_spec(text, &instrument()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn tc_b12_the_encoding_of_the_first_kinds_never_changes() {
    let encoded = |spec: BarSpec| postcard::to_stdvec(&spec).unwrap();
    assert_eq!(encoded(BarSpec::Time { interval_ns: 5 }), [0, 10]);
    assert_eq!(encoded(BarSpec::External), [1]);
    assert_eq!(encoded(BarSpec::Tick { count: 5 }), [2, 5]);
    let quantity = Quantity(5);
    assert_eq!(encoded(BarSpec::Volume { quantity }), [3, 10]);
    assert_eq!(encoded(BarSpec::Value { amount: 5 }), [4, 10]);
    assert_eq!(encoded(BarSpec::Renko { brick: Price(5) }), [5, 10]);
}

fn specs() -> impl Strategy<Value = BarSpec> {
    let positive = 1..i64::MAX;
    prop_oneof![
        positive
            .clone()
            .prop_map(|interval_ns| BarSpec::Time { interval_ns }),
        (1..u64::MAX).prop_map(|count| BarSpec::Tick { count }),
        positive.clone().prop_map(|q| BarSpec::Volume {
            quantity: Quantity(q)
        }),
        // The text holds twenty digits before the point.
        (1..10_i128.pow(23)).prop_map(|amount| BarSpec::Value { amount }),
        positive.prop_map(|b| BarSpec::Renko { brick: Price(b) }),
    ]
}

proptest! {
    #[test]
    fn tc_b13_what_is_written_is_read_back(spec in specs()) {
        let text = spec_text(spec, &instrument());
        prop_assert_eq!(parse_spec(&text, &instrument()), Ok(spec), "{}", text);
    }

    #[test]
    fn tc_b13_no_text_panics(text in "(time|tick|volume|value|renko|x)?:?[0-9.smdhu-]{0,42}|.{0,12}") {
        if let Ok(spec) = parse_spec(&text, &instrument()) {
            prop_assert_eq!(parse_spec(&spec_text(spec, &instrument()), &instrument()), Ok(spec));
        }
    }
}
