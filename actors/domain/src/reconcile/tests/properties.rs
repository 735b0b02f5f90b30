//! Whatever happened between an account and its venue, reconciling ends with both alike.

use super::model::Venue;
use super::*;
use crate::invariant;
use crate::risk::{Limits, ReasonCode, TradingState};
use crate::time::NANOS_PER_SECOND;
use crate::venue::{VenueCommand, VenueStatus};
use proptest::prelude::*;

/// What a random number decides about each step.
#[derive(Clone, Copy, Debug)]
struct Move {
    kind: u8,
    order: u8,
    number: i64,
    loses_command: bool,
    /// What becomes of the reports that wait: 0 they go on waiting, 1 they are lost, 2 they come
    /// twice, 3 backwards, otherwise as they are.
    delivery: u8,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (0..18_u8, 0..6_u8, 1..60_i64, any::<bool>(), 0..6_u8);
    let one = one.prop_map(|(kind, order, number, loses_command, delivery)| Move {
        kind,
        order,
        number,
        loses_command,
        delivery,
    });
    prop::collection::vec(one, 1..60)
}

struct Pair {
    world: World,
    venue: Venue,
    has_executions: bool,
}

impl Pair {
    fn new(has_executions: bool) -> Pair {
        let mut world = World::ready();
        world.limits(Limits {
            allow_short_spot: true,
            ..Limits::default()
        });
        let venue = Venue {
            // Far from ours: only the venue's times are compared with each other.
            now: world.now.plus(-1_270 * 1_000_000),
            balance: 10_000.into(),
            ..Venue::default()
        };
        Pair {
            world,
            venue,
            has_executions,
        }
    }

    /// Hands over what the last input sent, unless it is lost on the way.
    fn send(&mut self, is_lost: bool) {
        let commands: Vec<VenueCommand> = self.world.commands().to_vec();
        for command in commands.iter().filter(|_| !is_lost) {
            self.venue.command(command);
        }
    }

    fn apply(&mut self, input: AccountInput, is_lost: bool) {
        self.world.apply(input);
        self.send(is_lost);
    }

    fn deliver(&mut self, delivery: u8) {
        let mut reports = std::mem::take(&mut self.venue.reports);
        match delivery {
            0 => {
                self.venue.reports = reports;
                return;
            }
            1 => return,
            2 => reports.extend(reports.clone()),
            3 => reports.reverse(),
            _ => {}
        }
        for report in reports {
            let venue_sequence = 0;
            let input = AccountInput::Report {
                venue_sequence,
                report,
            };
            self.apply(input, false);
        }
    }

    fn take(&mut self, is_lost: bool) {
        let requested_at = self.world.now;
        let snapshot = self.venue.snapshot(requested_at, self.has_executions);
        let snapshot = Box::new(snapshot);
        self.apply(AccountInput::Reconcile { snapshot }, is_lost);
    }

    fn step(&mut self, step: Move) {
        let client = format!("o{}", step.order);
        let side = if step.order.is_multiple_of(2) {
            Side::Buy
        } else {
            Side::Sell
        };
        let instrument = if step.order < 3 { SPOT } else { PERP };
        match step.kind {
            0..=3 => {
                self.world
                    .submit(limit(&client, instrument, side, step.number, 10_000));
                self.send(step.loses_command);
            }
            4 if self.world.account.order(&key(&client)).is_some() => {
                self.world.cancel(&client);
                self.send(step.loses_command);
            }
            5 if self.world.account.order(&key(&client)).is_some() => {
                self.world.amend(&client, Some(step.number), None);
                self.send(step.loses_command);
            }
            6..=8 => self.venue.fill(&client, step.number),
            9 => self.venue.expire(&client),
            10 => self.venue.manual_trade(step.number, side),
            11 => self.venue.manual_order(),
            12 => self.venue.deposit(step.number - 30),
            13 => self.apply(
                AccountInput::SessionLost {
                    reason_code: ReasonCode::NoAnswer,
                },
                true,
            ),
            14 => self.tick(step.loses_command),
            15 => self.take(step.loses_command),
            16 => self.apply(
                AccountInput::SetTradingState {
                    request_id: None,
                    state: TradingState::Active,
                    by: "ops".to_owned(),
                    reason: String::new(),
                },
                true,
            ),
            _ => {}
        }
        self.deliver(step.delivery);
        invariant::check_account(&self.world.account).unwrap();
    }

    fn tick(&mut self, is_lost: bool) {
        self.world.now = self.world.now.plus(6 * NANOS_PER_SECOND);
        self.venue.now = self.venue.now.plus(6 * NANOS_PER_SECOND);
        self.apply(AccountInput::Tick, is_lost);
    }

    /// From here on nothing is lost: a new session asks for every open order.
    fn heal(&mut self) {
        self.settle();
        self.apply(AccountInput::SessionReady, false);
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            self.tick(false);
            if self.venue.reports.is_empty() {
                return;
            }
            while !self.venue.reports.is_empty() {
                self.deliver(4);
            }
        }
    }

    /// What differs from the venue, beside orders that are not ours.
    fn differences(&mut self) -> Vec<Difference> {
        let snapshot = self.venue.snapshot(self.world.now, self.has_executions);
        let account = &self.world.account;
        let mut found = Vec::new();
        if let Some(part) = &snapshot.open_orders {
            found.extend(orders(account, part, snapshot.requested_at));
        }
        found.retain(|it| !matches!(it, Difference::OrderUnknownHere { ended: false, .. }));
        if let Some(part) = &snapshot.positions {
            found.extend(positions(account, part, false));
        }
        if let Some(part) = &snapshot.balances {
            found.extend(balances(account, part, &Default::default()));
        }
        if let Some(part) = &snapshot.executions {
            assert_eq!(missing_executions(account, part), []);
            found.extend(executions_unknown_at_venue(account, part));
        }
        found
    }

    /// Compares without the help of what is tested.
    fn assert_alike(&self) {
        for (id, taken) in &self.venue.orders {
            let order = self.world.order(id);
            assert_eq!(order.filled_quantity, taken.row.filled_quantity, "{id}");
            let is_working = taken.status == VenueStatus::Working;
            assert_eq!(!order.status.is_terminal(), is_working, "{id}");
        }
        let account = &self.world.account;
        for instrument in [SPOT, PERP] {
            let venue = self.venue.positions.get(&id(instrument)).copied();
            let ours = account.net_position(&id(instrument));
            assert_eq!(ours, venue.unwrap_or_default(), "{instrument}");
        }
        assert_eq!(self.world.cash_of("USDT").0, self.venue.balance);
        let listed = account.reconciler().external_orders().len();
        assert_eq!(listed, self.venue.manual_orders.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_snapshots_heal_whatever_was_lost(script in moves(), has_executions in any::<bool>()) {
        let mut pair = Pair::new(has_executions);
        for step in script {
            pair.step(step);
        }
        pair.heal();
        for _ in 0..2 {
            pair.take(false);
            pair.settle();
        }
        prop_assert_eq!(pair.differences(), vec![]);
        pair.assert_alike();
        // Once more changes nothing.
        let (sequence, hash) = (pair.world.account.sequence(), pair.world.account.state_hash());
        pair.take(false);
        pair.settle();
        prop_assert_eq!(pair.world.account.sequence(), sequence);
        prop_assert_eq!(pair.world.account.state_hash(), hash);
        prop_assert!(pair.world.account.is_reconciled());
        pair.world.assert_recovers();
    }
}
