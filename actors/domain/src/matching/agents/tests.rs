//! Each kind of trader by itself, and the market that they make together.

use super::*;
use crate::matching::exchange::{ExchangeEvent, ExchangeInput, SimError, SimExchange, SimOptions};
use crate::number::Quantity;
use crate::time::NANOS_PER_SECOND;
use climate::MINUTE_TURNS;

const BTC: usize = 0;

fn definition(change: impl Fn(&mut MarketParameters)) -> SimInstrument {
    let mut definition = SimInstrument::defaults().remove(BTC);
    change(&mut definition.parameters);
    definition
}

/// Books and chance of a floor that a test stands on.
struct Stage {
    definition: SimInstrument,
    book: OrderBook,
    changes: BookChanges,
    random: Random,
    fair: i64,
}

impl Stage {
    fn new(change: impl Fn(&mut MarketParameters)) -> Stage {
        let definition = definition(change);
        Stage {
            fair: definition.start_milliticks(),
            definition,
            book: OrderBook::new(),
            changes: BookChanges::default(),
            random: Random::new(3),
        }
    }

    fn floor(&mut self, spread_permille: i64, depth_permille: i64) -> Floor<'_> {
        Floor {
            definition: &self.definition,
            book: &mut self.book,
            changes: &mut self.changes,
            random: &mut self.random,
            fair: self.fair,
            spread_permille,
            depth_permille,
        }
    }

    fn quote_all(&mut self, makers: &mut Makers, spread_permille: i64, depth_permille: i64) {
        for _ in 0..MAKERS {
            makers.quote(&mut self.floor(spread_permille, depth_permille));
        }
    }

    fn best(&self, side: Side) -> i64 {
        self.book.best(side).unwrap().price.0
    }

    fn total(&self) -> i64 {
        let depth = self.book.depth(Side::Buy, usize::MAX);
        depth.iter().map(|level| level.quantity.0).sum()
    }
}

#[test]
fn makers_quote_wider_and_less_in_a_storm() {
    let mut stage = Stage::new(|_| {});
    let mut makers = Makers::default();
    stage.quote_all(&mut makers, 1_000, 1_000);
    let spread = stage.best(Side::Sell) - stage.best(Side::Buy);
    let calm = stage.total();
    stage.quote_all(&mut makers, 3_000, 200);
    let wider = stage.best(Side::Sell) - stage.best(Side::Buy);
    assert!(wider > 2 * spread, "{spread} {wider}");
    assert!(stage.total() * 3 < calm, "{calm} {}", stage.total());
}

#[test]
fn makers_that_have_bought_quote_lower() {
    let check = |skew_permille: i64, sold: bool| {
        let mut stage = Stage::new(|p| p.skew_permille = skew_permille);
        let mut makers = Makers::default();
        stage.quote_all(&mut makers, 1_000, 1_000);
        if sold {
            let price = Some(Price(1));
            let order = super::super::order_book::PlaceOrder {
                owner: 1,
                side: Side::Sell,
                limit_price: price,
                quantity: Quantity(stage.total()),
                filled: Quantity::ZERO,
                time_in_force: crate::order::TimeInForce::Ioc,
                post_only: false,
            };
            stage.book.place(order, &mut stage.changes).unwrap();
            assert_eq!(stage.total(), 0);
        }
        stage.quote_all(&mut makers, 1_000, 1_000);
        (stage.best(Side::Buy) + stage.best(Side::Sell)) / 2 - stage.fair / 1_000
    };
    let half_spread = definition(|_| {}).half_spread_ticks;
    assert_eq!(check(20, false), 0);
    assert_eq!(check(0, true), 0);
    let moved = check(500, true);
    assert!(moved < 0 && moved >= -half_spread / 2 - 1, "{moved}");
}

/// Returns the count of takers in each of many seconds.
fn takers_by_second(excitation_permille: i64) -> Vec<i64> {
    let mut stage = Stage::new(|p| p.excitation_permille = excitation_permille);
    let mut takers = Takers::new();
    let mut second = || {
        let turns = 0..SECOND_TURNS;
        let taken = turns.filter(|_| takers.turn(&mut stage.floor(1_000, 1_000), 1_000).is_some());
        taken.count() as i64
    };
    (0..6_000).map(|_| second()).collect()
}

#[test]
fn takers_come_in_clusters_and_as_often_as_the_parameter_says() {
    // Variance over mean: about 1 where arrivals are independent, more where they cluster.
    let check = |excitation: i64, low: i64, high: i64| {
        let counts = takers_by_second(excitation);
        let sum: i64 = counts.iter().sum();
        // 4 a second expected.
        assert!((21_600..26_400).contains(&sum), "{excitation}: {sum}");
        let squares: i64 = counts.iter().map(|n| n * n).sum();
        let percent = (squares * 100 - sum * sum * 100 / 6_000) / sum;
        assert!((low..high).contains(&percent), "{excitation}: {percent}");
    };
    check(0, 85, 110);
    check(600, 180, 500);
}

