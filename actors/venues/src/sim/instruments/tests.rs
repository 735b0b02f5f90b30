use super::*;
use apex_domain::instrument::InstrumentKind;
use apex_domain::{Price, Quantity};

/// A perpetual, and a share that takes the place of a default one.
const GOOD: &str = r#"
[instruments."GOLD-PERP.SIM"]
kind = "linear"
base_currency = "GOLD"
quote_currency = "USDT"
price_increment = "0.10"
quantity_increment = "0.01"
min_notional = "5"
initial_margin = "0.05"
maintenance_margin = "0.025"
maker_fee = "-0.0001"
taker_fee = "0.0005"
fee_decimals = 8
funding_interval_ns = 28800000000000
start_price = "2400"

[instruments."AAPL.SIM"]
kind = "spot"
asset_class = "equity"
base_currency = "AAPL"
quote_currency = "USDT"
price_increment = "0.0001"
price_bands = [{ from_price = "1.00", price_increment = "0.01" }]
quantity_increment = "0.001"
min_quantity = "0.1"
fee_per_unit = "0.005"
minimum_fee = "1.00"
start_price = "190"
calendar = "XNYS"
"#;

fn file() -> PathBuf {
    PathBuf::from("instruments.toml")
}

#[test]
fn a_file_adds_and_replaces_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instruments.toml");
    std::fs::write(&path, GOOD).unwrap();
    let all = load_instruments(&path).unwrap();
    let defaults = SimInstrument::defaults();
    assert_eq!(all.len(), defaults.len() + 1);
    let gold = all.last().unwrap();
    let perpetual = &gold.instrument;
    assert_eq!(perpetual.kind, InstrumentKind::Linear);
    assert_eq!(
        (perpetual.price_decimals, gold.start_price),
        (1, Price(24_000))
    );
    assert_eq!(
        perpetual.rules.funding_interval_ns,
        Some(28_800_000_000_000)
    );
    let apple = &all[2].instrument;
    assert_eq!(apple.instrument_id, defaults[2].instrument.instrument_id);
    assert_eq!((apple.price_decimals, apple.quantity_decimals), (4, 3));
    assert_eq!(apple.min_quantity, Quantity(100));
    assert_eq!(apple.rules.price_bands[0].increment, Price(100));
    assert_eq!(all[0], defaults[0]);
    let options = SimOptions {
        instruments: all,
        ..SimOptions::new(1)
    };
    SimExchange::new(options).unwrap();
}

/// Changes one line of the perpetual, and tells the entry's field that is refused for it.
#[test]
fn what_is_wrong_is_named_by_file_entry_and_field() {
    for (line, instead, field, part) in [
        (
            r#"kind = "linear""#,
            "",
            "kind",
            "one of spot, linear, inverse",
        ),
        (r#"kind = "linear""#, "kind = 3", "kind", "in quotes"),
        (
            r#"price_increment = "0.10""#,
            r#"price_increment = "1e-2""#,
            "price_increment",
            "",
        ),
        (
            r#"price_increment = "0.10""#,
            "",
            "price_increment",
            "is missing",
        ),
        (
            r#"price_increment = "0.10""#,
            r#"price_increment = "0""#,
            "price_increment",
            "above zero",
        ),
        (
            r#"min_notional = "5""#,
            r#"min_notional = "5000""#,
            "min_quantity",
            "raise it",
        ),
        (
            "fee_decimals = 8",
            "fee_decimals = 300",
            "fee_decimals",
            "0 to 14",
        ),
        (
            "fee_decimals = 8",
            "fee_decimal = 8",
            "fee_decimal",
            "is not known",
        ),
        (
            "fee_decimals = 8",
            "fee_in_base = true",
            "fees.in_base",
            "spot",
        ),
        (
            "fee_decimals = 8",
            r#"calendar = "MOON""#,
            "calendar",
            "XNYS",
        ),
        (
            r#"start_price = "2400""#,
            r#"start_price = "2400.05""#,
            "start_price",
            "",
        ),
        (
            r#"start_price = "2400""#,
            r#"start_price = "-1""#,
            "start_price",
            "above zero",
        ),
        (
            r#"maintenance_margin = "0.025""#,
            r#"maintenance_margin = "0.5""#,
            "maintenance_margin",
            "",
        ),
    ] {
        let text = GOOD.replacen(line, instead, 1);
        assert_ne!(text, GOOD, "{line}");
        let error = parse(&file(), &text).unwrap_err();
        let shown = error.to_string();
        let InstrumentsFileError::Field {
            entry,
            field: named,
            detail,
            ..
        } = error
        else {
            panic!("{shown}");
        };
        assert_eq!(
            (entry.as_str(), named.as_str()),
            ("GOLD-PERP.SIM", field),
            "{shown}"
        );
        assert!(
            detail.contains(part) && shown.contains("instruments.toml"),
            "{shown}"
        );
    }
}

#[test]
fn a_file_without_entries_or_with_foreign_ones_is_refused() {
    for (text, part) in [
        ("", "defines nothing"),
        ("instruments = 1", "defines nothing"),
        ("[instruments", "is no TOML"),
        ("more = 1\n[instruments.\"A.SIM\"]", "unknown key \"more\""),
        ("[instruments.\"A.XNYS\"]", "must end with .SIM"),
        ("[instruments]\nA = 1", "must be a table"),
    ] {
        let shown = parse(&file(), text).unwrap_err().to_string();
        assert!(shown.contains(part), "{text:?}: {shown}");
    }
    let missing = load_instruments(Path::new("no-such-file.toml")).unwrap_err();
    assert!(matches!(missing, InstrumentsFileError::Read { .. }));
}

#[test]
fn the_example_of_the_guide_is_taken() {
    let guide = include_str!("../../../../../docs/guide/instruments.md");
    let (_, rest) = guide.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let kinds = parse(&file(), example).unwrap();
    let kinds = kinds.iter().map(|each| each.instrument.kind);
    let expected = [
        InstrumentKind::Inverse,
        InstrumentKind::Linear,
        InstrumentKind::Spot,
    ];
    assert!(kinds.eq(expected), "in order of id");
}
