//! Cases of the trade, and the changes of the matching book folded into a book of orders.

use super::*;
use crate::matching::order_book::{BookChanges, OrderBook, PlaceOrder};
use crate::order::TimeInForce;
use proptest::prelude::*;

fn order(order_id: u64, side: Side, price: i64, quantity: i64) -> L3Order {
    L3Order {
        order_id,
        side,
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

fn add(order_id: u64, side: Side, price: i64, quantity: i64) -> L3Change {
    L3Change::Add(order(order_id, side, price, quantity))
}

fn execute(order_id: u64, quantity: i64) -> L3Change {
    L3Change::Execute {
        order_id,
        quantity: Quantity(quantity),
    }
}

fn modify(order_id: u64, price: i64, quantity: i64) -> L3Change {
    L3Change::Modify {
        order_id,
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

fn cancel(order_id: u64) -> L3Change {
    L3Change::Cancel { order_id }
}

/// Applies changes that all fit and compares the bids as (id, quantity) in priority.
fn check(changes: &[L3Change], bids: &[(u64, i64)]) -> L3Book {
    let mut book = L3Book::new(16);
    for change in changes {
        book.apply(*change).unwrap();
    }
    let found: Vec<_> = book
        .orders(Side::Buy)
        .map(|order| (order.order_id, order.quantity.0))
        .collect();
    assert_eq!(found, bids);
    assert_eq!(book.status(), L3Status::InSync);
    book
}

const QUEUE: [L3Change; 3] = [
    L3Change::Add(L3Order {
        order_id: 1,
        side: Side::Buy,
        price: Price(10),
        quantity: Quantity(100),
    }),
    L3Change::Add(L3Order {
        order_id: 2,
        side: Side::Buy,
        price: Price(10),
        quantity: Quantity(50),
    }),
    L3Change::Add(L3Order {
        order_id: 3,
        side: Side::Buy,
        price: Price(11),
        quantity: Quantity(5),
    }),
];

fn after(changes: &[L3Change]) -> Vec<L3Change> {
    [&QUEUE[..], changes].concat()
}

#[test]
fn the_best_price_comes_first_and_then_the_oldest_order() {
    check(&QUEUE, &[(3, 5), (1, 100), (2, 50)]);
}

#[test]
fn executions_bring_an_order_to_the_front_of_its_queue() {
    let ahead = |book: &L3Book| book.queue_position(2).map(|at| at.quantity_ahead);
    let mut book = check(&QUEUE, &[(3, 5), (1, 100), (2, 50)]);
    assert_eq!(book.queue_position(2).unwrap().orders_ahead, 1);
    assert_eq!(ahead(&book), Some(100));
    // Sells of 80, 30 and 50 come: nothing, 10 and 40 of the order are filled.
    book.apply(execute(1, 80)).unwrap();
    assert_eq!(ahead(&book), Some(20));
    book.apply(execute(1, 20)).unwrap();
    book.apply(execute(2, 10)).unwrap();
    assert_eq!(ahead(&book), Some(0));
    assert_eq!(book.order(2).unwrap().quantity, Quantity(40));
    book.apply(execute(2, 40)).unwrap();
    assert_eq!((ahead(&book), book.order(2)), (None, None));
    assert_eq!(book.len(), 1);
}

#[test]
fn only_less_quantity_at_the_same_price_keeps_the_place() {
    check(&after(&[modify(1, 10, 70)]), &[(3, 5), (1, 70), (2, 50)]);
    check(&after(&[modify(1, 10, 101)]), &[(3, 5), (2, 50), (1, 101)]);
    check(&after(&[modify(1, 11, 100)]), &[(3, 5), (1, 100), (2, 50)]);
    check(&after(&[modify(3, 10, 1)]), &[(1, 100), (2, 50), (3, 1)]);
    let canceled = check(&after(&[cancel(1)]), &[(3, 5), (2, 50)]);
    assert_eq!(canceled.queue_position(2).unwrap().quantity_ahead, 0);
}

#[test]
fn a_change_that_does_not_fit_is_refused_and_marks_the_book() {
    for (change, error) in [
        (cancel(9), L3Error::UnknownOrder { order_id: 9 }),
        (execute(9, 1), L3Error::UnknownOrder { order_id: 9 }),
        (modify(9, 1, 1), L3Error::UnknownOrder { order_id: 9 }),
        (
            add(1, Side::Sell, 20, 1),
            L3Error::DuplicateOrder { order_id: 1 },
        ),
        (
            execute(2, 51),
            L3Error::Overfill {
                order_id: 2,
                quantity: Quantity(51),
                open: Quantity(50),
            },
        ),
        (execute(2, 0), L3Error::Quantity { order_id: 2 }),
        (modify(2, 10, -1), L3Error::Quantity { order_id: 2 }),
        (add(4, Side::Buy, 1, 0), L3Error::Quantity { order_id: 4 }),
    ] {
        let mut book = check(&QUEUE, &[(3, 5), (1, 100), (2, 50)]);
        let before: Vec<_> = book.orders(Side::Buy).collect();
        assert_eq!(book.apply(change), Err(error));
        assert_eq!(book.status(), L3Status::Broken);
        assert_eq!(book.orders(Side::Buy).collect::<Vec<_>>(), before);
        // It goes on, marked, until it is replaced.
        book.apply(cancel(3)).unwrap();
        assert_eq!(book.status(), L3Status::Broken);
        book.replace(&before).unwrap();
        assert_eq!(book.status(), L3Status::InSync);
        assert_eq!(book.orders(Side::Buy).collect::<Vec<_>>(), before);
        assert_eq!(book.counters().refused, 1);
    }
}

#[test]
fn a_feed_that_only_adds_is_bounded() {
    let mut book = L3Book::new(1);
    book.apply(add(1, Side::Buy, 1, 1)).unwrap();
    let full = L3Error::Full { orders_max: 1 };
    assert_eq!(book.apply(add(2, Side::Buy, 1, 1)), Err(full));
    assert_eq!(book.len(), 1);
}

#[test]
fn a_level_that_differs_is_named_and_marks_the_book() {
    let level = |price, quantity| Level {
        price: Price(price),
        quantity: Quantity(quantity),
    };
    let asks = Ladder::new(Side::Sell);
    for (bids, price, orders, told) in [
        (vec![level(11, 5), level(10, 151)], 10, 150, 151),
        (vec![level(11, 5)], 10, 150, 0),
        (vec![level(12, 1), level(11, 5), level(10, 150)], 12, 0, 1),
        (vec![level(10, 150)], 11, 5, 0),
    ] {
        let mut book = check(&QUEUE, &[(3, 5), (1, 100), (2, 50)]);
        let mut ladder = Ladder::new(Side::Buy);
        ladder.replace(&bids);
        let mismatch = L2Mismatch {
            side: Side::Buy,
            price: Price(price),
            orders: Quantity(orders),
            level: Quantity(told),
        };
        assert_eq!(book.check_levels(&ladder, &asks), Err(mismatch));
        assert_eq!(book.status(), L3Status::Broken);
        ladder.replace(&[level(11, 5), level(10, 150)]);
        assert_eq!(book.check_levels(&ladder, &asks), Ok(()));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Place(PlaceOrder),
    Cancel(u64),
    Amend(u64, i64, Option<i64>),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let tif = prop_oneof![
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
    ];
    // A narrow band of prices, so that orders meet often.
    let price = || prop_oneof![5 => (-4_i64..5).prop_map(Some), 1 => Just(None)];
    let place = (side, price(), 1_i64..20, tif, any::<bool>());
    let place = place.prop_map(|(side, price, quantity, time_in_force, post_only)| {
        Op::Place(PlaceOrder {
            owner: 0,
            side,
            limit_price: price.map(Price),
            quantity: Quantity(quantity),
            filled: Quantity::ZERO,
            time_in_force,
            post_only,
        })
    });
    let op = prop_oneof![
        6 => place,
        1 => (1_u64..60).prop_map(Op::Cancel),
        2 => (1_u64..60, 1_i64..20, price()).prop_map(|(id, q, p)| Op::Amend(id, q, p)),
    ];
    proptest::collection::vec(op, 0..120)
}

proptest! {
    #[test]
    fn the_changes_of_a_matching_book_make_the_same_book(ops in ops()) {
        let mut matching = OrderBook::new();
        let mut changes = BookChanges::recording();
        let mut book = L3Book::new(1_000);
        let (mut bids, mut asks) = (Ladder::new(Side::Buy), Ladder::new(Side::Sell));
        for op in ops {
            changes.clear();
            // A refused operation changes nothing, and the books are compared all the same.
            match op {
                Op::Place(order) => {
                    let _placed = matching.place(order, &mut changes);
                }
                Op::Cancel(id) => {
                    let _canceled = matching.cancel(id, &mut changes);
                }
                Op::Amend(id, quantity, price) => {
                    let price = price.map(Price);
                    let _amended = matching.amend(id, Quantity(quantity), price, &mut changes);
                }
            }
            for change in changes.orders() {
                prop_assert_eq!(book.apply(*change), Ok(()));
            }
            for &(side, price) in &changes.touched {
                let quantity = matching.quantity_at(side, price);
                let ladder = if side == Side::Buy { &mut bids } else { &mut asks };
                ladder.set(Level { price, quantity });
            }
            prop_assert_eq!(book.check_levels(&bids, &asks), Ok(()));
            prop_assert_eq!(book.len(), matching.len());
            for side in [Side::Buy, Side::Sell] {
                let resting = matching.resting(side);
                let expected: Vec<_> = resting
                    .iter()
                    .map(|order| L3Order {
                        order_id: order.id,
                        side,
                        price: order.price,
                        quantity: order.leaves(),
                    })
                    .collect();
                prop_assert_eq!(book.orders(side).collect::<Vec<_>>(), expected);
                assert_positions(&book, side)?;
            }
        }
        prop_assert_eq!(book.status(), L3Status::InSync);
    }
}

/// The quantity ahead of each order is the sum of the orders before it at its price.
fn assert_positions(book: &L3Book, side: Side) -> Result<(), TestCaseError> {
    let mut ahead: BTreeMap<Price, (i128, usize)> = BTreeMap::new();
    for order in book.orders(side) {
        let sum = ahead.entry(order.price).or_default();
        let found = book.queue_position(order.order_id).unwrap();
        prop_assert_eq!((found.quantity_ahead, found.orders_ahead), *sum);
        *sum = (sum.0 + i128::from(order.quantity.0), sum.1 + 1);
    }
    Ok(())
}
