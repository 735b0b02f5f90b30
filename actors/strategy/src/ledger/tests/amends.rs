//! Orders that are being changed.

use super::*;

#[test]
fn a_change_under_way_leaves_the_order_working() {
    let id = instrument_id();
    let mut ledger = ledger("s");
    let asked = ask(&mut ledger, |ctx| {
        ctx.submit(OrderRequest::limit(
            id.clone(),
            Side::Buy,
            Quantity(10),
            Price(5),
        ));
    });
    let at = UnixNanos(2);
    let status = |ledger: &Ledger| ledger.order(&asked[0].client_order_id).unwrap().status;
    ledger.fold(&initialized("o", &asked[0]));
    let events = [
        (
            Event::OrderSubmitted {
                order_id: order_id("o"),
            },
            OrderStatus::Submitted,
        ),
        (
            Event::OrderAccepted {
                order_id: order_id("o"),
                venue_order_id: VenueOrderId::new("V1").unwrap(),
                ts_event: at,
            },
            OrderStatus::Accepted,
        ),
        (
            Event::OrderPendingAmend {
                order_id: order_id("o"),
                request_id: None,
                quantity: Quantity(4),
                limit_price: Some(Price(6)),
                stop_price: None,
            },
            OrderStatus::PendingAmend,
        ),
        (
            Event::OrderAmended {
                order_id: order_id("o"),
                quantity: Quantity(4),
                limit_price: Some(Price(6)),
                ts_event: at,
                stop_price: None,
            },
            OrderStatus::Accepted,
        ),
        (
            Event::OrderPendingCancel {
                order_id: order_id("o"),
                request_id: None,
                reason_code: ReasonCode::CanceledByUser,
            },
            OrderStatus::PendingCancel,
        ),
        (
            Event::OrderCancelRejected {
                order_id: order_id("o"),
                reason: String::new(),
                ts_event: at,
            },
            OrderStatus::Accepted,
        ),
    ];
    for (event, expected) in events {
        ledger.fold(&record(5, event));
        assert_eq!(status(&ledger), expected);
    }
    assert_eq!(ledger.working(&id), 4);
}

/// A host that is newer than its server hears of an amend what holds, not what was asked for.
#[test]
fn an_amend_whose_asking_tells_nothing_new_ends_with_its_answer() {
    let mut ledger = ledger("trend");
    let asked = ask(&mut ledger, |ctx| {
        ctx.submit(OrderRequest::limit(
            instrument_id(),
            Side::Buy,
            Quantity(10),
            Price(5),
        ));
    });
    let at = UnixNanos(2);
    ledger.fold(&initialized("o", &asked[0]));
    let order_id = || order_id("o");
    let amended = |quantity: i64, price: i64| Event::OrderAmended {
        order_id: order_id(),
        quantity: Quantity(quantity),
        limit_price: Some(Price(price)),
        stop_price: None,
        ts_event: at,
    };
    let pending = |quantity: i64, price: i64| Event::OrderPendingAmend {
        order_id: order_id(),
        request_id: None,
        quantity: Quantity(quantity),
        limit_price: Some(Price(price)),
        stop_price: None,
    };
    let accepted = Event::OrderAccepted {
        order_id: order_id(),
        venue_order_id: VenueOrderId::new("V1").unwrap(),
        ts_event: at,
    };
    let submitted = Event::OrderSubmitted {
        order_id: order_id(),
    };
    for event in [submitted, accepted, pending(10, 5), amended(4, 6)] {
        ledger.fold(&record(5, event));
    }
    let state = |ledger: &Ledger| {
        let order = ledger.order(&asked[0].client_order_id).unwrap();
        (order.status, order.quantity, order.limit_price)
    };
    let expected = (OrderStatus::Accepted, Quantity(4), Some(Price(6)));
    assert_eq!(state(&ledger), expected);
    // One that says what it asks for is answered by that alone.
    for event in [pending(3, 6), amended(4, 6)] {
        ledger.fold(&record(6, event));
    }
    assert_eq!(state(&ledger).0, OrderStatus::PendingAmend);
    ledger.fold(&record(7, amended(3, 6)));
    let expected = (OrderStatus::Accepted, Quantity(3), Some(Price(6)));
    assert_eq!(state(&ledger), expected);
}
