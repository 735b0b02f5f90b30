//! Limits, trading state and reason codes.

use crate::id::{InstrumentId, StrategyId};
use crate::money::Money;
use crate::number::Price;
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why an order was refused or ended, as a stable code (FIX 103 and 58 in our words).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReasonCode {
    PriceIncrement,
    QuantityIncrement,
    MinQuantity,
    MaxQuantity,
    MinNotional,
    MaxNotional,
    PriceCollar,
    NoReferencePrice,
    InsufficientBuyingPower,
    PositionLimit,
    ExposureLimit,
    OpenOrderLimit,
    OrderRate,
    ReduceOnly,
    TradingHalted,
    TradingReducing,
    SelfTrade,
    NumericRange,
    /// The venue said no.
    VenueRejected,
    /// The venue would have had to trade a post-only order at once.
    PostOnlyWouldTrade,
    /// An immediate order's rest, or a fill-or-kill order, found no counterpart.
    NoLiquidity,
    /// A person or strategy asked for the cancel.
    CanceledByUser,
    /// The kill switch or a trading state asked for the cancel.
    CanceledByRisk,
    /// The venue proved that it never had the order.
    NotAtVenue,
    /// Sent, and no answer came.
    NoAnswer,
    /// The process ended before the answer came.
    Restarted,
    /// Found by reconciliation.
    Reconciled,
    /// The venue ended it for a reason of its own.
    VenueCanceled,
    /// Its DAY, GTD or auction time was over.
    TimeOver,
    /// Another order of its list traded or ended.
    Contingency,
    /// Another order of its list was refused.
    ListDenied,
    /// The venue took the execution back that had filled it.
    ExecutionBusted,
    /// Neither the venue nor the platform offers this.
    Unsupported,
    /// A value in another currency could not be measured: no rate, or an old one.
    NoConversionRate,
    /// One instrument would be too large a share of the account.
    Concentration,
    /// The loss of the day reached its limit.
    LossLimit,
    /// The fall from the highest equity reached its limit.
    DrawdownLimit,
    /// The instrument's market is closed or halted.
    MarketClosed,
    /// The venue closed a position that its margin no longer covered.
    Liquidation,
    /// The side of a hedging account holds less than this and its other working orders close.
    PositionTooSmall,
    /// An order names a side, and the position that it means is kept net.
    PositionSideInNetting,
    /// An order of a hedging account does not say which side of a contract it means.
    PositionSideRequired,
    /// A person said that the order, of which the venue told nothing, is not there.
    Resolved,
    /// The client's order session ended without a goodbye, or was silent for too long.
    CanceledOnDisconnect,
}

impl ReasonCode {
    /// Returns the code as clients see it, for example `MIN_NOTIONAL`.
    pub fn as_str(self) -> &'static str {
        match self {
            ReasonCode::PriceIncrement => "PRICE_INCREMENT",
            ReasonCode::QuantityIncrement => "QUANTITY_INCREMENT",
            ReasonCode::MinQuantity => "MIN_QUANTITY",
            ReasonCode::MaxQuantity => "MAX_QUANTITY",
            ReasonCode::MinNotional => "MIN_NOTIONAL",
            ReasonCode::MaxNotional => "MAX_NOTIONAL",
            ReasonCode::PriceCollar => "PRICE_COLLAR",
            ReasonCode::NoReferencePrice => "NO_REFERENCE_PRICE",
            ReasonCode::InsufficientBuyingPower => "INSUFFICIENT_BUYING_POWER",
            ReasonCode::PositionLimit => "POSITION_LIMIT",
            ReasonCode::ExposureLimit => "EXPOSURE_LIMIT",
            ReasonCode::OpenOrderLimit => "OPEN_ORDER_LIMIT",
            ReasonCode::OrderRate => "ORDER_RATE",
            ReasonCode::ReduceOnly => "REDUCE_ONLY",
            ReasonCode::TradingHalted => "TRADING_HALTED",
            ReasonCode::TradingReducing => "TRADING_REDUCING",
            ReasonCode::SelfTrade => "SELF_TRADE",
            ReasonCode::NumericRange => "NUMERIC_RANGE",
            ReasonCode::VenueRejected => "VENUE_REJECTED",
            ReasonCode::PostOnlyWouldTrade => "POST_ONLY_WOULD_TRADE",
            ReasonCode::NoLiquidity => "NO_LIQUIDITY",
            ReasonCode::CanceledByUser => "CANCELED_BY_USER",
            ReasonCode::CanceledByRisk => "CANCELED_BY_RISK",
            ReasonCode::NotAtVenue => "NOT_AT_VENUE",
            ReasonCode::NoAnswer => "NO_ANSWER",
            ReasonCode::Restarted => "RESTARTED",
            ReasonCode::Reconciled => "RECONCILED",
            ReasonCode::VenueCanceled => "VENUE_CANCELED",
            ReasonCode::TimeOver => "TIME_OVER",
            ReasonCode::Contingency => "CONTINGENCY",
            ReasonCode::ListDenied => "LIST_DENIED",
            ReasonCode::ExecutionBusted => "EXECUTION_BUSTED",
            ReasonCode::Unsupported => "UNSUPPORTED",
            ReasonCode::NoConversionRate => "NO_CONVERSION_RATE",
            ReasonCode::Concentration => "CONCENTRATION",
            ReasonCode::LossLimit => "LOSS_LIMIT",
            ReasonCode::DrawdownLimit => "DRAWDOWN_LIMIT",
            ReasonCode::MarketClosed => "MARKET_CLOSED",
            ReasonCode::Liquidation => "LIQUIDATION",
            ReasonCode::PositionSideInNetting => "POSITION_SIDE_IN_NETTING",
            ReasonCode::PositionSideRequired => "POSITION_SIDE_REQUIRED",
            ReasonCode::PositionTooSmall => "POSITION_TOO_SMALL",
            ReasonCode::Resolved => "RESOLVED",
            ReasonCode::CanceledOnDisconnect => "CANCELED_ON_DISCONNECT",
        }
    }
}

