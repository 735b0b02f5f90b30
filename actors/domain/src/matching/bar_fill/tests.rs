use super::*;
use crate::id::Currency;
use crate::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use crate::market::{Bar, BarSpec, Level, Quote, Side};
use crate::money::{Money, Rate};
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::NewOrder;

const NOW: UnixNanos = UnixNanos(5);

fn instrument() -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("DATA.SIM").unwrap(),
        kind: InstrumentKind::Linear,
        base_currency: Currency::new("DATA").unwrap(),
        quote_currency: Currency::new("USD").unwrap(),
        price_decimals: 2,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}

fn venue(fill: FillModel) -> BarFill {
    BarFill::new(BarFillOptions::new(fill), [instrument()])
}

fn price(text: &str) -> Price {
    instrument().price(text).unwrap()
}

/// A bar of "open high low close" at `ts`.
fn bar(ts: i64, text: &str) -> MarketEvent {
    let p: Vec<Price> = text.split(' ').map(price).collect();
    MarketEvent::Bar(Bar {
        instrument_id: instrument().instrument_id,
        spec: BarSpec::External,
        open: p[0],
        high: p[1],
        low: p[2],
        close: p[3],
        volume: 0,
        trade_count: 0,
        ts_open: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}

fn quote(ts: i64, bid: &str, ask: &str) -> MarketEvent {
    let level = |text: &str| {
        (text != "-").then(|| Level {
            price: price(text),
            quantity: Quantity(1),
        })
    };
    MarketEvent::Quote(Quote {
        instrument_id: instrument().instrument_id,
        bid: level(bid),
        ask: level(ask),
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}

/// An order such as "buy 10 market" or "sell 5 290.50 ioc post reduce".
fn order(id: &str, text: &str) -> NewOrder {
    let words: Vec<&str> = text.split(' ').collect();
    let limit_price = (words[2] != "market").then(|| price(words[2]));
    NewOrder {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: instrument().instrument_id,
        side: if words[0] == "buy" {
            Side::Buy
        } else {
            Side::Sell
        },
        order_type: if limit_price.is_some() {
            OrderType::Limit
        } else {
            OrderType::Market
        },
        quantity: Quantity(words[1].parse().unwrap()),
        limit_price,
        time_in_force: if words.contains(&"ioc") {
            TimeInForce::Ioc
        } else if words.contains(&"fok") {
            TimeInForce::Fok
        } else {
            TimeInForce::Gtc
        },
        post_only: words.contains(&"post"),
        reduce_only: words.contains(&"reduce"),
        terms: OrderTerms::default(),
    }
}

fn show(reports: &[VenueReport]) -> String {
    let one = |report: &VenueReport| match report {
        VenueReport::Accepted { .. } => "accepted".to_owned(),
        VenueReport::Rejected { reason, .. } => format!("rejected {reason:?}"),
        VenueReport::Filled(e) => format!(
            "filled {} at {} {} ts {}",
            e.last_quantity.0,
            instrument().format_price(e.last_price),
            if e.maker { "maker" } else { "taker" },
            e.ts_event
        ),
        VenueReport::Ended {
            reason,
            cumulative_quantity,
            ..
        } => format!("ended {reason:?} {}", cumulative_quantity.0),
        VenueReport::Triggered { .. } => "triggered".to_owned(),
        VenueReport::Busted { .. } => "busted".to_owned(),
        VenueReport::Amended { .. } => "amended".to_owned(),
        VenueReport::AmendRejected { .. } => "amend rejected".to_owned(),
        VenueReport::CancelRejected { .. } => "cancel rejected".to_owned(),
        VenueReport::Status {
            status, executions, ..
        } => format!("status {status:?} {}", executions.len()),
        VenueReport::NotFound { proof, .. } => format!("not found, proof {proof}"),
        VenueReport::Funding { payment, .. } => format!("funding {}", payment.amount),
    };
    reports.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn market(venue: &mut BarFill, event: &MarketEvent) -> String {
    let mut out = Vec::new();
    venue.on_market(event, &mut out);
    show(&out)
}

fn command(venue: &mut BarFill, command: &VenueCommand) -> String {
    let mut out = Vec::new();
    venue.on_command(NOW, command, &mut out);
    show(&out)
}

fn place(venue: &mut BarFill, id: &str, text: &str) -> String {
    command(venue, &VenueCommand::New(order(id, text)))
}

fn cancel(venue: &mut BarFill, id: &str) -> String {
    let (client_order_id, instrument_id) =
        (ClientOrderId::new(id).unwrap(), instrument().instrument_id);
    command(
        venue,
        &VenueCommand::Cancel {
            client_order_id,
            instrument_id,
        },
    )
}

fn amend(venue: &mut BarFill, id: &str, quantity: i64, limit: &str) -> String {
    let limit_price = (limit != "market").then(|| price(limit));
    command(
        venue,
        &VenueCommand::Amend {
            client_order_id: ClientOrderId::new(id).unwrap(),
            instrument_id: instrument().instrument_id,
            quantity: Quantity(quantity),
            limit_price,
            stop_price: None,
        },
    )
}

fn query(venue: &mut BarFill, id: &str) -> String {
    let (client_order_id, instrument_id) =
        (ClientOrderId::new(id).unwrap(), instrument().instrument_id);
    command(
        venue,
        &VenueCommand::Query {
            client_order_id,
            instrument_id,
        },
    )
}

#[test]
fn a_market_order_fills_at_the_open_of_the_next_bar() {
    let mut v = venue(FillModel::NextOpen);
    assert_eq!(market(&mut v, &bar(5, "10.00 11.00 9.00 10.50")), "");
    assert_eq!(place(&mut v, "a", "buy 3 market"), "accepted");
    let filled = market(&mut v, &bar(6, "10.60 11.00 9.00 10.00"));
    assert_eq!(filled, "filled 3 at 10.60 taker ts 6");
    assert_eq!(market(&mut v, &bar(7, "10.60 11.00 9.00 10.00")), "");
}

#[test]
fn a_market_order_fills_at_the_close_of_the_deciding_bar() {
    let mut v = venue(FillModel::BarClose);
    assert_eq!(
        place(&mut v, "early", "buy 3 market"),
        "rejected NoLiquidity"
    );
    market(&mut v, &bar(5, "10.00 11.00 9.00 10.50"));
    let filled = place(&mut v, "a", "sell 3 market fok");
    assert_eq!(filled, "accepted; filled 3 at 10.50 taker ts 5");
}

#[test]
fn a_market_order_fills_at_the_touch_of_the_deciding_quote() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    let bought = place(&mut v, "a", "buy 1 market");
    assert_eq!(bought, "accepted; filled 1 at 10.10 taker ts 5");
    let sold = place(&mut v, "b", "sell 1 market");
    assert_eq!(sold, "accepted; filled 1 at 9.90 taker ts 5");
    market(&mut v, &quote(6, "9.90", "-"));
    assert_eq!(place(&mut v, "c", "buy 1 market"), "rejected NoLiquidity");
    let sold = place(&mut v, "d", "sell 1 market");
    assert_eq!(sold, "accepted; filled 1 at 9.90 taker ts 6");
}

#[test]
fn a_limit_buy_under_which_a_bar_opens_gets_the_open() {
    for fill in [FillModel::NextOpen, FillModel::BarClose] {
        let mut v = venue(fill);
        market(&mut v, &bar(5, "291.00 292.00 290.90 291.00"));
        assert_eq!(place(&mut v, "a", "buy 1 290.50"), "accepted");
        let filled = market(&mut v, &bar(6, "289.50 290.00 289.00 289.80"));
        assert!(filled.starts_with("filled 1 at 289.50"), "{filled}");
    }
}

#[test]
fn a_limit_order_that_a_bar_only_reaches_gets_its_limit() {
    let mut v = venue(FillModel::NextOpen);
    market(&mut v, &bar(5, "291.00 292.00 290.90 291.00"));
    place(&mut v, "a", "buy 1 290.50");
    place(&mut v, "b", "sell 1 293.00");
    assert_eq!(market(&mut v, &bar(6, "291.00 292.00 290.60 291.00")), "");
    let filled = market(&mut v, &bar(7, "291.00 294.00 289.00 291.00"));
    assert_eq!(
        filled,
        "filled 1 at 290.50 maker ts 7; filled 1 at 293.00 maker ts 7"
    );
}

#[test]
fn the_range_of_the_deciding_bar_is_older_than_the_order() {
    for fill in [FillModel::NextOpen, FillModel::BarClose] {
        let mut v = venue(fill);
        market(&mut v, &bar(5, "291.00 295.00 280.00 291.00"));
        assert_eq!(place(&mut v, "a", "buy 1 290.50"), "accepted");
        assert_eq!(query(&mut v, "a"), "status Working 0");
    }
}

#[test]
fn a_limit_that_the_standing_price_meets_trades_at_that_price() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    let filled = place(&mut v, "a", "buy 1 10.20");
    assert_eq!(filled, "accepted; filled 1 at 10.10 taker ts 5");
    let mut v = venue(FillModel::BarClose);
    market(&mut v, &bar(5, "10.00 11.00 9.00 10.50"));
    let filled = place(&mut v, "a", "sell 1 10.00");
    assert_eq!(filled, "accepted; filled 1 at 10.50 taker ts 5");
}

#[test]
fn a_resting_order_that_a_quote_runs_over_gets_its_limit() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    assert_eq!(place(&mut v, "a", "buy 1 10.00"), "accepted");
    let filled = market(&mut v, &quote(6, "9.50", "9.60"));
    assert_eq!(filled, "filled 1 at 10.00 maker ts 6");
}

#[test]
fn immediate_orders_end_when_they_cannot_trade() {
    for force in ["ioc", "fok"] {
        let mut v = venue(FillModel::NextOpen);
        assert_eq!(
            place(&mut v, "a", &format!("buy 1 10.00 {force}")),
            "accepted"
        );
        let ended = market(&mut v, &bar(6, "10.50 10.60 9.00 10.50"));
        assert_eq!(ended, "ended NoLiquidity 0", "the dip comes after the open");
        let mut v = venue(FillModel::Touch);
        market(&mut v, &quote(5, "9.90", "10.10"));
        let ended = place(&mut v, "a", &format!("buy 1 10.00 {force}"));
        assert_eq!(ended, "accepted; ended NoLiquidity 0");
    }
}

#[test]
fn a_post_only_order_never_takes() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    let no = "rejected PostOnlyWouldTrade";
    assert_eq!(place(&mut v, "a", "buy 1 10.10 post"), no);
    assert_eq!(place(&mut v, "b", "buy 1 market post"), no);
    assert_eq!(place(&mut v, "c", "buy 1 10.00 post"), "accepted");
    assert_eq!(amend(&mut v, "c", 1, "10.20"), "amend rejected");
    let filled = market(&mut v, &quote(6, "9.80", "10.00"));
    assert_eq!(filled, "filled 1 at 10.00 maker ts 6");
}

#[test]
fn a_reduce_only_order_stops_at_flat() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    let ended = place(&mut v, "a", "sell 1 market reduce");
    assert_eq!(ended, "accepted; ended Other 0");
    place(&mut v, "b", "buy 2 market");
    let part = place(&mut v, "c", "sell 3 market reduce");
    assert_eq!(part, "accepted; filled 2 at 9.90 taker ts 5; ended Other 2");
}

