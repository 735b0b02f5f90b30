//! From a client's command to an input of the account.

use apex_bus::market::MarketHub;
use apex_bus::message::AccountCommand;
use apex_domain::RequestId;
use apex_domain::account::{Account, AccountInput};
use apex_domain::risk::MarketRef;

/// Adds what the shell knows: the market as it stands.
pub fn input_of(account: &Account, hub: &MarketHub, command: AccountCommand) -> AccountInput {
    match command {
        AccountCommand::Submit(request) => {
            let market = hub.reference(&request.instrument_id);
            AccountInput::Submit { request, market }
        }
        AccountCommand::Amend(request) => {
            let market = account
                .order(&request.key)
                .map_or_else(MarketRef::default, |order| {
                    hub.reference(&order.request.instrument_id)
                });
            AccountInput::Amend { request, market }
        }
        AccountCommand::Cancel {
            key,
            request_id,
            reason_code,
        } => AccountInput::Cancel {
            key,
            request_id,
            reason_code,
        },
        AccountCommand::CancelAll {
            filter,
            reason_code,
        } => AccountInput::CancelAll {
            filter,
            reason_code,
            request_id: None,
        },
        AccountCommand::SetTradingState {
            request_id,
            state,
            by,
            reason,
        } => AccountInput::SetTradingState {
            request_id,
            state,
            by,
            reason,
        },
        AccountCommand::SetLimits {
            request_id,
            limits,
            expected_sequence,
        } => AccountInput::SetLimits {
            request_id,
            limits,
            expected_sequence,
        },
        AccountCommand::AdjustCash {
            request_id,
            currency,
            amount,
            reason,
        } => AccountInput::AdjustCash {
            request_id,
            currency,
            amount,
            reason,
        },
        AccountCommand::DefineInstrument(instrument) => AccountInput::DefineInstrument(instrument),
    }
}

/// Returns whether the command adds exposure, or may.
pub fn adds_exposure(command: &AccountCommand) -> bool {
    matches!(
        command,
        AccountCommand::Submit(_) | AccountCommand::Amend(_)
    )
}

/// Returns whether the command is taken while only the journal's reserve is left: what takes
/// exposure away, and the kill switch.
pub fn is_essential(command: &AccountCommand) -> bool {
    matches!(
        command,
        AccountCommand::Cancel { .. }
            | AccountCommand::CancelAll { .. }
            | AccountCommand::SetTradingState { .. }
    )
}

/// Returns the id by which a repeated command is known.
pub fn request_id(command: &AccountCommand) -> Option<&RequestId> {
    match command {
        AccountCommand::Amend(request) => Some(&request.request_id),
        AccountCommand::Cancel { request_id, .. }
        | AccountCommand::SetTradingState { request_id, .. }
        | AccountCommand::SetLimits { request_id, .. }
        | AccountCommand::AdjustCash { request_id, .. } => request_id.as_ref(),
        AccountCommand::Submit(_)
        | AccountCommand::CancelAll { .. }
        | AccountCommand::DefineInstrument(_) => None,
    }
}
