//! The first schema, frozen: what releases before schema 2 wrote, and what it means now.
//!
//! Nothing here changes any more. A type is repeated only where it has changed since.

use super::{AccountMode, Event as Now, QuarantineReason, Recorded as RecordedNow};
use crate::id::{
    AccountId, ClientOrderId, Currency, InstrumentId, OrderId, RequestId, StrategyId, VenueOrderId,
};
use crate::instrument::{self, InstrumentKind, InstrumentRules};
use crate::market::Side;
use crate::money::{Money, Rate};
use crate::number::{Price, Quantity};
use crate::order::{self, Misfit, OrderTerms, OrderType, TimeInForce};
use crate::risk::{self, MarketRef, ReasonCode, TradingState, WideLimits};
use crate::time::UnixNanos;
use crate::venue::{Execution, VenueEnd};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    sequence: u64,
    ts: UnixNanos,
    venue_sequence: u64,
    event: Event,
}

#[derive(Deserialize)]
enum Event {
    AccountOpened {
        account_id: AccountId,
        base_currency: Currency,
        mode: AccountMode,
    },
    CashAdjusted {
        request_id: Option<RequestId>,
        currency: Currency,
        amount: Money,
        reason: String,
    },
    LimitsSet {
        request_id: Option<RequestId>,
        limits: Limits,
    },
    InstrumentDefined {
        instrument: Box<Instrument>,
    },
    TradingStateChanged {
        request_id: Option<RequestId>,
        state: TradingState,
        by: String,
        reason: String,
    },
    OrderInitialized {
        order_id: OrderId,
        request: Box<SubmitOrder>,
        market: MarketRef,
    },
    OrderDenied {
        order_id: OrderId,
        reason_code: ReasonCode,
        reason: String,
    },
    OrderSubmitted {
        order_id: OrderId,
    },
    OrderAccepted {
        order_id: OrderId,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
    },
    OrderRejected {
        order_id: OrderId,
        reason_code: ReasonCode,
        reason: String,
        ts_event: UnixNanos,
    },
    OrderUnknown {
        order_id: OrderId,
        reason_code: ReasonCode,
    },
    OrderPendingAmend {
        order_id: OrderId,
        request_id: Option<RequestId>,
        quantity: Quantity,
        limit_price: Option<Price>,
    },
    OrderAmended {
        order_id: OrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        ts_event: UnixNanos,
    },
    OrderAmendRejected {
        order_id: OrderId,
        reason: String,
        ts_event: UnixNanos,
    },
    OrderPendingCancel {
        order_id: OrderId,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    },
    OrderCancelRejected {
        order_id: OrderId,
        reason: String,
        ts_event: UnixNanos,
    },
    OrderCanceled {
        order_id: OrderId,
        reason_code: ReasonCode,
        ts_event: UnixNanos,
    },
    OrderExpired {
        order_id: OrderId,
        reason_code: ReasonCode,
        ts_event: UnixNanos,
    },
    OrderTriggered {
        order_id: OrderId,
        ts_event: UnixNanos,
    },
    OrderFilled {
        order_id: OrderId,
        execution: Box<Execution>,
        late: bool,
    },
    OrderEndHeld {
        order_id: OrderId,
        end: VenueEnd,
        reason_code: ReasonCode,
        cumulative_quantity: Quantity,
        ts_event: UnixNanos,
    },
    ReportQuarantined {
        client_order_id: ClientOrderId,
        reason: QuarantineReason,
        detail: String,
    },
    ExternalFilled {
        execution: Box<Execution>,
    },
}

#[derive(Deserialize)]
struct SubmitOrder {
    client_order_id: ClientOrderId,
    strategy_id: StrategyId,
    instrument_id: InstrumentId,
    side: Side,
    order_type: OrderType,
    quantity: Quantity,
    limit_price: Option<Price>,
    time_in_force: TimeInForce,
    post_only: bool,
    reduce_only: bool,
    tags: String,
    misfit: Option<Misfit>,
}

#[derive(Deserialize)]
struct FeeSchedule {
    maker: Rate,
    taker: Rate,
    decimals: Option<u8>,
}

#[derive(Deserialize)]
struct Instrument {
    instrument_id: InstrumentId,
    kind: InstrumentKind,
    base_currency: Currency,
    quote_currency: Currency,
    price_decimals: u8,
    quantity_decimals: u8,
    price_increment: Price,
    quantity_increment: Quantity,
    min_quantity: Quantity,
    max_quantity: Quantity,
    min_notional: Money,
    multiplier: Rate,
    initial_margin: Rate,
    fees: FeeSchedule,
    synthetic: bool,
}

#[derive(Deserialize)]
struct Limits {
    max_order_notional: Option<Money>,
    max_position_notional: Option<Money>,
    max_open_orders: Option<u32>,
    max_orders_per_second: Option<u32>,
    price_collar: Option<Rate>,
    check_buying_power: bool,
    allow_short_spot: bool,
    max_reference_age_ns: Option<i64>,
}