/// What is allowed at present, per account and for the platform; the stricter one holds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum TradingState {
    #[default]
    Active,
    /// Only what brings a position nearer to zero.
    Reducing,
    /// No new order and no amend; cancels pass.
    Halted,
}

/// Limits of an account. `None` is no limit; each bound is inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Notional of one order, in its quote currency.
    pub max_order_notional: Option<Money>,
    /// Absolute position of one instrument with all working orders of one side filled, as
    /// notional at the reference price, in its quote currency.
    pub max_position_notional: Option<Money>,
    /// Working orders, all instruments.
    pub max_open_orders: Option<u32>,
    /// New orders and amends in any window of one second.
    pub max_orders_per_second: Option<u32>,
    /// Share of the reference price by which a limit price may be worse than it.
    pub price_collar: Option<crate::money::Rate>,
    /// True where an order must be covered by cash (spot buys, margin); a backtest may switch
    /// it off, and cash may then go negative.
    pub check_buying_power: bool,
    /// Spot positions may go below zero.
    pub allow_short_spot: bool,
    /// Age in nanoseconds up to which a reference price counts as fresh.
    pub max_reference_age_ns: Option<i64>,
    /// Further limits, most of them over more than one instrument.
    pub wide: WideLimits,
}

/// Limits that look at more than the order's own instrument. Amounts are in the account's base
/// currency; `None` is no limit, each bound is inclusive. An order that brings what is measured
/// nearer to zero always passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WideLimits {
    /// Worst-case notional of one strategy: its positions with its working orders filled.
    pub max_strategy_exposure: Option<Money>,
    /// Worst-case notional of the account: the sum over its instruments.
    pub max_account_exposure: Option<Money>,
    /// Worst-case notional of one instrument as a share of the account's equity.
    pub max_concentration: Option<crate::money::Rate>,
    /// Tighter bounds for single instruments than `max_position_notional`, in quote currency.
    pub instrument_exposure: BTreeMap<InstrumentId, Money>,
    /// Tighter bounds for single strategies than `max_strategy_exposure`.
    pub strategy_exposure: BTreeMap<StrategyId, Money>,
    /// Fall of the equity since the day's start, at which `loss_action` is taken.
    pub max_daily_loss: Option<Money>,
    /// Fall of the equity from its highest as a share of that, at which `loss_action` is taken.
    pub max_drawdown: Option<crate::money::Rate>,
    /// What a loss limit does to the trading state.
    pub loss_action: LossAction,
    /// An order that would trade with a working order of the same account is denied.
    pub prevent_self_trade: bool,
    /// Age in nanoseconds up to which a conversion rate counts; 60 seconds when not set.
    pub max_rate_age_ns: Option<i64>,
}

/// What happens when a loss limit is reached.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum LossAction {
    /// Nothing new, and working orders are canceled.
    #[default]
    Halt,
    /// Only what brings a position nearer to zero.
    Reduce,
}

/// The market of one instrument as the account watches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketView {
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    /// Price of the last trade.
    pub last: Option<Price>,
    /// When that trade was made, in the clock of `now`; of no meaning without one.
    pub last_ts: UnixNanos,
    /// The venue's mark price, where it has one.
    pub mark: Option<Price>,
    /// When the newest of them was made, in the clock of `now`.
    pub ts: UnixNanos,
}

impl MarketView {
    /// Returns what of it an order that began to watch at `since` may look at: a trade of before
    /// is none of its business, however long nothing has traded since.
    #[must_use]
    pub fn seen_since(self, since: UnixNanos) -> MarketView {
        MarketView {
            last: self.last.filter(|_| self.last_ts >= since),
            ..self
        }
    }
}

/// The market as the shell saw it when it handed an order to the account. It is part of the
/// input and kept with the decision, so that the decision can be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketRef {
    /// Best bid and ask, or the last trade on both where there is no quote.
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    /// When the price was made, in the clock of `now`.
    pub ts: UnixNanos,
}
