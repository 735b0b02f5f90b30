//! What holds at the exchange whatever its accounts do.

use super::*;
use crate::order::{SelfTradePrevention, TrailingOffset};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Op {
    New(usize, NewOrder),
    Amend(usize, u8, i64, i64),
    Cancel(usize, u8),
    Halt(bool),
    Pass(i64),
}

pub(super) fn orders() -> impl Strategy<Value = NewOrder> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let kind = prop::sample::select(OrderType::ALL.to_vec());
    let time = prop::sample::select(TimeInForce::ALL.to_vec());
    let stp = prop::option::of(prop::sample::select(vec![
        SelfTradePrevention::ExpireTaker,
        SelfTradePrevention::ExpireMaker,
        SelfTradePrevention::ExpireBoth,
        SelfTradePrevention::Decrement,
    ]));
    let numbers = (1_i64..30, 90_i64..110, 90_i64..110, 1_i64..8, 1_i64..80);
    let flags = (prop::bool::weighted(0.4), prop::bool::weighted(0.2));
    (0_u8..25, side, kind, time, stp, numbers, flags).prop_map(
        |(n, side, kind, time, stp, numbers, (iceberg, post_only))| {
            let (quantity, price, stop_price, small, end) = numbers;
            let mut order = order(&format!("o{n}"), side, kind, quantity);
            order.time_in_force = time;
            order.limit_price = kind.has_limit().then_some(Price(price));
            order.post_only = post_only && kind.has_limit();
            order.terms.stop_price = kind.is_conditional().then_some(Price(stop_price));
            order.terms.trailing = Some(TrailingOffset::Price(Price(small)));
            order.terms.expire_at = Some(UnixNanos(100 + end * 4));
            order.terms.self_trade_prevention = stp;
            order.terms.display_quantity = iceberg.then_some(Quantity(small));
            order
        },
    )
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0_usize..3, orders()).prop_map(|(who, order)| Op::New(who, order)),
        1 => (0_usize..3, 0_u8..25, 1_i64..40, 90_i64..110)
            .prop_map(|(who, n, quantity, price)| Op::Amend(who, n, quantity, price)),
        1 => (0_usize..3, 0_u8..25).prop_map(|(who, n)| Op::Cancel(who, n)),
        1 => prop::bool::ANY.prop_map(Op::Halt),
        1 => (1_i64..30).prop_map(Op::Pass),
    ];
    prop::collection::vec(op, 1..120)
}

fn run(desk: &mut Desk, op: &Op) -> Vec<ExchangeEvent> {
    desk.now += 1;
    let command = |who: usize, command| ExchangeInput::Command {
        account_id: account(NAMES[who]),
        command,
    };
    let input = match op {
        Op::New(who, order) => command(*who, VenueCommand::New(order.clone())),
        Op::Amend(who, n, quantity, price) => command(
            *who,
            VenueCommand::Amend {
                client_order_id: client_id(&format!("o{n}")),
                instrument_id: id(),
                quantity: Quantity(*quantity),
                limit_price: Some(Price(*price)),
                stop_price: None,
            },
        ),
        Op::Cancel(who, n) => command(
            *who,
            VenueCommand::Cancel {
                client_order_id: client_id(&format!("o{n}")),
                instrument_id: id(),
            },
        ),
        Op::Halt(true) => ExchangeInput::Control(VenueControl::Halt {
            instrument_id: id(),
        }),
        Op::Halt(false) => ExchangeInput::Control(VenueControl::Resume {
            instrument_id: id(),
        }),
        Op::Pass(time) => {
            desk.now += time;
            command(
                0,
                VenueCommand::Query {
                    client_order_id: client_id("time"),
                    instrument_id: id(),
                },
            )
        }
    };
    desk.exchange("", input)
}

/// An order as its reports tell of it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    order: NewOrder,
    filled: i64,
    open: bool,
    triggered: bool,
}

pub(super) type Orders = BTreeMap<(String, ClientOrderId), Told>;

