//! Each check by itself, on the account that asks it.

mod funds;
mod numbers;

use super::checks::CHECKS;
use super::{Limits, MarketRef, ReasonCode, TradingState};
use crate::account::AccountInput;
use crate::account::tests::support::*;
use crate::instrument::InstrumentKind;
use crate::market::Side;
use crate::money::Rate;
use crate::number::{Price, Quantity};
use crate::order::{OrderStatus, SubmitOrder};
use crate::time::NANOS_PER_SECOND;

/// Submits at the usual market and returns the reason of the denial.
fn denial(world: &mut World, request: SubmitOrder) -> Option<ReasonCode> {
    world.submit(request);
    let order = world.replied_order();
    assert_eq!(
        order.status == OrderStatus::Denied,
        order.reason_code.is_some()
    );
    order.reason_code
}

fn buy(client: &str, quantity: i64, price: i64) -> SubmitOrder {
    limit(client, SPOT, Side::Buy, quantity, price)
}

fn with_limits(limits: Limits) -> World {
    let mut world = World::ready();
    world.limits(limits);
    world
}

fn set_state(world: &mut World, state: TradingState) {
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state,
        by: "ops".to_owned(),
        reason: String::new(),
    });
}

#[test]
fn the_checks_come_in_the_stated_order() {
    let names: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "trading_state",
            "supported",
            "position_side",
            "price_increment",
            "quantity_increment",
            "quantity_bounds",
            "reduce_only",
            "side_quantity",
            "reference_price",
            "notional",
            "price_collar",
            "open_orders",
            "order_rate",
            "self_trade",
            "instrument_exposure",
            "position_limit",
            "strategy_exposure",
            "account_exposure",
            "platform_exposure",
            "concentration",
            "buying_power"
        ]
    );
}

#[test]
fn prices_and_quantities_keep_to_their_increments_and_bounds() {
    let mut world = World::opened();
    world.cash("USDT", "1000000");
    let mut coarse = instrument(SPOT);
    coarse.price_increment = Price(50);
    coarse.quantity_increment = Quantity(10);
    coarse.min_quantity = Quantity(20);
    coarse.max_quantity = Quantity(1_000);
    coarse.min_notional = money("10");
    world.apply(AccountInput::DefineInstrument(Box::new(coarse)));
    for (client, quantity, price, expected) in [
        ("off-price", 100, 10_001, Some(ReasonCode::PriceIncrement)),
        (
            "off-quantity",
            105,
            10_000,
            Some(ReasonCode::QuantityIncrement),
        ),
        ("small", 10, 10_000, Some(ReasonCode::MinQuantity)),
        ("large", 1_010, 10_000, Some(ReasonCode::MaxQuantity)),
        ("cheap", 90, 10_000, Some(ReasonCode::MinNotional)),
        ("least", 100, 10_000, None),
        ("most", 1_000, 10_000, None),
    ] {
        assert_eq!(
            denial(&mut world, buy(client, quantity, price)),
            expected,
            "{client}"
        );
    }
}

#[test]
fn a_market_order_needs_a_fresh_price_of_its_side() {
    let mut world = with_limits(Limits {
        max_reference_age_ns: Some(NANOS_PER_SECOND),
        ..Limits::default()
    });
    let now = world.now;
    let mut ask = |client: &str, side, market: MarketRef| {
        world.apply(AccountInput::Submit {
            request: Box::new(market_order(client, PERP, side, 100)),
            market,
        });
        world.replied_order().reason_code
    };
    let one_sided = MarketRef {
        bid: Some(Price(10_000)),
        ask: None,
        ts: now,
    };
    let stale = market(9_999, 10_001, now.plus(-2 * NANOS_PER_SECOND));
    let none = Some(ReasonCode::NoReferencePrice);
    assert_eq!(ask("a", Side::Buy, MarketRef::default()), none);
    assert_eq!(ask("b", Side::Buy, one_sided), none);
    assert_eq!(ask("c", Side::Buy, stale), none);
    assert_eq!(ask("d", Side::Sell, one_sided), None);
}

