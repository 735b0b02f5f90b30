//! The golden journals: bytes that each schema wrote must load for ever, to the same state.

use super::support::*;
use crate::account::{Account, AccountInput, FundingPayment, GuardSession, InstrumentSplit, Reply};
use crate::event::{CloseScope, DecodeError, GuardOutcome, Recorded, SCHEMA};
use crate::market::Side;
use crate::money::Rate;
use crate::number::Price;
use crate::order::{
    Contingency, OrderStatus, OrderTerms, OrderType, ReleaseRule, SubmitList, SubmitOrder,
    TimeInForce, TrailingOffset,
};
use crate::risk::{Limits, MarketView, ReasonCode, TradingState, WideLimits};
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

/// Every kind of event that schema 2 added.
const GOLDEN_2: &[u8] = include_bytes!("../../../testdata/golden-journal-v2.bin");
const GOLDEN_2_EVENTS: u64 = 62;
const GOLDEN_2_HASH: u64 = 0xb8a5_39eb_0560_2f8a;

/// Lists, held orders, busts, closing, the kill switch, loss limits, funding and a split.
fn second_script() -> World {
    let mut world = World::small();
    let mut bare = instrument(PERP);
    bare.min_notional = money("0");
    bare.rules.lacks.order_types = vec![OrderType::Stop, OrderType::TrailingStop];
    world.apply(AccountInput::DefineInstrument(Box::new(bare)));
    world.limits(Limits {
        wide: WideLimits {
            max_daily_loss: Some(money("1000")),
            max_drawdown: Some(Rate::parse("0.5").unwrap()),
            ..WideLimits::default()
        },
        ..Limits::default()
    });
    let show = |world: &mut World, price| {
        let view = MarketView {
            bid: Some(Price(price - 1)),
            ask: Some(Price(price + 1)),
            last: Some(Price(price)),
            // The script was decided by a build that looked at any last trade.
            last_ts: crate::time::UnixNanos(i64::MAX),
            mark: None,
            ts: world.now,
        };
        let instrument_id = id(PERP);
        world.apply(AccountInput::Market {
            instrument_id,
            view,
        });
        world.apply(AccountInput::Tick);
    };
    show(&mut world, 10_000);
    let exit = |client, order_type, terms| SubmitOrder {
        order_type,
        limit_price: None,
        terms,
        ..limit(client, PERP, Side::Sell, 100, 0)
    };
    let stop = OrderTerms {
        stop_price: Some(Price(9_500)),
        ..OrderTerms::default()
    };
    let entry = limit("entry", PERP, Side::Buy, 100, 10_000);
    let target = limit("target", PERP, Side::Sell, 100, 11_000);
    let list = SubmitList {
        list_id: crate::OrderListId::new("bracket").unwrap(),
        contingency: Contingency::Bracket,
        release: ReleaseRule::Partial,
        cascade: true,
        orders: vec![entry, target, exit("stop", OrderType::Stop, stop)],
    };
    let markets = [(id(PERP), market(9_999, 10_001, world.now))].into();
    let list = Box::new(list);
    world.apply(AccountInput::SubmitList { list, markets });
    world.accept("entry");
    world.fill("entry", "x1", 40, 10_000);
    world.accept("target");
    world.fill("entry", "x2", 60, 10_000);
    world.report(VenueReport::Busted {
        client_order_id: cid("entry"),
        exec_id: crate::ExecId::new("x1").unwrap(),
        instrument_id: id(PERP),
        ts_event: world.now,
    });
    let trailing = OrderTerms {
        trailing: Some(TrailingOffset::Bps(100)),
        ..OrderTerms::default()
    };
    world.submit(exit("trail", OrderType::TrailingStop, trailing));
    show(&mut world, 10_100);
    show(&mut world, 10_200);
    show(&mut world, 10_098);
    world.apply(AccountInput::Funding(FundingPayment {
        instrument_id: id(PERP),
        funding_id: crate::ExecId::new("f1").unwrap(),
        currency: currency("USDT"),
        amount: money("-0.012"),
        ts_event: world.now,
    }));
    let mut dated = limit("dated", SPOT, Side::Buy, 100, 9_000);
    dated.time_in_force = TimeInForce::Gtd;
    dated.terms.expire_at = Some(world.now.plus(crate::time::NANOS_PER_SECOND));
    dated.terms.display_quantity = Some(crate::Quantity(10));
    world.working(dated);
    close_and_halt(&mut world);
    world
}

/// Positions are closed, an instrument is split, and the kill switch ends it.
fn close_and_halt(world: &mut World) {
    world.apply(AccountInput::Close {
        scope: CloseScope {
            instrument_id: Some(id(PERP)),
            ..CloseScope::default()
        },
        request_id: Some(request_id("close")),
    });
    for client in ["target", "trail"] {
        world.ended(client, 0);
    }
    let closing = world.account.working_orders().last().unwrap();
    let closing = closing.request.client_order_id.as_str().to_owned();
    world.accept(&closing);
    world.fill(&closing, "x3", 60, 10_000);
    world.apply(AccountInput::Split(InstrumentSplit {
        request_id: Some(request_id("split")),
        instrument_id: id(SPOT),
        numerator: 2,
        denominator: 1,
    }));
    world.apply(AccountInput::Halt {
        request_id: Some(request_id("kill")),
        cancel: true,
        flatten: false,
        by: "ops".to_owned(),
        reason: "drill".to_owned(),
    });
}

