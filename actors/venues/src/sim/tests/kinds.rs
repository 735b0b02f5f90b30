//! TC-M80 to TC-M86: what the venue's journal brings back of each kind of order.

use super::*;
use crate::sim::venue::Venue;
use apex_domain::matching::{MarginOptions, SimOptions};
use apex_domain::order::{SelfTradePrevention, TrailingOffset, TriggerType};
use apex_domain::venue::{EndReason, SessionEdge, VenueControl, VenueStatus};
use apex_domain::{Currency, ExecId, Money, Rate, UnixNanos};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn open(folder: &TempDir, seed: u64, now: i64) -> Venue {
    Venue::open(folder.path(), false, SimOptions::new(seed), UnixNanos(now)).unwrap()
}

/// Sends a command of account `a` at `now`.
fn send(venue: &mut Venue, now: i64, command: VenueCommand) {
    venue
        .command(UnixNanos(now), &account("a"), command, false)
        .unwrap();
}

fn state(venue: &mut Venue, now: i64, id: &str) -> (VenueStatus, usize) {
    let outcome = venue.command(UnixNanos(now), &account("a"), query(id), false);
    match outcome.unwrap().answer {
        Some(VenueReport::Status {
            status, executions, ..
        }) => (status, executions.len()),
        other => panic!("{id}: {other:?}"),
    }
}

fn restored(folder: &TempDir, id: &str) -> apex_domain::matching::RestoredOrder {
    let truth = ground_truth(folder);
    let found = truth
        .orders
        .iter()
        .find(|(_, order)| order.order.client_order_id == client_id(id));
    found.unwrap().1.clone()
}

fn typed(id: &str, side: Side, order_type: OrderType, stop_price: Option<i64>) -> NewOrder {
    let mut order = order(id, side, None, 10_000);
    order.order_type = order_type;
    order.terms.stop_price = stop_price.map(Price);
    order.terms.trigger = TriggerType::BidAsk;
    order
}

#[test]
fn tc_m80_a_triggered_order_comes_back_as_what_it_became() {
    let folder = tempfile::tempdir().unwrap();
    let mut venue = open(&folder, 7, SECOND);
    // Met already; its limit is far from the market, so it rests.
    let mut met = typed("met", Side::Buy, OrderType::StopLimit, Some(5_600_000));
    met.limit_price = Some(Price(DEEP));
    send(&mut venue, SECOND, VenueCommand::New(met));
    let far = typed("far", Side::Buy, OrderType::Stop, Some(9_000_000));
    send(&mut venue, SECOND, VenueCommand::New(far));
    drop(venue);
    let types = ["met", "far"].map(|id| restored(&folder, id).order.order_type);
    assert_eq!(types, [OrderType::Limit, OrderType::Stop]);
    let mut venue = open(&folder, 8, 2 * SECOND);
    for id in ["met", "far"] {
        assert_eq!(
            state(&mut venue, 2 * SECOND, id),
            (VenueStatus::Working, 0),
            "{id}"
        );
    }
    send(&mut venue, 2 * SECOND, cancel("far"));
    assert_eq!(
        state(&mut venue, 2 * SECOND, "far").0,
        VenueStatus::Canceled
    );
}

#[test]
fn tc_m81_a_trailing_stop_never_steps_back_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut venue = open(&folder, 7, SECOND);
    let mut order = typed("t", Side::Sell, OrderType::TrailingStop, None);
    order.terms.trailing = Some(TrailingOffset::Bps(500));
    send(&mut venue, SECOND, VenueCommand::New(order));
    // Alone in the book until the market opens again: no bid to be triggered by.
    send(&mut venue, SECOND, new("deep", Some(DEEP), 10_000));
    let mut stops = Vec::new();
    for run in 0..4 {
        for step in 1..40 {
            let now = SECOND * (1 + 10 * run) + step * SECOND / 10;
            venue.step(UnixNanos(now)).unwrap();
        }
        stops.push(restored(&folder, "t").order.terms.stop_price.unwrap());
        drop(venue);
        // The market of another seed opens elsewhere.
        venue = open(&folder, 8 + run as u64, SECOND * (9 + 10 * run));
    }
    assert!(stops.is_sorted(), "{stops:?}");
    assert_eq!(state(&mut venue, 60 * SECOND, "t").0, VenueStatus::Working);
}

