//! The prices that an account's own events hold, to value it by as it was.
//!
//! A market that was only shown is in no event. What is: the price of each execution, and the
//! market that each order met when it was taken. Both stay with the account, so a snapshot and the
//! journal from its start give the same.

use super::machine::Account;
use crate::id::InstrumentId;
use crate::number::Price;
use std::collections::BTreeMap;

impl Account {
    /// Returns the newest price of each instrument that the account's events hold: that of an
    /// execution which still counts, or the side of the market that an order would have met when
    /// it was taken, the ask for a buy and the bid for a sell. Prices before an instrument's last
    /// split are in other units and do not count; an instrument without a price is not there.
    pub fn last_prices(&self) -> BTreeMap<InstrumentId, Price> {
        let orders = self.orders.entries().iter().filter_map(|entry| {
            let id = &entry.order.request.instrument_id;
            Some((id, entry.created, entry.reference?))
        });
        let executions = self.executions.iter().filter(|record| !record.busted);
        let executions = executions.map(|record| {
            let execution = &record.execution;
            let id = &execution.instrument_id;
            (id, record.sequence, execution.last_price)
        });
        let mut newest: BTreeMap<&InstrumentId, (u64, Price)> = BTreeMap::new();
        for (id, sequence, price) in orders.chain(executions) {
            let known = newest.entry(id).or_insert((sequence, price));
            if sequence > known.0 {
                *known = (sequence, price);
            }
        }
        let in_units_of_now = newest.into_iter().filter(|(id, (sequence, _))| {
            let split = self.portfolio.splits_of(id).last();
            split.is_none_or(|split| split.sequence < *sequence)
        });
        in_units_of_now
            .map(|(id, (_, price))| (id.clone(), price))
            .collect()
    }
}
