//! The methods of `OrderService` over several orders or positions, and the preview.

use super::order::{OrderServer, unexpected};
use super::{order_command, strategy_names};
use crate::auth::Caller;
use crate::status;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::InstrumentId;
use apex_domain::account::Reply;
use apex_domain::order::SubmitList;
use apex_domain::risk::ReasonCode;
use apex_proto::convert::order::{self as wire, Close};
use apex_proto::{FieldErrors, v1};
use std::collections::BTreeSet;
use tonic::Status;

impl OrderServer {
    pub(super) async fn submit_list(
        &self,
        caller: &Caller,
        request: &v1::SubmitOrderListRequest,
    ) -> Result<v1::SubmitOrderListResponse, Status> {
        let (account, list) = self.read_list(caller, request)?;
        self.define_all(&account, &list)
            .await
            .map_err(|error| status::command(&error))?;
        let answer = account.command(AccountCommand::SubmitList(list)).await;
        let id = request.order_list_id.clone();
        order_command::listed(&mut self.shared.definitions(), id, answer)
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
        let answer = account.command(command).await;
        let mut outcomes = order_command::outcomes(&mut self.shared.definitions(), answer)?;
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
        let (account, command) = self.read_cancel_all(caller, request).await?;
        order_command::all_canceled(self, account.command(command).await)
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
}
