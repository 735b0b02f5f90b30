//! Reconciliation driven by whole accounts and the snapshots of venues.

mod averages;
mod cases;
mod gate;
mod losses;
mod model;
mod properties;
mod table;
mod unlisted;

use super::*;
use crate::account::AccountInput;
use crate::account::tests::support::*;
use crate::id::VenueOrderId;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::PositionSide;

/// A snapshot of now without any part.
fn bare(world: &World) -> VenueSnapshot {
    VenueSnapshot {
        requested_at: world.now.plus(1),
        ..VenueSnapshot::default()
    }
}

/// Orders as the venue lists them now.
fn with_orders(world: &World, rows: Vec<VenueOpenOrder>) -> VenueSnapshot {
    let ts = world.now.plus(1);
    VenueSnapshot {
        open_orders: Some(Part { ts, rows }),
        ..bare(world)
    }
}

/// A position of the contract, long or short by its sign.
fn with_position(world: &World, quantity: i64) -> VenueSnapshot {
    let row = VenuePosition {
        instrument_id: id(PERP),
        position_side: PositionSide::Net,
        side: if quantity < 0 { Side::Sell } else { Side::Buy },
        quantity: Quantity(quantity.abs()),
        average_price: Some(Price(10_000)),
    };
    let rows = if quantity == 0 { vec![] } else { vec![row] };
    let ts = world.now.plus(1);
    VenueSnapshot {
        positions: Some(Part { ts, rows }),
        ..with_orders(world, vec![])
    }
}

fn with_balance(world: &World, amount: &str) -> VenueSnapshot {
    let rows = vec![VenueBalance {
        currency: currency("USDT"),
        amount: money(amount),
    }];
    let ts = world.now.plus(1);
    VenueSnapshot {
        balances: Some(Part { ts, rows }),
        ..with_orders(world, vec![])
    }
}

/// An order of ours as the venue lists it.
fn row(world: &World, client: &str) -> VenueOpenOrder {
    let order = world.order(client);
    VenueOpenOrder {
        client_order_id: Some(cid(client)),
        venue_order_id: VenueOrderId::new(&format!("v-{client}")).unwrap(),
        instrument_id: order.request.instrument_id,
        side: order.request.side,
        quantity: order.quantity,
        limit_price: order.limit_price,
        stop_price: None,
        filled_quantity: order.filled_quantity,
    }
}

fn take(world: &mut World, snapshot: &VenueSnapshot) -> Vec<String> {
    let snapshot = Box::new(snapshot.clone());
    world.apply(AccountInput::Reconcile { snapshot });
    world.events()
}

fn require(world: &mut World) {
    let settings = Box::new(ReconcileSettings::default());
    world.apply(AccountInput::RequireReconciliation { settings });
}

/// The only difference of the last report, as it stands.
fn found(world: &World) -> (DifferenceKind, DifferenceState, Resolution) {
    let report = world.account.reconciler().report().unwrap();
    match report.found.as_slice() {
        [one] => (one.difference.kind(), one.state, one.resolution),
        other => panic!("expected one difference, got {other:?}"),
    }
}

/// A world that is long by this many units of the contract, or short.
fn holding(quantity: i64) -> World {
    let mut world = World::ready();
    let side = if quantity < 0 { Side::Sell } else { Side::Buy };
    world.working(limit("own", PERP, side, quantity.abs(), 10_000));
    world.fill("own", "own-1", quantity.abs(), 10_000);
    world
}
