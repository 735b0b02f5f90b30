//! TC-M40 to TC-M49, TC-M120 and TC-M121: icebergs, self-trade prevention, collars, triggers that fail, busts.

use super::*;
use crate::order::{SelfTradePrevention, TriggerType};

fn iceberg(id: &str, side: Side, price: i64, quantity: i64, display: i64) -> NewOrder {
    let mut order = limit(id, side, price, quantity);
    order.terms.display_quantity = Some(Quantity(display));
    order
}

fn shown(desk: &Desk, side: Side) -> Vec<(i64, i64)> {
    let Model::Exchange(exchange) = &desk.model else {
        panic!("only the exchange shows a book");
    };
    let snapshots = exchange.snapshots(UnixNanos(desk.now));
    let MarketEvent::Snapshot(book) = &snapshots[0] else {
        panic!("a book comes first");
    };
    let levels = match side {
        Side::Buy => &book.bids,
        Side::Sell => &book.asks,
    };
    levels.iter().map(|l| (l.price.0, l.quantity.0)).collect()
}

fn sell(desk: &mut Desk, id: &str, quantity: i64) -> String {
    let order = NewOrder {
        time_in_force: TimeInForce::Ioc,
        ..limit(id, Side::Sell, 100, quantity)
    };
    show(&desk.send("t", VenueCommand::New(order)))
}

#[test]
fn tc_m40_an_iceberg_shows_a_part_and_refills_at_the_back() {
    let mut desk = Desk::new("exchange");
    desk.submit(iceberg("ice", Side::Buy, 100, 25, 10));
    desk.send("m", VenueCommand::New(limit("other", Side::Buy, 100, 7)));
    assert_eq!(shown(&desk, Side::Buy), [(100, 17)]);
    assert_eq!(sell(&mut desk, "t1", 4), "4@100 maker");
    assert_eq!(shown(&desk, Side::Buy), [(100, 13)]);
    // The part is used up; the other order is before the next one.
    assert_eq!(sell(&mut desk, "t2", 8), "6@100 maker");
    assert_eq!(shown(&desk, Side::Buy), [(100, 15)]);
    assert_eq!(sell(&mut desk, "t3", 5), "");
    // One order takes the second part and goes on into the last one.
    assert_eq!(sell(&mut desk, "t4", 13), "10@100 maker, 3@100 maker");
    assert_eq!(shown(&desk, Side::Buy), [(100, 2)]);
    assert_eq!(sell(&mut desk, "t5", 9), "2@100 maker");
}

#[test]
fn tc_m41_an_iceberg_in_a_replayed_queue_goes_to_the_back_for_each_part() {
    let mut desk = Desk::new("book");
    desk.quote(100, 110, 20);
    desk.submit(iceberg("ice", Side::Buy, 100, 25, 10));
    // 20 ahead, then the first part.
    assert_eq!(desk.trade(Side::Sell, 100, 28), "8@100 maker");
    desk.quote(100, 110, 30);
    // 2 are left of the part, then 30 others are before the next.
    assert_eq!(desk.trade(Side::Sell, 100, 20), "2@100 maker");
    assert_eq!(desk.trade(Side::Sell, 100, 12), "");
    assert_eq!(desk.trade(Side::Sell, 100, 5), "5@100 maker");
    // Through its price everything of it is gone.
    assert_eq!(desk.trade(Side::Sell, 99, 50), "10@100 maker");
}

#[test]
fn tc_m42_self_trades_are_prevented_in_four_ways() {
    use SelfTradePrevention::{Decrement, ExpireBoth, ExpireMaker, ExpireTaker};
    // Own ask of 10 at 100, another's of 10 behind it; the own buy of 15 meets both.
    for (mode, expected, left) in [
        (
            None,
            "x accepted, own 10@100 maker, x 10@100, x 5@100",
            vec![(100, 5)],
        ),
        (
            Some(ExpireTaker),
            "accepted, canceled SelfTrade 0",
            vec![(100, 20)],
        ),
        (
            Some(ExpireMaker),
            "x accepted, own canceled SelfTrade 0, x 10@100",
            vec![],
        ),
        (
            Some(ExpireBoth),
            "x accepted, own canceled SelfTrade 0, x canceled SelfTrade 0",
            vec![(100, 10)],
        ),
        (
            Some(Decrement),
            "x accepted, own canceled SelfTrade 0, x amended 5 limit 100 stop -, x 5@100",
            vec![(100, 5)],
        ),
    ] {
        let mut desk = Desk::new("exchange");
        desk.submit(limit("own", Side::Sell, 100, 10));
        desk.send("m", VenueCommand::New(limit("other", Side::Sell, 100, 10)));
        let mut order = limit("x", Side::Buy, 100, 15);
        order.terms.self_trade_prevention = mode;
        assert_eq!(desk.submit(order), expected, "{mode:?}");
        assert_eq!(shown(&desk, Side::Sell), left, "{mode:?}");
    }
}

