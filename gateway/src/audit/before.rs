//! A setting as it was, in the form in which the answer tells what it is then.

use crate::auth::Caller;
use crate::services::{account, alerts, risk, risk_platform};
use crate::shared::Shared;
use apex_domain::AccountId;
use apex_proto::v1;
use prost::Message;
use std::time::Duration;

/// What the kill switch waits for it: an account that is not flooded tells in microseconds.
const QUICK: Duration = Duration::from_millis(5);

/// What anything else waits for it.
const PATIENT: Duration = Duration::from_secs(2);

/// Returns the state, encoded; empty where there is none, or it is not told in time.
pub(super) async fn state(
    shared: &Shared,
    caller: Option<&Caller>,
    action: &str,
    message: &[u8],
) -> Vec<u8> {
    within(PATIENT, shared, caller, action, message).await
}

/// As [`state`], for a call that must not be held up.
pub(super) async fn quickly(
    shared: &Shared,
    caller: Option<&Caller>,
    action: &str,
    message: &[u8],
) -> Vec<u8> {
    within(QUICK, shared, caller, action, message).await
}

async fn within(
    patience: Duration,
    shared: &Shared,
    caller: Option<&Caller>,
    action: &str,
    message: &[u8],
) -> Vec<u8> {
    let Some(caller) = caller else {
        return Vec::new();
    };
    let found = tokio::time::timeout(patience, find(shared, caller, action, message)).await;
    found.ok().flatten().unwrap_or_default()
}

/// The field that every request about one account has as its first.
#[derive(Clone, PartialEq, prost::Message)]
struct OfAccount {
    #[prost(string, tag = "1")]
    account_id: String,
}

async fn find(shared: &Shared, caller: &Caller, action: &str, message: &[u8]) -> Option<Vec<u8>> {
    match action {
        "RiskService/SetPlatformLimits" => {
            let limits = risk_platform::get(shared, caller).await.ok()?;
            Some(limits.encode_to_vec())
        }
        "RiskService/Halt" | "RiskService/Reduce" | "RiskService/Resume" => {
            // Each of the three names its accounts by the same field.
            let request = v1::GetTradingStateRequest {
                account_id: OfAccount::decode(message).ok()?.account_id,
            };
            let states = risk::trading_states(shared, caller, &request).await.ok()?;
            Some(states.encode_to_vec())
        }
        "RiskService/SetLimits" => {
            let handle = named(shared, caller, message)?;
            let limits = risk::limits(&handle).await.ok()?;
            Some(limits.encode_to_vec())
        }
        "AccountService/AdjustCash"
        | "AccountService/ResetPaper"
        | "AccountService/SetPositionMode"
        | "AccountService/ApplySplit" => {
            let handle = named(shared, caller, message)?;
            let account = account::now(&handle).await.ok()?;
            Some(account.encode_to_vec())
        }
        "SystemService/SetAlertRule" => {
            let request = v1::SetAlertRuleRequest::decode(message).ok()?;
            let view = alerts::view(shared).ok()?;
            let rule = view.rules.get(&request.rule?.rule_id)?;
            let rule = Some(apex_proto::convert::alert::rule(rule));
            Some(v1::SetAlertRuleResponse { rule }.encode_to_vec())
        }
        _ => None,
    }
}

fn named(
    shared: &Shared,
    caller: &Caller,
    message: &[u8],
) -> Option<apex_bus::handle::AccountHandle> {
    let named = OfAccount::decode(message).ok()?;
    let id = AccountId::new(&named.account_id).ok()?;
    shared.account(caller, &id).ok()
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    #[test]
    fn requests_about_one_account_name_it_first() {
        let pool = DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap();
        for name in [
            "HaltRequest",
            "ReduceRequest",
            "ResumeRequest",
            "SetLimitsRequest",
            "AdjustCashRequest",
            "ResetPaperRequest",
            "SetPositionModeRequest",
            "ApplySplitRequest",
        ] {
            let message = pool
                .get_message_by_name(&format!("apextrade.v1.{name}"))
                .unwrap();
            let first = message.get_field(1).unwrap();
            assert_eq!(first.name(), "account_id", "{name}");
        }
    }
}
