//! The actor that has the engine, kept up by a supervisor, and its handle.

use super::channel::{Channels, Message, NotTaken, TIMEOUT, channels};
use super::engine::{Engine, Errand, Shown};
use super::settings::{AlertSettings, PER_MINUTE};
use super::watcher::{Places, Seen, Watcher};
use crate::NodeError;
use apex_bus::alerts::{
    AlertAnswer, AlertDesk, AlertError, AlertReply, AlertRequest, AlertsView, ChannelTest,
};
use apex_bus::clock::Clock;
use apex_bus::handle::Platform;
use apex_bus::supervision::{
    Backoff, ChildSpec, OnPanic, Supervisor, SupervisorArguments, SupervisorMessage,
};
use apex_domain::InstrumentId;
use apex_gateway::{Dependency, Readiness};
use apex_storage::Records;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

const NAME: &str = "alerts";

/// How often is looked: a person sees no more than four changes a second. Trades in between are all
/// seen; of quotes the newest.
const EVERY: Duration = Duration::from_millis(250);

/// How long a caller waits: a write takes milliseconds, and a server that is away longer is said.
const ANSWER: Duration = Duration::from_secs(10);

/// Changes that people have under way. Full: `Busy`.
const UNDER_WAY: usize = 32;

/// Tests of channels that are under way; each takes a connection for some seconds.
const TESTS: usize = 4;

/// How long the end of a process waits for messages that are on their way, so that they are not sent
/// again by the next one.
const LAST: Duration = Duration::from_secs(2);

enum AlertMessage {
    Look(Box<Seen>, RpcReplyPort<()>),
    Change(
        Box<AlertRequest>,
        RpcReplyPort<Result<AlertReply, AlertError>>,
    ),
    Sent(Box<Errand>, Result<(), NotTaken>),
    /// Answered once no message is on its way; none is sent behind it.
    Drain(RpcReplyPort<()>),
}

struct AlertActor;

#[derive(Clone)]
struct Arguments {
    records: Arc<dyn Records>,
    channels: Arc<Channels>,
    per_minute: u32,
    clock: Clock,
    shown: Arc<Shown>,
    /// What the rules watch, for who looks.
    watched: Arc<RwLock<Watched>>,
}

/// What of the market is to be looked at.
#[derive(Clone, Debug, Default)]
struct Watched {
    priced: BTreeSet<InstrumentId>,
}

struct State {
    arguments: Arguments,
    /// `None` while it is away on a thread that may block.
    engine: Option<Engine>,
    on_their_way: usize,
    draining: Vec<RpcReplyPort<()>>,
    stopping: bool,
}

impl Actor for AlertActor {
    type Msg = AlertMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _: ActorRef<AlertMessage>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let own = arguments.clone();
        let opening = tokio::task::spawn_blocking(move || own.open());
        Ok(State {
            engine: Some(opening.await??),
            arguments,
            on_their_way: 0,
            draining: Vec::new(),
            stopping: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<AlertMessage>,
        message: AlertMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let clock = state.arguments.clock.clone();
        match message {
            AlertMessage::Look(seen, done) => {
                let errands = state
                    .with(move |engine| {
                        engine.tick(clock.now(), &seen);
                        engine.errands(clock.now())
                    })
                    .await?;
                if !state.stopping {
                    state.send(&myself, errands);
                }
                // Who looks may have gone: the node stops.
                let _ = done.send(());
            }
            AlertMessage::Change(request, reply) => {
                let changed = state
                    .with(move |engine| engine.change(clock.now(), *request))
                    .await?;
                // Who asked may have gone; the same request finds the answer.
                let _ = reply.send(changed);
            }
            AlertMessage::Sent(errand, result) => {
                state.on_their_way = state.on_their_way.saturating_sub(1);
                let errands = state
                    .with(move |engine| {
                        let line = (errand.channel.as_str(), errand.generation);
                        engine.sent(clock.now(), line, &result, jitter());
                        engine.errands(clock.now())
                    })
                    .await?;
                if !state.stopping {
                    state.send(&myself, errands);
                }
                state.drained();
            }
            AlertMessage::Drain(done) => {
                state.stopping = true;
                state.draining.push(done);
                state.drained();
            }
        }
        Ok(())
    }
}

impl Arguments {
    fn open(&self) -> Result<Engine, apex_storage::StorageError> {
        let kinds = self.channels.iter();
        let kinds = kinds.map(|(name, channel)| (name.clone(), channel.kind()));
        let (records, shown) = (self.records.clone(), self.shown.clone());
        let engine = Engine::open(records, kinds.collect(), self.per_minute, shown)?;
        self.note(&engine);
        Ok(engine)
    }