#[test]
fn tc_m43_a_smaller_order_is_taken_off_a_larger_one_without_a_trade() {
    let mut desk = Desk::new("exchange");
    desk.submit(limit("own", Side::Sell, 100, 10));
    let mut order = limit("x", Side::Buy, 100, 4);
    order.terms.self_trade_prevention = Some(SelfTradePrevention::Decrement);
    assert_eq!(
        desk.submit(order),
        "x accepted, own amended 6 limit 100 stop -, x canceled SelfTrade 0"
    );
    assert_eq!(shown(&desk, Side::Sell), [(100, 6)]);
    let mut order = limit("fok", Side::Buy, 100, 6);
    order.time_in_force = TimeInForce::Fok;
    order.terms.self_trade_prevention = Some(SelfTradePrevention::ExpireMaker);
    let none = "accepted, canceled NoLiquidity 0";
    assert_eq!(desk.submit(order), none, "its own does not count");
}

#[test]
fn tc_m44_a_price_beyond_the_collar_is_refused() {
    let mut collared = instrument();
    collared.rules.price_collar = Some(crate::Rate::parse("0.05").unwrap());
    for model in MODELS {
        let mut desk = Desk::of(model, collared.clone());
        // Before there is a price there is nothing to compare with.
        desk.quote(99, 101, 10);
        for (id, price, expected) in [
            ("low", 94, "rejected PriceBand"),
            ("lowest", 95, "accepted"),
            ("high", 106, "rejected PriceBand"),
        ] {
            let told = desk.submit(limit(id, Side::Buy, price, 1));
            assert_eq!(told, expected, "{model} {id}");
        }
        let moved = desk.amend("lowest", 1, Some(94), None);
        assert_eq!(
            moved, "amend rejected: limit_price is beyond the venue's price bands",
            "{model}"
        );
    }
}

#[test]
fn tc_m45_a_stop_limit_order_can_be_refused_when_it_triggers() {
    let mut collared = instrument();
    collared.rules.price_collar = Some(crate::Rate::parse("0.05").unwrap());
    for model in MODELS {
        let mut desk = Desk::of(model, collared.clone());
        desk.quote(99, 101, 10);
        let mut order = stop("s", Side::Buy, OrderType::StopLimit, 103, 5);
        order.limit_price = Some(Price(120));
        order.terms.trigger = TriggerType::BidAsk;
        let mut post_only = stop("p", Side::Buy, OrderType::StopLimit, 103, 5);
        post_only.limit_price = Some(Price(104));
        post_only.post_only = true;
        post_only.terms.trigger = TriggerType::BidAsk;
        assert_eq!(desk.submit(order), "accepted", "{model}");
        assert_eq!(desk.submit(post_only), "accepted", "{model}");
        let told = desk.quote(102, 104, 10);
        let expected = "s rejected PriceBand, p rejected PostOnlyWouldTrade";
        assert_eq!(told, expected, "{model}");
        assert_eq!(
            desk.cancel("s"),
            "cancel rejected: order has ended",
            "{model}"
        );
    }
}

#[test]
fn tc_m46_a_stop_price_can_be_amended_until_it_triggers() {
    for model in MODELS {
        let mut desk = Desk::new(model);
        desk.quote(99, 101, 10);
        let mut order = stop("s", Side::Buy, OrderType::Stop, 110, 5);
        order.terms.trigger = TriggerType::BidAsk;
        desk.submit(order);
        let amended = desk.amend("s", 4, None, Some(105));
        assert_eq!(amended, "amended 4 limit - stop 105", "{model}");
        assert_eq!(desk.quote(102, 104, 10), "", "{model}");
        // To where the market stands: it triggers at once.
        let amended = desk.amend("s", 4, None, Some(104));
        assert_eq!(
            amended, "amended 4 limit - stop 104, triggered, 4@104",
            "{model}"
        );
    }
}

#[test]
fn tc_m47_a_condition_that_is_met_already_triggers_at_once() {
    for model in MODELS {
        let mut desk = Desk::new(model);
        desk.quote(99, 101, 10);
        let mut order = stop("s", Side::Sell, OrderType::Stop, 100, 5);
        order.terms.trigger = TriggerType::BidAsk;
        assert_eq!(desk.submit(order), "accepted, triggered, 5@99", "{model}");
    }
}

#[test]
fn tc_m48_triggers_can_follow_from_triggers() {
    // Each sells through the next one's stop price.
    let mut desk = Desk::new("exchange");
    for (price, quantity) in [(97, 5), (98, 5), (99, 5), (100, 1)] {
        let bid = limit(&format!("b{price}"), Side::Buy, price, quantity);
        desk.send("m", VenueCommand::New(bid));
    }
    for (id, price) in [("s1", 99), ("s2", 98)] {
        desk.submit(stop(id, Side::Sell, OrderType::Stop, price, 5));
    }
    let sell = limit("t", Side::Sell, 99, 6);
    let told = show(&desk.send("t", VenueCommand::New(sell)));
    assert_eq!(told, "s1 triggered, s1 5@98, s2 triggered, s2 5@97");
}

