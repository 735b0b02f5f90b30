//! What an account can pay with: every way in which it is bound already.

use super::*;
use crate::StrategyId;
use crate::number::Decimal;
use crate::order::{OrderTerms, PositionSide};
use crate::risk::MarketView;
use crate::venue::VenueReport;

const SHORT_OF: Option<ReasonCode> = Some(ReasonCode::InsufficientBuyingPower);

fn on_side(position_side: PositionSide, order: SubmitOrder) -> SubmitOrder {
    SubmitOrder {
        terms: OrderTerms {
            position_side,
            ..order.terms
        },
        ..order
    }
}

/// 10,000 USDT carry contracts of 100,000 at a margin of 10 %, less fees of 0.1 %.
#[test]
fn sides_of_a_hedging_account_need_the_margin_of_both() {
    let (long, short) = (PositionSide::Long, PositionSide::Short);
    for filled in [true, false] {
        let mut world = World::small();
        world.hedging();
        let order = |client, meant, side, quantity| {
            on_side(meant, limit(client, PERP, side, quantity, 10_000))
        };
        world.working(order("a", long, Side::Buy, 600_000));
        if filled {
            world.fill("a", "x1", 600_000, 10_000);
        }
        // 6,000 and the fees of what is open are held.
        let over = order("b", short, Side::Sell, 400_000);
        assert_eq!(denial(&mut world, over), SHORT_OF, "{filled}");
        let fits = order("c", short, Side::Sell, 380_000);
        assert_eq!(denial(&mut world, fits), None, "{filled}");
        // Both are held from another instrument as well.
        assert_eq!(denial(&mut world, buy("d", 2_000, 10_000)), SHORT_OF);
        world.accept("c");
        world.fill("c", "x2", 380_000, 10_000);
        if filled {
            // What closes one side passes, whatever works on the other one.
            let out = order("e", long, Side::Sell, 600_000);
            assert_eq!(denial(&mut world, out), None);
            let out = SubmitOrder {
                reduce_only: true,
                ..order("f", short, Side::Buy, 380_000)
            };
            assert_eq!(denial(&mut world, out), None);
        }
        world.assert_recovers();
    }
}

fn show(world: &mut World, instrument: &str, price: i64) {
    let view = MarketView {
        bid: Some(Price(price)),
        ask: Some(Price(price)),
        ts: world.now,
        ..MarketView::default()
    };
    let instrument_id = id(instrument);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
}

/// 1,000 USDT, and 50 contracts bought at 100 with a fee of 5.
#[test]
fn an_open_loss_of_a_contract_is_not_there_to_be_spent() {
    let check = |price, quantity, instrument, expected: Option<ReasonCode>| {
        let mut world = World::small();
        world.cash("USDT", "-9000");
        world.working(limit("a", PERP, Side::Buy, 50_000, 10_000));
        world.fill("a", "x1", 50_000, 10_000);
        show(&mut world, PERP, price);
        world.apply(AccountInput::Submit {
            request: Box::new(limit("o", instrument, Side::Buy, quantity, price)),
            market: market(price, price, world.now),
        });
        let found = world.replied_order().reason_code;
        assert_eq!(found, expected, "{quantity} {instrument} at {price}");
    };
    // At 82 the loss is 900 and the margin 410: less than nothing of 995 is left.
    check(8_200, 1, SPOT, SHORT_OF);
    check(8_200, 1, PERP, SHORT_OF);
    // At 90 the loss is 500 and the margin 450: 45 are free.
    check(9_000, 499, SPOT, None);
    check(9_000, 500, SPOT, SHORT_OF);
    check(9_000, 4_900, PERP, None);
    check(9_000, 5_000, PERP, SHORT_OF);
    // At 110 the margin is 550, and the profit is none before it is made: 445 are free.
    check(11_000, 4_041, SPOT, None);
    check(11_000, 4_042, SPOT, SHORT_OF);
}

/// One strategy is long 10 at 100, the other short 5 at 200: long 5 that cost nothing.
#[test]
fn strategies_that_offset_each_other_leave_a_position_that_needs_its_margin() {
    let mut world = World::small();
    let of = |strategy, order| SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        ..order
    };
    world.working(of("a", limit("a", PERP, Side::Buy, 10_000, 10_000)));
    world.fill("a", "x1", 10_000, 10_000);
    world.working(of("b", limit("b", PERP, Side::Sell, 5_000, 20_000)));
    world.fill("b", "x2", 5_000, 20_000);
    show(&mut world, PERP, 10_000);
    // 9,998 of cash, and 50 of margin: 9,948 are free.
    assert_eq!(denial(&mut world, buy("c", 99_390, 10_000)), SHORT_OF);
    assert_eq!(denial(&mut world, buy("d", 99_380, 10_000)), None);
}

/// Another instrument of the same kind, for Bitcoin.
fn define(world: &mut World, text: &str, change: impl Fn(&mut crate::Instrument)) {
    let mut definition = instrument(SPOT);
    (definition.instrument_id, definition.min_notional) = (id(text), money("0"));
    change(&mut definition);
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
}