/// Every kind of event that schema 3 added.
const GOLDEN_3: &[u8] = include_bytes!("../../../testdata/golden-journal-v3.bin");
const GOLDEN_3_EVENTS: u64 = 29;
const GOLDEN_3_HASH: u64 = 0xd10b_5486_f214_0a9b;

/// Sessions that are guarded, taken up again, let go, and end with their orders.
fn third_script() -> World {
    let mut world = World::small();
    let guard = |world: &mut World, session_id: &str, resumes| {
        let wish = GuardSession {
            session_id: crate::OrderSessionId::new(session_id).unwrap(),
            resumes,
            by: "ann".to_owned(),
            timeout_ns: 5 * crate::time::NANOS_PER_SECOND,
        };
        match world.apply(AccountInput::GuardSession(wish)).reply {
            Some(Reply::Guarded(session)) => session,
            _ => panic!("{:?}", world.effects.reply),
        }
    };
    let submit = |world: &mut World, session, client: &str| {
        let request = Box::new(limit(client, PERP, Side::Buy, 100, 9_000));
        let market = market(9_999, 10_001, world.now);
        let input = Box::new(AccountInput::Submit { request, market });
        world.apply(AccountInput::OfSession { session, input });
        world.accept(client);
    };
    guard(&mut world, "cut", false);
    let cut = guard(&mut world, "cut", true);
    let kept = guard(&mut world, "kept", false);
    let silent = guard(&mut world, "silent", false);
    submit(&mut world, cut, "cut");
    submit(&mut world, kept, "kept");
    submit(&mut world, silent, "silent");
    for (session, outcome) in [
        (cut, GuardOutcome::Disconnected),
        (kept, GuardOutcome::LetGo),
    ] {
        world.apply(AccountInput::EndSession { session, outcome });
    }
    world.ended("cut", 0);
    world.now = world.now.plus(6 * crate::time::NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
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

fn unpack(schema: u16, mut bytes: &[u8]) -> Vec<Recorded> {
    let mut journal = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        journal.push(Recorded::decode(schema, record).unwrap());
        bytes = rest;
    }
    journal
}

#[test]
fn the_golden_journal_loads_to_the_same_state() {
    let mut account = Account::new();
    for recorded in unpack(GOLDEN_SCHEMA, GOLDEN) {
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

#[test]
fn the_second_golden_journal_loads_to_the_same_state_and_is_still_decided() {
    let journal = unpack(2, GOLDEN_2);
    let mut account = Account::new();
    for recorded in &journal {
        account.fold(recorded).unwrap();
    }
    assert_eq!(account.sequence(), GOLDEN_2_EVENTS);
    let hash = account.state_hash();
    assert_eq!(hash, GOLDEN_2_HASH, "{hash:#018x}");
    assert!(account == Account::restore(&account.snapshot()).unwrap());
    assert!(
        pack(&second_script().journal) == GOLDEN_2,
        "the script decides or writes other events now"
    );
}

#[test]
fn the_third_golden_journal_loads_to_the_same_state_and_is_still_decided() {
    let journal = unpack(3, GOLDEN_3);
    let mut account = Account::new();
    for recorded in &journal {
        account.fold(recorded).unwrap();
    }
    assert_eq!(account.sequence(), GOLDEN_3_EVENTS);
    let hash = account.state_hash();
    assert_eq!(hash, GOLDEN_3_HASH, "{hash:#018x}");
    assert!(account == Account::restore(&account.snapshot()).unwrap());
    let status = |client| account.order(&key(client)).unwrap().status;
    for (client, expected) in [
        ("cut", OrderStatus::Canceled),
        ("kept", OrderStatus::Accepted),
        ("silent", OrderStatus::PendingCancel),
    ] {
        assert_eq!(status(client), expected, "{client}");
    }
    assert!(
        pack(&third_script().journal) == GOLDEN_3,
        "the script decides or writes other events now"
    );
}

/// A build of schema 2 must not take what it cannot read for damage.
#[test]
fn events_are_written_under_the_schema_that_has_them_all() {
    let refused = Recorded::decode(SCHEMA + 1, &[]);
    assert_eq!(refused, Err(DecodeError::NewerSchema { found: SCHEMA + 1 }));
    for recorded in third_script().journal {
        assert_eq!(Recorded::decode(SCHEMA, &recorded.encode()), Ok(recorded));
    }
    assert_eq!(
        SCHEMA, 3,
        "a golden journal of its own belongs to each schema"
    );
}

/// Holds as long as the encoding and the decisions stay. After a wanted change of decisions the
/// bytes differ and still have to load: then this test moves to the next golden journal.
#[test]
fn the_same_script_still_decides_the_golden_events() {
    assert!(
        pack(&script().journal) == pack(&unpack(GOLDEN_SCHEMA, GOLDEN)),
        "the script decides other events now"
    );
}
