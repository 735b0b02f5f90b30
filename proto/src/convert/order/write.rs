//! Orders and executions on their way out.

use crate::convert::enums;
use crate::v1;
use apex_domain::account::ExecutionRecord;
use apex_domain::order::{Misfit, Order};
use apex_domain::{AccountId, Instrument};

/// Writes an order. A number that fits no increment is written as it was asked for.
pub fn order(order: &Order, instrument: &Instrument) -> v1::Order {
    let request = &order.request;
    let (mut quantity, mut limit_price) = (
        instrument.format_quantity(order.quantity),
        order
            .limit_price
            .map(|price| instrument.format_price(price))
            .unwrap_or_default(),
    );
    match &request.misfit {
        Some(Misfit::Price(asked)) => limit_price.clone_from(asked),
        Some(Misfit::Quantity(asked)) => quantity.clone_from(asked),
        None => {}
    }
    v1::Order {
        order_id: order.order_id.to_string(),
        client_order_id: request.client_order_id.to_string(),
        venue_order_id: order
            .venue_order_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        account_id: order.account_id.to_string(),
        strategy_id: request.strategy_id.to_string(),
        instrument_id: request.instrument_id.to_string(),
        side: enums::side(request.side).into(),
        order_type: enums::order_type(request.order_type).into(),
        status: enums::order_status(order.status).into(),
        quantity,
        filled_quantity: instrument.format_quantity(order.filled_quantity),
        leaves_quantity: instrument.format_quantity(order.leaves_quantity),
        average_price: average_price(order, instrument).unwrap_or_default(),
        limit_price,
        stop_price: String::new(),
        reason_code: order
            .reason_code
            .map(|code| code.as_str().to_owned())
            .unwrap_or_default(),
        reason: order.reason.clone(),
        ts_created_ns: order.ts_created.0,
        ts_updated_ns: order.ts_updated.0,
        sequence: order.sequence,
        time_in_force: enums::time_in_force(request.time_in_force).into(),
        post_only: request.post_only,
        reduce_only: request.reduce_only,
        canceled_quantity: instrument.format_quantity(order.canceled_quantity),
        tags: request.tags.clone(),
    }
}

/// Returns the average price of the fills, `None` where there are none.
fn average_price(order: &Order, instrument: &Instrument) -> Option<String> {
    if order.filled_quantity.is_zero() {
        return None;
    }
    let average = instrument.average_price(order.filled_quantity.0, order.filled_notional)?;
    Some(average.normalize().to_string())
}

/// Writes an execution as `account_id` booked it.
pub fn execution(
    account_id: &AccountId,
    record: &ExecutionRecord,
    instrument: &Instrument,
) -> v1::Execution {
    let execution = &record.execution;
    v1::Execution {
        exec_id: execution.exec_id.to_string(),
        account_id: account_id.to_string(),
        client_order_id: execution.client_order_id.to_string(),
        instrument_id: execution.instrument_id.to_string(),
        side: enums::side(execution.side).into(),
        last_quantity: instrument.format_quantity(execution.last_quantity),
        last_price: instrument.format_price(execution.last_price),
        fee: execution.fee.to_string(),
        fee_currency: execution.fee_currency.to_string(),
        maker: execution.maker,
        ts_event_ns: execution.ts_event.0,
        sequence: record.sequence,
        order_id: record
            .order_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        strategy_id: record.strategy_id.to_string(),
        late: record.late,
    }
}
