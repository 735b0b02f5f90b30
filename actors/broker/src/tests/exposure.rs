//! Three account actors under one limit, with the actor that keeps it.

use super::support::*;
use crate::actor::{AccountActor, AccountArgs, Journal};
use crate::exposure::{ExposureActor, ExposureArgs, LimitStore};
use apex_bus::exposure::ExposureHandle;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountMessage, ExposureError, VenueLink};
use apex_domain::account::{Account, AccountInput, Effects, Reply};
use apex_domain::event::{AccountMode, Recorded};
use apex_domain::order::OrderStatus;
use apex_domain::risk::MarketView;
use apex_domain::risk::platform::{ChangeRefusal, PlatformChange, PlatformLimit};
use apex_domain::{AccountId, Currency, Decimal, Money, RequestId, UnixNanos};
use ractor::{Actor, ActorRef};
use std::sync::{Arc, Mutex, OnceLock};

const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

/// A journal that is durable at once.
#[derive(Default)]
struct QuickJournal(OnceLock<ActorRef<AccountMessage>>);

impl Journal for QuickJournal {
    fn append(&self, events: &[Recorded]) {
        if let (Some(actor), Some(last)) = (self.0.get(), events.last()) {
            let sequence = last.sequence;
            actor.cast(AccountMessage::Durable { sequence }).unwrap();
        }
    }

    fn snapshot(&self, _: u64, _: Vec<u8>) {}
}

/// What the keeper wrote, and whether it may write.
#[derive(Default)]
struct HandStore(Mutex<(Option<Vec<u8>>, bool)>);

impl LimitStore for HandStore {
    fn save(&self, record: &[u8]) -> Result<(), String> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err("disk full".to_owned());
        }
        state.0 = Some(record.to_vec());
        Ok(())
    }
}

async fn keeper(store: &Arc<HandStore>) -> ExposureHandle {
    let args = ExposureArgs {
        record: store.0.lock().unwrap().0.clone(),
        store: store.clone(),
    };
    let (actor, _running) = Actor::spawn(None, ExposureActor, args).await.unwrap();
    ExposureHandle::new(actor)
}

fn opened(name: &str) -> Account {
    let mut account = Account::new();
    let open = AccountInput::Open {
        account_id: AccountId::new(name).unwrap(),
        base_currency: Currency::new("USDT").unwrap(),
        mode: AccountMode::Paper,
    };
    let define = AccountInput::DefineInstrument(Box::new(instrument().instrument));
    for input in [open, define] {
        account.apply(UnixNanos(1_000), input, &mut Effects::default());
    }
    account
}

/// Starts an account as the node does.
async fn start(mut account: Account, exposure: &ExposureHandle) -> AccountHandle {
    let account_id = account.account_id().unwrap().clone();
    if let Some(offer) = exposure.join(account_id.clone()).await.unwrap() {
        let input = AccountInput::OfferShare(offer);
        account.apply(UnixNanos(1_500), input, &mut Effects::default());
    }
    let (journal, venue): (Arc<QuickJournal>, Arc<HandVenue>) = (Arc::default(), Arc::default());
    let args = AccountArgs {
        account,
        journal: journal.clone(),
        keeper: Some(Arc::new(exposure.clone())),
        ..args(&Arc::default(), &venue)
    };
    let durable = args.account.sequence();
    let (actor, _running) = Actor::spawn(None, AccountActor, args).await.unwrap();
    journal.0.set(actor.clone()).unwrap();
    let sim = instrument();
    let view = MarketView {
        last: Some(sim.start_price),
        ts: UnixNanos(2_000),
        ..MarketView::default()
    };
    let instrument_id = sim.instrument.instrument_id;
    for message in [
        AccountMessage::Durable { sequence: durable },
        AccountMessage::Link(VenueLink::Ready),
        AccountMessage::Market {
            instrument_id,
            view,
        },
    ] {
        actor.cast(message).unwrap();
    }
    let handle = AccountHandle::new(account_id, actor);
    exposure.attach(handle.clone());
    handle
}

