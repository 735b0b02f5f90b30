//! The methods of `OrderService` over several orders or positions, and the preview.

use super::order::{OrderServer, unexpected, write_all};
use super::strategy_names;
use crate::auth::Caller;
use crate::shared::Definitions;
use crate::status;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::{Outcome, Refusal, Reply};
use apex_domain::order::{OrderKey, OrderStatus, SubmitList};
use apex_domain::risk::ReasonCode;
use apex_domain::{InstrumentId, OrderId};
use apex_proto::convert::order::{self as wire, Close};
use apex_proto::{FieldErrors, v1};
use std::collections::BTreeSet;
use tonic::Status;
use tonic_types::StatusExt;

impl OrderServer {
    pub(super) async fn submit_list(
        &self,
        caller: &Caller,
        request: &v1::SubmitOrderListRequest,
    ) -> Result<v1::SubmitOrderListResponse, Status> {
        let (account_id, list) = self
            .shared
            .read(|find| wire::read_submit_list(request, find))?;
        let account = self.shared.account(caller, &account_id)?;
        self.define_all(&account, &list)
            .await
            .map_err(|error| status::command(&error))?;
        let command = AccountCommand::SubmitList(Box::new(list));
        Ok(v1::SubmitOrderListResponse {
            order_list_id: request.order_list_id.clone(),
            outcomes: self.outcomes(account.command(command).await)?,
        })
    }

    /// Makes the instruments of a list known to the account: in a batch an unknown one would only
    /// be told order by order.
    async fn define_all(
        &self,
        account: &AccountHandle,
        list: &SubmitList,
    ) -> Result<(), CommandError> {
        let ids: BTreeSet<&InstrumentId> = list.orders.iter().map(|o| &o.instrument_id).collect();
        let market = &self.shared.platform.market;
        for instrument in ids.into_iter().filter_map(|id| market.instrument(id)) {
            // The same definition again changes nothing.
            let define = AccountCommand::DefineInstrument(Box::new(instrument));
            account.command(define).await?;
        }
        Ok(())
    }

    pub(super) async fn cancel_several(
        &self,
        caller: &Caller,
        request: &v1::CancelOrdersRequest,
    ) -> Result<v1::CancelOrdersResponse, Status> {
        let cancel =
            wire::read_cancel_orders(request).map_err(|errors| status::invalid(&errors))?;
        let account = self.shared.account(caller, &cancel.account_id)?;
        let command = AccountCommand::CancelOrders {
            keys: cancel.keys,
            request_id: cancel.request_id,
            reason_code: ReasonCode::CanceledByUser,
        };
        let mut outcomes = self.outcomes(account.command(command).await)?;
        for outcome in &mut outcomes {
            // What the order itself was denied for says nothing about the cancel.
            outcome.error.take_if(|_| outcome.order.is_some());
        }
        Ok(v1::CancelOrdersResponse { outcomes })
    }

    pub(super) async fn cancel_all(
        &self,
        caller: &Caller,
        request: &v1::CancelAllOrdersRequest,
    ) -> Result<v1::CancelAllOrdersResponse, Status> {
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
        match account.command(command).await {
            Ok(Reply::Orders(orders)) => Ok(v1::CancelAllOrdersResponse {
                orders: write_all(&self.shared, &orders)?,
            }),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(status::command(&error)),
        }
    }

    pub(super) async fn close(
        &self,
        caller: &Caller,
        close: Close,
    ) -> Result<v1::CloseResponse, Status> {
        let account = self.shared.account(caller, &close.account_id)?;
        let instrument_id = close.scope.instrument_id.clone();
        self.shared.read(|find| match &instrument_id {
            Some(id) if find(id).is_none() => {
                let description = wire::unknown_instrument(id);
                Err(FieldErrors::one("instrument_id", description))
            }
            _ => Ok(()),
        })?;
        if let Some(strategy_id) = &close.scope.strategy_id {
            let one = std::slice::from_ref(&account);
            strategy_names::check(&self.shared, one, strategy_id).await?;
        }
        let command = AccountCommand::Close {
            scope: close.scope,
            request_id: Some(close.request_id),
        };
        let answer = match instrument_id {
            Some(id) => self.knowing(&account, &id, command).await,
            None => account.command(command).await,
        };
        match answer {
            Ok(Reply::Done { sequence }) => Ok(v1::CloseResponse {
                account_id: close.account_id.to_string(),
                sequence,
            }),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(status::command(&error)),
        }
    }

    pub(super) async fn preview(
        &self,
        caller: &Caller,
        request: &v1::SubmitOrderRequest,
    ) -> Result<v1::PreviewOrderResponse, Status> {
        let (account_id, order) = self.shared.read(|find| wire::read_submit(request, find))?;
        let account = self.shared.account(caller, &account_id)?;
        let preview = account
            .preview(order.clone())
            .await
            .map_err(|error| status::command(&error))?;
        let mut definitions = self.shared.definitions();
        let instrument = definitions.get(&order.instrument_id)?;
        Ok(wire::preview(&account_id, &order, &preview, instrument))
    }

    fn outcomes(
        &self,
        answer: Result<Reply, CommandError>,
    ) -> Result<Vec<v1::OrderOutcome>, Status> {
        let outcomes = match answer {
            Ok(Reply::Outcomes(outcomes)) => outcomes,
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => return Err(status::command(&error)),
        };
        let mut definitions = self.shared.definitions();
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|outcome| write_outcome(&mut definitions, outcome))
            .collect()
    }
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
