//! TC-M70 to TC-M72 and TC-M118: an exchange that goes on with the orders of an earlier run.

use super::*;
use crate::VenueOrderId;
use crate::matching::RestoredOrder;
use crate::order::trigger::Watch;
use crate::order::{TrailingOffset, TriggerType};
use crate::risk::MarketView;
use crate::venue::VenueStatus;

fn restored(order: NewOrder, filled: i64, watch: Option<Watch>) -> (AccountId, RestoredOrder) {
    let restored = RestoredOrder {
        venue_order_id: VenueOrderId::new("SIM-o1").unwrap(),
        status: VenueStatus::Working,
        filled_quantity: Quantity(filled),
        executions: Vec::new(),
        watch,
        order,
    };
    (account("a"), restored)
}

/// Makes an exchange with these orders at 100, and tells what it has to say of them.
fn restart(orders: Vec<(AccountId, RestoredOrder)>, halted: bool) -> (Desk, String) {
    let instrument_id = id();
    let halt = halted.then_some(VenueControl::Halt { instrument_id });
    restart_after(orders, halt.as_slice())
}

/// As [`restart`], with what the venue had decided.
fn restart_after(
    orders: Vec<(AccountId, RestoredOrder)>,
    controls: &[VenueControl],
) -> (Desk, String) {
    let options = SimOptions {
        first_number: 1_000,
        instruments: vec![definition(instrument())],
        ..SimOptions::new(1)
    };
    let mut exchange = SimExchange::without_traders(options);
    exchange.restore_controls(controls);
    let mut out = Vec::new();
    exchange.restore(UnixNanos(100), &orders, &mut out);
    let told = show(&reports_of(&out, "a"));
    (Desk::with(Model::Exchange(Box::new(exchange))), told)
}

fn trailing(side: Side, offset: TrailingOffset, stop_price: Option<i64>) -> NewOrder {
    let mut order = order("t", side, OrderType::TrailingStop, 1);
    order.terms.trailing = Some(offset);
    order.terms.trigger = TriggerType::BidAsk;
    order.terms.stop_price = stop_price.map(Price);
    order
}

#[test]
fn tc_m70_a_trailing_stop_goes_on_from_where_it_stood() {
    let by_price = TrailingOffset::Price(Price(10));
    let by_share = TrailingOffset::Bps(1_000);
    for (side, offset, stop_price, steps) in [
        (
            Side::Sell,
            by_price,
            90,
            // Worse than where it had been: it does not step back.
            vec![(99, 120, ""), (101, 120, "amended 1 limit - stop 91")],
        ),
        (
            Side::Sell,
            by_share,
            90,
            vec![(99, 120, ""), (100, 120, ""), (89, 120, "triggered, 1@89")],
        ),
        (
            Side::Buy,
            by_price,
            110,
            vec![(80, 101, ""), (80, 99, "amended 1 limit - stop 109")],
        ),
        (
            Side::Buy,
            by_share,
            110,
            vec![(80, 101, ""), (80, 111, "triggered, 1@111")],
        ),
    ] {
        let order = trailing(side, offset, Some(stop_price));
        let (mut desk, told) = restart(vec![restored(order, 0, None)], false);
        assert_eq!(told, "");
        for (bid, ask, expected) in steps {
            let told = desk.quote(bid, ask, 5);
            assert_eq!(told, expected, "{side:?} {offset:?} at {bid}, {ask}");
        }
    }
}

#[test]
fn tc_m71_what_an_order_waited_for_is_known_again() {
    // Taken above its activation price: it waits for the fall.
    let mut order = trailing(Side::Sell, TrailingOffset::Price(Price(10)), None);
    order.terms.activation_price = Some(Price(80));
    let market = MarketView {
        bid: Some(Price(100)),
        ask: Some(Price(101)),
        ..MarketView::default()
    };
    let watch = Watch::new(order.side, order.order_type, &order.terms, &market);
    let (mut desk, _) = restart(vec![restored(order, 0, watch)], false);
    assert_eq!(desk.quote(95, 120, 5), "");
    assert_eq!(desk.quote(80, 120, 5), "amended 1 limit - stop 70");
}

#[test]
fn tc_m72_every_kind_comes_back_as_what_it_has_become() {
    let mut triggered = limit("triggered", Side::Buy, 90, 10);
    triggered.terms.stop_price = Some(Price(95));
    let mut ice = limit("ice", Side::Buy, 91, 30);
    ice.terms.display_quantity = Some(Quantity(10));
    let waiting = stop("waiting", Side::Buy, OrderType::Stop, 130, 2);
    let mut to_limit = order("mtl", Side::Buy, OrderType::MarketToLimit, 10);
    to_limit.limit_price = Some(Price(92));
    let mut over = limit("over", Side::Buy, 93, 1);
    over.time_in_force = TimeInForce::Gtd;
    over.terms.expire_at = Some(UnixNanos(99));
    let mut soon = limit("soon", Side::Buy, 94, 1);
    soon.time_in_force = TimeInForce::Day;
    soon.terms.expire_at = Some(UnixNanos(100));
    let orders = vec![
        restored(triggered, 0, None),
        restored(ice, 4, None),
        restored(waiting, 0, None),
        restored(to_limit, 3, None),
        restored(over, 0, None),
        restored(soon, 0, None),
    ];
    let (mut desk, told) = restart(orders.clone(), true);
    assert_eq!(told, "expired TimeOver 0");
    let refused = desk.submit(limit("new", Side::Buy, 1, 1));
    assert_eq!(
        refused, "soon expired TimeOver 0, new rejected Halted",
        "a halt comes back too"
    );
    let Model::Exchange(exchange) = &desk.model else {
        panic!("it is the exchange");
    };
    let snapshots = exchange.snapshots(UnixNanos(desk.now));
    let MarketEvent::Snapshot(book) = &snapshots[0] else {
        panic!("a book comes first");
    };
    let bids: Vec<_> = book
        .bids
        .iter()
        .map(|l| (l.price.0, l.quantity.0))
        .collect();
    assert_eq!(bids, [(92, 7), (91, 10), (90, 10)]);
}

#[test]
fn tc_m118_extended_hours_go_on_after_a_restart() {
    let mut extended = limit("e", Side::Sell, 101, 2);
    extended.terms.extended_hours = true;
    let mut buys = limit("b", Side::Buy, 101, 2);
    buys.terms.extended_hours = true;
    let mut opens = order("o", Side::Buy, OrderType::Market, 1);
    opens.time_in_force = TimeInForce::AtOpen;
    let orders = vec![
        restored(limit("r", Side::Sell, 101, 5), 0, None),
        restored(extended, 0, None),
        restored(opens, 0, None),
    ];
    let session = |edge| VenueControl::Session {
        instrument_id: id(),
        edge,
    };
    let (mut desk, told) = restart_after(orders, &[session(SessionEdge::ExtendedOpen)]);
    assert_eq!(told, "");
    assert_eq!(desk.submit(buys), "b accepted, e 2@101 maker, b 2@101");
    assert_eq!(desk.control(session(SessionEdge::Open)), "o 1@101, r 1@101");
}
