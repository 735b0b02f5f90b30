//! How fast a backtest runs: an EMA cross over bars through account, events and state hash,
//! against the same loop written by hand without any of it.
//!
//! `cargo bench -p apex-strategy --bench backtest --profile fast [-- BARS]`; prints the median of
//! five runs.

use apex_domain::indicator::Ema;
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::market::{Bar, BarSpec, MarketEvent};
use apex_domain::number::Decimal;
use apex_domain::{Currency, Instrument, InstrumentId, Money, Price, Quantity, Rate, UnixNanos};
use apex_strategy::backtest::{BacktestOptions, Fill, run};
use std::hint::black_box;
use std::time::Instant;

const RUNS: usize = 5;

fn instrument() -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("BENCH.SIM").expect("a constant id"),
        kind: InstrumentKind::Linear,
        base_currency: Currency::new("BENCH").expect("a constant id"),
        quote_currency: Currency::new("USD").expect("a constant id"),
        price_decimals: 2,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate(Decimal::ONE),
        initial_margin: Rate(Decimal::ONE),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

/// A random walk in minutes; a crossing comes about every 22 bars, as in the real minute data.
fn bars(count: usize) -> Vec<MarketEvent> {
    let instrument_id = instrument().instrument_id;
    let mut state = 1_u64;
    let mut price = 4_000_000_i64;
    let mut step = || {
        // Xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as i64 % 2_001 - 1_000
    };
    (0..count)
        .map(|index| {
            let open = price;
            price = (price + step()).max(100_000);
            let ts = UnixNanos(index as i64 * 60_000_000_000);
            MarketEvent::Bar(Bar {
                instrument_id: instrument_id.clone(),
                spec: BarSpec::External,
                open: Price(open),
                high: Price(open.max(price)),
                low: Price(open.min(price)),
                close: Price(price),
                volume: 1,
                trade_count: 1,
                ts_open: ts,
                ts_init: ts,
            })
        })
        .collect()
}

/// The loop that one writes without an engine: float money, no orders, no events.
fn by_hand(events: &[MarketEvent]) -> (usize, f64) {
    let (mut fast, mut slow) = (Ema::new(10), Ema::new(20));
    let (mut was_up, mut pending, mut position) = (None, 0.0, 0.0);
    let (mut cash, mut peak, mut drawdown, mut fills) = (0.0_f64, 0.0_f64, 0.0_f64, 0);
    for (index, event) in events.iter().enumerate() {
        let MarketEvent::Bar(bar) = event else {
            continue;
        };
        if pending != 0.0 {
            cash -= pending * bar.open.0 as f64 / 100.0;
            position += pending;
            pending = 0.0;
            fills += 1;
        }
        let close = bar.close.0 as f64 / 100.0;
        let up = fast.update(close) > slow.update(close);
        if index >= 20 && was_up.replace(up).is_some_and(|before| before != up) {
            pending = if up { 1.0 } else { 0.0 } - position;
        }
        let equity = cash + position * close;
        peak = peak.max(equity);
        drawdown = drawdown.max(peak - equity);
    }
    (fills, drawdown)
}

fn median(mut seconds: Vec<f64>) -> (f64, f64, f64) {
    seconds.sort_by(f64::total_cmp);
    (seconds[RUNS / 2], seconds[0], seconds[RUNS - 1])
}

/// Runs the engine and returns its seconds and the number of fills.
fn engine(events: &[MarketEvent], warmup: &str) -> (Vec<f64>, usize) {
    let parameters = [("quantity", "1"), ("warmup", warmup)];
    let options = BacktestOptions {
        strategy: "ema-cross".to_owned(),
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        fill: Some(Fill::NextOpen),
        ..BacktestOptions::default()
    };
    let mut fills = 0;
    let seconds = (0..RUNS)
        .map(|_| {
            let copy = events.to_vec();
            let begun = Instant::now();
            let report = run(&options, copy, vec![instrument()]).expect("the options are valid");
            let seconds = begun.elapsed().as_secs_f64();
            fills = report.fills.len();
            black_box(report);
            seconds
        })
        .collect();
    (seconds, fills)
}

fn main() {
    // Cargo adds `--bench`; the first plain number is ours.
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let events = bars(count);
    let (seconds, fills) = engine(&events, "20");
    let trading = median(seconds);
    let (seconds, none) = engine(&events, "1000000000");
    let watching = median(seconds);
    let mut fills_by_hand = 0;
    let baseline = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let (fills, drawdown) = by_hand(black_box(&events));
            let seconds = begun.elapsed().as_secs_f64();
            fills_by_hand = fills;
            black_box(drawdown);
            seconds
        })
        .collect();
    assert_eq!(fills, fills_by_hand, "both made the same decisions");
    assert_eq!(none, 0, "nothing trades before the warm-up");
    let baseline = median(baseline);
    println!("{count} bars, {fills} fills, {RUNS} runs, median (fastest to slowest)");
    for (name, (middle, best, worst)) in [
        ("engine, trading", trading),
        ("engine, no order", watching),
        ("by hand", baseline),
    ] {
        let rate = |seconds: f64| count as f64 / seconds / 1e6;
        println!(
            "{name:16} {:8.2} million bars/s ({:.2} to {:.2})",
            rate(middle),
            rate(best),
            rate(worst)
        );
    }
    println!("trading / by hand: {:.1}", trading.0 / baseline.0);
    let per_order = (trading.0 - watching.0) / fills.max(1) as f64;
    println!("an order and its fill: {:.2} us", per_order * 1e6);
}