#[test]
fn tc_m82_times_run_out_while_the_venue_runs_and_while_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut venue = open(&folder, 7, SECOND);
    for (id, seconds) in [("soon", 2), ("later", 5), ("last", 100)] {
        let mut order = order(id, Side::Buy, Some(DEEP), 10_000);
        order.time_in_force = TimeInForce::Gtd;
        order.terms.expire_at = Some(UnixNanos(seconds * SECOND));
        send(&mut venue, SECOND, VenueCommand::New(order));
    }
    venue.step(UnixNanos(2 * SECOND)).unwrap();
    assert_eq!(
        state(&mut venue, 2 * SECOND, "soon").0,
        VenueStatus::Working
    );
    venue.step(UnixNanos(2 * SECOND + 1)).unwrap();
    assert_eq!(restored(&folder, "soon").status, VenueStatus::Expired);
    drop(venue);
    let mut venue = open(&folder, 7, 10 * SECOND);
    let states = ["soon", "later", "last"].map(|id| state(&mut venue, 10 * SECOND, id).0);
    let expected = [
        VenueStatus::Expired,
        VenueStatus::Expired,
        VenueStatus::Working,
    ];
    assert_eq!(states, expected);
}

#[test]
fn tc_m83_an_iceberg_shows_its_part_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut venue = open(&folder, 7, SECOND);
    let mut ice = order("ice", Side::Buy, Some(DEEP), 50_000);
    ice.terms.display_quantity = Some(Quantity(10_000));
    send(&mut venue, SECOND, VenueCommand::New(ice));
    let shown = |venue: &Venue| {
        let snapshots = venue.snapshots(UnixNanos(SECOND));
        let book = snapshots.iter().find_map(|event| match event {
            apex_domain::market::MarketEvent::Snapshot(book)
                if book.instrument_id.as_str() == BTC =>
            {
                Some(book.clone())
            }
            _ => None,
        });
        let book = book.unwrap();
        let level = book.bids.iter().find(|level| level.price == Price(DEEP));
        level.unwrap().quantity
    };
    assert_eq!(shown(&venue), Quantity(10_000));
    drop(venue);
    assert_eq!(shown(&open(&folder, 8, SECOND)), Quantity(10_000));
}

#[test]
fn tc_m84_halts_sessions_and_busts_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut venue = open(&folder, 7, SECOND);
    send(&mut venue, SECOND, new("m", None, 10_000));
    let truth = ground_truth(&folder);
    let exec_id: ExecId = truth.orders[0].1.executions[0].exec_id.clone();
    let instrument_id = InstrumentId::new(BTC).unwrap();
    for control in [
        VenueControl::Bust { exec_id },
        VenueControl::Session {
            instrument_id: instrument_id.clone(),
            edge: SessionEdge::Open,
        },
        VenueControl::Halt { instrument_id },
    ] {
        venue.control(UnixNanos(SECOND), control).unwrap();
    }
    drop(venue);
    let mut venue = open(&folder, 7, 2 * SECOND);
    assert_eq!(
        state(&mut venue, 2 * SECOND, "m"),
        (VenueStatus::Canceled, 0)
    );
    send(&mut venue, 2 * SECOND, new("n", Some(DEEP), 10_000));
    assert_eq!(restored(&folder, "n").status, VenueStatus::Rejected);
}

