//! Cases of the trade, and a comparison with a book that is too simple to be wrong.

use super::*;
use proptest::prelude::*;

fn limit(side: Side, price: i64, quantity: i64) -> PlaceOrder {
    PlaceOrder {
        owner: 1,
        side,
        limit_price: Some(Price(price)),
        quantity: Quantity(quantity),
        filled: Quantity::ZERO,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
    }
}

fn market(side: Side, quantity: i64) -> PlaceOrder {
    PlaceOrder {
        limit_price: None,
        ..limit(side, 0, quantity)
    }
}

fn place(book: &mut OrderBook, order: PlaceOrder) -> (Placed, Vec<(i64, i64)>) {
    let mut changes = BookChanges::default();
    let placed = book.place(order, &mut changes).unwrap();
    let trades = changes
        .trades
        .iter()
        .map(|t| (t.price.0, t.quantity.0))
        .collect();
    (placed, trades)
}

#[test]
fn liquidity_is_consumed() {
    let mut book = OrderBook::new();
    place(&mut book, limit(Side::Sell, 10, 100));
    assert_eq!(place(&mut book, market(Side::Buy, 30)).1, [(10, 30)]);
    assert_eq!(book.quantity_at(Side::Sell, Price(10)), Quantity(70));
    place(&mut book, market(Side::Buy, 50));
    assert_eq!(book.quantity_at(Side::Sell, Price(10)), Quantity(20));
}

#[test]
fn a_market_order_sweeps_levels_and_never_rests() {
    let mut book = OrderBook::new();
    place(&mut book, limit(Side::Sell, 10, 5));
    place(&mut book, limit(Side::Sell, 12, 5));
    let (placed, trades) = place(&mut book, market(Side::Buy, 20));
    assert_eq!(trades, [(10, 5), (12, 5)]);
    assert_eq!(
        (placed.outcome, placed.filled),
        (Outcome::Canceled, Quantity(10))
    );
    assert!(book.is_empty());
}

#[test]
fn an_ioc_order_cancels_its_rest() {
    let mut book = OrderBook::new();
    place(&mut book, limit(Side::Sell, 10, 5));
    place(&mut book, limit(Side::Sell, 11, 5));
    let ioc = PlaceOrder {
        time_in_force: TimeInForce::Ioc,
        ..limit(Side::Buy, 10, 8)
    };
    let (placed, trades) = place(&mut book, ioc);
    assert_eq!(trades, [(10, 5)]);
    assert_eq!(placed.outcome, Outcome::Canceled);
    assert_eq!(book.best(Side::Buy), None);
}

#[test]
fn a_fok_order_fills_wholly_or_not_at_all() {
    let mut book = OrderBook::new();
    place(&mut book, limit(Side::Sell, 10, 5));
    place(&mut book, limit(Side::Sell, 11, 5));
    let fok = |price, quantity| PlaceOrder {
        time_in_force: TimeInForce::Fok,
        ..limit(Side::Buy, price, quantity)
    };
    let (placed, trades) = place(&mut book, fok(10, 6));
    assert_eq!(
        (placed.outcome, placed.filled),
        (Outcome::Canceled, Quantity(0))
    );
    assert!(trades.is_empty());
    assert_eq!(book.len(), 2);
    let (placed, trades) = place(&mut book, fok(11, 10));
    assert_eq!(placed.outcome, Outcome::Filled);
    assert_eq!(trades, [(10, 5), (11, 5)]);
}

#[test]
fn a_post_only_order_that_would_cross_is_refused() {
    let mut book = OrderBook::new();
    place(&mut book, limit(Side::Sell, 10, 5));
    let post_only = |price| PlaceOrder {
        post_only: true,
        ..limit(Side::Buy, price, 5)
    };
    let mut changes = BookChanges::default();
    assert_eq!(
        book.place(post_only(10), &mut changes),
        Err(PlaceError::PostOnlyWouldTrade)
    );
    assert_eq!(changes, BookChanges::default());
    let id = book.place(post_only(9), &mut changes).unwrap().id;
    let before = book.resting(Side::Buy);
    assert_eq!(
        book.amend(id, Quantity(5), Some(Price(10)), &mut changes),
        Err(AmendError::PostOnlyWouldTrade)
    );
    assert_eq!(
        book.resting(Side::Buy),
        before,
        "a failed amend changes nothing"
    );
}

