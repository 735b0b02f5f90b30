//! What an owner asks of an order, against what its list has for it.

use super::{Account, Hold, OrderIndex, Quantity, Refusal, Wanted, invalid};

impl Account {
    /// Returns why an order cannot have a larger total `quantity`: its list would take back what
    /// is more than its orders share, or than a parent released, as soon as it was there.
    pub(in crate::account) fn outgrows_list(
        &self,
        index: OrderIndex,
        quantity: Quantity,
    ) -> Option<Refusal> {
        let entry = self.orders.get(index);
        let list = self.lists.get(entry.order.list_id.as_ref()?)?;
        if quantity <= entry.order.quantity || list.ending.is_some() {
            return None;
        }
        let members = self.members(list);
        let position = members.iter().position(|member| *member == index)?;
        let waits = entry.is_home() && entry.hold == Some(Hold::Parent);
        let most = match self.wanted(list, &members, position) {
            Wanted::Work(most) => most,
            Wanted::Wait if waits => list.definition.quantities[position],
            Wanted::Wait | Wanted::End => return None,
        };
        (quantity > most).then(|| {
            let instrument = self.instruments.get(&entry.order.request.instrument_id);
            let most = instrument.map_or_else(String::new, |it| it.format_quantity(most));
            let detail = format!(
                "must be at most {most}: the list that the order is of has no more for it; \
                 cancel it and submit a list of the size that you mean"
            );
            invalid("quantity", &detail)
        })
    }
}