#[test]
fn slippage_makes_market_orders_worse_and_leaves_limits_alone() {
    let options = BarFillOptions {
        slippage: Slippage::Share(Rate::parse("0.001").unwrap()),
        ..BarFillOptions::new(FillModel::Touch)
    };
    let mut v = BarFill::new(options, [instrument()]);
    market(&mut v, &quote(5, "99.95", "100.05"));
    let bought = place(&mut v, "a", "buy 1 market");
    assert_eq!(
        bought, "accepted; filled 1 at 100.16 taker ts 5",
        "100.15005 rounded up against us"
    );
    let sold = place(&mut v, "b", "sell 1 market");
    assert_eq!(sold, "accepted; filled 1 at 99.85 taker ts 5");
    let limit = place(&mut v, "c", "buy 1 101.00");
    assert_eq!(limit, "accepted; filled 1 at 100.05 taker ts 5");
}

#[test]
fn fees_follow_the_instrument() {
    let mut charged = instrument();
    charged.fees = FeeSchedule {
        maker: Rate::parse("-0.0001").unwrap(),
        taker: Rate::parse("0.0005").unwrap(),
        decimals: None,
        ..FeeSchedule::default()
    };
    let options = BarFillOptions::new(FillModel::Touch);
    let mut v = BarFill::new(options, [charged]);
    let mut out = Vec::new();
    v.on_market(&quote(5, "9.90", "10.10"), &mut out);
    v.on_command(
        NOW,
        &VenueCommand::New(order("a", "buy 3 market")),
        &mut out,
    );
    v.on_command(NOW, &VenueCommand::New(order("b", "buy 3 10.00")), &mut out);
    v.on_market(&quote(6, "9.90", "10.00"), &mut out);
    let fees: Vec<String> = out
        .iter()
        .filter_map(|report| match report {
            VenueReport::Filled(execution) => Some(execution.fee.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(fees, ["0.01515", "-0.003"]);
}

#[test]
fn amend_and_cancel_change_working_orders_only() {
    let mut v = venue(FillModel::NextOpen);
    market(&mut v, &bar(5, "10.00 10.00 10.00 10.00"));
    place(&mut v, "a", "buy 1 9.00");
    assert_eq!(amend(&mut v, "a", 4, "9.50"), "amended");
    assert_eq!(amend(&mut v, "a", 4, "market"), "amend rejected");
    assert_eq!(amend(&mut v, "a", 0, "9.50"), "amend rejected");
    let filled = market(&mut v, &bar(6, "10.00 10.00 9.50 10.00"));
    assert_eq!(filled, "filled 4 at 9.50 maker ts 6");
    assert_eq!(amend(&mut v, "a", 5, "9.50"), "amend rejected");
    assert_eq!(cancel(&mut v, "a"), "cancel rejected");
    place(&mut v, "b", "buy 1 9.00");
    assert_eq!(cancel(&mut v, "b"), "ended Requested 0");
    assert_eq!(cancel(&mut v, "nobody"), "cancel rejected");
    assert_eq!(market(&mut v, &bar(7, "1.00 1.00 1.00 1.00")), "");
}

#[test]
fn an_amend_to_the_standing_price_trades_at_once() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    place(&mut v, "a", "buy 1 9.00");
    let filled = amend(&mut v, "a", 2, "10.50");
    assert_eq!(filled, "amended; filled 2 at 10.10 taker ts 5");
    assert_eq!(market(&mut v, &quote(6, "9.90", "10.10")), "");
}

#[test]
fn queries_tell_what_is_known_for_ever() {
    let mut v = venue(FillModel::Touch);
    market(&mut v, &quote(5, "9.90", "10.10"));
    place(&mut v, "a", "buy 1 market");
    assert_eq!(query(&mut v, "a"), "status Filled 1");
    assert_eq!(query(&mut v, "b"), "not found, proof true");
    let again = place(&mut v, "a", "buy 1 market");
    assert_eq!(again, "rejected DuplicateClientOrderId");
    let mut other = order("z", "buy 1 market");
    other.instrument_id = InstrumentId::new("OTHER.SIM").unwrap();
    let unknown = command(&mut v, &VenueCommand::New(other));
    assert_eq!(unknown, "rejected UnknownInstrument");
}

#[test]
fn quotes_beside_bars_fill_nothing() {
    let mut v = venue(FillModel::NextOpen);
    market(&mut v, &bar(5, "10.00 10.00 10.00 10.00"));
    place(&mut v, "a", "buy 1 market");
    assert_eq!(market(&mut v, &quote(6, "9.90", "10.10")), "");
    let filled = market(&mut v, &bar(7, "10.20 10.20 10.20 10.20"));
    assert_eq!(filled, "filled 1 at 10.20 taker ts 7");
}
