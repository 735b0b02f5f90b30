//! An account and the market inside the process, which ends and begins again.

use super::*;
use apex_domain::account::{AccountInput, Effects};
use apex_domain::event::AccountMode;
use apex_domain::market::{MarketEvent, Side};
use apex_domain::matching::{ExchangeInput, SimOptions};
use apex_domain::order::{OrderKey, TriggerType};
use apex_domain::order::{OrderTerms, OrderType, SubmitOrder, TimeInForce, TrailingOffset};
use apex_domain::risk::{Limits, MarketRef, ReasonCode};
use apex_domain::venue::VenueCommand;
use apex_domain::{ClientOrderId, Currency, InstrumentId, Price, StrategyId};
use std::collections::VecDeque;

const BTC: &str = "BTCUSDT.SIM";
const SECOND: i64 = 1_000_000_000;

/// Under the start price by so much that nobody trades there.
const DEEP: i64 = 5_500_000;

fn account_id() -> AccountId {
    AccountId::new("paper").unwrap()
}

fn exchange(seed: u64, first_number: u64) -> SimExchange {
    let options = SimOptions {
        first_number,
        ..SimOptions::new(seed)
    };
    SimExchange::new(options).unwrap()
}

struct World {
    account: Account,
    exchange: SimExchange,
    now: i64,
    sequence: u64,
}

impl World {
    fn new() -> World {
        let mut world = World {
            account: Account::new(),
            exchange: exchange(7, 1),
            now: SECOND,
            sequence: 0,
        };
        let instruments = world.exchange.instruments();
        world.decide(AccountInput::Open {
            account_id: account_id(),
            base_currency: Currency::new("USDT").unwrap(),
            mode: AccountMode::Paper,
        });
        world.decide(AccountInput::SetLimits {
            request_id: None,
            limits: Box::new(Limits {
                allow_short_spot: true,
                ..Limits::default()
            }),
            expected_sequence: None,
        });
        for instrument in instruments {
            world.decide(AccountInput::DefineInstrument(Box::new(instrument)));
        }
        world.step(1);
        world
    }

    /// Lets the account decide, and works off what follows at the venue and back.
    fn decide(&mut self, input: AccountInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Effects::default();
            self.account.apply(UnixNanos(self.now), input, &mut effects);
            for command in effects.commands {
                let input = ExchangeInput::Command {
                    account_id: account_id(),
                    command,
                };
                inputs.extend(self.exchange(input));
            }
        }
    }

    fn exchange(&mut self, input: ExchangeInput) -> Vec<AccountInput> {
        let mut out = Vec::new();
        self.exchange.apply(UnixNanos(self.now), input, &mut out);
        self.reports(out)
    }

    fn reports(&mut self, events: Vec<ExchangeEvent>) -> Vec<AccountInput> {
        let mut inputs = Vec::new();
        for event in events {
            if let ExchangeEvent::Report { report, .. } = event {
                self.sequence += 1;
                inputs.push(AccountInput::Report {
                    venue_sequence: self.sequence,
                    report,
                });
            }
        }
        inputs
    }

    fn step(&mut self, seconds: i64) {
        for _ in 0..seconds * 10 {
            self.now += SECOND / 10;
            for input in self.exchange(ExchangeInput::Step) {
                self.decide(input);
            }
        }
    }

    fn submit(&mut self, id: &str, change: impl FnOnce(&mut SubmitOrder)) {
        let mut request = SubmitOrder {
            client_order_id: ClientOrderId::new(id).unwrap(),
            strategy_id: StrategyId::new("manual").unwrap(),
            instrument_id: InstrumentId::new(BTC).unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: Quantity(50_000),
            limit_price: Some(Price(DEEP)),
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms::default(),
        };
        change(&mut request);
        self.decide(AccountInput::Submit {
            request: Box::new(request),
            market: MarketRef {
                bid: Some(Price(6_000_000)),
                ask: Some(Price(6_000_100)),
                ts: UnixNanos(self.now),
            },
        });
    }

    fn status(&self, id: &str) -> OrderStatus {
        let found = self
            .account
            .orders()
            .find(|order| order.request.client_order_id.as_str() == id);
        found.unwrap().status
    }

    fn stop_price(&self, id: &str) -> Price {
        let found = self
            .account
            .orders()
            .find(|order| order.request.client_order_id.as_str() == id);
        found.unwrap().stop_price.unwrap()
    }

    /// Ends the market and opens another one round the same account.
    fn crash(&mut self, seed: u64) {
        self.exchange = exchange(seed, self.sequence + 1);
        let orders = working_orders(&self.account);
        let held = positions(&self.account, &orders);
        self.exchange.restore_positions(&account_id(), &held);
        let orders: Vec<_> = orders
            .into_iter()
            .map(|order| (account_id(), order))
            .collect();
        let mut out = Vec::new();
        self.exchange
            .restore(UnixNanos(self.now), &orders, &mut out);
        for input in self.reports(out) {
            self.decide(input);
        }
        self.step(1);
    }

    fn shown(&self, price: i64) -> Option<Quantity> {
        let snapshots = self.exchange.snapshots(UnixNanos(self.now));
        snapshots.iter().find_map(|event| match event {
            MarketEvent::Snapshot(book) if book.instrument_id.as_str() == BTC => {
                let level = book.bids.iter().find(|level| level.price == Price(price));
                level.map(|level| level.quantity)
            }
            _ => None,
        })
    }
}

