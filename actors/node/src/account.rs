//! One account: its journal recovered, its writer thread and its actor started.

use crate::NodeError;
use crate::charter::{Charter, FIRST_EVENTS};
use apex_broker::{AccountActor, AccountArgs};
use apex_bus::clock::Clock;
use apex_bus::exposure::{ExposureHandle, ShareKeeper};
use apex_bus::handle::AccountHandle;
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountEvent, AccountMessage, JournalHealth};
use apex_bus::supervision::AbortHook;
use apex_bus::topic::Topic;
use apex_bus::venue::VenueSession;
use apex_domain::account::{Account, AccountInput, Effects, Reply};
use apex_domain::event::{AccountMode, Event, Recorded};
use apex_domain::risk::TradingState;
use apex_domain::risk::platform::{ShareChange, ShareOffer, ShareTerm};
use apex_domain::{AccountId, Instrument, Money, RequestId, UnixNanos};
use apex_persistence::recover::decode;
use apex_persistence::starts;
use apex_persistence::{JournalQueue, Notices, Writer, recover, to_record};
use apex_storage::{Class, Journal, JournalError, Journals, Records, Unit};
use ractor::{Actor, ActorRef};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// How an account is opened on its first start.
#[derive(Clone, Debug)]
pub struct Opening {
    pub account_id: AccountId,
    pub mode: AccountMode,
    /// What the account trades; brought up to date at each start.
    pub instruments: Vec<Instrument>,
    /// What it begins with; `None` for what is usual with these instruments.
    pub charter: Option<Charter>,
    /// The time of the opening: the recording's first in a replay, so that two runs are alike.
    pub now: UnixNanos,
}

/// A running account.
pub struct AccountRuntime {
    pub handle: AccountHandle,
    pub actor: ActorRef<AccountMessage>,
    pub journal: JournalQueue,
    writer: Writer,
    /// How far the journal is where every start finds it.
    shared: Arc<AtomicU64>,
    records: Arc<dyn Records>,
}

/// What the shells round it are given.
#[derive(Clone)]
pub struct Surroundings {
    pub market: MarketHub,
    pub clock: Clock,
    pub venue: Arc<dyn VenueSession>,
    pub events: Topic<AccountEvent>,
    /// `None` where the run keeps no limit over its accounts.
    pub exposure: Option<ExposureHandle>,
    pub abort: AbortHook,
    /// Where it is noted how far the journal is durable.
    pub records: Arc<dyn Records>,
    /// Events between two snapshots at the least.
    pub snapshot_events: u64,
}

/// An account as read back, before its actor runs.
pub struct OpenAccount {
    pub account: Account,
    /// Records that were folded to rebuild it.
    folded: u64,
    journal: Box<dyn Journal>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AccountRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRuntime")
            .field("account", &self.handle.account_id())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OpenAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAccount")
            .field("account", &self.account.account_id())
            .finish()
    }
}

/// Opens the journal and folds it.
///
/// Errors: [`NodeError`]; damage is refused with its account, its position and what to do.
pub fn recover_account(
    journals: &dyn Journals,
    account_id: &AccountId,
) -> Result<OpenAccount, NodeError> {
    let id = account_id.as_str();
    let journal = journals
        .open(id)
        .map_err(|error| NodeError::journal(account_id, error))?;
    let recovered = recover(&*journal).map_err(|error| NodeError::recover(account_id, error))?;
    tracing::info!(
        account_id = id,
        records = recovered.records,
        sequence = recovered.account.sequence(),
        "account recovered"
    );
    Ok(OpenAccount {
        account: recovered.account,
        folded: recovered.records,
        journal,
    })
}

/// Notes how far the journal is durable. Without it the next start only notices a lost end less
/// well, so a failure stops nothing.
fn note_durable(records: &dyn Records, account_id: &AccountId, sequence: u64) {
    if let Err(error) = starts::note_durable(records, account_id.as_str(), sequence) {
        tracing::warn!(%account_id, sequence, %error, "the journal's end was not noted");
    }
}

