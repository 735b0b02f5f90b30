//! What of one side of a hedging account is left to close.

use super::{Account, OrderEntry, OrderIndex, PositionSide, SubmitOrder};
use crate::id::OrderListId;
use crate::market::Side;
use crate::order::Contingency;
use std::collections::BTreeMap;

impl Account {
    /// Returns what an order may close of the side that it names: what all strategies together
    /// hold of it, less what other working orders close. Of orders of a list of which one trades
    /// the largest counts, and those that stand in for this one not at all. Negative where more
    /// works than is held, `None` of an order that closes no side.
    ///
    /// `entry` is the order itself where it is among the working ones; `children` will wait for
    /// their parent, and no event has held them yet.
    pub(super) fn closable(
        &self,
        request: &SubmitOrder,
        entry: Option<&OrderEntry>,
        children: &[OrderIndex],
    ) -> Option<i128> {
        let direction = match (request.terms.position_side, request.side) {
            (PositionSide::Long, Side::Sell) => 1,
            (PositionSide::Short, Side::Buy) => -1,
            _ => return None,
        };
        let held = i128::from(self.position_meant(request).quantity) * direction;
        let own_list = entry.and_then(|entry| self.alternatives_of(entry));
        let (mut alone, mut in_lists) = (0, BTreeMap::<&OrderListId, i128>::new());
        // Those of other instruments close nothing of it, and may be many.
        for index in self.orders.working_of(&request.instrument_id) {
            let other = self.orders.get(index);
            let is_own = entry.is_some_and(|entry| entry.created == other.created);
            if is_own || children.contains(&index) || !closes_same(&other.order.request, request) {
                continue;
            }
            let open = i128::from(other.reserved_open().0);
            match self.alternatives_of(other) {
                None => alone += open,
                list if list == own_list => {}
                Some(list) => {
                    let most = in_lists.entry(list).or_default();
                    *most = open.max(*most);
                }
            }
        }
        Some(held.max(0) - alone - in_lists.values().sum::<i128>())
    }

    /// Returns the list of an order whose other orders end or shrink when it trades.
    fn alternatives_of<'a>(&self, entry: &'a OrderEntry) -> Option<&'a OrderListId> {
        let list_id = entry.order.list_id.as_ref()?;
        let contingency = self.lists.get(list_id)?.definition.contingency;
        let one_trades = !matches!(contingency, Contingency::None | Contingency::Oto);
        one_trades.then_some(list_id)
    }
}

fn closes_same(other: &SubmitOrder, request: &SubmitOrder) -> bool {
    other.side == request.side && other.terms.position_side == request.terms.position_side
}
