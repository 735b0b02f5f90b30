//! One order inside the account: the public [`Order`] and what its machine remembers besides.

use super::table::{self, EventKind, Next};
use super::{Order, OrderStatus, SubmitOrder};
use crate::event::Event;
use crate::id::{AccountId, OrderId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::Money;
use crate::number::{NumberError, Price, Quantity};
use crate::risk::{MarketRef, ReasonCode};
use crate::time::UnixNanos;
use crate::venue::{Execution, NewOrder, VenueCommand, VenueEnd};
use serde::{Deserialize, Serialize};

/// An amend on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingAmend {
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub since: UnixNanos,
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
    pub held: Option<HeldEnd>,
    /// Journal sequence of its `OrderInitialized`.
    pub created: u64,
    /// When it was last handed to the venue.
    pub submitted_at: UnixNanos,
    /// The newest venue time that a report about it carried.
    pub venue_ts: UnixNanos,
    /// What a market order may cost at worst, by the market that it was decided on.
    pub reference: Option<Price>,
}

impl OrderEntry {
    pub fn new(
        account_id: AccountId,
        order_id: OrderId,
        request: SubmitOrder,
        market: &MarketRef,
        sequence: u64,
        ts: UnixNanos,
    ) -> OrderEntry {
        let reference = match request.side {
            Side::Buy => market.ask.or(market.bid),
            Side::Sell => market.bid.or(market.ask),
        };
        let order = Order {
            order_id,
            account_id,
            venue_order_id: None,
            status: OrderStatus::PendingNew,
            quantity: request.quantity,
            limit_price: request.limit_price,
            filled_quantity: Quantity::ZERO,
            leaves_quantity: request.quantity,
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
            held: None,
            created: sequence,
            submitted_at: ts,
            venue_ts: UnixNanos::MIN,
            reference,
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
                || self.held.is_some())
    }

