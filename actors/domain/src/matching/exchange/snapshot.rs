//! An account at the exchange, as a reconciliation asks for it.

use super::SimExchange;
use super::market::SimMarket;
use crate::id::{AccountId, InstrumentId};
use crate::instrument::Instrument;
use crate::reconcile::{ExecutionPart, Part, VenueSnapshot};
use crate::time::UnixNanos;
use std::collections::BTreeMap;

/// Rows of one list: with two full ones a snapshot stays well below the longest line that the
/// venue's protocol allows (a row has under 400 bytes, the line 4 MiB). More open orders than
/// this are not listed at all, since half a list would call the rest missing; of the executions
/// the newest are, and the part says since when.
const ROWS: usize = 5_000;

impl SimExchange {
    /// Returns what the exchange has of an account; balances where it keeps them.
    pub fn account_snapshot(
        &mut self,
        now: UnixNanos,
        account_id: &AccountId,
        since: UnixNanos,
    ) -> VenueSnapshot {
        self.clock = self.clock.max(now);
        let ts = self.clock;
        let markets = &self.markets;
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let orders = ledger.open_orders();
        let mut executions = ExecutionPart {
            since,
            ts,
            rows: ledger.executions_since(since),
        };
        cut(&mut executions);
        VenueSnapshot {
            // The one who asked knows when.
            requested_at: UnixNanos::MIN,
            open_orders: (orders.len() <= ROWS).then_some(Part { ts, rows: orders }),
            executions: Some(executions),
            positions_by_side: true,
            positions: Some(Part {
                ts,
                rows: ledger.positions(|id| definition(markets, id)),
            }),
            balances: self.wallets.as_ref().map(|wallets| Part {
                ts,
                rows: wallets.balances(account_id, |id| definition(markets, id)),
            }),
        }
    }

    /// Counts an account's balances anew, in the order of its executions.
    pub(super) fn rebook(&mut self, account_id: &AccountId) {
        let (Some(wallets), Some(ledger)) = (&mut self.wallets, self.ledgers.get(account_id))
        else {
            return;
        };
        let markets = &self.markets;
        let executions = ledger.executions_since(UnixNanos::MIN).into_iter();
        let executions: Vec<_> = executions
            .map(|execution| (ledger.position_side(&execution.client_order_id), execution))
            .collect();
        wallets.rebook(account_id, &executions, |id| definition(markets, id));
    }
}

/// Returns what an exchange lists under an id.
pub(super) fn definition<'a>(
    markets: &'a BTreeMap<InstrumentId, SimMarket>,
    id: &InstrumentId,
) -> Option<&'a Instrument> {
    Some(&markets.get(id)?.definition.instrument)
}

/// Keeps the newest rows, all of a moment or none.
fn cut(part: &mut ExecutionPart) {
    let Some(surplus) = part.rows.len().checked_sub(ROWS + 1) else {
        return;
    };
    part.since = part.rows[surplus].ts_event.plus(1);
    part.rows.retain(|row| row.ts_event >= part.since);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::support::{PERP, execution};
    use crate::market::Side;

    #[test]
    fn a_list_that_is_too_long_says_since_when_it_is_whole() {
        let mut part = ExecutionPart::default();
        for number in 0..=ROWS as i64 {
            let mut row = execution("a", &format!("x-{number}"), PERP, Side::Buy, 1, 1);
            row.ts_event = UnixNanos(number / 2);
            part.rows.push(row);
        }
        cut(&mut part);
        assert_eq!(part.since, UnixNanos(1), "both of the first moment went");
        assert_eq!(part.rows.len(), ROWS - 1);
        cut(&mut part);
        assert_eq!(part.rows.len(), ROWS - 1);
    }
}
