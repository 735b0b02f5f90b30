//! Commands of a strategy on their way to its account, and the account's answers.

use super::holdings::Holdings;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::{CancelFilter, Outcome, Refusal, Reply};
use apex_domain::market::Side;
use apex_domain::number::DecimalText;
use apex_domain::order::{
    OrderKey, OrderStatus, OrderTerms, OrderType, SubmitList, SubmitOrder, TimeInForce,
};
use apex_domain::risk::ReasonCode;
use apex_domain::{
    AccountId, ClientOrderId, Instrument, InstrumentId, Quantity, RequestId, StrategyId,
};
use apex_proto::convert::order::{
    AmendError, read_amend, read_close, read_submit, read_submit_list,
};
use apex_proto::{FieldErrors, v1};

/// Why a command goes no further, as its outcome tells it.
#[derive(Debug)]
pub struct NotTaken {
    pub code: &'static str,
    pub field: String,
    pub reason: String,
}

impl NotTaken {
    pub fn new(code: &'static str, reason: impl Into<String>) -> NotTaken {
        NotTaken {
            code,
            field: String::new(),
            reason: reason.into(),
        }
    }
}

impl From<FieldErrors> for NotTaken {
    fn from(errors: FieldErrors) -> NotTaken {
        let first = errors.errors().first();
        NotTaken {
            code: "INVALID_FIELD",
            field: first.map(|error| error.field.clone()).unwrap_or_default(),
            reason: errors.to_string(),
        }
    }
}

fn invalid(field: &str, description: impl std::fmt::Display) -> NotTaken {
    FieldErrors::one(field, description).into()
}

/// Whose commands they are.
#[derive(Clone, Debug)]
pub struct Owner {
    pub account_id: AccountId,
    pub strategy_id: StrategyId,
}

pub type Find<'a> = &'a dyn Fn(&InstrumentId) -> Option<Instrument>;

pub fn submit(
    owner: &Owner,
    wire: v1::StrategySubmit,
    find: Find<'_>,
) -> Result<SubmitOrder, NotTaken> {
    let (_, order) = read_submit(&owned(owner, wire), find)?;
    Ok(order)
}

/// Returns the request that a client of the strategy's account would make.
fn owned(owner: &Owner, wire: v1::StrategySubmit) -> v1::SubmitOrderRequest {
    v1::SubmitOrderRequest {
        account_id: owner.account_id.to_string(),
        client_order_id: wire.client_order_id,
        instrument_id: wire.instrument_id,
        strategy_id: owner.strategy_id.to_string(),
        side: wire.side,
        order_type: wire.order_type,
        quantity: wire.quantity,
        limit_price: wire.limit_price,
        time_in_force: wire.time_in_force,
        post_only: wire.post_only,
        reduce_only: wire.reduce_only,
        tags: wire.tags,
        notional: wire.notional,
        stop_price: wire.stop_price,
        trailing_offset: wire.trailing_offset,
        trailing_offset_type: wire.trailing_offset_type,
        activation_price: wire.activation_price,
        trigger_type: wire.trigger_type,
        expire_at_ns: wire.expire_at_ns,
        display_quantity: wire.display_quantity,
        position_side: wire.position_side,
        self_trade_prevention: wire.self_trade_prevention,
        extended_hours: wire.extended_hours,
    }
}

pub fn submit_list(
    owner: &Owner,
    wire: v1::StrategySubmitList,
    find: Find<'_>,
) -> Result<SubmitList, NotTaken> {
    let orders = wire.orders.into_iter().map(|order| owned(owner, order));
    let request = v1::SubmitOrderListRequest {
        order_list_id: wire.order_list_id,
        account_id: owner.account_id.to_string(),
        contingency: wire.contingency,
        release: wire.release,
        cascade: wire.cascade,
        orders: orders.collect(),
    };
    let (_, list) = read_submit_list(&request, find)?;
    Ok(list)
}

pub fn close(
    owner: &Owner,
    wire: v1::StrategyClose,
    request_id: &RequestId,
) -> Result<AccountCommand, NotTaken> {
    let request = v1::ClosePositionRequest {
        account_id: owner.account_id.to_string(),
        instrument_id: wire.instrument_id,
        strategy_id: owner.strategy_id.to_string(),
        request_id: request_id.to_string(),
        client_order_id: wire.client_order_id,
    };
    let close = read_close(&request)?;
    Ok(AccountCommand::Close {
        scope: close.scope,
        request_id: Some(close.request_id),
    })
}