#[test]
fn tc_m85_a_liquidation_is_in_the_journal_with_its_fills() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SimOptions::new(7);
    for listed in &mut options.instruments {
        listed.instrument.initial_margin = Rate::parse("0.1").unwrap();
        // Not covered from the first fill on, since a round trip costs the spread.
        listed.instrument.rules.maintenance_margin = Some(Rate::parse("0.1").unwrap());
    }
    options.margin = Some(MarginOptions {
        currency: Currency::new("USDT").unwrap(),
        cash: Money::parse("6006").unwrap(),
        grace_ns: 0,
    });
    let open = |now| Venue::open(folder.path(), false, options.clone(), UnixNanos(now)).unwrap();
    let mut venue = open(SECOND);
    send(&mut venue, SECOND, new("rests", Some(DEEP), 1_000));
    // A coin at 60,000 needs 6,000; after spread and fee they are not there any more.
    send(&mut venue, SECOND, new("m", None, 100_000));
    let truth = ground_truth(&folder);
    let reasons: Vec<_> = truth.reports[&account("a")]
        .iter()
        .filter_map(|report| match report {
            VenueReport::Ended { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect();
    assert!(reasons.contains(&EndReason::Liquidation), "{reasons:?}");
    let own: Vec<_> = truth
        .orders
        .iter()
        .filter(|(_, o)| o.order.client_order_id.as_str().starts_with("LIQ-"))
        .collect();
    assert!(!own.is_empty());
    let signed =
        |o: &apex_domain::matching::RestoredOrder| o.order.side.sign() * o.filled_quantity.0;
    let position: i64 = truth.orders.iter().map(|(_, o)| signed(o)).sum();
    assert_eq!(position, 0, "bought and liquidated");
    let id = own[0].1.order.client_order_id.to_string();
    drop(venue);
    let mut venue = open(2 * SECOND);
    assert_eq!(state(&mut venue, 2 * SECOND, &id).0, VenueStatus::Filled);
}

/// An order of any kind. What it waits for is met at once or never, since the market of another
/// seed is elsewhere.
fn any_order() -> impl Strategy<Value = NewOrder> {
    let kind = prop::sample::select(OrderType::ALL.to_vec());
    let time = prop::sample::select(TimeInForce::ALL.to_vec());
    let stp = prop::option::of(prop::sample::select(vec![
        SelfTradePrevention::ExpireTaker,
        SelfTradePrevention::ExpireMaker,
        SelfTradePrevention::ExpireBoth,
        SelfTradePrevention::Decrement,
    ]));
    let numbers = (1_i64..4, -3_i64..4, prop::bool::ANY, 2_i64..8);
    let flags = (prop::bool::ANY, prop::bool::weighted(0.3));
    (0_u8..12, kind, time, stp, numbers, flags).prop_map(
        |(n, kind, time, stp, (lots, offset, high, end), (buy, iceberg))| {
            let side = if buy { Side::Buy } else { Side::Sell };
            let mut order = order(&format!("o{n}"), side, None, lots * 1_000);
            order.order_type = kind;
            order.time_in_force = time;
            order.limit_price = kind.has_limit().then_some(Price(6_000_000 + offset * 100));
            let stop_price = Price(if high { 9_000_000 } else { 3_000_000 });
            order.terms.stop_price = kind.is_conditional().then_some(stop_price);
            order.terms.trailing = Some(TrailingOffset::Bps(9_000));
            order.terms.trigger = TriggerType::BidAsk;
            order.terms.expire_at = Some(UnixNanos(SECOND + end * SECOND / 10));
            order.terms.self_trade_prevention = stp;
            order.terms.display_quantity = iceberg.then_some(Quantity(1_000));
            order
        },
    )
}

/// Status, quantity, limit price and the number of executions.
type Answer = (VenueStatus, Quantity, Option<Price>, usize);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// TC-M86: whatever was ordered, the venue that starts again answers as the one before.
    #[test]
    fn tc_m86_a_venue_from_its_journal_knows_every_kind(
        orders in prop::collection::vec((any_order(), prop::bool::weighted(0.2)), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open(&folder, 7, SECOND);
        let mut now = SECOND;
        for (order, canceled) in orders {
            now += SECOND / 20;
            first.step(UnixNanos(now)).unwrap();
            let id = order.client_order_id.to_string();
            send(&mut first, now, VenueCommand::New(order));
            if canceled {
                send(&mut first, now, cancel(&id));
            }
        }
        let answers = |venue: &mut Venue| -> Vec<Option<Answer>> {
            (0..12)
                .map(|n| {
                    let asked = query(&format!("o{n}"));
                    let outcome = venue.command(UnixNanos(now), &account("a"), asked, false);
                    match outcome.unwrap().answer {
                        Some(VenueReport::Status { status, quantity, limit_price, executions, .. }) => {
                            Some((status, quantity, limit_price, executions.len()))
                        }
                        _ => None,
                    }
                })
                .collect()
        };
        let log = first.log(&account("a"));
        let before = answers(&mut first);
        drop(first);
        let mut second = open(&folder, 8, now);
        prop_assert_eq!(before, answers(&mut second));
        let again = second.log(&account("a"));
        // A trailing stop may have followed the new market.
        prop_assert!(again.last() >= log.last());
        for sequence in 1..=log.last() {
            prop_assert_eq!(log.get(sequence), again.get(sequence));
        }
    }
}