#[test]
fn less_quantity_keeps_the_place_and_anything_else_goes_to_the_back() {
    let mut book = OrderBook::new();
    let ids: Vec<u64> = (0..3)
        .map(|_| place(&mut book, limit(Side::Buy, 10, 5)).0.id)
        .collect();
    let order = |book: &OrderBook| -> Vec<u64> {
        book.resting(Side::Buy)
            .iter()
            .map(|order| order.id)
            .collect()
    };
    let mut changes = BookChanges::default();
    book.amend(ids[0], Quantity(3), None, &mut changes).unwrap();
    assert_eq!(order(&book), ids);
    assert_eq!(book.quantity_at(Side::Buy, Price(10)), Quantity(13));
    book.amend(ids[0], Quantity(4), None, &mut changes).unwrap();
    assert_eq!(order(&book), [ids[1], ids[2], ids[0]]);
    book.amend(ids[1], Quantity(5), Some(Price(9)), &mut changes)
        .unwrap();
    assert_eq!(order(&book), [ids[2], ids[0], ids[1]]);
    assert_eq!(
        book.amend(77, Quantity(5), None, &mut changes),
        Err(AmendError::NotFound)
    );
}

#[test]
fn an_amend_not_above_the_filled_quantity_is_refused() {
    let mut book = OrderBook::new();
    let id = place(&mut book, limit(Side::Buy, 10, 5)).0.id;
    place(&mut book, limit(Side::Sell, 10, 2));
    let before = book.order(id);
    let mut changes = BookChanges::default();
    for quantity in [0, 1, 2] {
        assert_eq!(
            book.amend(id, Quantity(quantity), None, &mut changes),
            Err(AmendError::Quantity)
        );
    }
    assert_eq!(book.order(id), before);
}

/// Orders in a plain list, searched from the front each time.
#[derive(Default)]
struct Reference {
    orders: Vec<(RestingOrder, u64)>,
    clock: u64,
    next_id: u64,
}

impl Reference {
    fn best(&self, side: Side) -> Option<usize> {
        let rank = |order: &RestingOrder| match side {
            Side::Buy => -order.price.0,
            Side::Sell => order.price.0,
        };
        (0..self.orders.len())
            .filter(|&i| self.orders[i].0.side == side)
            .min_by_key(|&i| (rank(&self.orders[i].0), self.orders[i].1))
    }

    fn run(&mut self, id: u64, order: &PlaceOrder, trades: &mut Vec<(u64, u64, i64, i64)>) {
        let mut filled = order.filled;
        let before = (self.orders.clone(), trades.len());
        while filled < order.quantity {
            let Some(i) = self.best(order.side.opposite()) else {
                break;
            };
            let maker = &mut self.orders[i].0;
            if !reaches(order.side, order.limit_price, maker.price) {
                break;
            }
            let quantity = (order.quantity.0 - filled.0).min(maker.leaves().0);
            trades.push((id, maker.id, maker.price.0, quantity));
            maker.filled.0 += quantity;
            maker.shown = maker.leaves();
            filled.0 += quantity;
            if maker.leaves().is_zero() {
                self.orders.remove(i);
            }
        }
        if order.time_in_force == TimeInForce::Fok && filled < order.quantity {
            self.orders = before.0;
            trades.truncate(before.1);
        } else if let (Some(price), TimeInForce::Gtc) = (order.limit_price, order.time_in_force)
            && filled < order.quantity
        {
            self.clock += 1;
            let resting = RestingOrder {
                id,
                owner: order.owner,
                side: order.side,
                price,
                quantity: order.quantity,
                filled,
                post_only: order.post_only,
                shown: Quantity(order.quantity.0 - filled.0),
                terms: PlaceTerms::default(),
                arrival: self.clock,
            };
            self.orders.push((resting, self.clock));
        }
    }

    fn would_trade(&self, side: Side, limit: Option<Price>) -> bool {
        self.best(side.opposite())
            .is_some_and(|i| reaches(side, limit, self.orders[i].0.price))
    }

