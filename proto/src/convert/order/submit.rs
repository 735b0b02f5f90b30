//! A new order.

use super::terms::{self, Combination};
use crate::convert::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::number::{self, DecimalText};
use apex_domain::order::{Misfit, SubmitOrder};
use apex_domain::{AccountId, ClientOrderId, Instrument, InstrumentId, Price, Quantity};

/// Reads a new order. `find` gives the definition of the instrument that it names.
///
/// A number with more decimals than the instrument has is no error here: it is cut and marked as
/// a [`Misfit`], so that the account denies the order and keeps it. A field that the order's type
/// or time in force does not have is refused, never ignored.
///
/// Errors: every field that cannot be read, is out of range, names something unknown or does not
/// go with the others.
pub fn read_submit(
    request: &v1::SubmitOrderRequest,
    find: impl FnOnce(&InstrumentId) -> Option<Instrument>,
) -> Result<(AccountId, SubmitOrder), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let order = read_order_of(f, request, find);
    fields.finish(account_id.zip(order))
}

/// Reads everything of an order except the account.
pub(super) fn read_order_of(
    f: &mut Fields,
    request: &v1::SubmitOrderRequest,
    find: impl FnOnce(&InstrumentId) -> Option<Instrument>,
) -> Option<SubmitOrder> {
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
    terms::check_times(f, order_type, time_in_force);
    let combination = Combination {
        order_type,
        time_in_force,
        instrument: instrument.as_ref(),
    };
    let size = read_size(f, request, instrument.as_ref());
    let limit_price = combination.limit_price(f, request);
    let terms = terms::read(f, request, &combination);
    combination.check_post_only(f, request);
    let tags = text::free(f, "tags", &request.tags);
    let (quantity, notional, quantity_misfit) = size?;
    let (limit_price, price_misfit) = limit_price?;
    let (mut terms, terms_misfit) = terms?;
    terms.notional = notional;
    Some(SubmitOrder {
        client_order_id: client_order_id?,
        strategy_id: strategy_id?,
        instrument_id: instrument?.instrument_id,
        side: side?,
        order_type: order_type?,
        quantity,
        limit_price,
        time_in_force: time_in_force?,
        post_only: request.post_only,
        reduce_only: request.reduce_only,
        tags: tags?,
        misfit: price_misfit.or(quantity_misfit).or(terms_misfit),
        terms,
    })
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
        fields.refuse("instrument_id", unknown_instrument(&id));
    }
    instrument
}

/// Describes the violation of a field that names no instrument of this platform.
pub fn unknown_instrument(id: &InstrumentId) -> String {
    format!("unknown instrument \"{id}\"")
}

type Size = (Quantity, Option<apex_domain::Money>, Option<Misfit>);

/// Reads quantity or notional, of which exactly one is there. With a notional the quantity is
/// zero: what it buys is for the account to decide.
fn read_size(
    fields: &mut Fields,
    request: &v1::SubmitOrderRequest,
    instrument: Option<&Instrument>,
) -> Option<Size> {
    if request.notional.is_empty() {
        let quantity = text::positive(fields, "quantity", &request.quantity);
        let (quantity, misfit) = cut_quantity(fields, quantity?, instrument?)?;
        return Some((quantity, None, misfit));
    }
    if !request.quantity.is_empty() {
        fields.refuse("notional", "must be empty when quantity is given");
        return None;
    }
    let notional = text::money(fields, "notional", &request.notional)?;
    if notional.0 <= apex_domain::Decimal::ZERO {
        fields.refuse("notional", "must be above zero");
        return None;
    }
    // Equal numbers give equal orders, whatever zeros they were written with.
    let notional = apex_domain::Money(notional.0.normalize());
    Some((Quantity::ZERO, Some(notional), None))
}

pub(super) fn cut_price(
    fields: &mut Fields,
    field: &str,
    number: DecimalText,
    instrument: &Instrument,
    misfit: impl FnOnce(String) -> Misfit,
) -> Option<(Price, Option<Misfit>)> {
    let cut = text::cut(number, instrument.price_decimals);
    let (mantissa, fits) = fields.take(field, cut)?;
    Some((Price(mantissa), (!fits).then(|| misfit(canonical(number)))))
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
pub(super) fn canonical(number: DecimalText) -> String {
    let number = number.normalized();
    number::format_mantissa(number.mantissa, number.decimals)
}
