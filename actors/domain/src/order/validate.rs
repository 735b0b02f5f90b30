//! What makes an order well formed, whatever account and market it meets.
//!
//! The edge refuses the same, by field; it is looked at here again since strategies in process
//! do not pass that edge.

use super::{OrderType, SubmitOrder, TimeInForce, TrailingOffset};
use crate::money::Money;

/// The field that is wrong, and why, for a person.
pub type Malformed = (&'static str, &'static str);

/// Checks that the parts of an order fit each other.
///
/// Errors: the first field that does not.
pub fn validate(request: &SubmitOrder) -> Result<(), Malformed> {
    size(request)?;
    limit_price(request)?;
    stop_price(request)?;
    trailing(request)?;
    time(request)?;
    resting(request)
}

fn need(holds: bool, field: &'static str, why: &'static str) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err((field, why)) }
}

fn size(request: &SubmitOrder) -> Result<(), Malformed> {
    let quantity = request.quantity.0;
    match request.terms.notional {
        Some(notional) => {
            need(notional > Money::ZERO, "notional", "must be above zero")?;
            need(quantity == 0, "quantity", "is not for an order by notional")
        }
        // A quantity finer than the instrument's may be cut to zero; it is denied, and kept.
        None => {
            let smallest = i64::from(request.misfit.is_none());
            need(quantity >= smallest, "quantity", "must be above zero")
        }
    }
}

fn limit_price(request: &SubmitOrder) -> Result<(), Malformed> {
    let field = "limit_price";
    match (request.order_type.has_limit(), request.limit_price) {
        (true, None) => Err((field, "is required for an order with a limit")),
        (false, Some(_)) => Err((field, "is only for an order with a limit")),
        _ => Ok(()),
    }
}

fn stop_price(request: &SubmitOrder) -> Result<(), Malformed> {
    let field = "stop_price";
    let conditional = request.order_type.is_conditional();
    let wanted = conditional && request.order_type != OrderType::TrailingStop;
    match (wanted, request.terms.stop_price) {
        (true, None) => Err((field, "is required for this order type")),
        (false, Some(_)) => Err((field, "is not for this order type")),
        _ => Ok(()),
    }
}

fn trailing(request: &SubmitOrder) -> Result<(), Malformed> {
    let terms = &request.terms;
    let trails = request.order_type == OrderType::TrailingStop;
    need(
        trails || terms.activation_price.is_none(),
        "activation_price",
        "is only for a trailing stop",
    )?;
    match (trails, terms.trailing) {
        (true, None) => Err(("trailing_offset", "is required for a trailing stop")),
        (false, Some(_)) => Err(("trailing_offset", "is only for a trailing stop")),
        // One finer than the instrument's may be cut to zero; it is denied, and kept.
        (_, Some(TrailingOffset::Price(offset))) => {
            let holds = offset.0 > 0 || request.misfit.is_some();
            need(holds, "trailing_offset", "must be above zero")
        }
        (_, Some(TrailingOffset::Bps(bps))) => need(
            (1..10_000).contains(&bps),
            "trailing_offset",
            "must be 1 to 9999 basis points",
        ),
        (false, None) => Ok(()),
    }
}

fn time(request: &SubmitOrder) -> Result<(), Malformed> {
    let dated = request.time_in_force == TimeInForce::Gtd;
    match (dated, request.terms.expire_at) {
        (true, None) => Err(("expire_at", "is required for GTD")),
        (false, Some(_)) => Err(("expire_at", "is only for GTD")),
        _ => Ok(()),
    }
}

/// What only an order that can rest may say.
fn resting(request: &SubmitOrder) -> Result<(), Malformed> {
    let auction = request.time_in_force.is_auction();
    let order_type = request.order_type;
    let plain = matches!(order_type, OrderType::Market | OrderType::Limit);
    need(
        !auction || plain,
        "time_in_force",
        "an auction takes market and limit orders only",
    )?;
    let rests = order_type.has_limit() && !request.time_in_force.is_immediate() && !auction;
    if request.post_only {
        need(rests, "post_only", "is for limit orders that may rest only")?;
    }
    match request.terms.display_quantity {
        None => Ok(()),
        Some(_) if !rests => Err(("display_quantity", "is for limit orders that may rest only")),
        Some(shown) => {
            let above_zero = shown.0 > 0 || request.misfit.is_some();
            let within =
                above_zero && (shown <= request.quantity || request.terms.notional.is_some());
            need(
                within,
                "display_quantity",
                "must be above zero and not above quantity",
            )
        }
    }
}

#[cfg(test)]
mod tests;
