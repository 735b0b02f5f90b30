//! What an order may say beyond side, quantity and limit price.

use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

/// The further terms of an order. The default says nothing: a plain order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTerms {
    /// FIX 152: quote currency to spend instead of a quantity; above zero. The quantity is then
    /// what it buys at the limit price, or at the reference price, cut to the increment.
    pub notional: Option<Money>,
    /// FIX 99: the price at which a conditional order triggers.
    pub stop_price: Option<Price>,
    /// How far a trailing stop stays behind the best price.
    pub trailing: Option<TrailingOffset>,
    /// The price that a trailing stop waits for before it begins to trail.
    pub activation_price: Option<Price>,
    /// FIX 1107: which price a conditional order watches.
    pub trigger: TriggerType,
    /// FIX 126: when a GTD order ends: a trade at this very time still counts.
    pub expire_at: Option<UnixNanos>,
    /// FIX 1138: the part of the quantity that an iceberg order shows.
    pub display_quantity: Option<Quantity>,
    /// Which position of a hedging account the order means.
    pub position_side: PositionSide,
    /// What happens when the order would trade with one of the same account.
    pub self_trade_prevention: Option<SelfTradePrevention>,
    /// Trades outside of regular hours too.
    pub extended_hours: bool,
}

/// Distance of a trailing stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TrailingOffset {
    /// In price, a mantissa at the instrument's price decimals; above zero.
    Price(Price),
    /// In basis points of the best price, 1 to 9,999.
    Bps(u32),
}

/// The price that a conditional order watches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum TriggerType {
    /// The last trade; the quote of [`TriggerType::BidAsk`] while no trade was seen.
    #[default]
    Last,
    /// The price that the order would meet: the ask for a buy, the bid for a sell.
    BidAsk,
    /// The mark price of the venue; the mid price where it has none.
    Mark,
}

/// Which position an order means.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum PositionSide {
    /// The one position of a netting account.
    #[default]
    Net,
    Long,
    Short,
}

/// What a venue does with two orders of one account that would trade with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SelfTradePrevention {
    /// The incoming order ends.
    ExpireTaker,
    /// The resting order ends, and the incoming one goes on.
    ExpireMaker,
    /// Both end.
    ExpireBoth,
    /// Both lose the smaller open quantity, without a trade.
    Decrement,
}

impl OrderTerms {
    /// Returns true when nothing is said.
    pub fn is_plain(&self) -> bool {
        *self == OrderTerms::default()
    }
}
