//! Recovery: whatever happened, folding the journal gives the same account, and a snapshot taken
//! anywhere goes on like the account it was taken of.

use super::support::*;
use crate::account::{Account, AccountInput, FoldError, RestoreError};
use crate::account::{FundingPayment, InstrumentSplit};
use crate::event::{Event, Recorded, SCHEMA};
use crate::invariant;
use crate::market::Side;
use crate::money::Money;
use crate::number::{Decimal, Price, Quantity};
use crate::order::{AmendOrder, PositionSide};
use crate::risk::{Limits, ReasonCode, TradingState};
use crate::time::NANOS_PER_SECOND;
use crate::venue::{EndReason, RejectReason, VenueEnd, VenueReport, VenueStatus};
use crate::{ExecId, UnixNanos, VenueOrderId};
use proptest::prelude::*;

/// One random step; numbers are made into orders, prices and ids as they fit.
#[derive(Clone, Debug)]
struct Move {
    kind: u8,
    order: u8,
    number: i64,
    later_ns: i64,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (0..25_u8, 0..12_u8, 1..2_000_i64, 0..(2 * NANOS_PER_SECOND));
    let one = one.prop_map(|(kind, order, number, later_ns)| Move {
        kind,
        order,
        number,
        later_ns,
    });
    prop::collection::vec(one, 1..120)
}

fn input(step: &Move, now: UnixNanos, hedging: bool) -> AccountInput {
    let venue_sequence = if step.number % 2 == 0 {
        0
    } else {
        step.number as u64
    };
    command(step, now, hedging).unwrap_or_else(|| AccountInput::Report {
        venue_sequence,
        report: report(step, now),
    })
}

/// The instrument, side and price that an order of this number always has.
fn terms(step: &Move) -> (&'static str, Side, i64) {
    let instrument_id = if step.order.is_multiple_of(2) {
        SPOT
    } else {
        PERP
    };
    let side = if step.order.is_multiple_of(3) {
        Side::Sell
    } else {
        Side::Buy
    };
    (instrument_id, side, 10_000 + step.number % 100 - 50)
}

/// What clients, operators and the session do; `None` where the move is a report.
fn command(step: &Move, now: UnixNanos, hedging: bool) -> Option<AccountInput> {
    let client = format!("o{}", step.order);
    let (instrument_id, side, price) = terms(step);
    let input = match step.kind {
        0..=3 => {
            let mut request = if step.number % 4 == 0 {
                market_order(&client, instrument_id, side, step.number)
            } else {
                limit(&client, instrument_id, side, step.number, price)
            };
            request.terms.position_side = match (hedging && instrument_id == PERP, step.order % 2) {
                (true, 0) => PositionSide::Long,
                (true, _) => PositionSide::Short,
                (false, _) => PositionSide::Net,
            };
            let market = market(price - 1, price + 1, now);
            AccountInput::Submit {
                request: Box::new(request),
                market,
            }
        }
        4 => {
            let request = AmendOrder {
                key: key(&client),
                request_id: request_id(&format!("r{}", step.number)),
                quantity: Some(Quantity(step.number)),
                limit_price: Some(Price(price)),
                expected_sequence: None,
                stop_price: None,
            };
            AccountInput::Amend {
                request,
                market: market(price - 1, price + 1, now),
            }
        }
        5 => AccountInput::Cancel {
            key: key(&client),
            request_id: Some(request_id(&format!("r{}", step.number))),
            reason_code: ReasonCode::CanceledByUser,
        },
        6 => {
            let state = match step.number % 4 {
                0 => TradingState::Halted,
                1 => TradingState::Reducing,
                _ => TradingState::Active,
            };
            AccountInput::SetTradingState {
                request_id: None,
                state,
                by: "ops".to_owned(),
                reason: String::new(),
            }
        }
        7 => AccountInput::Tick,
        8 => AccountInput::SessionReady,
        9 => AccountInput::SessionLost {
            reason_code: ReasonCode::NoAnswer,
        },
        10 => AccountInput::SetLimits {
            request_id: Some(request_id(&format!("l{}", step.number))),
            limits: Box::new(Limits {
                max_orders_per_second: Some(3),
                check_buying_power: step.number % 2 == 0,
                allow_short_spot: true,
                ..Limits::default()
            }),
            expected_sequence: None,
        },
        22 => AccountInput::Funding(FundingPayment {
            instrument_id: id(PERP),
            funding_id: ExecId::new(&format!("f{}", step.number % 50)).unwrap(),
            currency: currency("USDT"),
            amount: Money(Decimal::new(step.number - 1_000, 3)),
            ts_event: now,
        }),
        23 => AccountInput::Split(InstrumentSplit {
            request_id: None,
            instrument_id: id(instrument_id),
            numerator: 1 + u32::from(step.order) % 3,
            denominator: 1 + u32::from(step.order) % 4,
        }),
        _ => return None,
    };
    Some(input)
}

