//! Client and server over sockets.

use super::*;
use crate::sim::protocol::{ErrorCode, Faults, PROTOCOL};
use crate::sim::{LostReason, journal};
use apex_domain::UnixNanos;
use apex_domain::market::MarketEvent;
use apex_domain::venue::VenueStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn orders_are_taken_amended_canceled_and_queried() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut peer = venue.log_on(1).await;
    assert_eq!(
        peer.ask(new("x", Some(DEEP), 500), 1).await,
        ["1 x accepted"]
    );
    assert_eq!(
        peer.ask(amend("x", 300, None), 1).await,
        ["2 x amended 300"]
    );
    assert_eq!(peer.ask(query("x"), 1).await, ["0 x Working with 0"]);
    assert_eq!(peer.ask(cancel("x"), 1).await, ["3 x ended Requested"]);
    assert_eq!(peer.ask(cancel("x"), 1).await, ["4 x cancel rejected"]);
    assert_eq!(
        peer.ask(new("m", None, 100), 2).await,
        ["5 m accepted", "6 m filled 100"]
    );
    assert_eq!(peer.ask(query("m"), 1).await, ["0 m Filled with 1"]);
    assert_eq!(peer.ask(query("n"), 1).await, ["0 n not found, proof true"]);
    assert_eq!(
        peer.ask(new("x", Some(DEEP), 500), 1).await,
        ["7 x rejected DuplicateClientOrderId"]
    );
    let truth = ground_truth(&folder);
    let orders: Vec<_> = truth
        .orders
        .iter()
        .map(|(account, o)| (account.as_str(), o.order.client_order_id.as_str(), o.status))
        .collect();
    assert_eq!(
        orders,
        [
            ("a", "x", VenueStatus::Canceled),
            ("a", "m", VenueStatus::Filled)
        ]
    );
    assert_eq!(truth.reports[&account("a")].len(), 7);
    venue.stop().await;
}

#[tokio::test]
async fn a_cut_session_goes_on_without_gap_or_repeat() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut peer = venue.log_on(1).await;
    let cut = Faults {
        drop_after_commands: Some(2),
        ..Faults::default()
    };
    peer.sender.set_faults(cut).unwrap();
    assert_eq!(
        peer.ask(new("a", Some(DEEP), 100), 1).await,
        ["1 a accepted"]
    );
    peer.send(new("b", Some(DEEP), 100));
    assert!(matches!(peer.event().await, VenueEvent::Lost(_)));
    assert!(peer.events.next().await.is_none());

    let mut peer = venue.log_on(2).await;
    assert_eq!(peer.last_at_logon, 2);
    assert_eq!(peer.reports(1).await, ["2 b accepted"]);
    assert_eq!(peer.ask(query("b"), 1).await, ["0 b Working with 0"]);
    drop(peer);
    let mut peer = venue.log_on(1).await;
    assert_eq!(peer.reports(2).await, ["1 a accepted", "2 b accepted"]);
    let nothing_more = peer.ask(query("a"), 1).await;
    assert_eq!(nothing_more, ["0 a Working with 0"]);
    venue.stop().await;
}

