//! Eight reports that cross each other, in every order that they can arrive in: the totals are
//! always the same.

use super::support::*;
use crate::account::{Account, AccountInput, Effects};
use crate::event::Event;
use crate::invariant;
use crate::market::Side;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::OrderStatus;
use crate::risk::TradingState;
use crate::time::UnixNanos;
use crate::venue::VenueReport;

/// Everything that must not depend on the order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Totals {
    status: OrderStatus,
    quantity: i64,
    filled: i64,
    leaves: i64,
    canceled: i64,
    notional: Money,
    position: i64,
    cash: Money,
    fees: Money,
    executions: usize,
    state: TradingState,
}

fn totals(account: &Account) -> Totals {
    let order = account.order(&key("a")).unwrap();
    let usdt = currency("USDT");
    Totals {
        status: order.status,
        quantity: order.quantity.0,
        filled: order.filled_quantity.0,
        leaves: order.leaves_quantity.0,
        canceled: order.canceled_quantity.0,
        notional: order.filled_notional,
        position: account.net_position(&order.request.instrument_id),
        cash: account.cash()[&usdt],
        fees: account.fees().get(&usdt).copied().unwrap_or_default(),
        executions: account.executions().iter().filter(|e| !e.busted).count(),
        state: account.trading_state(),
    }
}

struct Search<'a> {
    reports: &'a [VenueReport],
    expected: Option<Totals>,
    orders: u32,
    now: UnixNanos,
}

impl Search<'_> {
    /// Applies each report that is left to a copy, and goes on with the others.
    fn go(&mut self, account: &Account, left: u32, path: &mut Vec<usize>) {
        if left == 0 {
            self.orders += 1;
            let found = totals(account);
            let expected = self.expected.get_or_insert_with(|| found.clone());
            assert_eq!(found, *expected, "reports in the order {path:?}");
            return;
        }
        for at in (0..self.reports.len()).filter(|at| left & (1 << at) != 0) {
            let mut next = account.clone();
            let mut effects = Effects::default();
            let report = self.reports[at].clone();
            let input = AccountInput::Report {
                venue_sequence: 0,
                report,
            };
            next.apply(self.now, input, &mut effects);
            let order = next.order(&key("a")).unwrap();
            invariant::check_order(order).unwrap();
            path.push(at);
            let quarantined = effects
                .events
                .iter()
                .find(|recorded| matches!(recorded.event, Event::ReportQuarantined { .. }));
            assert_eq!(quarantined, None, "reports in the order {path:?}");
            self.go(&next, left & !(1 << at), path);
            path.pop();
        }
    }
}

fn fill(exec: &str, instrument: &str, quantity: i64, price: i64) -> VenueReport {
    VenueReport::Filled(execution("a", exec, instrument, Side::Buy, quantity, price))
}

#[test]
fn eight_crossing_reports_give_the_same_totals_in_all_their_40320_orders() {
    for instrument in [SPOT, PERP] {
        let mut world = World::ready();
        world.submit(limit("a", instrument, Side::Buy, 1_000, 10_000));
        world.amend("a", Some(800), None);
        world.cancel("a");
        let ts_event = world.now;
        let client_order_id = cid("a");
        let reports = [
            accepted("a", ts_event),
            fill("x1", instrument, 300, 9_900),
            fill("x2", instrument, 200, 10_000),
            fill("x3", instrument, 100, 9_950),
            VenueReport::Amended {
                client_order_id: client_order_id.clone(),
                quantity: Quantity(800),
                limit_price: Some(Price(10_000)),
                stop_price: None,
                ts_event,
            },
            VenueReport::Busted {
                client_order_id: client_order_id.clone(),
                exec_id: crate::ExecId::new("x2").unwrap(),
                instrument_id: id(instrument),
                ts_event,
            },
            // The answer to an earlier cancel, which the venue could not carry out yet.
            VenueReport::CancelRejected {
                client_order_id,
                text: "busy".to_owned(),
                ts_event,
            },
            ended("a", 400, ts_event),
        ];
        let mut search = Search {
            reports: &reports,
            expected: None,
            orders: 0,
            now: world.now,
        };
        search.go(&world.account, 0xff, &mut Vec::new());
        assert_eq!(search.orders, 40_320);
        let expected = search.expected.unwrap();
        assert_eq!((expected.filled, expected.canceled), (400, 400));
        assert_eq!((expected.position, expected.executions), (400, 2));
        assert_eq!(expected.status, OrderStatus::Canceled);
    }
}
