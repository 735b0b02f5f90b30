//! Random lives of an account: the ledger has to know every order as the account does.

use super::*;
use crate::list_request::ListRequest;
use crate::order_request::OrderRequest;
use crate::testing::{account_id, instrument_id, lacking, strategy_id};
use apex_domain::account::{Account, AccountInput, Effects};
use apex_domain::event::AccountMode;
use apex_domain::market::Side;
use apex_domain::order::{AmendOrder, OrderKey, ReleaseRule, TrailingOffset};
use apex_domain::risk::{Limits, MarketRef, MarketView, ReasonCode, TradingState};
use apex_domain::venue::{EndReason, RejectReason, VenueEnd, VenueReport};
use apex_domain::{Currency, ExecId, Money, Price, Quantity, UnixNanos, VenueOrderId};
use std::collections::BTreeSet;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) % bound
    }

    fn side(&mut self) -> Side {
        if self.below(2) == 0 {
            Side::Buy
        } else {
            Side::Sell
        }
    }

    fn price(&mut self) -> Price {
        Price(90 + self.below(21) as i64)
    }

    fn order(&mut self, side: Side) -> OrderRequest {
        let (id, quantity) = (instrument_id(), Quantity(1 + self.below(9) as i64));
        let (first, second) = (self.price(), self.price());
        let order = match self.below(7) {
            0 => OrderRequest::market(id, side, quantity),
            1 => OrderRequest::stop(id, side, quantity, first),
            2 => OrderRequest::stop_limit(id, side, quantity, first, second),
            3 => OrderRequest::limit_if_touched(id, side, quantity, first, second),
            4 => OrderRequest::trailing_stop(id, side, quantity, TrailingOffset::Bps(300)),
            _ => OrderRequest::limit(id, side, quantity, first),
        };
        match self.below(8) {
            0 => order.good_till(UnixNanos(self.below(400) as i64 * 1_000_000_000)),
            _ => order,
        }
    }

    fn list(&mut self) -> ListRequest {
        let side = self.side();
        let (first, second) = (self.order(side), self.order(side));
        let list = match self.below(5) {
            0 => ListRequest::oco(vec![first, second]),
            1 => ListRequest::ouo(vec![first, second]),
            2 => ListRequest::oto(first, vec![second]),
            3 => ListRequest::batch(vec![first, second]),
            _ => ListRequest::bracket(
                first,
                self.order(side.opposite()),
                self.order(side.opposite()),
            ),
        };
        match self.below(3) {
            0 => list.release(ReleaseRule::Partial),
            1 => list.without_cascade(),
            _ => list,
        }
    }
}

