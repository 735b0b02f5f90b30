//! An account whose old records are in a store of objects, started again.

use super::*;
use crate::testing::{Listener, Notice, Scripted, wait_for};
use crate::writer::Writer;
use apex_domain::UnixNanos;
use apex_domain::account::{AccountInput, Effects, Reply};
use apex_domain::risk::MarketRef;
use apex_storage::postgres::{PgJournals, PgServer, ReservedJournals, ServerOptions, migrate};
use apex_storage::testkit::{Postgres, here};
use apex_storage::{DataDir, EmbeddedJournals, Journals, Options, own_objects};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bounds a wait that ends at once unless something is broken.
const LIMIT: Duration = Duration::from_secs(60);

const ORDERS: usize = 150;

/// Submits the order again, and returns what is answered, with the number of events.
fn again(account: &mut Account, client: &str) -> (Option<Reply>, usize) {
    let mut effects = Effects::with_orders();
    let request = Box::new(Scripted::request(client));
    let market = MarketRef::default();
    let input = AccountInput::Submit { request, market };
    account.apply(UnixNanos(1_000_000), input, &mut effects);
    (effects.reply, effects.events.len())
}

/// Writes an account down with snapshots on the way, until the writer has moved old records.
fn write(journals: &dyn Journals, scripted: &Scripted, is_moved: impl Fn() -> bool) {
    let (listener, notices) = Listener::new();
    let journal = journals.open("paper").unwrap();
    let writer = Writer::start_with(journal, Box::new(listener), Duration::from_secs(3600));
    let writer = writer.unwrap();
    let queue = writer.queue();
    let mut account = Account::new();
    for recorded in &scripted.events {
        account.fold(recorded).unwrap();
        queue.append(vec![crate::to_record(recorded)]);
        if account.sequence().is_multiple_of(60) {
            wait_for(&notices, &Notice::Durable(account.sequence()));
            queue.snapshot(account.sequence(), account.snapshot());
        }
    }
    let begun = Instant::now();
    while !is_moved() {
        assert!(begun.elapsed() < LIMIT, "nothing was moved");
        // It is what has the writer look for what was stored.
        queue.snapshot(account.sequence(), account.snapshot());
        std::thread::park_timeout(Duration::from_millis(10));
    }
    writer.stop();
}

/// Starts the account again, and submits orders whose records were moved.
fn started_again(journals: &dyn Journals, scripted: &Scripted) {
    let report = journals.verify("paper", &mut |_| {}).unwrap();
    assert!(report.ok(), "{report:?}");
    assert_eq!(report.records, scripted.events.len() as u64);
    let journal = journals.open("paper").unwrap();
    let recovered = recover(&*journal).unwrap();
    assert!(recovered.records < scripted.events.len() as u64 / 2);
    let mut account = recovered.account;
    assert_eq!(account.state_hash(), scripted.account.state_hash());
    for client in ["o0", "o7", "o149"] {
        let (reply, events) = again(&mut account, client);
        let Some(Reply::Order(order)) = reply else {
            panic!("{client}: {reply:?}");
        };
        assert_eq!(order.request.client_order_id.as_str(), client);
        assert_eq!(events, 0, "{client}: it is the same order");
    }
    assert_eq!(account.state_hash(), scripted.account.state_hash());
    let (_, events) = again(&mut account, "never-used");
    assert!(events > 0, "another id is another order");
}

#[test]
fn a_used_order_id_is_known_after_its_records_were_moved_out_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let options = Options {
        segment_bytes: 4_096,
        reserve_bytes: 4_096,
        ..Options::default()
    };
    let objects = own_objects(folder.path()).unwrap();
    let journals = EmbeddedJournals::new(&dir, options).with_objects(objects);
    let scripted = Scripted::with_orders(ORDERS);
    let base = folder.path().join("journal/paper/base");
    write(&journals, &scripted, || base.exists());
    started_again(&journals, &scripted);
}

fn in_database(postgres: &Postgres, root: &Path) -> ReservedJournals {
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).unwrap();
    migrate(&server).unwrap();
    let journals = PgJournals::new(&server)
        .unwrap()
        .with_sizes(1_024, 8 * 1_024);
    let journals = journals.with_objects(own_objects(root).unwrap());
    ReservedJournals::new(journals, &DataDir::open(&root.join("data")).unwrap()).unwrap()
}

#[test]
fn a_used_order_id_is_known_after_its_records_were_moved_out_of_a_database() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let scripted = Scripted::with_orders(ORDERS);
    let asked = |sql: &str| postgres.query("apex", sql).unwrap();
    let journals = in_database(&postgres, folder.path());
    write(&journals, &scripted, || {
        asked("SELECT count(*) FROM journal_base WHERE sequence > 100") == "1"
    });
    drop(journals);
    let journals = in_database(&postgres, folder.path());
    started_again(&journals, &scripted);
    // It was no matter of rows that stayed.
    let begun = Instant::now();
    while asked("SELECT min(first_sequence) > 100 FROM journal_frame") != "t" {
        assert!(begun.elapsed() < LIMIT, "rows stay");
    }
}