#[test]
fn one_order_has_a_largest_notional() {
    let mut world = with_limits(Limits {
        max_order_notional: Some(money("100")),
        ..Limits::default()
    });
    assert_eq!(denial(&mut world, buy("a", 1_000, 10_000)), None);
    assert_eq!(
        denial(&mut world, buy("b", 1_001, 10_000)),
        Some(ReasonCode::MaxNotional)
    );
    // Bought at the ask of 100.01.
    let order = market_order("c", PERP, Side::Buy, 1_000);
    assert_eq!(denial(&mut world, order), Some(ReasonCode::MaxNotional));
}

#[test]
fn a_limit_price_may_be_worse_than_the_market_by_the_collar() {
    let mut world = with_limits(Limits {
        price_collar: Some(Rate::parse("0.1").unwrap()),
        ..Limits::default()
    });
    // Ask 100.01, bid 99.99.
    assert_eq!(denial(&mut world, buy("a", 10, 11_001)), None);
    assert_eq!(
        denial(&mut world, buy("b", 10, 11_002)),
        Some(ReasonCode::PriceCollar)
    );
    assert_eq!(denial(&mut world, buy("far", 1_000, 100)), None);
    let sell = |client, price| limit(client, PERP, Side::Sell, 1_000, price);
    assert_eq!(denial(&mut world, sell("c", 9_000)), None);
    assert_eq!(
        denial(&mut world, sell("d", 8_999)),
        Some(ReasonCode::PriceCollar)
    );
}

#[test]
fn open_orders_are_counted() {
    let mut world = with_limits(Limits {
        max_open_orders: Some(2),
        ..Limits::default()
    });
    world.working(buy("a", 10, 10_000));
    assert_eq!(denial(&mut world, buy("b", 10, 10_000)), None);
    assert_eq!(
        denial(&mut world, buy("c", 10, 10_000)),
        Some(ReasonCode::OpenOrderLimit)
    );
    // An amend opens none.
    world.amend("a", Some(20), None);
    assert_eq!(world.events(), ["OrderPendingAmend"]);
    world.ended("a", 0);
    assert_eq!(denial(&mut world, buy("d", 10, 10_000)), None);
}

#[test]
fn orders_and_amends_of_one_second_are_counted() {
    let mut world = with_limits(Limits {
        max_orders_per_second: Some(3),
        ..Limits::default()
    });
    world.working(buy("a", 10, 10_000));
    let first = world.order("a").ts_created;
    world.submit(buy("b", 10, 10_000));
    world.amend("a", Some(20), None);
    assert_eq!(
        denial(&mut world, buy("c", 10, 10_000)),
        Some(ReasonCode::OrderRate)
    );
    // A denied order does not count. The first one leaves the window a second after it came.
    world.now = first.plus(NANOS_PER_SECOND - 2_000_000);
    assert_eq!(
        denial(&mut world, buy("d", 10, 10_000)),
        Some(ReasonCode::OrderRate)
    );
    assert_eq!(denial(&mut world, buy("e", 10, 10_000)), None);
    world.assert_recovers();
}

#[test]
fn the_position_limit_counts_every_working_order_of_the_side_as_filled() {
    let mut world = with_limits(Limits {
        max_position_notional: Some(money("300.03")),
        ..Limits::default()
    });
    world.working(buy("a", 1_000, 10_000));
    world.fill("a", "x1", 1_000, 10_000);
    world.working(buy("b", 1_000, 9_000));
    // Three at the ask of 100.01 is the limit.
    assert_eq!(
        denial(&mut world, buy("c", 1_001, 9_000)),
        Some(ReasonCode::PositionLimit)
    );
    assert_eq!(denial(&mut world, buy("d", 1_000, 9_000)), None);
    let sell = limit("e", SPOT, Side::Sell, 1_000, 10_000);
    assert_eq!(denial(&mut world, sell), None);
    world.amend("b", Some(1_001), None);
    assert!(matches!(
        world.refusal(),
        crate::account::Refusal::Rule {
            code: ReasonCode::PositionLimit,
            ..
        }
    ));
    world.amend("b", Some(999), None);
    assert_eq!(world.events(), ["OrderPendingAmend"]);
}

