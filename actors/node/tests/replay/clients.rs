//! What clients order during a replay, at a venue that lacks some of it.

use super::{limit_order, recording_at};
use apex_bus::clock::Clock;
use apex_bus::message::{AccountCommand, AccountMessage, Page, VenueLink};
use apex_domain::account::Reply;
use apex_domain::calendar::parse_instant;
use apex_domain::event::{AccountMode, Hold};
use apex_domain::matching::BookFill;
use apex_domain::order::{OrderType, SubmitOrder, TimeInForce};
use apex_domain::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use apex_domain::{ClientOrderId, Instrument, Price, UnixNanos};
use apex_market_data::Publisher;
use apex_market_data::replay::{Recording, ReplayFeed, ReplayOptions};
use apex_node::account::{AccountRuntime, Opening};
use apex_node::replay::driver::{Ended, ReplayDriver, session};
use apex_node::replay::news::News;
use apex_node::replay::pace::{Pace, Pause, Speed};
use apex_node::replay::progress::Progress;
use apex_node::stores::Purpose;
use apex_node::up::{Base, NodeOptions, paper_account};
use apex_strategy::LockStep;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The recording begins 10 s before New York opens, and is a minute long.
const OPENING: &str = "2023-11-14T09:30:00-05:00";
const BEFORE_NS: i64 = 10 * NANOS_PER_SECOND;

/// The recorded instrument where its venue has neither stops nor orders for the opening.
fn lacking(feed: &ReplayFeed) -> Instrument {
    let mut instrument = feed.instruments().swap_remove(0);
    instrument.rules.calendar = "XNYS".to_owned();
    instrument.rules.lacks.order_types = vec![OrderType::Stop];
    instrument.rules.lacks.times_in_force = vec![TimeInForce::AtOpen];
    instrument
}

/// Starts a replay that is paused before its first frame.
async fn paused(base: &Base, file: &Path, start: UnixNanos) -> (ReplayDriver, AccountRuntime) {
    let recording = Recording::file(file).unwrap();
    let feed = ReplayFeed::new(vec![recording], ReplayOptions::default()).unwrap();
    let instrument = lacking(&feed);
    base.clock.advance(start);
    let opened = base
        .open_account(&Opening {
            account_id: paper_account(),
            mode: AccountMode::Paper,
            instruments: vec![instrument.clone()],
            charter: None,
            now: start,
        })
        .unwrap();
    let mut venue = BookFill::new("REPLAY", 1).unwrap();
    venue.define(instrument.clone());
    let mut step = LockStep::new(paper_account(), Box::new(venue), [instrument]);
    step.resume(&opened.account);
    let (session, commands) = session();
    let news = News::new(&base.events).unwrap();
    let account = base
        .start_account(opened, Arc::new(session), None)
        .await
        .unwrap();
    let link = AccountMessage::Link(VenueLink::Ready);
    account.actor.cast(link).unwrap();
    let pause = Pause::default();
    assert!(pause.toggle());
    let driver = ReplayDriver {
        feed,
        publisher: Publisher::without_bars(base.market.clone()),
        step,
        account: account.actor.clone(),
        handle: account.handle.clone(),
        clock: base.clock.clone(),
        commands,
        news,
        pace: Pace::new(Speed::Max),
        pause,
        progress: Progress::default(),
        stop: watch::channel(false).1,
    };
    (driver, account)
}

async fn submit(account: &AccountRuntime, request: SubmitOrder) -> Option<Hold> {
    let command = AccountCommand::Submit(Box::new(request));
    match account.handle.command(command).await.unwrap() {
        Reply::Order(order) => order.held_for,
        other => panic!("expected the order, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_orders_and_the_account_holds_leaves_by_the_prices_and_times_of_the_replay() {
    let folder = tempfile::tempdir().unwrap();
    let opening = parse_instant(OPENING).unwrap();
    let start = opening.plus(-BEFORE_NS);
    let file = recording_at(folder.path(), start.0);
    let base = Base::open(
        &NodeOptions::in_folder(&folder.path().join("data")),
        Purpose::Replay,
        Clock::replay(),
    )
    .unwrap();
    let (mut driver, account) = Box::pin(paused(&base, &file, start)).await;
    let named = |name: &str| SubmitOrder {
        client_order_id: ClientOrderId::new(name).unwrap(),
        ..limit_order(&driver.feed.instruments()[0])
    };
    // Prints rise by a dime each 100 ms, from 100.00 at the start to 104.00 after 4 s.
    let mut stop = SubmitOrder {
        order_type: OrderType::Stop,
        limit_price: None,
        ..named("stop")
    };
    stop.terms.stop_price = Some(Price(10_300));
    let open = SubmitOrder {
        time_in_force: TimeInForce::AtOpen,
        limit_price: Some(Price(12_000)),
        ..named("open")
    };
    assert_eq!(submit(&account, stop).await, Some(Hold::Emulated));
    assert_eq!(submit(&account, open).await, Some(Hold::Session));
    driver.pause.toggle();
    assert_eq!(driver.run().await.unwrap(), Ended::EndOfRecording);

    let page = Page {
        cursor: None,
        limit: 10,
    };
    let (executions, _) = account.handle.executions(page).await.unwrap();
    let mut filled: Vec<(&str, i64)> = executions
        .iter()
        .map(|record| {
            let execution = &record.execution;
            let after = execution.ts_event.since(start) / NANOS_PER_MILLI;
            (execution.client_order_id.as_str(), after)
        })
        .collect();
    // Each takes several levels of the book.
    filled.dedup();
    // The frame at 3 s triggers the one. The other leaves at 10 s, behind the frame of that time.
    assert_eq!(filled, [("stop", 3_000), ("open", 10_000)]);
    let summary = account.handle.summary().await.unwrap();
    assert_eq!(summary.working_orders, 0);
    account.stop().await;
}
