//! Accounts as they were.

use super::support::*;
use crate::UnixNanos;
use crate::account::as_of::{AccountAsOf, AsOf, AsOfError, as_of, as_of_tail};
use crate::account::{Account, AccountInput, FoldError, InstrumentSplit};
use crate::id::ExecId;
use crate::market::Side;
use crate::number::Price;
use crate::venue::VenueReport;

/// An account after each of its events, first of all before any.
fn lives(world: &World) -> Vec<Account> {
    let mut account = Account::new();
    let mut lives = vec![account.clone()];
    for recorded in &world.journal {
        account.fold(recorded).unwrap();
        lives.push(account.clone());
    }
    lives
}

fn busy() -> World {
    let mut world = World::ready();
    for (n, client) in ["a", "b", "c"].into_iter().enumerate() {
        world.working(limit(client, SPOT, Side::Buy, 100, 10_000));
        world.fill(client, &format!("x{n}"), 60, 9_990);
        world.cancel(client);
        world.ended(client, 60);
    }
    world
}

#[test]
fn each_sequence_shows_what_was_there_right_after_it() {
    let world = busy();
    let lives = lives(&world);
    for (sequence, expected) in (0..).zip(&lives) {
        let at = AsOf::Sequence(sequence);
        let shown = as_of(world.journal.iter().cloned(), at).unwrap();
        assert_eq!(shown.account(), expected);
        assert!(shown.is_passed());
        // From any snapshot at or before it the same, and from none behind it.
        for snapshot in &lives {
            let behind = snapshot.sequence() as usize;
            let tail = world.journal[behind..].iter().cloned();
            let shown = as_of_tail(snapshot.clone(), tail, at);
            if snapshot.sequence() <= sequence {
                assert_eq!(shown.unwrap().account(), expected);
            } else {
                let sequence = snapshot.sequence();
                assert_eq!(shown, Err(AsOfError::SnapshotTooNew { sequence }));
            }
        }
    }
    let beyond = AsOf::Sequence(lives.len() as u64);
    let shown = as_of(world.journal.clone(), beyond).unwrap();
    assert_eq!(shown.account(), &world.account);
    assert!(!shown.is_passed());
}

#[test]
fn a_time_shows_every_decision_up_to_it_whole() {
    let world = busy();
    let lives = lives(&world);
    let last = world.journal.last().unwrap().ts;
    for recorded in &world.journal {
        for ts in [recorded.ts.plus(-1), recorded.ts] {
            let at = AsOf::Time(ts);
            let shown = as_of(world.journal.iter().cloned(), at).unwrap();
            let events = world.journal.iter().filter(|r| r.ts <= ts).count();
            assert_eq!(shown.account(), &lives[events]);
            assert_eq!(shown.is_passed(), ts < last);
        }
    }
    let snapshot = world.account.clone();
    let sequence = snapshot.sequence();
    let early = as_of_tail(snapshot.clone(), [], AsOf::Time(last.plus(-1)));
    assert_eq!(early, Err(AsOfError::SnapshotTooNew { sequence }));
    let now = as_of_tail(snapshot, [], AsOf::Time(last)).unwrap();
    assert_eq!(now.into_account(), world.account);
}

#[test]
fn no_record_behind_the_point_is_read_but_the_first() {
    let world = busy();
    let second = AsOf::Time(world.journal[1].ts);
    for (at, expected) in [
        (AsOf::Sequence(0), 0),
        (AsOf::Sequence(2), 2),
        (second, 3),
        (AsOf::Time(UnixNanos(0)), 1),
    ] {
        let mut read = 0;
        let records = world.journal.iter().inspect(|_| read += 1).cloned();
        as_of(records, at).unwrap();
        assert_eq!(read, expected, "{at:?}");
    }
}

#[test]
fn a_damaged_journal_shows_nothing() {
    let world = busy();
    let mut reading = AccountAsOf::new(AsOf::Sequence(9));
    assert!(reading.take(&world.journal[0]).unwrap().is_continue());
    let gap = FoldError::Gap {
        expected: 2,
        found: 3,
    };
    assert_eq!(reading.take(&world.journal[2]), Err(gap.clone()));
    let torn = [world.journal[0].clone(), world.journal[2].clone()];
    assert_eq!(as_of(torn, AsOf::Sequence(9)), Err(AsOfError::Fold(gap)));
}

/// Each step is an order at a market of 99.99 to 100.01, a fill `exec quantity price` of order
/// "a", a bust `exec`, or a split.
fn check_last_price(steps: &[&str], expected: Option<i64>) {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 9_000));
    for step in steps {
        let words: Vec<&str> = step.split(' ').collect();
        match words.as_slice() {
            ["buy", client] => drop(world.submit(limit(client, SPOT, Side::Buy, 100, 9_000))),
            ["sell", client] => drop(world.submit(limit(client, SPOT, Side::Sell, 10, 11_000))),
            ["fill", exec, price] => drop(world.fill("a", exec, 100, price.parse().unwrap())),
            ["bust", exec] => {
                let report = VenueReport::Busted {
                    client_order_id: cid("a"),
                    exec_id: ExecId::new(exec).unwrap(),
                    instrument_id: id(SPOT),
                    ts_event: world.now,
                };
                world.report(report);
            }
            _ => {
                world.apply(AccountInput::Split(InstrumentSplit {
                    request_id: None,
                    instrument_id: id(SPOT),
                    numerator: 2,
                    denominator: 1,
                }));
            }
        }
    }
    let prices = world.account.last_prices();
    assert_eq!(prices.get(&id(SPOT)), expected.map(Price).as_ref());
    // A snapshot has the same: what was merely shown counts nowhere.
    let restored = Account::restore(&world.account.snapshot()).unwrap();
    assert_eq!(restored.last_prices(), prices);
}

#[test]
fn an_account_is_valued_by_the_newest_price_in_its_events() {
    check_last_price(&[], Some(10_001));
    check_last_price(&["fill x1 8990"], Some(8_990));
    check_last_price(&["fill x1 8990", "fill x2 8980"], Some(8_980));
    check_last_price(&["fill x1 8990", "buy b"], Some(10_001));
    check_last_price(&["fill x1 8990", "sell b"], Some(9_999));
    check_last_price(&["fill x1 8990", "fill x2 8980", "bust x2"], Some(8_990));
    check_last_price(&["fill x1 8990", "split"], None);
    check_last_price(&["fill x1 8990", "split", "buy b"], Some(10_001));
}