impl OpenAccount {
    /// Opens the account if it is new, and brings its instruments up to date, durably. One of which
    /// something may be missing, as `lacks` says, is halted, even where all of it is missing; that its
    /// journal is shorter than it was is a part of that.
    ///
    /// Errors: [`NodeError`]; `LostEnd` when the journal is shorter than it was, and nothing says why.
    pub fn prepare(
        mut self,
        opening: &Opening,
        records: &dyn Records,
        lacks: Option<String>,
    ) -> Result<OpenAccount, NodeError> {
        let id = opening.account_id.as_str();
        let (ends_at, durable) = (self.account.sequence(), starts::durable(records, id)?);
        let is_short = ends_at < durable;
        let lacks = match lacks {
            None if is_short => {
                return Err(NodeError::LostEnd {
                    account_id: opening.account_id.clone(),
                    ends_at,
                    durable,
                });
            }
            Some(lacks) if is_short => Some(format!(
                "{lacks}; its journal ends at sequence {ends_at}, but {durable} was durable"
            )),
            lacks => lacks,
        };
        let start = starts::begin(records, id, ends_at)?;
        if let Some(input) = start.input()
            && self.account.is_open()
        {
            tracing::error!(account_id = %opening.account_id, "starts halted: the runs before broke");
            self.decide_durably(opening.now, [input])?;
        }
        if !self.account.is_open() {
            let charter = opening.charter.clone();
            let charter = charter.or_else(|| Charter::usual(&opening.instruments));
            let inputs = charter.map(|it| it.inputs(&opening.account_id, opening.mode));
            self.decide_durably(opening.now, inputs.unwrap_or_default())?;
        }
        // Before its instruments, and so before its first order.
        if let Some(lacks) = lacks
            && self.account.is_open()
        {
            tracing::error!(account_id = %opening.account_id, lacks, "starts halted: taken over without its reserve");
            let halted = halted(&lacks, self.account.sequence());
            self.decide_durably(opening.now, [halted])?;
        }
        for instrument in &opening.instruments {
            let instrument = AccountInput::DefineInstrument(Box::new(instrument.clone()));
            self.decide_durably(opening.now, [instrument])?;
        }
        let shared = self.journal.shared_sequence();
        if is_short {
            // What is missing is accounted for. An error, since the next start would refuse it else.
            starts::note_end(records, id, shared)?;
        } else {
            note_durable(records, &opening.account_id, shared);
        }
        Ok(self)
    }

    /// Gives back the account's share of the limit over all accounts, durably, where it has one.
    ///
    /// Errors: [`NodeError`] when it cannot be written.
    pub fn give_share_back(&mut self, now: UnixNanos, term: ShareTerm) -> Result<(), NodeError> {
        let share = self.account.platform_share();
        let Some(share) = share.filter(|share| share.share.is_some()) else {
            return Ok(());
        };
        let offer = ShareOffer {
            term,
            currency: share.currency.clone(),
            change: ShareChange::Set(Money::ZERO),
            answers: 0,
        };
        let input = AccountInput::OfferShare(offer);
        self.decide_durably(now, [input])
    }

    /// Decides before the writer runs: straight into the journal, all of it or nothing.
    fn decide_durably(
        &mut self,
        now: UnixNanos,
        inputs: impl IntoIterator<Item = AccountInput>,
    ) -> Result<(), NodeError> {
        let mut effects = Effects::default();
        let mut records = Vec::new();
        for input in inputs {
            self.account.apply(now, input, &mut effects);
            if let Some(Reply::Refused(refusal)) = effects.reply.take() {
                return Err(NodeError::Opening(refusal));
            }
            records.extend(effects.events.iter().map(to_record));
        }
        if records.is_empty() {
            return Ok(());
        }
        self.journal.append(&[Unit {
            class: Class::Essential,
            records,
        }])?;
        self.journal.commit()?;
        Ok(())
    }

    /// Reads what the account was opened with; `None` for one that was not opened.
    ///
    /// Errors: [`NodeError`] when the journal cannot be read.
    pub fn charter(&self) -> Result<Option<Charter>, NodeError> {
        let mut first = Vec::new();
        for record in self.journal.read_from(1)?.take(FIRST_EVENTS) {
            let recorded = decode(&record?)?;
            let is_last = matches!(recorded.event, Event::LimitsSet { .. });
            first.push(recorded);
            if is_last {
                break;
            }
        }
        Ok(Charter::read(&first))
    }

    /// Shows every event of the journal, in order.
    ///
    /// Errors: [`NodeError`] when the journal cannot be read.
    pub fn for_each_event(&self, each: &mut dyn FnMut(&Recorded)) -> Result<(), NodeError> {
        for record in self.journal.read_from(1)? {
            each(&decode(&record?)?);
        }
        Ok(())
    }

