//! The session with a simulated venue in another process: connects, forwards, and connects again.

use crate::venue_snapshots::Snapshots;
use apex_bus::clock::Clock;
use apex_bus::handle::AccountHandle;
use apex_bus::market::{ChangedUnit, MarketHub};
use apex_bus::message::{AccountCommand, AccountMessage, VenueLink};
use apex_bus::supervision::caught;
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::market::{FeedState, FeedStatus, MarketEvent};
use apex_domain::venue::VenueCommand;
use apex_domain::{AccountId, Instrument};
use apex_market_data::Publisher;
use apex_storage::{Lasting, Outage};
use apex_venues::sim::{
    CommandSender, ConnectOptions, EventStream, SendError, SimVenueClient, SimVenueError,
    VenueEvent,
};
use ractor::ActorRef;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Commands that may wait for the venue. After a reconnect an account asks for each of its
/// working orders at once, so this is the number of those that reconnect without a second
/// question. Full: the command is not taken, and the account asks for its outcome later.
const COMMANDS_WAITING: usize = 1 << 16;

/// Cancels that may wait beside them.
const CANCELS_BESIDE: usize = 1 << 13;

/// Pause before connecting again: doubled each time, from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long to wait when the session's own queue is full: its socket takes some thousand commands
/// in this time.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// The account's end of the link.
#[derive(Clone, Debug)]
pub struct LinkSession {
    commands: mpsc::Sender<VenueCommand>,
}

impl VenueSession for LinkSession {
    fn send(&self, command: VenueCommand) -> Result<(), NotSent> {
        if !command.is_cancel() && self.commands.capacity() <= CANCELS_BESIDE {
            return Err(NotSent);
        }
        self.commands.try_send(command).map_err(|_| NotSent)
    }
}

/// Returns a session and the end at which its commands come out.
pub fn session() -> (LinkSession, mpsc::Receiver<VenueCommand>) {
    let (commands, receiver) = mpsc::channel(COMMANDS_WAITING + CANCELS_BESIDE);
    (LinkSession { commands }, receiver)
}

/// Everything that the link needs of the node.
pub struct Link {
    pub address: String,
    pub account_id: AccountId,
    pub account: ActorRef<AccountMessage>,
    pub commands: mpsc::Receiver<VenueCommand>,
    pub publisher: Publisher,
    pub hub: MarketHub,
    pub clock: Clock,
    /// The last report that the account has.
    pub venue_sequence: u64,
    pub snapshots: Snapshots,
    /// The account was told to wait for the first snapshot.
    pub is_gated: bool,
    /// The definitions that the account has.
    pub defined: Vec<Instrument>,
    /// It brings the market data, of which one session is enough for all accounts.
    pub is_feed: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Connects for the first time.
///
/// Errors: those of the client; a venue that does not answer at start-up is an error and no
/// reason to trade elsewhere.
pub async fn connect(
    address: &str,
    account_id: &AccountId,
    venue_sequence: u64,
    is_feed: bool,
) -> Result<SimVenueClient, SimVenueError> {
    let next = venue_sequence.saturating_add(1);
    let options = ConnectOptions {
        market_data: is_feed,
        ..ConnectOptions::new(address.to_owned(), account_id.clone(), next)
    };
    SimVenueClient::connect(options).await
}

impl Link {
    /// Runs until it is aborted, which may be at any point: what the account has not journaled by
    /// then comes again with the next logon.
    pub async fn run(mut self, first: SimVenueClient) {
        let mut client = Some(first);
        let mut pause = FIRST_PAUSE;
        let mut outage = Outage::default();
        loop {
            if let Some(client) = client.take() {
                match caught(self.serve(client)).await {
                    Ok(reason) => {
                        pause = FIRST_PAUSE;
                        self.lost(reason);
                    }
                    // The next session resumes behind the last report that was handed on, and
                    // its books come anew. One that breaks each time keeps its growing pause.
                    Err(panic) => {
                        tracing::error!(panic, "venue link broke, starting it again");
                        self.publisher = Publisher::new(self.hub.clone());
                        self.lost(format!("the link broke: {panic}"));
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let (id, sequence) = (&self.account_id, self.venue_sequence);
            client = match connect(&self.address, id, sequence, self.is_feed).await {
                Ok(client) => {
                    if let Some(Lasting { failures, seconds }) = outage.over(Instant::now()) {
                        let address = &self.address;
                        tracing::info!(address, failures, seconds, "the venue has a session again");
                    }
                    Some(client)
                }
                Err(error) => {
                    if let Some(Lasting { failures, seconds }) = outage.failed(Instant::now()) {
                        let address = &self.address;
                        tracing::warn!(
                            address,
                            %error,
                            failures,
                            seconds,
                            "no session with the venue, trying again"
                        );
                    }
                    None
                }
            };
        }
    }

    /// Forwards until the session is lost; returns why.
    async fn serve(&mut self, client: SimVenueClient) -> String {
        if let Err(changed) = self.define(&client.instruments).await {
            tracing::error!(%changed, "nothing is traded at this venue until that is as it was");
            return changed.to_string();
        }
        let (sender, mut events) = client.split();
        self.snapshots = Snapshots::begin();
        // What waited for the lost session must not go into this one: its outcome is asked for.
        while self.commands.try_recv().is_ok() {}
        if !std::mem::replace(&mut self.is_gated, true) {
            self.tell(VenueLink::GivesSnapshots);
        }
        self.tell(VenueLink::Ready);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.snapshots.due()) => {
                    if let Some(since) = self.snapshots.ask(self.clock.now()) {
                        // One that is closed is told of by its next event.
                        if sender.request_snapshot(since).is_err() {
                            self.snapshots.not_asked();
                        }
                    }
                }
                event = events.next() => match event {
                    Some(VenueEvent::Lost(reason)) => return reason.to_string(),
                    Some(event) => self.take(event),
                    None => return "closed".to_owned(),
                },
                Some(command) = self.commands.recv() => {
                    if let Err(reason) = self.forward(&sender, &mut events, command).await {
                        return reason;
                    }
                }
            }
        }
    }

