//! Events of orders.

use super::order;
use crate::v1;
use apex_domain::account::ExecutionRecord;
use apex_domain::event::{Event, Recorded};
use apex_domain::order::Order;
use apex_domain::{AccountId, Instrument};

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
            };
            Some(order::execution(account_id, &record, instrument))
        }
        _ => None,
    };
    Some(v1::OrderEvent {
        account_id: account_id.to_string(),
        sequence: recorded.sequence,
        ts_ns: recorded.ts.0,
        kind: kind.into(),
        order: Some(order::order(after, instrument)),
        execution,
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
        Event::AccountOpened { .. }
        | Event::CashAdjusted { .. }
        | Event::LimitsSet { .. }
        | Event::InstrumentDefined { .. }
        | Event::TradingStateChanged { .. }
        | Event::ReportQuarantined { .. }
        | Event::ExternalFilled { .. } => return None,
    })
}
