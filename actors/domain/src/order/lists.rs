//! The lists of an account.

use super::ListDefinition;
use crate::id::{ClientOrderId, OrderListId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All lists by id, and which order belongs to which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lists {
    lists: BTreeMap<OrderListId, ListDefinition>,
    by_client: BTreeMap<ClientOrderId, OrderListId>,
}

impl Lists {
    pub fn insert(&mut self, list: ListDefinition) {
        for client_order_id in &list.members {
            let id = list.list_id.clone();
            self.by_client.insert(client_order_id.clone(), id);
        }
        self.lists.insert(list.list_id.clone(), list);
    }

    pub fn get(&self, list_id: &OrderListId) -> Option<&ListDefinition> {
        self.lists.get(list_id)
    }

    /// Returns the list that an order belongs to.
    pub fn of(&self, client_order_id: &ClientOrderId) -> Option<OrderListId> {
        self.by_client.get(client_order_id).cloned()
    }
}