#[test]
fn a_spot_buy_is_covered_by_cash_with_its_fee() {
    // 10,000 USDT, taker fee 0.1 %.
    let mut world = World::ready();
    world.submit(buy("a", 50_000, 10_000));
    // 5,000 and 5 are held; 4,995 are free and pay for 4,990.00... and its fee.
    let too_much = Some(ReasonCode::InsufficientBuyingPower);
    assert_eq!(denial(&mut world, buy("b", 49_901, 10_000)), too_much);
    assert_eq!(denial(&mut world, buy("c", 49_900, 10_000)), None);
    world.ended("c", 0);
    let by_market = market_order("d", SPOT, Side::Buy, 49_900);
    assert_eq!(denial(&mut world, by_market), too_much);
    let by_market = market_order("e", SPOT, Side::Buy, 49_890);
    assert_eq!(denial(&mut world, by_market), None);
}

#[test]
fn a_spot_sell_is_covered_by_what_is_held() {
    let mut world = World::ready();
    let sell = |client, quantity| limit(client, SPOT, Side::Sell, quantity, 10_000);
    let short = Some(ReasonCode::InsufficientBuyingPower);
    assert_eq!(denial(&mut world, sell("a", 100)), short);
    world.working(buy("b", 1_000, 10_000));
    world.fill("b", "x1", 1_000, 10_000);
    world.cash("BTC", "0.5");
    assert_eq!(denial(&mut world, sell("c", 1_400)), None);
    assert_eq!(denial(&mut world, sell("d", 101)), short);
    assert_eq!(denial(&mut world, sell("e", 100)), None);
    world.limits(Limits {
        check_buying_power: true,
        allow_short_spot: true,
        ..Limits::default()
    });
    assert_eq!(denial(&mut world, sell("f", 5_000)), None);
}

#[test]
fn a_contract_is_covered_by_its_margin_on_the_worse_side() {
    // 10,000 USDT carry 100,000 at a margin of 10 %, less fees of 0.1 % on 100,000.
    let mut world = World::ready();
    let order = |client, side, quantity| limit(client, PERP, side, quantity, 10_000);
    let short = Some(ReasonCode::InsufficientBuyingPower);
    assert_eq!(denial(&mut world, order("a", Side::Buy, 1_000_000)), short);
    assert_eq!(denial(&mut world, order("b", Side::Buy, 900_000)), None);
    // The other side up to the same size needs no further margin, only what lies beyond does.
    assert_eq!(denial(&mut world, order("c", Side::Sell, 900_000)), None);
    assert_eq!(denial(&mut world, order("d", Side::Sell, 100_000)), short);
    // What it holds is not free for another instrument.
    assert_eq!(denial(&mut world, buy("e", 9_000, 10_000)), short);
    world.accept("b");
    world.fill("b", "x1", 900_000, 10_000);
    world.ended("c", 0);
    // Closing always passes.
    assert_eq!(denial(&mut world, order("f", Side::Sell, 900_000)), None);
}

#[test]
fn closing_a_contract_passes_however_far_the_price_has_moved() {
    let mut world = World::ready();
    let order = |client, side, quantity, price| limit(client, PERP, side, quantity, price);
    assert_eq!(
        denial(&mut world, order("a", Side::Sell, 900_000, 10_000)),
        None
    );
    world.accept("a");
    world.fill("a", "x1", 900_000, 10_000);
    // Bought back at three times the price: the cost would need 18,000 of 10,000.
    assert_eq!(
        denial(&mut world, order("b", Side::Buy, 900_000, 30_000)),
        None
    );
    let short = Some(ReasonCode::InsufficientBuyingPower);
    assert_eq!(
        denial(&mut world, order("c", Side::Buy, 950_000, 30_000)),
        short
    );
}