#[tokio::test]
async fn a_venue_that_starts_again_has_its_orders_numbers_and_used_ids() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut peer = venue.log_on(1).await;
    peer.ask(new("rest", Some(DEEP), 500), 1).await;
    peer.ask(amend("rest", 400, Some(DEEP + 100)), 1).await;
    peer.ask(new("gone", None, 100), 2).await;
    peer.ask(new("bad", Some(DEEP), 0), 1).await;
    let before = ground_truth(&folder);
    venue.stop().await;
    // A batch that was being written when the power went.
    let path = folder.path().join(journal::FILE_NAME);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(br#"{"batch":5,"last":fal"#).unwrap();
    drop(file);

    let venue = TestVenue::start(folder.path()).await;
    let mut peer = venue.log_on(6).await;
    assert_eq!(peer.last_at_logon, 5);
    assert_eq!(ground_truth(&folder), before);
    assert_eq!(peer.ask(query("rest"), 1).await, ["0 rest Working with 0"]);
    assert_eq!(peer.ask(query("gone"), 1).await, ["0 gone Filled with 1"]);
    assert_eq!(peer.ask(query("bad"), 1).await, ["0 bad Rejected with 0"]);
    assert_eq!(
        peer.ask(new("gone", None, 100), 1).await,
        ["6 gone rejected DuplicateClientOrderId"]
    );
    // It rests at 400 where it was amended to, and fills there.
    let sell = VenueCommand::New(order("s", Side::Sell, Some(DEEP + 100), 400));
    peer.send(sell);
    let mut filled = 0;
    while let VenueEvent::Report { report, .. } = peer.event().await {
        if let VenueReport::Filled(execution) = report {
            filled += execution.last_quantity.0;
        }
        if filled == 400 {
            break;
        }
    }
    assert_eq!(
        peer.ask(cancel("rest"), 1).await,
        ["9 rest ended Requested"]
    );
    let ids: Vec<_> = ground_truth(&folder)
        .orders
        .iter()
        .flat_map(|(_, order)| order.executions.clone())
        .map(|execution| execution.exec_id)
        .collect();
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_that_is_killed_at_any_moment_has_every_answered_order_once() {
    const ROUNDS: usize = 20;
    const ORDERS: usize = 40;
    let folder = folder();
    // As an account keeps it: the reports it made durable, and what it sent.
    let mut reports: Vec<VenueReport> = Vec::new();
    let mut answered: BTreeSet<String> = BTreeSet::new();
    let mut sent: BTreeSet<String> = BTreeSet::new();
    for round in 0..=ROUNDS {
        let venue = TestVenue::start(folder.path()).await;
        let mut peer = venue.log_on(reports.len() as u64 + 1).await;
        sent.extend((0..ORDERS).map(|n| format!("o{round}-{n}")));
        // Those of before without an answer are sent again with the same id and content.
        for id in sent.difference(&answered) {
            peer.send(new(id, Some(DEEP), 100));
        }
        // A further number of answers is waited for in each round; in the last one, all.
        let wanted = if round == ROUNDS {
            usize::MAX
        } else {
            round * 2
        };
        let enough = reports.len().saturating_add(wanted);
        while reports.len() < enough && answered.len() < sent.len() {
            let VenueEvent::Report { sequence, report } = peer.event().await else {
                panic!("session is lost");
            };
            assert_eq!(sequence, reports.len() as u64 + 1, "gap or repeat");
            answered.extend(report.client_order_id().map(ToString::to_string));
            reports.push(report);
        }
        venue.kill().await;
    }
    let truth = ground_truth(&folder);
    let mut at_venue: Vec<&str> = truth
        .orders
        .iter()
        .map(|(_, order)| order.order.client_order_id.as_str())
        .collect();
    at_venue.sort_unstable();
    let expected: Vec<&str> = sent.iter().map(String::as_str).collect();
    assert_eq!(at_venue, expected, "each order once, none missing");
    let accepted = reports
        .iter()
        .filter(|report| matches!(report, VenueReport::Accepted { .. }));
    assert_eq!(accepted.count(), ORDERS * (ROUNDS + 1));
}

#[tokio::test]
async fn a_second_logon_closes_the_first_session() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut first = venue.log_on(1).await;
    let mut second = venue.log_on(1).await;
    assert!(matches!(
        first.event().await,
        VenueEvent::Lost(LostReason::Refused {
            code: ErrorCode::Replaced,
            ..
        })
    ));
    assert_eq!(
        second.ask(new("x", Some(DEEP), 100), 1).await,
        ["1 x accepted"]
    );
    venue.stop().await;
}

