//! Orders and executions on their way in: what a remote strategy is told of its own.

use crate::convert::event::read_hold;
use crate::convert::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::id::OrderListId;
use apex_domain::number::{DecimalText, parse_decimal};
use apex_domain::order::{Order, OrderTerms, OrderType, SubmitOrder, TrailingOffset};
use apex_domain::venue::Execution;
use apex_domain::{
    AccountId, ClientOrderId, Currency, ExecId, Instrument, InstrumentId, Money, OrderId, Price,
    Quantity, StrategyId, UnixNanos, VenueOrderId,
};

/// Reads an order that [`super::order`] wrote. A number that fitted no increment comes back cut
/// towards zero; such an order is denied, so nobody counts with it.
///
/// Errors: every field that cannot be read.
pub fn read_order(order: &v1::Order, instrument: &Instrument) -> Result<Order, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let request = read_request(f, order, instrument);
    let size = quantity(f, "quantity", &order.quantity, instrument);
    let limit_price = maybe_price(f, "limit_price", &order.limit_price, instrument);
    let stop_price = maybe_price(f, "stop_price", &order.stop_price, instrument);
    let list_id = text::optional(f, "order_list_id", &order.order_list_id, OrderListId::new);
    let account_id = text::account_id(f, &order.account_id);
    let order_id = f.take("order_id", OrderId::new(&order.order_id));
    let venue_order_id = text::optional(
        f,
        "venue_order_id",
        &order.venue_order_id,
        VenueOrderId::new,
    );
    let status = enums::read_order_status(f, order.status);
    let held_for = read_hold(f, "held_for", order.held_for);
    let filled = quantity(f, "filled_quantity", &order.filled_quantity, instrument);
    let leaves = quantity(f, "leaves_quantity", &order.leaves_quantity, instrument);
    let canceled = quantity(f, "canceled_quantity", &order.canceled_quantity, instrument);
    let filled_notional = notional(f, order, filled, instrument);
    let value = (|| {
        let request = request?;
        Some(Order {
            order_id: order_id?,
            account_id: account_id?,
            venue_order_id: venue_order_id?,
            status: status?,
            quantity: size?,
            limit_price: limit_price?,
            stop_price: stop_price?,
            expires_at: time(order.ts_expires_ns),
            list_id: list_id?,
            held_for: held_for?,
            filled_quantity: filled?,
            leaves_quantity: leaves?,
            canceled_quantity: canceled?,
            filled_notional: filled_notional?,
            reason_code: enums::read_reason_code(&order.reason_code),
            reason: order.reason.clone(),
            ts_created: UnixNanos(order.ts_created_ns),
            ts_updated: UnixNanos(order.ts_updated_ns),
            sequence: order.sequence,
            request,
        })
    })();
    fields.finish(value)
}

/// The order as it would be asked for now: an amended one with its new numbers.
fn read_request(f: &mut Fields, order: &v1::Order, instrument: &Instrument) -> Option<SubmitOrder> {
    let client_order_id = f.take(
        "client_order_id",
        ClientOrderId::new(&order.client_order_id),
    );
    let strategy_id = f.take("strategy_id", StrategyId::new(&order.strategy_id));
    let instrument_id = f.take("instrument_id", InstrumentId::new(&order.instrument_id));
    let side = enums::read_side(f, "side", order.side);
    let order_type = enums::read_order_type(f, order.order_type);
    let time_in_force = enums::read_time_in_force(f, order.time_in_force, order_type);
    let terms = read_terms(f, order, order_type, instrument);
    let terms = terms?;
    let order_type = order_type?;
    // What was asked for in money has no quantity of its own, and only some kinds have a limit of
    // their own. Numbers that cannot be read are told by the order.
    let ignored = &mut Fields::new();
    let size = match terms.notional {
        Some(_) => Quantity::ZERO,
        None => quantity(ignored, "quantity", &order.quantity, instrument)?,
    };
    let limit_price = match order_type.has_limit() {
        true => maybe_price(ignored, "limit_price", &order.limit_price, instrument)?,
        false => None,
    };
    Some(SubmitOrder {
        client_order_id: client_order_id?,
        strategy_id: strategy_id?,
        instrument_id: instrument_id?,
        side: side?,
        order_type,
        quantity: size,
        limit_price,
        time_in_force: time_in_force?,
        post_only: order.post_only,
        reduce_only: order.reduce_only,
        tags: order.tags.clone(),
        misfit: None,
        terms,
    })
}