#[test]
fn every_kind_of_order_survives_a_crash_by_the_accounts_journal() {
    let mut world = World::new();
    world.submit("ice", |order| {
        order.terms.display_quantity = Some(Quantity(10_000));
    });
    world.submit("met", |order| {
        order.order_type = OrderType::StopLimit;
        order.limit_price = Some(Price(DEEP + 100));
        order.terms.stop_price = Some(Price(5_000_000));
    });
    world.submit("waits", |order| {
        order.order_type = OrderType::Stop;
        order.limit_price = None;
        order.terms.stop_price = Some(Price(9_000_000));
    });
    world.submit("trails", |order| {
        order.order_type = OrderType::TrailingStop;
        order.side = Side::Sell;
        order.limit_price = None;
        order.terms.trailing = Some(TrailingOffset::Bps(500));
        order.terms.trigger = TriggerType::BidAsk;
    });
    world.step(5);
    let before = world.stop_price("trails");
    assert_eq!(world.status("met"), OrderStatus::Triggered);
    assert_eq!(world.status("waits"), OrderStatus::Accepted);

    world.crash(8);
    let back = working_orders(&world.account);
    let types: Vec<_> = back
        .iter()
        .map(|restored| {
            let order = &restored.order;
            (order.client_order_id.as_str(), order.order_type)
        })
        .collect();
    let expected = [
        ("ice", OrderType::Limit),
        ("met", OrderType::Limit),
        ("waits", OrderType::Stop),
        ("trails", OrderType::TrailingStop),
    ];
    assert_eq!(types, expected);
    assert_eq!(world.shown(DEEP), Some(Quantity(10_000)));
    assert_eq!(world.shown(DEEP + 100), Some(Quantity(50_000)));
    world.step(5);
    assert!(world.stop_price("trails") >= before);
    world.decide(AccountInput::Cancel {
        key: OrderKey::ClientOrderId(ClientOrderId::new("ice").unwrap()),
        request_id: None,
        reason_code: ReasonCode::CanceledByUser,
    });
    assert_eq!(world.status("ice"), OrderStatus::Canceled);
    assert_eq!(world.shown(DEEP), None);
}

#[test]
fn an_order_on_its_way_does_not_come_back_by_itself() {
    let mut world = World::new();
    let mut effects = Effects::default();
    let sent = |effects: &Effects| {
        let is_new = |command: &&VenueCommand| matches!(command, VenueCommand::New(_));
        effects.commands.iter().filter(is_new).count()
    };
    let request = SubmitOrder {
        client_order_id: ClientOrderId::new("lost").unwrap(),
        strategy_id: StrategyId::new("manual").unwrap(),
        instrument_id: InstrumentId::new(BTC).unwrap(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        quantity: Quantity(50_000),
        limit_price: Some(Price(DEEP)),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    };
    let input = AccountInput::Submit {
        request: Box::new(request),
        market: MarketRef::default(),
    };
    world
        .account
        .apply(UnixNanos(world.now), input, &mut effects);
    assert_eq!(sent(&effects), 1);
    assert!(working_orders(&world.account).is_empty());
}

#[test]
fn orders_of_several_accounts_come_back_as_the_venue_took_them() {
    let mut first = World::new();
    let mut second = World::new();
    first.submit("a", |_| {});
    // As if the ids went on behind those of the first.
    second.exchange = exchange(7, 5);
    second.submit("b", |_| {});
    second.submit("c", |_| {});
    first.exchange = exchange(7, 9);
    first.submit("d", |_| {});
    let all = all_working_orders([&second.account, &first.account]);
    let ids: Vec<&str> = all
        .iter()
        .map(|(_, order)| order.order.client_order_id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
}

#[test]
fn numbers_go_on_above_every_id_that_any_account_has() {
    let mut first = World::new();
    let mut second = World::new();
    first.submit("a", |_| {});
    assert_eq!(
        next_number([&first.account]),
        first.account.venue_sequence() + 1
    );
    // The reports of another account, to which these numbers went, were lost in a kill.
    second.exchange = exchange(7, 500);
    second.submit("b", |_| {});
    assert_eq!(next_number([&first.account, &second.account]), 501);
    assert_eq!(next_number([]), 1);
    for (id, expected) in [("SIM-o12", 12), ("SIM-7", 7), ("x", 0), ("9", 9), ("", 0)] {
        assert_eq!(number(id), expected, "{id}");
    }
}

/// The position is of an order that has ended, which is not put back itself.
#[test]
fn what_only_reduces_still_has_a_position_to_reduce_after_a_restart() {
    let mut world = World::new();
    world.submit("long", |order| {
        order.order_type = OrderType::Market;
        order.limit_price = None;
        order.quantity = Quantity(50_000);
    });
    assert_eq!(world.status("long"), OrderStatus::Filled);
    let exit = |order: &mut SubmitOrder| {
        order.side = Side::Sell;
        order.reduce_only = true;
        order.quantity = Quantity(20_000);
        order.limit_price = Some(Price(6_500_000));
    };
    world.submit("rests", exit);
    assert_eq!(world.status("rests"), OrderStatus::Accepted);

    world.crash(8);
    world.step(1);
    assert_eq!(world.status("rests"), OrderStatus::Accepted);
    world.submit("out", |order| {
        exit(order);
        order.order_type = OrderType::Market;
        order.quantity = Quantity(30_000);
        order.limit_price = None;
    });
    assert_eq!(world.status("out"), OrderStatus::Filled);
}
