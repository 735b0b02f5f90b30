//! The core without sockets.

use super::*;
use crate::sim::core::{Core, CoreInput, SessionParts};
use crate::sim::protocol::{ErrorCode, Faults};
use crate::sim::venue::Venue;
use apex_domain::UnixNanos;
use apex_domain::matching::{Latencies, LatencyModel, SimOptions};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn venue(folder: &Path) -> Venue {
    Venue::open(folder, false, SimOptions::new(7), UnixNanos(SECOND)).unwrap()
}

fn log_on(core: &mut Core, next_report_sequence: u64) -> Result<SessionParts, ErrorCode> {
    let (reply, mut answer) = oneshot::channel();
    let logon = CoreInput::Logon {
        account_id: account("a"),
        next_report_sequence,
        reply,
    };
    core.handle(UnixNanos(SECOND), logon).unwrap();
    answer.try_recv().unwrap()
}

#[test]
fn nothing_of_an_older_session_is_processed() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = Core::new(venue(folder.path()), Faults::default(), None);
    let old = log_on(&mut core, 1).unwrap();
    let mut young = log_on(&mut core, 1).unwrap();
    let command = |session, command| CoreInput::Command { session, command };
    let late = command(old.session, new("late", Some(DEEP), 100));
    core.handle(UnixNanos(SECOND), late).unwrap();
    let asked = command(young.session, query("late"));
    core.handle(UnixNanos(SECOND), asked).unwrap();
    let answer = young.answers.try_recv().unwrap();
    assert!(answer.line.contains("NotFound"), "{}", answer.line);
    assert!(ground_truth(&folder).orders.is_empty());
}

#[test]
fn a_client_that_knows_more_than_the_venue_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = Core::new(venue(folder.path()), Faults::default(), None);
    assert_eq!(
        log_on(&mut core, 2).unwrap_err(),
        ErrorCode::UnknownSequence
    );
    assert!(log_on(&mut core, 0).is_ok());
}

#[test]
fn every_market_event_is_sent_or_announced_as_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = Core::new(venue(folder.path()), Faults::default(), None);
    let mut slow = log_on(&mut core, 1).unwrap();
    let session = slow.session;
    let subscribe = CoreInput::Subscribe { session };
    core.handle(UnixNanos(SECOND), subscribe).unwrap();
    let mut received: Vec<String> = Vec::new();
    for second in 2..200 {
        core.step(UnixNanos(second * SECOND)).unwrap();
        if second == 150 {
            // Reads at last.
            while let Ok(line) = slow.market.try_recv() {
                received.push(line.to_string());
            }
        }
    }
    while let Ok(line) = slow.market.try_recv() {
        received.push(line.to_string());
    }
    let gaps: Vec<usize> = (0..received.len())
        .filter(|at| received[*at].contains("market_gap"))
        .collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(received[gaps[0] + 1].contains("Snapshot"));
    // Each instrument's update ids are dense but for the one gap.
    let btc: Vec<u64> = received
        .iter()
        .filter(|line| line.contains("\"Book\"") && line.contains(BTC))
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["market"]["Book"]["last_update_id"].as_u64().unwrap()
        })
        .collect();
    let jumps = btc.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert_eq!(jumps, 1);
}

#[test]
fn a_damaged_journal_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut venue = venue(folder.path());
    for id in ["a", "b", "c"] {
        let now = UnixNanos(SECOND);
        venue
            .command(now, &account("a"), new(id, Some(DEEP), 100), false)
            .unwrap();
    }
    drop(venue);
    let path = folder.path().join(journal::FILE_NAME);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 6);
    let open = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let opened = Venue::open(folder.path(), false, SimOptions::new(7), UnixNanos(0));
        opened.map(|_| ())
    };
    let garbled = text.replacen("\"c\"", "\"c", 1);
    let line_of = |error| match error {
        SimVenueError::Damaged { line, .. } => line,
        other => panic!("{other}"),
    };
    assert_eq!(line_of(open(&garbled).unwrap_err()), 5);
    let missing: String = text.split_inclusive('\n').skip(2).collect();
    assert_eq!(line_of(open(&missing).unwrap_err()), 1);
    // The batch of "c" is torn: its order was never answered, and is not there.
    let torn = &text[..text.len() - 10];
    open(torn).unwrap();
    let left = std::fs::read_to_string(&path).unwrap();
    assert_eq!(left.lines().count(), 4);
}

