//! The values of an order's life, in the words that broker APIs use.

use crate::event::Hold;
use crate::id::{
    AccountId, ClientOrderId, InstrumentId, OrderId, OrderListId, RequestId, StrategyId,
    VenueOrderId,
};
use crate::market::Side;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::OrderTerms;
use crate::risk::ReasonCode;
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use std::fmt;

/// FIX 40.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OrderType {
    /// Takes what is there, at any price.
    Market,
    /// Never trades worse than its limit price.
    Limit,
    /// Becomes a market order when the price reaches its stop price from the better side.
    Stop,
    /// Becomes a limit order when the price reaches its stop price from the better side.
    StopLimit,
    /// Becomes a market order when the price reaches its stop price from the worse side.
    MarketIfTouched,
    /// Becomes a limit order when the price reaches its stop price from the worse side.
    LimitIfTouched,
    /// Takes the best price that is there; what is left rests at that price.
    MarketToLimit,
    /// A stop whose price follows the market at a distance.
    TrailingStop,
}

impl OrderType {
    pub const ALL: [OrderType; 8] = [
        OrderType::Market,
        OrderType::Limit,
        OrderType::Stop,
        OrderType::StopLimit,
        OrderType::MarketIfTouched,
        OrderType::LimitIfTouched,
        OrderType::MarketToLimit,
        OrderType::TrailingStop,
    ];

    /// Returns true for an order that waits for a price before it works.
    pub fn is_conditional(self) -> bool {
        matches!(
            self,
            OrderType::Stop
                | OrderType::StopLimit
                | OrderType::MarketIfTouched
                | OrderType::LimitIfTouched
                | OrderType::TrailingStop
        )
    }

    /// Returns true for an order that carries a limit price.
    pub fn has_limit(self) -> bool {
        matches!(
            self,
            OrderType::Limit | OrderType::StopLimit | OrderType::LimitIfTouched
        )
    }

    /// Returns what a conditional order becomes when it triggers; itself for the others.
    pub fn triggered(self) -> OrderType {
        match self {
            OrderType::Stop | OrderType::MarketIfTouched | OrderType::TrailingStop => {
                OrderType::Market
            }
            OrderType::StopLimit | OrderType::LimitIfTouched => OrderType::Limit,
            other => other,
        }
    }
}

/// FIX 59.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimeInForce {
    /// Good till canceled.
    Gtc,
    /// Immediate or cancel: what does not trade at once is canceled.
    Ioc,
    /// Fill or kill: trades wholly at once, or not at all.
    Fok,
    /// Ends with the trading day of its instrument's calendar.
    Day,
    /// Good till a date and time of its own.
    Gtd,
    /// Trades in the opening auction, or at the first price of the day, only.
    AtOpen,
    /// Trades in the closing auction, or at the last price of the day, only.
    AtClose,
}

impl TimeInForce {
    pub const ALL: [TimeInForce; 7] = [
        TimeInForce::Gtc,
        TimeInForce::Ioc,
        TimeInForce::Fok,
        TimeInForce::Day,
        TimeInForce::Gtd,
        TimeInForce::AtOpen,
        TimeInForce::AtClose,
    ];

    /// Returns true for an order that never rests.
    pub fn is_immediate(self) -> bool {
        matches!(self, TimeInForce::Ioc | TimeInForce::Fok)
    }

    /// Returns true for an order for the opening or the close, which trades in an auction only.
    pub fn is_auction(self) -> bool {
        matches!(self, TimeInForce::AtOpen | TimeInForce::AtClose)
    }
}

/// FIX 39, and our two states of not knowing and not having asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OrderStatus {
    /// Durable here, not yet on its way.
    PendingNew,
    /// Refused by our own checks; never left the house.
    Denied,
    /// Sent, or about to be sent; the venue has not answered.
    Submitted,
    /// Sent, and the outcome is not known: its worst case stays reserved.
    Unknown,
    /// Working at the venue.
    Accepted,
    /// Refused by the venue.
    Rejected,
    /// A conditional order whose condition was met.
    Triggered,
    PartiallyFilled,
    Filled,
    PendingAmend,
    PendingCancel,
    Canceled,
    Expired,
}

impl OrderStatus {
    pub const ALL: [OrderStatus; 13] = [
        OrderStatus::PendingNew,
        OrderStatus::Denied,
        OrderStatus::Submitted,
        OrderStatus::Unknown,
        OrderStatus::Accepted,
        OrderStatus::Rejected,
        OrderStatus::Triggered,
        OrderStatus::PartiallyFilled,
        OrderStatus::Filled,
        OrderStatus::PendingAmend,
        OrderStatus::PendingCancel,
        OrderStatus::Canceled,
        OrderStatus::Expired,
    ];

    /// Returns the state as clients see it, for example `PARTIALLY_FILLED`.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::PendingNew => "PENDING_NEW",
            OrderStatus::Denied => "DENIED",
            OrderStatus::Submitted => "SUBMITTED",
            OrderStatus::Unknown => "UNKNOWN",
            OrderStatus::Accepted => "ACCEPTED",
            OrderStatus::Rejected => "REJECTED",
            OrderStatus::Triggered => "TRIGGERED",
            OrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
            OrderStatus::Filled => "FILLED",
            OrderStatus::PendingAmend => "PENDING_AMEND",
            OrderStatus::PendingCancel => "PENDING_CANCEL",
            OrderStatus::Canceled => "CANCELED",
            OrderStatus::Expired => "EXPIRED",
        }
    }

    /// Returns true when nothing more is expected of the order. Late fills and busts still count.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            OrderStatus::Denied
                | OrderStatus::Rejected
                | OrderStatus::Filled
                | OrderStatus::Canceled
                | OrderStatus::Expired
        )
    }
}