struct Life {
    random: Random,
    account: Account,
    ledger: Ledger,
    now: UnixNanos,
    reports: u64,
    executions: u64,
    /// Kinds of events that came, by their names.
    seen: BTreeSet<String>,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut life = Life {
            random: Random(seed),
            account: Account::new(),
            ledger: Ledger::new(account_id(), strategy_id("s"), &[Arc::new(lacking())]),
            now: UnixNanos(0),
            reports: 0,
            executions: 0,
            seen: BTreeSet::new(),
        };
        let limits = Limits {
            allow_short_spot: true,
            ..Limits::default()
        };
        for input in [
            AccountInput::Open {
                account_id: account_id(),
                base_currency: Currency::new("USD").unwrap(),
                mode: AccountMode::Backtest,
            },
            AccountInput::SetLimits {
                request_id: None,
                limits: Box::new(limits),
                expected_sequence: None,
            },
            AccountInput::DefineInstrument(Box::new(lacking())),
        ] {
            life.apply(input);
        }
        life
    }

    /// Lets the account decide and compares every order after every event.
    fn apply(&mut self, input: AccountInput) {
        let mut effects = Effects::with_orders();
        self.account.apply(self.now, input, &mut effects);
        for (recorded, order) in effects.events.iter().zip(&effects.orders) {
            let about = self.ledger.fold(recorded);
            let name = format!("{:?}", recorded.event);
            let name = name.split([' ', '{']).next().unwrap_or_default();
            self.seen.insert(name.to_owned());
            if let Some(expected) = order {
                assert_eq!(about.as_ref(), Some(&expected.order_id), "{recorded:?}");
                assert_eq!(
                    self.ledger.tracked(&expected.order_id),
                    Some(&**expected),
                    "{recorded:?}"
                );
            }
        }
        let (strategy, id) = (strategy_id("s"), instrument_id());
        let open: i64 = self.ledger.orders.values().map(|kept| kept.open).sum();
        assert_eq!(open, self.account.working_quantity(&strategy, &id));
        let position = self.account.strategy_position(&strategy, &id);
        assert_eq!(self.ledger.position(&id), position);
    }

    fn step(&mut self) {
        self.now = self.now.plus(self.random.below(2_000_000_000) as i64);
        let input = match self.random.below(20) {
            0..3 => {
                let side = self.random.side();
                let order = self.random.order(side);
                let id = self.ledger.next_order_id();
                let request = Box::new(order.with_ids(id, strategy_id("s")));
                let market = self.market();
                self.ledger.asked_for(&request);
                AccountInput::Submit { request, market }
            }
            3..5 => self.list(),
            5..8 => {
                let price = Some(self.random.price());
                let view = MarketView {
                    bid: price,
                    ask: price,
                    last: price,
                    last_ts: self.now,
                    mark: None,
                    ts: self.now,
                };
                AccountInput::Market {
                    instrument_id: instrument_id(),
                    view,
                }
            }
            8 => AccountInput::Tick,
            9 => AccountInput::SessionLost {
                reason_code: ReasonCode::NoAnswer,
            },
            10 => AccountInput::SetTradingState {
                request_id: None,
                state: TradingState::Active,
                by: "test".to_owned(),
                reason: String::new(),
            },
            _ => match self.some_order() {
                Some(order) => self.about(&order),
                None => AccountInput::Tick,
            },
        };
        // What was refused never was.
        let asked: Vec<ClientOrderId> = self.ledger.under_way.keys().cloned().collect();
        self.apply(input);
        for id in asked {
            self.ledger.forget_asked(&id);
        }
    }

    fn market(&mut self) -> MarketRef {
        let price = Some(self.random.price());
        MarketRef {
            bid: price,
            ask: price,
            ts: self.now,
        }
    }

    fn list(&mut self) -> AccountInput {
        let list = self.random.list();
        let list_id = self.ledger.next_list_id();
        let orders = list.orders.into_iter().map(|order| {
            let id = self.ledger.next_order_id();
            order.with_ids(id, strategy_id("s"))
        });
        let list = SubmitList {
            list_id,
            contingency: list.contingency,
            release: list.release,
            cascade: list.cascade,
            orders: orders.collect(),
        };
        self.ledger.asked_for_list(&list);
        let market = self.market();
        AccountInput::SubmitList {
            list: Box::new(list),
            markets: BTreeMap::from([(instrument_id(), market)]),
        }
    }

    /// One of the last few orders, ended ones too.
    fn some_order(&mut self) -> Option<Order> {
        let back = self.random.below(8) as usize;
        self.account.orders().rev().nth(back).cloned()
    }

    fn about(&mut self, order: &Order) -> AccountInput {
        let key = OrderKey::ClientOrderId(order.request.client_order_id.clone());
        match self.random.below(12) {
            0 => AccountInput::Cancel {
                key,
                request_id: None,
                reason_code: ReasonCode::CanceledByUser,
            },
            1 => {
                let (limit, stop) = (self.random.price(), self.random.price());
                let request = AmendOrder {
                    key,
                    request_id: self.ledger.next_request_id(),
                    quantity: Some(Quantity(1 + self.random.below(12) as i64)),
                    limit_price: order.limit_price.map(|_| limit),
                    stop_price: order.request.terms.stop_price.map(|_| stop),
                    expected_sequence: None,
                };
                let market = self.market();
                AccountInput::Amend { request, market }
            }
            _ => {
                self.reports += 1;
                AccountInput::Report {
                    venue_sequence: self.reports,
                    report: self.report(order),
                }
            }
        }
    }

    fn report(&mut self, order: &Order) -> VenueReport {
        let client_order_id = order.request.client_order_id.clone();
        let ts_event = self.now;
        match self.random.below(14) {
            0..3 => VenueReport::Accepted {
                venue_order_id: VenueOrderId::new(&format!("V-{client_order_id}")).unwrap(),
                client_order_id,
                ts_event,
            },
            3 => VenueReport::Rejected {
                client_order_id,
                reason: RejectReason::Other,
                text: "no".to_owned(),
                ts_event,
            },
            4 => VenueReport::Ended {
                client_order_id,
                end: if self.random.below(2) == 0 {
                    VenueEnd::Canceled
                } else {
                    VenueEnd::Expired
                },
                reason: EndReason::Requested,
                // Now and then a fill is still on its way.
                cumulative_quantity: Quantity(
                    order.filled_quantity.0 + i64::from(self.random.below(3) == 0),
                ),
                ts_event,
            },
            5..7 => VenueReport::Amended {
                client_order_id,
                quantity: order.quantity,
                limit_price: order.limit_price,
                stop_price: order.stop_price,
                ts_event,
            },
            7 => VenueReport::AmendRejected {
                client_order_id,
                text: "no".to_owned(),
                ts_event,
            },
            8 => VenueReport::CancelRejected {
                client_order_id,
                text: "no".to_owned(),
                ts_event,
            },
            9 => VenueReport::Triggered {
                client_order_id,
                ts_event,
            },
            10 => VenueReport::Busted {
                client_order_id,
                exec_id: self.execution_of(order),
                instrument_id: instrument_id(),
                ts_event,
            },
            _ => self.fill(order),
        }
    }

    /// The last execution of the order, or one that nobody knows yet.
    fn execution_of(&self, order: &Order) -> ExecId {
        let own = |record: &&apex_domain::account::ExecutionRecord| {
            record.order_id.as_ref() == Some(&order.order_id) && !record.busted
        };
        let known = self.account.executions().iter().rev().find(own);
        known.map_or_else(
            || ExecId::new(&format!("X{}", self.executions + 1)).unwrap(),
            |record| record.execution.exec_id.clone(),
        )
    }

    fn fill(&mut self, order: &Order) -> VenueReport {
        self.executions += 1;
        let most = order.leaves_quantity.0.max(1) as u64;
        VenueReport::Filled(Execution {
            exec_id: ExecId::new(&format!("X{}", self.executions)).unwrap(),
            client_order_id: order.request.client_order_id.clone(),
            instrument_id: instrument_id(),
            side: order.request.side,
            last_quantity: Quantity(1 + self.random.below(most) as i64),
            last_price: self.random.price(),
            fee: Money::ZERO,
            fee_currency: Currency::new("USD").unwrap(),
            maker: false,
            ts_event: self.now,
        })
    }
}

#[test]
fn every_order_is_as_the_account_has_it_after_every_event_of_any_life() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let mut life = Life::new(seed);
        for _ in 0..300 {
            life.step();
        }
        seen.append(&mut life.seen);
    }
    for kind in [
        "ListInitialized",
        "OrderHeld",
        "OrderTrailed",
        "OrderTriggered",
        "ExecutionBusted",
        "OrderAmended",
        "OrderAmendRejected",
        "OrderCanceled",
        "OrderCancelRejected",
        "OrderDenied",
        "OrderExpired",
        "OrderRejected",
        "OrderUnknown",
        "OrderEndHeld",
    ] {
        assert!(seen.contains(kind), "{kind} never came: {seen:?}");
    }
}
