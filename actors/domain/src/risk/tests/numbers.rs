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
