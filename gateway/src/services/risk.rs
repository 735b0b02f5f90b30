//! `RiskService`.

use super::order::unexpected;
use super::{risk_changes, risk_platform};
use crate::auth::Caller;
use crate::shared::{Shared, caller};
use crate::status;
use apex_bus::handle::AccountHandle;
use apex_bus::message::AccountCommand;
use apex_domain::account::Reply;
use apex_domain::risk::TradingState;
use apex_domain::{AccountId, RequestId};
use apex_proto::convert::{enums, risk as wire, text};
use apex_proto::field::Fields;
use apex_proto::v1;
use apex_proto::v1::risk_service_server::RiskService;
use futures::future::join_all;
use tonic::{Request, Response, Status};

/// Limits and trading states of the accounts of this node.
#[derive(Clone, Debug)]
pub struct RiskServer {
    shared: Shared,
}

/// A change of the trading state, as it was asked for.
struct Change {
    state: TradingState,
    request_id: Option<RequestId>,
    reason: String,
}

impl RiskServer {
    pub fn new(shared: Shared) -> RiskServer {
        RiskServer { shared }
    }

    /// Changes the state of every account in scope.
    async fn change(
        &self,
        caller: &Caller,
        account_id: &str,
        change: Change,
    ) -> Result<Response<v1::TradingStateResponse>, Status> {
        let handles = self.shared.scope(caller, account_id)?;
        let changed = handles.into_iter().map(|handle| {
            let command = AccountCommand::SetTradingState {
                request_id: change.request_id.clone(),
                state: change.state,
                by: caller.user_id.clone(),
                reason: change.reason.clone(),
            };
            (
                handle.account_id().clone(),
                change_one(handle, change.state, command),
            )
        });
        all_of(changed).await
    }

    async fn halt_all(
        &self,
        caller: &Caller,
        halt: &v1::HaltRequest,
    ) -> Result<Response<v1::TradingStateResponse>, Status> {
        let change = read(TradingState::Halted, &halt.request_id, &halt.reason)?;
        let handles = self.shared.scope(caller, &halt.account_id)?;
        let halted = handles.into_iter().map(|handle| {
            let command = AccountCommand::Halt {
                request_id: change.request_id.clone(),
                cancel: halt.cancel,
                flatten: halt.flatten,
                by: caller.user_id.clone(),
                reason: change.reason.clone(),
            };
            (handle.account_id().clone(), halt_one(handle, command))
        });
        all_of(halted).await
    }
}

/// Returns the limits of an account as they are now.
pub(crate) async fn limits(handle: &AccountHandle) -> Result<v1::Limits, Status> {
    let summary = handle
        .summary()
        .await
        .map_err(|error| status::command(&error))?;
    let sequence = summary.limits_sequence;
    Ok(wire::limits(&summary.account_id, &summary.limits, sequence))
}

/// Returns the trading states of the accounts in scope as they are now.
pub(crate) async fn trading_states(
    shared: &Shared,
    caller: &Caller,
    request: &v1::GetTradingStateRequest,
) -> Result<v1::TradingStateResponse, Status> {
    let mut accounts = Vec::new();
    for handle in shared.scope(caller, &request.account_id)? {
        let summary = handle
            .summary()
            .await
            .map_err(|error| status::command(&error))?;
        accounts.push(written(
            &summary.account_id,
            summary.trading_state,
            summary.sequence,
        ));
    }
    Ok(v1::TradingStateResponse { accounts })
}

/// Asks all accounts at once, and each of them even where another one fails: a kill switch must
/// not wait for a slow disk, nor stop at the first fault. One that failed is named, and so are
/// those that did not.
async fn all_of<F>(
    asked: impl IntoIterator<Item = (AccountId, F)>,
) -> Result<Response<v1::TradingStateResponse>, Status>
where
    F: Future<Output = Result<v1::AccountTradingState, Status>>,
{
    let (ids, calls): (Vec<AccountId>, Vec<F>) = asked.into_iter().unzip();
    let (mut accounts, mut failed) = (Vec::new(), Vec::new());
    for (id, answer) in ids.iter().zip(join_all(calls).await) {
        match answer {
            Ok(state) => accounts.push(state),
            Err(status) => failed.push((id, status)),
        }
    }
    if failed.is_empty() {
        return Ok(Response::new(v1::TradingStateResponse { accounts }));
    }
    match failed.as_slice() {
        [(_, status)] if ids.len() == 1 => Err(status.clone()),
        _ => Err(some_failed(&accounts, &failed)),
    }
}

/// The first fault, with what became of each account.
fn some_failed(done: &[v1::AccountTradingState], failed: &[(&AccountId, Status)]) -> Status {
    let done: Vec<&str> = done.iter().map(|state| state.account_id.as_str()).collect();
    let done = match done.as_slice() {
        [] => "no account".to_owned(),
        ids => ids.join(", "),
    };
    let failed_text = failed.iter();
    let failed_text = failed_text.map(|(id, status)| format!("{id}: {}", status.message()));
    let failed_text: Vec<String> = failed_text.collect();
    let message = format!(
        "done for {done}; failed for {}; the same request id again does what is missing",
        failed_text.join("; ")
    );
    let first = &failed[0].1;
    Status::with_details(first.code(), message, first.details().to_vec().into())
}

