//! Nothing stays reserved: once every order has ended and nothing is held, all of the account's
//! money is free again, whatever happened on the way.

use super::busts::bust;
use super::support::*;
use crate::account::AccountInput;
use crate::event::CloseScope;
use crate::instrument::{Instrument, InstrumentRules, Lacks};
use crate::market::Side;
use crate::matching::random::Random;
use crate::number::{Price, Quantity};
use crate::order::{
    Contingency, OrderStatus, OrderTerms, OrderType, ReleaseRule, SubmitList, SubmitOrder,
};
use crate::risk::{Limits, MarketView, ReasonCode};
use crate::venue::{RejectReason, VenueReport, VenueStatus};

/// A contract whose venue has no stops, so that the account holds them itself.
const BARE: &str = "BARE.SIM";

fn world() -> World {
    let mut world = World::small();
    let bare = Instrument {
        instrument_id: id(BARE),
        min_notional: money("0"),
        rules: InstrumentRules {
            lacks: Lacks {
                order_types: vec![OrderType::Stop],
                ..Lacks::default()
            },
            ..InstrumentRules::default()
        },
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(bare)));
    world.limits(Limits {
        check_buying_power: true,
        allow_short_spot: true,
        ..Limits::default()
    });
    world
}

fn request(random: &mut Random, client: &str, instrument_id: &str) -> SubmitOrder {
    let side = [Side::Buy, Side::Sell][random.below(2) as usize];
    let quantity = random.between(1, 40);
    let price = random.between(9_500, 10_500);
    let plain = limit(client, instrument_id, side, quantity, price);
    match random.below(3) {
        0 => plain,
        1 => market_order(client, instrument_id, side, quantity),
        _ => SubmitOrder {
            order_type: OrderType::Stop,
            limit_price: None,
            terms: OrderTerms {
                stop_price: Some(Price(price)),
                ..OrderTerms::default()
            },
            ..plain
        },
    }
}

fn submit_list(world: &mut World, random: &mut Random, number: u64, instrument_id: &str) {
    let contingencies = [
        Contingency::Oco,
        Contingency::Ouo,
        Contingency::Oto,
        Contingency::Bracket,
    ];
    let contingency = contingencies[random.below(4) as usize];
    let mut orders: Vec<SubmitOrder> = (0..3)
        .map(|part| request(random, &format!("l{number}-{part}"), instrument_id))
        .collect();
    if contingency == Contingency::Bracket {
        let exit = orders[0].side.opposite();
        orders[1..].iter_mut().for_each(|order| order.side = exit);
    }
    let list = Box::new(SubmitList {
        list_id: crate::OrderListId::new(&format!("L{number}")).unwrap(),
        contingency,
        release: [ReleaseRule::Full, ReleaseRule::Partial][random.below(2) as usize],
        cascade: random.below(2) == 0,
        orders,
    });
    let markets = [(id(instrument_id), market(9_999, 10_001, world.now))].into();
    world.apply(AccountInput::SubmitList { list, markets });
}

fn show(world: &mut World, instrument_id: &str, price: i64) {
    let view = MarketView {
        bid: Some(Price(price - 1)),
        ask: Some(Price(price + 1)),
        last: Some(Price(price)),
        last_ts: world.now,
        mark: None,
        ts: world.now,
    };
    let instrument_id = id(instrument_id);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
}

/// What the venue or a client does to one order.
fn disturb(world: &mut World, random: &mut Random, client: &str) {
    let order = world.order(client);
    let client_order_id = cid(client);
    let ts_event = world.now;
    let exec = format!("x{}", world.now.0);
    match random.below(9) {
        0 => drop(world.accept(client)),
        // At times more than was ordered, or after its end.
        1 | 2 => {
            let most = order.leaves_quantity.0.max(2) + random.between(-1, 1);
            let quantity = random.between(1, most);
            world.fill(client, &exec, quantity, 10_000);
            if random.below(3) == 0 {
                bust(world, client, &exec);
            }
        }
        3 => drop(world.cancel(client)),
        4 => drop(world.amend(client, Some(random.between(1, 60)), None)),
        5 => drop(world.report(VenueReport::Amended {
            client_order_id,
            quantity: Quantity(random.between(1, 60)),
            limit_price: order.limit_price,
            stop_price: order.stop_price,
            ts_event,
        })),
        6 => drop(world.report(VenueReport::Rejected {
            client_order_id,
            reason: RejectReason::Other,
            text: String::new(),
            ts_event,
        })),
        7 => drop(world.report(VenueReport::CancelRejected {
            client_order_id,
            text: String::new(),
            ts_event,
        })),
        _ => drop(world.ended(client, order.filled_quantity.0)),
    }
}

