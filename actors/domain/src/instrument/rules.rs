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
#[serde(try_from = "StoredLacks", into = "StoredLacks")]
pub struct Lacks {
    pub order_types: Vec<OrderType>,
    pub times_in_force: Vec<TimeInForce>,
    pub iceberg: bool,
    pub post_only: bool,
    pub reduce_only: bool,
    /// It does not know that of two orders only one can trade, and locks what each of them needs.
    /// Where it does, the larger of them is what a pair costs.
    pub linked_orders: bool,
}

/// [`Lacks`] as the journal holds it. `linked_orders` came later than the others: it shares the
/// byte of `reduce_only`, which held 0 or 1 before, so that older records read and hash as ever.
#[derive(Serialize, Deserialize)]
struct StoredLacks {
    order_types: Vec<OrderType>,
    times_in_force: Vec<TimeInForce>,
    iceberg: bool,
    post_only: bool,
    /// 1 is `reduce_only`, 2 is `linked_orders`.
    last: u8,
}

impl From<Lacks> for StoredLacks {
    fn from(lacks: Lacks) -> StoredLacks {
        StoredLacks {
            order_types: lacks.order_types,
            times_in_force: lacks.times_in_force,
            iceberg: lacks.iceberg,
            post_only: lacks.post_only,
            last: u8::from(lacks.reduce_only) | u8::from(lacks.linked_orders) << 1,
        }
    }
}

impl TryFrom<StoredLacks> for Lacks {
    type Error = &'static str;

    fn try_from(stored: StoredLacks) -> Result<Lacks, &'static str> {
        if stored.last > 3 {
            return Err("what a venue lacks has a part that this build does not know");
        }
        Ok(Lacks {
            order_types: stored.order_types,
            times_in_force: stored.times_in_force,
            iceberg: stored.iceberg,
            post_only: stored.post_only,
            reduce_only: stored.last & 1 != 0,
            linked_orders: stored.last & 2 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_venue_lacks_is_stored_as_before_and_reads_back() {
        for (reduce_only, linked_orders, last) in [
            (false, false, 0),
            (true, false, 1),
            (false, true, 2),
            (true, true, 3),
        ] {
            let lacks = Lacks {
                reduce_only,
                linked_orders,
                ..Lacks::default()
            };
            let bytes = postcard::to_stdvec(&lacks).unwrap();
            assert_eq!(bytes, [0, 0, 0, 0, last]);
            assert_eq!(postcard::from_bytes(&bytes), Ok(lacks));
        }
        assert!(postcard::from_bytes::<Lacks>(&[0, 0, 0, 0, 4]).is_err());
    }
}
