//! The whole account, as it comes over the wire.

use apex_domain::{Currency, Money};
use apex_proto::convert::enums;
use apex_proto::{FieldErrors, v1};
use apex_strategy::AccountView;

/// Reads the account.
///
/// Errors: a field that is none.
pub fn read(wire: &v1::StrategyAccount) -> Result<AccountView, FieldErrors> {
    let currency = |field: &str, text: &str| {
        Currency::new(text).map_err(|error| FieldErrors::one(field, error))
    };
    let money = |field: &str, text: &str| {
        Money::parse(text).map_err(|error| FieldErrors::one(field, error))
    };
    let mut cash = std::collections::BTreeMap::new();
    for (name, amount) in &wire.cash {
        cash.insert(
            currency("account.cash", name)?,
            money("account.cash", amount)?,
        );
    }
    Ok(AccountView {
        base_currency: currency("account.base_currency", &wire.base_currency)?,
        trading_state: enums::read_trading_state(wire.trading_state())
            .ok_or_else(|| FieldErrors::one("account.trading_state", "is none"))?,
        cash,
        equity: money("account.equity", &wire.equity)?,
        unrealized_pnl: money("account.unrealized_pnl", &wire.unrealized_pnl)?,
        initial_margin: money("account.initial_margin", &wire.initial_margin)?,
        reserved_margin: money("account.reserved_margin", &wire.reserved_margin)?,
        free_margin: money("account.free_margin", &wire.free_margin)?,
        partial: wire.partial,
    })
}