/// Reports about an order are drawn without looking at its state: most cannot be.
fn report(step: &Move, now: UnixNanos) -> VenueReport {
    let client = format!("o{}", step.order);
    let client_order_id = cid(&client);
    let (instrument_id, side, price) = terms(step);
    let ts_event = UnixNanos(now.0 + step.number % 3 - 1);
    let fill = |exec: i64, quantity: i64| {
        execution(
            &client,
            &format!("{client}-{exec}"),
            instrument_id,
            side,
            quantity,
            price,
        )
    };
    let quantity = Quantity(step.number);
    match step.kind {
        11 | 12 => accepted(&client, ts_event),
        13 => VenueReport::Rejected {
            client_order_id,
            reason: RejectReason::Other,
            text: String::new(),
            ts_event,
        },
        14..=16 => VenueReport::Filled(fill(step.number % 5, 1 + step.number % 600)),
        17 => VenueReport::Ended {
            client_order_id,
            end: VenueEnd::Expired,
            reason: EndReason::NoLiquidity,
            cumulative_quantity: Quantity(step.number % 700),
            ts_event,
        },
        18 => VenueReport::Amended {
            client_order_id,
            quantity,
            limit_price: Some(Price(price)),
            ts_event,
            stop_price: None,
        },
        19 => VenueReport::AmendRejected {
            client_order_id,
            text: String::new(),
            ts_event,
        },
        20 => VenueReport::NotFound {
            client_order_id,
            proof: step.number % 2 == 0,
            ts_event,
        },
        24 => VenueReport::Busted {
            exec_id: ExecId::new(&format!("{client}-{}", step.number % 5)).unwrap(),
            client_order_id,
            instrument_id: id(instrument_id),
            ts_event,
        },
        _ => VenueReport::Status {
            client_order_id,
            venue_order_id: VenueOrderId::new("v").unwrap(),
            status: match step.number % 4 {
                0 => VenueStatus::Working,
                1 => VenueStatus::Filled,
                2 => VenueStatus::Canceled,
                _ => VenueStatus::Rejected,
            },
            quantity,
            limit_price: None,
            executions: (0..step.number % 3).map(|exec| fill(exec, 100)).collect(),
            ts_event,
            stop_price: None,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folding_the_journal_gives_the_same_account(script in moves(), hedging in any::<bool>()) {
        let mut world = World::ready();
        // Goes on from a snapshot taken in the middle.
        let mut twin = World::ready();
        if hedging {
            world.hedging();
            twin.hedging();
        }
        for (index, step) in script.iter().enumerate() {
            world.now = world.now.plus(step.later_ns);
            let now = world.now;
            world.apply(input(step, now, hedging));
            invariant::check_account(&world.account).unwrap();
            twin.now = twin.now.plus(step.later_ns);
            twin.apply(input(step, now, hedging));
            if index == script.len() / 2 {
                twin.account = Account::restore(&twin.account.snapshot()).unwrap();
                prop_assert_eq!(&twin.account, &world.account);
            }
        }
        world.assert_recovers();
        prop_assert_eq!(&twin.account, &world.account);
        prop_assert_eq!(twin.account.snapshot(), world.account.snapshot());
        for recorded in &world.journal {
            let back = Recorded::decode(SCHEMA, &recorded.encode()).unwrap();
            prop_assert_eq!(&back, recorded);
        }
    }
}

#[test]
fn a_gap_in_the_journal_is_refused_with_its_place() {
    let world = World::ready();
    let mut account = Account::new();
    account.fold(&world.journal[0]).unwrap();
    let gap = account.fold(&world.journal[2]);
    assert_eq!(
        gap,
        Err(FoldError::Gap {
            expected: 2,
            found: 3
        })
    );
}

#[test]
fn a_journal_begins_with_the_opening_and_has_one() {
    let world = World::ready();
    let mut second = world.journal[1].clone();
    second.sequence = 1;
    assert_eq!(Account::new().fold(&second), Err(FoldError::NotOpen));
    let mut account = world.account.clone();
    let mut again = world.journal[0].clone();
    again.sequence = account.sequence() + 1;
    assert_eq!(account.fold(&again), Err(FoldError::NotOpen));
}

#[test]
fn events_that_fit_no_order_are_damage() {
    let mut world = World::ready();
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    let order_id = world.order("a").order_id;
    let fold = |event| {
        world.account.clone().fold(&Recorded {
            sequence: world.account.sequence() + 1,
            ts: world.now,
            venue_sequence: 0,
            event,
        })
    };
    let denied = Event::OrderDenied {
        order_id: order_id.clone(),
        reason_code: ReasonCode::MinQuantity,
        reason: String::new(),
    };
    assert!(matches!(fold(denied), Err(FoldError::Transition { .. })));
    let order_id = crate::OrderId::new("paper-999").unwrap();
    let unknown = fold(Event::OrderSubmitted { order_id });
    assert!(matches!(unknown, Err(FoldError::UnknownOrder { .. })));
}

#[test]
fn a_snapshot_of_another_version_or_cut_short_is_refused() {
    let bytes = World::ready().account.snapshot();
    assert_eq!(Account::restore(&bytes[..1]), Err(RestoreError::Short));
    let cut = Account::restore(&bytes[..bytes.len() - 1]);
    assert!(matches!(cut, Err(RestoreError::Bytes(_))));
    let mut newer = bytes;
    let next = crate::account::recovery::SNAPSHOT_VERSION + 1;
    newer[..2].copy_from_slice(&next.to_le_bytes());
    assert_eq!(
        Account::restore(&newer),
        Err(RestoreError::Version { found: next })
    );
}
