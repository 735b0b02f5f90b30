//! Numbers that no mantissa of the instrument holds, or that are off its increments.

use super::*;
use crate::order::{Misfit, OrderType, TrailingOffset};

#[test]
fn a_number_that_fits_no_decimals_is_denied_whatever_is_left_of_it() {
    let mut world = World::ready();
    let asked = || "0.0000001".to_owned();
    let trailing = |change: fn(&mut SubmitOrder)| {
        let mut request = buy("x", 1_000, 10_000);
        request.order_type = OrderType::TrailingStop;
        request.limit_price = None;
        request.terms.trailing = Some(TrailingOffset::Price(Price(100)));
        change(&mut request);
        request
    };
    let mut stop = buy("x", 1_000, 10_000);
    stop.order_type = OrderType::StopLimit;
    stop.terms.stop_price = Some(Price(0));
    let offset = trailing(|r| r.terms.trailing = Some(TrailingOffset::Price(Price(0))));
    let activation = trailing(|r| r.terms.activation_price = Some(Price(0)));
    let mut shown = buy("x", 1_000, 10_000);
    shown.terms.display_quantity = Some(Quantity(0));
    for (number, (misfit, mut request)) in [
        (Misfit::StopPrice(asked()), stop),
        (Misfit::TrailingOffset(asked()), offset),
        (Misfit::ActivationPrice(asked()), activation),
        (Misfit::DisplayQuantity(asked()), shown),
    ]
    .into_iter()
    .enumerate()
    {
        let code = misfit.reason_code();
        request.client_order_id = cid(&format!("m{number}"));
        request.misfit = Some(misfit);
        assert_eq!(
            denial(&mut world, request.clone()),
            Some(code),
            "{request:?}"
        );
        assert!(world.replied_order().reason.contains(&asked()));
    }
}

#[test]
fn every_number_of_an_order_has_to_be_on_its_increment() {
    let mut world = World::opened();
    let mut coarse = instrument(SPOT);
    (coarse.price_increment, coarse.quantity_increment) = (Price(10), Quantity(100));
    world.apply(AccountInput::DefineInstrument(Box::new(coarse)));
    let mut shown = buy("a", 1_000, 10_000);
    shown.terms.display_quantity = Some(Quantity(150));
    let code = Some(ReasonCode::QuantityIncrement);
    assert_eq!(denial(&mut world, shown), code);
    let mut trailing = buy("b", 1_000, 10_000);
    trailing.order_type = OrderType::TrailingStop;
    trailing.limit_price = None;
    trailing.terms.trailing = Some(TrailingOffset::Bps(10));
    trailing.terms.activation_price = Some(Price(10_005));
    assert_eq!(
        denial(&mut world, trailing),
        Some(ReasonCode::PriceIncrement)
    );
}

/// The market is 99.99 to 100.01. An inverse contract is worth more the lower it trades.
#[test]
fn the_largest_notional_is_measured_where_the_order_may_trade_dearest() {
    let check = |kind, side, price, quantity, expected: Option<ReasonCode>| {
        for of_venue in [false, true] {
            let mut world = World::opened();
            let mut definition = instrument(PERP);
            (definition.kind, definition.min_notional) = (kind, money("0"));
            definition.max_quantity = Quantity(100_000_000);
            definition.rules.max_notional = of_venue.then(|| money("100"));
            world.apply(AccountInput::DefineInstrument(Box::new(definition)));
            world.limits(Limits {
                max_order_notional: (!of_venue).then(|| money("100")),
                ..Limits::default()
            });
            let order = limit("o", PERP, side, quantity, price);
            let found = denial(&mut world, order);
            assert_eq!(found, expected, "{kind:?} {side:?} {quantity} at {price}");
        }
    };
    let over = Some(ReasonCode::MaxNotional);
    let (linear, inverse) = (InstrumentKind::Linear, InstrumentKind::Inverse);
    // Far below the market a sell trades at the bid.
    check(linear, Side::Sell, 1, 1_000, None);
    check(linear, Side::Sell, 1, 1_001, over);
    check(linear, Side::Sell, 20_000, 500, None);
    check(linear, Side::Sell, 20_000, 501, over);
    check(linear, Side::Buy, 5_000, 2_000, None);
    check(linear, Side::Buy, 5_000, 2_001, over);
    // Far above the market a buy trades at the ask: 10,001 contracts are 100 of the base.
    check(inverse, Side::Buy, 20_000, 10_001_000, None);
    check(inverse, Side::Buy, 20_000, 10_001_001, over);
    check(inverse, Side::Sell, 5_000, 5_000_001, over);
}