#[test]
fn a_folder_has_one_venue_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = venue(folder.path());
    let second = Venue::open(folder.path(), false, SimOptions::new(7), UnixNanos(0));
    assert!(matches!(second, Err(SimVenueError::Journal { .. })));
    drop(first);
    venue(folder.path());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever was ordered: the venue that starts again answers every query as the one before.
    #[test]
    fn a_venue_from_its_journal_answers_as_before(
        commands in prop::collection::vec((0_u8..12, 0_u8..4, 1_i64..4, -3_i64..4), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut first = venue(folder.path());
        let mut now = SECOND;
        for (id, kind, lots, offset) in commands {
            now += SECOND / 20;
            first.step(UnixNanos(now)).unwrap();
            let id = format!("o{id}");
            // Round the market, so that some rest and some trade.
            let price = Some(6_000_000 + offset * 100);
            let side = if lots % 2 == 0 { Side::Buy } else { Side::Sell };
            let command = match kind {
                0 | 1 => VenueCommand::New(order(&id, side, price, lots * 1_000)),
                2 => amend(&id, lots * 1_000, price),
                _ => cancel(&id),
            };
            first.command(UnixNanos(now), &account("a"), command, false).unwrap();
        }
        let answers = |venue: &mut Venue| -> Vec<Option<VenueReport>> {
            (0..12)
                .map(|id| {
                    let asked = query(&format!("o{id}"));
                    let outcome = venue.command(UnixNanos(now), &account("a"), asked, false);
                    outcome.unwrap().answer
                })
                .map(|answer| match answer {
                    // A refused order has no id at the venue worth keeping.
                    Some(VenueReport::Status { status, executions, quantity, client_order_id, .. })
                        if executions.is_empty() && status == apex_domain::venue::VenueStatus::Rejected =>
                    {
                        Some(VenueReport::NotFound {
                            client_order_id,
                            proof: quantity.0 > 0,
                            ts_event: UnixNanos(0),
                        })
                    }
                    Some(VenueReport::Status {
                        client_order_id, venue_order_id, status, quantity, limit_price, executions, ..
                    }) => Some(VenueReport::Status {
                        client_order_id, venue_order_id, status, quantity, limit_price, executions,
                        ts_event: UnixNanos(0),
stop_price: None,
                    }),
                    Some(VenueReport::NotFound { client_order_id, .. }) => Some(VenueReport::NotFound {
                        client_order_id, proof: false, ts_event: UnixNanos(0),
                    }),
                    other => other,
                })
                .collect()
        };
        let log = first.log(&account("a"));
        let before = answers(&mut first);
        drop(first);
        let mut second = Venue::open(folder.path(), false, SimOptions::new(8), UnixNanos(now)).unwrap();
        prop_assert_eq!(before, answers(&mut second));
        let again = second.log(&account("a"));
        // What was under way before is shown after it.
        prop_assert_eq!(log.count(), again.last());
        log.show(log.count());
        for sequence in 1..=log.last() {
            prop_assert_eq!(log.get(sequence), again.get(sequence));
        }
    }
}

#[test]
fn a_latency_delays_commands_reports_and_answers_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let latencies = Latencies {
        to_venue: LatencyModel::Fixed(5),
        to_account: LatencyModel::Fixed(3),
        seed: 1,
    };
    let mut core = Core::new(venue(folder.path()), Faults::default(), Some(latencies));
    let mut parts = log_on(&mut core, 1).unwrap();
    let session = parts.session;
    for command in [new("slow", Some(DEEP), 100), query("slow")] {
        let input = CoreInput::Command { session, command };
        core.handle(UnixNanos(SECOND), input).unwrap();
    }
    let arrives = UnixNanos(SECOND + 5);
    assert_eq!(core.next_due(), Some(arrives));
    core.let_arrive(UnixNanos(SECOND + 4)).unwrap();
    assert!(ground_truth(&folder).orders.is_empty());
    core.let_arrive(arrives).unwrap();
    assert_eq!(ground_truth(&folder).orders.len(), 1);
    // Decided and in the journal, and nobody was told.
    assert_eq!((parts.log.last(), parts.log.get(1)), (0, None));
    assert!(parts.answers.try_recv().is_err());
    assert_eq!(core.next_due(), Some(UnixNanos(SECOND + 8)));
    core.let_arrive(UnixNanos(SECOND + 8)).unwrap();
    assert!(parts.log.get(1).unwrap().contains("Accepted"));
    let answer = parts.answers.try_recv().unwrap();
    assert_eq!(answer.after, 1);
    assert!(answer.line.contains("Working"), "{}", answer.line);
    assert_eq!(core.next_due(), None);
}
