//! The rules of `docs/guide/bars.md`, by their numbers, for bars that go by the order of arrival.

use super::*;
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;
use proptest::prelude::*;

fn trade(ts: i64, price: i64, quantity: i64) -> Trade {
    Trade {
        instrument_id: InstrumentId::new("X.SIM").unwrap(),
        price: Price(price),
        quantity: Quantity(quantity),
        aggressor: None,
        trade_id: 0,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts + 1_000),
    }
}

fn builder(spec: BarSpec) -> BarBuilder {
    BarBuilder::new(InstrumentId::new("X.SIM").unwrap(), spec, 64).unwrap()
}

fn ticks(count: u64) -> BarBuilder {
    builder(BarSpec::Tick { count })
}

fn volume(quantity: i64) -> BarBuilder {
    builder(BarSpec::Volume {
        quantity: Quantity(quantity),
    })
}

fn value(amount: i128) -> BarBuilder {
    builder(BarSpec::Value { amount })
}

fn renko(brick: i64) -> BarBuilder {
    builder(BarSpec::Renko {
        brick: Price(brick),
    })
}

/// A bar as (open, high, low, close), volume, trades.
type Shown = ([i64; 4], i128, u64);

fn shown(bars: &[Bar]) -> Vec<Shown> {
    bars.iter()
        .map(|bar| {
            let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| price.0);
            (prices, bar.volume, bar.trade_count)
        })
        .collect()
}

fn feed(builder: &mut BarBuilder, trades: &[(i64, i64)]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (ts, (price, quantity)) in trades.iter().enumerate() {
        builder.on_trade(&trade(ts as i64, *price, *quantity), &mut bars);
    }
    bars
}

/// Feeds trades as (price, quantity) and compares the bars and the quantity that is still open.
fn check(builder: &mut BarBuilder, trades: &[(i64, i64)], bars: &[Shown], pending: i128) {
    assert_eq!(shown(&feed(builder, trades)), bars);
    assert_eq!(builder.pending_volume(), pending);
}

#[test]
fn tc_b02_a_tick_bar_holds_the_trade_that_completes_it() {
    let trades = [(5, 1), (7, 2), (4, 3), (6, 4)];
    check(&mut ticks(3), &trades, &[([5, 7, 4, 4], 6, 3)], 4);
    check(&mut ticks(1), &trades[..1], &[([5; 4], 1, 1)], 0);
}

#[test]
fn tc_b06_a_print_of_25_fills_two_volume_bars_of_10_and_leaves_5() {
    let mut bars = volume(10);
    check(&mut bars, &[(5, 25)], &[([5; 4], 10, 1); 2], 5);
    assert_eq!(bars.counters().splits, 2);
}

#[test]
fn tc_b06_a_volume_bar_is_split_at_the_very_threshold() {
    let trades = [(5, 6), (7, 4), (8, 9), (3, 2)];
    let expected = [([5, 7, 5, 7], 10, 2), ([8, 8, 3, 3], 10, 2)];
    check(&mut volume(10), &trades, &expected, 1);
}

#[test]
fn tc_b07_a_print_of_25_at_100_fills_two_value_bars_of_1000_and_leaves_500() {
    check(&mut value(1_000), &[(100, 25)], &[([100; 4], 10, 1); 2], 5);
}

#[test]
fn tc_b07_a_value_bar_takes_the_least_quantity_that_reaches_the_amount() {
    // 4 at 30 reach 100, 3 do not; the excess of 20 is not carried on.
    check(&mut value(100), &[(30, 7)], &[([30; 4], 4, 1)], 3);
    check(
        &mut value(100),
        &[(30, 7), (10, 1), (9, 9)],
        &[([30; 4], 4, 1), ([30, 30, 10, 10], 4, 2)],
        9,
    );
}

#[test]
fn tc_b07_value_counts_without_sign_and_a_price_of_zero_adds_only_quantity() {
    check(&mut value(100), &[(-50, 2)], &[([-50; 4], 2, 1)], 0);
    check(
        &mut value(100),
        &[(0, 8), (50, 2)],
        &[([0, 50, 0, 50], 10, 2)],
        0,
    );
}

#[test]
fn tc_b08_renko_of_ten_ticks_gives_two_bricks_for_a_move_of_25() {
    check(
        &mut renko(10),
        &[(100_000, 1), (100_025, 2)],
        &[
            ([100_000, 100_010, 100_000, 100_010], 3, 2),
            ([100_010, 100_020, 100_010, 100_020], 0, 0),
        ],
        0,
    );
}

#[test]
fn tc_b09_a_reversal_takes_a_move_by_two_bricks() {
    let up = ([100, 110, 100, 110], 2, 2);
    check(&mut renko(10), &[(100, 1), (110, 1), (91, 1)], &[up], 1);
    check(
        &mut renko(10),
        &[(100, 1), (110, 1), (91, 1), (90, 1), (109, 1), (110, 1)],
        &[up, ([100, 100, 90, 90], 2, 2), ([100, 110, 100, 110], 2, 2)],
        0,
    );
}

