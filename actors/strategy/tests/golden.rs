//! The EMA-cross references that come with the market data: every number that they state, exactly.

use apex_domain::indicator::Ema;
use apex_domain::market::{Bar, MarketEvent};
use apex_domain::number::{Decimal, parse_decimal};
use apex_strategy::backtest::{BacktestOptions, BacktestReport, Fill, run};
use apex_venues::csv::{CsvOptions, CsvSource, Loaded};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Returns the folder of market data, or `None` after saying that the test is skipped.
fn bars_folder(test: &str) -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let data = std::env::var_os("APEX_TEST_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let bars = data.join("bars");
    if bars.is_dir() {
        Some(bars)
    } else {
        eprintln!("SKIPPED: {test}: no market data in {}", bars.display());
        None
    }
}

struct Golden {
    expected: Value,
    loaded: Loaded,
    report: BacktestReport,
}

fn golden(folder: &Path, data: &str, symbol: Option<&str>, expect: &str, quantity: &str) -> Golden {
    let text = std::fs::read_to_string(folder.join(expect)).unwrap();
    let options = CsvOptions {
        instrument: symbol.map(str::to_owned),
    };
    let loaded = CsvSource::open(&folder.join(data), &options).unwrap();
    Golden {
        expected: serde_json::from_str(&text).unwrap(),
        report: reference_run(&loaded, quantity),
        loaded,
    }
}

fn reference_run(loaded: &Loaded, quantity: &str) -> BacktestReport {
    let parameters = [
        ("fast", "10"),
        ("slow", "20"),
        ("warmup", "20"),
        ("quantity", quantity),
    ];
    let options = BacktestOptions {
        strategy: "ema-cross".to_owned(),
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        fill: Some(Fill::NextOpen),
        ..BacktestOptions::default()
    };
    run(
        &options,
        loaded.events.iter().cloned(),
        loaded.instruments.clone(),
    )
    .unwrap()
}

/// Returns "time side quantity price" of a fill as the reference writes it.
fn stated(fill: &Value) -> String {
    let row = fill.as_array().unwrap();
    let price = parse_decimal(&row[3].to_string()).unwrap();
    format!(
        "{} {} {} {price}",
        nanos(row[0].as_str().unwrap()),
        row[1].as_str().unwrap(),
        row[2]
    )
}

fn filled(report: &BacktestReport) -> Vec<String> {
    report
        .fills
        .iter()
        .map(|fill| {
            let side = fill.side.strip_prefix("SIDE_").unwrap();
            let quantity = parse_decimal(&fill.quantity).unwrap();
            let price = parse_decimal(&fill.price).unwrap().normalize();
            format!("{} {side} {quantity} {price}", fill.ts_ns)
        })
        .collect()
}

/// Reads `YYYY-MM-DD` with an optional time, as UTC.
fn nanos(text: &str) -> i64 {
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let number = |part: &str| part.parse::<i64>().unwrap();
    let date: Vec<i64> = date.split('-').map(number).collect();
    // Days from the civil calendar, by Howard Hinnant's algorithm.
    let (month, day) = (date[1], date[2]);
    let year = date[0] - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let time = time.split('.').next().unwrap();
    let seconds = time.split(':').fold(0, |sum, part| sum * 60 + number(part));
    (days * 86_400 + seconds) * 1_000_000_000
}

fn closes(loaded: &Loaded) -> impl Iterator<Item = (i64, f64)> {
    let decimals = i32::from(loaded.instruments[0].price_decimals);
    loaded.events.iter().filter_map(move |event| match event {
        MarketEvent::Bar(Bar { close, ts_open, .. }) => {
            Some((ts_open.0, close.0 as f64 / 10_f64.powi(decimals)))
        }
        _ => None,
    })
}

fn check(golden: &Golden) {
    let Golden {
        expected,
        loaded,
        report,
    } = golden;
    assert_eq!(report.events, expected["bars"].as_u64().unwrap());
    let fills = filled(report);
    assert_eq!(fills.len() as u64, expected["fills"].as_u64().unwrap());
    assert_eq!(report.orders, report.fills.len() as u64);
    let first = expected["first_fills"].as_array().unwrap();
    let last = expected["last_fills"].as_array().unwrap();
    for (index, fill) in first.iter().enumerate() {
        assert_eq!(fills[index], stated(fill), "fill {index}");
    }
    for (index, fill) in last.iter().rev().enumerate() {
        let place = fills.len() - 1 - index;
        assert_eq!(fills[place], stated(fill), "fill {place}");
    }
    for (name, value) in [
        ("final_equity", &report.final_equity),
        ("realised_plus_open", &report.final_equity),
        ("max_drawdown_abs", &report.max_drawdown),
        ("open_position", &report.position),
    ] {
        let stated = parse_decimal(&expected[name].to_string()).unwrap();
        assert_eq!(parse_decimal(value).unwrap(), stated, "{name}");
    }
    assert_eq!(report.warnings, [""; 0]);
    check_averages(expected, loaded);
}