fn change(id: &str, lots: i64) -> PlatformChange {
    let sim = instrument();
    let lot = sim.instrument.notional(sim.start_price, sim.lot).unwrap();
    PlatformChange {
        request_id: RequestId::new(id).unwrap(),
        limit: Some(PlatformLimit {
            currency: Currency::new("USDT").unwrap(),
            max_exposure: Money(lot.0 * Decimal::from(lots)),
        }),
        expected_sequence: None,
    }
}

/// Each account submits so many orders of one lot, all at the same time; returns how many were
/// taken.
async fn race(accounts: &[AccountHandle], round: &str, orders: usize) -> usize {
    let submits = accounts.iter().flat_map(|account| {
        let account_id = account.account_id().to_string();
        (0..orders).map(move |number| {
            let (account, client) = (account.clone(), format!("{round}-{account_id}-{number}"));
            tokio::spawn(async move { account.command(submit_command(order(&client, 1))).await })
        })
    });
    let submits: Vec<_> = submits.collect();
    let mut taken = 0;
    for submit in submits {
        match submit.await.unwrap() {
            Ok(Reply::Order(order)) if order.status == OrderStatus::Submitted => taken += 1,
            Ok(Reply::Order(order)) => assert_eq!(order.status, OrderStatus::Denied),
            other => panic!("{other:?}"),
        }
    }
    taken
}

#[tokio::test]
async fn accounts_that_race_take_as_much_as_the_limit_and_no_more_after_a_restart_either() {
    let store: Arc<HandStore> = Arc::default();
    let exposure = keeper(&store).await;
    let mut accounts = Vec::new();
    for name in ACCOUNTS {
        accounts.push(start(opened(name), &exposure).await);
    }
    let view = exposure.change(change("nine", 9)).await.unwrap();
    assert!(view.in_force);
    // One account may use all of it, and what is left is for whoever asks.
    assert_eq!(race(&accounts[..1], "one", 6).await, 6);
    assert_eq!(race(&accounts, "all", 4).await, 3);
    let view = exposure.view().await.unwrap();
    assert!(view.handed_out <= view.limit.unwrap().max_exposure);
    // The keeper begins again from its record, and knows nothing before all have confirmed.
    exposure.stop().await;
    let exposure = keeper(&store).await;
    let view = exposure.view().await.unwrap();
    assert_eq!((view.in_force, view.accounts.len()), (false, 3));
    assert_eq!(view.limit, change("nine", 9).limit);
}

#[tokio::test]
async fn an_account_that_starts_under_a_limit_takes_no_order_outside_of_it() {
    let store: Arc<HandStore> = Arc::default();
    let exposure = keeper(&store).await;
    exposure.change(change("two", 2)).await.unwrap();
    let mut accounts = Vec::new();
    for name in ACCOUNTS {
        accounts.push(start(opened(name), &exposure).await);
    }
    assert_eq!(race(&accounts, "all", 2).await, 2);
}

#[tokio::test]
async fn a_change_that_cannot_be_written_changes_nothing_and_says_so() {
    let store: Arc<HandStore> = Arc::default();
    let exposure = keeper(&store).await;
    let account = start(opened("a"), &exposure).await;
    store.0.lock().unwrap().1 = true;
    let failed = exposure.change(change("one", 1)).await;
    assert!(
        matches!(failed, Err(ExposureError::NotWritten(_))),
        "{failed:?}"
    );
    assert_eq!(race(&[account], "free", 3).await, 3);
    store.0.lock().unwrap().1 = false;
    exposure.change(change("one", 1)).await.unwrap();
    let other = exposure.change(change("one", 2)).await;
    let taken = ExposureError::Refused(ChangeRefusal::RequestIdTaken);
    assert_eq!(other, Err(taken));
}

/// It is told that the limit is not in force yet.
#[tokio::test(start_paused = true)]
async fn a_change_does_not_wait_for_an_account_that_is_away_for_ever() {
    let store: Arc<HandStore> = Arc::default();
    let exposure = keeper(&store).await;
    let away = AccountId::new("away").unwrap();
    assert_eq!(exposure.join(away).await, Ok(None));
    let view = exposure.change(change("one", 1)).await.unwrap();
    assert!(!view.in_force);
    assert_eq!(view.accounts[0].share, None);
}
