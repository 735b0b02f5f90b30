//! Contracts as their venue averages them, where something came late.
//!
//! The portfolio keeps the average of each side as fills come. A fill that was booked behind a later
//! one makes that average another one than the venue's until nothing is held; what was traded is then
//! counted again in the venue's order of time, which walks through all of it. So what was counted is
//! kept here, and what came since, in order, goes on top.

use super::machine::Account;
use super::payments::merged;
use super::types::ExecutionRecord;
use crate::id::{Currency, InstrumentId};
use crate::money::Money;
use crate::number::NumberError;
use crate::order::PositionSide;
use crate::portfolio::{Past, Whole};
use std::collections::BTreeMap;

/// Sides that were counted again, and from how many of the account's executions. Not state: made
/// again from the executions when it is not there, so it takes no part in comparing accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Averages(BTreeMap<(InstrumentId, PositionSide), Average>);

#[derive(Clone, Copy, Debug)]
struct Average {
    whole: Whole,
    executions: usize,
}

impl PartialEq for Averages {
    fn eq(&self, _: &Averages) -> bool {
        true
    }
}

impl Eq for Averages {}

impl Account {
    /// Counts the sides again that something came late for, so that [`Account::venue_cash`] finds
    /// them. One whose average no number holds is left out.
    pub(super) fn count_averages(&mut self) {
        let sides: Vec<_> = self.portfolio.disordered().cloned().collect();
        self.averages.0.retain(|key, _| sides.contains(key));
        for key in sides {
            let average = Average {
                executions: self.executions.len(),
                whole: match self.average(&key) {
                    Ok(whole) => whole,
                    Err(_) => continue,
                },
            };
            self.averages.0.insert(key, average);
        }
    }

    /// Forgets what was counted of a side: one of its executions is no longer there.
    pub(super) fn forget_average(&mut self, instrument_id: &InstrumentId, side: PositionSide) {
        self.averages.0.remove(&(instrument_id.clone(), side));
    }

    /// Returns what all strategies hold of a side by the venue's average.
    ///
    /// Errors: `OutOfRange`.
    fn average(&self, key: &(InstrumentId, PositionSide)) -> Result<Whole, NumberError> {
        let (id, side) = key;
        let instrument = self.instruments.get(id).ok_or(NumberError::OutOfRange)?;
        // Splits have no time of the venue's: in the order of booking it is what it is.
        if !self.portfolio.splits_of(id).is_empty() {
            return Ok(self.portfolio.whole_of(id, *side));
        }
        if let Some(counted) = self.averages.0.get(key) {
            let newer = self.executions[counted.executions..].iter();
            let mut newer = newer.filter(|record| record.is_of_side(id, *side));
            let whole = newer.try_fold(counted.whole, |whole, record| {
                whole.traded(instrument, &record.execution)
            })?;
            if !whole.is_disordered() {
                return Ok(whole);
            }
        }
        Whole::made_by(instrument, *side, self.traded_of_side(id, *side, None))
    }

    /// Returns cash as the venue counts it; see [`Portfolio::venue_cash`]. What came late since
    /// [`Account::count_averages`] is counted again at each call.
    ///
    /// Errors, by currency: `OutOfRange`.
    ///
    /// [`Portfolio::venue_cash`]: crate::portfolio::Portfolio::venue_cash
    pub(crate) fn venue_cash(&self) -> BTreeMap<Currency, Result<Money, NumberError>> {
        let instrument = |id: &InstrumentId| self.instruments.get(id);
        self.portfolio
            .venue_cash(instrument, |key| self.average(key))
    }

    /// Returns what all strategies together traded of one side of an instrument, in the venue's
    /// order of time, but for the execution of the event `without`.
    pub(super) fn traded_of_side<'a>(
        &'a self,
        instrument_id: &InstrumentId,
        side: PositionSide,
        without: Option<u64>,
    ) -> Vec<Past<'a>> {
        let executions = self.executions.iter().filter(|record| {
            record.is_of_side(instrument_id, side) && Some(record.sequence) != without
        });
        let splits = self.portfolio.splits_of(instrument_id);
        if splits.is_empty() {
            let mut records: Vec<&ExecutionRecord> = executions.collect();
            records.sort_by_key(|record| record.execution.ts_event);
            return records.into_iter().map(ExecutionRecord::past).collect();
        }
        // Splits have no time of the venue's: what is booked before one is in the old units.
        merged(executions, splits).collect()
    }
}

