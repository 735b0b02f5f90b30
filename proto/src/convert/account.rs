//! Commands to an account that are not about orders.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::account::InstrumentSplit;
use apex_domain::event::PositionMode;
use apex_domain::{AccountId, Currency, InstrumentId, Money, RequestId};
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

/// Currencies that a new account may begin with. More than a simulated market trades; each is an
/// event of the account's first write.
const OPENING_CURRENCIES: usize = 16;

/// An account that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAccount {
    pub account_id: AccountId,
    pub request_id: RequestId,
    pub base_currency: Option<Currency>,
    /// Each above zero; empty where none is named.
    pub cash: BTreeMap<Currency, Money>,
    pub position_mode: PositionMode,
}

/// Reads what an account is to be made of.
///
/// Errors: every field that cannot be read; too many currencies, an amount that is not above zero.
pub fn read_create_account(
    request: &v1::CreateAccountRequest,
) -> Result<CreateAccount, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    if account_id
        .as_ref()
        .is_some_and(|id| id.as_str().bytes().all(|byte| byte == b'.'))
    {
        f.refuse("account_id", "must not be only dots: it names a folder");
    }
    let request_id = text::request_id(f, &request.request_id);
    let base_currency = text::optional(f, "base_currency", &request.base_currency, Currency::new);
    let cash = opening_cash(f, &request.cash);
    let position_mode = match request.position_mode {
        0 => Some(PositionMode::Netting),
        given => read_position_mode(f, given),
    };
    let value = (|| {
        Some(CreateAccount {
            account_id: account_id?,
            request_id: request_id?,
            base_currency: base_currency?,
            cash: cash?,
            position_mode: position_mode?,
        })
    })();
    fields.finish(value)
}

/// Reads a split.
///
/// Errors: every field that cannot be read; a ratio with a zero.
pub fn read_apply_split(
    request: &v1::ApplySplitRequest,
) -> Result<(AccountId, InstrumentSplit), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::request_id(f, &request.request_id);
    let instrument_id = text::required(
        f,
        "instrument_id",
        &request.instrument_id,
        InstrumentId::new,
    );
    let (numerator, denominator) = (request.numerator, request.denominator);
    for (field, value) in [("numerator", numerator), ("denominator", denominator)] {
        if value == 0 {
            f.refuse(field, "must be above zero");
        }
    }
    let value = (|| {
        let split = InstrumentSplit {
            request_id: Some(request_id?),
            instrument_id: instrument_id?,
            numerator,
            denominator,
        };
        Some((account_id?, split))
    })();
    fields.finish(value)
}

fn opening_cash(
    fields: &mut Fields,
    cash: &BTreeMap<String, String>,
) -> Option<BTreeMap<Currency, Money>> {
    if cash.len() > OPENING_CURRENCIES {
        let count = cash.len();
        fields.refuse(
            "cash",
            format!("has {count} currencies, at most {OPENING_CURRENCIES} are allowed"),
        );
        return None;
    }
    let mut read = BTreeMap::new();
    let mut is_whole = true;
    for (currency, amount) in cash {
        let currency = fields.take("cash", Currency::new(currency));
        let amount = text::money(fields, "cash", amount);
        if amount.is_some_and(|amount| amount <= Money::ZERO) {
            fields.refuse("cash", "must be above zero: leave the currency out instead");
            is_whole = false;
        }
        match currency.zip(amount) {
            Some((currency, amount)) => drop(read.insert(currency, amount)),
            None => is_whole = false,
        }
    }
    is_whole.then_some(read)
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
