//! What a venue sets for an instrument beyond prices, quantities and fees.

use crate::money::{Money, Rate};
use crate::number::Price;
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

/// Further rules of an instrument. The default has none, and a venue that does everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentRules {
    pub class: AssetClass,
    /// Other price increments from given prices on, in rising order; below the first of them
    /// `price_increment` holds. Each begins at a price that fits its own increment and the one
    /// before, so that rounding never leaves the grid.
    pub price_bands: Vec<PriceBand>,
    /// The largest notional of one order, inclusive, in quote currency (base currency for an
    /// inverse contract).
    pub max_notional: Option<Money>,
    /// Share of the notional under which the venue liquidates; the initial margin when not set.
    pub maintenance_margin: Option<Rate>,
    /// How often funding is paid; `None` for what has none.
    pub funding_interval_ns: Option<i64>,
    /// When a future ends, exclusive: FIX 541, with its time of day.
    pub expires_at: Option<UnixNanos>,
    /// Name of the trading calendar that DAY orders and auctions follow, such as `XNYS`; trades
    /// around the clock when empty, with days that end at 00:00 UTC.
    pub calendar: String,
    /// Share of the reference price beyond which the venue takes no limit price.
    pub price_collar: Option<Rate>,
    /// What the venue does not offer. The account does it itself where it can.
    pub lacks: Lacks,
}

/// What is traded, for people and for choosing a calendar.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum AssetClass {
    #[default]
    Crypto,
    Equity,
    Fx,
    Future,
    Option,
    Index,
}

/// From `from` on, inclusive, prices are whole multiples of `increment`. FIX 1206 to 1208.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBand {
    pub from: Price,
    pub increment: Price,
}

/// What a venue does not offer for an instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacks {
    pub order_types: Vec<OrderType>,
    pub times_in_force: Vec<TimeInForce>,
    pub iceberg: bool,
    pub post_only: bool,
    pub reduce_only: bool,
}
