//! An order away from its account: what a strategy keeps of its own, in whatever process.
//!
//! It is folded from the account's events by the very code with which the account folds, so that
//! the two cannot differ.

use super::entry::{NewEntry, OrderEntry, PendingAmend, PendingCancel};
use super::{Order, OrderStatus};
use crate::event::{Event, Recorded};
use crate::id::{AccountId, OrderListId};
use crate::instrument::Instrument;
use crate::number::Quantity;
use crate::risk::{MarketRef, ReasonCode};
use thiserror::Error;

/// An event that the order cannot have had: it is damaged, or one before it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("event does not fit the order")]
pub struct UnfitEvent;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedOrder {
    entry: OrderEntry,
    /// An amend is under way whose values were told before this began.
    amend_unseen: bool,
}

impl TrackedOrder {
    /// Begins with an order's `OrderInitialized`; `list_id` is the list that it belongs to.
    /// Returns `None` for any other event.
    pub fn begin(
        account_id: AccountId,
        list_id: Option<OrderListId>,
        recorded: &Recorded,
    ) -> Option<TrackedOrder> {
        let Event::OrderInitialized {
            order_id,
            request,
            market,
            quantity,
            expires_at,
        } = &recorded.event
        else {
            return None;
        };
        let entry = OrderEntry::new(NewEntry {
            account_id,
            order_id: order_id.clone(),
            request: (**request).clone(),
            market: *market,
            quantity: *quantity,
            expires_at: *expires_at,
            list_id,
            sequence: recorded.sequence,
            ts: recorded.ts,
        });
        Some(TrackedOrder {
            entry,
            amend_unseen: false,
        })
    }

    /// Begins with an order as the account shows it. One thing is not shown and is taken as most
    /// likely: a change under way hides the state below it, which is one of a working order.
    pub fn adopt(order: Order) -> TrackedOrder {
        let mut entry = OrderEntry::new(NewEntry {
            account_id: order.account_id.clone(),
            order_id: order.order_id.clone(),
            request: order.request.clone(),
            market: MarketRef::default(),
            quantity: order.quantity,
            expires_at: order.expires_at,
            list_id: order.list_id.clone(),
            sequence: order.sequence,
            ts: order.ts_created,
        });
        let below = if !order.filled_quantity.is_zero() {
            OrderStatus::PartiallyFilled
        } else if order.venue_order_id.is_some() {
            OrderStatus::Accepted
        } else {
            OrderStatus::Submitted
        };
        entry.base = match order.status {
            OrderStatus::PendingAmend | OrderStatus::PendingCancel => below,
            status => status,
        };
        entry.sent = order.status != OrderStatus::PendingNew;
        entry.hold = order.held_for;
        let amends = order.status == OrderStatus::PendingAmend;
        let cancels = order.status == OrderStatus::PendingCancel;
        let since = order.ts_updated;
        entry.amend = amends.then_some(PendingAmend {
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: order.stop_price,
            since,
            is_requested: true,
        });
        entry.cancel = cancels.then_some(PendingCancel {
            reason_code: ReasonCode::CanceledByUser,
            since,
        });
        entry.order = order;
        TrackedOrder {
            entry,
            amend_unseen: amends,
        }
    }

    pub fn order(&self) -> &Order {
        &self.entry.order
    }

    /// Returns the quantity that may still fill, as the account counts it: nothing of an order
    /// that waits for its parent.
    pub fn open_quantity(&self) -> Quantity {
        let leaves = self.entry.order.leaves_quantity;
        leaves.min(self.entry.reserved_open())
    }

    /// Returns true while only the account knows of the order, and it is not said yet whether it
    /// is held or leaves.
    pub fn is_undecided(&self) -> bool {
        self.entry.is_home() && self.entry.hold.is_none()
    }

    /// Folds an event of this order. `instrument` is the order's.
    ///
    /// Errors: [`UnfitEvent`]; the order stays as it was, unless a number of the event was out of
    /// range, which no account's event is.
    pub fn fold(&mut self, recorded: &Recorded, instrument: &Instrument) -> Result<(), UnfitEvent> {
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        match &recorded.event {
            Event::ExecutionBusted {
                execution: Some(execution),
                booked,
                ..
            } => self
                .entry
                .bust(execution, *booked, instrument, sequence, ts)
                .map_err(|_| UnfitEvent),
            // The account does not know either what it is about.
            Event::ExecutionBusted { .. } => Ok(()),
            event => {
                self.meet_unseen_amend(event);
                self.entry
                    .fold(event, instrument, sequence, ts)
                    .map_err(|_| UnfitEvent)
            }
        }
    }

    /// What an amend asked for is what it gets, when its asking was not seen.
    fn meet_unseen_amend(&mut self, event: &Event) {
        match event {
            // One that asks for what holds already is of a sender that does not tell what it asks.
            Event::OrderPendingAmend {
                quantity,
                limit_price,
                stop_price,
                ..
            } => {
                let order = &self.entry.order;
                self.amend_unseen = *quantity == order.quantity
                    && *limit_price == order.limit_price
                    && *stop_price == order.stop_price;
            }
            Event::OrderAmended {
                quantity,
                limit_price,
                stop_price,
                ..
            } if self.amend_unseen => {
                self.amend_unseen = false;
                if let Some(amend) = &mut self.entry.amend {
                    amend.quantity = *quantity;
                    amend.limit_price = *limit_price;
                    amend.stop_price = *stop_price;
                }
            }
            _ => {}
        }
    }
}
