//! The order of a list that goes on when the others end.

use super::{Account, Change, OrderIndex, Quantity, ReasonCode, Role, Step};

impl Account {
    /// Returns true when an order whose condition was met may leave as far as its list goes:
    /// the orders that it ended have ended. It is brought to what they left of it then. A cancel
    /// on its way may be overtaken by a fill, and then both would trade.
    pub(in crate::account) fn is_left_alone(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
    ) -> bool {
        let list_id = self.orders.get(index).order.list_id.as_ref();
        let Some(list) = list_id.and_then(|id| self.lists.get(id)).cloned() else {
            return true;
        };
        if list.ending.is_none() {
            return true;
        }
        let members = self.members(&list);
        let others = || members.iter().filter(|other| **other != index);
        if others().any(|other| self.orders.get(*other).is_working()) {
            return false;
        }
        let position = members.iter().position(|member| *member == index);
        let asked = list.definition.quantities[position.unwrap_or_default()];
        let entry = self.orders.get(index);
        let base = match list.role(&entry.order.request.client_order_id) {
            Role::Child => self.released(&list, members[0], entry, asked),
            Role::Parent | Role::Peer => None,
        };
        let traded = others()
            .filter(|other| !(base.is_some() && **other == members[0]))
            .fold(Quantity::ZERO, |sum, other| {
                sum.saturating_add(self.orders.get(*other).order.filled_quantity)
            });
        let left = base.unwrap_or(asked).saturating_sub(traded);
        let left = entry.most.map_or(left, |most| left.min(most));
        let change = Change {
            quantity: left,
            limit_price: entry.order.limit_price,
            stop_price: entry.order.stop_price,
        };
        if left.is_zero() {
            self.cancel_working(step, index, None, ReasonCode::Contingency);
        } else if left != entry.order.quantity {
            self.amend_working(step, index, None, change);
        }
        !left.is_zero()
    }
}