impl ExecutionRecord {
    pub(super) fn past(&self) -> Past<'_> {
        Past::Execution(&self.strategy_id, &self.execution)
    }

    /// True when it still counts and moved this side.
    fn is_of_side(&self, instrument_id: &InstrumentId, side: PositionSide) -> bool {
        !self.busted && self.position_side == side && self.execution.instrument_id == *instrument_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::support::*;
    use crate::market::Side;
    use crate::time::UnixNanos;
    use crate::venue::VenueReport;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Happening {
        /// Ten contracts: whose, whether bought, the price, and the venue's time.
        Trade(u8, bool, i64, u64),
        /// Takes a trade back; of how many before the newest.
        Bust(usize),
        Count,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            5 => (0..2_u8, any::<bool>(), 9_000..11_000_i64, 1..40_u64)
                .prop_map(|(whose, buys, price, ts)| Happening::Trade(whose, buys, price, ts)),
            1 => (0..4_usize).prop_map(Happening::Bust),
            2 => Just(Happening::Count),
        ]
    }

    fn trade(world: &mut World, n: usize, (whose, buys, price, ts): (u8, bool, i64, u64)) {
        let name = format!("t{n}");
        let side = if buys { Side::Buy } else { Side::Sell };
        let mut order = limit(&name, PERP, side, 10_000, price);
        order.strategy_id = crate::StrategyId::new(["one", "two"][usize::from(whose)]).unwrap();
        world.working(order);
        let mut execution = execution(&name, &name, PERP, side, 10_000, price);
        execution.ts_event = UnixNanos(ts as i64);
        world.report(VenueReport::Filled(execution));
    }

    fn bust(world: &mut World, n: usize) {
        world.report(VenueReport::Busted {
            client_order_id: cid(&format!("t{n}")),
            exec_id: crate::ExecId::new(&format!("t{n}")).unwrap(),
            instrument_id: id(PERP),
            ts_event: world.now,
        });
    }

    proptest! {
        #[test]
        fn what_was_counted_before_changes_no_result(happenings in proptest::collection::vec(happening(), 1..25)) {
            let mut world = World::ready();
            let mut traded = 0;
            for happening in happenings {
                match happening {
                    Happening::Trade(whose, buys, price, ts) => {
                        trade(&mut world, traded, (whose, buys, price, ts));
                        traded += 1;
                    }
                    Happening::Bust(back) => match traded.checked_sub(back + 1) {
                        Some(n) => bust(&mut world, n),
                        None => continue,
                    },
                    Happening::Count => world.account.count_averages(),
                }
                let mut anew = world.account.clone();
                anew.averages = Averages::default();
                prop_assert_eq!(world.account.venue_cash(), anew.venue_cash());
            }
        }
    }

    #[test]
    fn what_came_in_order_goes_on_top_of_what_was_counted() {
        let mut world = World::ready();
        for (n, ts) in [(0, 5), (1, 3), (2, 9)] {
            trade(&mut world, n, (0, true, 10_000, ts));
        }
        let key = (id(PERP), PositionSide::Net);
        world.account.count_averages();
        let counted = world.account.averages.0[&key];
        assert_eq!(counted.executions, 3);
        // Emptied, so that the next average tells what it began with.
        let emptied = |account: &mut Account| {
            account.averages.0.get_mut(&key).unwrap().whole = Whole::default();
        };
        emptied(&mut world.account);
        trade(&mut world, 3, (1, true, 12_000, 9));
        let on_top = world.account.average(&key).unwrap();
        assert_eq!(on_top.quantity(), 10_000);
        // One behind it is counted from the first again, and so is all after a bust.
        emptied(&mut world.account);
        trade(&mut world, 4, (1, true, 12_000, 8));
        assert_eq!(world.account.average(&key).unwrap().quantity(), 50_000);
        bust(&mut world, 4);
        assert_eq!(world.account.averages.0.len(), 0);
        assert_eq!(world.account.average(&key).unwrap().quantity(), 40_000);
    }
}