    /// Hands a command over, taking events meanwhile, so that neither side waits for the other.
    async fn forward(
        &mut self,
        sender: &CommandSender,
        events: &mut EventStream,
        command: VenueCommand,
    ) -> Result<(), String> {
        loop {
            match sender.send(command.clone()) {
                Ok(()) => return Ok(()),
                Err(error @ SendError::Closed) => return Err(error.to_string()),
                Err(SendError::Full) => {}
            }
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(VenueEvent::Lost(reason)) => return Err(reason.to_string()),
                    Some(event) => self.take(event),
                    None => return Err("closed".to_owned()),
                },
                () = tokio::time::sleep(FULL_PAUSE) => {}
            }
        }
    }

    fn take(&mut self, event: VenueEvent) {
        match event {
            VenueEvent::Report { sequence, report } => {
                self.venue_sequence = self.venue_sequence.max(sequence);
                let message = AccountMessage::Report {
                    venue_sequence: sequence,
                    report,
                };
                let _ = self.account.cast(message);
            }
            VenueEvent::Snapshot(mut snapshot) => {
                self.snapshots.answer(&mut snapshot);
                self.tell(VenueLink::Snapshot(snapshot));
            }
            VenueEvent::Market(event) => self.market(event),
            VenueEvent::MarketGap { missed } => {
                tracing::warn!(
                    missed,
                    "market data of the venue has a gap, its books follow anew"
                );
            }
            VenueEvent::Lost(_) => {}
        }
    }

    fn tell(&self, link: VenueLink) {
        // An account that has stopped needs no link.
        let _ = self.account.cast(AccountMessage::Link(link));
    }

    /// Publishes with our own time of arrival: the venue's clock is not ours.
    fn market(&mut self, mut event: MarketEvent) {
        let now = self.clock.now();
        event.set_ts_init(now);
        let mut bars = Vec::new();
        self.publisher.publish(&event, &mut bars);
    }

    /// Takes the venue's definitions, and tells the account those that are new: orders are checked
    /// by them.
    ///
    /// Errors: [`ChangedUnit`]; no order passes then.
    async fn define(&mut self, instruments: &[Instrument]) -> Result<(), ChangedUnit> {
        for instrument in instruments {
            self.hub.define(instrument.clone())?;
        }
        let handle = AccountHandle::new(self.account_id.clone(), self.account.clone());
        for instrument in instruments {
            if self.defined.contains(instrument) {
                continue;
            }
            let define = AccountCommand::DefineInstrument(Box::new(instrument.clone()));
            if let Err(error) = handle.command(define).await {
                // It keeps the one before, and is asked to take this one with the next session.
                tracing::warn!(%error, instrument_id = %instrument.instrument_id, "not taken");
                return Ok(());
            }
        }
        self.defined = instruments.to_vec();
        Ok(())
    }

    fn lost(&mut self, reason: String) {
        self.tell(VenueLink::Lost { reason });
        if !self.is_feed {
            return;
        }
        let ts_init = self.clock.now();
        for instrument in self.hub.instruments() {
            let instrument_id = instrument.instrument_id;
            let state = FeedState {
                instrument_id,
                status: FeedStatus::Stale,
                ts_init,
            };
            self.publisher
                .publish(&MarketEvent::FeedState(state), &mut Vec::new());
        }
    }
}