/// Returns the order over the difference between the target and what the strategy would hold if
/// its working orders filled; `None` where there is none.
pub fn target(
    owner: &Owner,
    wire: &v1::TargetPosition,
    holdings: &mut Holdings,
    find: Find<'_>,
) -> Result<Option<SubmitOrder>, NotTaken> {
    let id = InstrumentId::in_command(&wire.instrument_id)
        .map_err(|error| invalid("instrument_id", error))?;
    let instrument = find(&id)
        .ok_or_else(|| invalid("instrument_id", format!("unknown instrument \"{id}\"")))?;
    let quantity = DecimalText::parse(wire.quantity.as_bytes())
        .and_then(|number| number.at(instrument.quantity_decimals))
        .map_err(|error| invalid("quantity", error))?;
    let difference = quantity.saturating_sub(holdings.expected(&id));
    if difference == 0 {
        return Ok(None);
    }
    Ok(Some(SubmitOrder {
        client_order_id: holdings.next_order_id(),
        strategy_id: owner.strategy_id.clone(),
        instrument_id: id,
        side: if difference > 0 {
            Side::Buy
        } else {
            Side::Sell
        },
        order_type: OrderType::Market,
        quantity: Quantity(difference.saturating_abs()),
        limit_price: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    }))
}

pub fn amend(
    owner: &Owner,
    wire: v1::StrategyAmend,
    request_id: &RequestId,
    holdings: &Holdings,
    find: Find<'_>,
) -> Result<AccountCommand, NotTaken> {
    let id = own_order(&wire.client_order_id, holdings)?;
    let instrument = holdings.instrument_of(&id).and_then(find);
    let instrument = instrument.ok_or_else(order_not_found)?;
    let request = v1::AmendOrderRequest {
        account_id: owner.account_id.to_string(),
        client_order_id: wire.client_order_id,
        request_id: request_id.to_string(),
        quantity: wire.quantity,
        limit_price: wire.limit_price,
        stop_price: wire.stop_price,
        ..Default::default()
    };
    match read_amend(&request)?.at(&instrument) {
        Ok(amend) => Ok(AccountCommand::Amend(amend)),
        Err(AmendError::Fields(errors)) => Err(errors.into()),
        Err(AmendError::Misfit(misfit)) => Err(NotTaken::new(
            misfit.reason_code().as_str(),
            misfit.to_string(),
        )),
    }
}

pub fn cancel(
    owner: &Owner,
    wire: &v1::StrategyCancel,
    holdings: &Holdings,
) -> Result<AccountCommand, NotTaken> {
    if wire.client_order_id.is_empty() {
        let instrument_id = match wire.instrument_id.as_str() {
            "" => None,
            text => Some(
                InstrumentId::in_command(text).map_err(|error| invalid("instrument_id", error))?,
            ),
        };
        return Ok(cancel_all(owner, instrument_id, ReasonCode::CanceledByUser));
    }
    let id = own_order(&wire.client_order_id, holdings)?;
    Ok(AccountCommand::Cancel {
        key: OrderKey::ClientOrderId(id),
        request_id: None,
        reason_code: ReasonCode::CanceledByUser,
    })
}

/// Cancels every working order of the strategy, or those of one instrument.
pub fn cancel_all(
    owner: &Owner,
    instrument_id: Option<InstrumentId>,
    reason_code: ReasonCode,
) -> AccountCommand {
    AccountCommand::CancelAll {
        filter: CancelFilter {
            instrument_id,
            strategy_id: Some(owner.strategy_id.clone()),
            side: None,
        },
        request_id: None,
        reason_code,
    }
}

/// An order of another strategy is not found here, whether it exists or not.
fn own_order(text: &str, holdings: &Holdings) -> Result<ClientOrderId, NotTaken> {
    let id = ClientOrderId::new(text).map_err(|error| invalid("client_order_id", error))?;
    match holdings.instrument_of(&id) {
        Some(_) => Ok(id),
        None => Err(order_not_found()),
    }
}

fn order_not_found() -> NotTaken {
    NotTaken::new(
        "ORDER_NOT_FOUND",
        "the strategy has no working order of this id",
    )
}

