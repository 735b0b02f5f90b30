//! Is the simulated market a plausible one? Figures of a whole simulated day, within bounds.
//!
//! `cargo test -p apex-domain --test simulated_day -- --nocapture` prints the table of
//! `docs/guide/simulated-market.md`.

mod figures;

use apex_domain::UnixNanos;
use apex_domain::market::MarketEvent;
use apex_domain::matching::{
    ExchangeEvent, ExchangeInput, Regime, SimExchange, SimInstrument, SimOptions,
};
use figures::{
    absolute, autocorrelation, correlation, deviation, kurtosis, mean, mean_autocorrelation,
    median, returns,
};
use std::collections::BTreeMap;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 24 * 3_600;

/// Midnight UTC, so that hour 0 of the figures is hour 0 of the day.
const MIDNIGHT_S: i64 = 19_675 * DAY_SECONDS;

/// One instrument, seen once a second.
#[derive(Default)]
struct Watched {
    events: u64,
    trades: u64,
    trades_by_hour: [u64; 24],
    middle: f64,
    bid: i64,
    ask: i64,
    middles: Vec<f64>,
    spreads: Vec<i64>,
    best: Vec<i64>,
    ten_levels: Vec<i64>,
}

struct Day {
    watched: BTreeMap<String, Watched>,
    /// The regime in each second.
    regimes: Vec<Regime>,
}

fn watch(options: SimOptions, seconds: i64) -> Day {
    let mut exchange = SimExchange::new(options).unwrap();
    let mut day = Day {
        watched: BTreeMap::new(),
        regimes: Vec::new(),
    };
    let mut out = Vec::new();
    for second in 0..seconds {
        let now = UnixNanos((MIDNIGHT_S + second) * SECOND_NS);
        exchange.apply(now, ExchangeInput::Step, &mut out);
        for event in out.drain(..) {
            let ExchangeEvent::Market(event) = event else {
                continue;
            };
            let id = event.instrument_id().as_str();
            if !day.watched.contains_key(id) {
                day.watched.insert(id.to_owned(), Watched::default());
            }
            let watched = day.watched.get_mut(id).unwrap();
            watched.see(&event, (second / 3_600) as usize);
        }
        day.regimes.push(exchange.regime());
        for watched in day.watched.values_mut() {
            watched.middles.push(watched.middle);
            watched.spreads.push(watched.ask - watched.bid);
        }
        if second % 60 == 0 {
            for event in exchange.snapshots(now) {
                let MarketEvent::Snapshot(book) = event else {
                    continue;
                };
                let watched = day.watched.get_mut(book.instrument_id.as_str()).unwrap();
                watched.best.push(book.bids[0].quantity.0);
                let ten = book.bids.iter().take(10).map(|level| level.quantity.0);
                watched.ten_levels.push(ten.sum());
            }
        }
    }
    day
}

impl Watched {
    fn see(&mut self, event: &MarketEvent, hour: usize) {
        self.events += 1;
        match event {
            MarketEvent::Trade(_) => {
                self.trades += 1;
                self.trades_by_hour[hour] += 1;
            }
            MarketEvent::Quote(quote) => {
                if let (Some(bid), Some(ask)) = (quote.bid, quote.ask) {
                    (self.bid, self.ask) = (bid.price.0, ask.price.0);
                    self.middle = (bid.price.0 + ask.price.0) as f64 / 2.0;
                }
            }
            _ => {}
        }
    }

    fn minutes(&self) -> Vec<f64> {
        let each: Vec<f64> = self.middles.iter().step_by(60).copied().collect();
        returns(&each)
    }

    /// Returns the deviation of the returns of whole ten-second spans that lie in a regime.
    fn deviation_in(&self, regimes: &[Regime], regime: Regime) -> f64 {
        let middles = self.middles.chunks_exact(10);
        let spans = middles.zip(regimes.chunks_exact(10));
        let moves = spans.filter(|(_, of)| of.iter().all(|r| *r == regime));
        let moves: Vec<f64> = moves.flat_map(|(m, _)| returns(&[m[0], m[9]])).collect();
        deviation(&moves)
    }

    fn spread_in(&self, regimes: &[Regime], regime: Regime) -> i64 {
        let seconds = self.spreads.iter().zip(regimes);
        let mut spreads: Vec<i64> = seconds
            .filter(|(_, of)| **of == regime)
            .map(|(spread, _)| *spread)
            .collect();
        median(&mut spreads)
    }

    fn best_in(&self, regimes: &[Regime], regime: Regime) -> f64 {
        let minutes = self.best.iter().zip(regimes.iter().step_by(60));
        let inside = minutes.filter(|(_, of)| **of == regime);
        let best: Vec<f64> = inside.map(|(best, _)| *best as f64).collect();
        mean(&best)
    }
}

/// A figure and the bounds that it must keep.
struct Figure {
    name: &'static str,
    value: f64,
    low: f64,
    high: f64,
}

fn figure(name: &'static str, value: f64, low: f64, high: f64) -> Figure {
    Figure {
        name,
        value,
        low,
        high,
    }
}