    fn note(&self, engine: &Engine) {
        let priced = engine.priced();
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        watched.priced = priced;
    }
}

impl State {
    /// Lets the engine work on a thread that may block.
    ///
    /// Errors: it panicked; the supervisor opens another from what is stored.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, ActorProcessingErr> {
        let mut engine = self.engine.take().ok_or("the engine of alerts is gone")?;
        let arguments = self.arguments.clone();
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&mut engine);
            arguments.note(&engine);
            (engine, done)
        });
        let (engine, done) = working.await?;
        self.engine = Some(engine);
        Ok(done)
    }

    /// Sends each in a task of its own: a channel that stands still holds up nobody but itself.
    fn send(&mut self, myself: &ActorRef<AlertMessage>, errands: Vec<Errand>) {
        for errand in errands {
            let (channels, myself) = (self.arguments.channels.clone(), myself.clone());
            let clock = self.arguments.clock.clone();
            self.on_their_way += 1;
            tokio::spawn(async move {
                let result = deliver(&channels, &errand.channel, &errand.message, &clock).await;
                // An actor that has stopped leaves it to the next run, which sends it again.
                let _ = myself.cast(AlertMessage::Sent(Box::new(errand), result));
            });
        }
    }

    fn drained(&mut self) {
        if self.stopping && self.on_their_way == 0 {
            for done in self.draining.drain(..) {
                let _ = done.send(());
            }
        }
    }
}

async fn deliver(
    channels: &Channels,
    name: &str,
    message: &Message,
    clock: &Clock,
) -> Result<(), NotTaken> {
    let Some(channel) = channels.get(name) else {
        return Err(NotTaken::later("there is no such channel"));
    };
    let sending = channel.send(message, clock.now());
    let sent = tokio::time::timeout(TIMEOUT, sending).await;
    sent.unwrap_or_else(|_| Err(NotTaken::later("it did not take the message in 10 s")))
}

/// Returns anything from 0 to 1,000.
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness every pause is the shortest of its kind, which is no harm.
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes) % 1_001
}

type Seat = Arc<RwLock<Option<ActorRef<AlertMessage>>>>;

/// The alerts of a node.
pub struct Alerts {
    desk: Arc<Desk>,
    supervisor: ActorRef<SupervisorMessage>,
    looking: JoinHandle<()>,
    asking: JoinHandle<()>,
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").finish_non_exhaustive()
    }
}

/// What front ends ask.
struct Desk {
    seat: Seat,
    view: watch::Receiver<Arc<AlertsView>>,
    channels: Arc<Channels>,
    clock: Clock,
    changes: Semaphore,
    tests: Semaphore,
}

impl Alerts {
    /// Starts them from what earlier runs left; `readiness` of this node's parts.
    ///
    /// Errors: [`NodeError`]; a channel that cannot be used, records that cannot be read.
    pub async fn start(
        settings: &AlertSettings,
        data_dir: &Path,
        (platform, records): (&Platform, Arc<dyn Records>),
        clock: Clock,
        readiness: Vec<Arc<dyn Readiness>>,
    ) -> Result<Alerts, NodeError> {
        let channels = Arc::new(channels(settings)?);
        let (shown, view) = watch::channel(Arc::<AlertsView>::default());
        let arguments = Arguments {
            records,
            channels: channels.clone(),
            per_minute: match settings.per_minute {
                0 => PER_MINUTE,
                per_minute => per_minute,
            },
            clock: clock.clone(),
            shown: Arc::new(shown),
            watched: Arc::default(),
        };
        // What a person can mend is said as such; the supervisor would only say that it did not start.
        let own = arguments.clone();
        let opening = tokio::task::spawn_blocking(move || own.open().map(drop));
        let opened = opening.await;
        opened.map_err(|error| NodeError::Step(format!("alerts do not start: {error}")))??;
        let seat = Seat::default();
        let watched = arguments.watched.clone();
        let supervisor = supervise(arguments, seat.clone()).await?;
        let mut places = Places {
            disks: vec![data_dir.to_owned()],
            certificates: settings.certificates.clone(),
        };
        places.disks.extend(settings.disks.iter().cloned());
        let (watcher, asking) =
            Watcher::new(platform, places, readiness).map_err(NodeError::Step)?;
        let desk = Desk {
            seat: seat.clone(),
            view,
            channels,
            clock,
            changes: Semaphore::new(UNDER_WAY),
            tests: Semaphore::new(TESTS),
        };
        Ok(Alerts {
            desk: Arc::new(desk),
            supervisor,
            looking: tokio::spawn(look(watcher, seat, watched)),
            asking: tokio::spawn(asking),
        })
    }

    /// Returns what front ends ask.
    pub fn desk(&self) -> Arc<dyn AlertDesk> {
        self.desk.clone()
    }

    /// Returns what tells how they do.
    pub fn readiness(&self) -> Arc<dyn Readiness> {
        self.desk.clone()
    }

