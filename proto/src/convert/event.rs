//! Events of orders.

use super::order;
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::account::ExecutionRecord;
use apex_domain::event::{Event, Hold, Recorded};
use apex_domain::order::Order;
use apex_domain::risk::{MarketRef, ReasonCode};
use apex_domain::{AccountId, ExecId, Instrument, OrderId, Price, UnixNanos};

/// Writes an event with the order as it stood right after it; `None` where the event is not about
/// an order.
pub fn order_event(
    account_id: &AccountId,
    recorded: &Recorded,
    after: &Order,
    instrument: &Instrument,
) -> Option<v1::OrderEvent> {
    let kind = kind(&recorded.event)?;
    let execution = match &recorded.event {
        Event::OrderFilled {
            order_id,
            execution,
            late,
        } => {
            let record = ExecutionRecord {
                sequence: recorded.sequence,
                ts: recorded.ts,
                order_id: Some(order_id.clone()),
                strategy_id: after.request.strategy_id.clone(),
                execution: execution.as_ref().clone(),
                late: *late,
                busted: false,
                position_side: after.request.terms.position_side,
            };
            Some(order::execution(account_id, &record, instrument))
        }
        Event::ExecutionBusted {
            execution: Some(execution),
            ..
        } => {
            let record = ExecutionRecord {
                sequence: recorded.sequence,
                ts: recorded.ts,
                order_id: Some(after.order_id.clone()),
                strategy_id: after.request.strategy_id.clone(),
                execution: execution.as_ref().clone(),
                late: false,
                busted: true,
                position_side: after.request.terms.position_side,
            };
            Some(order::execution(account_id, &record, instrument))
        }
        _ => None,
    };
    let mut wire = v1::OrderEvent {
        account_id: account_id.to_string(),
        sequence: recorded.sequence,
        ts_ns: recorded.ts.0,
        kind: kind.into(),
        order: Some(order::order(after, instrument)),
        execution,
        ..Default::default()
    };
    match &recorded.event {
        Event::OrderHeld { hold, .. } => wire.hold = write_hold(*hold).into(),
        Event::OrderHeldUntil { at, .. } => {
            wire.hold = write_hold(Hold::Session).into();
            wire.release_at_ns = at.0;
        }
        Event::OrderTrailed { best, .. } => wire.best_price = instrument.format_price(*best),
        Event::ExecutionBusted {
            exec_id, booked, ..
        } => {
            wire.busted_exec_id = exec_id.to_string();
            wire.busted_was_booked = *booked;
        }
        Event::OrderAmendRejected { reason, .. } | Event::OrderCancelRejected { reason, .. } => {
            wire.reason.clone_from(reason);
        }
        Event::OrderPendingAmend {
            quantity,
            limit_price,
            stop_price,
            ..
        } => {
            let price = |price: &Option<Price>| {
                let price = price.map(|price| instrument.format_price(price));
                price.unwrap_or_default()
            };
            wire.asked_quantity = instrument.format_quantity(*quantity);
            wire.asked_limit_price = price(limit_price);
            wire.asked_stop_price = price(stop_price);
        }
        _ => {}
    }
    Some(wire)
}

/// Writes why an order is held here.
pub(super) fn write_hold(hold: Hold) -> v1::Hold {
    match hold {
        Hold::Emulated => v1::Hold::Emulated,
        Hold::Parent => v1::Hold::Parent,
        Hold::Session => v1::Hold::Session,
    }
}

/// Reads why an order is held here; zero is not at all. The outer `None` is an error.
pub(super) fn read_hold(fields: &mut Fields, field: &str, value: i32) -> Option<Option<Hold>> {
    match v1::Hold::try_from(value) {
        Ok(v1::Hold::Unspecified) => Some(None),
        Ok(v1::Hold::Emulated) => Some(Some(Hold::Emulated)),
        Ok(v1::Hold::Parent) => Some(Some(Hold::Parent)),
        Ok(v1::Hold::Session) => Some(Some(Hold::Session)),
        Err(_) => {
            fields.refuse(field, format!("{value} is no known value"));
            None
        }
    }
}

/// Reads an event of an order, for who folds them far from the account. `None` where the wire says
/// too little to fold: a held end, which leaves the order as it is.
///
/// What the wire does not have is empty: the market at the time of the order, request ids, the
/// venue's report sequence.
///
/// Errors: every field that cannot be read.
pub fn read_order_event(
    wire: &v1::OrderEvent,
    instrument: &Instrument,
) -> Result<Option<Recorded>, FieldErrors> {
    let order = wire
        .order
        .as_ref()
        .ok_or_else(|| FieldErrors::one("order", "is required"))?;
    let order = order::read_order(order, instrument)?;
    Ok(read_event(wire, order, instrument)?.map(|event| Recorded {
        sequence: wire.sequence,
        ts: UnixNanos(wire.ts_ns),
        venue_sequence: 0,
        event,
    }))
}

