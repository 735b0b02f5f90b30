//! What holds for every order, whatever the market and the account do.

use super::*;
use crate::market::{BookDelta, Level, Side, Trade};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::{NewOrder, VenueEnd, VenueReport as Report};
use proptest::prelude::*;

const ID: &str = "BTCUSDT.SIM";

#[derive(Clone, Debug)]
enum Op {
    /// One level stated anew.
    Book(Side, i64, i64),
    Print(Option<Side>, i64, i64),
    New(u8, NewOrder),
    Amend(u8, i64, Option<i64>),
    Cancel(u8),
}

fn client_id(n: u8) -> ClientOrderId {
    ClientOrderId::new(&format!("o{n}")).unwrap()
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let tif = prop_oneof![
        3 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
    ];
    let limit = || prop_oneof![6 => (90_i64..110).prop_map(Some), 1 => Just(None)];
    let order = (side(), limit(), 1_i64..50, tif, prop::bool::weighted(0.2)).prop_map(
        |(side, limit, quantity, time_in_force, post_only)| NewOrder {
            client_order_id: client_id(0),
            instrument_id: InstrumentId::new(ID).unwrap(),
            side,
            order_type: limit.map_or(OrderType::Market, |_| OrderType::Limit),
            quantity: Quantity(quantity),
            limit_price: limit.map(Price),
            time_in_force,
            post_only,
            reduce_only: false,
            terms: OrderTerms::default(),
        },
    );
    // Bids under 100 and asks from there on, with a few that cross, as recordings have them.
    let book = (side(), -2_i64..10, 0_i64..60).prop_map(|(side, distance, quantity)| {
        let price = match side {
            Side::Buy => 99 - distance,
            Side::Sell => 100 + distance,
        };
        Op::Book(side, price, quantity)
    });
    let op = prop_oneof![
        4 => book,
        2 => (prop::option::of(side()), 90_i64..110, 1_i64..60)
            .prop_map(|(side, price, quantity)| Op::Print(side, price, quantity)),
        3 => (0_u8..20, order).prop_map(|(n, order)| Op::New(n, order)),
        1 => (0_u8..20, 1_i64..60, limit()).prop_map(|(n, q, p)| Op::Amend(n, q, p)),
        1 => (0_u8..20).prop_map(Op::Cancel),
    ];
    prop::collection::vec(op, 1..150)
}

struct World {
    venue: BookFill,
    now: i64,
    /// What is left of each level as it was stated last.
    left: BTreeMap<(Side, Price), i64>,
}

