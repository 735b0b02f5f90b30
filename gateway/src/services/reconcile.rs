//! How an account stands with its venue, and the cancel of orders there that are not ours.

use super::order::unexpected;
use crate::auth::Caller;
use crate::shared::Shared;
use crate::status;
use apex_bus::message::AccountCommand;
use apex_domain::AccountId;
use apex_domain::account::Reply;
use apex_proto::convert::reconcile as wire;
use apex_proto::v1;
use tonic::Status;

/// Rows of one list: what a person can look through, and what fits a message.
const ROWS: usize = 1_000;

/// Errors: an account that is not granted, or gives no answer.
pub(super) async fn get(
    shared: &Shared,
    caller: &Caller,
    request: &v1::GetReconciliationRequest,
) -> Result<v1::Reconciliation, Status> {
    let id = AccountId::new(&request.account_id)
        .map_err(|error| status::invalid_field("account_id", error))?;
    let account = shared.account(caller, &id)?;
    let state = account
        .reconciliation()
        .await
        .map_err(|error| status::command(&error))?;
    let market = &shared.platform.market;
    let mut answer = v1::Reconciliation {
        account_id: id.to_string(),
        reconciled: state.is_reconciled,
        foreign_omitted: state.foreign_orders.len().saturating_sub(ROWS) as u64,
        ..Default::default()
    };
    for (order, cancel_requested) in state.foreign_orders.iter().take(ROWS) {
        let instrument = market.instrument(&order.instrument_id);
        let order = wire::foreign_order(order, *cancel_requested, instrument.as_ref());
        answer.foreign_orders.push(order);
    }
    if let Some(report) = &state.report {
        answer.ts_ns = report.ts.0;
        answer.omitted = report.omitted + report.found.len().saturating_sub(ROWS) as u64;
        for found in report.found.iter().take(ROWS) {
            let id = wire::instrument_of(&found.difference);
            let instrument = id.and_then(|id| market.instrument(id));
            answer
                .differences
                .push(wire::difference(found, instrument.as_ref()));
        }
    }
    Ok(answer)
}

/// Errors: a field that cannot be taken, an account that is not granted, and the account's
/// refusals.
pub(super) async fn cancel_foreign(
    shared: &Shared,
    caller: &Caller,
    request: &v1::CancelForeignOrdersRequest,
) -> Result<v1::CancelForeignOrdersResponse, Status> {
    let (account_id, mut cancel) =
        wire::read_cancel_foreign(request).map_err(|errors| status::invalid(&errors))?;
    let account = shared.account(caller, &account_id)?;
    cancel.by = caller.user_id.clone();
    match account.command(AccountCommand::CancelForeign(cancel)).await {
        Ok(Reply::ForeignOrders(orders)) => Ok(v1::CancelForeignOrdersResponse {
            orders: orders.iter().map(wire::named).collect(),
        }),
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(status::command(&error)),
    }
}
