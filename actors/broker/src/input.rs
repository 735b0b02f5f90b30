//! From a client's command to an input of the account.

use apex_bus::market::MarketHub;
use apex_bus::message::{AccountCommand, Urgency};
use apex_domain::RequestId;
use apex_domain::account::{Account, AccountInput, SessionRef};
use apex_domain::event::GuardOutcome;
use apex_domain::order::{AmendOrder, SubmitList};
use apex_domain::risk::MarketRef;

fn amend(request: AmendOrder, account: &Account, hub: &MarketHub) -> AccountInput {
    let order = account.order(&request.key);
    let market = order.map_or_else(MarketRef::default, |order| {
        hub.reference(&order.request.instrument_id)
    });
    AccountInput::Amend { request, market }
}

/// Adds what the shell knows: the market as it stands.
pub fn input_of(account: &Account, hub: &MarketHub, command: AccountCommand) -> AccountInput {
    match command {
        AccountCommand::Submit(request) => {
            let market = hub.reference(&request.instrument_id);
            AccountInput::Submit { request, market }
        }
        AccountCommand::Amend(request) => amend(request, account, hub),
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
            request_id,
            reason_code,
        } => AccountInput::CancelAll {
            filter,
            request_id,
            reason_code,
        },
        AccountCommand::CancelOrders {
            keys,
            request_id,
            reason_code,
        } => AccountInput::CancelOrders {
            keys,
            request_id,
            reason_code,
        },
        AccountCommand::SubmitList(list) => submit_list(list, hub),
        AccountCommand::Close { scope, request_id } => AccountInput::Close { scope, request_id },
        AccountCommand::Halt {
            request_id,
            cancel,
            flatten,
            by,
            reason,
        } => AccountInput::Halt {
            request_id,
            cancel,
            flatten,
            by,
            reason,
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
            limits: Box::new(limits),
            expected_sequence,
        },
        AccountCommand::SetPositionMode {
            request_id,
            mode,
            by,
        } => AccountInput::SetPositionMode {
            request_id,
            mode,
            by,
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
        AccountCommand::CancelForeign(cancel) => AccountInput::CancelForeign(cancel),
        AccountCommand::ResetPaper(reset) => AccountInput::ResetPaper(reset),
        AccountCommand::Split(split) => AccountInput::Split(split),
        AccountCommand::ResolveOrder(resolve) => AccountInput::ResolveOrder(resolve),
        AccountCommand::GuardSession(wish) => AccountInput::GuardSession(wish),
        AccountCommand::KeepSession(session) => AccountInput::KeepSession(session),
        AccountCommand::EndSession { session, outcome } => end_session(session, outcome),
    }
}

fn end_session(session: SessionRef, outcome: GuardOutcome) -> AccountInput {
    AccountInput::EndSession { session, outcome }
}

/// A list with the market of each of its instruments.
fn submit_list(list: Box<SubmitList>, hub: &MarketHub) -> AccountInput {
    let ids = list.orders.iter().map(|order| order.instrument_id.clone());
    let markets = ids.map(|id| (id.clone(), hub.reference(&id))).collect();
    AccountInput::SubmitList { list, markets }
}

/// Returns whether the command adds exposure, or may.
pub fn adds_exposure(command: &AccountCommand) -> bool {
    matches!(
        command,
        AccountCommand::Submit(_) | AccountCommand::SubmitList(_) | AccountCommand::Amend(_)
    )
}

/// Returns whether the command is taken while only the journal's reserve is left: what takes
/// exposure away, and the kill switch.
pub fn is_essential(command: &AccountCommand) -> bool {
    command.urgency() > Urgency::Ordinary
        || matches!(command, AccountCommand::SetTradingState { .. })
}

/// Returns whether the command keeps new exposure away from here on.
pub fn halts(command: &AccountCommand) -> bool {
    command.urgency() == Urgency::KillSwitch
}

/// Returns whether the command is the kill switch with cancels.
pub fn cancels_all(command: &AccountCommand) -> bool {
    matches!(
        command,
        AccountCommand::Halt {
            cancel,
            flatten,
            ..
        } if *cancel || *flatten
    )
}

/// Returns the id by which a repeated command is known.
pub fn request_id(command: &AccountCommand) -> Option<&RequestId> {
    match command {
        AccountCommand::Amend(request) => Some(&request.request_id),
        AccountCommand::Cancel { request_id, .. }
        | AccountCommand::CancelAll { request_id, .. }
        | AccountCommand::CancelOrders { request_id, .. }
        | AccountCommand::Close { request_id, .. }
        | AccountCommand::Halt { request_id, .. }
        | AccountCommand::SetTradingState { request_id, .. }
        | AccountCommand::SetLimits { request_id, .. }
        | AccountCommand::SetPositionMode { request_id, .. }
        | AccountCommand::AdjustCash { request_id, .. } => request_id.as_ref(),
        AccountCommand::CancelForeign(cancel) => cancel.request_id.as_ref(),
        AccountCommand::ResetPaper(reset) => reset.request_id.as_ref(),
        AccountCommand::Split(split) => split.request_id.as_ref(),
        AccountCommand::ResolveOrder(resolve) => resolve.request_id.as_ref(),
        AccountCommand::Submit(_)
        | AccountCommand::SubmitList(_)
        | AccountCommand::DefineInstrument(_)
        | AccountCommand::GuardSession(_)
        | AccountCommand::KeepSession(_)
        | AccountCommand::EndSession { .. } => None,
    }
}