/// Reads a record of the first schema as what it means today.
///
/// Errors: the bytes do not decode.
pub(super) fn decode(bytes: &[u8]) -> Result<RecordedNow, postcard::Error> {
    let old: Recorded = postcard::from_bytes(bytes)?;
    Ok(RecordedNow {
        sequence: old.sequence,
        ts: old.ts,
        venue_sequence: old.venue_sequence,
        event: old.event.into(),
    })
}

impl From<SubmitOrder> for order::SubmitOrder {
    fn from(old: SubmitOrder) -> order::SubmitOrder {
        order::SubmitOrder {
            client_order_id: old.client_order_id,
            strategy_id: old.strategy_id,
            instrument_id: old.instrument_id,
            side: old.side,
            order_type: old.order_type,
            quantity: old.quantity,
            limit_price: old.limit_price,
            time_in_force: old.time_in_force,
            post_only: old.post_only,
            reduce_only: old.reduce_only,
            tags: old.tags,
            misfit: old.misfit,
            terms: OrderTerms::default(),
        }
    }
}

impl From<Instrument> for instrument::Instrument {
    fn from(old: Instrument) -> instrument::Instrument {
        instrument::Instrument {
            instrument_id: old.instrument_id,
            kind: old.kind,
            base_currency: old.base_currency,
            quote_currency: old.quote_currency,
            price_decimals: old.price_decimals,
            quantity_decimals: old.quantity_decimals,
            price_increment: old.price_increment,
            quantity_increment: old.quantity_increment,
            min_quantity: old.min_quantity,
            max_quantity: old.max_quantity,
            min_notional: old.min_notional,
            multiplier: old.multiplier,
            initial_margin: old.initial_margin,
            fees: instrument::FeeSchedule {
                maker: old.fees.maker,
                taker: old.fees.taker,
                decimals: old.fees.decimals,
                ..instrument::FeeSchedule::default()
            },
            synthetic: old.synthetic,
            rules: InstrumentRules::default(),
        }
    }
}

impl From<Limits> for risk::Limits {
    fn from(old: Limits) -> risk::Limits {
        risk::Limits {
            max_order_notional: old.max_order_notional,
            max_position_notional: old.max_position_notional,
            max_open_orders: old.max_open_orders,
            max_orders_per_second: old.max_orders_per_second,
            price_collar: old.price_collar,
            check_buying_power: old.check_buying_power,
            allow_short_spot: old.allow_short_spot,
            max_reference_age_ns: old.max_reference_age_ns,
            wide: WideLimits::default(),
        }
    }
}

/// Most variants have the fields that they always had.
macro_rules! convert {
    ($old:expr, same { $($name:ident { $($field:ident),* })* } changed { $($arms:tt)* }) => {
        match $old {
            $(Event::$name { $($field),* } => Now::$name { $($field),* },)*
            $($arms)*
        }
    };
}

impl From<Event> for Now {
    fn from(old: Event) -> Now {
        convert!(old, same {
            AccountOpened { account_id, base_currency, mode }
            CashAdjusted { request_id, currency, amount, reason }
            TradingStateChanged { request_id, state, by, reason }
            OrderDenied { order_id, reason_code, reason }
            OrderSubmitted { order_id }
            OrderAccepted { order_id, venue_order_id, ts_event }
            OrderRejected { order_id, reason_code, reason, ts_event }
            OrderUnknown { order_id, reason_code }
            OrderAmendRejected { order_id, reason, ts_event }
            OrderPendingCancel { order_id, request_id, reason_code }
            OrderCancelRejected { order_id, reason, ts_event }
            OrderCanceled { order_id, reason_code, ts_event }
            OrderExpired { order_id, reason_code, ts_event }
            OrderTriggered { order_id, ts_event }
            OrderFilled { order_id, execution, late }
            OrderEndHeld { order_id, end, reason_code, cumulative_quantity, ts_event }
            ReportQuarantined { client_order_id, reason, detail }
            ExternalFilled { execution }
        } changed {
            Event::LimitsSet { request_id, limits } => Now::LimitsSet {
                request_id,
                limits: Box::new(limits.into()),
            },
            Event::InstrumentDefined { instrument } => Now::InstrumentDefined {
                instrument: Box::new((*instrument).into()),
            },
            Event::OrderInitialized { order_id, request, market } => Now::OrderInitialized {
                quantity: request.quantity,
                order_id,
                request: Box::new((*request).into()),
                market,
                expires_at: None,
            },
            Event::OrderPendingAmend { order_id, request_id, quantity, limit_price } => {
                Now::OrderPendingAmend {
                    order_id,
                    request_id,
                    quantity,
                    limit_price,
                    stop_price: None,
                }
            }
            Event::OrderAmended { order_id, quantity, limit_price, ts_event } => {
                Now::OrderAmended {
                    order_id,
                    quantity,
                    limit_price,
                    stop_price: None,
                    ts_event,
                }
            }
        })
    }
}