/// Ends all orders, as far as the venue has them, and lets the account close all positions.
fn wind_down(world: &mut World) {
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: crate::risk::TradingState::Active,
        by: "ops".to_owned(),
        reason: String::new(),
    });
    for instrument_id in [SPOT, PERP, BARE] {
        show(world, instrument_id, 10_000);
    }
    world.apply(AccountInput::Close {
        scope: CloseScope::default(),
        request_id: Some(request_id("close")),
    });
    for round in 0..200 {
        let working: Vec<(String, i64, OrderType)> = world
            .account
            .working_orders()
            .map(|order| {
                let request = &order.request;
                let client = request.client_order_id.as_str().to_owned();
                (client, order.leaves_quantity.0, request.order_type)
            })
            .collect();
        let flat = world.account.positions().all(|position| position.is_flat());
        if working.is_empty() && flat {
            return;
        }
        for (client, leaves, order_type) in working {
            // An earlier one of this round may have ended it here.
            if world.state(&client).is_terminal() {
                continue;
            }
            let closes = client.starts_with('C') && order_type == OrderType::Market;
            if closes && leaves > 0 {
                world.fill(&client, &format!("w{round}-{client}"), leaves, 10_000);
            } else {
                world.now = world.now.plus(1);
                world.status(
                    &client,
                    VenueStatus::Canceled,
                    our_executions(world, &client),
                );
            }
        }
        world.now = world.now.plus(6 * crate::time::NANOS_PER_SECOND);
        world.apply(AccountInput::Tick);
    }
    let left: Vec<_> = world.account.working_orders().collect();
    panic!("{left:?} hang for ever");
}

fn our_executions(world: &World, client: &str) -> Vec<crate::venue::Execution> {
    let order_id = world.order(client).order_id;
    let records = world.account.executions().iter();
    records
        .filter(|record| !record.busted && record.order_id.as_ref() == Some(&order_id))
        .map(|record| record.execution.clone())
        .collect()
}

#[test]
fn nothing_is_reserved_once_everything_has_ended() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..150 {
        let mut random = Random::stream(0x1eaf, seed);
        let mut world = world();
        for step in 0..60 {
            let instrument_id = [SPOT, PERP, BARE][random.below(3) as usize];
            let clients: Vec<String> = world
                .account
                .orders()
                .map(|order| order.request.client_order_id.as_str().to_owned())
                .collect();
            match random.below(8) {
                0 => drop(world.submit(request(&mut random, &format!("o{step}"), instrument_id))),
                1 => submit_list(&mut world, &mut random, step, instrument_id),
                2 => show(&mut world, instrument_id, 9_500 + random.between(0, 1_000)),
                3 => drop(world.apply(AccountInput::SessionLost {
                    reason_code: ReasonCode::NoAnswer,
                })),
                _ if clients.is_empty() => {}
                _ => {
                    let client = &clients[random.below(clients.len() as u64) as usize];
                    disturb(&mut world, &mut random, client);
                }
            }
        }
        wind_down(&mut world);
        for instrument_id in [SPOT, PERP, BARE] {
            let exposure = world.account.exposure(&id(instrument_id));
            assert_eq!(exposure, Default::default(), "seed {seed}");
        }
        assert!(
            world
                .account
                .order_store()
                .exposures()
                .iter()
                .next()
                .is_none()
        );
        for order in world.account.orders() {
            crate::invariant::check_order(order).unwrap();
            seen.insert(order.status);
        }
        crate::invariant::check_account(&world.account).unwrap();
        world.assert_recovers();
    }
    let ended: Vec<OrderStatus> = OrderStatus::ALL
        .into_iter()
        .filter(|status| status.is_terminal() && *status != OrderStatus::Expired)
        .collect();
    assert_eq!(Vec::from_iter(seen), ended, "the scripts reach every end");
}
