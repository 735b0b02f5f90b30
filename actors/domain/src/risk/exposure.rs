//! What working orders could still do, summed as they change.

use crate::id::{InstrumentId, StrategyId};
use crate::market::Side;
use crate::order::entry::OrderEntry;
use std::collections::BTreeMap;

/// The open quantity of one side's working orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideExposure {
    /// Sum of open quantities, mantissas at the instrument's quantity decimals.
    pub quantity: i128,
    /// Sum of `|price| * quantity`, a mantissa at price decimals plus quantity decimals.
    pub notional: i128,
}

/// Working orders of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    pub buy: SideExposure,
    pub sell: SideExposure,
}

impl Exposure {
    pub fn side(&self, side: Side) -> SideExposure {
        match side {
            Side::Buy => self.buy,
            Side::Sell => self.sell,
        }
    }

    /// Returns this without one order's share.
    #[must_use]
    pub(crate) fn without(mut self, entry: &OrderEntry) -> Exposure {
        change(&mut self, entry, -1);
        self
    }

    fn is_empty(&self) -> bool {
        *self == Exposure::default()
    }
}

/// Sums over all working orders. Entries that are zero are absent, so that equal orders give
/// equal sums whatever happened on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exposures {
    instruments: BTreeMap<InstrumentId, Exposure>,
    /// Signed leaves by strategy and instrument.
    strategies: BTreeMap<(StrategyId, InstrumentId), i128>,
}

impl Exposures {
    pub fn add(&mut self, entry: &OrderEntry) {
        self.change(entry, 1);
    }

    pub fn remove(&mut self, entry: &OrderEntry) {
        self.change(entry, -1);
    }

    fn change(&mut self, entry: &OrderEntry, direction: i128) {
        if !entry.is_working() {
            return;
        }
        let request = &entry.order.request;
        let exposure = self
            .instruments
            .entry(request.instrument_id.clone())
            .or_default();
        change(exposure, entry, direction);
        if exposure.is_empty() {
            self.instruments.remove(&request.instrument_id);
        }
        let key = (request.strategy_id.clone(), request.instrument_id.clone());
        let leaves = entry.order.leaves_quantity.min(entry.reserved_open());
        let leaves = i128::from(leaves.0) * i128::from(request.side.sign());
        let sum = self.strategies.entry(key.clone()).or_default();
        *sum += leaves * direction;
        if *sum == 0 {
            self.strategies.remove(&key);
        }
    }

    pub fn of(&self, instrument_id: &InstrumentId) -> Exposure {
        self.instruments
            .get(instrument_id)
            .copied()
            .unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&InstrumentId, &Exposure)> {
        self.instruments.iter()
    }

    /// Returns buys less sells still open, saturating at the range of `i64`.
    pub fn working_quantity(&self, strategy: &StrategyId, instrument: &InstrumentId) -> i64 {
        let key = (strategy.clone(), instrument.clone());
        let sum = self.strategies.get(&key).copied().unwrap_or_default();
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }
}

fn change(exposure: &mut Exposure, entry: &OrderEntry, direction: i128) {
    let quantity = i128::from(entry.reserved_open().0);
    let price = i128::from(entry.worst_price().0).abs();
    let side = match entry.order.request.side {
        Side::Buy => &mut exposure.buy,
        Side::Sell => &mut exposure.sell,
    };
    side.quantity += quantity * direction;
    // The sum was checked when each order was taken. Should a venue amend an order beyond all
    // bounds by itself, wrapping still undoes exactly what it did.
    side.notional = side.notional.wrapping_add(price * quantity * direction);
}
