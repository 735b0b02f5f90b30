//! One order at a simulated venue.

use crate::id::{ExecId, VenueOrderId};
use crate::instrument::{Fee, Instrument};
use crate::number::{Price, Quantity};
use crate::order::trigger::{Seen, Watch};
use crate::order::{OrderType, TimeInForce};
use crate::risk::MarketView;
use crate::time::UnixNanos;
use crate::venue::{Execution, NewOrder, VenueStatus};
use serde::{Deserialize, Serialize};

/// An order as it is put back into a simulated venue after a restart. Ended orders are put back
/// too, so that their client order ids stay used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredOrder {
    /// With the quantity and prices that hold now, after amends, and the order type that a
    /// condition which was met has made of it.
    pub order: NewOrder,
    pub venue_order_id: VenueOrderId,
    pub status: VenueStatus,
    /// FIX 14; at least the sum of `executions`.
    pub filled_quantity: Quantity,
    /// What a query is answered with.
    pub executions: Vec<Execution>,
    /// What a conditional order waits for, as it was when the order was taken; made anew from
    /// the order when it is not known. Where a trailing stop stands is told by the order's stop
    /// price.
    #[serde(default)]
    pub watch: Option<Watch>,
}

/// A match of one of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::matching) struct Match {
    pub(in crate::matching) price: Price,
    pub(in crate::matching) quantity: Quantity,
    pub(in crate::matching) maker: bool,
}

/// What an execution adds to its order; the rest of it follows from the order.
#[derive(Clone, Debug)]
pub(super) struct Fill {
    pub(super) exec_id: ExecId,
    pub(super) matched: Match,
    pub(super) fee: Fee,
    pub(super) ts_event: UnixNanos,
}

/// What an amend asks for. `None` leaves a price as it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::matching) struct Change {
    pub(in crate::matching) quantity: Quantity,
    pub(in crate::matching) limit_price: Option<Price>,
    pub(in crate::matching) stop_price: Option<Price>,
}

/// One order at the venue.
#[derive(Clone, Debug)]
pub(in crate::matching) struct VenueOrder {
    /// The venue's number of it, in the order of arrival; the owner tag in an order book.
    pub(in crate::matching) number: u64,
    pub(super) venue_order_id: VenueOrderId,
    /// As it stands now: amended, and of the type that it has become.
    pub(in crate::matching) order: NewOrder,
    pub(in crate::matching) filled: Quantity,
    pub(in crate::matching) status: VenueStatus,
    /// What it waits for; `None` once it works.
    pub(in crate::matching) watch: Option<Watch>,
    /// When it was taken or last amended: nothing older fills it.
    pub(in crate::matching) since: UnixNanos,
    /// The last moment at which it may trade, once it is known to end by the clock.
    pub(in crate::matching) ends_at: Option<UnixNanos>,
    pub(super) fills: Vec<Fill>,
}

impl VenueOrder {
    pub(super) fn new(
        order: &NewOrder,
        number: u64,
        venue_order_id: VenueOrderId,
        status: VenueStatus,
        since: UnixNanos,
    ) -> VenueOrder {
        VenueOrder {
            number,
            venue_order_id,
            order: order.clone(),
            filled: Quantity::ZERO,
            status,
            watch: None,
            since,
            ends_at: None,
            fills: Vec::new(),
        }
    }

    /// Returns the last moment at which it may trade: that of its own time, or the last one of its
    /// contract, whichever is earlier.
    pub(in crate::matching) fn last_moment(&self, instrument: &Instrument) -> Option<UnixNanos> {
        let own = match self.order.time_in_force {
            TimeInForce::Day | TimeInForce::Gtd => self.order.terms.expire_at,
            _ => None,
        };
        let contract = instrument.last_moment();
        own.into_iter().chain(contract).min()
    }

    pub(in crate::matching) fn leaves(&self) -> Quantity {
        self.order.quantity.saturating_sub(self.filled)
    }

    /// Returns true for an order that what was left of it rests for.
    pub(in crate::matching) fn may_rest(&self) -> bool {
        matches!(
            self.order.time_in_force,
            TimeInForce::Gtc | TimeInForce::Day | TimeInForce::Gtd
        )
    }

    /// Begins to wait for a price, where its type does.
    pub(in crate::matching) fn begin_to_watch(&mut self, market: &MarketView) {
        let order = &mut self.order;
        if order.order_type == OrderType::TrailingStop {
            // A trailing stop has none before it trails.
            order.terms.stop_price = None;
        }
        self.watch = Watch::new(order.side, order.order_type, &order.terms, market);
    }

    /// Shows a conditional order the market, and keeps a step of a trailing stop.
    pub(in crate::matching) fn see(&mut self, market: &MarketView, of: &Instrument) -> Seen {
        match &self.watch {
            Some(watch) => self.keep(watch.see(market, of)),
            None => Seen::Nothing,
        }
    }

    /// As [`VenueOrder::see`], for a single price of the kind that it watches.
    pub(in crate::matching) fn see_price(&mut self, price: Price, of: &Instrument) -> Seen {
        match &self.watch {
            Some(watch) => self.keep(watch.see_price(price, of)),
            None => Seen::Nothing,
        }
    }

    fn keep(&mut self, seen: Seen) -> Seen {
        if let (Seen::Trailed { stop_price, best }, Some(watch)) = (seen, &mut self.watch) {
            watch.set_trailed(stop_price, best);
            if self.order.terms.stop_price == Some(stop_price) {
                // The better price was within a rounding of the last one.
                return Seen::Nothing;
            }
            self.order.terms.stop_price = Some(stop_price);
        }
        seen
    }
}

impl VenueOrder {
    /// Takes up what a conditional order waited for before a restart.
    pub(super) fn restore_watch(&mut self, restored: &RestoredOrder) {
        if restored.status != VenueStatus::Working {
            return;
        }
        let stop_price = self.order.terms.stop_price;
        let watch = restored.watch.clone();
        self.watch = watch.or_else(|| {
            let order = &self.order;
            let market = MarketView::default();
            Watch::new(order.side, order.order_type, &order.terms, &market)
        });
        if let (Some(watch), Some(stop_price)) = (&mut self.watch, stop_price) {
            watch.resume(stop_price);
        }
    }
}
