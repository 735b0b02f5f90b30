//! What a venue says that an account has.

use crate::id::{ClientOrderId, Currency, InstrumentId, VenueOrderId};
use crate::market::Side;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::PositionSide;
use crate::time::UnixNanos;
use crate::venue::Execution;
use serde::{Deserialize, Serialize};

/// One account at its venue. A part that is absent was not reported and is not compared. Parts
/// may be of different moments, since many venues answer for each by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueSnapshot {
    /// When it was asked for, by our clock: what was decided later cannot be in it.
    pub requested_at: UnixNanos,
    /// Every order that works at the venue.
    pub open_orders: Option<Part<VenueOpenOrder>>,
    pub executions: Option<ExecutionPart>,
    /// Every position that is not flat. A contract that is not listed is flat; a spot asset that
    /// is not listed is not reported, since most venues tell it as a balance.
    pub positions: Option<Part<VenuePosition>>,
    /// The venue holds the long and the short side of an instrument apart and tells each: a hedging
    /// account is compared side by side. Otherwise only their difference can be.
    #[serde(default)]
    pub positions_by_side: bool,
    /// Every balance that is not zero.
    pub balances: Option<Part<VenueBalance>>,
}

/// A whole list at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<T> {
    /// The venue's time of it.
    pub ts: UnixNanos,
    pub rows: Vec<T>,
}

/// Every execution of the account from `since` to `ts`, both inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionPart {
    pub since: UnixNanos,
    /// The venue's time of it.
    pub ts: UnixNanos,
    pub rows: Vec<Execution>,
}

/// An order that works at the venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueOpenOrder {
    /// `None` for an order that was placed by other means, such as the venue's own page.
    pub client_order_id: Option<ClientOrderId>,
    pub venue_order_id: VenueOrderId,
    pub instrument_id: InstrumentId,
    pub side: Side,
    /// The total quantity, filled part included.
    pub quantity: Quantity,
    /// `None` where it has none or the venue does not tell.
    pub limit_price: Option<Price>,
    /// `None` where it has none or the venue does not tell.
    pub stop_price: Option<Price>,
    /// FIX 14.
    pub filled_quantity: Quantity,
}

/// A position at the venue. Where long and short are held apart there are two of an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenuePosition {
    pub instrument_id: InstrumentId,
    /// The side that it is of, where the venue holds them apart.
    #[serde(default)]
    pub position_side: PositionSide,
    /// Buy is long.
    pub side: Side,
    pub quantity: Quantity,
    /// `None` where the venue does not tell.
    pub average_price: Option<Price>,
}

/// A balance at the venue: what is free and what is held for orders together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueBalance {
    pub currency: Currency,
    pub amount: Money,
}

impl VenueSnapshot {
    /// Returns the newest of the venue's times in it; `None` when no part is there.
    pub fn ts(&self) -> Option<UnixNanos> {
        [
            self.open_orders.as_ref().map(|part| part.ts),
            self.executions.as_ref().map(|part| part.ts),
            self.positions.as_ref().map(|part| part.ts),
            self.balances.as_ref().map(|part| part.ts),
        ]
        .into_iter()
        .flatten()
        .max()
    }
}