#[test]
fn an_inverse_contract_is_covered_by_margin_in_its_base_currency() {
    // 1 BTC carries 10 BTC at a margin of 10 %: 1,000 contracts of 1 USDT at 100.00.
    let mut world = World::ready();
    world.cash("BTC", "1");
    let mut inverse = instrument(PERP);
    inverse.kind = crate::instrument::InstrumentKind::Inverse;
    inverse.instrument_id = id("BTCUSDT-INV.SIM");
    inverse.quantity_decimals = 0;
    inverse.fees.taker = Rate::ZERO;
    inverse.min_notional = money("0");
    world.apply(AccountInput::DefineInstrument(Box::new(inverse)));
    let order =
        |client, side, quantity, price| limit(client, "BTCUSDT-INV.SIM", side, quantity, price);
    // The market is 99.99 to 100.01, and a buy may trade there instead of at its limit.
    let short = Some(ReasonCode::InsufficientBuyingPower);
    assert_eq!(
        denial(&mut world, order("a", Side::Sell, 1_001, 10_000)),
        short
    );
    assert_eq!(
        denial(&mut world, order("b", Side::Sell, 600, 10_000)),
        None
    );
    // A buy far above the market would trade at the market, where it holds more.
    assert_eq!(
        denial(&mut world, order("h", Side::Buy, 1_050, 11_000)),
        short
    );
    // The worse side counts: what lies beyond 600 contracts needs further margin.
    assert_eq!(
        denial(&mut world, order("c", Side::Buy, 1_001, 10_000)),
        short
    );
    assert_eq!(
        denial(&mut world, order("d", Side::Buy, 1_000, 10_000)),
        None
    );
    assert_eq!(
        denial(&mut world, order("e", Side::Sell, 401, 10_000)),
        short
    );
    assert_eq!(
        denial(&mut world, order("f", Side::Sell, 400, 10_000)),
        None
    );
    world.ended("b", 0);
    world.ended("d", 0);
    // 0.4 BTC are held by "f"; the quote currency of another instrument is untouched.
    assert_eq!(denial(&mut world, buy("g", 90_000, 10_000)), None);
}

#[test]
fn the_largest_notional_and_the_bands_of_the_venue_hold() {
    let mut world = with_limits(Limits::default());
    let mut spot = instrument(SPOT);
    spot.rules.max_notional = Some(money("50"));
    spot.rules.price_bands = vec![crate::instrument::PriceBand {
        from: Price(10_000),
        increment: Price(50),
    }];
    world.apply(AccountInput::DefineInstrument(Box::new(spot)));
    assert_eq!(denial(&mut world, buy("a", 500, 10_000)), None);
    let too_large = Some(ReasonCode::MaxNotional);
    assert_eq!(denial(&mut world, buy("b", 501, 10_000)), too_large);
    assert_eq!(
        denial(&mut world, buy("c", 1, 9_999)),
        Some(ReasonCode::MinNotional)
    );
    let off = Some(ReasonCode::PriceIncrement);
    assert_eq!(denial(&mut world, buy("d", 100, 10_001)), off);
    assert_eq!(denial(&mut world, buy("e", 100, 10_050)), None);
}

#[test]
fn without_the_check_cash_may_go_negative() {
    let mut world = with_limits(Limits::default());
    assert_eq!(denial(&mut world, buy("a", 1_000_000, 100_000)), None);
    assert_eq!(
        denial(&mut world, limit("b", SPOT, Side::Sell, 1, 100_000)),
        None
    );
}