fn read_terms(
    f: &mut Fields,
    order: &v1::Order,
    order_type: Option<OrderType>,
    instrument: &Instrument,
) -> Option<OrderTerms> {
    let notional = match order.notional.as_str() {
        "" => Some(None),
        text => text::money(f, "notional", text).map(Some),
    };
    // Of a trailing stop it is where it stands, not what was asked for.
    let stop_price = match order_type {
        Some(OrderType::TrailingStop) => Some(None),
        _ => maybe_price(f, "stop_price", &order.stop_price, instrument),
    };
    let trailing = read_trailing(f, order, instrument);
    let activation_price = maybe_price(f, "activation_price", &order.activation_price, instrument);
    let trigger = enums::read_trigger_type(f, order.trigger_type);
    let display_quantity = match order.display_quantity.as_str() {
        "" => Some(None),
        text => quantity(f, "display_quantity", text, instrument).map(Some),
    };
    let position_side = enums::read_position_side(f, order.position_side);
    let prevention = enums::read_self_trade_prevention(f, order.self_trade_prevention);
    Some(OrderTerms {
        notional: notional?,
        stop_price: stop_price?,
        trailing: trailing?,
        activation_price: activation_price?,
        trigger: trigger?,
        expire_at: time(order.expire_at_ns),
        display_quantity: display_quantity?,
        position_side: position_side?,
        self_trade_prevention: prevention?,
        extended_hours: order.extended_hours,
    })
}

fn read_trailing(
    f: &mut Fields,
    order: &v1::Order,
    instrument: &Instrument,
) -> Option<Option<TrailingOffset>> {
    let (field, text) = ("trailing_offset", order.trailing_offset.as_str());
    if text.is_empty() {
        return Some(None);
    }
    let kind = enums::read_trailing_offset_type(f, order.trailing_offset_type)?;
    Some(Some(match kind {
        v1::TrailingOffsetType::Bps => TrailingOffset::Bps(f.take(field, text.parse())?),
        _ => TrailingOffset::Price(price(f, field, text, instrument)?),
    }))
}

/// Zero is no time.
fn time(ns: i64) -> Option<UnixNanos> {
    (ns != 0).then_some(UnixNanos(ns))
}

/// Empty is no price. The outer `None` is an error.
fn maybe_price(
    f: &mut Fields,
    field: &str,
    text: &str,
    instrument: &Instrument,
) -> Option<Option<Price>> {
    if text.is_empty() {
        return Some(None);
    }
    price(f, field, text, instrument).map(Some)
}

/// The wire has the average price, rounded far behind the last decimal that a sum of prices times
/// quantities can have: rounding the product gives the sum back.
fn notional(
    f: &mut Fields,
    order: &v1::Order,
    filled: Option<Quantity>,
    instrument: &Instrument,
) -> Option<Money> {
    if order.average_price.is_empty() {
        return Some(Money::ZERO);
    }
    let average = f.take("average_price", parse_decimal(&order.average_price))?;
    match instrument.notional_at(filled?, average) {
        Some(sum) => Some(sum),
        None => {
            f.refuse("average_price", "is out of range");
            None
        }
    }
}

pub(crate) fn quantity(
    f: &mut Fields,
    field: &str,
    text: &str,
    instrument: &Instrument,
) -> Option<Quantity> {
    let number = f.take(field, DecimalText::parse(text.as_bytes()))?;
    let (mantissa, _) = f.take(field, text::cut(number, instrument.quantity_decimals))?;
    Some(Quantity(mantissa))
}

pub(crate) fn price(
    f: &mut Fields,
    field: &str,
    text: &str,
    instrument: &Instrument,
) -> Option<Price> {
    let number = f.take(field, DecimalText::parse(text.as_bytes()))?;
    let (mantissa, _) = f.take(field, text::cut(number, instrument.price_decimals))?;
    Some(Price(mantissa))
}

/// Reads an execution that [`super::execution`] wrote.
///
/// Errors: every field that cannot be read.
pub fn read_execution(
    execution: &v1::Execution,
    instrument: &Instrument,
) -> Result<Execution, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = f.take("account_id", AccountId::new(&execution.account_id));
    let exec_id = f.take("exec_id", ExecId::new(&execution.exec_id));
    let client_order_id = f.take(
        "client_order_id",
        ClientOrderId::new(&execution.client_order_id),
    );
    let instrument_id = f.take("instrument_id", InstrumentId::new(&execution.instrument_id));
    let side = enums::read_side(f, "side", execution.side);
    let last_quantity = quantity(f, "last_quantity", &execution.last_quantity, instrument);
    let last_price = price(f, "last_price", &execution.last_price, instrument);
    let fee = text::money(f, "fee", &execution.fee);
    let fee_currency = f.take("fee_currency", Currency::new(&execution.fee_currency));
    let value = (|| {
        account_id?;
        Some(Execution {
            exec_id: exec_id?,
            client_order_id: client_order_id?,
            instrument_id: instrument_id?,
            side: side?,
            last_quantity: last_quantity?,
            last_price: last_price?,
            fee: fee?,
            fee_currency: fee_currency?,
            maker: execution.maker,
            ts_event: UnixNanos(execution.ts_event_ns),
        })
    })();
    fields.finish(value)
}
