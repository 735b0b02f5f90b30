//! How an order is judged in the company of those that it is taken with.

use super::{Account, Denial, MarketRef, OrderEntry, OrderIndex, UnixNanos};
use crate::instrument::Instrument;
use crate::order::Contingency;
use crate::order::lists::Role;
use crate::risk::checks;
use crate::risk::exposure::Exposure;

/// The other orders of a list that is taken now.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::account) struct Company<'a> {
    /// Orders of the list before this one: each of them counts for the rate.
    pub before: usize,
    /// Those that will wait for their parent, and reserve nothing until then.
    pub children: &'a [OrderIndex],
}

impl Account {
    /// Returns whether an order may be taken with its list. A child is judged by what it is by
    /// itself and by the order rate: it counts now, and passes the rest when it leaves.
    ///
    /// Errors: the first refusal.
    pub(in crate::account) fn verdict_in_list(
        &self,
        now: UnixNanos,
        index: OrderIndex,
        market: MarketRef,
        company: Company<'_>,
    ) -> Result<(), Denial> {
        let waits = company.children.contains(&index);
        let check = if waits {
            checks::check_child
        } else {
            checks::check
        };
        self.ask_in_list(now, index, market, company, check)
    }

    /// Returns what of `exposure` the venue locks besides this order: where it knows that of
    /// several orders one trades, not those that this one stands in for. Each leg passes by
    /// itself then, so that the largest of them is covered; otherwise all of them together.
    pub(super) fn locked(
        &self,
        exposure: Exposure,
        entry: &OrderEntry,
        instrument: &Instrument,
    ) -> Exposure {
        if instrument.rules.lacks.linked_orders {
            return exposure;
        }
        let others = self.alternative_orders(entry).into_iter();
        others.fold(exposure, Exposure::without)
    }

    /// Returns the orders that will wait for `entry`: no event has held them yet, so that they are
    /// counted as working. Sells that leave a position would otherwise hide what its entry needs.
    pub(super) fn waiting_for(&self, entry: &OrderEntry, company: Company<'_>) -> Vec<&OrderEntry> {
        let children = company.children.iter().map(|index| self.orders.get(*index));
        children
            .filter(|child| child.created != entry.created)
            .collect()
    }

    /// Returns the orders that will wait for this one and that no event has held yet.
    pub(super) fn undecided_children(&self, entry: &OrderEntry) -> Vec<&OrderEntry> {
        let list = entry.order.list_id.as_ref();
        let Some(list) = list.and_then(|id| self.lists.get(id)) else {
            return Vec::new();
        };
        let members = self.members(list).into_iter();
        let undecided = members.map(|index| self.orders.get(index)).filter(|other| {
            let id = &other.order.request.client_order_id;
            let is_child = list.role(id) == Role::Child && other.created != entry.created;
            is_child && other.is_home() && other.hold.is_none()
        });
        undecided.collect()
    }

    /// Returns what is open of an order's [`Account::alternative_orders`].
    pub(in crate::account) fn alternatives(&self, entry: &OrderEntry) -> i128 {
        let orders = self.alternative_orders(entry).into_iter();
        orders
            .map(|other| i128::from(other.reserved_open().0))
            .sum()
    }

    /// Returns the orders of an order's list that end or shrink when it trades, where they are of
    /// its own side and instrument.
    pub(in crate::account) fn alternative_orders(&self, entry: &OrderEntry) -> Vec<&OrderEntry> {
        let request = &entry.order.request;
        let list = entry.order.list_id.as_ref();
        let Some(list) = list.and_then(|id| self.lists.get(id)) else {
            return Vec::new();
        };
        if matches!(
            list.definition.contingency,
            Contingency::None | Contingency::Oto
        ) {
            return Vec::new();
        }
        let members = self.members(list).into_iter();
        let others = members.map(|index| self.orders.get(index)).filter(|other| {
            let theirs = &other.order.request;
            other.created != entry.created
                && theirs.side == request.side
                && theirs.terms.position_side == request.terms.position_side
                && theirs.instrument_id == request.instrument_id
        });
        others.collect()
    }
}
