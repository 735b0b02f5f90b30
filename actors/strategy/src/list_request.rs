//! Orders that belong together, as a strategy states them.

use crate::order_request::OrderRequest;
use apex_domain::order::{Contingency, ReleaseRule};
use apex_domain::{ClientOrderId, OrderListId, Price, Quantity};

/// Several orders as a strategy states them. The context adds the ids.
///
/// A list is taken or denied as one, except for a batch. See
/// [`Contingency`](apex_domain::order::Contingency) for what its orders do to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    pub contingency: Contingency,
    pub release: ReleaseRule,
    /// Whether a cancel or expiry of one order ends the rest.
    pub cascade: bool,
    /// 2 to 16 orders, 1 to 100 of a batch; the parent first.
    pub orders: Vec<OrderRequest>,
}

impl ListRequest {
    /// States orders that only travel together: each has its own outcome.
    pub fn batch(orders: Vec<OrderRequest>) -> ListRequest {
        ListRequest::new(Contingency::None, orders)
    }

    /// States orders of which a fill of one cancels the others.
    pub fn oco(orders: Vec<OrderRequest>) -> ListRequest {
        ListRequest::new(Contingency::Oco, orders)
    }

    /// States orders of which a fill of one takes its quantity from the others.
    pub fn ouo(orders: Vec<OrderRequest>) -> ListRequest {
        ListRequest::new(Contingency::Ouo, orders)
    }

    /// States orders that are sent when their parent has filled.
    pub fn oto(parent: OrderRequest, children: Vec<OrderRequest>) -> ListRequest {
        let orders = std::iter::once(parent).chain(children).collect();
        ListRequest::new(Contingency::Oto, orders)
    }

    /// States an entry with the two exits that are sent when it has filled: a fill of one takes
    /// its quantity from the other.
    pub fn bracket(
        entry: OrderRequest,
        take_profit: OrderRequest,
        stop_loss: OrderRequest,
    ) -> ListRequest {
        ListRequest::new(Contingency::Bracket, vec![entry, take_profit, stop_loss])
    }

    fn new(contingency: Contingency, orders: Vec<OrderRequest>) -> ListRequest {
        ListRequest {
            contingency,
            release: ReleaseRule::Full,
            cascade: true,
            orders,
        }
    }

    /// Says which fill of the parent sends the children; its complete one when not said.
    #[must_use]
    pub fn release(mut self, release: ReleaseRule) -> ListRequest {
        self.release = release;
        self
    }

    /// Lets the other orders go on when one is canceled or expires.
    #[must_use]
    pub fn without_cascade(mut self) -> ListRequest {
        self.cascade = false;
        self
    }
}

/// The ids that a list will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListIds {
    pub list_id: OrderListId,
    /// In the order in which the orders were stated.
    pub orders: Vec<ClientOrderId>,
}

/// Other values for a working order; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderChange {
    /// The new total quantity, filled part included.
    pub quantity: Option<Quantity>,
    pub limit_price: Option<Price>,
    /// Of a stop or if-touched order that has not triggered; a trailing stop moves by itself.
    pub stop_price: Option<Price>,
}
