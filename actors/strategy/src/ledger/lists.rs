//! Orders of lists: how much of what is open counts as working.
//!
//! Of orders that take quantity from each other only one can trade whatever is left. So the legs
//! of an OCO, OUO or bracket count once, by the largest of each side; all others count by
//! themselves.

use apex_domain::order::{Contingency, ListDefinition, Order, SubmitList};
use apex_domain::{ClientOrderId, OrderListId};
use std::collections::BTreeMap;

/// The lists that own orders belong to.
#[derive(Debug, Default)]
pub struct Lists {
    /// The newest list of the account. Its orders follow at once, and only they show whether it
    /// is one of this strategy.
    newest: Option<ListDefinition>,
    /// Orders of lists that were asked for: away from the account their list is not told.
    expected: BTreeMap<ClientOrderId, Expected>,
    lists: BTreeMap<OrderListId, List>,
}

/// The list that an order will belong to.
#[derive(Clone, Debug)]
struct Expected {
    list_id: OrderListId,
    contingency: Contingency,
    parent: Option<ClientOrderId>,
}

#[derive(Debug, Default)]
struct List {
    /// Unknown of a list whose beginning was not seen: its orders are then taken as legs.
    contingency: Option<Contingency>,
    parent: Option<ClientOrderId>,
    members: BTreeMap<ClientOrderId, Member>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    /// Signed, as positions are.
    open: i64,
    ended: bool,
}

impl Lists {
    /// Takes a list that the account took.
    pub fn define(&mut self, definition: &ListDefinition) {
        self.newest = Some(definition.clone());
    }

    /// Takes a list that was asked for. A batch is none.
    pub fn expect(&mut self, list: &SubmitList) {
        if list.contingency == Contingency::None {
            return;
        }
        let parent = list.orders.first();
        let expected = Expected {
            list_id: list.list_id.clone(),
            contingency: list.contingency,
            parent: parent.map(|order| order.client_order_id.clone()),
        };
        for order in &list.orders {
            let id = order.client_order_id.clone();
            self.expected.insert(id, expected.clone());
        }
    }

    /// The order never came to be.
    pub fn forget(&mut self, id: &ClientOrderId) {
        self.expected.remove(id);
    }

    /// Returns the list of an order that the account has just made known.
    pub fn join(&mut self, id: &ClientOrderId) -> Option<OrderListId> {
        let expected = self.expected.remove(id);
        let newest = self
            .newest
            .as_ref()
            .filter(|list| list.members.contains(id));
        let told = newest.map(|list| Expected {
            list_id: list.list_id.clone(),
            contingency: list.contingency,
            parent: list.members.first().cloned(),
        });
        let joined = told.or(expected)?;
        let list = self.lists.entry(joined.list_id.clone()).or_default();
        list.contingency = Some(joined.contingency);
        list.parent = joined.parent;
        Some(joined.list_id)
    }

    /// Returns true for an order that its parent sends.
    pub fn is_child(&self, order: &Order) -> bool {
        let list = order.list_id.as_ref().and_then(|id| self.lists.get(id));
        list.is_some_and(|list| {
            let has_parent = matches!(
                list.contingency,
                Some(Contingency::Oto | Contingency::Bracket)
            );
            has_parent && list.parent.as_ref() != Some(&order.request.client_order_id)
        })
    }

    /// Takes what is open of one order of a list. Returns by how much that changes what the
    /// whole list counts as working, in the order's instrument.
    pub fn change(&mut self, list_id: &OrderListId, order: &Order, open: i64) -> i64 {
        let list = self.lists.entry(list_id.clone()).or_default();
        let before = list.count();
        let member = Member {
            open,
            ended: order.status.is_terminal(),
        };
        let id = order.request.client_order_id.clone();
        list.members.insert(id, member);
        let change = list.count().saturating_sub(before);
        if list.members.values().all(|member| member.ended) {
            self.lists.remove(list_id);
        }
        change
    }
}

impl List {
    /// Orders that do not take quantity from each other may be of several instruments; their sum
    /// means nothing, its change does.
    fn count(&self) -> i64 {
        let members = self.members.iter();
        count(
            self.contingency,
            members.map(|(id, member)| (self.parent.as_ref() == Some(id), member.open)),
        )
    }
}

/// Returns for each order of a list how much it counts as working while the account has not taken
/// it, signed: the whole list counts with its first order.
pub fn shares(list: &SubmitList) -> Vec<i64> {
    let has_children = matches!(list.contingency, Contingency::Oto | Contingency::Bracket);
    let orders = list.orders.iter().enumerate();
    let open = orders.map(|(position, order)| {
        let waits = has_children && position > 0;
        let open = order.side.sign() * order.quantity.0;
        (position == 0, if waits { 0 } else { open })
    });
    let counted = count(Some(list.contingency), open.clone());
    open.map(|(first, open)| match list.contingency {
        Contingency::None => open,
        _ if first => counted,
        _ => 0,
    })
    .collect()
}

/// Returns what orders of a list count together: for each whether it is the first, and what is
/// open of it.
pub fn count(contingency: Option<Contingency>, orders: impl Iterator<Item = (bool, i64)>) -> i64 {
    let (mut alone, mut bought, mut sold) = (0_i64, 0, 0);
    for (first, open) in orders {
        let is_leg = match contingency {
            None | Some(Contingency::Oco | Contingency::Ouo) => true,
            Some(Contingency::Bracket) => !first,
            Some(Contingency::None | Contingency::Oto) => false,
        };
        if is_leg {
            bought = open.max(bought);
            sold = open.min(sold);
        } else {
            alone = alone.saturating_add(open);
        }
    }
    alone.saturating_add(bought).saturating_add(sold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_which_one_trades_count_once_and_all_others_by_themselves() {
        use Contingency as C;
        for (contingency, open, expected) in [
            (Some(C::None), &[5_i64, -3, -3] as &[i64], -1),
            (Some(C::Oco), &[-10, -10], -10),
            (Some(C::Oco), &[-10, -4], -10),
            // A breakout: which side it will be is not known.
            (Some(C::Oco), &[7, -7], 0),
            (Some(C::Ouo), &[6, 4], 6),
            (Some(C::Oto), &[5, -5, -5], -5),
            // The exits wait; then the entry has filled; then a part of one exit.
            (Some(C::Bracket), &[10, 0, 0], 10),
            (Some(C::Bracket), &[0, -10, -10], -10),
            (Some(C::Bracket), &[0, -6, -10], -10),
            (Some(C::Bracket), &[4, -6, -6], -2),
            (None, &[-10, -10], -10),
        ] {
            let orders = open.iter().enumerate();
            let orders = orders.map(|(position, open)| (position == 0, *open));
            assert_eq!(
                count(contingency, orders),
                expected,
                "{contingency:?} {open:?}"
            );
        }
    }
}