    /// Starts the writer thread and the actor.
    ///
    /// Errors: [`NodeError`] when there is no thread, the actor does not start, or the account
    /// cannot join the platform's exposure limit.
    pub async fn start(mut self, around: Surroundings) -> Result<AccountRuntime, NodeError> {
        let Some(account_id) = self.account.account_id().cloned() else {
            return Err(NodeError::NotOpened);
        };
        if let Some(exposure) = &around.exposure {
            // Before its first order: none may pass outside of the limit.
            if let Some(offer) = exposure.join(account_id.clone()).await? {
                let input = AccountInput::OfferShare(offer);
                let now = around.clock.now();
                self.decide_durably(now, [input])?;
            }
        }
        let address = Arc::new(OnceLock::new());
        let shared = Arc::new(AtomicU64::new(self.journal.shared_sequence()));
        let notices = ToAccount {
            account_id: account_id.clone(),
            address: address.clone(),
            shared: shared.clone(),
        };
        let writer = Writer::start(self.journal, Box::new(notices)).map_err(NodeError::Thread)?;
        let args = AccountArgs {
            account: self.account,
            folded: self.folded,
            snapshot_events: around.snapshot_events,
            journal: Arc::new(Queue(writer.queue())),
            market: around.market,
            clock: around.clock,
            venue: around.venue,
            events: around.events,
            keeper: keeper(around.exposure.as_ref()),
            abort: around.abort,
        };
        let name = format!("account-{account_id}");
        let (actor, _running) = Actor::spawn(None, AccountActor, args)
            .await
            .map_err(|error| NodeError::Spawn {
                name: name.clone(),
                detail: error.to_string(),
            })?;
        // The writer has nothing to tell before the account hands it something.
        let _ = address.set(actor.clone());
        let handle = AccountHandle::new(account_id, actor.clone());
        if let Some(exposure) = around.exposure {
            exposure.attach(handle.clone());
        }
        Ok(AccountRuntime {
            handle,
            actor,
            journal: writer.queue(),
            writer,
            shared,
            records: around.records,
        })
    }
}

/// The input that halts an account of which something may be missing.
/// Of one that is halted already it is recorded all the same: whoever resumes it has to know.
fn halted(lacks: &str, sequence: u64) -> AccountInput {
    AccountInput::SetTradingState {
        request_id: RequestId::new(&format!("take-over-{sequence}")).ok(),
        state: TradingState::Halted,
        by: "system".to_owned(),
        reason: format!("taken over without its reserve: {lacks}"),
    }
}

fn keeper(exposure: Option<&ExposureHandle>) -> Option<Arc<dyn ShareKeeper>> {
    exposure.map(|exposure| Arc::new(exposure.clone()) as Arc<dyn ShareKeeper>)
}

fn abort(why: &str) -> ! {
    // Standard error may be closed or its disk full, and `eprintln!` panics then; the abort must
    // happen all the same.
    tracing::error!(why, "aborting: start-up recovers from the journal");
    let _ = writeln!(
        std::io::stderr(),
        "apextrade: {why}; aborting, start again to recover from the journal"
    );
    std::process::abort()
}

impl AccountRuntime {
    /// Stops the actor after the messages that it has, then makes durable what it decided.
    pub async fn stop(self) {
        let _ = self.actor.drain_and_wait(None).await;
        // Joining waits for the disk, which does not belong on the runtime's threads.
        let account_id = self.handle.account_id().clone();
        let (writer, shared, records) = (self.writer, self.shared, self.records);
        let end = move || {
            writer.stop();
            // Not what is in this folder's reserve alone: a start elsewhere would be held to it.
            let sequence = shared.load(Ordering::Acquire);
            note_durable(&*records, &account_id, sequence);
        };
        let _ = tokio::task::spawn_blocking(end).await;
    }
}

struct Queue(JournalQueue);

impl apex_broker::Journal for Queue {
    fn append(&self, events: &[Recorded]) {
        self.0.append(events.iter().map(to_record).collect());
    }

    fn snapshot(&self, sequence: u64, bytes: Vec<u8>) {
        self.0.snapshot(sequence, bytes);
    }
}

/// Tells the account what its writer did.
struct ToAccount {
    account_id: AccountId,
    address: Arc<OnceLock<ActorRef<AccountMessage>>>,
    shared: Arc<AtomicU64>,
}

impl ToAccount {
    fn cast(&self, message: AccountMessage) {
        if let Some(actor) = self.address.get() {
            // An account that has stopped waits for nothing any more.
            let _ = actor.cast(message);
        }
    }
}

impl Notices for ToAccount {
    fn durable(&self, sequence: u64) {
        self.cast(AccountMessage::Durable { sequence });
    }

    fn shared(&self, sequence: u64) {
        self.shared.store(sequence, Ordering::Release);
    }

    fn health(&self, health: JournalHealth) {
        self.cast(AccountMessage::Journal(health));
    }

    fn failed(&self, error: &JournalError) -> ! {
        abort(&format!(
            "journal of account {} failed: {error}",
            self.account_id
        ))
    }
}

#[cfg(test)]
mod tests;
