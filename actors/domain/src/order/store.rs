//! All orders of an account, with the indexes that keep a submit at `O(log n)`.

use super::OrderKey;
use super::entry::{EntryError, OrderEntry};
use crate::id::{ClientOrderId, OrderId};
use crate::risk::exposure::Exposures;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Position of an order in order of creation.
pub(crate) type OrderIndex = u32;

/// Orders are never removed: a client order id is unique for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderStore {
    entries: Vec<OrderEntry>,
    // What follows is derived from the entries and built again after a restore.
    #[serde(skip)]
    by_client: BTreeMap<ClientOrderId, OrderIndex>,
    #[serde(skip)]
    working: BTreeSet<OrderIndex>,
    #[serde(skip)]
    unsettled: BTreeSet<OrderIndex>,
    #[serde(skip)]
    exposures: Exposures,
}

impl OrderStore {
    pub fn push(&mut self, entry: OrderEntry) -> OrderIndex {
        // Four billion orders of one account would need terabytes of memory first.
        let index = self.entries.len() as OrderIndex;
        self.entries.push(entry);
        self.enter(index);
        index
    }

    /// Changes one order and keeps the indexes true.
    pub fn update(
        &mut self,
        index: OrderIndex,
        change: impl FnOnce(&mut OrderEntry) -> Result<(), EntryError>,
    ) -> Result<(), EntryError> {
        let entry = &mut self.entries[index as usize];
        self.exposures.remove(entry);
        let result = change(entry);
        self.exposures.add(entry);
        set(&mut self.working, index, entry.is_working());
        set(&mut self.unsettled, index, entry.is_unsettled());
        result
    }

    fn enter(&mut self, index: OrderIndex) {
        let entry = &self.entries[index as usize];
        let client_order_id = entry.order.request.client_order_id.clone();
        self.by_client.insert(client_order_id, index);
        self.exposures.add(entry);
        set(&mut self.working, index, entry.is_working());
        set(&mut self.unsettled, index, entry.is_unsettled());
    }

    /// Builds the indexes from the entries.
    pub fn reindex(&mut self) {
        self.by_client.clear();
        self.working.clear();
        self.unsettled.clear();
        self.exposures = Exposures::default();
        for index in 0..self.entries.len() as OrderIndex {
            self.enter(index);
        }
    }

    /// Returns true when every index is what building it from the entries gives.
    pub fn is_consistent(&self) -> bool {
        let mut exposures = Exposures::default();
        let (mut working, mut unsettled) = (BTreeSet::new(), BTreeSet::new());
        for (index, entry) in self.entries.iter().enumerate() {
            let index = index as OrderIndex;
            exposures.add(entry);
            set(&mut working, index, entry.is_working());
            set(&mut unsettled, index, entry.is_unsettled());
            if self.find_client(&entry.order.request.client_order_id) != Some(index) {
                return false;
            }
        }
        self.by_client.len() == self.entries.len()
            && exposures == self.exposures
            && working == self.working
            && unsettled == self.unsettled
    }

    pub fn get(&self, index: OrderIndex) -> &OrderEntry {
        &self.entries[index as usize]
    }

    pub fn find(&self, key: &OrderKey) -> Option<OrderIndex> {
        match key {
            OrderKey::OrderId(order_id) => self.find_order_id(order_id),
            OrderKey::ClientOrderId(client_order_id) => self.find_client(client_order_id),
        }
    }

    pub fn find_client(&self, client_order_id: &ClientOrderId) -> Option<OrderIndex> {
        self.by_client.get(client_order_id).copied()
    }

    /// An order id ends in the sequence of its first event, and entries stand in that order.
    pub fn find_order_id(&self, order_id: &OrderId) -> Option<OrderIndex> {
        let (_, sequence) = order_id.as_str().rsplit_once('-')?;
        let sequence: u64 = sequence.parse().ok()?;
        let index = self
            .entries
            .binary_search_by_key(&sequence, |entry| entry.created)
            .ok()?;
        (self.entries[index].order.order_id == *order_id).then_some(index as OrderIndex)
    }

    pub fn entries(&self) -> &[OrderEntry] {
        &self.entries
    }

    pub fn working(&self) -> &BTreeSet<OrderIndex> {
        &self.working
    }

    pub fn unsettled(&self) -> &BTreeSet<OrderIndex> {
        &self.unsettled
    }

    pub fn exposures(&self) -> &Exposures {
        &self.exposures
    }
}

fn set(indexes: &mut BTreeSet<OrderIndex>, index: OrderIndex, member: bool) {
    if member {
        indexes.insert(index);
    } else {
        indexes.remove(&index);
    }
}
