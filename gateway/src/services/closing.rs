//! `OrderService.GetClosing`: how the closing of positions stands, or ended and why.

use crate::auth::Caller;
use crate::shared::{Definitions, Shared};
use crate::status;
use apex_bus::message::ClosingAnswer;
use apex_domain::event::CloseOutcome;
use apex_domain::number::format_mantissa;
use apex_domain::order::Order;
use apex_domain::{AccountId, RequestId};
use apex_proto::convert::{enums, order as wire, text};
use apex_proto::field::Fields;
use apex_proto::v1;
use tonic::Status;

/// Errors: a field that cannot be taken, an account that is not granted, a request that closes
/// nothing.
pub(super) async fn get(
    shared: &Shared,
    caller: &Caller,
    request: &v1::GetClosingRequest,
) -> Result<v1::Closing, Status> {
    let named = (request.account_id.as_str(), request.request_id.as_str());
    let (account_id, request_id) = read_account_request(named)?;
    let account = shared.account(caller, &account_id)?;
    let answer = account
        .closing(request_id.clone())
        .await
        .map_err(|error| status::command(&error))?;
    let answer = answer.ok_or_else(|| status::closing_not_found(&request_id))?;
    let mut definitions = shared.definitions();
    let mut closing = written(&answer, &mut definitions)?;
    closing.account_id = account_id.to_string();
    closing.request_id = request_id.to_string();
    Ok(closing)
}

/// Reads an account and a request's id.
pub(super) fn read_account_request(
    (account_id, request_id): (&str, &str),
) -> Result<(AccountId, RequestId), Status> {
    let mut fields = Fields::new();
    let account_id = text::account_id(&mut fields, account_id);
    let request_id = text::request_id(&mut fields, request_id);
    fields
        .finish(account_id.zip(request_id))
        .map_err(|errors| status::invalid(&errors))
}

fn written(answer: &ClosingAnswer, definitions: &mut Definitions) -> Result<v1::Closing, Status> {
    let state = &answer.state;
    let mut closing = v1::Closing {
        state: match state.ended {
            None => v1::ClosingState::Running,
            Some((CloseOutcome::Flat, ..)) => v1::ClosingState::Flat,
            Some((CloseOutcome::Dust, ..)) => v1::ClosingState::Dust,
            Some((CloseOutcome::GaveUp, ..)) => v1::ClosingState::GaveUp,
            Some((CloseOutcome::Resumed, ..)) => v1::ClosingState::Resumed,
        }
        .into(),
        reason: reason(answer),
        working_orders: answer.in_the_way as u64,
        started_sequence: state.taken,
        ended_sequence: state.ended.map_or(0, |(_, sequence, _)| sequence),
        ts_ended_ns: state.ended.map_or(0, |(_, _, ts)| ts.0),
        ..Default::default()
    };
    for order in &state.orders {
        let instrument = definitions.get(&order.request.instrument_id)?;
        closing.orders.push(wire::order(order, instrument));
    }
    for position in &answer.positions {
        let instrument = definitions.get(&position.instrument_id)?;
        let quantity = i128::from(position.quantity);
        closing.positions.push(v1::OpenPosition {
            instrument_id: position.instrument_id.to_string(),
            strategy_id: position.strategy_id.to_string(),
            quantity: format_mantissa(quantity, instrument.quantity_decimals),
            position_side: enums::position_side(position.side).into(),
        });
    }
    Ok(closing)
}

/// Says in words why a closing stands as it does, and what to do where it has failed.
fn reason(answer: &ClosingAnswer) -> String {
    match answer.state.ended {
        Some((CloseOutcome::Flat, ..)) => String::new(),
        Some((CloseOutcome::Dust, ..)) => {
            "what is left is less than the smallest quantity that can be ordered: nothing more can \
             be sold or bought of it"
                .to_owned()
        }
        Some((CloseOutcome::GaveUp, ..)) => format!(
            "its orders ended without a fill several times in a row, the last {}: mend that, then \
             close again with a new request_id",
            answer
                .state
                .orders
                .last()
                .map_or("unknown".to_owned(), end_of)
        ),
        Some((CloseOutcome::Resumed, ..)) => {
            "trading was resumed before it had ended: what is open stays open, until it is closed \
             by a new request_id"
                .to_owned()
        }
        None if answer.in_the_way > 0 => format!(
            "waits for {} working orders to end or trade",
            answer.in_the_way
        ),
        None => "waits for its next order".to_owned(),
    }
}

/// Returns how an order ended, for example `DENIED by MARKET_CLOSED, session is closed`.
fn end_of(order: &Order) -> String {
    let mut words = order.status.as_str().to_owned();
    if let Some(code) = order.reason_code {
        words.push_str(" by ");
        words.push_str(code.as_str());
    }
    if !order.reason.is_empty() {
        words.push_str(", ");
        words.push_str(&order.reason);
    }
    words
}
