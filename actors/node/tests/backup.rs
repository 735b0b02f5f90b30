//! A backup that is taken under orders, restored elsewhere, verified and started.

use apex_bus::handle::AccountHandle;
use apex_bus::message::AccountCommand;
use apex_domain::account::Reply;
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::order::{OrderKey, OrderStatus, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::{ClientOrderId, Instrument, Price, Quantity, StrategyId};
use apex_node::NodeError;
use apex_node::backup::{self, BackupReport, Place, RestoreReport};
use apex_node::sim::{self, Live};
use apex_node::stores::ServerSettings;
use apex_node::up::{NodeOptions, paper_account};
use apex_node::verify::verify;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Orders that are answered before the backup begins; the flood goes on while it is taken.
const BEFORE: u64 = 200;

async fn start(root: &Path) -> Live {
    let options = NodeOptions::in_folder(root);
    let listed = SimInstrument::defaults();
    sim::inside(&options, 7, listed, None).await.unwrap()
}

fn account(live: &Live) -> AccountHandle {
    live.node.roster.get(&paper_account()).unwrap()
}

/// Buys one increment far below the market. Denied while there is no price, or too fast, which is an
/// answered order as well.
fn order(instrument: &Instrument, number: u64) -> SubmitOrder {
    SubmitOrder {
        client_order_id: client_order_id(number),
        strategy_id: StrategyId::manual(),
        instrument_id: instrument.instrument_id.clone(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        quantity: Quantity(instrument.quantity_increment.0 * 1_000),
        limit_price: Some(Price(instrument.price_increment.0 * 1_000)),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    }
}

fn client_order_id(number: u64) -> ClientOrderId {
    ClientOrderId::new(&format!("order-{number}")).unwrap()
}

/// Sends one order after the other until it is told to stop, and counts those that were answered.
async fn flood(live: &Live, answered: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let account = account(live);
    let instrument = live.node.platform.market.instruments().remove(0);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let command = AccountCommand::Submit(Box::new(order(&instrument, number)));
        let reply = account.command(command).await.unwrap();
        assert!(matches!(reply, Reply::Order(_)), "{reply:?}");
        answered.store(number + 1, Ordering::Release);
    }
}

async fn take(data_dir: &Path, store: &Path) -> BackupReport {
    let (data_dir, place) = (data_dir.to_owned(), Place::Folder(store.to_owned()));
    let taking = move || backup::take(&data_dir, &ServerSettings::default(), &place, &|_| {});
    tokio::task::spawn_blocking(taking).await.unwrap().unwrap()
}

fn restore(place: &Place, id: Option<&str>, to: &Path) -> Result<RestoreReport, NodeError> {
    backup::restore(place, id, to, &ServerSettings::default(), &|_| {})
}

/// Backs a node up while orders come in. Returns how many had been answered when it began.
async fn back_up_under_orders(data_dir: &Path, store: &Path) -> (u64, BackupReport) {
    let live = start(data_dir).await;
    let (answered, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let backing_up = async {
        while answered.load(Ordering::Acquire) < BEFORE {
            tokio::task::yield_now().await;
        }
        let before = answered.load(Ordering::Acquire);
        let taken = take(data_dir, store).await;
        stop.store(true, Ordering::Relaxed);
        (before, taken)
    };
    let ((), (before, taken)) =
        tokio::join!(flood(&live, answered.clone(), stop.clone()), backing_up);
    live.stop().await;
    (before, taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_that_was_answered_before_a_backup_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (data, store, restored) = (path("data"), path("store"), path("restored"));
    let (before, taken) = back_up_under_orders(&data, &store).await;

    let place = Place::Folder(store.clone());
    let report = restore(&place, None, &restored).unwrap();
    assert_eq!(report.backup, taken.backup);
    assert_eq!(report.state_hash, taken.state_hash);
    let verified = verify(&restored, &ServerSettings::default()).unwrap();
    assert!(verified.ok, "{verified:?}");
    assert_eq!(verified.state_hash, taken.state_hash);
    assert_eq!(
        verified.accounts[0].last_sequence,
        taken.accounts[0].last_sequence
    );

    let live = start(&restored).await;
    let account = account(&live);
    let mut working = 0;
    for number in 0..before {
        let key = OrderKey::ClientOrderId(client_order_id(number));
        let found = account.order(key).await.unwrap();
        let order = found.unwrap_or_else(|| panic!("order {number} of {before} is lost"));
        working += u64::from(order.status != OrderStatus::Denied);
    }
    assert!(working > 0, "all of {before} were denied");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_backup_copies_what_is_new_and_both_have_their_balances() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (data, store) = (path("data"), path("store"));
    let (_, first) = back_up_under_orders(&data, &store).await;
    let second = take(&data, &store).await;
    let third = take(&data, &store).await;
    // Nothing ran in between, so nothing is new.
    assert_eq!(
        (third.copied_bytes, &third.state_hash),
        (0, &second.state_hash)
    );
    assert!(third.known_bytes > 0);
    let stopped = verify(&data, &ServerSettings::default()).unwrap();
    assert_eq!(stopped.state_hash, second.state_hash);

    let place = Place::Folder(store.clone());
    for (name, taken) in [("one", &first), ("two", &second)] {
        let to = path(name);
        let report = restore(&place, Some(&taken.backup), &to).unwrap();
        assert_eq!(report.state_hash, taken.state_hash);
    }
    let (before, after) = (start(&data).await, start(&path("two")).await);
    let cash = [&before, &after].map(|live| {
        let account = account(live);
        async move { account.summary().await.unwrap().cash }
    });
    let [before_cash, after_cash] = cash;
    assert_eq!(before_cash.await, after_cash.await);
    before.stop().await;
    after.stop().await;

    let missing = restore(&place, Some("1"), &path("three")).unwrap_err();
    assert!(matches!(missing, NodeError::Usage(_)), "{missing}");
    let taken = restore(&place, None, &data).unwrap_err();
    assert!(taken.to_string().contains("is not empty"), "{taken}");
}
