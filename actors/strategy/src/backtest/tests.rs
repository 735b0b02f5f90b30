mod account;
mod happenings;
mod kinds;
mod orders;
mod sessions;

use super::*;
use crate::testing::{bar, instrument, quote};
use apex_domain::matching::{Model, ModelChoices};
use apex_domain::number::Decimal;
use apex_domain::{InstrumentId, Money, Price};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000_000_000;

/// Options of an `ema-cross` that follows every rise and fall, five units long or short.
fn options(more: &[(&str, &str)]) -> BacktestOptions {
    let own = [
        ("fast", "1"),
        ("slow", "2"),
        ("warmup", "0"),
        ("quantity", "5"),
        ("act_on", "state"),
    ];
    BacktestOptions {
        strategy: "ema-cross".to_owned(),
        parameters: own
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..BacktestOptions::default()
    }
}

/// Daily bars that never left their price.
fn days(prices: &[i64]) -> Vec<MarketEvent> {
    prices
        .iter()
        .enumerate()
        .map(|(day, price)| bar(day as i64 * DAY, *price))
        .collect()
}

fn report(options: &BacktestOptions, events: &[MarketEvent]) -> Value {
    let report = run(options, events.iter().cloned(), vec![instrument()]).unwrap();
    serde_json::from_str(&report.to_json()).unwrap()
}

/// Rises to 2.00, falls to 1.50: bought on day 2 at 2.00, sold on day 4 at 1.40.
const UP_AND_DOWN: [i64; 5] = [100, 110, 200, 150, 140];

#[test]
fn the_summary_has_every_stated_name_and_exact_decimals() {
    let report = report(&options(&[]), &days(&UP_AND_DOWN));
    let fill = |day: i64, side: &str, price: &str| json!({"ts_ns": day * DAY, "side": side, "quantity": "5", "price": price, "fee": "0"});
    assert_eq!(
        report["fills"],
        json!([fill(2, "SIDE_BUY", "2.00"), fill(4, "SIDE_SELL", "1.40")])
    );
    assert_eq!(report["events"], 5);
    assert_eq!(report["orders"], 2);
    assert_eq!(report["final_equity"], "-3");
    assert_eq!(report["realized_pnl"], "-3");
    assert_eq!(report["fees"], "0");
    assert_eq!(report["max_drawdown"], "3");
    assert_eq!(report["position"], "0");
    assert_eq!(report["metrics"]["trades"], 1);
    assert_eq!(report["metrics"]["losses"], 1);
    assert_eq!(report["metrics"]["profit_factor"], "0");
    assert_eq!(report["metrics"]["total_return"], Value::Null);
    assert_eq!(report["warnings"], json!([]));
    assert_eq!(report["state_hash"].as_str().unwrap().len(), 16);
    let mut names: Vec<&String> = report.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "assumptions",
            "events",
            "events_per_second",
            "fees",
            "fills",
            "final_equity",
            "funding",
            "max_drawdown",
            "metrics",
            "orders",
            "position",
            "realized_pnl",
            "state_hash",
            "wall_seconds",
            "warnings"
        ]
    );
}

