//! The golden journal: bytes that the first release wrote must load for ever, to the same state.

use super::support::*;
use crate::account::{Account, AccountInput};
use crate::event::Recorded;
use crate::market::Side;
use crate::number::Price;
use crate::order::OrderStatus;
use crate::risk::{ReasonCode, TradingState};
use crate::venue::{RejectReason, VenueReport, VenueStatus};

/// Records, each behind its length as four bytes, little end first.
const GOLDEN: &[u8] = include_bytes!("../../../testdata/golden-journal-v1.bin");
const GOLDEN_SCHEMA: u16 = 1;
const GOLDEN_EVENTS: u64 = 39;
/// Rolled over today's encoding of the same events.
const GOLDEN_HASH: u64 = 0x11db_c33e_294e_0b37;

/// Every kind of event at least once, except those that no input leads to yet.
fn script() -> World {
    let mut world = World::ready();
    let buy = |client: &str| limit(client, SPOT, Side::Buy, 1_000, 10_000);
    world.working(buy("filled"));
    world.fill("filled", "x1", 400, 10_000);
    world.fill("filled", "x2", 600, 9_990);
    world.submit(limit("denied", SPOT, Side::Buy, 2_000_000, 10_000));
    world.submit(buy("rejected"));
    world.report(VenueReport::Rejected {
        client_order_id: cid("rejected"),
        reason: RejectReason::Other,
        text: "margin".to_owned(),
        ts_event: crate::UnixNanos(3),
    });
    world.working(limit("amended", PERP, Side::Sell, 2_000, 10_100));
    let ts_event = world.now;
    for taken in [false, true] {
        world.amend("amended", Some(1_500), Some(10_050));
        let client_order_id = cid("amended");
        world.report(if taken {
            VenueReport::Amended {
                client_order_id,
                quantity: crate::Quantity(1_500),
                limit_price: Some(Price(10_050)),
                ts_event,
                stop_price: None,
            }
        } else {
            VenueReport::AmendRejected {
                client_order_id,
                text: "busy".to_owned(),
                ts_event,
            }
        });
    }
    world.cancel("amended");
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("amended"),
        text: "busy".to_owned(),
        ts_event,
    });
    world.cancel("amended");
    world.ended("amended", 500);
    world.fill("amended", "x3", 500, 10_050);
    world.submit(buy("lost"));
    world.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::NoAnswer,
    });
    world.not_found("lost", true);
    world.status("lost", VenueStatus::Expired, vec![]);
    world.fill("lost", "x4", 1, 10_000);
    world.report(VenueReport::Filled(execution(
        "stranger",
        "x5",
        PERP,
        Side::Buy,
        5,
        10_000,
    )));
    world.fill("filled", "x1", 401, 10_000);
    world.apply(AccountInput::SetTradingState {
        request_id: Some(request_id("resume")),
        state: TradingState::Active,
        by: "ops".to_owned(),
        reason: "looked at".to_owned(),
    });
    world
}

fn pack(journal: &[Recorded]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for recorded in journal {
        let record = recorded.encode();
        bytes.extend((record.len() as u32).to_le_bytes());
        bytes.extend(record);
    }
    bytes
}

fn unpack(mut bytes: &[u8]) -> Vec<Recorded> {
    let mut journal = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        journal.push(Recorded::decode(GOLDEN_SCHEMA, record).unwrap());
        bytes = rest;
    }
    journal
}

#[test]
fn the_golden_journal_loads_to_the_same_state() {
    let mut account = Account::new();
    for recorded in unpack(GOLDEN) {
        account.fold(&recorded).unwrap();
    }
    assert_eq!(account.sequence(), GOLDEN_EVENTS);
    assert_eq!(
        account.state_hash(),
        GOLDEN_HASH,
        "{:#018x}",
        account.state_hash()
    );
    let status = |client| account.order(&key(client)).unwrap().status;
    for (client, expected) in [
        ("filled", OrderStatus::Filled),
        ("denied", OrderStatus::Denied),
        ("rejected", OrderStatus::Rejected),
        ("amended", OrderStatus::Canceled),
        ("lost", OrderStatus::Expired),
    ] {
        assert_eq!(status(client), expected, "{client}");
    }
    assert_eq!(account.net_position(&id(SPOT)), 1_001);
    assert_eq!(account.net_position(&id(PERP)), -495);
    assert_eq!(account.trading_state(), TradingState::Active);
}

/// Holds as long as the encoding and the decisions stay. After a wanted change of decisions the
/// bytes differ and still have to load: then this test moves to the next golden journal.
#[test]
fn the_same_script_still_decides_the_golden_events() {
    assert!(
        pack(&script().journal) == pack(&unpack(GOLDEN)),
        "the script decides other events now"
    );
}
