//! Commands to an account that are not about orders.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::event::PositionMode;
use apex_domain::{AccountId, Currency, Money, RequestId};
use std::collections::BTreeMap;

/// A payment in or out, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustCash {
    pub account_id: AccountId,
    pub request_id: RequestId,
    pub currency: Currency,
    pub amount: Money,
    pub reason: String,
}

/// Reads a payment.
///
/// Errors: every field that cannot be read; an amount of zero.
pub fn read_adjust_cash(request: &v1::AdjustCashRequest) -> Result<AdjustCash, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::request_id(f, &request.request_id);
    let currency = text::required(f, "currency", &request.currency, Currency::new);
    let amount = text::money(f, "amount", &request.amount);
    if amount.is_some_and(Money::is_zero) {
        f.refuse("amount", "must not be zero");
    }
    let reason = text::free(f, "reason", &request.reason);
    let value = (|| {
        Some(AdjustCash {
            account_id: account_id?,
            request_id: request_id?,
            currency: currency?,
            amount: amount?,
            reason: reason?,
        })
    })();
    fields.finish(value)
}

/// A choice between net and hedged positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPositionMode {
    pub account_id: AccountId,
    pub request_id: RequestId,
    pub mode: PositionMode,
}

/// Reads a choice of the position mode.
///
/// Errors: every field that cannot be read; no mode.
pub fn read_set_position_mode(
    request: &v1::SetPositionModeRequest,
) -> Result<SetPositionMode, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::request_id(f, &request.request_id);
    let mode = read_position_mode(f, request.position_mode);
    let value = (|| {
        Some(SetPositionMode {
            account_id: account_id?,
            request_id: request_id?,
            mode: mode?,
        })
    })();
    fields.finish(value)
}

/// Writes a position mode.
pub fn position_mode(mode: PositionMode) -> v1::PositionMode {
    match mode {
        PositionMode::Netting => v1::PositionMode::Netting,
        PositionMode::Hedging => v1::PositionMode::Hedging,
    }
}

/// Reads a position mode, which must be there.
fn read_position_mode(fields: &mut Fields, value: i32) -> Option<PositionMode> {
    match v1::PositionMode::try_from(value) {
        Ok(v1::PositionMode::Netting) => Some(PositionMode::Netting),
        Ok(v1::PositionMode::Hedging) => Some(PositionMode::Hedging),
        Ok(v1::PositionMode::Unspecified) | Err(_) => {
            enums::unknown(fields, "position_mode", value);
            None
        }
    }
}

/// Writes amounts by currency.
pub fn amounts(amounts: &BTreeMap<Currency, Money>) -> BTreeMap<String, String> {
    amounts
        .iter()
        .map(|(currency, amount)| (currency.to_string(), amount.to_string()))
        .collect()
}
