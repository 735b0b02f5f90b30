//! What the tests of this crate share.

use apex_domain::instrument::{FeeSchedule, Instrument, InstrumentKind, InstrumentRules};
use apex_domain::market::{Bar, BarSpec, Level, MarketEvent, Quote, Trade};
use apex_domain::order::{OrderType, TimeInForce};
use apex_domain::{
    AccountId, Currency, InstrumentId, Money, Price, Quantity, Rate, StrategyId, UnixNanos,
};

pub fn instrument_id() -> InstrumentId {
    InstrumentId::new("DATA.SIM").unwrap()
}

pub fn account_id() -> AccountId {
    AccountId::new("backtest").unwrap()
}

pub fn strategy_id(text: &str) -> StrategyId {
    StrategyId::new(text).unwrap()
}

/// Whole units of quantity, cents of price, nothing charged.
pub fn instrument() -> Instrument {
    Instrument {
        instrument_id: instrument_id(),
        kind: InstrumentKind::Linear,
        base_currency: Currency::new("DATA").unwrap(),
        quote_currency: Currency::new("USD").unwrap(),
        price_decimals: 2,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}

/// As [`instrument`], of a venue that knows market and limit orders good till canceled only.
pub fn lacking() -> Instrument {
    let conditional = |order_type: &OrderType| order_type.is_conditional();
    let mut lacking = instrument();
    lacking.rules.lacks.order_types = OrderType::ALL.into_iter().filter(conditional).collect();
    lacking.rules.lacks.times_in_force = vec![TimeInForce::Day, TimeInForce::Gtd];
    lacking
}

/// A bar that never left `price`.
pub fn bar(ts: i64, price: i64) -> MarketEvent {
    ohlc(ts, price, price, price, price)
}

pub fn ohlc(ts: i64, open: i64, high: i64, low: i64, close: i64) -> MarketEvent {
    MarketEvent::Bar(Bar {
        instrument_id: instrument_id(),
        spec: BarSpec::External,
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price(close),
        volume: 0,
        trade_count: 0,
        ts_open: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}

pub fn quote(ts: i64, bid: Option<i64>, ask: Option<i64>) -> MarketEvent {
    let level = |price: i64| Level {
        price: Price(price),
        quantity: Quantity(1),
    };
    MarketEvent::Quote(Quote {
        instrument_id: instrument_id(),
        bid: bid.map(level),
        ask: ask.map(level),
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}

pub fn trade(ts: i64, price: i64) -> MarketEvent {
    MarketEvent::Trade(Trade {
        instrument_id: instrument_id(),
        price: Price(price),
        quantity: Quantity(1),
        aggressor: None,
        trade_id: 0,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}
