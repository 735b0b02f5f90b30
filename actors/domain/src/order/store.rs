//! All orders of an account, with the indexes that keep a submit at `O(log n)`.

use super::OrderKey;
use super::entry::{EntryError, OrderEntry, slice_of};
use crate::event::Hold;
use crate::id::{ClientOrderId, InstrumentId, OrderId};
use crate::risk::exposure::{Exposures, Share};
use crate::time::UnixNanos;
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
    /// Orders that wait here for a price of their instrument.
    #[serde(skip)]
    watching: BTreeMap<InstrumentId, BTreeSet<OrderIndex>>,
    /// Working orders by instrument.
    #[serde(skip)]
    by_instrument: BTreeMap<InstrumentId, BTreeSet<OrderIndex>>,
    /// Working orders by instrument that may only reduce a position.
    #[serde(skip)]
    reducing: BTreeMap<InstrumentId, BTreeSet<OrderIndex>>,
    /// Orders that wait here for their parent.
    #[serde(skip)]
    waiting: BTreeSet<OrderIndex>,
    /// Icebergs of which the venue is to be shown another part.
    #[serde(skip)]
    slicing: BTreeSet<OrderIndex>,
    /// Working orders by the time at which they end.
    #[serde(skip)]
    expiring: BTreeSet<(UnixNanos, OrderIndex)>,
    /// Orders that wait here for the opening or the close, by the time at which they leave.
    #[serde(skip)]
    leaving: BTreeSet<(UnixNanos, OrderIndex)>,
    #[serde(skip)]
    exposures: Exposures,
}

/// The sets of indexes that an order is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    works: bool,
    is_unsettled: bool,
    /// Here, for its parent.
    waits: bool,
    /// Here, for its price.
    watches: bool,
    /// The venue is to be shown another part of it.
    slices: bool,
    /// When it ends by itself, while it works.
    expires_at: Option<UnixNanos>,
    /// Here, until then.
    release_at: Option<UnixNanos>,
}