/// Checks the crossings and the last averages, which the report does not show.
fn check_averages(expected: &Value, loaded: &Loaded) {
    let (mut fast, mut slow) = (Ema::new(10), Ema::new(20));
    let mut was_up = None;
    let mut crosses = Vec::new();
    for (index, (ts, close)) in closes(loaded).enumerate() {
        let up = fast.update(close) > slow.update(close);
        if index >= 20 && was_up.replace(up).is_some_and(|before| before != up) {
            crosses.push((ts, if up { "UP" } else { "DOWN" }));
        }
    }
    assert_eq!(crosses.len() as u64, expected["crosses"].as_u64().unwrap());
    let first = expected["first_crosses"].as_array().unwrap();
    for (found, stated) in crosses.iter().zip(first) {
        let ts = nanos(stated[0].as_str().unwrap());
        assert_eq!(*found, (ts, stated[1].as_str().unwrap()));
    }
    for (ema, stated) in [fast, slow]
        .iter()
        .zip(expected["final_ema"].as_array().unwrap())
    {
        let digits = format!("{:.8}", ema.value().unwrap());
        assert_eq!(digits.parse::<f64>().unwrap(), stated.as_f64().unwrap());
    }
}

#[test]
fn spy_daily_gives_every_stated_fill_and_cent() {
    let Some(folder) = bars_folder("spy_daily") else {
        return;
    };
    check(&golden(
        &folder,
        "us_equity_daily.csv.gz",
        Some("SPY"),
        "expect_ema_cross_spy_daily.json",
        "100",
    ));
}

#[test]
fn btcperp_minute_gives_every_stated_fill_and_cent() {
    let Some(folder) = bars_folder("btcperp_minute") else {
        return;
    };
    check(&golden(
        &folder,
        "btcperp_minute_202201.csv.gz",
        None,
        "expect_ema_cross_btcperp_minute.json",
        "1",
    ));
}

/// The rule of `act_on=state`, `mode=long_short` on quotes, written once more as a plain loop:
/// target of one above, minus one below, filled at the deciding quote.
fn quotes_by_hand(loaded: &Loaded) -> Vec<String> {
    let decimals = loaded.instruments[0].price_decimals;
    let (mut fast, mut slow) = (Ema::new(10), Ema::new(20));
    let (mut index, mut position) = (0, 0);
    let mut fills = Vec::new();
    for event in &loaded.events {
        let MarketEvent::Quote(quote) = event else {
            continue;
        };
        let (Some(bid), Some(ask)) = (quote.bid, quote.ask) else {
            continue;
        };
        let sum = (bid.price.0 + ask.price.0) as f64;
        let middle = sum / 10_f64.powi(i32::from(decimals)) / 2.0;
        let (above, below) = (fast.update(middle), slow.update(middle));
        index += 1;
        if index <= 20 || above == below {
            continue;
        }
        let target = if above > below { 1 } else { -1 };
        let change: i32 = target - position;
        position = target;
        if change != 0 {
            let (side, price) = if change > 0 {
                ("BUY", ask.price)
            } else {
                ("SELL", bid.price)
            };
            let price = Decimal::new(price.0, u32::from(decimals)).normalize();
            fills.push(format!(
                "{} {side} {} {price}",
                quote.ts_event.0,
                change.abs()
            ));
        }
    }
    fills
}

#[test]
fn quotes_of_every_recording_fill_at_the_deciding_quote() {
    let Some(folder) = bars_folder("quotes") else {
        return;
    };
    for (file, symbol) in [
        ("gbpusd_fxcm_minute_201202.csv.gz", None),
        ("us_equity_minute_201310_quote.csv.gz", Some("SPY")),
        ("coinbase_minute_quote.csv.gz", Some("BTCUSD.COINBASE")),
        ("../ticks/ibm_20131007.csv.gz", None),
        ("../ticks/eurusd_fxcm_20140506.csv.gz", None),
    ] {
        let options = CsvOptions {
            instrument: symbol.map(str::to_owned),
        };
        let loaded = CsvSource::open(&folder.join(file), &options).unwrap();
        let parameters = [
            ("quantity", "1"),
            ("mode", "long_short"),
            ("act_on", "state"),
        ];
        let options = BacktestOptions {
            strategy: "ema-cross".to_owned(),
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..BacktestOptions::default()
        };
        let report = run(&options, loaded.events.clone(), loaded.instruments.clone()).unwrap();
        let expected = quotes_by_hand(&loaded);
        assert!(expected.len() > 50, "{file} gives {} fills", expected.len());
        assert_eq!(filled(&report), expected, "{file}");
        assert_eq!(report.warnings, [""; 0], "{file}");
    }
}

#[test]
fn two_runs_give_the_same_report() {
    let Some(folder) = bars_folder("two_runs") else {
        return;
    };
    let options = CsvOptions {
        instrument: Some("SPY".to_owned()),
    };
    let loaded = CsvSource::open(&folder.join("us_equity_daily.csv.gz"), &options).unwrap();
    let [first, second] = [(); 2].map(|()| {
        let mut report = reference_run(&loaded, "100");
        (report.wall_seconds, report.events_per_second) = (0.0, 0.0);
        report.to_json()
    });
    assert_eq!(first, second);
    assert_ne!(
        reference_run(&loaded, "101").state_hash,
        reference_run(&loaded, "100").state_hash
    );
}
