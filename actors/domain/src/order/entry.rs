//! One order inside the account: the public [`Order`] and what its machine remembers besides.

use super::table::{self, EventKind, Next};
use super::trigger::Watch;
use super::{Order, OrderStatus, SubmitOrder};
use crate::event::Hold;
use crate::id::{AccountId, OrderId, OrderListId};
use crate::market::Side;
use crate::money::Money;
use crate::number::{NumberError, Price, Quantity};
use crate::risk::fill_range::FillRange;
use crate::risk::{MarketRef, MarketView, ReasonCode};
use crate::time::UnixNanos;
use crate::venue::VenueEnd;
use serde::{Deserialize, Serialize};

mod fold;
mod slice;
mod wire;

pub(crate) use slice::{Slice, slice_id, slice_of};

/// An amend on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingAmend {
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
    pub since: UnixNanos,
    /// Somebody asked for it; otherwise it is the account's own, to keep a list right.
    pub is_requested: bool,
}

/// A cancel on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingCancel {
    pub reason_code: ReasonCode,
    pub since: UnixNanos,
}

/// An end that waits for fills which the venue counted and we have not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldEnd {
    pub end: VenueEnd,
    pub reason_code: ReasonCode,
    pub cumulative_quantity: Quantity,
    pub ts_event: UnixNanos,
    pub since: UnixNanos,
}

/// Why an event cannot be folded into an order. Only a damaged journal does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryError {
    Transition(EventKind),
    Number(NumberError),
}