#[test]
fn tc_b09_a_gap_against_the_direction_gives_each_brick_once() {
    check(
        &mut renko(10),
        &[(100, 1), (110, 1), (75, 4)],
        &[
            ([100, 110, 100, 110], 2, 2),
            ([100, 100, 90, 90], 4, 1),
            ([90, 90, 80, 80], 0, 0),
        ],
        0,
    );
}

#[test]
fn tc_b08_bricks_lie_on_multiples_of_their_size() {
    check(&mut renko(10), &[(107, 1), (109, 1)], &[], 2);
    check(
        &mut renko(10),
        &[(107, 1), (110, 1)],
        &[([100, 110, 100, 110], 2, 2)],
        0,
    );
    check(
        &mut renko(10),
        &[(-3, 1), (-20, 1)],
        &[([-10, -10, -20, -20], 2, 2)],
        0,
    );
}

#[test]
fn tc_b03_a_late_trade_is_counted_and_goes_into_the_open_bar() {
    let mut builder = ticks(2);
    let mut bars = Vec::new();
    for ts in [10, 20, 15, 30] {
        builder.on_trade(&trade(ts, 5, 1), &mut bars);
    }
    assert_eq!(shown(&bars), [([5; 4], 2, 2); 2]);
    assert_eq!(
        (builder.counters().late, builder.counters().late_volume),
        (1, 1)
    );
    // In order of arrival: the second bar began with the late trade.
    assert_eq!((bars[0].ts_open.0, bars[1].ts_open.0), (10, 15));
    assert_eq!((bars[0].ts_init.0, bars[1].ts_init.0), (1_020, 1_030));
}

#[test]
fn tc_b05_the_end_of_a_session_ends_the_open_bar_and_no_brick() {
    for spec in [BarSpec::Tick { count: 9 }, BarSpec::Value { amount: 99 }] {
        let mut builder = builder(spec);
        let mut bars = feed(&mut builder, &[(5, 3)]);
        builder.end_session(UnixNanos(77), &mut bars);
        builder.end_session(UnixNanos(78), &mut bars);
        assert_eq!(shown(&bars), [([5; 4], 3, 1)]);
        assert_eq!((bars[0].ts_init.0, builder.pending_volume()), (77, 0));
    }
    let mut bricks = renko(10);
    let mut bars = feed(&mut bricks, &[(100, 1)]);
    bricks.end_session(UnixNanos(77), &mut bars);
    assert!(bars.is_empty());
    check(&mut bricks, &[(110, 1)], &[([100, 110, 100, 110], 2, 2)], 0);
}

#[test]
fn tc_b05_the_next_session_begins_a_value_bar_at_zero() {
    let mut builder = value(100);
    let mut bars = feed(&mut builder, &[(30, 3)]);
    builder.end_session(UnixNanos(77), &mut bars);
    check(&mut builder, &[(30, 3)], &[], 3);
}

#[test]
fn tc_b10_a_trade_without_quantity_is_counted_and_changes_nothing() {
    for mut builder in [ticks(1), volume(1), value(1), renko(1)] {
        check(&mut builder, &[(5, 0), (9, -1)], &[], 0);
        assert_eq!(builder.counters().empty, 2);
    }
}

#[test]
fn tc_b11_one_trade_makes_a_bounded_number_of_bars_and_loses_nothing() {
    for (mut builder, trades) in [
        (volume(1), vec![(5, i64::MAX)]),
        (value(1), vec![(i64::MIN, i64::MAX)]),
        (value(7), vec![(3, i64::MAX)]),
    ] {
        let bars = feed(&mut builder, &trades);
        assert_eq!(bars.len() as u64, BARS_PER_TRADE_MAX);
        assert_eq!(builder.counters().oversized, 1);
        let sum: i128 = bars.iter().map(|bar| bar.volume).sum();
        assert_eq!(sum + builder.pending_volume(), i128::from(i64::MAX));
    }
    let mut bricks = renko(3);
    let bars = feed(&mut bricks, &[(i64::MIN, 1), (i64::MAX, 1), (i64::MIN, 1)]);
    assert_eq!(bars.len() as u64, 2 * BARS_PER_TRADE_MAX);
    // A tall brick is many of the common height: a reversal begins one such below its end.
    let (up, down) = bars.split_at(BARS_PER_TRADE_MAX as usize);
    assert_eq!(down[0].open.0, up[up.len() - 1].close.0 - 3);
}