/// Takes a report into what is known, and checks that it may be.
pub(super) fn take(
    orders: &mut Orders,
    new: Option<&NewOrder>,
    name: &str,
    report: &VenueReport,
    now: i64,
) -> Result<(), TestCaseError> {
    let key = (name.to_owned(), report.client_order_id().unwrap().clone());
    if let VenueReport::Accepted { .. } = report {
        let Some(order) = new else {
            return Err(TestCaseError::fail("accepted without an order"));
        };
        let told = Told {
            order: order.clone(),
            filled: 0,
            open: true,
            triggered: !order.order_type.is_conditional(),
        };
        prop_assert!(orders.insert(key, told).is_none());
        return Ok(());
    }
    let Some(told) = orders.get_mut(&key) else {
        let of_no_order = matches!(
            report,
            VenueReport::Rejected { .. }
                | VenueReport::CancelRejected { .. }
                | VenueReport::AmendRejected { .. }
                | VenueReport::NotFound { .. }
        );
        prop_assert!(of_no_order, "{report:?}");
        return Ok(());
    };
    match report {
        VenueReport::Filled(e) => {
            prop_assert!(told.open && told.triggered, "{told:?}");
            let limit = told.order.limit_price;
            let kept = crate::matching::order_book::reaches(e.side, limit, e.last_price);
            prop_assert!(kept, "{e:?} through {limit:?}");
            prop_assert!(!told.order.post_only || e.maker);
            told.filled += e.last_quantity.0;
            prop_assert!(told.filled <= told.order.quantity.0);
            told.open = told.filled < told.order.quantity.0;
            if matches!(
                told.order.time_in_force,
                TimeInForce::Day | TimeInForce::Gtd
            ) {
                prop_assert!(told.order.terms.expire_at >= Some(UnixNanos(now)));
            }
        }
        VenueReport::Triggered { .. } => {
            prop_assert!(!told.triggered && told.open);
            told.triggered = true;
        }
        VenueReport::Amended {
            quantity,
            limit_price,
            ..
        } => {
            prop_assert!(told.open && quantity.0 > told.filled);
            told.order.quantity = *quantity;
            told.order.limit_price = *limit_price;
        }
        VenueReport::Ended {
            cumulative_quantity,
            ..
        } => {
            prop_assert!(told.open, "ended twice: {told:?}");
            prop_assert_eq!(cumulative_quantity.0, told.filled);
            let fok = told.order.time_in_force == TimeInForce::Fok;
            prop_assert!(!fok || told.filled == 0);
            told.open = false;
        }
        VenueReport::Rejected { reason, .. } => {
            let again = *reason == crate::venue::RejectReason::DuplicateClientOrderId;
            prop_assert!(again || (told.open && told.filled == 0), "{told:?}");
            told.open &= again;
        }
        _ => {}
    }
    Ok(())
}