#[tokio::test]
async fn market_data_begins_with_the_books_and_has_no_gap() {
    let folder = folder();
    let venue = TestVenue::start_with(ServerOptions::new(folder.path().to_owned(), 7)).await;
    let mut options = ConnectOptions::new(venue.address.clone(), account("a"), 1);
    options.market_data = true;
    let mut peer = Peer::connect(options).await;
    let mut books: BTreeMap<InstrumentId, u64> = BTreeMap::new();
    let mut deltas = 0;
    while deltas < 30 {
        match peer.events.next().await.unwrap() {
            VenueEvent::Market(MarketEvent::Snapshot(snapshot)) => {
                assert!(!snapshot.bids.is_empty() && !snapshot.asks.is_empty());
                books.insert(snapshot.instrument_id, snapshot.update_id);
            }
            VenueEvent::Market(MarketEvent::Book(delta)) => {
                let update_id = books.get_mut(&delta.instrument_id).unwrap();
                assert_eq!(delta.first_update_id, *update_id + 1);
                *update_id = delta.last_update_id;
                deltas += 1;
            }
            VenueEvent::Market(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(books.len(), 6);
    venue.stop().await;
}

#[tokio::test]
async fn a_mute_venue_works_off_commands_and_tells_of_them_later() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut options = ConnectOptions::new(venue.address.clone(), account("a"), 1);
    options.market_data = true;
    let mut peer = Peer::connect(options).await;
    let mute = Faults {
        mute: true,
        ..Faults::default()
    };
    peer.sender.set_faults(mute).unwrap();
    peer.send(new("x", None, 700));
    // Its public print shows that it was worked off; a report would have come before that.
    loop {
        match peer.events.next().await.unwrap() {
            VenueEvent::Market(MarketEvent::Trade(trade)) => {
                assert_eq!(trade.quantity, Quantity(700));
                break;
            }
            VenueEvent::Market(_) => {}
            other => panic!("{other:?}"),
        }
    }
    peer.sender.set_faults(Faults::default()).unwrap();
    assert_eq!(peer.reports(2).await, ["1 x accepted", "2 x filled 700"]);
    venue.stop().await;
}

#[tokio::test]
async fn reports_come_twice_late_or_as_refusals_when_asked_for() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut peer = venue.log_on(1).await;
    let twice = Faults {
        duplicate_reports: true,
        answer_delay_ms: 1,
        ..Faults::default()
    };
    peer.sender.set_faults(twice).unwrap();
    assert_eq!(
        peer.ask(new("x", Some(DEEP), 100), 2).await,
        ["1 x accepted", "1 x accepted"]
    );
    let refuse = Faults {
        reject_all: true,
        ..Faults::default()
    };
    peer.sender.set_faults(refuse).unwrap();
    assert_eq!(
        peer.ask(new("y", Some(DEEP), 100), 1).await,
        ["2 y rejected Other"]
    );
    assert_eq!(peer.ask(cancel("x"), 1).await, ["3 x ended Requested"]);
    assert_eq!(peer.ask(query("y"), 1).await, ["0 y Rejected with 0"]);
    venue.stop().await;
}

/// Sends bytes on a bare connection and returns what comes back until it is closed.
async fn bare(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut text = String::new();
    // A reset is a way of closing too: the venue does not read what is left.
    let _reset = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn a_snapshot_shows_what_the_reports_before_it_told() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let mut peer = venue.log_on(1).await;
    peer.ask(new("rests", Some(DEEP), 100), 1).await;
    let taken = peer.ask(new("takes", None, 100), 2).await;
    assert_eq!(taken, ["2 takes accepted", "3 takes filled 100"]);
    // Asked in one breath with an order: what it led to is told first and is in the snapshot.
    peer.send(new("later", Some(DEEP), 200));
    peer.sender.request_snapshot(UnixNanos::MIN).unwrap();
    assert_eq!(peer.reports(1).await, ["4 later accepted"]);
    let VenueEvent::Snapshot(snapshot) = peer.event().await else {
        panic!("no snapshot");
    };
    let orders = snapshot.open_orders.as_ref().unwrap();
    let open = orders
        .rows
        .iter()
        .map(|row| (row.client_order_id.clone(), row.quantity.0));
    let open: Vec<_> = open.collect();
    assert_eq!(
        open,
        [
            (Some(client_id("later")), 200),
            (Some(client_id("rests")), 100)
        ]
    );
    let executions = snapshot.executions.as_ref().unwrap();
    let traded = executions.rows.iter().map(|row| row.last_quantity.0);
    assert_eq!(traded.sum::<i64>(), 100);
    let positions = snapshot.positions.as_ref().unwrap();
    assert_eq!(positions.rows.len(), 1);
    assert_eq!(positions.rows[0].quantity.0, 100);
    assert_eq!(snapshot.balances, None);
    // Since a moment behind all of it there are no executions; the position is there still.
    peer.sender.request_snapshot(executions.ts.plus(1)).unwrap();
    let VenueEvent::Snapshot(snapshot) = peer.event().await else {
        panic!("no snapshot");
    };
    assert_eq!(snapshot.executions.unwrap().rows, []);
    assert_eq!(snapshot.positions.unwrap().rows.len(), 1);
    venue.stop().await;
}

#[tokio::test]
async fn what_is_no_message_closes_the_connection_with_a_word() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let logon = |next: u64, protocol: u16| {
        format!(
            r#"{{"logon":{{"protocol":{protocol},"account_id":"a","next_report_sequence":{next},"heartbeat_ms":1000}}}}"#
        )
    };
    for (bytes, word) in [
        ("nonsense\n".to_owned(), "bad_logon"),
        ("\"heartbeat\"\n".to_owned(), "bad_logon"),
        (format!("{}\n", logon(1, 9)), "bad_logon"),
        (format!("{}\n", logon(2, PROTOCOL)), "unknown_sequence"),
        (
            format!("{}\n{{\"what\":1}}\n", logon(1, PROTOCOL)),
            "bad_message",
        ),
        (format!("{0}\n{0}\n", logon(1, PROTOCOL)), "bad_message"),
        (
            format!("{}\n{}", logon(1, PROTOCOL), "x".repeat(70_000)),
            "bad_message",
        ),
    ] {
        let answer = bare(&venue.address, bytes.as_bytes()).await;
        let last = answer.lines().last().unwrap_or_default().to_owned();
        assert!(last.contains(word), "{word}: {answer:?}");
    }
    // It still works.
    let mut peer = venue.log_on(1).await;
    peer.ask(new("x", Some(DEEP), 100), 1).await;
    venue.stop().await;
}