    /// Returns what is durable, for who counts.
    pub fn view(&self) -> watch::Receiver<Arc<AlertsView>> {
        self.desk.view.clone()
    }

    /// Looks no more, lets messages arrive that are on their way, and ends.
    pub async fn stop(self) {
        self.looking.abort();
        self.asking.abort();
        if let Some(actor) = self.desk.actor() {
            // What does not arrive in time is sent again by the next run.
            let _ = actor.call(AlertMessage::Drain, Some(LAST)).await;
        }
        self.supervisor.stop(None);
    }
}

async fn supervise(
    arguments: Arguments,
    seat: Seat,
) -> Result<ActorRef<SupervisorMessage>, NodeError> {
    let restart = OnPanic::Restart(Backoff::default());
    let child = ChildSpec::new(NAME, restart, move |supervisor| {
        let (seat, arguments) = (seat.clone(), arguments.clone());
        async move {
            let spawned = AlertActor::spawn_linked(None, AlertActor, arguments, supervisor);
            let (actor, _running) = spawned.await?;
            let mut place = seat.write().unwrap_or_else(PoisonError::into_inner);
            *place = Some(actor.clone());
            Ok::<_, SpawnErr>(actor.get_cell())
        }
    });
    let args = SupervisorArguments::new(vec![child]);
    let (supervisor, _running) = Actor::spawn(None, Supervisor, args)
        .await
        .map_err(|error| NodeError::spawn(NAME, &error))?;
    Ok(supervisor)
}

/// Looks, and waits until what was seen was taken, again and again.
async fn look(mut watcher: Watcher, seat: Seat, watched: Arc<RwLock<Watched>>) {
    let mut timer = interval(EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let actor = seat.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(actor) = actor else { continue };
        let priced = watched
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .priced
            .clone();
        let seen = Box::new(watcher.look(&priced));
        // One look at a time, however long its write takes: nothing piles up.
        let _ = actor
            .call(|done| AlertMessage::Look(seen, done), None)
            .await;
    }
}

impl Desk {
    fn actor(&self) -> Option<ActorRef<AlertMessage>> {
        let seat = self.seat.read().unwrap_or_else(PoisonError::into_inner);
        seat.clone()
    }
}

impl AlertDesk for Desk {
    fn view(&self) -> watch::Receiver<Arc<AlertsView>> {
        self.view.clone()
    }

    fn change(&self, request: AlertRequest) -> AlertAnswer<'_, AlertReply> {
        Box::pin(async move {
            let away = |why: &str| AlertError::Unavailable(why.to_owned());
            let _permit = self.changes.try_acquire().map_err(|_| AlertError::Busy)?;
            let actor = self
                .actor()
                .ok_or_else(|| away("their engine is not there"))?;
            let message = |reply| AlertMessage::Change(Box::new(request), reply);
            match actor.call(message, Some(ANSWER)).await {
                Ok(CallResult::Success(answer)) => answer,
                Ok(CallResult::Timeout) => Err(away("no answer in 10 s, the outcome is not known")),
                Ok(CallResult::SenderError) | Err(_) => Err(away("their engine has ended")),
            }
        })
    }

    fn test(&self, channel: String, by: String) -> AlertAnswer<'_, ChannelTest> {
        Box::pin(async move {
            if !self.channels.contains_key(&channel) {
                let known: Vec<&str> = self.channels.keys().map(String::as_str).collect();
                let known = match known.as_slice() {
                    [] => "the settings name none (docs/guide/alerts.md)".to_owned(),
                    known => format!("there are {}", known.join(", ")),
                };
                return Err(AlertError::NoChannel {
                    name: channel.chars().take(64).collect(),
                    known,
                });
            }
            let _permit = self.tests.try_acquire().map_err(|_| AlertError::Busy)?;
            let message = Message::test(self.clock.now(), &by);
            let begun = Instant::now();
            let sent = deliver(&self.channels, &channel, &message, &self.clock).await;
            Ok(ChannelTest {
                error: sent.err().map(|refused| refused.why),
                took_ns: i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX),
            })
        })
    }
}

impl Readiness for Desk {
    fn dependencies(&self) -> Vec<Dependency> {
        let view = self.view.borrow();
        let failing = view.channels.iter().filter(|channel| channel.failures > 0);
        let failing: Vec<&str> = failing.map(|channel| channel.name.as_str()).collect();
        let detail = match (&view.failing, failing.as_slice()) {
            (Some(why), _) => format!("alerts are raised and not stored or sent: {why}"),
            (None, []) => "alerts are raised and sent".to_owned(),
            (None, failing) => {
                let failing = failing.join(", ");
                format!("alerts are raised, and not taken by {failing}: it is tried again")
            }
        };
        vec![Dependency {
            name: NAME.to_owned(),
            // An order is answered without them.
            ok: true,
            degraded: view.failing.is_some() || !failing.is_empty(),
            detail,
        }]
    }
}
