//! `AccountService.CreateAccount` and `ResetPaper`: what changes which accounts there are, and what a
//! paper account has.

use super::account::now;
use crate::auth::Caller;
use crate::shared::Shared;
use crate::status;
use apex_bus::accounts::{AccountDesk, DeskError, NewAccount};
use apex_domain::{AccountId, RequestId};
use apex_proto::convert::{account as wire, text};
use apex_proto::field::Fields;
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
    let (account_id, request_id) = read_reset(request)?;
    let handle = shared.account(caller, &account_id)?;
    let by = caller.user_id.clone();
    let reset = desk(shared)?.reset(handle.clone(), request_id, by).await;
    reset.map_err(|error| status::desk(&error))?;
    now(&handle).await
}

fn read_reset(request: &v1::ResetPaperRequest) -> Result<(AccountId, RequestId), Status> {
    let mut fields = Fields::new();
    let account_id = text::account_id(&mut fields, &request.account_id);
    let request_id = text::request_id(&mut fields, &request.request_id);
    fields
        .finish(account_id.zip(request_id))
        .map_err(|errors| status::invalid(&errors))
}

fn desk(shared: &Shared) -> Result<&Arc<dyn AccountDesk>, Status> {
    let desk = shared.platform.desk.as_ref();
    desk.ok_or_else(|| status::desk(&FIXED))
}
