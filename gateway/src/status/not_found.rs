//! What was named and is not there.

use super::{DOMAIN, RETRY_DEPENDENCY, with_reason, with_retry};
use crate::near;
use apex_domain::{AccountId, InstrumentId, RequestId, StrategyId};
use std::collections::{BTreeSet, HashMap};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub fn order_not_found() -> Status {
    let message = "no such order: look at the id and the account";
    with_reason(Code::NotFound, "ORDER_NOT_FOUND", message, &[])
}

/// A request that began no closing of positions, or was forgotten.
pub fn closing_not_found(request_id: &RequestId) -> Status {
    let message = format!(
        "request \"{request_id}\" closes no position of this account, or is longer ago than is \
         kept: look at ListPositions"
    );
    with_reason(Code::NotFound, "CLOSING_NOT_FOUND", message, &[])
}

/// A name that is not known, with the field that has it and the nearest that are.
pub(super) fn name_not_found<'a>(
    reason: &str,
    field: &str,
    (what, name): (&str, &str),
    known: impl IntoIterator<Item = &'a str>,
) -> Status {
    let message = format!("no {what} \"{name}\"; {}", near::advice(name, known));
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.add_bad_request_violation(field, message.clone());
    Status::with_error_details(Code::NotFound, message, details)
}

pub fn account_not_found<'a>(
    account_id: &AccountId,
    known: impl IntoIterator<Item = &'a str>,
) -> Status {
    let named = ("account", account_id.as_str());
    name_not_found("ACCOUNT_NOT_FOUND", "account_id", named, known)
}

pub fn instrument_not_found<'a>(
    field: &str,
    instrument_id: &InstrumentId,
    known: impl IntoIterator<Item = &'a str>,
) -> Status {
    let named = ("instrument", instrument_id.as_str());
    name_not_found("INSTRUMENT_NOT_FOUND", field, named, known)
}

/// A strategy that never had an order or a position in the account.
pub fn strategy_not_found(strategy_id: &StrategyId, known: &BTreeSet<StrategyId>) -> Status {
    let named = ("order or position of strategy", strategy_id.as_str());
    let known = known.iter().map(StrategyId::as_str);
    name_not_found("STRATEGY_NOT_FOUND", "strategy_id", named, known)
}

pub fn no_book(instrument_id: &InstrumentId) -> Status {
    let message = format!(
        "instrument \"{instrument_id}\" has no book yet: its feed has not told one, ask again"
    );
    with_retry(Code::Unavailable, "NO_BOOK", message, RETRY_DEPENDENCY)
}

/// An order of an instrument whose definition this process does not have (yet).
pub fn no_definition(instrument_id: &InstrumentId) -> Status {
    let message = format!(
        "the definition of instrument \"{instrument_id}\" is not here yet: its feed or venue has not \
         told it, ask again"
    );
    with_retry(
        Code::Unavailable,
        "NO_DEFINITION",
        message,
        RETRY_DEPENDENCY,
    )
}
