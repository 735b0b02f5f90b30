//! An order as a strategy states it.

use apex_domain::market::Side;
use apex_domain::order::{
    OrderTerms, OrderType, PositionSide, SelfTradePrevention, SubmitOrder, TimeInForce,
    TrailingOffset, TriggerType,
};
use apex_domain::{ClientOrderId, InstrumentId, Money, Price, Quantity, StrategyId, UnixNanos};

/// An order as a strategy states it. The context adds the ids.
///
/// Begin with the order type and add terms. Terms that do not fit the type, such as an iceberg
/// market order, are refused by the account and come back with `on_refused`.
///
/// ```
/// use apex_domain::{InstrumentId, Price, Quantity, market::Side, order::TrailingOffset};
/// use apex_strategy::OrderRequest;
/// let id = InstrumentId::new("BTCUSDT.BINANCE").unwrap();
/// let maker = OrderRequest::limit(id.clone(), Side::Buy, Quantity(100), Price(6_000_000));
/// assert!(maker.post_only().day().post_only);
/// // Sells when the price falls by half a percent from its best.
/// let offset = TrailingOffset::Bps(50);
/// let stop = OrderRequest::trailing_stop(id, Side::Sell, Quantity(100), offset).reduce_only();
/// assert_eq!(stop.terms.trailing, Some(offset));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    pub instrument_id: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    /// Zero for an order by notional.
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub time_in_force: TimeInForce,
    pub post_only: bool,
    pub reduce_only: bool,
    /// The strategy's own marks; at most 256 bytes.
    pub tags: String,
    pub terms: OrderTerms,
}

/// Order types. All are good till canceled unless a term says otherwise.
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
            terms: OrderTerms::default(),
        }
    }

    /// States an order that never trades worse than `limit_price`.
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

    /// States an order that becomes a market order when the price reaches `stop_price`: a sell
    /// from above, a buy from below.
    pub fn stop(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
        stop_price: Price,
    ) -> OrderRequest {
        OrderRequest::market(instrument_id, side, quantity).conditional(
            OrderType::Stop,
            stop_price,
            None,
        )
    }

    /// States a stop that becomes a limit order at `limit_price`.
    pub fn stop_limit(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
        stop_price: Price,
        limit_price: Price,
    ) -> OrderRequest {
        OrderRequest::market(instrument_id, side, quantity).conditional(
            OrderType::StopLimit,
            stop_price,
            Some(limit_price),
        )
    }

    /// States an order that becomes a market order when the price reaches `stop_price`: a sell
    /// from below, a buy from above.
    pub fn market_if_touched(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
        stop_price: Price,
    ) -> OrderRequest {
        OrderRequest::market(instrument_id, side, quantity).conditional(
            OrderType::MarketIfTouched,
            stop_price,
            None,
        )
    }

    /// States an if-touched order that becomes a limit order at `limit_price`.
    pub fn limit_if_touched(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
        stop_price: Price,
        limit_price: Price,
    ) -> OrderRequest {
        OrderRequest::market(instrument_id, side, quantity).conditional(
            OrderType::LimitIfTouched,
            stop_price,
            Some(limit_price),
        )
    }

    /// States an order that takes the best price that is there; what is left rests at it.
    pub fn market_to_limit(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
    ) -> OrderRequest {
        OrderRequest {
            order_type: OrderType::MarketToLimit,
            ..OrderRequest::market(instrument_id, side, quantity)
        }
    }

    /// States a stop whose price follows the best price at a distance and never steps back.
    pub fn trailing_stop(
        instrument_id: InstrumentId,
        side: Side,
        quantity: Quantity,
        offset: TrailingOffset,
    ) -> OrderRequest {
        let mut order = OrderRequest::market(instrument_id, side, quantity);
        order.order_type = OrderType::TrailingStop;
        order.terms.trailing = Some(offset);
        order
    }

    fn conditional(
        mut self,
        order_type: OrderType,
        stop_price: Price,
        limit_price: Option<Price>,
    ) -> OrderRequest {
        self.order_type = order_type;
        self.limit_price = limit_price;
        self.terms.stop_price = Some(stop_price);
        self
    }
}

/// Terms.
impl OrderRequest {
    #[must_use]
    pub fn time_in_force(mut self, time_in_force: TimeInForce) -> OrderRequest {
        self.time_in_force = time_in_force;
        self
    }

    /// Ends with the trading day of the instrument's calendar.
    #[must_use]
    pub fn day(self) -> OrderRequest {
        self.time_in_force(TimeInForce::Day)
    }

    /// Ends at `at`; a trade at that very time still counts.
    #[must_use]
    pub fn good_till(mut self, at: UnixNanos) -> OrderRequest {
        self.terms.expire_at = Some(at);
        self.time_in_force(TimeInForce::Gtd)
    }

    /// Spends `notional`, in the quote currency, instead of a quantity: the account buys what it
    /// comes to at the limit price or the market.
    #[must_use]
    pub fn notional(mut self, notional: Money) -> OrderRequest {
        self.quantity = Quantity::ZERO;
        self.terms.notional = Some(notional);
        self
    }

    /// Shows only `display_quantity` of a limit order at a time.
    #[must_use]
    pub fn iceberg(mut self, display_quantity: Quantity) -> OrderRequest {
        self.terms.display_quantity = Some(display_quantity);
        self
    }

    /// Is refused by the venue where it would trade at once.
    #[must_use]
    pub fn post_only(mut self) -> OrderRequest {
        self.post_only = true;
        self
    }

    /// May only bring the position nearer to zero.
    #[must_use]
    pub fn reduce_only(mut self) -> OrderRequest {
        self.reduce_only = true;
        self
    }

    /// Names the price that a conditional order watches; the last trade when not said.
    #[must_use]
    pub fn trigger(mut self, trigger: TriggerType) -> OrderRequest {
        self.terms.trigger = trigger;
        self
    }

    /// Names the price that a trailing stop waits for before it begins to trail.
    #[must_use]
    pub fn activation_price(mut self, price: Price) -> OrderRequest {
        self.terms.activation_price = Some(price);
        self
    }

    /// Says what happens when it would trade with an order of the same account.
    #[must_use]
    pub fn self_trade_prevention(mut self, prevention: SelfTradePrevention) -> OrderRequest {
        self.terms.self_trade_prevention = Some(prevention);
        self
    }

    /// Names the position of a hedging account that it means.
    #[must_use]
    pub fn position_side(mut self, side: PositionSide) -> OrderRequest {
        self.terms.position_side = side;
        self
    }

    /// Trades outside of regular hours too.
    #[must_use]
    pub fn extended_hours(mut self) -> OrderRequest {
        self.terms.extended_hours = true;
        self
    }

    #[must_use]
    pub fn tags(mut self, tags: impl Into<String>) -> OrderRequest {
        self.tags = tags.into();
        self
    }

    pub(crate) fn with_ids(
        self,
        client_order_id: ClientOrderId,
        strategy_id: StrategyId,
    ) -> SubmitOrder {
        SubmitOrder {
            client_order_id,
            strategy_id,
            instrument_id: self.instrument_id,
            side: self.side,
            order_type: self.order_type,
            quantity: self.quantity,
            limit_price: self.limit_price,
            time_in_force: self.time_in_force,
            post_only: self.post_only,
            reduce_only: self.reduce_only,
            tags: self.tags,
            misfit: None,
            terms: self.terms,
        }
    }
}
