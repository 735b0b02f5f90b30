//! Single orders of a book: mantissas on the stream, decimals in the one answer.

use super::enums;
use crate::v1::{self, OrderBookChangeKind as Kind};
use apex_domain::Instrument;
use apex_domain::book::{L3Change, L3Order, L3Snapshot};
use apex_domain::market::Side;

/// Writes a whole book, with how its numbers are to be read.
pub fn snapshot(snapshot: &L3Snapshot, instrument: &Instrument) -> v1::OrderBookSnapshot {
    let order = |order: &L3Order| v1::OrderBookOrder {
        order_id: order.order_id,
        price: order.price.0,
        quantity: order.quantity.0,
    };
    v1::OrderBookSnapshot {
        instrument_id: snapshot.instrument_id.to_string(),
        price_exponent: -i32::from(instrument.price_decimals),
        quantity_exponent: -i32::from(instrument.quantity_decimals),
        update_id: snapshot.update_id,
        bids: snapshot.bids.iter().map(order).collect(),
        asks: snapshot.asks.iter().map(order).collect(),
        ts_event_ns: snapshot.ts_event.0,
        ts_init_ns: snapshot.ts_init.0,
    }
}

/// Writes a change. `order` is the order as it rested before it, which a change of an order that
/// is there already names only by its number.
pub fn change(change: &L3Change, order: L3Order) -> v1::OrderBookChange {
    let (kind, order) = match *change {
        L3Change::Add(added) => (Kind::Add, added),
        L3Change::Modify {
            price, quantity, ..
        } => {
            let modified = L3Order {
                price,
                quantity,
                ..order
            };
            (Kind::Modify, modified)
        }
        L3Change::Execute { quantity, .. } => (Kind::Execute, L3Order { quantity, ..order }),
        L3Change::Cancel { .. } => (Kind::Cancel, order),
    };
    v1::OrderBookChange {
        kind: kind.into(),
        order_id: order.order_id,
        side: enums::side(order.side).into(),
        price: order.price.0,
        quantity: order.quantity.0,
    }
}

/// Writes the orders of the best `depth` levels as decimals.
pub fn decimal(snapshot: &L3Snapshot, instrument: &Instrument, depth: usize) -> v1::OrderBook {
    let side = |side: Side| {
        let orders = match side {
            Side::Buy => &snapshot.bids,
            Side::Sell => &snapshot.asks,
        };
        let mut levels = 0;
        let mut last = None;
        let within = orders.iter().take_while(|order| {
            if last.replace(order.price) != Some(order.price) {
                levels += 1;
            }
            levels <= depth
        });
        let decimals = within.map(|order| v1::DecimalOrder {
            order_id: order.order_id,
            price: instrument.format_price(order.price),
            quantity: instrument.format_quantity(order.quantity),
        });
        decimals.collect()
    };
    v1::OrderBook {
        instrument_id: snapshot.instrument_id.to_string(),
        update_id: snapshot.update_id,
        bids: side(Side::Buy),
        asks: side(Side::Sell),
        ts_event_ns: snapshot.ts_event.0,
        ts_init_ns: snapshot.ts_init.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::matching::SimInstrument;
    use apex_domain::{Price, Quantity, UnixNanos};

    fn order(order_id: u64, price: i64, quantity: i64) -> L3Order {
        L3Order {
            order_id,
            side: Side::Sell,
            price: Price(price),
            quantity: Quantity(quantity),
        }
    }

    #[test]
    fn each_change_says_side_price_and_quantity() {
        let rests = order(7, 100, 30);
        let order_id = 7;
        for (from, kind, price, quantity) in [
            (L3Change::Add(order(7, 101, 5)), Kind::Add, 101, 5),
            (
                L3Change::Modify {
                    order_id,
                    price: Price(100),
                    quantity: Quantity(20),
                },
                Kind::Modify,
                100,
                20,
            ),
            (
                L3Change::Execute {
                    order_id,
                    quantity: Quantity(10),
                },
                Kind::Execute,
                100,
                10,
            ),
            (L3Change::Cancel { order_id }, Kind::Cancel, 100, 30),
        ] {
            let written = change(&from, rests);
            assert_eq!(written.kind(), kind);
            assert_eq!((written.order_id, written.side()), (7, v1::Side::Sell));
            assert_eq!((written.price, written.quantity), (price, quantity));
        }
    }

    #[test]
    fn depth_counts_levels_and_not_orders() {
        let instrument = SimInstrument::defaults().remove(0).instrument;
        let snapshot = L3Snapshot {
            instrument_id: instrument.instrument_id.clone(),
            update_id: 4,
            bids: vec![],
            asks: vec![
                order(1, 100, 1),
                order(3, 100, 2),
                order(2, 105, 3),
                order(4, 106, 3),
            ],
            ts_event: UnixNanos(1),
            ts_init: UnixNanos(2),
        };
        let ids = |depth| -> Vec<u64> {
            let book = decimal(&snapshot, &instrument, depth);
            book.asks.iter().map(|order| order.order_id).collect()
        };
        assert_eq!(ids(1), [1, 3]);
        assert_eq!(ids(2), [1, 3, 2]);
        assert_eq!(ids(20), [1, 3, 2, 4]);
        let book = decimal(&snapshot, &instrument, 1);
        assert_eq!(
            (&*book.asks[0].price, &*book.asks[0].quantity),
            ("1.00", "0.00001")
        );
    }
}