/// A well-formed order as a client or strategy asks for it; rules are checked by the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitOrder {
    pub client_order_id: ClientOrderId,
    pub strategy_id: StrategyId,
    pub instrument_id: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    /// FIX 38. Above zero by the grammar of the edge.
    pub quantity: Quantity,
    /// FIX 44. Present exactly for limit orders, checked at the edge.
    pub limit_price: Option<Price>,
    pub time_in_force: TimeInForce,
    /// Refused by the venue where it would trade at once.
    pub post_only: bool,
    /// May only bring the position nearer to zero.
    pub reduce_only: bool,
    /// The client's own marks, carried along; at most 256 bytes.
    pub tags: String,
    /// Set by the edge when a number was asked for with more decimals than the instrument has.
    /// The number itself is then the one asked for, cut towards zero (a quantity may be zero
    /// then), and the account denies the order with [`Misfit::reason_code`].
    pub misfit: Option<Misfit>,
    /// Everything else that an order may say.
    pub terms: OrderTerms,
}

/// A well-formed number that no mantissa of its instrument can hold, such as a price of 12.345
/// where prices have two decimals. It holds the text that was asked for, so that the same
/// `client_order_id` with another number is another order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misfit {
    /// The limit price.
    Price(String),
    /// The quantity.
    Quantity(String),
    /// The stop price.
    StopPrice(String),
    /// The offset of a trailing stop, in price.
    TrailingOffset(String),
    /// The price that a trailing stop waits for.
    ActivationPrice(String),
    /// The shown part of an iceberg order.
    DisplayQuantity(String),
}

impl Misfit {
    /// Returns the code with which the order is denied.
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Misfit::Price(_)
            | Misfit::StopPrice(_)
            | Misfit::TrailingOffset(_)
            | Misfit::ActivationPrice(_) => ReasonCode::PriceIncrement,
            Misfit::Quantity(_) | Misfit::DisplayQuantity(_) => ReasonCode::QuantityIncrement,
        }
    }

    /// Returns the field as the wire names it, and the text that was asked for.
    pub fn asked(&self) -> (&'static str, &str) {
        match self {
            Misfit::Price(asked) => ("limit_price", asked),
            Misfit::Quantity(asked) => ("quantity", asked),
            Misfit::StopPrice(asked) => ("stop_price", asked),
            Misfit::TrailingOffset(asked) => ("trailing_offset", asked),
            Misfit::ActivationPrice(asked) => ("activation_price", asked),
            Misfit::DisplayQuantity(asked) => ("display_quantity", asked),
        }
    }
}

impl fmt::Display for Misfit {
    /// Writes the reason for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, asked) = self.asked();
        let kind = match self.reason_code() {
            ReasonCode::QuantityIncrement => "quantities",
            _ => "prices",
        };
        write!(
            f,
            "{field} {asked} has more decimals than the instrument's {kind}"
        )
    }
}

/// Which order is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OrderKey {
    OrderId(OrderId),
    ClientOrderId(ClientOrderId),
}

/// FIX cancel/replace. `None` leaves a value as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendOrder {
    pub key: OrderKey,
    pub request_id: RequestId,
    /// The new total quantity, filled part included.
    pub quantity: Option<Quantity>,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
    /// The order's `sequence` as the caller saw it; another one now is a conflict.
    pub expected_sequence: Option<u64>,
}

/// An order as the account knows it. `filled + leaves + canceled == quantity` at all times; an
/// overfill raises `quantity` to what was filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub order_id: OrderId,
    pub account_id: AccountId,
    pub venue_order_id: Option<VenueOrderId>,
    pub request: SubmitOrder,
    pub status: OrderStatus,
    /// The total quantity now, after amends.
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    /// The stop price now; of a trailing stop once it has begun to trail.
    pub stop_price: Option<Price>,
    /// When a DAY or GTD order ends.
    pub expires_at: Option<UnixNanos>,
    /// The list that it belongs to.
    pub list_id: Option<OrderListId>,
    /// Why it waits in the account; `None` once it has left for the venue or ended.
    pub held_for: Option<Hold>,
    /// FIX 14.
    pub filled_quantity: Quantity,
    /// FIX 151: still open for execution.
    pub leaves_quantity: Quantity,
    /// What was canceled, expired, denied or rejected.
    pub canceled_quantity: Quantity,
    /// Sum of `price * quantity * multiplier` of the fills, in the quote currency.
    pub filled_notional: Money,
    pub reason_code: Option<ReasonCode>,
    /// Why, in words, for a person; empty when there is nothing to say.
    pub reason: String,
    pub ts_created: UnixNanos,
    pub ts_updated: UnixNanos,
    /// Journal sequence of the last event that touched it.
    pub sequence: u64,
}
