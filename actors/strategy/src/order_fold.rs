//! An own order, folded from the account's events.

use apex_domain::event::{Event, Recorded};
use apex_domain::instrument::Instrument;
use apex_domain::order::{Order, OrderStatus, SubmitOrder};
use apex_domain::risk::ReasonCode;
use apex_domain::venue::Execution;
use apex_domain::{AccountId, Money, OrderId, Quantity};

/// An order and the state below a change that is under way.
#[derive(Debug)]
pub struct TrackedOrder {
    pub order: Order,
    base: OrderStatus,
    amending: bool,
    canceling: bool,
}

impl TrackedOrder {
    pub fn new(
        account_id: AccountId,
        order_id: OrderId,
        request: &SubmitOrder,
        quantity: Quantity,
        recorded: &Recorded,
    ) -> TrackedOrder {
        TrackedOrder {
            order: Order {
                order_id,
                account_id,
                venue_order_id: None,
                request: request.clone(),
                status: OrderStatus::PendingNew,
                quantity,
                limit_price: request.limit_price,
                stop_price: request.terms.stop_price,
                expires_at: None,
                list_id: None,
                filled_quantity: Quantity::ZERO,
                leaves_quantity: quantity,
                canceled_quantity: Quantity::ZERO,
                filled_notional: Money::ZERO,
                reason_code: None,
                reason: String::new(),
                ts_created: recorded.ts,
                ts_updated: recorded.ts,
                sequence: recorded.sequence,
            },
            base: OrderStatus::PendingNew,
            amending: false,
            canceling: false,
        }
    }

    /// Takes an order over as the account shows it. A change under way hides the state below it,
    /// which can only be one of a working order.
    pub fn adopt(order: Order) -> TrackedOrder {
        let working = if order.filled_quantity.is_zero() {
            OrderStatus::Accepted
        } else {
            OrderStatus::PartiallyFilled
        };
        let amending = order.status == OrderStatus::PendingAmend;
        let canceling = order.status == OrderStatus::PendingCancel;
        TrackedOrder {
            base: if amending || canceling {
                working
            } else {
                order.status
            },
            amending,
            canceling,
            order,
        }
    }

    /// Returns what may still fill, negative for a sell.
    pub fn signed_leaves(&self) -> i64 {
        self.order.request.side.sign() * self.order.leaves_quantity.0
    }

    /// Takes over what the account decided. It is never judged here: the account's table did.
    pub fn fold(&mut self, recorded: &Recorded, instrument: &Instrument) {
        match &recorded.event {
            Event::OrderDenied {
                reason_code,
                reason,
                ..
            } => self.end(OrderStatus::Denied, *reason_code, reason),
            Event::OrderRejected {
                reason_code,
                reason,
                ..
            } => self.end(OrderStatus::Rejected, *reason_code, reason),
            Event::OrderCanceled { reason_code, .. } => {
                self.end(OrderStatus::Canceled, *reason_code, "");
            }
            Event::OrderExpired { reason_code, .. } => {
                self.end(OrderStatus::Expired, *reason_code, "");
            }
            Event::OrderSubmitted { .. } => self.base = OrderStatus::Submitted,
            Event::OrderUnknown { .. } => self.base = OrderStatus::Unknown,
            Event::OrderTriggered { .. } => self.base = OrderStatus::Triggered,
            Event::OrderAccepted { venue_order_id, .. } => {
                self.order.venue_order_id = Some(venue_order_id.clone());
                self.base = if self.order.filled_quantity.is_zero() {
                    OrderStatus::Accepted
                } else {
                    OrderStatus::PartiallyFilled
                };
            }
            Event::OrderPendingAmend { .. } => self.amending = true,
            Event::OrderAmendRejected { .. } => self.amending = false,
            Event::OrderPendingCancel { .. } => self.canceling = true,
            Event::OrderCancelRejected { .. } => self.canceling = false,
            Event::OrderAmended {
                quantity,
                limit_price,
                stop_price,
                ..
            } => {
                self.amending = false;
                self.order.quantity = *quantity;
                self.order.limit_price = *limit_price;
                self.order.stop_price = *stop_price;
            }
            Event::OrderFilled { execution, .. } => {
                let quantity = execution.last_quantity;
                self.order.filled_quantity =
                    Quantity(self.order.filled_quantity.0.saturating_add(quantity.0));
                self.order.quantity = self.order.quantity.max(self.order.filled_quantity);
                if let Ok(notional) = instrument.notional(execution.last_price, quantity)
                    && let Ok(sum) = self.order.filled_notional.checked_add(notional)
                {
                    self.order.filled_notional = sum;
                }
                if !self.base.is_terminal() {
                    self.base = OrderStatus::PartiallyFilled;
                }
            }
            Event::OrderTrailed { stop_price, .. } => self.order.stop_price = Some(*stop_price),
            Event::ExecutionBusted {
                execution: Some(execution),
                booked: true,
                ..
            } => self.take_back(execution, instrument),
            _ => {}
        }
        self.settle();
        self.order.ts_updated = recorded.ts;
        self.order.sequence = recorded.sequence;
    }

    /// What was filled whole and taken back does not work again; what works opens again.
    fn take_back(&mut self, execution: &Execution, instrument: &Instrument) {
        let quantity = execution.last_quantity;
        self.order.filled_quantity = self.order.filled_quantity.saturating_sub(quantity);
        if let Ok(notional) = instrument.notional(execution.last_price, quantity)
            && let Ok(rest) = self.order.filled_notional.checked_sub(notional)
        {
            self.order.filled_notional = rest;
        }
        if self.base == OrderStatus::Filled {
            self.end(OrderStatus::Canceled, ReasonCode::ExecutionBusted, "");
        } else if self.base == OrderStatus::PartiallyFilled && self.order.filled_quantity.is_zero()
        {
            self.base = OrderStatus::Accepted;
        }
    }

    fn end(&mut self, status: OrderStatus, reason_code: ReasonCode, reason: &str) {
        self.base = status;
        self.order.reason_code = Some(reason_code);
        reason.clone_into(&mut self.order.reason);
    }

    fn settle(&mut self) {
        let order = &mut self.order;
        let left = order.quantity.saturating_sub(order.filled_quantity);
        if left.is_zero() {
            self.base = OrderStatus::Filled;
        }
        let ended = self.base.is_terminal();
        self.amending &= !ended;
        self.canceling &= !ended;
        (order.leaves_quantity, order.canceled_quantity) = if ended {
            (Quantity::ZERO, left)
        } else {
            (left, Quantity::ZERO)
        };
        order.status = if self.canceling {
            OrderStatus::PendingCancel
        } else if self.amending {
            OrderStatus::PendingAmend
        } else {
            self.base
        };
    }
}
