//! Orders and executions on their way out.

use crate::convert::enums;
use crate::convert::event::write_hold;
use crate::v1;
use apex_domain::account::{ExecutionRecord, Preview};
use apex_domain::number::format_mantissa;
use apex_domain::order::{
    Contingency, Misfit, Order, ReleaseRule, SubmitList, SubmitOrder, TrailingOffset,
};
use apex_domain::{AccountId, Instrument, InstrumentId, Price, Quantity, UnixNanos};

/// Writes an order. A number that fits no increment is written as it was asked for.
pub fn order(order: &Order, instrument: &Instrument) -> v1::Order {
    let (request, terms) = (&order.request, &order.request.terms);
    let numbers = Numbers {
        instrument,
        asked: request.misfit.as_ref().map(Misfit::asked),
    };
    let expires = |at: Option<UnixNanos>| at.map_or(0, |at| at.0);
    let (trailing_offset, trailing_offset_type) = numbers.trailing(terms.trailing);
    let trigger = request
        .order_type
        .is_conditional()
        .then(|| enums::trigger_type(terms.trigger));
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
        quantity: numbers.quantity("quantity", Some(order.quantity)),
        filled_quantity: instrument.format_quantity(order.filled_quantity),
        leaves_quantity: instrument.format_quantity(order.leaves_quantity),
        average_price: average_price(order, instrument).unwrap_or_default(),
        limit_price: numbers.price("limit_price", order.limit_price),
        stop_price: numbers.price("stop_price", order.stop_price),
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
        notional: text(terms.notional.as_ref()),
        trailing_offset,
        trailing_offset_type: trailing_offset_type.into(),
        activation_price: numbers.price("activation_price", terms.activation_price),
        trigger_type: trigger.unwrap_or(v1::TriggerType::Unspecified).into(),
        expire_at_ns: expires(terms.expire_at),
        ts_expires_ns: expires(order.expires_at),
        display_quantity: numbers.quantity("display_quantity", terms.display_quantity),
        position_side: enums::position_side(terms.position_side).into(),
        self_trade_prevention: enums::self_trade_prevention(terms.self_trade_prevention).into(),
        extended_hours: terms.extended_hours,
        order_list_id: text(order.list_id.as_ref()),
        held_for: order.held_for.map_or(0, |hold| write_hold(hold).into()),
    }
}

/// Writes a new order of a remote strategy, as [`super::read_submit`] reads its fields.
pub fn strategy_submit(request: &SubmitOrder, instrument: &Instrument) -> v1::StrategySubmit {
    let terms = &request.terms;
    let numbers = Numbers {
        instrument,
        asked: request.misfit.as_ref().map(Misfit::asked),
    };
    let (trailing_offset, trailing_offset_type) = numbers.trailing(terms.trailing);
    let trigger = request
        .order_type
        .is_conditional()
        .then(|| enums::trigger_type(terms.trigger));
    // With a notional there is no quantity to ask for.
    let quantity = terms.notional.is_none().then_some(request.quantity);
    v1::StrategySubmit {
        client_order_id: request.client_order_id.to_string(),
        instrument_id: request.instrument_id.to_string(),
        side: enums::side(request.side).into(),
        order_type: enums::order_type(request.order_type).into(),
        quantity: numbers.quantity("quantity", quantity),
        limit_price: numbers.price("limit_price", request.limit_price),
        time_in_force: enums::time_in_force(request.time_in_force).into(),
        post_only: request.post_only,
        reduce_only: request.reduce_only,
        tags: request.tags.clone(),
        notional: text(terms.notional.as_ref()),
        stop_price: numbers.price("stop_price", terms.stop_price),
        trailing_offset,
        trailing_offset_type: trailing_offset_type.into(),
        activation_price: numbers.price("activation_price", terms.activation_price),
        trigger_type: trigger.unwrap_or(v1::TriggerType::Unspecified).into(),
        expire_at_ns: terms.expire_at.map_or(0, |at| at.0),
        display_quantity: numbers.quantity("display_quantity", terms.display_quantity),
        position_side: enums::position_side(terms.position_side).into(),
        self_trade_prevention: enums::self_trade_prevention(terms.self_trade_prevention).into(),
        extended_hours: terms.extended_hours,
    }
}