/// 1 BTC, which is paid for ether at 100 or is the margin of ten times as much.
#[test]
fn what_was_sold_or_is_being_sold_is_not_spent_again() {
    let (ether, inverse) = ("ETHBTC.SIM", "INV.SIM");
    let check = |working: bool, filled: bool, instrument: &str, quantity, expected| {
        let mut world = World::small();
        world.cash("BTC", "1");
        define(&mut world, ether, |ether| {
            ether.base_currency = currency("ETH");
            ether.quote_currency = currency("BTC");
        });
        define(&mut world, inverse, |inverse| {
            inverse.kind = InstrumentKind::Inverse;
            inverse.initial_margin = Rate::parse("0.1").unwrap();
        });
        if working {
            world.working(limit("sell", SPOT, Side::Sell, 500, 10_000));
        }
        if filled {
            world.fill("sell", "x1", 500, 10_000);
        }
        let found = denial(
            &mut world,
            limit("o", instrument, Side::Buy, quantity, 10_000),
        );
        assert_eq!(
            found, expected,
            "{working} {filled} {quantity} {instrument}"
        );
    };
    check(false, false, ether, 9, None);
    check(false, false, ether, 10, SHORT_OF);
    check(false, false, inverse, 900_000, None);
    for filled in [false, true] {
        check(true, filled, ether, 4, None);
        check(true, filled, ether, 5, SHORT_OF);
        check(true, filled, inverse, 490_000, None);
        check(true, filled, inverse, 500_000, SHORT_OF);
    }
    // What was bought can be spent.
    let mut world = World::small();
    define(&mut world, ether, |ether| {
        ether.base_currency = currency("ETH");
        ether.quote_currency = currency("BTC");
    });
    world.working(buy("in", 1_000, 10_000));
    world.fill("in", "x1", 1_000, 10_000);
    let out = limit("out", ether, Side::Buy, 9, 10_000);
    assert_eq!(denial(&mut world, out), None);
}

#[test]
fn what_orders_and_contracts_hold_and_what_was_sold_cannot_be_paid_out() {
    let check = |set: fn(&mut World), unit: &str, amount: &str, refused: Option<&str>| {
        let mut world = World::small();
        world.cash("BTC", "1");
        set(&mut world);
        world.cash(unit, amount);
        match refused {
            None => assert_eq!(world.events(), ["CashAdjusted"], "{amount} {unit}"),
            Some(free) => {
                assert!(world.events().is_empty(), "{amount} {unit}");
                let text = world.refusal().to_string();
                assert!(text.contains(&format!("{free} {unit} is free")), "{text}");
            }
        }
    };
    let bids = |world: &mut World| world.working(buy("bid", 91_200, 10_000));
    check(bids, "USDT", "-870.88", None);
    check(bids, "USDT", "-870.881", Some("870.88"));
    let sells = |world: &mut World| world.working(limit("s", SPOT, Side::Sell, 600, 10_000));
    check(sells, "BTC", "-0.4", None);
    check(sells, "BTC", "-0.401", Some("0.4"));
    let sold = |world: &mut World| {
        world.working(limit("s", SPOT, Side::Sell, 1_000, 10_000));
        world.fill("s", "x1", 1_000, 10_000);
    };
    check(sold, "BTC", "-0.001", Some("0"));
    check(sold, "USDT", "-10099.9", None);
    let contract = |world: &mut World| {
        world.working(limit("c", PERP, Side::Buy, 50_000, 10_000));
        world.fill("c", "x1", 50_000, 10_000);
    };
    check(contract, "USDT", "-9495", None);
    check(contract, "USDT", "-9495.01", Some("9495"));
}

/// A fee of at least 5 a fill: each working order holds it once, however small the order is.
#[test]
fn the_smallest_fee_of_a_fill_is_held_for_each_order() {
    let mut definition = instrument(SPOT);
    definition.min_notional = money("0");
    definition.fees.minimum = money("5");
    let mut world = World::opened();
    world.apply(AccountInput::DefineInstrument(Box::new(definition.clone())));
    world.limits(Limits {
        check_buying_power: true,
        ..Limits::default()
    });
    world.cash("USDT", "14.99");
    assert_eq!(denial(&mut world, buy("a", 100, 10_000)), SHORT_OF);
    world.cash("USDT", "0.01");
    assert_eq!(denial(&mut world, buy("b", 100, 10_000)), None);
    world.cash("USDT", "14.99");
    assert_eq!(denial(&mut world, buy("c", 100, 10_000)), SHORT_OF);
    world.cash("USDT", "0.02");
    assert_eq!(denial(&mut world, buy("d", 100, 10_000)), None);
    for client in ["b", "d"] {
        world.accept(client);
        let mut execution = execution(client, client, SPOT, Side::Buy, 100, 10_000);
        execution.fee = definition.fee(Price(10_000), Quantity(100), false).unwrap();
        assert_eq!(execution.fee, money("5"));
        world.report(VenueReport::Filled(execution));
        assert!(world.cash_of("USDT").0 >= Decimal::ZERO);
    }
    world.assert_recovers();
}
