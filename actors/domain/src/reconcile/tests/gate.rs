//! What waits here leaves only once the account agrees with its venue.

use super::*;
use crate::event::CloseScope;
use crate::instrument::{Instrument, InstrumentRules, Lacks};
use crate::order::{OrderStatus, OrderTerms, OrderType, SubmitOrder};
use crate::risk::MarketView;
use crate::time::NANOS_PER_SECOND;
use crate::venue::VenueCommand;

fn close(instrument: &str, request: &str) -> AccountInput {
    AccountInput::Close {
        scope: CloseScope {
            instrument_id: Some(id(instrument)),
            ..CloseScope::default()
        },
        request_id: Some(request_id(request)),
    }
}

fn last(world: &mut World, last: i64) {
    world.now = world.now.plus(2 * NANOS_PER_SECOND);
    let view = MarketView {
        bid: Some(Price(last - 1)),
        ask: Some(Price(last + 1)),
        last: Some(Price(last)),
        last_ts: world.now,
        mark: None,
        ts: world.now,
    };
    let instrument_id = id(PERP);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
}

/// The new orders of the last step, signed.
fn sent(world: &World) -> Vec<i64> {
    let commands = world.commands().iter();
    commands
        .filter_map(|command| match command {
            VenueCommand::New(new) => Some(new.side.sign() * new.quantity.0),
            _ => None,
        })
        .collect()
}

#[test]
fn a_closing_waits_until_the_account_agrees_about_its_instrument() {
    let mut world = holding(100);
    last(&mut world, 10_000);
    require(&mut world);
    world.apply(close(PERP, "flat"));
    assert!(sent(&world).is_empty(), "nothing is known of the venue yet");
    last(&mut world, 10_000);
    assert!(sent(&world).is_empty(), "a price tells nothing of it");
    // Somebody closed it at the venue meanwhile: the first snapshot may still lag.
    let snapshot = with_position(&world, 30);
    take(&mut world, &snapshot);
    assert!(sent(&world).is_empty(), "the difference is not settled");
    let snapshot = with_position(&world, 30);
    take(&mut world, &snapshot);
    assert_eq!(world.account.net_position(&id(PERP)), 30);
    // The strategy still has what it bought; what was closed elsewhere is nobody's.
    assert_eq!(sent(&world), [70, -100], "it agrees now");
}

#[test]
fn a_difference_elsewhere_keeps_no_position_open() {
    let mut world = holding(100);
    last(&mut world, 10_000);
    require(&mut world);
    world.apply(close(PERP, "flat"));
    // The venue holds a balance that ours lacks: seen once, it is not settled.
    let ts = world.now.plus(1);
    let mut snapshot = with_position(&world, 100);
    let rows = vec![VenueBalance {
        currency: currency("USDT"),
        amount: money("1"),
    }];
    snapshot.balances = Some(Part { ts, rows });
    take(&mut world, &snapshot);
    assert!(!world.account.is_reconciled());
    assert_eq!(sent(&world), [-100]);
}

#[test]
fn a_stop_that_is_held_here_looks_at_the_market_once_the_account_agrees() {
    let mut world = holding(10);
    let definition = Instrument {
        rules: InstrumentRules {
            lacks: Lacks {
                order_types: vec![OrderType::Stop],
                ..Lacks::default()
            },
            ..InstrumentRules::default()
        },
        min_notional: money("0"),
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    last(&mut world, 10_000);
    let stop = SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        terms: OrderTerms {
            stop_price: Some(Price(9_900)),
            ..OrderTerms::default()
        },
        ..limit("stop", PERP, Side::Sell, 10, 10_000)
    };
    world.submit(stop);
    assert!(sent(&world).is_empty(), "{:?}", world.order("stop"));
    require(&mut world);
    last(&mut world, 9_800);
    assert!(sent(&world).is_empty(), "the position may be gone");
    let snapshot = with_position(&world, 10);
    take(&mut world, &snapshot);
    assert!(world.account.is_reconciled());
    last(&mut world, 9_800);
    assert_eq!(sent(&world), [-10], "{:?}", world.order("stop"));
    assert_eq!(world.state("stop"), OrderStatus::Submitted);
    world.assert_recovers();
}