/// Checks that the book shows what the open orders may show, and no more.
fn check_shown(desk: &Desk, orders: &Orders) -> Result<(), TestCaseError> {
    let Model::Exchange(exchange) = &desk.model else {
        return Err(TestCaseError::fail("the exchange is one"));
    };
    let snapshots = exchange.snapshots(UnixNanos(desk.now));
    let Some(MarketEvent::Snapshot(book)) = snapshots.first() else {
        return Err(TestCaseError::fail("a book comes first"));
    };
    if let (Some(bid), Some(ask)) = (book.bids.first(), book.asks.first()) {
        prop_assert!(bid.price < ask.price);
    }
    for (side, levels) in [(Side::Buy, &book.bids), (Side::Sell, &book.asks)] {
        for level in levels {
            let at_level = orders.values().filter(|told| {
                told.open
                    && told.triggered
                    && told.order.side == side
                    && told.order.limit_price == Some(level.price)
            });
            let (mut most, mut least) = (0, 0);
            for told in at_level {
                let leaves = told.order.quantity.0 - told.filled;
                let display = told.order.terms.display_quantity;
                let display = display.map_or(leaves, |display| display.0);
                most += leaves.min(display);
                least += 1;
            }
            prop_assert!(level.quantity.0 <= most, "{level:?} shows over {most}");
            prop_assert!(level.quantity.0 >= least, "{level:?} shows under {least}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn quantity_and_cash_are_conserved_and_no_promise_is_broken(ops in ops()) {
        let mut desk = Desk::new("exchange");
        let mut orders = Orders::new();
        let (mut quantity, mut cash) = (0_i64, 0_i64);
        for op in &ops {
            let events = run(&mut desk, op);
            let now = desk.now;
            let mut trades: BTreeMap<(i64, i64), i64> = BTreeMap::new();
            for event in &events {
                match event {
                    ExchangeEvent::Report { account_id, report } => {
                        let new = match op {
                            Op::New(_, order) => Some(order),
                            _ => None,
                        };
                        take(&mut orders, new, account_id.as_str(), report, now)?;
                        if let VenueReport::Filled(e) = report {
                            let signed = e.side.sign() * e.last_quantity.0;
                            quantity += signed;
                            cash -= signed * e.last_price.0;
                            *trades.entry((e.last_price.0, e.last_quantity.0)).or_insert(0) += 1;
                        }
                    }
                    ExchangeEvent::Market(MarketEvent::Trade(t)) => {
                        *trades.entry((t.price.0, t.quantity.0)).or_insert(0) -= 2;
                    }
                    _ => {}
                }
            }
            // Each trade is two executions, and nothing is made or lost between accounts.
            prop_assert!(trades.values().all(|count| *count == 0), "{trades:?}");
            prop_assert_eq!((quantity, cash), (0, 0));
            check_shown(&desk, &orders)?;
        }
    }

    #[test]
    fn an_order_that_asks_for_it_never_trades_with_its_own_account(ops in ops()) {
        let mut desk = Desk::new("exchange");
        let mut asked: BTreeMap<(String, ClientOrderId), bool> = BTreeMap::new();
        for op in &ops {
            if let Op::New(who, order) = op {
                let prevents = order.terms.self_trade_prevention.is_some();
                let key = (NAMES[*who].to_owned(), order.client_order_id.clone());
                asked.entry(key).or_insert(prevents);
            }
            let events = run(&mut desk, op);
            let fills: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    ExchangeEvent::Report { account_id, report: VenueReport::Filled(e) } => {
                        Some((account_id.as_str().to_owned(), e))
                    }
                    _ => None,
                })
                .collect();
            // The maker's execution comes first, then the taker's of the same trade.
            for pair in fills.chunks(2) {
                let [(maker, _), (taker, e)] = pair else {
                    return Err(TestCaseError::fail("a trade has two sides"));
                };
                prop_assert!(!e.maker);
                let prevents = asked[&(taker.clone(), e.client_order_id.clone())];
                prop_assert!(!prevents || maker != taker, "{e:?}");
            }
        }
    }

    #[test]
    fn the_better_price_then_the_older_order_trades_first(
        resting in prop::collection::vec((95_i64..105, 1_i64..10), 1..20),
        taken in prop::collection::vec(1_i64..15, 1..10),
    ) {
        let mut desk = Desk::new("exchange");
        let mut queue: Vec<(i64, usize, i64)> = Vec::new();
        for (n, (price, quantity)) in resting.iter().enumerate() {
            desk.submit(limit(&format!("o{n}"), Side::Sell, *price, *quantity));
            queue.push((*price, n, *quantity));
        }
        queue.sort_unstable();
        for (n, wanted) in taken.iter().enumerate() {
            let buy = order(&format!("t{n}"), Side::Buy, OrderType::Market, *wanted);
            let reports = desk.send("m", VenueCommand::New(buy));
            let mut left = *wanted;
            let mut expected = Vec::new();
            for (price, order, quantity) in &mut queue {
                let part = left.min(*quantity);
                if part > 0 {
                    expected.push((format!("o{order}"), *price, part));
                    *quantity -= part;
                    left -= part;
                }
            }
            let traded: Vec<_> = reports
                .iter()
                .map(|report| match report {
                    VenueReport::Filled(e) => (
                        e.client_order_id.to_string(),
                        e.last_price.0,
                        e.last_quantity.0,
                    ),
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(traded, expected);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_hash(ops in ops()) {
        let hash = || {
            let mut desk = Desk::new("exchange");
            ops.iter().fold(0_u64, |hash, op| {
                let events = run(&mut desk, op);
                let reports: Vec<_> = NAMES.iter().map(|name| reports_of(&events, name)).collect();
                let bytes = postcard::to_stdvec(&reports).unwrap();
                crate::hash::roll_bytes(hash, &bytes)
            })
        };
        prop_assert_eq!(hash(), hash());
    }
}
