//! Strategies that could not be deployed, started, paused, stopped or changed.

use super::{
    RETRY_DEPENDENCY, command, invalid, name_not_found, shutting_down, with_reason, with_retry,
};
use apex_bus::strategies::StrategyDeskError;
use apex_domain::StrategyId;
use apex_proto::field::Fields;
use tonic::{Code, Status};

/// What was not done with a strategy. `known` are the strategies that may have been meant.
pub fn strategy_desk(error: &StrategyDeskError, known: &[StrategyId]) -> Status {
    let message = error.to_string();
    match error {
        StrategyDeskError::Invalid(wrong) => {
            let mut fields = Fields::new();
            for (field, detail) in wrong {
                fields.refuse(field, detail);
            }
            // Without a value it always is an error.
            fields
                .finish(None::<Status>)
                .unwrap_or_else(|errors| invalid(&errors))
        }
        StrategyDeskError::NotFound { strategy_id, .. } => deployed_not_found(strategy_id, known),
        StrategyDeskError::Exists { strategy_id, .. } => {
            let metadata = [("strategy_id", strategy_id.as_str())];
            with_reason(Code::AlreadyExists, "STRATEGY_EXISTS", message, &metadata)
        }
        StrategyDeskError::RequestTaken(request_id) => {
            let metadata = [("request_id", request_id.as_str())];
            with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", message, &metadata)
        }
        StrategyDeskError::StaleVersion {
            expected, actual, ..
        } => {
            let (expected, actual) = (expected.to_string(), actual.to_string());
            let metadata = [("expected_version", &*expected), ("version", &*actual)];
            with_reason(Code::Aborted, "STALE_VERSION", message, &metadata)
        }
        StrategyDeskError::Rule { code, .. } => {
            with_reason(Code::FailedPrecondition, code, message, &[])
        }
        StrategyDeskError::NotKept(_) => {
            with_retry(Code::Unavailable, "NOT_WRITTEN", message, RETRY_DEPENDENCY)
        }
        StrategyDeskError::Stopping => shutting_down(),
        StrategyDeskError::Command(error) => command(error),
    }
}

/// A strategy that was not deployed into the account.
pub fn deployed_not_found(strategy_id: &StrategyId, known: &[StrategyId]) -> Status {
    let named = ("deployed strategy", strategy_id.as_str());
    let known = known.iter().map(StrategyId::as_str);
    name_not_found("STRATEGY_NOT_FOUND", "strategy_id", named, known)
}

/// A mode that no account of this build has.
pub fn mode_not_available(mode: &str) -> Status {
    let message = format!(
        "accounts of this build trade on paper, and none is for {mode}: deploy with \
         STRATEGY_MODE_PAPER"
    );
    with_reason(Code::FailedPrecondition, "MODE_NOT_AVAILABLE", message, &[])
}
