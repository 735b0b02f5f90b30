//! Every bar and tick file of the shared test data loads whole.

use apex_domain::market::MarketEvent;
use apex_venues::csv::{CsvKind, CsvOptions, CsvSource, Loaded};
use std::path::PathBuf;

/// The folder of recorded market data, or `None` with a line on standard error that says so.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("APEX_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no market data at {}", folder.display());
    None
}

fn load(file: &str, instrument: Option<&str>) -> Option<Loaded> {
    let options = CsvOptions {
        instrument: instrument.map(str::to_owned),
    };
    Some(CsvSource::open(&data()?.join(file), &options).unwrap())
}

fn check(file: &str, kind: CsvKind, rows: usize, decimals: &[(&str, u8, u8)]) {
    let Some(loaded) = load(file, None) else {
        return;
    };
    assert_eq!((loaded.kind, loaded.events.len()), (kind, rows), "{file}");
    assert_eq!(loaded.bad_rows.count, 0, "{file}");
    assert!(loaded.events.is_sorted_by_key(MarketEvent::ts_init));
    for instrument in &loaded.instruments {
        instrument.validate().unwrap();
    }
    let found: Vec<_> = loaded
        .instruments
        .iter()
        .map(|i| {
            (
                i.instrument_id.as_str(),
                i.price_decimals,
                i.quantity_decimals,
            )
        })
        .collect();
    for expected in decimals {
        assert!(found.contains(expected), "{file}: {found:?}");
    }
}

#[test]
fn bars_of_bitcoin_perpetual_load() {
    check(
        "bars/btcperp_minute_202201.csv.gz",
        CsvKind::Bars,
        45_031,
        &[("DATA.SIM", 3, 7)],
    );
}

#[test]
fn bars_and_quote_bars_of_coinbase_load() {
    let ids = [("BTCEUR.COINBASE", 2, 8), ("BTCUSD.COINBASE", 2, 8)];
    check(
        "bars/coinbase_minute_trade.csv.gz",
        CsvKind::Bars,
        16_086,
        &ids,
    );
    check(
        "bars/coinbase_minute_quote.csv.gz",
        CsvKind::QuoteBars,
        11_501,
        &ids,
    );
}

#[test]
fn quote_bars_of_a_currency_pair_load_with_their_crossed_minutes() {
    let file = "bars/gbpusd_fxcm_minute_201202.csv.gz";
    check(file, CsvKind::QuoteBars, 30_117, &[("DATA.SIM", 5, 0)]);
    let Some(loaded) = load(file, None) else {
        return;
    };
    let odd = loaded
        .events
        .iter()
        .filter(|event| matches!(event, MarketEvent::Quote(q) if q.is_crossed() || q.is_locked()))
        .count();
    assert_eq!(odd, 653);
}

#[test]
fn bars_of_shares_load_whole_and_by_symbol() {
    let file = "bars/us_equity_daily.csv.gz";
    check(file, CsvKind::Bars, 61_898, &[]);
    check("bars/us_equity_hour.csv.gz", CsvKind::Bars, 81_663, &[]);
    check(
        "bars/us_equity_minute_201310_trade.csv.gz",
        CsvKind::Bars,
        13_429,
        &[],
    );
    check(
        "bars/us_equity_minute_201310_quote.csv.gz",
        CsvKind::QuoteBars,
        15_705,
        &[],
    );
    let Some(all) = load(file, None) else {
        return;
    };
    assert_eq!(all.instruments.len(), 13);
    let spy = load(file, Some("SPY")).unwrap();
    assert_eq!(spy.events.len(), 5_849);
    assert_eq!(spy.instruments[0].instrument_id.as_str(), "SPY.SIM");
}

#[test]
fn tick_files_load_with_trades_and_quotes() {
    check(
        "ticks/ibm_20131007.csv.gz",
        CsvKind::Ticks,
        133_360,
        &[("DATA.SIM", 2, 0)],
    );
    check("ticks/bac_20131007.csv.gz", CsvKind::Ticks, 565_027, &[]);
    check(
        "ticks/eurusd_fxcm_20140506.csv.gz",
        CsvKind::Quotes,
        102_682,
        &[("DATA.SIM", 5, 0)],
    );
    let Some(loaded) = load("ticks/bac_20131007.csv.gz", None) else {
        return;
    };
    let trades = loaded
        .events
        .iter()
        .filter(|e| matches!(e, MarketEvent::Trade(_)))
        .count();
    assert_eq!(trades, 88_172);
}

#[test]
fn oddities_of_the_euro_ticks_are_flagged() {
    let Some(loaded) = load("ticks/eurusd_fxcm_20140506.csv.gz", None) else {
        return;
    };
    assert_eq!(
        loaded.warnings,
        [
            "9999 quotes are crossed (bid above ask)",
            "12154 quotes are locked (bid equals ask)"
        ]
    );
    let ibm = load("ticks/ibm_20131007.csv.gz", None).unwrap();
    assert!(
        ibm.warnings
            .iter()
            .any(|text| text.starts_with("1 rows are marked suspicious"))
    );
}
