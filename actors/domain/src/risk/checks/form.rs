//! What an order is by itself: its numbers, its kind, its price.

use super::{Denial, Question, deny, no_reference};
use crate::event::PositionMode;
use crate::instrument::InstrumentKind;
use crate::market::Side;
use crate::money::Money;
use crate::number::{NumberError, Quantity};
use crate::order::{OrderType, PositionSide};
use crate::risk::ReasonCode;

/// What the venue does not do and the account cannot do for it.
pub(super) fn supported(q: &Question<'_>) -> Result<(), Denial> {
    if q.instrument.is_expired(q.now) {
        return Err(deny(ReasonCode::MarketClosed, "the contract has ended"));
    }
    q.unsupported
        .map_or(Ok(()), |why| Err(deny(ReasonCode::Unsupported, why)))
}

/// The order's side and the account's position mode, for what can be held on two sides.
pub(super) fn position_side(q: &Question<'_>) -> Result<(), Denial> {
    let Some(mode) = q.position_mode else {
        return Ok(());
    };
    let is_net = q.terms.position_side == PositionSide::Net;
    let in_netting = |why| Err(deny(ReasonCode::PositionSideInNetting, why));
    match (mode, q.instrument.kind) {
        _ if is_net && mode == PositionMode::Netting => Ok(()),
        (_, InstrumentKind::Spot) if is_net => Ok(()),
        (PositionMode::Netting, _) => in_netting(
            "position_side must be NET or missing in a NETTING account: leave it out, or set the \
             account's position mode to HEDGING",
        ),
        (PositionMode::Hedging, InstrumentKind::Spot) => in_netting(
            "position_side must be NET or missing for a spot instrument, which every account \
             holds net: leave it out",
        ),
        (PositionMode::Hedging, _) if is_net => Err(deny(
            ReasonCode::PositionSideRequired,
            "position_side must be LONG or SHORT in a HEDGING account: say which position the \
             order means; what is held net is closed by ClosePosition",
        )),
        (PositionMode::Hedging, _) => Ok(()),
    }
}

/// A number with more decimals than the instrument has is off its increment.
fn not_a_misfit(q: &Question<'_>, code: ReasonCode) -> Result<(), Denial> {
    match q.misfit {
        Some(misfit) if misfit.reason_code() == code => Err(deny(code, misfit.to_string())),
        _ => Ok(()),
    }
}

pub(super) fn price_increment(q: &Question<'_>) -> Result<(), Denial> {
    not_a_misfit(q, ReasonCode::PriceIncrement)?;
    for (field, price) in [
        ("limit_price", q.limit_price),
        ("stop_price", q.stop_price),
        ("activation_price", q.terms.activation_price),
    ] {
        let Some(price) = price.filter(|price| !q.instrument.is_on_price_increment(*price)) else {
            continue;
        };
        let reason = format!(
            "{field} {} is no multiple of {}",
            q.instrument.format_price(price),
            q.instrument
                .format_price(q.instrument.price_increment_at(price))
        );
        return Err(deny(ReasonCode::PriceIncrement, reason));
    }
    Ok(())
}

pub(super) fn quantity_increment(q: &Question<'_>) -> Result<(), Denial> {
    not_a_misfit(q, ReasonCode::QuantityIncrement)?;
    for (field, quantity) in [
        ("quantity", Some(q.quantity)),
        ("display_quantity", q.terms.display_quantity),
    ] {
        let on = |quantity: &Quantity| q.instrument.is_on_quantity_increment(*quantity);
        let Some(quantity) = quantity.filter(|quantity| !on(quantity)) else {
            continue;
        };
        let reason = format!(
            "{field} {} is no multiple of {}",
            q.instrument.format_quantity(quantity),
            q.instrument
                .format_quantity(q.instrument.quantity_increment)
        );
        return Err(deny(ReasonCode::QuantityIncrement, reason));
    }
    Ok(())
}

