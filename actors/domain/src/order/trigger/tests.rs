use super::*;
use crate::account::tests::support::{SPOT, instrument};

const INCREMENT: Price = Price(1);

fn at(price: i64) -> MarketView {
    MarketView {
        last: Some(Price(price)),
        ..MarketView::default()
    }
}

fn watch(side: Side, order_type: OrderType, terms: OrderTerms, start: i64) -> Watch {
    Watch::new(side, order_type, &terms, &at(start)).unwrap()
}

fn stop(side: Side, order_type: OrderType, price: i64) -> Watch {
    let terms = OrderTerms {
        stop_price: Some(Price(price)),
        ..OrderTerms::default()
    };
    watch(side, order_type, terms, 100)
}

/// Shows the prices to the order and returns what each did: `.` nothing, a number the new stop
/// price, `!` triggered.
fn run(watch: &mut Watch, increment: Price, prices: &[i64]) -> String {
    let instrument = Instrument {
        price_increment: increment,
        ..instrument(SPOT)
    };
    let mut said = Vec::new();
    for price in prices {
        match watch.see(&at(*price), &instrument) {
            Seen::Nothing => said.push(".".to_owned()),
            Seen::Triggered => said.push("!".to_owned()),
            Seen::Trailed { stop_price, best } => {
                watch.set_trailed(stop_price, best);
                said.push(stop_price.0.to_string());
            }
        }
    }
    said.join(" ")
}

#[test]
fn each_kind_triggers_from_its_own_side_and_at_the_very_price() {
    use OrderType::{LimitIfTouched, MarketIfTouched, Stop, StopLimit};
    for (side, order_type, prices, expected) in [
        (Side::Buy, Stop, [99, 100, 101], ". ! !"),
        (Side::Buy, StopLimit, [99, 100, 101], ". ! !"),
        (Side::Sell, Stop, [101, 100, 99], ". ! !"),
        (Side::Sell, StopLimit, [101, 100, 99], ". ! !"),
        (Side::Buy, MarketIfTouched, [101, 100, 99], ". ! !"),
        (Side::Buy, LimitIfTouched, [101, 100, 99], ". ! !"),
        (Side::Sell, MarketIfTouched, [99, 100, 101], ". ! !"),
        (Side::Sell, LimitIfTouched, [99, 100, 101], ". ! !"),
    ] {
        let mut watch = stop(side, order_type, 100);
        let said = run(&mut watch, INCREMENT, &prices);
        assert_eq!(said, expected, "{side:?} {order_type:?}");
    }
}

#[test]
fn an_order_without_a_condition_watches_nothing() {
    for order_type in [
        OrderType::Market,
        OrderType::Limit,
        OrderType::MarketToLimit,
    ] {
        let watch = Watch::new(Side::Buy, order_type, &OrderTerms::default(), &at(1));
        assert_eq!(watch, None);
    }
}

/// The venue's own example: armed at 39,000, a ten percent distance.
#[test]
fn a_trailing_sell_stop_arms_follows_and_triggers() {
    let terms = OrderTerms {
        trailing: Some(TrailingOffset::Bps(1_000)),
        activation_price: Some(Price(39_000)),
        ..OrderTerms::default()
    };
    let prices = [39_500, 39_000, 37_000, 41_000, 40_000, 36_901, 36_900];
    let mut above = watch(Side::Sell, OrderType::TrailingStop, terms.clone(), 40_000);
    assert_eq!(run(&mut above, INCREMENT, &prices), ". 35100 . 36900 . . !");
    let mut below = watch(Side::Sell, OrderType::TrailingStop, terms, 38_000);
    let rising = [38_900, 39_000, 41_000, 36_900];
    assert_eq!(run(&mut below, INCREMENT, &rising), ". 35100 36900 !");
}

#[test]
fn a_trailing_buy_stop_follows_downwards() {
    let terms = OrderTerms {
        trailing: Some(TrailingOffset::Price(Price(5))),
        ..OrderTerms::default()
    };
    let mut watch = watch(Side::Buy, OrderType::TrailingStop, terms, 100);
    let said = run(&mut watch, INCREMENT, &[100, 103, 90, 94, 95]);
    assert_eq!(said, "105 . 95 . !");
}

#[test]
fn a_trailing_stop_price_lies_on_the_increment_away_from_the_market() {
    let terms = OrderTerms {
        trailing: Some(TrailingOffset::Bps(33)),
        ..OrderTerms::default()
    };
    for (side, expected) in [(Side::Sell, "995"), (Side::Buy, "1005")] {
        let mut watch = watch(side, OrderType::TrailingStop, terms.clone(), 1_000);
        assert_eq!(run(&mut watch, Price(5), &[1_000]), expected, "{side:?}");
    }
}

#[test]
fn a_distance_beyond_the_range_of_prices_is_no_stop_price() {
    let terms = OrderTerms {
        trailing: Some(TrailingOffset::Price(Price(i64::MAX))),
        ..OrderTerms::default()
    };
    let mut watch = watch(Side::Buy, OrderType::TrailingStop, terms, 100);
    assert_eq!(run(&mut watch, INCREMENT, &[100, 90]), ". .");
}

#[test]
fn each_trigger_type_watches_its_own_price() {
    let market = MarketView {
        bid: Some(Price(98)),
        ask: Some(Price(102)),
        last: Some(Price(101)),
        last_ts: crate::UnixNanos(0),
        mark: None,
        ts: crate::UnixNanos(0),
    };
    for (trigger, side, expected) in [
        (TriggerType::Last, Side::Buy, 101),
        (TriggerType::BidAsk, Side::Buy, 102),
        (TriggerType::BidAsk, Side::Sell, 98),
        (TriggerType::Mark, Side::Sell, 100),
    ] {
        assert_eq!(watched(trigger, side, &market), Some(Price(expected)));
    }
    let quote_only = MarketView {
        last: None,
        ..market
    };
    assert_eq!(
        watched(TriggerType::Last, Side::Buy, &quote_only),
        Some(Price(102))
    );
    assert_eq!(watched(TriggerType::Mark, Side::Buy, &at(1)), None);
}

#[test]
fn a_distance_in_basis_points_lies_behind_a_negative_price_too() {
    let terms = OrderTerms {
        trailing: Some(TrailingOffset::Bps(1_000)),
        ..OrderTerms::default()
    };
    for (side, prices, expected) in [
        (Side::Sell, [-100, -90, -95, -99], "-110 -99 . !"),
        (Side::Buy, [-100, -110, -105, -99], "-90 -99 . !"),
        (Side::Sell, [-10, 10, 9, 8], "-11 9 ! !"),
    ] {
        let mut watch = watch(side, OrderType::TrailingStop, terms.clone(), prices[0]);
        assert_eq!(run(&mut watch, INCREMENT, &prices), expected, "{side:?}");
    }
}