#[test]
fn each_default_is_said() {
    let said = report(&options(&[]), &days(&UP_AND_DOWN))["assumptions"].to_string();
    for line in [
        "no fee",
        "no slippage",
        "no risk limit",
        "cash may go negative and shorts are allowed",
        "no corporate actions",
        "next-open",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn an_open_position_stays_open_and_is_marked_at_the_last_close() {
    let report = report(&options(&[]), &days(&[100, 110, 200, 260]));
    assert_eq!(report["position"], "5");
    assert_eq!(report["final_equity"], "3", "5 times 2.60 less 2.00");
    assert_eq!(report["realized_pnl"], "0");
}

#[test]
fn quotes_fill_at_the_touch_and_mark_at_the_side_that_would_close() {
    let events = [
        quote(0, Some(90), Some(110)),
        quote(1, Some(100), Some(120)),
        quote(2, Some(80), Some(100)),
        quote(3, Some(70), Some(95)),
    ];
    let long = report(&options(&[]), &events);
    assert_eq!(long["fills"][0]["price"], "1.20");
    assert_eq!(long["fills"][0]["ts_ns"], 1);
    assert_eq!(long["fills"][1]["price"], "0.80");
    assert_eq!(long["final_equity"], "-2");
    let both = report(&options(&[("mode", "long_short")]), &events);
    assert_eq!(both["position"], "-5");
    // Lost 2.00; short five at 0.80, which cost 0.95 to buy back.
    assert_eq!(both["final_equity"], "-2.75");
    let held = report(&options(&[]), &events[..2]);
    assert_eq!(
        held["final_equity"], "-1",
        "bought at 1.20, the bid is 1.00"
    );
}

#[test]
fn bar_close_fills_on_the_deciding_bar() {
    let options = BacktestOptions {
        fill: Some(Fill::BarClose),
        ..options(&[])
    };
    let report = report(&options, &days(&UP_AND_DOWN));
    let fills: Vec<(i64, &str)> = report["fills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fill| {
            (
                fill["ts_ns"].as_i64().unwrap() / DAY,
                fill["price"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(fills, [(1, "1.10"), (3, "1.50")]);
}

#[test]
fn fees_and_slippage_are_charged_and_said() {
    let options = BacktestOptions {
        fee_bps: Some(Decimal::from(10)),
        slippage_bps: Decimal::from(100),
        start_cash: Money::parse("1000").unwrap(),
        ..options(&[])
    };
    let report = report(&options, &days(&UP_AND_DOWN));
    assert_eq!(report["fills"][0]["price"], "2.02");
    assert_eq!(report["fills"][1]["price"], "1.38", "1.386 against us");
    assert_eq!(report["fills"][0]["fee"], "0.0101");
    assert_eq!(report["fees"], "0.017");
    assert_eq!(report["realized_pnl"], "-3.2", "before fees");
    assert_eq!(report["final_equity"], "996.783");
    assert_eq!(report["metrics"]["total_return"], "-0.003217");
    let said = report["assumptions"].to_string();
    assert!(said.contains("fee of 10 basis points") && said.contains("100 basis points worse"));
}

#[test]
fn margin_of_the_account_denies_what_cash_does_not_cover() {
    let options = BacktestOptions {
        margin: Margin::Account,
        start_cash: Money::parse("1").unwrap(),
        ..options(&[])
    };
    let report = report(&options, &days(&UP_AND_DOWN));
    assert_eq!(report["fills"], json!([]));
    assert_eq!(report["final_equity"], "1");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.contains("INSUFFICIENT_BUYING_POWER"), "{warning}");
}

#[test]
fn a_fill_that_does_not_suit_the_data_is_warned_of() {
    for (fill, events, word) in [
        (Fill::Touch, days(&UP_AND_DOWN), "without quotes"),
        (
            Fill::NextOpen,
            vec![quote(0, Some(1), Some(2))],
            "without bars",
        ),
    ] {
        let options = BacktestOptions {
            fill: Some(fill),
            ..options(&[])
        };
        let report = report(&options, &events);
        assert!(report["warnings"][0].as_str().unwrap().contains(word));
    }
}

#[test]
fn a_book_is_not_made_of_bars() {
    let book = BacktestOptions {
        fill: Some(Fill::Book),
        ..options(&[])
    };
    let run = |events: Vec<MarketEvent>| run(&book, events, vec![instrument()]);
    let error = run(days(&UP_AND_DOWN)).unwrap_err();
    assert!(matches!(error, BacktestError::NoBook), "{error}");
    assert!(error.to_string().contains("choose next-open or bar-close"));
    let mut mixed = days(&UP_AND_DOWN);
    mixed.insert(0, quote(0, Some(99), Some(101)));
    run(mixed).unwrap();
}

#[test]
fn a_model_that_changes_nothing_is_refused_and_so_is_one_said_twice() {
    let of = |model, text| {
        let mut models = ModelChoices::default();
        models.choose(model, text).unwrap();
        models
    };
    let refused = |options: BacktestOptions| {
        let error = run(&options, days(&UP_AND_DOWN), vec![instrument()]).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.unwrap_or_else(|| error.to_string())
    };
    for (fill, model, text) in [
        (Fill::NextOpen, Model::Queue, "front"),
        (Fill::Book, Model::BarPath, "low-first"),
        (Fill::Book, Model::BarVolume, "quarters"),
    ] {
        let line = refused(BacktestOptions {
            fill: Some(fill),
            models: of(model, text),
            ..options(&[])
        });
        let expected = format!("{model} does not go with fill {}", fill.as_str());
        assert!(line.starts_with(&expected), "{line}");
    }
    let twice = [
        BacktestOptions {
            fee_bps: Some(Decimal::ONE),
            models: of(Model::Fee, "1bps"),
            ..options(&[])
        },
        BacktestOptions {
            slippage_bps: Decimal::ONE,
            models: of(Model::Slippage, "1bps"),
            ..options(&[])
        },
    ];
    for options in twice {
        let line = refused(options);
        assert!(line.contains("leave one of them out"), "{line}");
    }
}

#[test]
fn several_instruments_are_traded_each_by_itself() {
    let mut other = instrument();
    other.instrument_id = InstrumentId::new("OTHER.SIM").unwrap();
    let mut events = Vec::new();
    for event in days(&[100, 110, 200]) {
        let mut twin = event.clone();
        if let MarketEvent::Bar(bar) = &mut twin {
            bar.instrument_id = other.instrument_id.clone();
            bar.open = Price(bar.open.0 * 2);
            bar.close = bar.open;
        }
        events.extend([event, twin]);
    }
    let report = run(&options(&[]), events, vec![instrument(), other]).unwrap();
    let fills: Vec<_> = report
        .fills
        .iter()
        .map(|fill| (fill.instrument_id.clone().unwrap(), fill.price.clone()))
        .collect();
    assert_eq!(
        fills,
        [
            ("DATA.SIM".into(), "2.00".into()),
            ("OTHER.SIM".into(), "4.00".into())
        ]
    );
    assert_eq!(report.positions.len(), 2);
    assert_eq!(report.warnings, [""; 0]);
}

#[test]
fn what_cannot_be_run_is_an_error_that_names_it() {
    let none: Vec<MarketEvent> = Vec::new();
    let message = |options: &BacktestOptions, events: &[MarketEvent], instruments: Vec<_>| {
        run(options, events.iter().cloned(), instruments)
            .unwrap_err()
            .to_string()
    };
    let events = days(&UP_AND_DOWN);
    let one = vec![instrument()];
    assert_eq!(
        message(&options(&[]), &none, one.clone()),
        "the data holds no market event"
    );
    assert_eq!(
        message(&options(&[]), &events, Vec::new()),
        "the data comes without an instrument"
    );
    let mut euro = instrument();
    euro.quote_currency = Currency::new("EUR").unwrap();
    assert!(message(&options(&[]), &events, vec![instrument(), euro]).contains("USD and EUR"));
    let mut wrong = options(&[("fastt", "3")]);
    assert!(message(&wrong, &events, one.clone()).contains("did you mean \"fast\"?"));
    wrong = options(&[]);
    wrong.strategy = "ema".to_owned();
    assert!(message(&wrong, &events, one.clone()).contains("unknown strategy"));
    wrong = options(&[]);
    wrong.slippage_bps = Decimal::from(-1);
    assert_eq!(
        message(&wrong, &events, one.clone()),
        "slippage-bps is -1, expected 0 to 10000"
    );
    wrong = options(&[]);
    wrong.fee_bps = Some(Decimal::from(20_000));
    assert!(message(&wrong, &events, one).starts_with("fee-bps is 20000"));
    assert!("open".parse::<Fill>().is_err());
    assert_eq!("next-open".parse::<Fill>(), Ok(Fill::NextOpen));
    assert_eq!("account".parse::<Margin>(), Ok(Margin::Account));
    assert!("".parse::<Margin>().is_err());
}

#[test]
fn the_drawdown_is_the_deepest_fall_from_a_peak() {
    // Long from day 1 at 1.00: equity 0, 5, 2, 6, 1 by the closes.
    let mut events = days(&[90, 100, 200, 140, 220, 120]);
    for event in &mut events {
        if let MarketEvent::Bar(bar) = event {
            bar.open = Price(100);
        }
    }
    let report = report(&options(&[("mode", "long_short")]), &events[..3]);
    assert_eq!(report["final_equity"], "5");
    assert_eq!(report["max_drawdown"], "0");
    let hold = BacktestOptions::default();
    let report = run_strategy(&hold, Box::new(Hold), events, vec![instrument()]).unwrap();
    assert_eq!(report.max_drawdown, "5", "from 6 at 2.20 to 1 at 1.20");
    assert_eq!(report.final_equity, "1");
}

/// Buys five on the first bar and holds them.
struct Hold;

impl Strategy for Hold {
    fn subscriptions(&self) -> crate::Subscriptions {
        crate::Subscriptions {
            bars: crate::Selection::All,
            ..crate::Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut crate::Context<'_>, bar: &apex_domain::market::Bar) {
        ctx.target(&bar.instrument_id, 5);
    }
}
