//! What the commands over orders are made of: read, handed over, answered. The unary methods and the
//! order session share it, so that a command means the same either way.

use super::order::{OrderServer, unexpected, write_all};
use super::strategy_names;
use crate::auth::Caller;
use crate::shared::Definitions;
use crate::status;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::{Outcome, Refusal, Reply};
use apex_domain::order::{AmendOrder, Order, OrderKey, OrderStatus, SubmitList, SubmitOrder};
use apex_domain::risk::ReasonCode;
use apex_domain::{Instrument, OrderId};
use apex_proto::convert::order::{self as wire, AmendDraft, AmendError};
use apex_proto::v1;
use tonic::Status;
use tonic_types::StatusExt;

impl OrderServer {
    /// Reads a new order.
    ///
    /// Errors: a field that cannot be taken; an account that is not granted.
    pub(super) fn read_submit(
        &self,
        caller: &Caller,
        request: &v1::SubmitOrderRequest,
    ) -> Result<(AccountHandle, Box<SubmitOrder>), Status> {
        let (account_id, order) = self.shared.read(|find| wire::read_submit(request, find))?;
        let account = self.shared.account(caller, &account_id)?;
        Ok((account, Box::new(order)))
    }

    /// Reads orders that belong together.
    ///
    /// Errors: as [`OrderServer::read_submit`].
    pub(super) fn read_list(
        &self,
        caller: &Caller,
        request: &v1::SubmitOrderListRequest,
    ) -> Result<(AccountHandle, Box<SubmitList>), Status> {
        let (account_id, list) = self
            .shared
            .read(|find| wire::read_submit_list(request, find))?;
        let account = self.shared.account(caller, &account_id)?;
        Ok((account, Box::new(list)))
    }

    /// Reads which working orders are to be canceled.
    ///
    /// Errors: as [`OrderServer::read_submit`]; an instrument or a strategy that is not known.
    pub(super) async fn read_cancel_all(
        &self,
        caller: &Caller,
        request: &v1::CancelAllOrdersRequest,
    ) -> Result<(AccountHandle, AccountCommand), Status> {
        let (account_id, filter, request_id) =
            wire::read_cancel_all(request).map_err(|errors| status::invalid(&errors))?;
        let account = self.shared.account(caller, &account_id)?;
        let instrument_id = filter.instrument_id.as_ref();
        self.shared
            .check_instrument("instrument_id", instrument_id)?;
        if let Some(strategy_id) = &filter.strategy_id {
            let one = std::slice::from_ref(&account);
            strategy_names::check(&self.shared, one, strategy_id).await?;
        }
        let command = AccountCommand::CancelAll {
            filter,
            request_id,
            reason_code: ReasonCode::CanceledByUser,
        };
        Ok((account, command))
    }
}

/// Reads an amend as far as it can be read without its order.
///
/// Errors: every field that cannot be read.
pub(super) fn read_amend(request: &v1::AmendOrderRequest) -> Result<AmendDraft, Status> {
    wire::read_amend(request).map_err(|errors| status::invalid(&errors))
}

/// Returns the amend of an order of this instrument.
///
/// Errors: a number that cannot be taken, or fits no increment.
pub(super) fn amend_at(draft: &AmendDraft, instrument: &Instrument) -> Result<AmendOrder, Status> {
    draft.at(instrument).map_err(|error| match error {
        AmendError::Fields(errors) => status::invalid(&errors),
        AmendError::Misfit(misfit) => status::misfit(&misfit),
    })
}

pub(super) fn cancel(key: OrderKey, request_id: Option<apex_domain::RequestId>) -> AccountCommand {
    AccountCommand::Cancel {
        key,
        request_id,
        reason_code: ReasonCode::CanceledByUser,
    }
}

fn write(definitions: &mut Definitions, order: &Order) -> Result<v1::Order, Status> {
    let instrument = definitions.get(&order.request.instrument_id)?;
    Ok(wire::order(order, instrument))
}

/// Writes what came of a new order.
///
/// Errors: why it was not taken, or was kept as denied.
pub(super) fn submitted(
    definitions: &mut Definitions,
    answer: Result<Reply, CommandError>,
) -> Result<v1::Order, Status> {
    match answer {
        Ok(Reply::Order(order)) if order.status == OrderStatus::Denied => {
            Err(status::denied(&order))
        }
        answer => changed(definitions, answer),
    }
}

/// Writes what came of the change of an order.
///
/// Errors: why it was not taken.
pub(super) fn changed(
    definitions: &mut Definitions,
    answer: Result<Reply, CommandError>,
) -> Result<v1::Order, Status> {
    match answer {
        Ok(Reply::Order(order)) => write(definitions, &order),
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(status::command(&error)),
    }
}

/// Writes what came of orders that belong together.
///
/// Errors: why none of them was taken.
pub(super) fn listed(
    definitions: &mut Definitions,
    order_list_id: String,
    answer: Result<Reply, CommandError>,
) -> Result<v1::SubmitOrderListResponse, Status> {
    Ok(v1::SubmitOrderListResponse {
        order_list_id,
        outcomes: outcomes(definitions, answer)?,
    })
}

/// Writes which orders a cancel of many meant.
///
/// Errors: why it was not taken.
pub(super) fn all_canceled(
    server: &OrderServer,
    answer: Result<Reply, CommandError>,
) -> Result<v1::CancelAllOrdersResponse, Status> {
    match answer {
        Ok(Reply::Orders(orders)) => Ok(v1::CancelAllOrdersResponse {
            orders: write_all(&server.shared, &orders)?,
        }),
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(status::command(&error)),
    }
}

/// Writes what became of each order of several.
///
/// Errors: why none of them was touched.
pub(super) fn outcomes(
    definitions: &mut Definitions,
    answer: Result<Reply, CommandError>,
) -> Result<Vec<v1::OrderOutcome>, Status> {
    let outcomes = match answer {
        Ok(Reply::Outcomes(outcomes)) => outcomes,
        Ok(other) => return Err(unexpected(&other)),
        Err(error) => return Err(status::command(&error)),
    };
    let outcomes = outcomes.into_iter();
    outcomes
        .map(|outcome| write_outcome(definitions, outcome))
        .collect()
}

fn write_outcome(
    definitions: &mut Definitions,
    outcome: Outcome,
) -> Result<v1::OrderOutcome, Status> {
    let (order_id, client_order_id) = match &outcome.key {
        OrderKey::OrderId(id) => (id.to_string(), String::new()),
        OrderKey::ClientOrderId(id) => (String::new(), id.to_string()),
    };
    let mut written = v1::OrderOutcome {
        client_order_id,
        order_id,
        ..Default::default()
    };
    match outcome.result {
        Ok(order) => {
            let instrument = definitions.get(&order.request.instrument_id)?;
            written.client_order_id = order.request.client_order_id.to_string();
            written.order_id = OrderId::to_string(&order.order_id);
            written.order = Some(wire::order(&order, instrument));
            if order.status == OrderStatus::Denied {
                written.error = Some(error_of(&status::denied(&order)));
            }
        }
        Err(refusal) => written.error = Some(refusal_of(refusal)),
    }
    Ok(written)
}

fn refusal_of(refusal: Refusal) -> v1::OutcomeError {
    error_of(&status::command(&CommandError::Refused(refusal)))
}

/// Writes the status that the call alone would have had.
fn error_of(status: &Status) -> v1::OutcomeError {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    v1::OutcomeError {
        code: status.code() as i32,
        // A field that cannot be taken has no code of its own.
        reason: reason.unwrap_or_else(|| "INVALID_ARGUMENT".to_owned()),
        message: status.message().to_owned(),
    }
}
