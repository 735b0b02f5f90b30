//! `AccountService.CreateAccount` and `ResetPaper`: what changes which accounts there are, and what a
//! paper account has.

use super::account::now;
use super::closing::read_account_request;
use crate::auth::Caller;
use crate::shared::Shared;
use crate::status;
use apex_bus::accounts::{AccountDesk, DeskError, NewAccount};
use apex_proto::convert::account as wire;
use apex_proto::v1;
use std::sync::Arc;
use tonic::Status;

/// What a run says that has the accounts that it has.
const FIXED: DeskError = DeskError::NotHere(
    "this run has the accounts that it has, since it is a replay: start `apextrade up` without \
     --replay",
);

/// Errors: a field that cannot be taken, an account or request that is another one already, no room,
/// or no way to make one in this run.
pub(super) async fn create(
    shared: &Shared,
    request: &v1::CreateAccountRequest,
) -> Result<v1::Account, Status> {
    let asked = wire::read_create_account(request).map_err(|errors| status::invalid(&errors))?;
    let new = NewAccount {
        request_id: asked.request_id,
        account_id: asked.account_id,
        base_currency: asked.base_currency,
        cash: asked.cash,
        position_mode: asked.position_mode,
    };
    let created = desk(shared)?.create(new).await;
    let handle = created.map_err(|error| status::desk(&error))?;
    now(&handle).await
}

/// Errors: a field that cannot be taken, an account that is not granted, holds something, or is no
/// paper account of the market inside.
pub(super) async fn reset(
    shared: &Shared,
    caller: &Caller,
    request: &v1::ResetPaperRequest,
) -> Result<v1::Account, Status> {
    let named = (request.account_id.as_str(), request.request_id.as_str());
    let (account_id, request_id) = read_account_request(named)?;
    let handle = shared.account(caller, &account_id)?;
    let by = caller.user_id.clone();
    let reset = desk(shared)?.reset(handle.clone(), request_id, by).await;
    reset.map_err(|error| status::desk(&error))?;
    now(&handle).await
}

fn desk(shared: &Shared) -> Result<&Arc<dyn AccountDesk>, Status> {
    let desk = shared.platform.desk.as_ref();
    desk.ok_or_else(|| status::desk(&FIXED))
}
