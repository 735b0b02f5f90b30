//! Accounts that stand still, beside others.

use super::*;
use crate::account::{AccountRuntime, Opening};
use crate::roster::{Charters, Roster};
use crate::stores::Purpose;
use crate::up::{Base, NodeOptions};
use apex_bus::handle::RunMode;
use apex_bus::message::AccountMessage;
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::UnixNanos;
use apex_domain::event::AccountMode;
use apex_domain::matching::SimInstrument;
use apex_domain::venue::VenueCommand;
use apex_persistence::hot::NAMESPACE;
use apex_storage::MemoryHot;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::time::Instant;

/// Well below the time after which an account that stands still is given up, and far above a look.
const LIMIT: Duration = Duration::from_secs(6);

struct NoVenue;

impl VenueSession for NoVenue {
    fn send(&self, _: VenueCommand) -> Result<(), NotSent> {
        Ok(())
    }
}

/// An account that takes questions and answers none.
struct StandsStill;

impl Actor for StandsStill {
    type Msg = AccountMessage;
    type State = Vec<AccountMessage>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<AccountMessage>,
        (): (),
    ) -> Result<Vec<AccountMessage>, ActorProcessingErr> {
        Ok(Vec::new())
    }

    async fn handle(
        &self,
        _: ActorRef<AccountMessage>,
        message: AccountMessage,
        kept: &mut Vec<AccountMessage>,
    ) -> Result<(), ActorProcessingErr> {
        kept.push(message);
        Ok(())
    }
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).expect("a valid id")
}

async fn runtime(base: &Base, name: &str) -> AccountRuntime {
    let opening = Opening {
        account_id: account(name),
        mode: AccountMode::Paper,
        instruments: vec![SimInstrument::defaults().remove(0).instrument],
        charter: None,
        now: UnixNanos(1_000),
    };
    let opened = base.open_account(&opening).expect("it opens");
    let started = base.start_account(opened, Arc::new(NoVenue), None).await;
    started.expect("it starts")
}

fn is_written(hot: &dyn Hot, name: &str) {
    let key = format!("{NAMESPACE}positions:{name}");
    let begun = Instant::now();
    while hot.get(&[key.as_str()]).expect("it answers") == [None] {
        assert!(begun.elapsed() < LIMIT, "{name} waits");
        std::thread::park_timeout(EVERY / 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_stands_still_keeps_no_other_out_of_redis() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::replay();
    clock.advance(UnixNanos(2_000));
    let options = NodeOptions::in_folder(folder.path());
    let base = Base::open(&options, Purpose::Live, clock.clone()).expect("it opens");
    let lives = runtime(&base, "b-lives").await;
    let roster = Roster::new(Charters::new());
    roster.add(lives);
    let (still, _running) = Actor::spawn(None, StandsStill, ())
        .await
        .expect("it starts");
    let handle = AccountHandle::new(account("a-stands-still"), still.clone());
    roster.accounts().insert(handle);
    let platform = base.platform(RunMode::Simulated, &roster, None);

    let hot: Arc<dyn Hot> = Arc::new(MemoryHot::new());
    let store = HotStore {
        hot: hot.clone(),
        namespace: NAMESPACE,
    };
    let writer = HotWriter::start(&store, &platform, clock).expect("it starts");
    is_written(&*hot, "b-lives");
    // One that comes while the first is waited for.
    roster.add(runtime(&base, "c-later").await);
    is_written(&*hot, "c-later");
    writer.stop().await;
    still.stop(None);
    roster.stop().await;
}