fn read_event(
    wire: &v1::OrderEvent,
    order: Order,
    instrument: &Instrument,
) -> Result<Option<Event>, FieldErrors> {
    use v1::OrderEventKind as Kind;
    let order_id = order.order_id.clone();
    let (quantity, limit_price, ts_event) = (order.quantity, order.limit_price, order.ts_updated);
    let stop_price = order.stop_price;
    let reason = order.reason.clone();
    let reason_code = order.reason_code.unwrap_or(ReasonCode::NoAnswer);
    Ok(Some(match wire.kind() {
        Kind::Initialized => Event::OrderInitialized {
            order_id,
            quantity,
            request: Box::new(order.request),
            market: MarketRef::default(),
            expires_at: order.expires_at,
        },
        Kind::Denied => Event::OrderDenied {
            order_id,
            reason_code,
            reason,
        },
        Kind::Submitted => Event::OrderSubmitted { order_id },
        Kind::Accepted => Event::OrderAccepted {
            order_id,
            venue_order_id: order
                .venue_order_id
                .ok_or_else(|| FieldErrors::one("order.venue_order_id", "is required"))?,
            ts_event,
        },
        Kind::Rejected => Event::OrderRejected {
            order_id,
            reason_code,
            reason,
            ts_event,
        },
        Kind::Unknown => Event::OrderUnknown {
            order_id,
            reason_code,
        },
        Kind::Amended => Event::OrderAmended {
            order_id,
            quantity,
            limit_price,
            stop_price,
            ts_event,
        },
        Kind::AmendRejected => Event::OrderAmendRejected {
            order_id,
            reason: wire.reason.clone(),
            ts_event,
        },
        Kind::PendingCancel => Event::OrderPendingCancel {
            order_id,
            request_id: None,
            reason_code,
        },
        Kind::CancelRejected => Event::OrderCancelRejected {
            order_id,
            reason: wire.reason.clone(),
            ts_event,
        },
        Kind::Canceled => Event::OrderCanceled {
            order_id,
            reason_code,
            ts_event,
        },
        Kind::Expired => Event::OrderExpired {
            order_id,
            reason_code,
            ts_event,
        },
        Kind::Triggered => Event::OrderTriggered { order_id, ts_event },
        Kind::Filled | Kind::LateFill => {
            let execution = wire
                .execution
                .as_ref()
                .ok_or_else(|| FieldErrors::one("execution", "is required"))?;
            Event::OrderFilled {
                order_id,
                execution: Box::new(order::read_execution(execution, instrument)?),
                late: wire.kind() == Kind::LateFill,
            }
        }
        Kind::PendingAmend | Kind::Held | Kind::Trailed | Kind::ExecutionBusted => {
            return read_rare(wire, order, instrument).map(Some);
        }
        Kind::EndHeld | Kind::Unspecified => return Ok(None),
    }))
}

/// Reads an event that has fields of its own.
fn read_rare(
    wire: &v1::OrderEvent,
    order: Order,
    instrument: &Instrument,
) -> Result<Event, FieldErrors> {
    use v1::OrderEventKind as Kind;
    let order_id = order.order_id;
    Ok(match wire.kind() {
        Kind::Held if wire.hold() == v1::Hold::Session => {
            let required = |field| FieldErrors::one(field, "is required for HOLD_SESSION");
            let at = Some(UnixNanos(wire.release_at_ns)).filter(|at| at.0 != 0);
            Event::OrderHeldUntil {
                order_id,
                at: at.ok_or_else(|| required("release_at_ns"))?,
                until: order
                    .expires_at
                    .ok_or_else(|| required("order.ts_expires_ns"))?,
            }
        }
        Kind::Held => Event::OrderHeld {
            order_id,
            hold: {
                let mut fields = Fields::new();
                let hold = read_hold(&mut fields, "hold", wire.hold);
                let hold = fields.finish(hold)?;
                hold.ok_or_else(|| FieldErrors::one("hold", "is required"))?
            },
        },
        // Of a sender from before they were told: what holds now.
        Kind::PendingAmend if tells_nothing_asked(wire) => Event::OrderPendingAmend {
            order_id,
            request_id: None,
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: order.stop_price,
        },
        Kind::PendingAmend => read_pending_amend(wire, order_id, instrument)?,
        Kind::Trailed => {
            let mut fields = Fields::new();
            let best = order::price(&mut fields, "best_price", &wire.best_price, instrument);
            Event::OrderTrailed {
                order_id,
                stop_price: order
                    .stop_price
                    .ok_or_else(|| FieldErrors::one("order.stop_price", "is required"))?,
                best: fields.finish(best)?,
            }
        }
        _ => Event::ExecutionBusted {
            order_id: Some(order_id),
            exec_id: ExecId::new(&wire.busted_exec_id)
                .map_err(|error| FieldErrors::one("busted_exec_id", error))?,
            instrument_id: order.request.instrument_id,
            execution: match &wire.execution {
                Some(execution) => Some(Box::new(order::read_execution(execution, instrument)?)),
                None => None,
            },
            booked: wire.busted_was_booked,
            ts_event: order.ts_updated,
        },
    })
}

