//! Orders that are held here and trades from before they were there.

use super::support::*;
use crate::account::AccountInput;
use crate::instrument::Lacks;
use crate::market::Side;
use crate::number::Price;
use crate::order::{OrderStatus, OrderTerms, OrderType, SubmitOrder};
use crate::risk::MarketView;
use crate::time::{NANOS_PER_DAY, UnixNanos};

fn world() -> World {
    let mut world = World::small();
    let mut definition = instrument(PERP);
    definition.rules.lacks = Lacks {
        order_types: vec![OrderType::Stop],
        ..Lacks::default()
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

/// The last trade at `last`, made at `last_ts`, under quotes of now round `price`.
fn show(world: &mut World, last: i64, last_ts: UnixNanos, price: i64) {
    let view = MarketView {
        bid: Some(Price(price - 1)),
        ask: Some(Price(price + 1)),
        last: Some(Price(last)),
        last_ts,
        mark: None,
        ts: world.now,
    };
    let instrument_id = id(PERP);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
}

/// Source: FACTS "never fill on data older than the order".
#[test]
fn a_stop_is_triggered_by_trades_since_it_is_there_and_by_quotes_until_there_is_one() {
    for (last, quoted, triggers) in [(9_400, 10_000, false), (9_600, 9_450, true)] {
        let mut world = world();
        let printed = world.now;
        show(&mut world, last, printed, quoted);
        world.now = world.now.plus(NANOS_PER_DAY / 4);
        world.submit(SubmitOrder {
            order_type: OrderType::Stop,
            limit_price: None,
            terms: OrderTerms {
                stop_price: Some(Price(9_500)),
                ..OrderTerms::default()
            },
            ..limit("s", PERP, Side::Sell, 10_000, 0)
        });
        show(&mut world, last, printed, quoted);
        let is_held = world.state("s") == OrderStatus::PendingNew;
        assert_eq!(!is_held, triggers, "last {last}, quoted {quoted}");
        let now = world.now;
        show(&mut world, 9_500, now, 10_000);
        assert_ne!(world.state("s"), OrderStatus::PendingNew, "a trade of now");
        world.assert_recovers();
    }
}