    fn apply(&mut self, op: &Op, trades: &mut Vec<(u64, u64, i64, i64)>) {
        match *op {
            Op::Place(order) => {
                if order.post_only
                    && (order.limit_price.is_none()
                        || self.would_trade(order.side, order.limit_price))
                {
                    return;
                }
                self.next_id += 1;
                self.run(self.next_id, &order, trades);
            }
            Op::Cancel(id) => self.orders.retain(|(order, _)| order.id != id),
            Op::Execute(id, quantity) => {
                let Some(i) = self.orders.iter().position(|(order, _)| order.id == id) else {
                    return;
                };
                let order = &mut self.orders[i].0;
                order.filled.0 += quantity.min(order.leaves()).0;
                order.shown = order.leaves();
                if order.leaves().is_zero() {
                    self.orders.remove(i);
                }
            }
            Op::Amend(id, quantity, price) => {
                let Some(i) = self.orders.iter().position(|(order, _)| order.id == id) else {
                    return;
                };
                let order = self.orders[i].0;
                let new_price = price.unwrap_or(order.price);
                if quantity <= order.filled
                    || order.post_only && self.would_trade(order.side, Some(new_price))
                {
                    return;
                }
                if new_price == order.price && quantity <= order.quantity {
                    self.orders[i].0.quantity = quantity;
                    self.orders[i].0.shown = self.orders[i].0.leaves();
                    return;
                }
                self.orders.remove(i);
                let moved = PlaceOrder {
                    owner: order.owner,
                    side: order.side,
                    limit_price: Some(new_price),
                    quantity,
                    filled: order.filled,
                    time_in_force: TimeInForce::Gtc,
                    post_only: order.post_only,
                };
                self.run(id, &moved, trades);
            }
        }
    }

    fn resting(&self, side: Side) -> Vec<RestingOrder> {
        let mut copy = Reference {
            orders: self.orders.clone(),
            ..Reference::default()
        };
        let mut out = Vec::new();
        while let Some(i) = copy.best(side) {
            out.push(copy.orders.remove(i).0);
        }
        out
    }
}

#[derive(Clone, Debug)]
enum Op {
    Place(PlaceOrder),
    Cancel(u64),
    Amend(u64, Quantity, Option<Price>),
    Execute(u64, Quantity),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let tif = prop_oneof![
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
    ];
    // A narrow band of prices, so that orders meet often.
    let price = prop_oneof![5 => (-4_i64..5).prop_map(|p| Some(Price(p))), 1 => Just(None)];
    let place = (
        side,
        price.clone(),
        1_i64..20,
        tif,
        prop::bool::weighted(0.15),
    )
        .prop_map(|(side, limit_price, quantity, time_in_force, post_only)| {
            Op::Place(PlaceOrder {
                owner: 7,
                side,
                limit_price,
                quantity: Quantity(quantity),
                filled: Quantity::ZERO,
                time_in_force,
                post_only,
            })
        });
    let op = prop_oneof![
        6 => place,
        2 => (1_u64..60).prop_map(Op::Cancel),
        1 => (1_u64..60, 1_i64..25).prop_map(|(id, part)| Op::Execute(id, Quantity(part))),
        2 => (1_u64..60, 0_i64..25, price)
            .prop_map(|(id, quantity, price)| Op::Amend(id, Quantity(quantity), price)),
    ];
    prop::collection::vec(op, 1..120)
}

fn apply(book: &mut OrderBook, op: &Op, changes: &mut BookChanges) {
    // A refusal is a legal answer here; the reference refuses the same ones.
    match *op {
        Op::Place(order) => drop(book.place(order, changes)),
        Op::Cancel(id) => drop(book.cancel(id, changes)),
        Op::Execute(id, quantity) => book.execute(id, quantity, changes),
        Op::Amend(id, quantity, price) => drop(book.amend(id, quantity, price, changes)),
    }
}

