//! What a parent's fills leave for the orders that sell it again.

use super::{Account, Contingency, OrderIndex, OrderList, Quantity};
use crate::instrument::InstrumentKind;
use crate::market::Side;
use crate::number::Decimal;
use crate::order::SubmitOrder;

impl Account {
    /// Returns true when the legs of a bracket have traded all that its entry has so far: what
    /// the entry got from now on would have no leg.
    pub(super) fn is_left(&self, list: &OrderList, members: &[OrderIndex]) -> bool {
        let filled = |index: &OrderIndex| self.orders.get(*index).order.filled_quantity;
        let [entry, legs @ ..] = members else {
            return false;
        };
        let bought = match legs {
            [leg, ..] => self.left_to(*entry, &self.orders.get(*leg).order.request),
            [] => filled(entry),
        };
        let left = legs
            .iter()
            .map(filled)
            .fold(Quantity::ZERO, Quantity::saturating_add);
        let bracket = list.definition.contingency == Contingency::Bracket;
        bracket && !filled(entry).is_zero() && left >= bought
    }

    /// Returns how much of what `parent` traded there is for an order like `child`: of a spot
    /// buy whose fee was taken in what it bought, what is left after the fee, in whole increments.
    /// Part of the fee may be finer than a unit; it is owed, so it counts as a whole one.
    pub(super) fn left_to(&self, parent: OrderIndex, child: &SubmitOrder) -> Quantity {
        let parent = &self.orders.get(parent).order;
        let filled = parent.filled_quantity;
        let sells = parent.request.side == Side::Buy && child.side == Side::Sell;
        let same = parent.request.instrument_id == child.instrument_id;
        let instrument = self.instruments.get(&child.instrument_id);
        let fee = self.base_fees.get(&parent.order_id);
        let (true, Some(instrument), Some(fee)) = (sells && same, instrument, fee) else {
            return filled;
        };
        let Some(left) = instrument.quantity_decimal(filled).checked_sub(*fee) else {
            return filled;
        };
        let mut units = left.trunc_with_scale(u32::from(instrument.quantity_decimals));
        units.rescale(u32::from(instrument.quantity_decimals));
        let units = i64::try_from(units.mantissa()).unwrap_or(filled.0).max(0);
        let increment = instrument.quantity_increment.0.max(1);
        Quantity(units / increment * increment)
    }

    /// Counts what an execution cost of what it bought, or no longer does. A rebate is no fee: it
    /// adds to what is held, and nobody has to sell it.
    pub(in crate::account) fn count_base_fee(&mut self, position: usize, busted: bool) {
        let record = &self.executions[position];
        let execution = &record.execution;
        let Some(order_id) = record.order_id.as_ref().filter(|_| !record.busted) else {
            return;
        };
        let in_base = self
            .instruments
            .get(&execution.instrument_id)
            .is_some_and(|it| {
                it.kind == InstrumentKind::Spot
                    && it.base_currency != it.quote_currency
                    && it.base_currency == execution.fee_currency
            });
        let fee = execution.fee.0.max(Decimal::ZERO);
        if !in_base || execution.side != Side::Buy || fee.is_zero() {
            return;
        }
        let change = if busted { -fee } else { fee };
        let sum = self.base_fees.entry(order_id.clone()).or_default();
        // It is what balances have moved by, and those fit.
        *sum = sum.checked_add(change).unwrap_or(*sum);
        if sum.is_zero() {
            self.base_fees.remove(order_id);
        }
    }
}
