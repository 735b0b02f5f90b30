//! Reduce-only orders at the exchange: never more than their position.

use super::*;

/// `r sell 10 reduce at 70000`: an order, at the market where it names no price.
fn parse(text: &str) -> NewOrder {
    let words: Vec<&str> = text.split(' ').collect();
    let price = text.split_once(" at ").map(|(_, p)| p.parse().unwrap());
    let side = if words[1] == "buy" {
        Side::Buy
    } else {
        Side::Sell
    };
    NewOrder {
        reduce_only: words.contains(&"reduce"),
        ..order(
            words[0],
            side,
            price,
            words[2].parse::<i64>().unwrap() * 1_000,
        )
    }
}

/// What the reports say, fills of one order after another summed up.
fn told(reports: &[VenueReport]) -> String {
    let mut told: Vec<(String, i64)> = Vec::new();
    for report in reports {
        let id = report.client_order_id().unwrap().as_str();
        let (what, quantity) = match report {
            VenueReport::Filled(e) => (format!("fill {id}"), e.last_quantity.0),
            VenueReport::Amended { quantity, .. } => (format!("now {id}"), quantity.0),
            VenueReport::Ended {
                cumulative_quantity,
                ..
            } => (format!("end {id}"), cumulative_quantity.0),
            VenueReport::AmendRejected { .. } => (format!("no {id}"), 0),
            _ => continue,
        };
        match told.last_mut() {
            Some((last, sum)) if *last == what => *sum += quantity,
            _ => told.push((what, quantity)),
        }
    }
    let told = told.iter();
    let told = told.map(|(what, quantity)| format!("{what} {}", quantity / 1_000));
    told.collect::<Vec<_>>().join(", ")
}

fn check(script: &[(&str, &str)]) {
    let mut market = Script::new(7);
    let far = market.top().1.price.0 + 500_000;
    for (text, expected) in script {
        let reports = match text.strip_prefix("amend ") {
            Some(amend) => {
                let (id, quantity) = amend.split_once(' ').unwrap();
                market.command(VenueCommand::Amend {
                    client_order_id: ClientOrderId::new(id).unwrap(),
                    instrument_id: InstrumentId::new(BTC).unwrap(),
                    quantity: Quantity(quantity.parse::<i64>().unwrap() * 1_000),
                    limit_price: None,
                    stop_price: None,
                })
            }
            None => market.submit(parse(&text.replace("far", &far.to_string()))),
        };
        assert_eq!(told(&reports), *expected, "after \"{text}\"");
    }
}

#[test]
fn a_reduce_only_order_trades_no_more_than_its_position() {
    check(&[("r sell 5 reduce", "end r 0")]);
    check(&[
        ("p buy 10", "fill p 10"),
        ("r buy 5 reduce", "end r 0"),
        ("s sell 25 reduce", "now s 10, fill s 10"),
    ]);
}

#[test]
fn one_that_rests_shrinks_and_ends_with_its_position() {
    check(&[
        ("p buy 10", "fill p 10"),
        ("r sell 10 reduce at far", ""),
        ("m sell 4", "fill m 4, now r 6"),
        ("n sell 6", "fill n 6, end r 0"),
    ]);
}

#[test]
fn the_oldest_is_served_first_and_none_grows_beyond() {
    check(&[
        ("p buy 10", "fill p 10"),
        ("a sell 6 reduce at far", ""),
        ("b sell 6 reduce at far", "now b 4"),
        ("amend a 11", "no a 0"),
        ("amend a 5", "now a 5"),
        ("amend b 5", "now b 5"),
        ("m sell 7", "fill m 7, now a 3, end b 0"),
    ]);
}

