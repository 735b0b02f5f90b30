//! What a strategy asks for.

use apex_domain::account::CancelFilter;
use apex_domain::market::Side;
use apex_domain::order::{AmendOrder, OrderType, SubmitOrder, TimeInForce};
use apex_domain::{ClientOrderId, InstrumentId, Price, Quantity, UnixNanos};

/// A recorded wish of a strategy, in the order in which it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrategyCommand {
    Submit(Box<SubmitOrder>),
    Amend(AmendOrder),
    Cancel(ClientOrderId),
    CancelAll(CancelFilter),
    /// Call `on_timer` with `tag` at `at`, which is later than the time of asking.
    Timer {
        at: UnixNanos,
        tag: String,
    },
    /// Keep these bytes; they come back as `Context::saved_state` after a restart.
    SaveState(Vec<u8>),
    Log(String),
}

/// An order as a strategy states it. The context adds the ids.
///
/// ```
/// use apex_domain::{InstrumentId, Price, Quantity, market::Side};
/// use apex_strategy::OrderRequest;
/// let id = InstrumentId::new("BTCUSDT.BINANCE").unwrap();
/// let order = OrderRequest::limit(id, Side::Buy, Quantity(100), Price(6_000_000)).post_only();
/// assert!(order.post_only);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    pub instrument_id: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub time_in_force: TimeInForce,
    pub post_only: bool,
    pub reduce_only: bool,
    /// The strategy's own marks; at most 256 bytes.
    pub tags: String,
}

impl OrderRequest {
    /// States an order that takes what is there, at any price.
    pub fn market(instrument_id: InstrumentId, side: Side, quantity: Quantity) -> OrderRequest {
        OrderRequest {
            instrument_id,
            side,
            order_type: OrderType::Market,
            quantity,
            limit_price: None,
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            tags: String::new(),
        }
    }

    /// States an order that never trades worse than `limit_price`, good till canceled.
    pub fn limit(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
        limit_price: Price,
    ) -> OrderRequest {
        OrderRequest {
            order_type: OrderType::Limit,
            limit_price: Some(limit_price),
            ..OrderRequest::market(instrument_id, side, quantity)
        }
    }

    #[must_use]
    pub fn time_in_force(mut self, time_in_force: TimeInForce) -> OrderRequest {
        self.time_in_force = time_in_force;
        self
    }

    #[must_use]
    pub fn post_only(mut self) -> OrderRequest {
        self.post_only = true;
        self
    }

    #[must_use]
    pub fn reduce_only(mut self) -> OrderRequest {
        self.reduce_only = true;
        self
    }
}