/// Writes a list of a remote strategy, as [`super::read_submit_list`] reads its fields.
/// `instrument` gives the definitions; `None` when it has not all of them.
pub fn strategy_submit_list<'a>(
    list: &SubmitList,
    instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
) -> Option<v1::StrategySubmitList> {
    let batch = list.contingency == Contingency::None;
    let has_parent = matches!(list.contingency, Contingency::Oto | Contingency::Bracket);
    let orders = list.orders.iter().map(|request| {
        let definition = instrument(&request.instrument_id)?;
        Some(strategy_submit(request, definition))
    });
    // What a kind of list does not have must be empty.
    Some(v1::StrategySubmitList {
        order_list_id: if batch {
            String::new()
        } else {
            list.list_id.to_string()
        },
        contingency: contingency(list.contingency).into(),
        release: if has_parent {
            release_rule(list.release).into()
        } else {
            v1::ReleaseRule::Unspecified.into()
        },
        cascade: (!batch).then_some(list.cascade),
        orders: orders.collect::<Option<_>>()?,
    })
}

fn contingency(value: Contingency) -> v1::Contingency {
    match value {
        Contingency::None => v1::Contingency::None,
        Contingency::Oco => v1::Contingency::Oco,
        Contingency::Oto => v1::Contingency::Oto,
        Contingency::Ouo => v1::Contingency::Ouo,
        Contingency::Bracket => v1::Contingency::Bracket,
    }
}

fn release_rule(value: ReleaseRule) -> v1::ReleaseRule {
    match value {
        ReleaseRule::Full => v1::ReleaseRule::Full,
        ReleaseRule::Partial => v1::ReleaseRule::Partial,
    }
}

/// Empty where there is nothing.
fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// Writes numbers at the decimals of an instrument.
struct Numbers<'a> {
    instrument: &'a Instrument,
    /// The field that fits no increment, and the text that was asked for.
    asked: Option<(&'static str, &'a str)>,
}

impl Numbers<'_> {
    fn asked_or(&self, field: &str, fitting: impl FnOnce() -> String) -> String {
        match self.asked {
            Some((name, asked)) if name == field => asked.to_owned(),
            _ => fitting(),
        }
    }

    fn price(&self, field: &str, price: Option<Price>) -> String {
        self.asked_or(field, || {
            let price = price.map(|price| self.instrument.format_price(price));
            price.unwrap_or_default()
        })
    }

    fn quantity(&self, field: &str, quantity: Option<Quantity>) -> String {
        self.asked_or(field, || {
            let quantity = quantity.map(|quantity| self.instrument.format_quantity(quantity));
            quantity.unwrap_or_default()
        })
    }

    fn trailing(&self, offset: Option<TrailingOffset>) -> (String, v1::TrailingOffsetType) {
        match offset {
            None => (String::new(), v1::TrailingOffsetType::Unspecified),
            Some(TrailingOffset::Bps(bps)) => (bps.to_string(), v1::TrailingOffsetType::Bps),
            Some(TrailingOffset::Price(offset)) => (
                self.price("trailing_offset", Some(offset)),
                v1::TrailingOffsetType::Price,
            ),
        }
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

/// Writes what a new order would be and do.
pub fn preview(
    account_id: &AccountId,
    request: &SubmitOrder,
    preview: &Preview,
    instrument: &Instrument,
) -> v1::PreviewOrderResponse {
    let failures = preview.failures.iter();
    v1::PreviewOrderResponse {
        account_id: account_id.to_string(),
        client_order_id: request.client_order_id.to_string(),
        instrument_id: request.instrument_id.to_string(),
        quantity: instrument.format_quantity(preview.quantity),
        estimated_price: preview
            .price
            .map(|price| instrument.format_price(price))
            .unwrap_or_default(),
        notional: text(preview.notional.as_ref()),
        fee: text(preview.fee.as_ref().map(|fee| &fee.amount)),
        initial_margin: text(preview.initial_margin.as_ref()),
        worst_position: format_mantissa(preview.worst_position, instrument.quantity_decimals),
        worst_exposure: text(preview.worst_exposure.as_ref()),
        failed_checks: failures
            .map(|(check, denial)| v1::FailedCheck {
                check: (*check).to_owned(),
                reason_code: denial.reason_code.as_str().to_owned(),
                reason: denial.reason.clone(),
            })
            .collect(),
        currency: instrument.profit_currency().to_string(),
        fee_currency: instrument.fee_currency(request.side).to_string(),
    }
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
        busted: record.busted,
        position_side: enums::position_side(record.position_side).into(),
    }
}