/// Depth is counted in the lots of the instrument's traders.
fn figures_of(definition: &SimInstrument, day: &Day) -> Vec<Figure> {
    let id = definition.instrument.instrument_id.as_str();
    let watched = &day.watched[id];
    let minutes = watched.minutes();
    let sizes = absolute(&minutes);
    let lot = definition.lot.0 as f64;
    let calm_spread = watched.spread_in(&day.regimes, Regime::Calm) as f64;
    let storm_spread = watched.spread_in(&day.regimes, Regime::Storm) as f64;
    let calm = watched.deviation_in(&day.regimes, Regime::Calm);
    let storm = watched.deviation_in(&day.regimes, Regime::Storm);
    let half = definition.half_spread_ticks as f64;
    let best = median(&mut watched.best.clone()) as f64 / lot;
    let ten = median(&mut watched.ten_levels.clone()) as f64 / lot;
    let calm_best = watched.best_in(&day.regimes, Regime::Calm);
    let storm_best = watched.best_in(&day.regimes, Regime::Storm);
    let largest = (1..=20)
        .map(|lag| autocorrelation(&minutes, lag).abs())
        .fold(0.0, f64::max);
    let smallest = (1..=20)
        .map(|lag| autocorrelation(&sizes, lag))
        .fold(1.0, f64::min);
    let ordinary = watched.trades as f64 / day.regimes.len() as f64 * 60.0;
    vec![
        figure(
            "events a second",
            watched.events as f64 / day.regimes.len() as f64,
            15.0,
            80.0,
        ),
        figure("trades a minute", ordinary, 120.0, 900.0),
        figure("spread, calm, median ticks", calm_spread, half, 3.0 * half),
        figure(
            "spread, storm over calm",
            storm_spread / calm_spread,
            1.2,
            3.0,
        ),
        figure("depth at best, median lots", best, 2.0, 15.0),
        figure("depth of ten levels, median lots", ten, 40.0, 120.0),
        figure(
            "depth at best, storm over calm",
            storm_best / calm_best,
            0.3,
            0.95,
        ),
        figure(
            "volatility, a minute, basis points",
            deviation(&minutes),
            1.0,
            15.0,
        ),
        figure("volatility, storm over calm", storm / calm, 1.5, 4.0),
        figure("kurtosis of minutes", kurtosis(&minutes), 3.5, 60.0),
        figure(
            "autocorrelation of returns, lag 1",
            autocorrelation(&minutes, 1),
            -0.12,
            0.12,
        ),
        figure("same, largest of lags 1 to 20", largest, 0.0, 0.15),
        figure(
            "same of absolute returns, lag 1",
            autocorrelation(&sizes, 1),
            0.1,
            0.7,
        ),
        figure(
            "same, mean of lags 1 to 5",
            mean_autocorrelation(&sizes, 1, 5),
            0.1,
            0.7,
        ),
        figure(
            "same, mean of lags 16 to 20",
            mean_autocorrelation(&sizes, 16, 20),
            0.03,
            0.6,
        ),
        figure("same, smallest of lags 1 to 20", smallest, 0.0, 0.6),
    ]
}

fn check(id: &str, figures: &[Figure]) {
    for figure in figures {
        let Figure {
            name,
            value,
            low,
            high,
        } = figure;
        println!("| {id} | {name} | {value:.2} | {low} to {high} |");
    }
    for figure in figures {
        assert!(
            (figure.low..=figure.high).contains(&figure.value),
            "{id}: {} is {}",
            figure.name,
            figure.value
        );
    }
}

#[test]
fn a_simulated_day_is_plausible() {
    let mut options = SimOptions::new(7);
    // Coins and a share; the contracts and the other share have the same traders.
    options.instruments.truncate(3);
    let definitions = options.instruments.clone();
    let day = watch(options, DAY_SECONDS);
    println!("| instrument | figure | measured | bounds |\n|---|---|---|---|");
    let mut minutes = Vec::new();
    let mut all = Vec::new();
    for definition in &definitions {
        let id = definition.instrument.instrument_id.as_str();
        minutes.push(day.watched[id].minutes());
        all.push((id, figures_of(definition, &day)));
    }
    let hours = |id: &str, hours: &[usize]| {
        let trades = hours
            .iter()
            .map(|hour| day.watched[id].trades_by_hour[*hour] as f64);
        mean(&trades.collect::<Vec<_>>())
    };
    let storms = day.regimes.iter().filter(|r| **r == Regime::Storm).count();
    let shared = [
        figure(
            "share of the day in storms",
            storms as f64 / day.regimes.len() as f64,
            0.05,
            0.4,
        ),
        figure(
            "correlation of the coins",
            correlation(&minutes[0], &minutes[1]),
            0.55,
            0.85,
        ),
        figure(
            "correlation of coin and share",
            correlation(&minutes[0], &minutes[2]),
            0.2,
            0.55,
        ),
        figure(
            "coin, trades of 15 h over 3 h",
            hours("BTCUSDT.SIM", &[14, 15]) / hours("BTCUSDT.SIM", &[2, 3]),
            1.3,
            3.5,
        ),
        // 15 h and 20 h lie wholly in the session, and so does its middle.
        figure(
            "share, trades at the ends of the session over its middle",
            hours("AAPL.SIM", &[15, 20]) / hours("AAPL.SIM", &[17]),
            1.2,
            3.0,
        ),
    ];
    for (id, figures) in &all {
        check(id, figures);
    }
    check("market", &shared);
}