#[test]
fn reduce_only_orders_never_pass_zero_together() {
    let mut world = World::ready();
    world.working(limit("a", PERP, Side::Buy, 1_000, 10_000));
    world.fill("a", "x1", 1_000, 10_000);
    let reduce = |client, side, quantity| SubmitOrder {
        reduce_only: true,
        ..limit(client, PERP, side, quantity, 10_000)
    };
    let denied = Some(ReasonCode::ReduceOnly);
    assert_eq!(denial(&mut world, reduce("b", Side::Buy, 1)), denied);
    assert_eq!(denial(&mut world, reduce("c", Side::Sell, 1_001)), denied);
    assert_eq!(denial(&mut world, reduce("d", Side::Sell, 600)), None);
    assert_eq!(denial(&mut world, reduce("e", Side::Sell, 401)), denied);
    assert_eq!(denial(&mut world, reduce("f", Side::Sell, 400)), None);
}

#[test]
fn tc_t02_a_reducing_account_takes_only_what_reduces() {
    let mut world = World::ready();
    world.working(limit("a", PERP, Side::Sell, 1_000, 10_000));
    world.fill("a", "x1", 1_000, 10_000);
    set_state(&mut world, TradingState::Reducing);
    let reducing = Some(ReasonCode::TradingReducing);
    let order = |client, side, quantity| limit(client, PERP, side, quantity, 10_000);
    assert_eq!(denial(&mut world, order("b", Side::Sell, 1)), reducing);
    assert_eq!(denial(&mut world, order("c", Side::Buy, 1_001)), reducing);
    assert_eq!(denial(&mut world, buy("d", 10, 10_000)), reducing);
    assert_eq!(denial(&mut world, order("e", Side::Buy, 1_000)), None);
}

#[test]
fn numbers_that_nothing_can_hold_are_a_denial() {
    let mut world = World::opened();
    let mut vast = instrument(PERP);
    vast.max_quantity = Quantity(i64::MAX);
    world.apply(AccountInput::DefineInstrument(Box::new(vast)));
    world.limits(Limits {
        check_buying_power: true,
        max_position_notional: Some(money("1")),
        price_collar: Some(Rate::parse("0.1").unwrap()),
        ..Limits::default()
    });
    let vast = limit("a", PERP, Side::Buy, i64::MAX, i64::MAX);
    assert_eq!(denial(&mut world, vast), Some(ReasonCode::NumericRange));
    let low = limit("b", PERP, Side::Sell, i64::MAX, i64::MIN);
    assert_eq!(denial(&mut world, low), Some(ReasonCode::NumericRange));
}

#[test]
fn a_preview_names_every_check_that_would_fail_and_decides_nothing() {
    let mut world = World::ready();
    set_state(&mut world, TradingState::Halted);
    let before = world.account.clone();
    let request = buy("a", 1_000_001, 10_000);
    let market = market(9_999, 10_001, world.now);
    let failures = world
        .account
        .preview(world.now, &request, market, None)
        .unwrap()
        .failures;
    let names: Vec<_> = failures.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["trading_state", "quantity_bounds", "buying_power"]);
    assert_eq!(world.account, before);
}

/// An inverse contract is worth more of its base asset the lower its price is.
#[test]
fn an_amend_of_an_inverse_order_to_a_lower_price_is_measured_again() {
    let mut world = World::opened();
    world.cash("BTC", "1.1");
    let mut inverse = instrument(PERP);
    inverse.kind = crate::instrument::InstrumentKind::Inverse;
    world.apply(AccountInput::DefineInstrument(Box::new(inverse)));
    world.limits(Limits {
        check_buying_power: true,
        ..Limits::default()
    });
    // 1,000 contracts at 100 are 10 BTC, of which a tenth is held.
    world.working(limit("a", PERP, Side::Sell, 1_000_000, 10_000));
    world.amend("a", None, Some(5_000));
    assert!(matches!(
        world.refusal(),
        crate::account::Refusal::Rule {
            code: ReasonCode::InsufficientBuyingPower,
            ..
        }
    ));
    world.amend("a", None, Some(20_000));
    assert_eq!(world.state("a"), OrderStatus::PendingAmend);
}