#[test]
fn an_executed_iceberg_shows_its_next_part_behind_the_others() {
    let mut book = OrderBook::new();
    let mut changes = BookChanges::recording();
    let place = |quantity| PlaceOrder {
        owner: 1,
        side: Side::Buy,
        limit_price: Some(Price(100)),
        quantity: Quantity(quantity),
        filled: Quantity::ZERO,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
    };
    let terms = PlaceTerms {
        display: Some(Quantity(4)),
        ..PlaceTerms::default()
    };
    let ice = book.place_with(place(20), terms, &mut changes).unwrap().id;
    let plain = book.place(place(5), &mut changes).unwrap().id;
    let queue = |book: &OrderBook| -> Vec<(u64, i64, i64)> {
        let resting = book.resting(Side::Buy);
        resting
            .iter()
            .map(|o| (o.id, o.shown.0, o.leaves().0))
            .collect()
    };
    book.execute(ice, Quantity(3), &mut changes);
    assert_eq!(queue(&book), [(ice, 1, 17), (plain, 5, 5)]);
    // More than it shows: hidden parts trade too, and what is left comes anew.
    book.execute(ice, Quantity(10), &mut changes);
    assert_eq!(queue(&book), [(plain, 5, 5), (ice, 4, 7)]);
    assert_eq!(book.quantity_at(Side::Buy, Price(100)), Quantity(9));
    book.execute(ice, Quantity(7), &mut changes);
    book.execute(plain, Quantity(5), &mut changes);
    book.execute(plain, Quantity(5), &mut changes);
    assert!(book.is_empty());
    let mut shown = crate::book::L3Book::new(10);
    for change in changes.orders() {
        shown.apply(*change).unwrap();
    }
    assert!(shown.is_empty());
}

proptest! {
    #[test]
    fn the_book_trades_and_rests_like_a_plain_list(ops in ops()) {
        let mut book = OrderBook::new();
        let mut reference = Reference::default();
        let mut expected = Vec::new();
        let mut changes = BookChanges::default();
        for op in &ops {
            apply(&mut book, op, &mut changes);
            reference.apply(op, &mut expected);
            for side in [Side::Buy, Side::Sell] {
                prop_assert_eq!(book.resting(side), reference.resting(side));
                let sum: i64 = book.depth(side, usize::MAX).iter().map(|l| l.quantity.0).sum();
                let leaves: i64 = book.resting(side).iter().map(|o| o.leaves().0).sum();
                prop_assert_eq!(sum, leaves);
                prop_assert_eq!(book.depth(side, 1).first().copied(), book.best(side));
            }
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                prop_assert!(bid.price < ask.price, "crossed: {:?} {:?}", bid, ask);
            }
        }
        let trades: Vec<_> = changes
            .trades
            .iter()
            .map(|t| (t.taker, t.maker, t.price.0, t.quantity.0))
            .collect();
        prop_assert_eq!(trades, expected);
    }

    #[test]
    fn quantity_is_conserved_and_no_limit_is_broken(ops in ops()) {
        let mut book = OrderBook::new();
        let mut changes = BookChanges::default();
        for op in &ops {
            let Op::Place(order) = op else {
                apply(&mut book, op, &mut changes);
                continue;
            };
            changes.clear();
            let count = book.len();
            let Ok(placed) = book.place(*order, &mut changes) else {
                prop_assert!(changes.trades.is_empty());
                prop_assert_eq!(book.len(), count);
                continue;
            };
            let traded: i64 = changes.trades.iter().map(|t| t.quantity.0).sum();
            prop_assert_eq!(traded, placed.filled.0);
            let resting = book.order(placed.id).map_or(0, |o| o.leaves().0);
            match placed.outcome {
                Outcome::Resting => prop_assert_eq!(traded + resting, order.quantity.0),
                Outcome::Filled => prop_assert_eq!((traded, resting), (order.quantity.0, 0)),
                Outcome::SelfTrade => prop_assert!(false, "nobody asked for it"),
                Outcome::Canceled => {
                    prop_assert_eq!(resting, 0);
                    prop_assert!(traded < order.quantity.0);
                    prop_assert!(order.time_in_force != TimeInForce::Fok || traded == 0);
                }
            }
            for trade in &changes.trades {
                prop_assert!(reaches(order.side, order.limit_price, trade.price));
                let rest = book.order(trade.maker).map_or(0, |o| o.leaves().0);
                prop_assert!(trade.quantity.0 > 0 && trade.maker_leaves.0 >= rest);
            }
        }
    }

    #[test]
    fn the_same_operations_give_the_same_trades(ops in ops()) {
        let run = || {
            let mut book = OrderBook::new();
            let mut changes = BookChanges::default();
            for op in &ops {
                apply(&mut book, op, &mut changes);
            }
            (changes, book.resting(Side::Buy), book.resting(Side::Sell))
        };
        prop_assert_eq!(run(), run());
    }
}