#[test]
fn momentum_traders_follow_a_trend_and_do_nothing_without_one() {
    let check = |step: i64, expected: Option<Side>| {
        let mut stage = Stage::new(|p| p.momentum_per_minute = 600);
        let mut makers = Makers::default();
        let mut momentum = Momentum::default();
        let mut sides = Vec::new();
        for turn in 0..MINUTE_TURNS {
            stage.fair += step;
            if turn.is_multiple_of(10) {
                stage.quote_all(&mut makers, 1_000, 1_000);
            }
            sides.extend(momentum.turn(&mut stage.floor(1_000, 1_000)));
        }
        assert_eq!(sides.len() > 100, expected.is_some(), "{}", sides.len());
        assert!(sides.iter().all(|(side, _)| Some(*side) == expected));
    };
    check(0, None);
    check(200, Some(Side::Buy));
    check(-200, Some(Side::Sell));
}

/// Returns the correlation, in percent, of the minutes of two fair values in one climate.
fn correlation_percent(factor_permille: i64) -> i64 {
    let definition = definition(|p| {
        p.factor_permille = factor_permille;
        p.jumps_per_day = 0;
    });
    let quiet = ClimateParameters {
        jumps_per_day: 0,
        ..ClimateParameters::default()
    };
    let mut climate = Climate::new(Random::new(1), quiet);
    let mut randoms = [Random::new(2), Random::new(3)];
    let mut fairs = [FairValue::new(&definition), FairValue::new(&definition)];
    let (mut product, mut squares) = (0_i128, [0_i128; 2]);
    for _ in 0..1_000 {
        let before = [fairs[0].milliticks(), fairs[1].milliticks()];
        for _ in 0..MINUTE_TURNS / 10 {
            let weather = climate.turn();
            for (fair, random) in fairs.iter_mut().zip(&mut randoms) {
                fair.turn(&definition, &weather, 1_000, random);
            }
        }
        let moved = [0, 1].map(|n| i128::from(fairs[n].milliticks() - before[n]));
        product += moved[0] * moved[1];
        squares = [0, 1].map(|n| squares[n] + moved[n] * moved[n]);
    }
    let scale = (squares[0].unsigned_abs() * squares[1].unsigned_abs()).isqrt();
    (product * 100 / scale as i128) as i64
}

#[test]
fn fair_values_correlate_by_the_product_of_their_weights() {
    for (permille, expected) in [(0, 0), (500, 25), (850, 72), (1_000, 100)] {
        let percent = correlation_percent(permille);
        assert!((percent - expected).abs() <= 10, "{permille}: {percent}");
    }
}

/// Returns a hash of all that ten minutes of market tell.
fn events_hash(seed: u64) -> u64 {
    let mut options = SimOptions::new(seed);
    // The number was taken when these were all; what was added has streams of its own.
    options.instruments.truncate(3);
    let mut exchange = SimExchange::new(options).unwrap();
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    let mut out = Vec::new();
    for second in 0..600 {
        let now = UnixNanos((1_700_000_000 + second) * NANOS_PER_SECOND);
        exchange.apply(now, ExchangeInput::Step, &mut out);
        for event in out.drain(..) {
            if let ExchangeEvent::Market(event) = event {
                hash.update(&postcard::to_stdvec(&event).unwrap());
            }
        }
    }
    hash.digest()
}

#[test]
fn a_seed_gives_the_same_events_on_every_machine() {
    // Another number here means another market for every seed that users keep: say so in the
    // changelog.
    assert_eq!(events_hash(42), 14_799_933_140_509_017_002);
    assert_ne!(events_hash(43), events_hash(42));
}

#[test]
fn the_widest_parameters_neither_overflow_nor_stop_the_market() {
    let mut options = SimOptions::new(1);
    options.climate = ClimateParameters {
        calm_minutes: 1,
        storm_minutes: 1,
        jumps_per_day: 1_000,
    };
    for definition in &mut options.instruments {
        definition.parameters = MarketParameters {
            factor_permille: 1_000,
            storm_volatility_permille: 10_000,
            storm_spread_permille: 10_000,
            storm_depth_permille: 50,
            jumps_per_day: 1_000,
            jump_deviations: 2_000,
            actions_per_second: 90,
            takers_per_minute: 2_000,
            excitation_permille: 900,
            excitation_ms: 10,
            momentum_per_minute: 600,
            skew_permille: 500,
            day: DayShape::Wave {
                peak_minute: 0,
                swing_permille: 900,
            },
        };
    }
    let mut exchange = SimExchange::new(options).unwrap();
    let mut out = Vec::new();
    let mut regimes = Vec::new();
    for second in 0..300 {
        let before = out.len();
        let now = UnixNanos(second * NANOS_PER_SECOND);
        exchange.apply(now, ExchangeInput::Step, &mut out);
        assert!(out.len() > before, "{second}");
        regimes.push(exchange.regime());
    }
    assert!(regimes.contains(&Regime::Calm) && regimes.contains(&Regime::Storm));
}

#[test]
fn parameters_outside_their_bounds_make_no_exchange() {
    let mut options = SimOptions::new(1);
    options.instruments[BTC].parameters.excitation_permille = 1_000;
    let error = SimExchange::new(options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "simulated traders of BTCUSDT.SIM: excitation_permille is 1000, outside 0 to 900"
    );
    let mut options = SimOptions::new(1);
    options.climate.calm_minutes = 0;
    let error = SimExchange::new(options).unwrap_err();
    assert!(matches!(error, SimError::Climate(e) if e.field == "calm_minutes"));
}