#[tokio::test]
async fn a_silent_peer_is_noticed_on_either_side() {
    let folder = folder();
    let venue = TestVenue::start(folder.path()).await;
    let logon =
        br#"{"logon":{"protocol":3,"account_id":"a","next_report_sequence":1,"heartbeat_ms":10}}"#;
    let answer = bare(&venue.address, &[&logon[..], b"\n"].concat()).await;
    assert!(
        answer.contains("logged_on"),
        "closed without our heartbeats"
    );
    venue.stop().await;

    // A venue that accepts the connection, answers the logon, and says nothing more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = r#"{"logged_on":{"session":1,"last_report_sequence":0,"instruments":[]}}"#;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(b"\n").await.unwrap();
        let mut sink = Vec::new();
        stream.read_to_end(&mut sink).await
    });
    let mut options = ConnectOptions::new(address, account("a"), 1);
    options.heartbeat = Duration::from_millis(10);
    let (_sender, mut events) = SimVenueClient::connect(options).await.unwrap().split();
    assert_eq!(
        events.next().await,
        Some(VenueEvent::Lost(LostReason::Silent { millis: 30 }))
    );
    assert_eq!(events.next().await, None);
    // The lost session's socket is closed, too.
    let _ended = silent.await.unwrap();
}

#[tokio::test]
async fn a_venue_that_is_not_there_or_does_not_answer_is_an_error_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut options = ConnectOptions::new(address, account("a"), 1);
    options.deadline = Duration::from_millis(30);
    let error = SimVenueClient::connect(options.clone()).await.unwrap_err();
    assert!(matches!(error, SimVenueError::Deadline { millis: 30, .. }));
    drop(listener);
    options.deadline = Duration::from_secs(5);
    let error = SimVenueClient::connect(options).await.unwrap_err();
    assert!(matches!(error, SimVenueError::Unreachable { .. }));
}