#[test]
fn tc_b14_a_threshold_that_is_not_above_zero_cannot_be_built() {
    let id = InstrumentId::new("X.SIM").unwrap();
    let error = |spec| BarBuilder::new(id.clone(), spec, 1).unwrap_err();
    for (spec, field) in [
        (BarSpec::Time { interval_ns: 0 }, "interval"),
        (BarSpec::Tick { count: 0 }, "count"),
        (
            BarSpec::Volume {
                quantity: Quantity(-1),
            },
            "quantity",
        ),
        (BarSpec::Value { amount: 0 }, "amount"),
        (BarSpec::Renko { brick: Price(-1) }, "brick"),
    ] {
        assert_eq!(error(spec), BarSpecError::NotPositive { field });
    }
    assert_eq!(error(BarSpec::External), BarSpecError::NotBuilt);
}

fn any_spec() -> impl Strategy<Value = BarSpec> {
    prop_oneof![
        (1_i64..40).prop_map(|interval_ns| BarSpec::Time { interval_ns }),
        (1_u64..6).prop_map(|count| BarSpec::Tick { count }),
        (1_i64..60).prop_map(|q| BarSpec::Volume {
            quantity: Quantity(q)
        }),
        (1_i128..900).prop_map(|amount| BarSpec::Value { amount }),
        (1_i64..9).prop_map(|b| BarSpec::Renko { brick: Price(b) }),
    ]
}

/// What every bar of a kind must be. `price_max` bounds the excess of a value bar.
fn assert_shape(spec: BarSpec, bar: &Bar) -> Result<(), TestCaseError> {
    prop_assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close));
    prop_assert!(bar.ts_init >= bar.ts_open);
    match spec {
        BarSpec::Tick { count } => prop_assert_eq!(bar.trade_count, count),
        BarSpec::Volume { quantity } => prop_assert_eq!(bar.volume, i128::from(quantity.0)),
        BarSpec::Renko { brick } => {
            prop_assert_eq!(bar.high.0 - bar.low.0, brick.0);
            prop_assert_eq!((bar.open.0 - bar.close.0).abs(), brick.0);
            prop_assert_eq!(bar.open.0.rem_euclid(brick.0), 0);
        }
        BarSpec::Value { amount } => {
            let most = bar.volume * i128::from(bar.high.0.abs().max(bar.low.0.abs()));
            prop_assert!(most >= amount);
        }
        BarSpec::Time { interval_ns } => prop_assert_eq!(bar.ts_open.0 % interval_ns, 0),
        BarSpec::External => prop_assert!(false),
    }
    Ok(())
}

proptest! {
    #[test]
    fn tc_b15_bars_hold_what_was_traded(
        spec in any_spec(),
        trades in proptest::collection::vec((0_i64..30, -40_i64..40, 0_i64..200), 0..200),
    ) {
        let mut builder = builder(spec);
        let mut bars = Vec::new();
        let (mut now, mut traded, mut count) = (0, 0_i128, 0_u64);
        for (step, price, quantity) in trades {
            // Some trades are late.
            now += step - 3;
            let trade = trade(now.max(0), price, quantity);
            builder.on_trade(&trade, &mut bars);
            traded += i128::from(quantity);
            count += u64::from(quantity > 0);
        }
        let mut again = Vec::new();
        for bar in &bars {
            assert_shape(spec, bar)?;
        }
        let counters = builder.counters();
        let in_bars: i128 = bars.iter().map(|bar| bar.volume).sum();
        // Only time bars leave late trades out.
        let is_time = matches!(spec, BarSpec::Time { .. });
        let left_out = if is_time { counters.late_volume } else { 0 };
        prop_assert_eq!(in_bars + builder.pending_volume() + left_out, traded);
        builder.end_session(UnixNanos(i64::MAX), &mut again);
        let parts: u64 = bars.iter().chain(&again).map(|bar| bar.trade_count).sum();
        match spec {
            BarSpec::Time { .. } => prop_assert_eq!(parts + counters.late, count),
            BarSpec::Renko { .. } => prop_assert!(parts <= count),
            _ => prop_assert_eq!(parts, count + counters.splits),
        }
    }

    #[test]
    fn tc_b15_each_value_bar_passes_its_amount_by_less_than_one_unit(
        amount in 1_i128..900,
        trades in proptest::collection::vec((1_i64..40, 1_i64..200), 1..100),
    ) {
        let mut value = value(amount);
        let (mut bars, mut in_bar) = (Vec::new(), 0_i128);
        for (price, quantity) in trades {
            // One unit of quantity at a time never splits: the plain rule to compare with.
            let before = bars.len();
            value.on_trade(&trade(0, price, quantity), &mut bars);
            let mut ended = 0;
            for _ in 0..quantity {
                in_bar += i128::from(price);
                if in_bar >= amount {
                    (in_bar, ended) = (0, ended + 1);
                }
            }
            prop_assert_eq!(bars.len() - before, ended);
        }
    }
}
