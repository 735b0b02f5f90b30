//! A new order.

use crate::convert::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::number::{self, DecimalText};
use apex_domain::order::{Misfit, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::{AccountId, ClientOrderId, Instrument, InstrumentId, Price, Quantity};

/// Reads a new order. `find` gives the definition of the instrument that it names.
///
/// A number with more decimals than the instrument has is no error here: it is cut and marked as
/// a [`Misfit`], so that the account denies the order and keeps it.
///
/// Errors: every field that cannot be read, is out of range or names something unknown.
pub fn read_submit(
    request: &v1::SubmitOrderRequest,
    find: impl FnOnce(&InstrumentId) -> Option<Instrument>,
) -> Result<(AccountId, SubmitOrder), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let client_order_id = text::required(
        f,
        "client_order_id",
        &request.client_order_id,
        ClientOrderId::new,
    );
    let instrument = read_instrument(f, &request.instrument_id, find);
    let strategy_id = text::strategy_id(f, &request.strategy_id);
    let side = enums::read_side(f, "side", request.side);
    let order_type = enums::read_order_type(f, request.order_type);
    let time_in_force = enums::read_time_in_force(f, request.time_in_force, order_type);
    let numbers = read_numbers(f, request, order_type, instrument.as_ref());
    refuse_later_fields(f, request);
    check_post_only(f, request, order_type, time_in_force);
    let tags = text::free(f, "tags", &request.tags);
    let value = (|| {
        let numbers = numbers?;
        let order = SubmitOrder {
            client_order_id: client_order_id?,
            strategy_id: strategy_id?,
            instrument_id: instrument?.instrument_id,
            side: side?,
            order_type: order_type?,
            quantity: numbers.quantity,
            limit_price: numbers.limit_price,
            time_in_force: time_in_force?,
            post_only: request.post_only,
            reduce_only: request.reduce_only,
            tags: tags?,
            misfit: numbers.misfit,
            terms: OrderTerms::default(),
        };
        Some((account_id?, order))
    })();
    fields.finish(value)
}

fn read_instrument(
    fields: &mut Fields,
    text: &str,
    find: impl FnOnce(&InstrumentId) -> Option<Instrument>,
) -> Option<Instrument> {
    let id = text::required(fields, "instrument_id", text, InstrumentId::in_command)?;
    let instrument = find(&id);
    if instrument.is_none() {
        // The id is short and of a safe alphabet here, so it can be named.
        fields.refuse("instrument_id", format!("unknown instrument \"{id}\""));
    }
    instrument
}

struct Numbers {
    quantity: Quantity,
    limit_price: Option<Price>,
    misfit: Option<Misfit>,
}

fn read_numbers(
    fields: &mut Fields,
    request: &v1::SubmitOrderRequest,
    order_type: Option<OrderType>,
    instrument: Option<&Instrument>,
) -> Option<Numbers> {
    let quantity = text::positive(fields, "quantity", &request.quantity);
    let limit_price = match order_type {
        Some(OrderType::Limit) => text::positive(fields, "limit_price", &request.limit_price),
        Some(OrderType::Market) if !request.limit_price.is_empty() => {
            fields.refuse("limit_price", "must be empty for a market order");
            None
        }
        Some(OrderType::Market) => None,
        // The type is refused already; a price that is no number is told as well.
        _ if !request.limit_price.is_empty() => {
            text::positive(fields, "limit_price", &request.limit_price)
        }
        _ => None,
    };
    let instrument = instrument?;
    let price = limit_price.map(|number| cut_price(fields, number, instrument));
    let (quantity, quantity_misfit) = cut_quantity(fields, quantity?, instrument)?;
    let (limit_price, price_misfit) = match price {
        Some(price) => price.map(|(price, misfit)| (Some(price), misfit))?,
        None => (None, None),
    };
    Some(Numbers {
        quantity,
        limit_price,
        misfit: price_misfit.or(quantity_misfit),
    })
}

pub(super) fn cut_price(
    fields: &mut Fields,
    number: DecimalText,
    instrument: &Instrument,
) -> Option<(Price, Option<Misfit>)> {
    let cut = text::cut(number, instrument.price_decimals);
    let (mantissa, fits) = fields.take("limit_price", cut)?;
    Some((
        Price(mantissa),
        (!fits).then(|| Misfit::Price(canonical(number))),
    ))
}

pub(super) fn cut_quantity(
    fields: &mut Fields,
    number: DecimalText,
    instrument: &Instrument,
) -> Option<(Quantity, Option<Misfit>)> {
    let cut = text::cut(number, instrument.quantity_decimals);
    let (mantissa, fits) = fields.take("quantity", cut)?;
    Some((
        Quantity(mantissa),
        (!fits).then(|| Misfit::Quantity(canonical(number))),
    ))
}

/// Equal numbers give equal text, so that a repeated order has equal content.
fn canonical(number: DecimalText) -> String {
    let number = number.normalized();
    number::format_mantissa(number.mantissa, number.decimals)
}

fn refuse_later_fields(fields: &mut Fields, request: &v1::SubmitOrderRequest) {
    for (field, is_set) in [
        ("notional", !request.notional.is_empty()),
        ("stop_price", !request.stop_price.is_empty()),
        ("trailing_offset", !request.trailing_offset.is_empty()),
        ("trailing_offset_type", request.trailing_offset_type != 0),
        ("activation_price", !request.activation_price.is_empty()),
        ("trigger_type", request.trigger_type != 0),
        ("expire_at_ns", request.expire_at_ns != 0),
        ("display_quantity", !request.display_quantity.is_empty()),
        (
            "position_side",
            !matches!(
                v1::PositionSide::try_from(request.position_side),
                Ok(v1::PositionSide::Unspecified | v1::PositionSide::Net)
            ),
        ),
        ("self_trade_prevention", request.self_trade_prevention != 0),
        ("extended_hours", request.extended_hours),
    ] {
        text::not_yet(fields, field, is_set);
    }
}

fn check_post_only(
    fields: &mut Fields,
    request: &v1::SubmitOrderRequest,
    order_type: Option<OrderType>,
    time_in_force: Option<TimeInForce>,
) {
    if !request.post_only {
        return;
    }
    if order_type == Some(OrderType::Market) {
        fields.refuse("post_only", "is for limit orders only");
    } else if matches!(time_in_force, Some(TimeInForce::Ioc | TimeInForce::Fok)) {
        fields.refuse(
            "post_only",
            "an order that must rest cannot be immediate: use GTC",
        );
    }
}
