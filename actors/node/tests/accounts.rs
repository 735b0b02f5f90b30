//! Accounts that are made while a node runs, and what a start makes of them.

use apex_bus::accounts::{AccountDesk, DeskError, NewAccount};
use apex_domain::event::PositionMode;
use apex_domain::matching::SimInstrument;
use apex_domain::{AccountId, Currency, Money, RequestId};
use apex_node::NodeError;
use apex_node::sim::{self, Live};
use apex_node::up::NodeOptions;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn id(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn wish(name: &str, request: &str) -> NewAccount {
    NewAccount {
        request_id: RequestId::new(request).unwrap(),
        account_id: id(name),
        base_currency: None,
        cash: BTreeMap::from([(Currency::new("USDT").unwrap(), Money::parse("500").unwrap())]),
        position_mode: PositionMode::Netting,
    }
}

async fn start(root: &Path) -> Result<Live, NodeError> {
    let options = NodeOptions::in_folder(root);
    sim::inside(&options, 7, SimInstrument::defaults(), None).await
}

fn desk(live: &Live) -> Arc<dyn AccountDesk> {
    live.node.platform.desk.clone().unwrap()
}

fn running(live: &Live) -> Vec<String> {
    let accounts = live.node.platform.accounts.all();
    accounts.keys().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made_to_its_end_when_its_caller_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let live = start(folder.path()).await.unwrap();
    let desk = desk(&live);
    // Polled once, which begins it, and dropped.
    let mut left = desk.create(wish("second", "r"));
    assert!(futures::poll!(&mut left).is_pending());
    drop(left);
    // Behind it, since accounts are made one at a time: the same request finds what it made.
    let handle = desk.create(wish("second", "r")).await.unwrap();
    let summary = handle.summary().await.unwrap();
    assert!(summary.venue_connected);
    assert_eq!(running(&live), ["paper", "second"]);
    let other = desk.create(wish("second", "s")).await.unwrap_err();
    assert_eq!(other, DeskError::Exists(id("second")));
    let other = desk.create(wish("third", "r")).await.unwrap_err();
    assert!(matches!(other, DeskError::RequestTaken(_)), "{other:?}");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_once_the_node_stops() {
    let folder = tempfile::tempdir().unwrap();
    let live = start(folder.path()).await.unwrap();
    let desk = desk(&live);
    live.stop().await;
    let late = desk.create(wish("late", "r")).await.unwrap_err();
    assert_eq!(late, DeskError::Stopping);
    assert!(!folder.path().join("journal/late").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_without_an_event_is_no_account_until_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let live = start(folder.path()).await.unwrap();
    desk(&live).create(wish("second", "r")).await.unwrap();
    live.stop().await;
    // What a kill before the first unit leaves: a folder, and nothing in it.
    std::fs::create_dir(folder.path().join("journal/cut")).unwrap();

    let live = start(folder.path()).await.unwrap();
    assert_eq!(running(&live), ["paper", "second"]);
    desk(&live).create(wish("cut", "c")).await.unwrap();
    assert_eq!(running(&live), ["cut", "paper", "second"]);
    // Known by what its journal says of its request, behind a restart too.
    desk(&live).create(wish("second", "r")).await.unwrap();
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_journal_is_gone_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let live = start(folder.path()).await.unwrap();
    desk(&live).create(wish("second", "r")).await.unwrap();
    live.stop().await;
    std::fs::remove_dir_all(folder.path().join("journal/second")).unwrap();
    let error = start(folder.path()).await.map(drop).unwrap_err();
    let NodeError::LostEnd {
        account_id,
        ends_at,
        durable,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((account_id, ends_at), (id("second"), 0));
    assert!(durable > 0);
}
