//! Accounts that joined in an earlier run and are not run any more.

use super::*;
use crate::account::Opening;
use crate::stores::Purpose;
use crate::up::{Base, NodeOptions};
use apex_bus::clock::Clock;
use apex_bus::message::AccountMessage;
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::account::AccountInput;
use apex_domain::event::AccountMode;
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::order::{OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::risk::MarketRef;
use apex_domain::risk::platform::{PlatformChange, PlatformLimit, PlatformView};
use apex_domain::venue::VenueCommand;
use apex_domain::{ClientOrderId, Currency, Money, RequestId, StrategyId};
use std::path::Path;

struct NoVenue;

impl VenueSession for NoVenue {
    fn send(&self, _: VenueCommand) -> Result<(), NotSent> {
        Ok(())
    }
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn base(root: &Path) -> Base {
    let clock = Clock::replay();
    clock.advance(UnixNanos(2_000));
    Base::open(&NodeOptions::in_folder(root), Purpose::Live, clock).unwrap()
}

fn opening(name: &str) -> Opening {
    Opening {
        account_id: account(name),
        mode: AccountMode::Paper,
        instruments: vec![SimInstrument::defaults().remove(0).instrument],
        charter: None,
        now: UnixNanos(1_000),
    }
}

fn limit() -> PlatformChange {
    PlatformChange {
        request_id: RequestId::new("limit").unwrap(),
        limit: Some(PlatformLimit {
            currency: Currency::new("USDT").unwrap(),
            max_exposure: Money::parse("1000000").unwrap(),
        }),
        expected_sequence: None,
    }
}

fn submit() -> AccountInput {
    let sim = SimInstrument::defaults().remove(0);
    let price = Some(sim.start_price);
    let request = SubmitOrder {
        client_order_id: ClientOrderId::new("o").unwrap(),
        strategy_id: StrategyId::manual(),
        instrument_id: sim.instrument.instrument_id,
        side: Side::Buy,
        order_type: OrderType::Limit,
        quantity: sim.lot,
        limit_price: price,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    };
    AccountInput::Submit {
        request: Box::new(request),
        market: MarketRef {
            bid: price,
            ask: price,
            ts: UnixNanos(2_000),
        },
    }
}

/// One run of an account, with an order that works at its end or without.
async fn run(root: &Path, name: &str, with_order: bool) {
    let base = base(root);
    let exposure = base.start_exposure(&[account(name)]).await.unwrap();
    let opened = base.open_account(&opening(name)).unwrap();
    let venue = Arc::new(NoVenue);
    let running = base
        .start_account(opened, venue, Some(exposure.clone()))
        .await
        .unwrap();
    assert!(exposure.change(limit()).await.unwrap().in_force);
    if with_order {
        let (port, answer) = ractor::concurrency::oneshot();
        let step = AccountMessage::Step {
            now: UnixNanos(3_000),
            input: Box::new(submit()),
            reply: port.into(),
        };
        running.actor.cast(step).unwrap();
        let effects = answer.await.unwrap().unwrap();
        assert_eq!(effects.commands.len(), 1, "{effects:?}");
    }
    running.stop().await;
    exposure.stop().await;
}

/// The next run, of another account: what it sees of all of them.
async fn next_run(root: &Path) -> PlatformView {
    let base = base(root);
    let exposure = base.start_exposure(&[account("live")]).await.unwrap();
    let opened = base.open_account(&opening("live")).unwrap();
    let running = base
        .start_account(opened, Arc::new(NoVenue), Some(exposure.clone()))
        .await
        .unwrap();
    // Waits until the accounts keep to it, or a moment.
    let view = exposure.change(limit()).await.unwrap();
    running.stop().await;
    exposure.stop().await;
    view
}

#[tokio::test]
async fn one_that_holds_nothing_gives_its_share_back_and_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "gone", false).await;
    let view = next_run(folder.path()).await;
    let ids: Vec<_> = view.accounts.iter().map(|one| &one.account_id).collect();
    assert_eq!(ids, [&account("live")]);
    assert!(view.in_force);
    let gone = recover_account(&*base(folder.path()).stores.journals, &account("gone")).unwrap();
    let share = gone.account.platform_share().unwrap();
    assert_eq!(share.share, Some(Money::ZERO), "its journal says so");
    drop(gone);
    // Run again, it joins as any other.
    run(folder.path(), "gone", false).await;
}

#[tokio::test]
async fn one_with_a_working_order_stays_counted_while_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "gone", true).await;
    let view = next_run(folder.path()).await;
    assert!(view.in_force);
    let [gone, live] = &view.accounts[..] else {
        panic!("{view:?}");
    };
    assert!(gone.away && !live.away);
    let kept = gone.share.unwrap();
    assert!(kept > Money::ZERO);
    let rest = live.share.unwrap().checked_add(kept).unwrap();
    assert_eq!(view.handed_out, rest);
    // It is not forgotten by the run after that either.
    let view = next_run(folder.path()).await;
    assert_eq!(view.accounts[0].share, Some(kept));
}

#[tokio::test]
async fn one_whose_journal_is_gone_keeps_shares_from_growing() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "gone", false).await;
    std::fs::remove_dir_all(folder.path().join("journal/gone")).unwrap();
    let view = next_run(folder.path()).await;
    assert!(!view.in_force);
    assert_eq!(view.accounts.len(), 2);
}

#[test]
fn a_keeper_that_was_replaced_writes_nothing_any_more() {
    let records: Arc<dyn Records> = Arc::new(apex_storage::MemoryRecords::new());
    let open = || RecordStore::open(records.clone()).unwrap();
    let first = open();
    first.save(b"epoch 1").unwrap();
    let late = open();
    let second = open();
    assert_eq!(second.record().as_deref(), Some(&b"epoch 1"[..]));
    second.save(b"epoch 2").unwrap();
    second.save(b"epoch 2, more").unwrap();
    for stale in [&first, &late] {
        let refused = stale.save(b"epoch 1, late").unwrap_err();
        assert!(refused.contains("another keeper"), "{refused}");
    }
    let kept = records.get(TABLE, KEY).unwrap();
    assert_eq!(kept.as_deref(), Some(&b"epoch 2, more"[..]));
}

/// Carries out what it is asked, and then says that it does not know.
struct Doubtful(apex_storage::MemoryRecords);

impl Records for Doubtful {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.get(table, key)
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.0.put(table, key, value)
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        self.0.delete(table, key)
    }

    fn list(&self, table: &str) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.0.list(table)
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        self.0.change(changes)?;
        Err(StorageError::OutcomeUnknown {
            server: "a server".to_owned(),
            detail: "it went away".to_owned(),
        })
    }

    fn page(
        &self,
        table: &str,
        page: &apex_storage::Page<'_>,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.0.page(table, page)
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        self.0.now_ns()
    }
}

#[test]
fn a_keeper_goes_on_from_a_write_whose_answer_was_lost() {
    let records: Arc<dyn Records> = Arc::new(Doubtful(apex_storage::MemoryRecords::new()));
    let keeper = RecordStore::open(records.clone()).unwrap();
    for record in [&b"epoch 1"[..], b"epoch 1, more"] {
        let unknown = keeper.save(record).unwrap_err();
        assert!(unknown.contains("not known"), "{unknown}");
        assert_eq!(records.get(TABLE, KEY).unwrap().as_deref(), Some(record));
    }
}
