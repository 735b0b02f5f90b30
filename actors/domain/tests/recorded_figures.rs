//! The yardstick of `simulated_day.rs`: the same figures of real recordings keep the same bounds.
//!
//! Reads `bars/` of `APEX_TEST_DATA`, and says so where it is missing.

mod figures;

use figures::{
    absolute, autocorrelation, correlation, kurtosis, mean, mean_autocorrelation, returns,
};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// The lines of a compressed file of bars without its header, or `None` with a line on standard
/// error that says what is left out.
// A test reads its recording; no machine of the domain does.
#[allow(clippy::disallowed_methods)]
fn bars(file: &str) -> Option<Vec<Vec<String>>> {
    let folder = std::env::var_os("APEX_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if !folder.is_dir() {
        let folder = folder.display();
        eprintln!("SKIPPED: the figures of bars/{file}, no market data at {folder}");
        return None;
    }
    let packed = std::fs::read(folder.join("bars").join(file)).unwrap();
    let mut text = String::new();
    let mut unpacked = flate2::read::MultiGzDecoder::new(packed.as_slice());
    unpacked.read_to_string(&mut text).unwrap();
    let lines = text.lines().skip(1);
    Some(
        lines
            .map(|l| l.split(',').map(str::to_owned).collect())
            .collect(),
    )
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[test]
fn a_recorded_perpetual_keeps_the_bounds_of_the_simulated_coins() {
    let Some(rows) = bars("btcperp_minute_202201.csv.gz") else {
        return;
    };
    let closes: Vec<f64> = rows.iter().map(|row| number(&row[4])).collect();
    let minutes = returns(&closes);
    let sizes = absolute(&minutes);
    for (name, value, low, high) in [
        (
            "volatility, basis points",
            figures::deviation(&minutes),
            1.0,
            15.0,
        ),
        ("kurtosis", kurtosis(&minutes), 3.5, 60.0),
        (
            "autocorrelation, lag 1",
            autocorrelation(&minutes, 1),
            -0.12,
            0.12,
        ),
        ("absolute, lag 1", autocorrelation(&sizes, 1), 0.1, 0.7),
        (
            "absolute, lags 1 to 5",
            mean_autocorrelation(&sizes, 1, 5),
            0.1,
            0.7,
        ),
        (
            "absolute, lags 16 to 20",
            mean_autocorrelation(&sizes, 16, 20),
            0.03,
            0.6,
        ),
    ] {
        println!("| recorded perpetual | {name} | {value:.2} |");
        assert!((low..=high).contains(&value), "{name}: {value}");
    }
}

#[test]
fn recorded_shares_trade_most_at_the_ends_of_the_session_and_move_together() {
    let Some(rows) = bars("us_equity_minute_201310_trade.csv.gz") else {
        return;
    };
    let mut closes: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut volumes: BTreeMap<String, f64> = BTreeMap::new();
    for row in &rows {
        // The session is 13:30 to 20:00 UTC in October.
        let minute = &row[1][11..16];
        if ("13:30".."20:00").contains(&minute) {
            closes.insert((row[0].clone(), row[1].clone()), number(&row[5]));
            let hour = minute[..2].to_owned();
            *volumes.entry(hour).or_default() += number(&row[6]);
        }
    }
    let series = |symbol: &str| {
        let prices = closes.iter().filter(|((of, at), _)| {
            of == symbol
                && ["SPY", "BAC"]
                    .iter()
                    .all(|s| closes.contains_key(&((*s).to_owned(), at.clone())))
        });
        returns(&prices.map(|(_, close)| *close).collect::<Vec<_>>())
    };
    let together = correlation(&series("SPY"), &series("BAC"));
    // As in the simulated day: the whole hours that begin 30 minutes after the opening and 60
    // before the close, over the one in the middle.
    let ends = mean(&[volumes["14"], volumes["19"]]) / volumes["16"];
    println!("| recorded shares | ends of the session over its middle | {ends:.2} |");
    println!("| recorded shares | correlation of SPY and BAC | {together:.2} |");
    assert!((1.2..=3.0).contains(&ends), "{ends}");
    assert!((0.2..=0.85).contains(&together), "{together}");
}