/// Writes what the account answered.
pub fn outcome(command_id: u64, answer: Result<Reply, CommandError>) -> v1::CommandOutcome {
    let not_taken = match answer {
        Ok(Reply::Order(order)) => {
            let denied = order.status == OrderStatus::Denied;
            let code = order.reason_code.filter(|_| denied);
            return v1::CommandOutcome {
                command_id,
                order_id: order.order_id.to_string(),
                client_order_id: order.request.client_order_id.to_string(),
                reason_code: code.map(|code| code.as_str().into()).unwrap_or_default(),
                field: String::new(),
                reason: if denied { order.reason } else { String::new() },
            };
        }
        Ok(
            Reply::Orders(_)
            | Reply::Outcomes(_)
            | Reply::ForeignOrders(_)
            | Reply::Guarded(_)
            | Reply::Done { .. },
        ) => {
            return v1::CommandOutcome {
                command_id,
                ..Default::default()
            };
        }
        Ok(Reply::Refused(refusal)) | Err(CommandError::Refused(refusal)) => refused(&refusal),
        Err(error) => NotTaken::new(
            match error {
                CommandError::JournalFull => "JOURNAL_FULL",
                CommandError::JournalAway => "JOURNAL_AWAY",
                CommandError::NotSent => "NOT_SENT",
                CommandError::Overloaded { .. } => "OVERLOADED",
                CommandError::Timeout { .. } => "OUTCOME_UNKNOWN",
                CommandError::VenueDown => "VENUE_DOWN",
                _ => "NOT_RUNNING",
            },
            error.to_string(),
        ),
    };
    refusal_outcome(command_id, not_taken)
}

/// Writes, for each order of several that was refused by itself, why.
pub fn refused_orders(
    command_id: u64,
    answer: &Result<Reply, CommandError>,
) -> Vec<v1::CommandOutcome> {
    let Ok(Reply::Outcomes(outcomes)) = answer else {
        return Vec::new();
    };
    let write = |outcome: &Outcome| {
        let refusal = outcome.result.as_ref().err()?;
        let client_order_id = match &outcome.key {
            OrderKey::ClientOrderId(id) => id.to_string(),
            OrderKey::OrderId(_) => String::new(),
        };
        Some(v1::CommandOutcome {
            client_order_id,
            ..refusal_outcome(command_id, refused(refusal))
        })
    };
    outcomes.iter().filter_map(write).collect()
}

pub fn refusal_outcome(command_id: u64, not_taken: NotTaken) -> v1::CommandOutcome {
    v1::CommandOutcome {
        command_id,
        reason_code: not_taken.code.to_owned(),
        field: not_taken.field,
        reason: not_taken.reason,
        ..Default::default()
    }
}

fn refused(refusal: &Refusal) -> NotTaken {
    let code = match refusal {
        Refusal::AlreadyExists(_)
        | Refusal::UsedAtVenue(_)
        | Refusal::ListExists(_)
        | Refusal::RequestExists(_) => "ALREADY_EXISTS",
        Refusal::OrderNotFound | Refusal::ForeignOrderNotFound(_) => "ORDER_NOT_FOUND",
        Refusal::UnknownInstrument(_) => "UNKNOWN_INSTRUMENT",
        Refusal::StaleSequence { .. } => "STALE_SEQUENCE",
        Refusal::PositionModeInUse { .. } => "POSITION_MODE_IN_USE",
        Refusal::OrderClosed(_) => "ORDER_CLOSED",
        Refusal::ChangePending => "CHANGE_PENDING",
        Refusal::Rule { code, .. } => code.as_str(),
        Refusal::TooManyClosings(_) => "TOO_MANY_CLOSINGS",
        Refusal::NotIdle { .. } => "ACCOUNT_NOT_IDLE",
        Refusal::OrderNotUnknown(_) => "ORDER_NOT_UNKNOWN",
        Refusal::NotOpen => "NOT_OPEN",
        Refusal::SessionOver => "SESSION_OVER",
        Refusal::TooManySessions(_) => "TOO_MANY_SESSIONS",
        Refusal::Invalid { field, detail } => return invalid(field, detail),
        Refusal::InvalidOrder {
            place,
            field,
            detail,
        } => return invalid(&format!("orders[{place}].{field}"), detail),
    };
    NotTaken::new(code, refusal.to_string())
}