impl World {
    fn new() -> World {
        let mut venue = BookFill::new("SIM", 1).unwrap();
        venue.define(crate::matching::tests::instrument(ID));
        World {
            venue,
            now: 0,
            left: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: &Op) -> Vec<Report> {
        self.now += 1;
        let now = UnixNanos(self.now);
        let instrument_id = InstrumentId::new(ID).unwrap();
        let mut out = Vec::new();
        match op {
            Op::Book(side, price, quantity) => {
                let level = Level {
                    price: Price(*price),
                    quantity: Quantity(*quantity),
                };
                self.left.insert((*side, level.price), *quantity);
                let (bids, asks) = match side {
                    Side::Buy => (vec![level], Vec::new()),
                    Side::Sell => (Vec::new(), vec![level]),
                };
                let delta = BookDelta {
                    instrument_id,
                    first_update_id: self.now as u64,
                    last_update_id: self.now as u64,
                    previous_update_id: None,
                    bids,
                    asks,
                    ts_event: now,
                    ts_init: now,
                };
                self.venue.on_market(&MarketEvent::Book(delta), &mut out);
            }
            Op::Print(aggressor, price, quantity) => {
                let trade = Trade {
                    instrument_id,
                    price: Price(*price),
                    quantity: Quantity(*quantity),
                    aggressor: *aggressor,
                    trade_id: 0,
                    ts_event: now,
                    ts_init: now,
                };
                self.venue.on_market(&MarketEvent::Trade(trade), &mut out);
            }
            Op::New(n, order) => {
                let order = NewOrder {
                    client_order_id: client_id(*n),
                    ..order.clone()
                };
                let command = VenueCommand::New(order);
                self.venue.on_command(now, &command, &mut out);
            }
            Op::Amend(n, quantity, limit_price) => {
                let command = VenueCommand::Amend {
                    client_order_id: client_id(*n),
                    instrument_id,
                    quantity: Quantity(*quantity),
                    limit_price: limit_price.map(Price),
                    stop_price: None,
                };
                self.venue.on_command(now, &command, &mut out);
            }
            Op::Cancel(n) => {
                let command = VenueCommand::Cancel {
                    client_order_id: client_id(*n),
                    instrument_id,
                };
                self.venue.on_command(now, &command, &mut out);
            }
        }
        out
    }
}

/// An order as its reports tell of it.
#[derive(Clone, Debug)]
struct Told {
    order: NewOrder,
    filled: i64,
    open: bool,
}

proptest! {
    #[test]
    fn every_order_keeps_its_limit_its_quantity_and_its_end(ops in ops()) {
        let mut world = World::new();
        let mut orders: BTreeMap<ClientOrderId, Told> = BTreeMap::new();
        let mut exec_ids = std::collections::BTreeSet::new();
        for op in &ops {
            let reports = world.apply(op);
            let mut by_prints = 0;
            for report in &reports {
                let id = report.client_order_id().unwrap();
                match report {
                    Report::Accepted { .. } => {
                        let Op::New(_, order) = op else {
                            return Err(TestCaseError::fail("accepted without an order"));
                        };
                        let told = Told { order: order.clone(), filled: 0, open: true };
                        prop_assert!(orders.insert(id.clone(), told).is_none());
                    }
                    Report::Filled(e) => {
                        let told = orders.get_mut(id).unwrap();
                        prop_assert!(told.open, "filled after its end");
                        prop_assert!(exec_ids.insert(e.exec_id.clone()));
                        prop_assert!(e.last_quantity.0 > 0);
                        let limit = told.order.limit_price;
                        let reached = super::super::order_book::reaches(e.side, limit, e.last_price);
                        prop_assert!(reached, "{:?} through {:?}", e, limit);
                        prop_assert!(!e.maker || Some(e.last_price) == limit);
                        prop_assert!(!told.order.post_only || e.maker);
                        told.filled += e.last_quantity.0;
                        prop_assert!(told.filled <= told.order.quantity.0);
                        told.open = told.filled < told.order.quantity.0;
                        if !e.maker {
                            // Only what was shown and not taken before.
                            let left = world.left.get_mut(&(e.side.opposite(), e.last_price));
                            let left = left.expect("took from a level that was never stated");
                            *left -= e.last_quantity.0;
                            prop_assert!(*left >= 0);
                        } else if matches!(op, Op::Print(..)) {
                            by_prints += e.last_quantity.0;
                        } else if let Op::Book(side, ..) = op {
                            prop_assert_eq!(*side, e.side.opposite());
                            // Crossing takes the best levels first, at our price.
                            let mut rest = e.last_quantity.0;
                            let mut levels: Vec<_> = world
                                .left
                                .iter_mut()
                                .filter(|((side, price), left)| {
                                    *side == e.side.opposite() && **left > 0
                                        && super::super::order_book::reaches(e.side, limit, *price)
                                })
                                .collect();
                            if e.side == Side::Sell {
                                levels.reverse();
                            }
                            for (_, left) in levels {
                                let taken = rest.min(*left);
                                *left -= taken;
                                rest -= taken;
                            }
                            prop_assert_eq!(rest, 0, "more than was shown");
                        }
                    }
                    Report::Ended { end, cumulative_quantity, .. } => {
                        let told = orders.get_mut(id).unwrap();
                        prop_assert!(told.open, "ended twice");
                        prop_assert_eq!(*end, VenueEnd::Canceled);
                        prop_assert_eq!(cumulative_quantity.0, told.filled);
                        let is_fok = told.order.time_in_force == TimeInForce::Fok;
                        prop_assert!(!is_fok || told.filled == 0);
                        told.open = false;
                    }
                    Report::Amended { quantity, limit_price, .. } => {
                        let told = orders.get_mut(id).unwrap();
                        prop_assert!(told.open && quantity.0 > told.filled);
                        told.order.quantity = *quantity;
                        told.order.limit_price = *limit_price;
                    }
                    _ => {}
                }
            }
            if let Op::Print(aggressor, _, quantity) = op {
                // One side at most, but where the aggressor is not known.
                let sides = if aggressor.is_some() { 1 } else { 2 };
                prop_assert!(by_prints <= quantity * sides);
            }
        }
        for (id, told) in orders {
            prop_assert_eq!(world.venue.own.ledger.open(&id).is_some(), told.open);
            if told.open {
                prop_assert_eq!(told.order.time_in_force, TimeInForce::Gtc);
                prop_assert_eq!(told.order.order_type, OrderType::Limit);
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_reports(ops in ops()) {
        let run = || {
            let mut world = World::new();
            ops.iter().flat_map(|op| world.apply(op)).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}
