//! A journal that was brought back to an earlier time, and a venue that was not: the venue tells of
//! orders that the account does not know, and no order of its own gets one of their ids.

use super::foreign::list;
use super::support::*;
use crate::account::{Account, AccountInput, Refusal};
use crate::event::{CloseScope, Event};
use crate::id::ClientOrderId;
use crate::market::Side;
use crate::order::OrderStatus;
use crate::reconcile::ReconcileSettings;
use crate::risk::TradingState;
use crate::venue::{VenueCommand, VenueReport};

/// A world whose venue filled an order of which the journal has nothing.
fn brought_back(filled: &str) -> World {
    let mut world = World::ready();
    let mine = execution(filled, "x1", PERP, Side::Buy, 500, 10_000);
    world.report(VenueReport::Filled(mine));
    resume(&mut world);
    world
}

fn resume(world: &mut World) {
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Active,
        by: "risk".to_owned(),
        reason: "looked at".to_owned(),
    });
}

fn new_orders(world: &World) -> Vec<ClientOrderId> {
    let commands = world.commands().iter();
    let new = commands.filter_map(|command| match command {
        VenueCommand::New(order) => Some(order.client_order_id.clone()),
        _ => None,
    });
    new.collect()
}

#[test]
fn an_id_that_the_venue_knows_from_elsewhere_is_refused_and_nothing_is_kept() {
    let mut world = brought_back("ema-7");
    world.submit(limit("ema-7", PERP, Side::Sell, 1_000, 10_000));
    assert_eq!(*world.refusal(), Refusal::UsedAtVenue(cid("ema-7")));
    assert!(world.effects.events.is_empty() && new_orders(&world).is_empty());
    // Once more with a fill that is told late: it is of nobody here either.
    let late = execution("ema-7", "x2", PERP, Side::Buy, 500, 10_000);
    world.report(VenueReport::Filled(late));
    assert_eq!(world.account.net_position(&id(PERP)), 1_000);
    resume(&mut world);
    world.submit(limit("ema-9", PERP, Side::Sell, 1_000, 10_000));
    assert_eq!(new_orders(&world), [cid("ema-9")]);
    assert_eq!(world.state("ema-9"), OrderStatus::Submitted);
    world.assert_recovers();
}

#[test]
fn a_restart_knows_the_ids_of_what_traded() {
    let world = brought_back("ema-7");
    let mut folded = Account::new();
    for recorded in &world.journal {
        folded.fold(recorded).expect("it was decided here");
    }
    let restored = Account::restore(&world.account.snapshot()).expect("it was written here");
    for account in [folded, restored] {
        let mut world = World {
            account,
            journal: world.journal.clone(),
            effects: Default::default(),
            now: world.now,
        };
        world.submit(limit("ema-7", PERP, Side::Sell, 1_000, 10_000));
        assert_eq!(*world.refusal(), Refusal::UsedAtVenue(cid("ema-7")));
    }
}

#[test]
fn a_closing_passes_over_ids_that_the_venue_knows() {
    let mut world = brought_back("ema-7");
    // The command of the closing comes behind these fills, a halt and its end.
    let now = world.account.sequence();
    for taken in now + 6..=now + 10 {
        let (id, exec) = (format!("C{taken}-0"), format!("y{taken}"));
        let fill = execution(&id, &exec, PERP, Side::Buy, 1, 10_000);
        world.report(VenueReport::Filled(fill));
    }
    resume(&mut world);
    world.apply(AccountInput::Close {
        scope: CloseScope::default(),
        request_id: Some(request_id("close")),
    });
    let begun = world.effects.events.iter();
    let taken = begun.filter(|it| matches!(it.event, Event::CommandTaken { .. }));
    let taken: Vec<u64> = taken.map(|it| it.sequence).collect();
    assert_eq!(new_orders(&world), [cid(&format!("C{}-1", taken[0]))]);
    let closing = world.account.closing(&request_id("close")).expect("known");
    assert_eq!(closing.orders.len(), 1, "{closing:?}");
    world.assert_recovers();
}

/// The venue works orders of which the account knows nothing, under the first two ids of a closing,
/// and they end there without a trade.
#[test]
fn the_orders_of_a_closing_are_found_behind_ids_that_nobody_knows_any_more() {
    let mut world = brought_back("ema-7");
    let settings = Box::new(ReconcileSettings::default());
    world.apply(AccountInput::RequireReconciliation { settings });
    list(&mut world, &[]);
    resume(&mut world);
    // Any of the next commands may be that of the closing.
    let now = world.account.sequence();
    let ids = (now..now + 6).flat_map(|taken| [format!("C{taken}-0"), format!("C{taken}-1")]);
    let ids: Vec<String> = ids.collect();
    list(
        &mut world,
        &ids.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(
        world.account.strangers_ids("C"),
        ids.iter().map(|id| cid(id)).collect::<Vec<_>>()
    );
    assert_eq!(world.account.strangers_ids("ema-"), [cid("ema-7")]);
    world.apply(AccountInput::Close {
        scope: CloseScope::default(),
        request_id: Some(request_id("close")),
    });
    let [closing] = new_orders(&world).try_into().expect("one position");
    assert!(closing.as_str().ends_with("-2"), "{closing}");

    list(&mut world, &[]);
    let restored = Account::restore(&world.account.snapshot()).expect("it was written here");
    for account in [&world.account, &restored] {
        let state = account.closing(&request_id("close")).expect("known");
        let orders = state.orders.iter();
        let orders: Vec<_> = orders.map(|it| &it.request.client_order_id).collect();
        assert_eq!(orders, [&closing]);
    }
}