#[test]
fn a_restart_keeps_what_rests_for_its_position() {
    let mut first = Script::new(7);
    let far = first.top().1.price.0 + 500_000;
    first.submit(parse("p buy 10"));
    let resting = parse(&format!("r sell 10 reduce at {far}"));
    let restored = |order: NewOrder, status, executions: Vec<Execution>| RestoredOrder {
        venue_order_id: crate::id::VenueOrderId::new(order.client_order_id.as_str()).unwrap(),
        filled_quantity: Quantity(executions.iter().map(|e| e.last_quantity.0).sum()),
        order,
        status,
        executions,
        watch: None,
    };
    let orders = [
        restored(resting, VenueStatus::Working, Vec::new()),
        restored(
            parse("p buy 10"),
            VenueStatus::Filled,
            first.executions("p"),
        ),
    ];
    let orders = orders.map(|order| (account("a"), order));
    let mut exchange = exchange(8);
    let mut out = Vec::new();
    exchange.restore(UnixNanos(first.now), &orders, &mut out);
    assert_eq!(out, []);
    let mut second = Script::of(exchange);
    assert_eq!(told(&second.submit(parse("m sell 4"))), "fill m 4, now r 6");
}

#[test]
fn an_auction_is_no_way_round_a_position() {
    let mut options = SimOptions::new(7);
    for listed in &mut options.instruments {
        listed.instrument.rules.calendar = "XNYS".to_owned();
    }
    let mut market = Script::of(SimExchange::new(options).unwrap());
    // A Tuesday, a second before the close in New York.
    let close = crate::calendar::parse_instant("2024-07-02T16:00:00-04:00").unwrap();
    market.now = close.0 - NANOS_PER_SECOND;
    market.step(0);
    market.submit(parse("p buy 10"));
    for text in ["a sell 6 reduce", "b sell 9 reduce", "c sell 1 reduce"] {
        market.submit(NewOrder {
            time_in_force: TimeInForce::AtClose,
            ..parse(text)
        });
    }
    let reports = market.step(1_000);
    let told = told(&reports);
    assert_eq!(told, "now b 4, end c 0, fill a 6, fill b 4");
}

/// The exit whose price has come is served before the one that rests: TC-M123.
#[test]
fn a_stop_trades_although_the_target_of_its_position_rests() {
    for (quantity, expected, rest) in [(10, "fill s 10", 0), (4, "fill s 4", 6)] {
        let mut market = Script::new(7);
        let ask = market.top().1.price.0;
        market.submit(parse("p buy 10"));
        let target = format!("t sell 10 reduce at {}", ask + 500_000);
        assert_eq!(told(&market.submit(parse(&target))), "");
        let mut stop = parse(&format!("s sell {quantity} reduce"));
        stop.order_type = OrderType::Stop;
        // The market is at or under it already: it triggers at once.
        stop.terms.stop_price = Some(Price(ask + 100_000));
        let reports = market.submit(stop);
        assert!(told(&reports).contains(expected), "{reports:?}");
        let target = |report: &&VenueReport| {
            report
                .client_order_id()
                .is_some_and(|it| it.as_str() == "t")
        };
        let of_target: Vec<&VenueReport> = reports.iter().filter(target).collect();
        match (rest, of_target.as_slice()) {
            (0, [VenueReport::Ended { .. }]) => {}
            (_, [VenueReport::Amended { quantity, .. }]) => assert_eq!(quantity.0, rest * 1_000),
            (_, other) => panic!("{other:?}"),
        }
    }
}

/// What rests of an order that took some is behind the older ones again: TC-M124.
#[test]
fn the_rest_of_an_order_that_traded_is_behind_the_older_ones() {
    let mut market = Script::new(7);
    let (bid, ask) = (market.top().0, market.top().1.price.0);
    let position = bid.quantity.0 / 1_000 + 20;
    market.submit(parse(&format!("p buy {position}")));
    let target = format!("t sell {position} reduce at {}", ask + 500_000);
    market.submit(parse(&target));
    let best = market.top().0.price.0;
    let reports = market.submit(parse(&format!("l sell {position} reduce at {best}")));
    let ends = |id: &str| {
        let of_it =
            |report: &&VenueReport| report.client_order_id().is_some_and(|it| it.as_str() == id);
        reports
            .iter()
            .filter(of_it)
            .any(|it| matches!(it, VenueReport::Ended { .. }))
    };
    assert!(told(&reports).contains("fill l"), "{reports:?}");
    assert!(ends("l") && !ends("t"), "{reports:?}");
}
