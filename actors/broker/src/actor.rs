//! The account actor: what ractor asks for, round the [`Shell`].

use crate::shell::Shell;
use crate::watch::Feeder;
use apex_bus::clock::Clock;
use apex_bus::exposure::ShareKeeper;
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountEvent, AccountMessage};
use apex_bus::supervision::{AbortHook, whole};
use apex_bus::topic::Topic;
use apex_bus::venue::VenueSession;
use apex_domain::account::Account;
use apex_domain::event::Recorded;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How soon the venue's session is looked at again while cancels wait for room in it: it takes some
/// hundred commands in this time.
const ROOM: Duration = Duration::from_millis(2);

/// How often an account looks for orders whose answer is overdue. A fifth of the five seconds
/// after which one counts as unknown.
const TICK: Duration = Duration::from_secs(1);

/// The account's way to its journal.
pub trait Journal: Send + Sync {
    /// Takes the events of one decision; `AccountMessage::Durable` tells when they are kept. Does
    /// not wait for the disk, unless so much waits for it that the account must not go on.
    fn append(&self, events: &[Recorded]);
    /// Takes the account's state after `sequence`. Never waits.
    fn snapshot(&self, sequence: u64, bytes: Vec<u8>);
}

/// What an account actor is started with.
pub struct AccountArgs {
    /// Open, and recovered from what is durable.
    pub account: Account,
    /// Events that recovery folded behind the newest snapshot, or all without one: they count
    /// towards the next one.
    pub folded: u64,
    /// Events between two snapshots at the least.
    pub snapshot_events: u64,
    pub journal: Arc<dyn Journal>,
    pub market: MarketHub,
    pub clock: Clock,
    pub venue: Arc<dyn VenueSession>,
    pub events: Topic<AccountEvent>,
    /// The way to the limit over all accounts; `None` where a run keeps none.
    pub keeper: Option<Arc<dyn ShareKeeper>>,
    /// Ends the process when a decision panics.
    pub abort: AbortHook,
}

impl fmt::Debug for AccountArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountArgs")
            .field("account", &self.account.account_id())
            .finish()
    }
}

/// The shell of one account. A broken invariant in it aborts the process.
#[derive(Debug)]
pub struct AccountActor;

/// An account actor's state.
pub struct State {
    shell: Shell,
    abort: AbortHook,
    runs_live: bool,
    /// A look at the room in the session is under way.
    looks: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("account_id", self.shell.account_id())
            .finish()
    }
}

impl Actor for AccountActor {
    type Msg = AccountMessage;
    type State = State;
    type Arguments = AccountArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<AccountMessage>,
        args: AccountArgs,
    ) -> Result<State, ActorProcessingErr> {
        let (abort, market) = (args.abort.clone(), args.market.clone());
        let runs_live = matches!(args.clock, Clock::Wall);
        let shell = Shell::new(args).ok_or("the account was never opened")?;
        if runs_live {
            myself.send_interval(TICK, || AccountMessage::Tick);
            let name = format!("account-{}", shell.account_id());
            let feeder = Feeder::new(&market, shell.watched(), myself, &name)?;
            // It ends by itself: with the account, or with the market.
            tokio::spawn(feeder.run());
        }
        Ok(State {
            shell,
            abort,
            runs_live,
            looks: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<AccountMessage>,
        message: AccountMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.looks &= !matches!(message, AccountMessage::Room);
        take_whole(&mut state.shell, message, &state.abort);
        // Nothing else may come to an account that is idle otherwise.
        if state.runs_live && state.shell.waits_for_room() && !state.looks {
            state.looks = true;
            myself.send_after(ROOM, || AccountMessage::Room);
        }
        Ok(())
    }
}

/// Takes a message, and ends the process when the decision panics. Start-up recovers from the
/// journal.
pub(crate) fn take_whole(shell: &mut Shell, message: AccountMessage, abort: &AbortHook) {
    let name = format!("account {}", shell.account_id());
    whole(&name, abort, || shell.take(message));
}