pub(super) fn quantity_bounds(q: &Question<'_>) -> Result<(), Denial> {
    let (min, max) = (q.instrument.min_quantity, q.instrument.max_quantity);
    let text = |quantity| q.instrument.format_quantity(quantity);
    if q.quantity < min {
        let reason = format!("quantity {} is below {}", text(q.quantity), text(min));
        return Err(deny(ReasonCode::MinQuantity, reason));
    }
    if q.quantity > max {
        let reason = format!("quantity {} is above {}", text(q.quantity), text(max));
        return Err(deny(ReasonCode::MaxQuantity, reason));
    }
    Ok(())
}

pub(super) fn reference_price(q: &Question<'_>) -> Result<(), Denial> {
    let unbounded = matches!(
        q.order_type,
        OrderType::Market | OrderType::MarketToLimit | OrderType::TrailingStop
    );
    if unbounded && !q.closing && q.reference().is_none() {
        return Err(no_reference());
    }
    Ok(())
}

/// Smallest and largest notional of one order. A market order without a price was told so by the
/// check before.
pub(super) fn notional(q: &Question<'_>) -> Result<(), Denial> {
    // Closing has no price to measure by where the market is gone, and nothing to add to.
    if q.closing {
        return Ok(());
    }
    order_notional(q)?;
    let price = q.fill_range()?.farthest();
    let raw = i128::from(price.0).abs() * i128::from(q.open.0);
    match q.exposure.side(q.side).notional.checked_add(raw) {
        Some(_) => Ok(()),
        None => Err(NumberError::OutOfRange.into()),
    }
}

/// The smallest is measured at the order's own price, as venues do, the largest at the dearest price
/// that it may trade at.
pub(super) fn order_notional(q: &Question<'_>) -> Result<(), Denial> {
    let Ok(price) = q.price() else {
        return Err(no_reference());
    };
    let notional = q.instrument.notional(price, q.quantity)?.0.abs();
    if notional < q.instrument.min_notional.0 {
        let reason = format!(
            "notional {} is below {}",
            Money(notional),
            q.instrument.min_notional
        );
        return Err(deny(ReasonCode::MinNotional, reason));
    }
    let largest = q.largest_notional()?;
    let at_most = |max: Money, whose: &str| {
        if largest <= max.0 {
            return Ok(());
        }
        let reason = format!(
            "notional {} at the dearest price that it may trade at is above {whose}{max}",
            Money(largest)
        );
        Err(deny(ReasonCode::MaxNotional, reason))
    };
    if let Some(max) = q.instrument.rules.max_notional {
        at_most(max, "the venue's ")?;
    }
    match q.limits.max_order_notional.filter(|_| !q.is_waited_exit()) {
        Some(max) => at_most(max, ""),
        None => Ok(()),
    }
}

/// A limit price may be worse than the market by a share of it only. Without a fresh market there
/// is nothing to measure by, and the order passes.
pub(super) fn price_collar(q: &Question<'_>) -> Result<(), Denial> {
    // A stop-limit order meets the market at its stop price.
    let reference = q.stop_price.or_else(|| q.reference());
    // The tighter one of ours and the venue's.
    let venue = q.instrument.rules.price_collar;
    let ours = q.limits.price_collar.filter(|_| !q.is_waited_exit());
    let collar = ours.into_iter().chain(venue).min();
    let (Some(collar), Some(limit), Some(reference)) = (collar, q.limit_price, reference) else {
        return Ok(());
    };
    let market = q.instrument.price_decimal(reference);
    let room = market
        .abs()
        .checked_mul(collar.0)
        .ok_or(NumberError::OutOfRange)?;
    let price = q.instrument.price_decimal(limit);
    let worse = match q.side {
        Side::Buy => price.checked_sub(market),
        Side::Sell => market.checked_sub(price),
    }
    .ok_or(NumberError::OutOfRange)?;
    if worse <= room {
        return Ok(());
    }
    Err(deny(
        ReasonCode::PriceCollar,
        format!("limit_price {price} is worse than {market} by more than {collar} of it"),
    ))
}
