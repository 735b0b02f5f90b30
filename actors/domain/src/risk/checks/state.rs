//! What the account may do at present: its state, its counts, its positions.

use super::{Denial, Question, deny};
use crate::market::Side;
use crate::money::Money;
use crate::number::{self, NumberError, Quantity};
use crate::risk::{ReasonCode, TradingState};

pub(super) fn trading_state(q: &Question<'_>) -> Result<(), Denial> {
    if q.closing {
        return Ok(());
    }
    match q.trading_state {
        TradingState::Active => Ok(()),
        TradingState::Halted => Err(deny(ReasonCode::TradingHalted, "trading is halted")),
        TradingState::Reducing if q.passes_zero() && !q.is_only_smaller() => Err(deny(
            ReasonCode::TradingReducing,
            "only orders that reduce a position are taken",
        )),
        TradingState::Reducing => Ok(()),
    }
}

pub(super) fn reduce_only(q: &Question<'_>) -> Result<(), Denial> {
    // The size of a closing's order is that of what is there.
    if q.reduce_only && !q.closing && q.passes_zero() && !q.is_only_smaller() {
        return Err(deny(
            ReasonCode::ReduceOnly,
            format!(
                "position {} does not cover this and the other working orders of the side",
                number::format_mantissa(q.net.quantity.into(), q.instrument.quantity_decimals)
            ),
        ));
    }
    Ok(())
}

/// An order that closes one side of a hedging account closes no more than is there: a venue refuses
/// it, and the side would become a position of the other direction under its own name.
///
/// Source: a hedging venue keeps two positions that no order turns; Alpaca's "insufficient qty
/// available for order" while older orders hold it.
pub(super) fn side_quantity(q: &Question<'_>) -> Result<(), Denial> {
    let Some(available) = q.closable.filter(|_| !q.closing) else {
        return Ok(());
    };
    let open = i128::from(q.open.0);
    // What an amend leaves as it is passed when it came.
    let grows = q.before.is_none_or(|before| q.open > before.open);
    if open <= available || !grows {
        return Ok(());
    }
    let decimals = q.instrument.quantity_decimals;
    let side = if q.side == Side::Sell {
        "long"
    } else {
        "short"
    };
    Err(deny(
        ReasonCode::PositionTooSmall,
        format!(
            "quantity {} closes more of the {side} side than is available, {}: lower it, or \
             cancel working orders that close the side",
            q.instrument.format_quantity(q.open),
            number::format_mantissa(available.max(0), decimals),
        ),
    ))
}

pub(super) fn open_orders(q: &Question<'_>) -> Result<(), Denial> {
    match q.limits.max_open_orders.filter(|_| !q.closing && !q.waited) {
        Some(max) if q.open_orders >= max as usize => Err(deny(
            ReasonCode::OpenOrderLimit,
            format!("{} orders are open, {max} are allowed", q.open_orders),
        )),
        _ => Ok(()),
    }
}

pub(super) fn order_rate(q: &Question<'_>) -> Result<(), Denial> {
    match q.limits.max_orders_per_second.filter(|_| !q.closing) {
        Some(max) if q.recent_orders >= max as usize => Err(deny(
            ReasonCode::OrderRate,
            format!("{max} orders and amends in one second are allowed"),
        )),
        _ => Ok(()),
    }
}

/// An order that would trade with a working one of the same account.
pub(super) fn self_trade(q: &Question<'_>) -> Result<(), Denial> {
    // A closing has canceled what it could meet, and nothing keeps it.
    let Some(other) = q.opposite.filter(|_| !q.closing) else {
        return Ok(());
    };
    let meets = q.limit_price.is_none_or(|price| match q.side {
        Side::Buy => price >= other,
        Side::Sell => price <= other,
    });
    // A conditional order meets what stands there when it triggers; it is checked then.
    if !meets || (q.order_type.is_conditional() && q.order_type.triggered() != q.order_type) {
        return Ok(());
    }
    Err(deny(
        ReasonCode::SelfTrade,
        format!(
            "would trade with the account's own order at {}",
            q.instrument.format_price(other)
        ),
    ))
}

pub(super) fn position_limit(q: &Question<'_>) -> Result<(), Denial> {
    match q.limits.max_position_notional {
        Some(max) => position_within(q, max, ReasonCode::PositionLimit),
        None => Ok(()),
    }
}

/// As the position limit, for single instruments.
pub(super) fn instrument_exposure(q: &Question<'_>) -> Result<(), Denial> {
    let limits = &q.limits.wide.instrument_exposure;
    match limits.get(&q.instrument.instrument_id) {
        Some(max) => position_within(q, *max, ReasonCode::ExposureLimit),
        None => Ok(()),
    }
}

fn position_within(q: &Question<'_>, max: Money, code: ReasonCode) -> Result<(), Denial> {
    // Positions of strategies that offset each other are closed one by one.
    if q.closing {
        return Ok(());
    }
    let worst = q.worst_position();
    let grows = worst.unsigned_abs() > i128::from(q.net.quantity).unsigned_abs();
    if !grows || !q.does_more() {
        return Ok(());
    }
    let price = match q.reference() {
        Some(price) => price,
        None => q.price()?,
    };
    let quantity = i64::try_from(worst).map_err(|_| NumberError::OutOfRange)?;
    let notional = q.instrument.notional(price, Quantity(quantity))?.0.abs();
    if notional > max.0 {
        return Err(deny(
            code,
            format!(
                "the position could reach a notional of {}, {max} is allowed",
                Money(notional)
            ),
        ));
    }
    Ok(())
}