impl Place {
    fn of(entry: &OrderEntry) -> Place {
        Place {
            works: entry.is_working(),
            is_unsettled: entry.is_unsettled(),
            waits: entry.is_home() && entry.hold == Some(Hold::Parent),
            watches: entry.is_watching(),
            slices: entry.needs_slicing(),
            expires_at: entry.order.expires_at.filter(|_| entry.is_working()),
            release_at: entry.release_at.filter(|_| entry.is_home()),
        }
    }
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
        let (place, share) = (Place::of(entry), Share::of(entry));
        let result = change(entry);
        self.index(index, place, share);
        result
    }

    /// Enters an order into every index that it belongs to now, and takes it out of the others.
    /// It is in those of `place` and in the exposures with `share`.
    fn index(&mut self, index: OrderIndex, place: Place, share: Option<Share>) {
        let entry = &self.entries[index as usize];
        self.exposures.follow(share, entry);
        let now = Place::of(entry);
        if now == place {
            return;
        }
        let instrument_id = &entry.order.request.instrument_id;
        if now.works != place.works {
            set(&mut self.working, index, now.works);
            set_under(&mut self.by_instrument, instrument_id, index, now.works);
            if entry.order.request.reduce_only {
                set_under(&mut self.reducing, instrument_id, index, now.works);
            }
        }
        move_to(&mut self.expiring, index, place.expires_at, now.expires_at);
        move_to(&mut self.leaving, index, place.release_at, now.release_at);
        if now.is_unsettled != place.is_unsettled {
            set(&mut self.unsettled, index, now.is_unsettled);
        }
        if now.waits != place.waits {
            set(&mut self.waiting, index, now.waits);
        }
        if now.slices != place.slices {
            set(&mut self.slicing, index, now.slices);
        }
        if now.watches != place.watches {
            set_under(&mut self.watching, instrument_id, index, now.watches);
        }
    }

    fn enter(&mut self, index: OrderIndex) {
        let entry = &self.entries[index as usize];
        let client_order_id = entry.order.request.client_order_id.clone();
        self.by_client.insert(client_order_id, index);
        self.index(index, Place::default(), None);
    }

    /// Builds the indexes from the entries.
    pub fn reindex(&mut self) {
        self.by_client.clear();
        self.working.clear();
        self.unsettled.clear();
        self.watching.clear();
        self.waiting.clear();
        self.slicing.clear();
        self.by_instrument.clear();
        self.reducing.clear();
        self.expiring.clear();
        self.leaving.clear();
        self.exposures = Exposures::default();
        for index in 0..self.entries.len() as OrderIndex {
            self.enter(index);
        }
    }

    /// Returns true when every index is what building it from the entries gives.
    pub fn is_consistent(&self) -> bool {
        let mut built = OrderStore {
            entries: self.entries.clone(),
            ..OrderStore::default()
        };
        built.reindex();
        built == *self
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

    /// Returns the order that the venue means by this id: its own, or that of a slice of it.
    pub fn find_reported(&self, client_order_id: &ClientOrderId) -> Option<OrderIndex> {
        if let Some(index) = self.find_client(client_order_id) {
            // The venue never saw the own id of an order that goes there in slices.
            return self.get(index).slice.is_none().then_some(index);
        }
        let (created, number) = slice_of(client_order_id)?;
        let by_created = |entry: &OrderEntry| entry.created;
        let index = self
            .entries
            .binary_search_by_key(&created, by_created)
            .ok()?;
        let slice = self.entries[index].slice?;
        (1..=slice.number)
            .contains(&number)
            .then_some(index as OrderIndex)
    }

    /// An order id ends in the sequence of its first event, and entries stand in that order.
    pub fn find_order_id(&self, order_id: &OrderId) -> Option<OrderIndex> {
        let (_, sequence) = order_id.as_str().rsplit_once('-')?;
        let sequence: u64 = sequence.parse().ok()?;
        // Most of what happens happens to the newest one, and a search would walk far from it.
        let newest = self.entries.len().checked_sub(1)?;
        let index = if self.entries[newest].created == sequence {
            newest
        } else {
            let created = |entry: &OrderEntry| entry.created;
            self.entries.binary_search_by_key(&sequence, created).ok()?
        };
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

    /// Returns the orders that wait here for a price of `instrument_id`, by creation.
    pub fn watching(&self, instrument_id: &InstrumentId) -> impl Iterator<Item = OrderIndex> {
        self.watching
            .get(instrument_id)
            .into_iter()
            .flatten()
            .copied()
    }

    /// Returns the working orders of an instrument, by creation.
    pub fn working_of(&self, instrument_id: &InstrumentId) -> impl Iterator<Item = OrderIndex> {
        let orders = self.by_instrument.get(instrument_id);
        orders.into_iter().flatten().copied()
    }

    /// Returns true when any working order may only reduce a position.
    pub fn has_reducing(&self) -> bool {
        !self.reducing.is_empty()
    }

    /// Returns the instruments of such orders.
    pub fn reducing_instruments(&self) -> impl Iterator<Item = &InstrumentId> {
        self.reducing.keys()
    }

    /// Returns the working orders of an instrument that may only reduce a position, by creation.
    pub fn reducing_of(&self, instrument_id: &InstrumentId) -> impl Iterator<Item = OrderIndex> {
        let orders = self.reducing.get(instrument_id);
        orders.into_iter().flatten().copied()
    }

    /// Returns the orders that wait here for their parent, by creation.
    pub fn waiting(&self) -> impl Iterator<Item = OrderIndex> {
        self.waiting.iter().copied()
    }

    /// Returns the icebergs of which the venue is to be shown another part, by creation.
    pub fn slicing(&self) -> impl Iterator<Item = OrderIndex> {
        self.slicing.iter().copied()
    }

    /// Returns the working orders whose time is over at `now`, the earliest first.
    pub fn expired(&self, now: UnixNanos) -> Vec<OrderIndex> {
        let over = self.expiring.range(..=(now, OrderIndex::MAX));
        over.map(|(_, index)| *index).collect()
    }

    /// Returns the orders that wait here for the opening or the close, with the time at which
    /// they leave, the earliest first.
    pub fn leaving(&self) -> impl Iterator<Item = (UnixNanos, OrderIndex)> {
        self.leaving.iter().copied()
    }

    pub fn exposures(&self) -> &Exposures {
        &self.exposures
    }
}

/// As [`set`], in the set of `key`; empty sets are absent.
fn set_under(
    sets: &mut BTreeMap<InstrumentId, BTreeSet<OrderIndex>>,
    key: &InstrumentId,
    index: OrderIndex,
    member: bool,
) {
    match sets.get_mut(key) {
        Some(indexes) => {
            set(indexes, index, member);
            if indexes.is_empty() {
                sets.remove(key);
            }
        }
        None if member => {
            sets.insert(key.clone(), BTreeSet::from([index]));
        }
        None => {}
    }
}

/// Moves an order from one time to another; `None` is no time.
fn move_to(
    times: &mut BTreeSet<(UnixNanos, OrderIndex)>,
    index: OrderIndex,
    from: Option<UnixNanos>,
    to: Option<UnixNanos>,
) {
    if from == to {
        return;
    }
    if let Some(from) = from {
        times.remove(&(from, index));
    }
    times.extend(to.map(|to| (to, index)));
}

fn set<T: Ord>(indexes: &mut BTreeSet<T>, index: T, member: bool) {
    if member {
        indexes.insert(index);
    } else {
        indexes.remove(&index);
    }
}