impl From<NumberError> for EntryError {
    fn from(error: NumberError) -> EntryError {
        EntryError::Number(error)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderEntry {
    pub order: Order,
    /// The state below a pending amend or cancel; equal to the order's status without one.
    pub base: OrderStatus,
    pub amend: Option<PendingAmend>,
    pub cancel: Option<PendingCancel>,
    /// The last cancel, where the venue refused it, and since when; until the next one.
    pub refused_cancel: Option<PendingCancel>,
    pub held: Option<HeldEnd>,
    /// Journal sequence of its `OrderInitialized`.
    pub created: u64,
    /// When it was last handed to the venue.
    pub submitted_at: UnixNanos,
    /// When it was first handed to the venue: whoever sent it meant the market of then.
    pub meant_at: UnixNanos,
    /// The newest venue time that a report about it carried.
    pub venue_ts: UnixNanos,
    /// What a market order may cost at worst, by the market that it was decided on.
    pub reference: Option<Price>,
    /// It has been on its way to the venue. Before, only this account knows of it.
    pub sent: bool,
    /// Why it waits here; kept once it has left.
    pub hold: Option<Hold>,
    /// When an order that is held for the opening or the close leaves; kept once it has left.
    pub release_at: Option<UnixNanos>,
    /// What a conditional order waits for.
    pub watch: Option<Watch>,
    /// What was filled and taken back.
    pub busted: Quantity,
    /// The total that was ordered, as amended: below the order's quantity after an overfill.
    pub ordered: Quantity,
    /// The total that its owner or the venue amended it to: its list asks for no more than that.
    pub most: Option<Quantity>,
    /// The total that its owner amended it to, for as long as the owner asks for no other: whatever
    /// its list has for it, it is no larger.
    pub owner_most: Option<Quantity>,
    /// The venue's time of the newest values that it told; older ones that come later are past.
    pub amended_at: UnixNanos,
    /// The quantity of an amend that the venue refused, until the order changes otherwise.
    pub refused_quantity: Option<Quantity>,
    /// The venue's time of its last refusal of an amend: one that is not newer is the same again,
    /// and says nothing of a later amend.
    pub amend_refused_at: UnixNanos,
    /// An iceberg that goes to its venue in slices: the last of them.
    pub slice: Option<Slice>,
}

/// What a new entry is made of.
pub(crate) struct NewEntry {
    pub account_id: AccountId,
    pub order_id: OrderId,
    pub request: SubmitOrder,
    pub market: MarketRef,
    pub quantity: Quantity,
    pub expires_at: Option<UnixNanos>,
    pub list_id: Option<OrderListId>,
    pub sequence: u64,
    pub ts: UnixNanos,
}

impl OrderEntry {
    pub fn new(new: NewEntry) -> OrderEntry {
        let NewEntry {
            request,
            market,
            quantity,
            sequence,
            ts,
            ..
        } = new;
        let reference = match request.side {
            Side::Buy => market.ask.or(market.bid),
            Side::Sell => market.bid.or(market.ask),
        };
        let view = MarketView {
            bid: market.bid,
            ask: market.ask,
            ts: market.ts,
            ..MarketView::default()
        };
        let watch = Watch::new(request.side, request.order_type, &request.terms, &view);
        let order = Order {
            order_id: new.order_id,
            account_id: new.account_id,
            venue_order_id: None,
            status: OrderStatus::PendingNew,
            quantity,
            limit_price: request.limit_price,
            stop_price: request.terms.stop_price,
            expires_at: new.expires_at,
            list_id: new.list_id,
            held_for: None,
            filled_quantity: Quantity::ZERO,
            leaves_quantity: quantity,
            canceled_quantity: Quantity::ZERO,
            filled_notional: Money::ZERO,
            reason_code: None,
            reason: String::new(),
            ts_created: ts,
            ts_updated: ts,
            sequence,
            request,
        };
        OrderEntry {
            order,
            base: OrderStatus::PendingNew,
            amend: None,
            cancel: None,
            refused_cancel: None,
            held: None,
            created: sequence,
            submitted_at: ts,
            meant_at: ts,
            venue_ts: UnixNanos::MIN,
            reference,
            sent: false,
            hold: None,
            release_at: None,
            watch,
            busted: Quantity::ZERO,
            ordered: quantity,
            most: None,
            owner_most: None,
            amended_at: UnixNanos::MIN,
            refused_quantity: None,
            amend_refused_at: UnixNanos::MIN,
            slice: None,
        }
    }

    /// Returns true while only this account knows of the order: it waits for its price, its
    /// parent or its time.
    pub fn is_home(&self) -> bool {
        self.is_working() && !self.sent
    }

    /// Returns what is reserved for the order. A child that waits for its parent reserves
    /// nothing: it passes all checks when it leaves, and often only one of several can.
    pub fn reserved_open(&self) -> Quantity {
        if self.is_home() && self.hold == Some(Hold::Parent) {
            Quantity::ZERO
        } else {
            self.worst_open()
        }
    }

    pub fn is_working(&self) -> bool {
        !self.base.is_terminal()
    }

    /// Returns true while an answer is awaited: these orders are asked for when it stays away.
    pub fn is_unsettled(&self) -> bool {
        self.is_working()
            && (matches!(self.base, OrderStatus::Submitted | OrderStatus::Unknown)
                || self.amend.is_some()
                || self.cancel.is_some()
                || self.held.is_some()
                || self.is_slice_unanswered())
    }

    /// Returns true for an order that is, or was, held here for its price or its time.
    pub fn has_waited_here(&self) -> bool {
        matches!(self.hold, Some(Hold::Emulated | Hold::Session))
    }

    /// Returns true while the order waits here for its price.
    pub fn is_watching(&self) -> bool {
        self.is_home() && self.hold == Some(Hold::Emulated) && self.watch.is_some()
    }

    /// Returns true for a conditional order whose condition is not met yet.
    pub fn is_untriggered(&self) -> bool {
        let waits = self.order.request.order_type.is_conditional() && self.watch.is_some();
        let fresh = self.order.filled_quantity.is_zero() && self.base != OrderStatus::Triggered;
        waits && fresh && (self.is_home() || self.hold != Some(Hold::Emulated))
    }

    /// Returns true once the venue has shown in any way that it has the order; of slices the one
    /// that was sent last.
    pub fn is_acknowledged(&self) -> bool {
        if self.slice.is_some_and(|slice| slice.number > 1) {
            return !self.is_slice_unanswered();
        }
        self.order.venue_order_id.is_some()
            || !self.order.filled_quantity.is_zero()
            || !matches!(
                self.base,
                OrderStatus::PendingNew | OrderStatus::Submitted | OrderStatus::Unknown
            )
    }

    /// Returns the total quantity that may become filled, an amend under way included.
    pub fn worst_total(&self) -> Quantity {
        let pending = self.amend.as_ref().map_or(0, |amend| amend.quantity.0);
        Quantity(self.order.quantity.0.max(pending))
    }

    /// Returns the quantity that may still be filled at worst; zero once it has ended.
    pub fn worst_open(&self) -> Quantity {
        if self.is_working() {
            self.worst_total()
                .saturating_sub(self.order.filled_quantity)
        } else {
            Quantity::ZERO
        }
    }

    /// Returns between which prices the open quantity may trade by the market that the order was
    /// decided on, an amend under way included; `None` of an order without any price.
    pub fn fill_range(&self) -> Option<FillRange> {
        let pending = self.amend.as_ref().and_then(|amend| amend.limit_price);
        let limits = [self.order.limit_price, pending];
        let market = [self.reference, self.order.stop_price];
        FillRange::new(self.order.request.side, limits, market)
    }

    /// Returns what `kind` would do to this order.
    pub fn verdict(&self, kind: EventKind) -> Next {
        table::resolve(self.order.status, self.base, kind)
    }

    /// Returns how an execution of `quantity` counts for the table.
    pub fn fill_kind(&self, quantity: Quantity) -> EventKind {
        let filled = i128::from(self.order.filled_quantity.0) + i128::from(quantity.0);
        if filled >= i128::from(self.worst_total().0) {
            EventKind::FilledWhole
        } else {
            EventKind::FilledPart
        }
    }
}