    /// Returns true once the venue has shown in any way that it has the order.
    pub fn is_acknowledged(&self) -> bool {
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

    /// Returns the price at which the open quantity is reserved: the limit price, the higher one
    /// while an amend is under way, or the reference of a market order.
    pub fn worst_price(&self) -> Price {
        let pending = self.amend.as_ref().and_then(|amend| amend.limit_price);
        self.order
            .limit_price
            .max(pending)
            .or(self.reference)
            .unwrap_or_default()
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

    /// Returns the command that sends the order to its venue.
    pub fn new_command(&self) -> VenueCommand {
        let request = &self.order.request;
        VenueCommand::New(NewOrder {
            client_order_id: request.client_order_id.clone(),
            instrument_id: request.instrument_id.clone(),
            side: request.side,
            order_type: request.order_type,
            quantity: self.order.quantity,
            limit_price: self.order.limit_price,
            time_in_force: request.time_in_force,
            post_only: request.post_only,
            reduce_only: request.reduce_only,
        })
    }

    pub fn cancel_command(&self) -> VenueCommand {
        VenueCommand::Cancel {
            client_order_id: self.order.request.client_order_id.clone(),
            instrument_id: self.order.request.instrument_id.clone(),
        }
    }

    pub fn query_command(&self) -> VenueCommand {
        VenueCommand::Query {
            client_order_id: self.order.request.client_order_id.clone(),
            instrument_id: self.order.request.instrument_id.clone(),
        }
    }

    /// Returns the amend that is under way as a command.
    pub fn amend_command(&self) -> Option<VenueCommand> {
        self.amend.as_ref().map(|amend| VenueCommand::Amend {
            client_order_id: self.order.request.client_order_id.clone(),
            instrument_id: self.order.request.instrument_id.clone(),
            quantity: amend.quantity,
            limit_price: amend.limit_price,
        })
    }

    /// Folds one event of this order.
    ///
    /// Errors: the table has no such transition, or a number does not fit. The order may then be
    /// half changed: the caller gives the whole account up.
    pub fn fold(
        &mut self,
        event: &Event,
        instrument: &Instrument,
        sequence: u64,
        ts: UnixNanos,
    ) -> Result<(), EntryError> {
        let kind = match event {
            Event::OrderFilled { execution, .. } => self.fill_kind(execution.last_quantity),
            other => kind_of(other).unwrap_or(EventKind::EndHeld),
        };
        let next = self.verdict(kind);
        if matches!(next, Next::Illegal | Next::Redundant | Next::Below) {
            return Err(EntryError::Transition(kind));
        }
        self.take(event, instrument, ts)?;
        if let Next::To(status) = next {
            // A change under way is kept in its own field; the state below it stays.
            if !matches!(
                status,
                OrderStatus::PendingAmend | OrderStatus::PendingCancel
            ) {
                self.base = status;
            }
        }
        self.settle();
        self.order.sequence = sequence;
        self.order.ts_updated = ts;
        Ok(())
    }

    /// Takes over what the event says besides the state.
    fn take(
        &mut self,
        event: &Event,
        instrument: &Instrument,
        ts: UnixNanos,
    ) -> Result<(), EntryError> {
        match event {
            Event::OrderDenied {
                reason_code,
                reason,
                ..
            } => self.explain(*reason_code, reason),
            Event::OrderSubmitted { .. } => self.submitted_at = ts,
            Event::OrderAccepted {
                venue_order_id,
                ts_event,
                ..
            } => {
                self.order.venue_order_id = Some(venue_order_id.clone());
                self.seen(*ts_event);
            }
            Event::OrderRejected {
                reason_code,
                reason,
                ts_event,
                ..
            } => {
                self.explain(*reason_code, reason);
                self.seen(*ts_event);
            }
            Event::OrderCanceled {
                reason_code,
                ts_event,
                ..
            }
            | Event::OrderExpired {
                reason_code,
                ts_event,
                ..
            } => {
                self.explain(*reason_code, "");
                self.seen(*ts_event);
            }
            Event::OrderTriggered { ts_event, .. } => self.seen(*ts_event),
            Event::OrderFilled { execution, .. } => self.take_fill(execution, instrument)?,
            // `OrderUnknown` and `OrderInitialized` carry nothing besides the state.
            other => self.take_change(other, ts),
        }
        Ok(())
    }

    fn take_fill(
        &mut self,
        execution: &Execution,
        instrument: &Instrument,
    ) -> Result<(), EntryError> {
        let quantity = execution.last_quantity;
        let notional = instrument.notional(execution.last_price, quantity)?;
        self.order.filled_notional = self.order.filled_notional.checked_add(notional)?;
        self.order.filled_quantity = self.order.filled_quantity.checked_add(quantity)?;
        // An overfill: what was filled is what the order turned out to be.
        self.order.quantity = self.order.quantity.max(self.order.filled_quantity);
        self.seen(execution.ts_event);
        Ok(())
    }

    /// Takes what opens or closes a change that is under way: an amend, a cancel, a held end.
    fn take_change(&mut self, event: &Event, ts: UnixNanos) {
        match event {
            Event::OrderPendingAmend {
                quantity,
                limit_price,
                ..
            } => {
                let (quantity, limit_price) = (*quantity, *limit_price);
                self.amend = Some(PendingAmend {
                    quantity,
                    limit_price,
                    since: ts,
                });
            }
            Event::OrderAmended {
                quantity,
                limit_price,
                ts_event,
                ..
            } => {
                self.order.quantity = *quantity;
                self.order.limit_price = *limit_price;
                // Other values are the answer to an earlier amend, or the venue's own doing.
                let answers = |amend: &PendingAmend| {
                    amend.quantity == *quantity && amend.limit_price == *limit_price
                };
                if self.amend.as_ref().is_some_and(answers) {
                    self.amend = None;
                }
                self.seen(*ts_event);
            }
            Event::OrderAmendRejected { ts_event, .. } => {
                self.amend = None;
                self.seen(*ts_event);
            }
            Event::OrderPendingCancel { reason_code, .. } => {
                self.cancel = Some(PendingCancel {
                    reason_code: *reason_code,
                    since: ts,
                });
            }
            Event::OrderCancelRejected { ts_event, .. } => {
                self.cancel = None;
                self.seen(*ts_event);
            }
            Event::OrderEndHeld {
                end,
                reason_code,
                cumulative_quantity,
                ts_event,
                ..
            } => {
                self.held = Some(HeldEnd {
                    end: *end,
                    reason_code: *reason_code,
                    cumulative_quantity: *cumulative_quantity,
                    ts_event: *ts_event,
                    since: ts,
                });
            }
            _ => {}
        }
    }

    fn explain(&mut self, reason_code: ReasonCode, reason: &str) {
        self.order.reason_code = Some(reason_code);
        self.order.reason = reason.to_owned();
    }

    fn seen(&mut self, ts_event: UnixNanos) {
        self.venue_ts = self.venue_ts.max(ts_event);
    }

    /// Brings status and open quantities in line with the state below and the changes under way.
    fn settle(&mut self) {
        let order = &mut self.order;
        let left = order.quantity.saturating_sub(order.filled_quantity);
        let raised = self
            .amend
            .as_ref()
            .is_some_and(|amend| amend.quantity > order.quantity);
        // An amend that was settled may have left nothing open.
        if !self.base.is_terminal() && left.is_zero() && !raised {
            self.base = OrderStatus::Filled;
        }
        if self.base.is_terminal() {
            self.amend = None;
            self.cancel = None;
            self.held = None;
            order.leaves_quantity = Quantity::ZERO;
            order.canceled_quantity = left;
            order.status = self.base;
        } else {
            order.leaves_quantity = left;
            order.canceled_quantity = Quantity::ZERO;
            order.status = if self.cancel.is_some() {
                OrderStatus::PendingCancel
            } else if self.amend.is_some() {
                OrderStatus::PendingAmend
            } else {
                self.base
            };
        }
    }
}

/// Returns the kind of an order's event; `None` for what is no transition of an order.
fn kind_of(event: &Event) -> Option<EventKind> {
    Some(match event {
        Event::OrderDenied { .. } => EventKind::Denied,
        Event::OrderSubmitted { .. } => EventKind::Submitted,
        Event::OrderAccepted { .. } => EventKind::Accepted,
        Event::OrderRejected { .. } => EventKind::Rejected,
        Event::OrderUnknown { .. } => EventKind::Unknown,
        Event::OrderPendingAmend { .. } => EventKind::PendingAmend,
        Event::OrderAmended { .. } => EventKind::Amended,
        Event::OrderAmendRejected { .. } => EventKind::AmendRejected,
        Event::OrderPendingCancel { .. } => EventKind::PendingCancel,
        Event::OrderCancelRejected { .. } => EventKind::CancelRejected,
        Event::OrderCanceled { .. } => EventKind::Canceled,
        Event::OrderExpired { .. } => EventKind::Expired,
        Event::OrderTriggered { .. } => EventKind::Triggered,
        Event::OrderEndHeld { .. } => EventKind::EndHeld,
        _ => return None,
    })
}