async fn change_one(
    handle: AccountHandle,
    state: TradingState,
    command: AccountCommand,
) -> Result<v1::AccountTradingState, Status> {
    match handle.command(command).await {
        Ok(Reply::Done { sequence }) => Ok(written(handle.account_id(), state, sequence)),
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(status::command(&error)),
    }
}

async fn halt_one(
    handle: AccountHandle,
    command: AccountCommand,
) -> Result<v1::AccountTradingState, Status> {
    let canceled = match handle.command(command).await {
        Ok(Reply::Orders(orders)) => orders.len() as u64,
        Ok(other) => return Err(unexpected(&other)),
        Err(error) => return Err(status::command(&error)),
    };
    // The answer to a repeated call tells how things stand now: it may have been resumed since.
    let summary = handle
        .summary()
        .await
        .map_err(|error| status::command(&error))?;
    let state = written(handle.account_id(), summary.trading_state, summary.sequence);
    Ok(v1::AccountTradingState {
        cancels_requested: canceled,
        ..state
    })
}

fn written(account_id: &AccountId, state: TradingState, sequence: u64) -> v1::AccountTradingState {
    v1::AccountTradingState {
        account_id: account_id.to_string(),
        trading_state: enums::trading_state(state).into(),
        sequence,
        cancels_requested: 0,
    }
}

/// Reads what the three changes have in common.
fn read(state: TradingState, request_id: &str, reason: &str) -> Result<Change, Status> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let request_id = text::optional(f, "request_id", request_id, RequestId::new);
    let reason = text::free(f, "reason", reason);
    let change = request_id.zip(reason);
    let change = change.map(|(request_id, reason)| Change {
        state,
        request_id,
        reason,
    });
    fields
        .finish(change)
        .map_err(|errors| status::invalid(&errors))
}

#[tonic::async_trait]
impl RiskService for RiskServer {
    async fn get_limits(
        &self,
        request: Request<v1::GetLimitsRequest>,
    ) -> Result<Response<v1::Limits>, Status> {
        let caller = caller(&request)?;
        let id = AccountId::new(&request.get_ref().account_id)
            .map_err(|error| status::invalid_field("account_id", error))?;
        let handle = self.shared.account(&caller, &id)?;
        limits(&handle).await.map(Response::new)
    }

    async fn set_limits(
        &self,
        request: Request<v1::SetLimitsRequest>,
    ) -> Result<Response<v1::Limits>, Status> {
        let caller = caller(&request)?;
        let set =
            wire::read_set_limits(request.get_ref()).map_err(|errors| status::invalid(&errors))?;
        let handle = self.shared.account(&caller, &set.account_id)?;
        for id in set.limits.wide.instrument_exposure.keys() {
            self.shared
                .check_instrument("limits.instrument_exposure", Some(id))?;
        }
        let command = AccountCommand::SetLimits {
            request_id: Some(set.request_id),
            limits: set.limits,
            expected_sequence: set.expected_sequence,
        };
        match handle.command(command).await {
            Ok(Reply::Done { .. }) => limits(&handle).await.map(Response::new),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(status::command(&error)),
        }
    }

    async fn get_platform_limits(
        &self,
        request: Request<v1::GetPlatformLimitsRequest>,
    ) -> Result<Response<v1::PlatformLimits>, Status> {
        let caller = caller(&request)?;
        let limits = risk_platform::get(&self.shared, &caller).await?;
        Ok(Response::new(limits))
    }

    async fn set_platform_limits(
        &self,
        request: Request<v1::SetPlatformLimitsRequest>,
    ) -> Result<Response<v1::PlatformLimits>, Status> {
        let caller = caller(&request)?;
        let limits = risk_platform::set(&self.shared, &caller, request.get_ref()).await?;
        Ok(Response::new(limits))
    }

    async fn halt(
        &self,
        request: Request<v1::HaltRequest>,
    ) -> Result<Response<v1::TradingStateResponse>, Status> {
        let caller = caller(&request)?;
        self.halt_all(&caller, request.get_ref()).await
    }

    async fn reduce(
        &self,
        request: Request<v1::ReduceRequest>,
    ) -> Result<Response<v1::TradingStateResponse>, Status> {
        let caller = caller(&request)?;
        let reduce = request.get_ref();
        let change = read(TradingState::Reducing, &reduce.request_id, &reduce.reason)?;
        self.change(&caller, &reduce.account_id, change).await
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::TradingStateResponse>, Status> {
        let caller = caller(&request)?;
        let resume = request.get_ref();
        let change = read(TradingState::Active, &resume.request_id, &resume.reason)?;
        self.change(&caller, &resume.account_id, change).await
    }

    async fn get_trading_state(
        &self,
        request: Request<v1::GetTradingStateRequest>,
    ) -> Result<Response<v1::TradingStateResponse>, Status> {
        let caller = caller(&request)?;
        trading_states(&self.shared, &caller, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn list_trading_state_changes(
        &self,
        request: Request<v1::ListTradingStateChangesRequest>,
    ) -> Result<Response<v1::ListTradingStateChangesResponse>, Status> {
        let caller = caller(&request)?;
        risk_changes::list(&self.shared, &caller, request.get_ref())
            .await
            .map(Response::new)
    }
}