#[test]
fn tc_m49_a_bust_opens_a_working_orders_quantity_again() {
    for model in ["exchange", "book"] {
        let mut desk = Desk::new(model);
        desk.quote(90, 110, 10);
        desk.submit(limit("x", Side::Buy, 100, 10));
        let sold = desk.quote(95, 100, 4);
        assert_eq!(sold, "4@100 maker", "{model}");
        let exec_id = ExecId::new("SIM-1").unwrap();
        let told = desk.control(VenueControl::Bust { exec_id });
        assert_eq!(told, "busted SIM-1", "{model}");
        let again = desk.quote(95, 100, 20);
        assert_eq!(again, "10@100 maker", "{model}");
        let query = VenueCommand::Query {
            client_order_id: client_id("x"),
            instrument_id: id(),
        };
        assert_eq!(show(&desk.send("a", query)), "Filled 1", "{model}");
        let twice = ExecId::new("SIM-1").unwrap();
        assert_eq!(desk.control(VenueControl::Bust { exec_id: twice }), "");
    }
}

fn reduce(mut order: NewOrder) -> NewOrder {
    order.reduce_only = true;
    order
}

/// Long 10; two orders that reduce by 8 each, one of them by what the other has left.
#[test]
fn tc_m120_what_reduces_first_leaves_the_other_the_rest_and_never_turns_the_position() {
    for (far, shown, expected) in [
        // In one event, the better price first.
        (101, 50, "a 8@100 maker, b 2@101 maker, b canceled Other 2"),
        // At one price, the older one first, and one after the other where little is there.
        (100, 50, "a 8@100 maker, b 2@100 maker, b canceled Other 2"),
        (100, 9, "a 8@100 maker, b 1@100 maker"),
    ] {
        let mut desk = Desk::new("book");
        desk.quote(90, 95, 10);
        assert_eq!(
            desk.submit(limit("p", Side::Buy, 95, 10)),
            "accepted, 10@95"
        );
        for (id, price) in [("a", 100), ("b", far)] {
            let order = reduce(limit(id, Side::Sell, price, 8));
            assert_eq!(desk.submit(order), "accepted");
        }
        let told = desk.quote(102, 110, shown);
        assert_eq!(told, expected, "{far} {shown}");
    }
}

#[test]
fn tc_m120_a_print_is_shared_by_what_each_may_still_reduce() {
    let mut desk = Desk::new("book");
    desk.quote(90, 95, 10);
    desk.submit(limit("p", Side::Buy, 95, 10));
    desk.submit(reduce(limit("a", Side::Sell, 100, 8)));
    desk.submit(reduce(limit("b", Side::Sell, 100, 8)));
    // A plain order behind them gets what the second one must leave.
    desk.submit(limit("c", Side::Sell, 100, 8));
    let told = desk.trade(Side::Buy, 105, 14);
    assert_eq!(
        told,
        "a 8@100 maker, b 2@100 maker, b canceled Other 2, c 4@100 maker"
    );
}

#[test]
fn tc_m120_what_has_nothing_to_reduce_ends_as_it_comes() {
    let mut desk = Desk::new("book");
    desk.quote(90, 95, 10);
    let sell = order("m", Side::Sell, OrderType::Market, 5);
    let told = desk.submit(reduce(sell.clone()));
    assert_eq!(told, "accepted, canceled Other 0");
    desk.submit(limit("p", Side::Buy, 95, 3));
    let mut fok = reduce(limit("f", Side::Sell, 90, 5));
    fok.time_in_force = TimeInForce::Fok;
    assert_eq!(desk.submit(fok), "accepted, canceled NoLiquidity 0");
    let mut again = reduce(sell);
    again.client_order_id = client_id("n");
    assert_eq!(desk.submit(again), "accepted, 3@90, canceled Other 3");
}

/// A contract that ends at 1,000.
fn ending() -> Instrument {
    let mut ending = instrument();
    ending.kind = crate::instrument::InstrumentKind::Linear;
    ending.rules.expires_at = Some(UnixNanos(1_000));
    ending
}

#[test]
fn tc_m121_a_contract_that_ends_takes_its_orders_with_it() {
    for model in MODELS {
        let mut desk = Desk::of(model, ending());
        desk.quote(90, 110, 10);
        let mut day = limit("d", Side::Buy, 79, 1);
        day.time_in_force = TimeInForce::Gtd;
        day.terms.expire_at = Some(UnixNanos(5_000));
        let waits = stop("s", Side::Sell, OrderType::Stop, 70, 1);
        for order in [limit("g", Side::Buy, 80, 1), day, waits] {
            assert_eq!(desk.submit(order), "accepted", "{model}");
        }
        // The moment before it still trades.
        desk.now = 900;
        let told = desk.quote(75, 80, 1);
        assert_eq!(told, "1@80 maker", "{model}");
        desk.now = 1_000;
        let told = desk.quote(60, 65, 10);
        let over = "d expired TimeOver 0, s expired TimeOver 0";
        assert_eq!(told, over, "{model}: and nothing trades");
        let told = desk.submit(limit("l", Side::Buy, 65, 1));
        assert_eq!(told, "rejected Halted", "{model}");
    }
}