fn tells_nothing_asked(wire: &v1::OrderEvent) -> bool {
    let asked = [
        &wire.asked_quantity,
        &wire.asked_limit_price,
        &wire.asked_stop_price,
    ];
    asked.into_iter().all(String::is_empty)
}

fn read_pending_amend(
    wire: &v1::OrderEvent,
    order_id: OrderId,
    instrument: &Instrument,
) -> Result<Event, FieldErrors> {
    let mut fields = Fields::new();
    let price = |fields: &mut Fields, field, text: &str| match text {
        "" => Some(None),
        text => order::price(fields, field, text, instrument).map(Some),
    };
    let limit_price = price(&mut fields, "asked_limit_price", &wire.asked_limit_price);
    let stop_price = price(&mut fields, "asked_stop_price", &wire.asked_stop_price);
    let quantity = order::quantity(
        &mut fields,
        "asked_quantity",
        &wire.asked_quantity,
        instrument,
    );
    let read = quantity.zip(limit_price.zip(stop_price));
    let (quantity, (limit_price, stop_price)) = fields.finish(read)?;
    Ok(Event::OrderPendingAmend {
        order_id,
        request_id: None,
        quantity,
        limit_price,
        stop_price,
    })
}

fn kind(event: &Event) -> Option<v1::OrderEventKind> {
    use v1::OrderEventKind as Kind;
    Some(match event {
        Event::OrderInitialized { .. } => Kind::Initialized,
        Event::OrderDenied { .. } => Kind::Denied,
        Event::OrderSubmitted { .. } => Kind::Submitted,
        Event::OrderAccepted { .. } => Kind::Accepted,
        Event::OrderRejected { .. } => Kind::Rejected,
        Event::OrderUnknown { .. } => Kind::Unknown,
        Event::OrderPendingAmend { .. } => Kind::PendingAmend,
        Event::OrderAmended { .. } => Kind::Amended,
        Event::OrderAmendRejected { .. } => Kind::AmendRejected,
        Event::OrderPendingCancel { .. } => Kind::PendingCancel,
        Event::OrderCancelRejected { .. } => Kind::CancelRejected,
        Event::OrderCanceled { .. } => Kind::Canceled,
        Event::OrderExpired { .. } => Kind::Expired,
        Event::OrderTriggered { .. } => Kind::Triggered,
        Event::OrderFilled { late: false, .. } => Kind::Filled,
        Event::OrderFilled { late: true, .. } => Kind::LateFill,
        Event::OrderEndHeld { .. } => Kind::EndHeld,
        Event::OrderHeld { .. } | Event::OrderHeldUntil { .. } => Kind::Held,
        Event::OrderTrailed { .. } => Kind::Trailed,
        Event::ExecutionBusted { .. } => Kind::ExecutionBusted,
        Event::AccountOpened { .. }
        | Event::CashAdjusted { .. }
        | Event::LimitsSet { .. }
        | Event::InstrumentDefined { .. }
        | Event::TradingStateChanged { .. }
        | Event::ReportQuarantined { .. }
        | Event::ExternalFilled { .. }
        | Event::ListInitialized { .. }
        | Event::CommandTaken { .. }
        | Event::CloseEnded { .. }
        | Event::FundingPaid { .. }
        | Event::InstrumentSplit { .. }
        | Event::PositionReconciled { .. }
        | Event::PositionSettled { .. }
        | Event::BalanceReconciled { .. }
        | Event::EquityMarked { .. }
        | Event::PlatformShareSet { .. }
        | Event::LossesUnmeasured
        | Event::LossesMeasured
        | Event::OrderSliced { .. }
        | Event::ForeignCancelEnded { .. }
        | Event::PositionModeSet { .. }
        | Event::SideReconciled { .. }
        | Event::SessionGuarded { .. }
        | Event::OrderGuarded { .. }
        | Event::GuardEnded { .. } => return None,
    })
}
