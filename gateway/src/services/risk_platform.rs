//! `RiskService.GetPlatformLimits` and `SetPlatformLimits`: the limit over all accounts.

use crate::auth::Caller;
use crate::shared::Shared;
use crate::status;
use apex_bus::exposure::ExposureHandle;
use apex_bus::message::ExposureError;
use apex_domain::risk::platform::PlatformView;
use apex_proto::convert::platform as wire;
use apex_proto::v1;
use tonic::Status;

/// Errors: a run without such a limit.
pub(crate) async fn get(shared: &Shared, caller: &Caller) -> Result<v1::PlatformLimits, Status> {
    let view = exposure(shared)?.view().await;
    let view = view.map_err(|error| status::exposure(&error))?;
    Ok(written(&view, caller))
}

/// Errors: a field that cannot be taken, a caller who may not see every account, a refusal.
pub(super) async fn set(
    shared: &Shared,
    caller: &Caller,
    request: &v1::SetPlatformLimitsRequest,
) -> Result<v1::PlatformLimits, Status> {
    let change =
        wire::read_set_platform_limits(request).map_err(|errors| status::invalid(&errors))?;
    let exposure = exposure(shared)?;
    let known = exposure.view().await;
    let known = known.map_err(|error| status::exposure(&error))?;
    // It binds every account, those that run elsewhere too.
    let accounts = known.accounts.iter();
    if !accounts
        .into_iter()
        .all(|account| caller.may(&account.account_id))
    {
        return Err(status::account_not_granted());
    }
    let view = exposure.change(change).await;
    let view = view.map_err(|error| status::exposure(&error))?;
    Ok(written(&view, caller))
}

fn exposure(shared: &Shared) -> Result<&ExposureHandle, Status> {
    let exposure = shared.platform.exposure.as_ref();
    exposure.ok_or_else(|| status::exposure(&ExposureError::NoLimit))
}

fn written(view: &PlatformView, caller: &Caller) -> v1::PlatformLimits {
    wire::platform_limits(view, |account| caller.may(&account.account_id))
}
